"""In which order and when symbols go on the air: interleave over units, windows for the other side."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, replace

from gvc_protocol.descriptors import MAX_INTERLEAVE
from gvc_protocol.wire import WirePart

_LEAST_EVERY_NS = 2_000_000_000
_LEAST_WINDOW_NS, _AT_ONCE_NS = 400_000_000, 1_000_000_000
_TIMES, _EAGER, _DOUBT = 8, 4, 2
_DRAIN_EVERY_NS, _DRAIN_NS = 60_000_000_000, 1_000_000_000
_LAST_WITHIN_NS = 750_000_000
_HOPEFUL, _HOPEFUL_TIMES = 8, 3
"""So many windows that nobody answered may be bad luck on a link that loses much: until then the wait is
so many times the window at most."""
_RETRIES = 2
"Windows that nobody answered, behind which the next one comes at once."
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
    joined: bool = False
    "Of a D that holds K and F."

    @property
    def makes_way(self) -> bool:
        """For messages at any time, for newer units when the queue is full."""
        return self.joined or self.part in (WirePart.KEYFRAME, WirePart.FEATURES)

    @property
    def drop_rank(self) -> tuple[int, int, bool, int, int]:
        """Larger goes first when the queue is over its limit: F before K, oldest unit first,
        parity before data, and a part's end before its start, which is worth more alone."""
        part = WirePart.KEYFRAME if self.joined else self.part
        return (part, -self.unit_no, self.symbol >= self.k, self.block_no, self.symbol)


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
    fast the sender can follow its link. How long answers take is learned (mean and deviation, as RFC
    6298 has it): a window in which nothing was heard for much longer than that ends before `listen_ns`,
    and the next one comes soon, for a single one is often only a turn that a full radio dropped. Each
    one more that nobody answers lasts twice as long and waits twice as long, up to `every_ns`.
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
    _began: int = 0
    _usual: int | None = None
    "Mean time to an answer's end, ns; None: there was none."
    _off: int = 0
    _cost: int = 0
    "The least of late: what is more is our own queue that drained meanwhile, and no silence."
    eager: bool = False
    "A report is worth more silence now: the link seems to have changed."
    _soon: int = 0
    "When the next window is due if it is to come soon; 0: no sooner than the others."
    _drain: bool = False
    _drained: int | None = None
    "When an OVER last found the radio's queue empty, as far as silence before it can see to that."
    _doubt: int = 0
    "Windows yet to come soon, behind one that nobody answered."

    def is_due(self, now: int, *, last: bool = True) -> bool:
        """Whether the datagram that leaves now shall say OVER. The `last` that waits is the best one:
        the silence behind it keeps nothing back, a report on it tells most. It is waited for a while."""
        if not self.every_ns or self._last_seq is not None:
            return False
        if self._next is None:
            self._next = now + self._patience(self.listen_ns)
        due = self._next
        self._drain = self._drained is None or now - self._drained >= _DRAIN_EVERY_NS
        if self._soon and (self.eager or self._doubt):
            due = min(due, self._soon)
        within = 0 if self._unanswered else min(self.every_ns // 4, _LAST_WITHIN_NS)
        return now >= due + (-within if last else within)

    def asked(self, seq: int) -> None:
        """This datagram says OVER."""
        self._last_seq = seq

    def turn_at(self, seq: int | None, air_ns: int) -> int:
        """Before that time this datagram may not leave. Behind a window that nobody answered one that
        says OVER follows a gap: where the radio's queue was full, that makes room for it. Once a minute
        one follows a longer gap: its report tells the path's own delay, which no other may see."""
        if seq is None or seq != self._last_seq:
            return 0
        if self._drain and not self._unanswered:
            return self._left + min(_DRAIN_NS, self.listen_ns)
        return self._left + _GAP * air_ns

    def sent(self, now: int, air_ns: int) -> None:
        """A datagram has left and takes so long on the air: if it said OVER, the window begins."""
        self._left = now + air_ns
        if self._last_seq is not None:
            self._began = now + air_ns
            if self._drain and not self._unanswered:
                self._drained = now
            self._drain = False
            length = self._length()
            self.until = self._began + length
            self._unanswered += 1
            self._next, self._last_seq = self.until + self._patience(length), None
            self._soon = 0

    def heard(self, now: int) -> None:
        """Something comes from the base: it has all of `listen_ns` for what it says."""
        if now < self.until:
            self.until = self._began + self.listen_ns
            self._next = self.until + self._patience(self.listen_ns)

    def given_back(self, now: int) -> None:
        """The base has said all that it had: no need to be silent any longer."""
        if self._unanswered > 1:
            self._doubt = _DOUBT
        self._unanswered = 0
        if now < self.until:
            silent = now - self._began
            self._learn(silent)
            # Silence keeps its share of the time: a short window lets the next one come sooner.
            every, least = min(self.every_ns, _TIMES * self._cost), self._least_every
            self.until, self._next = now, now + max(least, every)
            self._soon = now + max(least, every // _EAGER)
            self._doubt = max(0, self._doubt - 1)

    def _learn(self, silent: int) -> None:
        self._cost = min(silent, self._cost + self._cost // 16) if self._cost else silent
        if self._usual is None:
            self._usual, self._off = silent, silent // 4
        else:
            self._off += (abs(silent - self._usual) - self._off) // 4
            self._usual += (silent - self._usual) // 8

    def _length(self) -> int:
        """Of the window that begins now."""
        if self._usual is None:
            return self.listen_ns
        patient = max(_LEAST_WINDOW_NS, self._usual + 4 * max(self._off, self._usual // 8))
        return min(self.listen_ns, patient << min(16, max(0, self._unanswered - _RETRIES)))

    def _patience(self, window_ns: int) -> int:
        """Sending time behind a window of this length that nobody answered."""
        least = self._least_every
        if self._usual is not None and 0 < self._unanswered <= _RETRIES:
            return min(least, _AT_ONCE_NS)
        doubled: int = window_ns << min(16, max(0, self._unanswered - 1))
        if self._unanswered <= _HOPEFUL:
            doubled = min(doubled, _HOPEFUL_TIMES * window_ns)
        return max(least, min(self.every_ns, doubled))

    @property
    def _least_every(self) -> int:
        return min(self.every_ns, _LEAST_EVERY_NS)
