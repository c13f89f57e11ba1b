"""In which order and when symbols go on the air: interleave over units, windows for the other side."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, replace

from gvc_protocol.descriptors import MAX_INTERLEAVE
from gvc_protocol.wire import WirePart

_LEAST_EVERY_NS = 2_000_000_000
_GAP = 4
"Times its own air time that a datagram with OVER waits behind the one before it, once one was lost."

__all__ = ["MAX_INTERLEAVE", "Later", "ListenWindows", "Symbol"]


@dataclass(slots=True)
class Symbol:
    """One datagram to be; numbered and packed only when it leaves."""

    unit_no: int
    part: int
    block_no: int
    last: bool
    symbol: int
    k: int
    payload: bytes
    position: float
    "Place in the unit's transmission, 0..1."
    parts_sent: tuple[bool, bool]

    @property
    def drop_rank(self) -> tuple[int, int, bool, int, int]:
        """Larger goes first when the queue is over its limit: F before K, oldest unit first,
        parity before data, and a part's end before its start, which is worth more alone."""
        return (self.part, -self.unit_no, self.symbol >= self.k, self.block_no, self.symbol)


class Later:
    """Symbols that wait for the air time of a later unit, so that a long burst takes a few of each
    unit and not one unit whole. What is not called for in its time goes on its own."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, float, int, Symbol]] = []
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def spread(
        self, symbols: list[Symbol], unit_no: int, depth: int, now: int, unit_ns: int
    ) -> list[Symbol]:
        """Keep K and F of unit `unit_no` that belong to one of the next `depth` units; give the rest."""
        out = []
        for symbol in symbols:
            if symbol.unit_no != unit_no or symbol.part == WirePart.DESCRIPTORS:
                out.append(symbol)
                continue
            place = symbol.position * (depth + 1)
            slot = min(depth, int(place))
            symbol = replace(symbol, position=place - slot)
            if slot == 0:
                out.append(symbol)
            else:
                self._count += 1
                due = now + slot * unit_ns
                insort(self._waiting, (due, symbol.position, self._count, symbol))
        return out

    def take(self, until: int | None) -> list[Symbol]:
        """What is due by `until`, or everything; in order."""
        count = 0
        while count < len(self._waiting) and (until is None or self._waiting[count][0] <= until):
            count += 1
        taken = [row[3] for row in self._waiting[:count]]
        del self._waiting[:count]
        return taken

    def next_timer(self) -> int | None:
        """When `take` has something to give though no unit called for it."""
        return self._waiting[0][0] if self._waiting else None


@dataclass(slots=True)
class ListenWindows:
    """Times of silence on a half-duplex link, in which the base may talk. Sans-IO like its owner.

    A window that the base answers and gives back costs little, so the next one comes soon: that is how
    fast the sender can follow its link. One that nobody answers costs all its time: the next one waits
    twice as long as the last, up to `every_ns`. A single one is often only a turn that a full radio
    dropped.
    """

    every_ns: int = 0
    "Longest sending time between two windows; 0: there are none."
    listen_ns: int = 0
    until: int = 0
    "Silent until then."
    _next: int | None = None
    _last_seq: int | None = None
    _unanswered: int = 0
    _left: int = 0
    "When the last datagram had left."

    def is_due(self, now: int) -> bool:
        """Whether the datagram that leaves now shall say OVER."""
        if not self.every_ns or self._last_seq is not None:
            return False
        if self._next is None:
            self._next = now + self._patience()
        return now >= self._next

    def asked(self, seq: int) -> None:
        """This datagram says OVER."""
        self._last_seq = seq

    def turn_at(self, seq: int | None, air_ns: int) -> int:
        """Before that time this datagram may not leave. Behind a window that nobody answered one that
        says OVER follows a gap: where the radio's queue was full, that makes room for it."""
        if seq is None or seq != self._last_seq or not self._unanswered:
            return 0
        return self._left + _GAP * air_ns

    def sent(self, now: int, air_ns: int) -> None:
        """A datagram has left and takes so long on the air: if it said OVER, the window begins."""
        self._left = now + air_ns
        if self._last_seq is not None:
            self.until = now + air_ns + self.listen_ns
            self._unanswered += 1
            self._next, self._last_seq = self.until + self._patience(), None

    def given_back(self, now: int) -> None:
        """The base has said all that it had: no need to be silent any longer."""
        self._unanswered = 0
        if now < self.until:
            # Silence keeps its share of the time: a short window lets the next one come sooner.
            silent = self.listen_ns - (self.until - now)
            every = max(
                min(self.every_ns, _LEAST_EVERY_NS), self.every_ns * silent // self.listen_ns
            )
            self.until, self._next = now, now + every

    def _patience(self) -> int:
        doubled: int = self.listen_ns << min(16, self._unanswered + 1)
        return min(self.every_ns, max(_LEAST_EVERY_NS, doubled))
