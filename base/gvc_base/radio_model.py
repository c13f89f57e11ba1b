"""A radio pair as a rehearsal needs it, sans-IO: paced, half duplex, with a short queue and a channel.

    host -> queue (limit, silent drop) -> packets of the radio's size -> air time -> Channel -> host

Byte-stream radios cut what waits in their buffer into packets wherever the bytes happen to end; that is
how one lost radio packet comes to damage two of our datagrams. On a half-duplex link the two sides take
turns while both have something to say, and each turn costs the turn-around time.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from gvc_base.channel import Channel
from gvc_profiles.airtime import airtime_s
from gvc_profiles.model import LinkProfile

__all__ = ["Direction", "ProxyStats", "RadioModel"]

Direction = Literal["to_base", "to_edge"]

_DIRECTIONS: tuple[Direction, ...] = ("to_base", "to_edge")
_GATHER_NS = 5_000_000
"A stream radio sends a part-full packet when its host has been silent this long."
_OVERTAKE_NS = 1_000_000_000
"After this silence nothing overtakes a reordered packet any more: it arrives."


@dataclass(slots=True)
class ProxyStats:
    """What the radio pair did, both directions together."""

    offered_bytes: int = 0
    overflow_bytes: int = 0
    "Dropped because the host wrote faster than the radio sends."
    oversize_bytes: int = 0
    "Dropped because a packet was larger than the radio takes."
    radio_packets: int = 0
    radio_packets_lost: int = 0
    radio_packets_damaged: int = 0
    delivered_bytes: int = 0
    unread_bytes: int = 0
    "Delivered to a port that nobody read for so long that its buffer was full."
    air_s: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Side:
    """One host's radio: what waits in it, and the air from it to the other host."""

    channel: Channel
    queue: deque[bytes] = field(default_factory=deque)
    waiting: int = 0
    last_offer: int = 0
    free_at: int = 0
    "When this direction's last packet ends."


