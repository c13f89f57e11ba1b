"""Sans-IO sender: parts in, paced datagrams out.

    submit(unit, now)            all parts of a closed unit, or
    send_message(data, now)      a message, ahead of K and F
    open_unit / write(...)       parts as they grow; blocks close when full, ended or waited too long
    datagrams_to_send(now)       radio packets whose time has come; call it again at next_timer()
    next_timer()                 when something will be due, or None
    next_event()                 SenderDropped: what an over-full queue cost; AirtimeExhausted: the
                                 law's duty cycle holds the next packet back

    set_link / listen_each       new rate, redundancy, interleave; windows in which the base may talk
    hear_over                    the base has said all: the window ends before its time

The order on the air interleaves a unit's blocks, so that a burst of losses is shared between them; with
`interleave`, K and F are spread over the air time of later units, too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from gvc_protocol.air_bytes import check_rate, is_joined, joined_k
from gvc_protocol.auth import LinkKey, Sealer
from gvc_protocol.blocks import Block, block_capacity, make_block
from gvc_protocol.codec import EncodedUnit
from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.events import SenderDropped
from gvc_protocol.joined import joined
from gvc_protocol.ledger import AirtimeExhausted, AirtimeLedger
from gvc_protocol.message_session import MAX_MESSAGE_BYTES
from gvc_protocol.order import MAX_INTERLEAVE, Later, ListenWindows, Symbol
from gvc_protocol.pacing import Pacer
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.send_queue import SendQueue
from gvc_protocol.wire import OVERHEAD_BYTES, TAG_BYTES, Datagram, WirePart

__all__ = ["LinkSender", "SenderCounters"]


_SENT_KEPT = 4096


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
    first_sent_ns: int | None = None
    on_air_until_ns: int = 0
    "When the last packet has left, at the link's rate."

    @property
    def sending_ns(self) -> int:
        """From the first packet's start to the last one's end."""
        return 0 if self.first_sent_ns is None else self.on_air_until_ns - self.first_sent_ns


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
        key: LinkKey | None = None, ledger: AirtimeLedger | None = None,
    ) -> None:  # fmt: skip
        check_rate(params)
        if ledger is not None:
            ledger.check(params.framing.mtu_bytes)
        self._ledger, self._held = ledger, False
        if params.tagged is (key is None):
            raise LocalProtocolError("a key and `tagged` belong together")
        self._sealer = None if key is None else Sealer(key, encrypt=params.encrypted)
        self._from_base = from_base
        self._params = params
        self._stream_id, self._boot_id = stream_id, boot_id
        self._pacer = Pacer(params.rate_bps, params.window_ns)
        self._queue = SendQueue(self._air)
        self._open: dict[int, _OpenPart] = {}
        self._ended: set[int] = set()
        self._unit_no = -1
        self._parts_sent = (False, False)
        self._message_no = 0
        self._seq = 0
        self._ready: deque[tuple[bytes, int, int | None]] = deque()
        self._later = Later()
        self._interleave = 0
        self._windows = ListenWindows()
        self._say_over = False
        self._sent: deque[tuple[int, int]] = deque(maxlen=_SENT_KEPT)
        self._sending = 0
        self._events: deque[SenderDropped | AirtimeExhausted] = deque()
        self.counters = SenderCounters()

    def set_link(
        self, *, rate_bps: float, fec_percent: float, interleave: int = 0, pace_bps: float = 0,
        eager: bool = False,
    ) -> None:  # fmt: skip
        """Go on with another rate and, from the next block on, other redundancy and interleave.

        Args:
            pace_bps: spacing of the packets where it is not the rate; the window's limit stays.
            eager: reports are worth more silence than usual; half duplex only.
        """
        self._pacer.set_rate(pace_bps or rate_bps)
        if (rate_bps, fec_percent) != (self._params.rate_bps, self._params.fec_percent):
            self._params = replace(self._params, rate_bps=rate_bps, fec_percent=fec_percent)
        self._interleave = min(interleave, MAX_INTERLEAVE)
        self._windows.eager = eager

    def listen_each(self, every_ns: int, listen_ns: int) -> None:
        """Half duplex: after each `every_ns` of sending be silent so long; 0 ends it."""
        self._windows = ListenWindows(every_ns=every_ns, listen_ns=listen_ns)

    def hear(self, now: int) -> None:
        """Something came from the other side: in a window it gets all the time there is."""
        self._windows.heard(now)

    def hear_over(self, now: int) -> None:
        """The other side has said OVER in our window: we may go on."""
        self._windows.given_back(now)

    def end_turn(self) -> None:
        """Say OVER on the last datagram that waits now: the other side need not listen longer."""
        self._say_over = True

    def take_sent(self) -> list[tuple[int, int]]:
        """(sequence number, air bytes) of the datagrams that left since the last call."""
        sent = list(self._sent)
        self._sent.clear()
        return sent

    def submit(self, unit: EncodedUnit, now: int) -> None:
        """Queue a closed unit. Units come in rising order."""
        depth = 0 if unit.descriptors.end_of_stream else self._interleave
        d = replace(unit.descriptors, interleave=depth)
        k, f = unit.keyframe, unit.features
        one = is_joined(self._params, len(d.pack()), len(k), len(f))
        if one:
            d, k, f = joined(d, k, f), b"", b""
        self.open_unit(unit.unit_no, keyframe=bool(k), features=bool(f), now=now)
        self._ended = {0, 1, 2}
        blocks = self._blocks_of(WirePart.DESCRIPTORS, d.pack(), joined=one)
        if k:
            blocks += self._blocks_of(WirePart.KEYFRAME, k)
        if f:
            blocks += self._blocks_of(WirePart.FEATURES, f)
        if d.end_of_stream:
            self._queue.add(self._later.take(None))
        unit_ns = int(d.frames * SECOND / d.fps)
        self._enqueue(blocks, now, depth=depth, unit_ns=unit_ns)

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

    def send_message(
        self, data: bytes, now: int, *, repeats: int = 1, patient: bool = False
    ) -> int:
        """Queue a message ahead of K and F, with D's parity; it is never dropped. Returns its number.

        Its data symbols go at once. Its parity follows with other packets between, where there are
        any, so that a burst does not take all; after `repeats` rounds the receiver has had all of
        it so many times. A `patient` one takes every fourth packet only, once.

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
        if patient:
            self._queue.add_patient(symbols)
        else:
            self._queue.add_message(symbols, repeats)
        self.counters.messages += 1
        self._limit_queue(now)
        return number

    def datagrams_to_send(self, now: int) -> list[bytes]:
        """Radio packets that may start now, in order. Empty when the time has not come."""
        self._close_blocks(now, force=False)
        self._queue.add(self._later.take(now))
        out: list[bytes] = []
        while True:
            if now < self._windows.until:
                return out
            if not self._ready and self._queue:
                self._pack(self._queue.pop(), over=self._is_over(now))
            if not self._ready:
                return out
            packet, air, seq = self._ready[0]
            at = max(self._pacer.ready_at(air, now), self._windows.turn_at(seq, self._air_ns(air)))
            if self._is_held(len(packet), at, now) or at > now:
                return out
            self._ready.popleft()
            self._pacer.spend(air, now)
            if self._ledger is not None:
                self._ledger.spend(len(packet), now)
            self._count_sent(air, now)
            self._sending += air
            if seq is not None:
                self._sent.append((seq, self._sending))
                self._sending = 0
                self._windows.sent(now, self._air_ns(air))
            out.append(packet)

    def _count_sent(self, air: int, now: int) -> None:
        counters = self.counters
        counters.air_bytes += air
        if counters.first_sent_ns is None:
            counters.first_sent_ns = now
        counters.on_air_until_ns = max(now, counters.on_air_until_ns) + self._air_ns(air)

    def _air_ns(self, air: int) -> int:
        return int(air * 8 * SECOND / self._params.rate_bps)

    def next_timer(self) -> int | None:
        """When to call `datagrams_to_send` again, or None when nothing waits."""
        times = [p.since + self._params.close_after_ns for p in self._open.values() if p.data]
        if self._ready:
            packet, air, seq = self._ready[0]
            turn = self._windows.turn_at(seq, self._air_ns(air))
            at = max(self._windows.until, turn, self._pacer.ready_at(air, 0))
            times.append(at if self._ledger is None else self._ledger.ready_at(len(packet), at))
        elif self._queue:
            times.append(self._windows.until)
        if (due := self._later.next_timer()) is not None:
            times.append(due)
        return min(times, default=None)

    def next_event(self) -> SenderDropped | AirtimeExhausted | None:
        """The oldest event not yet taken, or None."""
        return self._events.popleft() if self._events else None

    def _is_over(self, now: int) -> bool:
        """Whether the datagram that was just taken from the queue is the last before we listen."""
        if self._say_over and not self._queue:
            self._say_over = False
            return True
        return self._windows.is_due(now, last=not self._queue)

    def _is_held(self, packet_bytes: int, at: int, now: int) -> bool:
        """Whether the law's air time is used up at that time; said once until packets go again."""
        if self._ledger is None:
            return False
        until = self._ledger.ready_at(packet_bytes, at)
        if until > at and not self._held:
            event = AirtimeExhausted(limit=self._ledger.limit, until=until, now=now)
            self._events.append(event)
        self._held = until > at
        return self._held

    @property
    def backlog_air_bytes(self) -> int:
        """Air bytes that wait in the queue."""
        return self._queue.air_bytes + self._ready_bytes

    @property
    def _ready_bytes(self) -> int:
        return sum(air for _, air, _ in self._ready)

    @property
    def idle(self) -> bool:
        """True when everything that was submitted has left."""
        waiting = any(p.data for p in self._open.values())
        return not (self._queue or self._ready or self._later or waiting)

    def _air(self, payload_bytes: int) -> int:
        tag = TAG_BYTES if self._params.tagged else 0
        return self._params.air_bytes(payload_bytes + OVERHEAD_BYTES + tag)

    def _blocks_of(self, part: WirePart, data: bytes, *, joined: bool = False) -> list[Block]:
        open_part = _OpenPart(data=bytearray(data))
        capacity = block_capacity(self._params.max_symbol_bytes)
        blocks = []
        while len(open_part.data) > capacity:
            blocks.append(self._take(part, open_part, capacity, last=False))
        size = len(open_part.data)
        blocks.append(self._take(part, open_part, size, last=True, joined=joined))
        return blocks

    def _take(
        self, part: int, open_part: _OpenPart, size: int, *, last: bool, joined: bool = False
    ) -> Block:
        data = bytes(open_part.data[:size])
        block = make_block(
            part=part, block_no=open_part.block_no, last=last, offset=open_part.offset, data=data,
            max_symbol_bytes=self._params.max_symbol_bytes, fec_percent=self._params.fec_percent,
            joined=joined, least_k=joined_k(self._params, size) if joined else 1,
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

    def _enqueue(self, blocks: list[Block], now: int, *, depth: int = 0, unit_ns: int = 0) -> None:
        if not blocks:
            return
        sent = self._parts_sent
        symbols = [
            s
            for block in blocks
            for s in self._symbols(block, unit_no=self._unit_no, parts_sent=sent)
        ]
        # Of earlier units, what was kept for this one's time on the air.
        symbols += self._later.take(now + unit_ns // 2)
        if depth:
            symbols = self._later.spread(symbols, self._unit_no, depth, now, unit_ns)
        # Stable sort: D before K before F where positions tie.
        self._queue.add(sorted(symbols, key=lambda s: s.position))
        self._limit_queue(now)

    def _symbols(
        self, block: Block, *, unit_no: int, parts_sent: tuple[bool, bool]
    ) -> list[Symbol]:
        payloads = block.data + block.parity
        count = len(payloads)
        first_at_0 = block.part == WirePart.DESCRIPTORS
        return [
            Symbol(
                unit_no=unit_no, part=block.part, block_no=block.block_no, last=block.last,
                symbol=i, k=len(block.data), payload=payload,
                position=0.0 if first_at_0 and i == 0 else (i + 0.5) / count,
                parts_sent=parts_sent, joined=block.joined,
            )
            for i, payload in enumerate(payloads)
        ]  # fmt: skip

    def _limit_queue(self, now: int) -> None:
        """Drop, oldest unit's F parity first, until the backlog is within `queue_ns`."""
        limit = self._params.rate_bps * self._params.queue_ns / 8e9
        gone = self._queue.drop_over(limit, self._ready_bytes)
        for (unit_no, part), count in sorted(gone.items()):
            self.counters.dropped_symbols += count
            event = SenderDropped(unit_no=unit_no, part=part, symbols=count, now=now)
            self._events.append(event)

    def _pack(self, s: Symbol, *, over: bool) -> None:
        """Number a symbol as it leaves: sequence gaps then mean loss on the air and nothing else."""
        datagram = Datagram(
            part=s.part, last=s.last, k_sent=s.parts_sent[0], f_sent=s.parts_sent[1],
            stream_id=self._stream_id, boot_id=self._boot_id, seq=self._seq, unit_no=s.unit_no,
            block_no=s.block_no, symbol=s.symbol, k=s.k, payload=s.payload,
            from_base=self._from_base, over=over,
        )  # fmt: skip
        if self._sealer is not None:
            datagram = self._sealer.seal(datagram)
        packets = self._params.framing.frame(datagram.pack(), self._seq)
        if over:
            self._windows.asked(self._seq)
        for left, packet in enumerate(packets, 1 - len(packets)):
            least = max(len(packet), self._params.packet_least_bytes)
            air = least + self._params.packet_overhead_bytes
            self._ready.append((packet, air, self._seq if left == 0 else None))
        self._seq += 1
        self.counters.datagrams += 1
