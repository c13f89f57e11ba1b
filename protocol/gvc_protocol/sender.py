"""Sans-IO sender: parts in, paced datagrams out.

    submit(unit, now)            all parts of a closed unit, or
    send_message(data, now)      a message, ahead of K and F
    open_unit / write(...)       parts as they grow; blocks close when full, ended or waited too long
    datagrams_to_send(now)       radio packets whose time has come; call it again at next_timer()
    next_timer()                 when something will be due, or None
    next_event()                 SenderDropped: what an over-full queue cost

The order on the air interleaves a unit's blocks, so that a burst of losses is shared between them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from gvc_protocol.auth import LinkKey, Sealer
from gvc_protocol.blocks import Block, block_capacity, make_block, plan_air_bytes
from gvc_protocol.codec import EncodedUnit
from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.events import SenderDropped
from gvc_protocol.message_session import MAX_MESSAGE_BYTES
from gvc_protocol.pacing import Pacer
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.wire import OVERHEAD_BYTES, TAG_BYTES, Datagram, WirePart

__all__ = ["LinkSender", "SenderCounters", "unit_air_bytes"]


_APART = 3
"Other packets between two parity symbols of a message, where there are any."


@dataclass(slots=True)
class SenderCounters:
    """Totals since the boot. Air bytes hold everything: headers, parity, framing, radio overhead."""

    datagrams: int = 0
    air_bytes: int = 0
    payload_bytes: int = 0
    "Bytes of D, K, F and messages that were submitted, before any overhead."
    units: int = 0
    messages: int = 0
    dropped_symbols: int = 0


@dataclass(slots=True)
class _Symbol:
    """One datagram to be; numbered and packed only when it leaves."""

    unit_no: int
    part: int
    block_no: int
    last: bool
    symbol: int
    k: int
    payload: bytes
    position: float
    parts_sent: tuple[bool, bool]

    @property
    def drop_rank(self) -> tuple[int, int, bool, int, int]:
        """Larger goes first when the queue is over its limit: F before K, oldest unit first,
        parity before data, and a part's end before its start, which is worth more alone."""
        return (self.part, -self.unit_no, self.symbol >= self.k, self.block_no, self.symbol)


@dataclass(slots=True)
class _OpenPart:
    data: bytearray = field(default_factory=bytearray)
    offset: int = 0
    block_no: int = 0
    since: int = 0
    "Time at which the first waiting byte came."