class RadioModel:
    """Both directions of one link. Times are nanoseconds given by the caller, never falling."""

    def __init__(self, profile: LinkProfile, channel: Channel) -> None:
        """`channel` is the air from edge to base; the way back gets one as bad with other dice."""
        self._profile = profile
        self._sides: dict[Direction, _Side] = {
            "to_base": _Side(channel),
            "to_edge": _Side(channel.opposite()),
        }
        self._last_talker: Direction | None = None
        self._in_flight: list[tuple[int, int, Direction, bytes]] = []
        self._order = 0
        self.stats = ProxyStats()

    def change_rate(self, nominal_bps: float) -> None:
        """From now on the air carries so much: a link that gets worse or better."""
        if nominal_bps == self._profile.rate.nominal_bps:
            return
        rate = replace(self._profile.rate, nominal_bps=nominal_bps)
        self._profile = replace(self._profile, rate=rate)

    def waiting_bytes(self, direction: Direction) -> int:
        """What waits in that host's radio."""
        return self._sides[direction].waiting

    def offer(self, data: bytes, now: int, direction: Direction) -> None:
        """A host hands bytes to its radio; over the queue's limit they vanish without a word."""
        self.advance(now)
        self.stats.offered_bytes += len(data)
        side, stream = self._sides[direction], self._profile.stream
        if not stream and len(data) > self._profile.radio_packet_bytes:
            self.stats.oversize_bytes += len(data)
            return
        room = self._profile.queue_bytes - side.waiting
        if not stream and len(data) > room:
            room = 0  # a packet fits whole or not at all
        kept = data[:room]
        self.stats.overflow_bytes += len(data) - len(kept)
        if kept:
            side.queue.append(kept)
            side.waiting += len(kept)
            side.last_offer = now

    def deliver(self, now: int) -> list[tuple[Direction, bytes]]:
        """What has reached the far hosts by `now`, in order of arrival."""
        self.advance(now)
        out = []
        while self._in_flight and self._in_flight[0][0] <= now:
            _, _, direction, data = heapq.heappop(self._in_flight)
            self.stats.delivered_bytes += len(data)
            out.append((direction, data))
        return out

    def next_timer(self) -> int | None:
        """When `deliver` has something to do, or None."""
        times = [event[0] for event in (self._next_packet(), self._next_flush()) if event]
        if self._in_flight:
            times.append(self._in_flight[0][0])
        return min(times, default=None)

    def advance(self, now: int) -> None:
        """Send every packet whose turn came by `now`, each at its own time."""
        while True:
            packet, flush = self._next_packet(), self._next_flush()
            if flush and flush[0] <= now and (packet is None or flush[0] <= packet[0]):
                at, direction = flush
                self._arrive(self._sides[direction].channel.flush(), at, direction)
            elif packet and packet[0] <= now:
                self._transmit(*packet)
            else:
                return

    def _next_packet(self) -> tuple[int, Direction] | None:
        """The next packet's start and direction, as far as is known now."""
        asks = {d: t for d in _DIRECTIONS if (t := self._asks_at(d)) is not None}
        starts = {d: max(t, self._air_free_at(d)) for d, t in asks.items()}
        if len(starts) == 2 and self._profile.duplex == "half" and self._last_talker is not None:
            # The one that did not talk last goes first when it asked in time: both get their turn.
            other: Direction = "to_edge" if self._last_talker == "to_base" else "to_base"
            if asks[other] <= starts[self._last_talker]:
                return starts[other], other
        return min(((t, d) for d, t in starts.items()), default=None)

    def _asks_at(self, direction: Direction) -> int | None:
        """When this host's radio has a packet to send; None while its queue is empty."""
        side = self._sides[direction]
        if not side.waiting:
            return None
        full = side.waiting >= self._profile.radio_packet_bytes
        return side.last_offer + (_GATHER_NS if self._profile.stream and not full else 0)

    def _air_free_at(self, direction: Direction) -> int:
        if self._profile.duplex == "full":
            return self._sides[direction].free_at
        free_at = max(side.free_at for side in self._sides.values())
        turn = self._last_talker not in (None, direction)
        return free_at + (int(self._profile.turnaround_ms * 1e6) if turn else 0)

    def _next_flush(self) -> tuple[int, Direction] | None:
        held = [(s.free_at + _OVERTAKE_NS, d) for d, s in self._sides.items() if s.channel.holding]
        return min(held, default=None)

    def _transmit(self, now: int, direction: Direction) -> None:
        side = self._sides[direction]
        packet = self._take(side)
        air_ns = round(airtime_s(self._profile, len(packet)) * 1e9)
        side.free_at = now + air_ns
        self._last_talker = direction
        self.stats.air_s += air_ns / 1e9
        arrived = side.channel.pass_datagram(packet)
        totals = [s.channel.stats for s in self._sides.values()]
        self.stats.radio_packets = sum(t.sent for t in totals)
        self.stats.radio_packets_lost = sum(t.lost for t in totals)
        self.stats.radio_packets_damaged = sum(t.damaged for t in totals)
        latency_ns = int(self._profile.latency.p50_ms * 1e6)
        self._arrive(arrived, now + max(air_ns, latency_ns), direction)

    def _arrive(self, packets: list[bytes], at: int, direction: Direction) -> None:
        for data in packets:
            self._order += 1
            heapq.heappush(self._in_flight, (at, self._order, direction, data))

    def _take(self, side: _Side) -> bytes:
        """The radio's next packet: one of the host's, or as much of its stream as fits."""
        if not self._profile.stream:
            packet = side.queue.popleft()
        else:
            limit, gathered = self._profile.radio_packet_bytes, bytearray()
            while side.queue and len(gathered) < limit:
                chunk = side.queue.popleft()
                room = limit - len(gathered)
                gathered += chunk[:room]
                if len(chunk) > room:
                    side.queue.appendleft(chunk[room:])
            packet = bytes(gathered)
        side.waiting -= len(packet)
        return packet
