"""One stream and boot as the receiver sees it: sequence numbers, open units, what is ready.

A unit is closed when it is whole, when a later unit has been on the air for `reorder_ns`, or after
`hold_ns` of silence. Closed units leave in rising order; a gap in the numbers is a unit of which
nothing at all arrived.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from gvc_protocol.codec import ReceivedUnit
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.events import LinkCounters
from gvc_protocol.joined import parted
from gvc_protocol.message_session import MessageSession
from gvc_protocol.params import LinkParams
from gvc_protocol.parts import Filed, PartAssembly
from gvc_protocol.reports import Arrival, Reception
from gvc_protocol.wire import SEQ_BITS, UNIT_BITS, Datagram, WirePart, nearest

__all__ = ["UnitSession"]

_SEQ_WINDOW = 1024
_MAX_OPEN_UNITS = 16
_MAX_OPEN_BYTES = 16 << 20
_MAX_UNIT_JUMP = 1 << 15
_ARRIVALS_KEPT = 32


@dataclass(slots=True)
class _UnitAssembly:
    unit_no: int
    deadline: int
    k_sent: bool = False
    f_sent: bool = False
    parts: dict[int, PartAssembly] = field(default_factory=dict)
    closed: bool = False

    @property
    def held_bytes(self) -> int:
        return sum(part.held_bytes for part in self.parts.values())

    @property
    def complete(self) -> bool:
        wanted = [WirePart.DESCRIPTORS]
        wanted += [WirePart.KEYFRAME] if self.k_sent else []
        wanted += [WirePart.FEATURES] if self.f_sent else []
        return all(p in self.parts and self.parts[p].complete for p in wanted)

    def received(self) -> ReceivedUnit:
        empty = PartAssembly()
        whole = self.parts.get(WirePart.DESCRIPTORS, empty).data(sent=True).whole
        d = Descriptors.unpack(whole) if whole is not None else None
        keyframe = features = None
        if d is not None:
            d, keyframe, features = parted(d)
        k = self.parts.get(WirePart.KEYFRAME, empty).data(sent=self.k_sent)
        f = self.parts.get(WirePart.FEATURES, empty).data(sent=self.f_sent)
        return ReceivedUnit(
            unit_no=self.unit_no, descriptors=d, keyframe=keyframe or k, features=features or f
        )


class UnitSession:
    """State of one (stream, boot) in one direction: `add` datagrams; `take_ready` gives the units and
    `take_messages` the messages. Both share the sequence numbers, each has numbers of its own."""

    def __init__(self, params: LinkParams, counters: LinkCounters) -> None:
        self._params = params
        self._counters = counters
        self._units: dict[int, _UnitAssembly] = {}
        self._next_unit = 0
        self._highest_unit = -1
        self._highest_seq = -1
        self._lowest_seq = 0
        self._distinct = 0
        self._seen = 0  # bit i = highest_seq - i was seen
        self._gaps = 0
        self._highest_ns = 0
        self._arrivals: deque[Arrival] = deque(maxlen=_ARRIVALS_KEPT)
        self._spread = 0  # later units over which a unit is spread, as the newest D says
        self._whole = self._degraded = self._repaired = 0
        self._unit_bytes = 0
        self._messages = MessageSession(counters)
        self.last_heard = 0

    @property
    def held_bytes(self) -> int:
        """Memory that open units and messages take, about."""
        return self._unit_bytes + self._messages.held_bytes

    @property
    def heard(self) -> int:
        """Distinct datagrams that came."""
        return self._distinct

    @property
    def lost(self) -> int:
        """Sequence numbers between the first and the highest that never came."""
        return max(0, self._highest_seq + 1 - self._lowest_seq - self._distinct)

    def reception(self, boot_id: int) -> Reception:
        """What a report on this boot tells."""
        return Reception(
            boot_id=boot_id, highest_seq=max(0, self._highest_seq), heard_ns=self._highest_ns,
            received=self._distinct, lost=self.lost, bursts=self._gaps, repaired=self._repaired,
            whole=self._whole, degraded=self._degraded, arrivals=tuple(self._arrivals),
        )  # fmt: skip

    def add(self, datagram: Datagram, now: int, came: int | None = None) -> Filed:
        """File one datagram under its unit, part and block. `came`: when its last byte did, where that
        was before now."""
        self.last_heard = now
        # Only differences count; one range of room below for what was sent before the first heard.
        seq = datagram.seq + (1 << SEQ_BITS)
        if self._distinct:
            seq = nearest(datagram.seq, SEQ_BITS, self._highest_seq + 1)
        if not self._new_sequence(seq, now if came is None else came):
            return Filed.DUPLICATE
        if seq == self._highest_seq:
            self._arrivals.append(Arrival(seq, self._highest_ns, self.lost))
        if datagram.part == WirePart.MESSAGE:
            return self._messages.add(datagram, now)
        unit_no = nearest(datagram.unit_no, UNIT_BITS, max(0, self._highest_unit))
        # Ahead by more than half the range: from before the first unit that was heard.
        early = self._highest_unit >= 0 and unit_no > self._highest_unit + _MAX_UNIT_JUMP
        if early or unit_no < self._next_unit:
            return Filed.LATE
        if datagram.from_base:
            return Filed.CONFLICT  # a base sends messages alone
        unit = self._unit(unit_no, now)
        if unit.closed:
            return Filed.LATE
        return self._file(unit, datagram)

    def take_messages(self) -> list[tuple[int, bytes]]:
        """(number, bytes) of the messages that became whole."""
        return self._messages.take_ready()

    def take_ready(self, now: int) -> list[ReceivedUnit]:
        """Close what is whole or over a limit; return closed units in rising order."""
        for unit in self._units.values():
            unit.closed = unit.closed or unit.complete
        while self._over_limit():
            oldest = self._units[min(self._units)]
            if oldest.closed:
                break
            oldest.closed = True
        return self._pop_closed()

    def next_timer(self) -> int | None:
        """Deadline of the open unit that is due first."""
        return min((u.deadline for u in self._units.values() if not u.closed), default=None)

    def handle_timer(self, now: int) -> list[ReceivedUnit]:
        """Close the units whose deadline is `now` or before."""
        for unit in self._units.values():
            if unit.deadline <= now:
                unit.closed = True
        return self._pop_closed()

    def close_oldest(self) -> list[ReceivedUnit]:
        """Give up the oldest open unit, or else an open message, to free memory."""
        if self._units:
            self._units[min(self._units)].closed = True
        else:
            self._messages.drop_oldest()
        return self._pop_closed()

    def close(self) -> list[ReceivedUnit]:
        """Close everything."""
        for unit in self._units.values():
            unit.closed = True
        return self._pop_closed()

    def _new_sequence(self, seq: int, now: int) -> bool:
        if seq > self._highest_seq:
            self._highest_ns = now
        if self._highest_seq < 0:
            self._highest_seq, self._lowest_seq, self._seen, self._distinct = seq, seq, 1, 1
            return True
        ahead = seq - self._highest_seq
        if ahead > 0:
            self._gaps += ahead > 1
            self._seen = (self._seen << min(ahead, _SEQ_WINDOW) | 1) & (1 << _SEQ_WINDOW) - 1
            self._highest_seq = seq
        else:
            if -ahead >= _SEQ_WINDOW or self._seen >> -ahead & 1:
                return False
            self._seen |= 1 << -ahead
            self._lowest_seq = min(self._lowest_seq, seq)
        self._distinct += 1
        return True

    def _unit(self, unit_no: int, now: int) -> _UnitAssembly:
        hold = now + self._params.hold_ns
        unit = self._units.setdefault(unit_no, _UnitAssembly(unit_no=unit_no, deadline=hold))
        if unit_no >= self._highest_unit:
            self._highest_unit = unit_no
            unit.deadline = hold
        soon = now + self._params.reorder_ns
        for other in self._units.values():
            if other.unit_no < self._highest_unit - self._spread:
                other.deadline = min(other.deadline, soon)
            elif other.unit_no < self._highest_unit:
                # Some of it is still to come, among the later units.
                other.deadline = hold
        return unit

    def _file(self, unit: _UnitAssembly, datagram: Datagram) -> Filed:
        part = unit.parts.setdefault(datagram.part, PartAssembly())
        before = part.held_bytes
        filed = part.add(datagram, self._counters)
        if filed is Filed.TAKEN:
            unit.k_sent |= datagram.k_sent
            unit.f_sent |= datagram.f_sent
        self._unit_bytes += part.held_bytes - before
        if datagram.part == WirePart.DESCRIPTORS and part.complete:
            whole = part.data(sent=True).whole
            d = Descriptors.unpack(whole) if whole is not None else None
            if d is not None and unit.unit_no == self._highest_unit:
                self._spread = d.interleave
        return filed

    def _over_limit(self) -> bool:
        return len(self._units) > _MAX_OPEN_UNITS or self._unit_bytes > _MAX_OPEN_BYTES

    def _pop_closed(self) -> list[ReceivedUnit]:
        out = []
        while self._units:
            oldest = min(self._units)
            unit = self._units[oldest]
            if not unit.closed:
                break
            del self._units[oldest]
            self._next_unit = oldest + 1
            self._unit_bytes -= unit.held_bytes
            blocks = (b for p in unit.parts.values() for b in p.blocks.values())
            self._counters.blocks_failed += sum(1 for b in blocks if b.offset < 0)
            received = unit.received()
            self._whole += received.whole
            self._degraded += not received.whole
            self._repaired += sum(
                b.repaired for p in unit.parts.values() for b in p.blocks.values()
            )
            out.append(received)
        return out