class LinkSender:
    """One stream of one boot over one link. Not thread-safe; the caller gives the time.

    With a key (and `params.tagged`) every datagram is tagged, and encrypted where the parameters say
    so. The boot id must then never have been used with this key: numbers would repeat.

    Raises:
        UserError: one packet of this link is more than the rate allows in the whole window, or what
            encrypts is not installed.
    """

    def __init__(
        self, params: LinkParams, *, stream_id: int, boot_id: int, from_base: bool = False,
        key: LinkKey | None = None,
    ) -> None:  # fmt: skip
        _check_rate(params)
        if params.tagged is (key is None):
            raise LocalProtocolError("a key and `tagged` belong together")
        self._sealer = None if key is None else Sealer(key, encrypt=params.encrypted)
        self._from_base = from_base
        self._params = params
        self._stream_id, self._boot_id = stream_id, boot_id
        self._pacer = Pacer(params.rate_bps, params.window_ns)
        self._queue: list[_Symbol] = []
        self._open: dict[int, _OpenPart] = {}
        self._ended: set[int] = set()
        self._unit_no = -1
        self._parts_sent = (False, False)
        self._message_no = 0
        self._seq = 0
        self._ready: deque[tuple[bytes, int]] = deque()
        self._events: deque[SenderDropped] = deque()
        self.counters = SenderCounters()

    def submit(self, unit: EncodedUnit, now: int) -> None:
        """Queue a closed unit. Units come in rising order."""
        self.open_unit(
            unit.unit_no, keyframe=bool(unit.keyframe), features=bool(unit.features), now=now
        )
        self._ended = {0, 1, 2}
        blocks = self._blocks_of(WirePart.DESCRIPTORS, unit.descriptors.pack())
        if unit.keyframe:
            blocks += self._blocks_of(WirePart.KEYFRAME, unit.keyframe)
        if unit.features:
            blocks += self._blocks_of(WirePart.FEATURES, unit.features)
        self._enqueue(blocks, now)

    def open_unit(self, unit_no: int, *, keyframe: bool, features: bool, now: int) -> None:
        """Begin a unit whose parts will be written as they grow; says which parts will come.

        Raises:
            LocalProtocolError: the number does not rise.
        """
        if unit_no <= self._unit_no:
            raise LocalProtocolError(f"unit {unit_no} after unit {self._unit_no}")
        self._close_blocks(now, force=True)
        self._unit_no = unit_no
        self._parts_sent = (keyframe, features)
        self._open, self._ended = {}, set()
        self.counters.units += 1

    def write(self, part: WirePart, data: bytes, now: int, *, last: bool) -> None:
        """Add bytes to a part of the open unit; `last` ends the part and closes its block.

        Raises:
            LocalProtocolError: no unit is open, the part has ended, or it is too long for a part.
        """
        if self._unit_no < 0 or part in self._ended:
            raise LocalProtocolError(f"part {part} of unit {self._unit_no} is not open")
        open_part = self._open.setdefault(part, _OpenPart())
        if not open_part.data:
            open_part.since = now
        open_part.data += data
        capacity = block_capacity(self._params.max_symbol_bytes)
        blocks = []
        while len(open_part.data) > capacity:
            blocks.append(self._take(part, open_part, capacity, last=False))
            open_part.since = now
        if last:
            blocks.append(self._take(part, open_part, len(open_part.data), last=True))
            del self._open[part]
            self._ended.add(part)
        self._enqueue(blocks, now)

    def send_message(self, data: bytes, now: int, *, repeats: int = 1) -> int:
        """Queue a message ahead of K and F, with D's parity; it is never dropped. Returns its number.

        Its data symbols go at once. Its parity follows with other packets between, where there are
        any, so that a burst does not take all; after `repeats` rounds the receiver has had all of
        it so many times.

        Raises:
            LocalProtocolError: it is longer than `MAX_MESSAGE_BYTES`.
        """
        if len(data) > MAX_MESSAGE_BYTES:
            raise LocalProtocolError(f"a message of {len(data)} bytes is too long")
        number = self._message_no
        self._message_no += 1
        symbols = [
            s
            for block in self._blocks_of(WirePart.MESSAGE, data)
            for s in self._symbols(block, unit_no=number, parts_sent=(False, False))
        ]
        first = [s for s in symbols if s.symbol < s.k]
        later = [s for s in symbols if s.symbol >= s.k] + symbols * (repeats - 1)
        free = (WirePart.KEYFRAME, WirePart.FEATURES)
        at = next((i for i, s in enumerate(self._queue) if s.part in free), len(self._queue))
        self._queue[at:at] = first
        at += len(first)
        for symbol in later:
            at = min(at + _APART, len(self._queue))
            self._queue.insert(at, symbol)
            at += 1
        self.counters.messages += 1
        self._limit_queue(now)
        return number

    def datagrams_to_send(self, now: int) -> list[bytes]:
        """Radio packets that may start now, in order. Empty when the time has not come."""
        self._close_blocks(now, force=False)
        out: list[bytes] = []
        while True:
            if not self._ready and self._queue:
                self._pack(self._queue.pop(0))
            if not self._ready:
                return out
            packet, air = self._ready[0]
            if self._pacer.ready_at(air, now) > now:
                return out
            self._ready.popleft()
            self._pacer.spend(air, now)
            self.counters.air_bytes += air
            out.append(packet)

    def next_timer(self) -> int | None:
        """When to call `datagrams_to_send` again, or None when nothing waits."""
        times = [p.since + self._params.close_after_ns for p in self._open.values() if p.data]
        if self._ready:
            times.append(self._pacer.ready_at(self._ready[0][1], 0))
        elif self._queue:
            times.append(0)
        return min(times, default=None)

    def next_event(self) -> SenderDropped | None:
        """The oldest event not yet taken, or None."""
        return self._events.popleft() if self._events else None

    @property
    def backlog_air_bytes(self) -> int:
        """Air bytes that wait in the queue."""
        waiting = sum(self._air(len(s.payload)) for s in self._queue)
        return waiting + sum(air for _, air in self._ready)

    @property
    def idle(self) -> bool:
        """True when everything that was submitted has left."""
        waiting = any(p.data for p in self._open.values())
        return not (self._queue or self._ready or waiting)

    def _air(self, payload_bytes: int) -> int:
        tag = TAG_BYTES if self._params.tagged else 0
        return self._params.air_bytes(payload_bytes + OVERHEAD_BYTES + tag)

    def _blocks_of(self, part: WirePart, data: bytes) -> list[Block]:
        open_part = _OpenPart(data=bytearray(data))
        capacity = block_capacity(self._params.max_symbol_bytes)
        blocks = []
        while len(open_part.data) > capacity:
            blocks.append(self._take(part, open_part, capacity, last=False))
        blocks.append(self._take(part, open_part, len(open_part.data), last=True))
        return blocks

    def _take(self, part: int, open_part: _OpenPart, size: int, *, last: bool) -> Block:
        data = bytes(open_part.data[:size])
        block = make_block(
            part=part, block_no=open_part.block_no, last=last, offset=open_part.offset, data=data,
            max_symbol_bytes=self._params.max_symbol_bytes, fec_percent=self._params.fec_percent,
        )  # fmt: skip
        self.counters.payload_bytes += size
        del open_part.data[:size]
        open_part.offset += size
        open_part.block_no += 1
        return block

    def _close_blocks(self, now: int, *, force: bool) -> None:
        due = now - self._params.close_after_ns
        blocks = [
            self._take(part, p, len(p.data), last=False)
            for part, p in self._open.items()
            if p.data and (force or p.since <= due)
        ]
        self._enqueue(blocks, now)

    def _enqueue(self, blocks: list[Block], now: int) -> None:
        if not blocks:
            return
        sent = self._parts_sent
        symbols = [
            s
            for block in blocks
            for s in self._symbols(block, unit_no=self._unit_no, parts_sent=sent)
        ]
        # Stable sort: D before K before F where positions tie.
        self._queue += sorted(symbols, key=lambda s: s.position)
        self._limit_queue(now)

    def _symbols(
        self, block: Block, *, unit_no: int, parts_sent: tuple[bool, bool]
    ) -> list[_Symbol]:
        payloads = block.data + block.parity
        count = len(payloads)
        first_at_0 = block.part == WirePart.DESCRIPTORS
        return [
            _Symbol(
                unit_no=unit_no, part=block.part, block_no=block.block_no, last=block.last,
                symbol=i, k=len(block.data), payload=payload,
                position=0.0 if first_at_0 and i == 0 else (i + 0.5) / count,
                parts_sent=parts_sent,
            )
            for i, payload in enumerate(payloads)
        ]  # fmt: skip

    def _limit_queue(self, now: int) -> None:
        """Drop, oldest unit's F parity first, until the backlog is within `queue_ns`."""
        limit = self._params.rate_bps * self._params.queue_ns / 8e9
        over = self.backlog_air_bytes - limit
        if over <= 0:
            return
        droppable = [s for s in self._queue if s.part in (WirePart.KEYFRAME, WirePart.FEATURES)]
        gone: dict[tuple[int, int], int] = {}
        doomed = set()
        for symbol in sorted(droppable, key=lambda s: s.drop_rank, reverse=True):
            if over <= 0:
                break
            over -= self._air(len(symbol.payload))
            doomed.add(id(symbol))
            key = (symbol.unit_no, symbol.part)
            gone[key] = gone.get(key, 0) + 1
        self._queue = [s for s in self._queue if id(s) not in doomed]
        for (unit_no, part), count in sorted(gone.items()):
            self.counters.dropped_symbols += count
            event = SenderDropped(unit_no=unit_no, part=part, symbols=count, now=now)
            self._events.append(event)

    def _pack(self, s: _Symbol) -> None:
        """Number a symbol as it leaves: sequence gaps then mean loss on the air and nothing else."""
        datagram = Datagram(
            part=s.part, last=s.last, k_sent=s.parts_sent[0], f_sent=s.parts_sent[1],
            stream_id=self._stream_id, boot_id=self._boot_id, seq=self._seq, unit_no=s.unit_no,
            block_no=s.block_no, symbol=s.symbol, k=s.k, payload=s.payload,
            from_base=self._from_base,
        )  # fmt: skip
        if self._sealer is not None:
            datagram = self._sealer.seal(datagram)
        packets = self._params.framing.frame(datagram.pack(), self._seq)
        self._seq += 1
        self.counters.datagrams += 1
        for packet in packets:
            self._ready.append(
                (
                    packet,
                    max(len(packet), self._params.packet_least_bytes)
                    + self._params.packet_overhead_bytes,
                )
            )


def _check_rate(params: LinkParams) -> None:
    packet = params.framing.mtu_bytes + params.packet_overhead_bytes
    seconds = params.window_ns / SECOND
    if packet * 8 > params.rate_bps * seconds:
        raise UserError(
            f"{params.rate_bps:g} bit/s is too slow: one packet of {packet} bytes is more than "
            f"{seconds:g} s allow; give at least {packet * 8 / max(seconds, 1e-9):.0f} bit/s"
        )


def unit_air_bytes(params: LinkParams, descriptors: int, keyframe: int, features: int) -> int:
    """Air bytes that a unit with parts of these sizes takes, everything counted."""
    total = 0
    tag = TAG_BYTES if params.tagged else 0
    sizes = ((0, descriptors), (1, keyframe), (2, features))
    for part, size in sizes:
        if size == 0:
            continue
        plan = plan_air_bytes(
            part, size, max_symbol_bytes=params.max_symbol_bytes, fec_percent=params.fec_percent
        )
        for symbols, length in plan:
            total += symbols * params.air_bytes(length + OVERHEAD_BYTES + tag)
    return total
