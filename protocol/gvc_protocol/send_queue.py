"""What waits for the air: the order of units and messages, and who gives way in a full queue."""

from __future__ import annotations

from collections.abc import Callable

from gvc_protocol.order import Symbol

__all__ = ["SendQueue"]

_APART = 3
"Other packets between two parity symbols of a message, where there are any."


class SendQueue:
    """Symbols in the order in which they will leave. `air` gives the air bytes of a payload."""

    def __init__(self, air: Callable[[int], int]) -> None:
        self._symbols: list[Symbol] = []
        self._air = air

    def __bool__(self) -> bool:
        return bool(self._symbols)

    @property
    def air_bytes(self) -> int:
        """Air bytes that wait."""
        return sum(self._air(len(s.payload)) for s in self._symbols)

    def pop(self) -> Symbol:
        """The next symbol; there must be one."""
        return self._symbols.pop(0)

    def add(self, symbols: list[Symbol]) -> None:
        """A unit's symbols, behind all others."""
        self._symbols += symbols

    def add_message(self, symbols: list[Symbol], repeats: int) -> None:
        """A message: its data ahead of K and F, its parity and repeats with other packets between."""
        first = [s for s in symbols if s.symbol < s.k]
        later = [s for s in symbols if s.symbol >= s.k] + symbols * (repeats - 1)
        ahead = next((i for i, s in enumerate(self._symbols) if s.makes_way), None)
        at = len(self._symbols) if ahead is None else ahead
        self._symbols[at:at] = first
        self._spread(later, at + len(first))

    def add_patient(self, symbols: list[Symbol]) -> None:
        """A message that must not hold anything up: a symbol after every few others."""
        self._spread(symbols, 0)

    def _spread(self, symbols: list[Symbol], at: int) -> None:
        for symbol in symbols:
            at = min(at + _APART, len(self._symbols))
            self._symbols.insert(at, symbol)
            at += 1

    def drop_over(self, most_bytes: float, ready_bytes: int) -> dict[tuple[int, int], int]:
        """Drop K and F, oldest unit's F parity first, until what waits (and `ready_bytes` that left the
        queue, but not the sender) is within the limit. Gives (unit, part) -> symbols dropped."""
        over = self.air_bytes + ready_bytes - most_bytes
        gone: dict[tuple[int, int], int] = {}
        if over <= 0:
            return gone
        droppable = [s for s in self._symbols if s.makes_way]
        doomed = set()
        for symbol in sorted(droppable, key=lambda s: s.drop_rank, reverse=True):
            if over <= 0:
                break
            over -= self._air(len(symbol.payload))
            doomed.add(id(symbol))
            key = (symbol.unit_no, symbol.part)
            gone[key] = gone.get(key, 0) + 1
        self._symbols = [s for s in self._symbols if id(s) not in doomed]
        return gone
