"""A radio pair as a rehearsal needs it, sans-IO: paced, half duplex, with a short queue and a channel.

    host bytes -> queue (limit, silent drop) -> packets of the radio's size -> air time -> Channel -> far host

Byte-stream radios cut what waits in their buffer into packets wherever the bytes happen to end; that is
how one lost radio packet comes to damage two of our datagrams.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Literal

from gvc_profiles.airtime import airtime_s
from gvc_profiles.model import LinkProfile

from gvc_base.channel import Channel

__all__ = ["Direction", "ProxyStats", "RadioModel"]

Direction = Literal["to_base", "to_edge"]

_GATHER_NS = 5_000_000
"A stream radio sends a part-full packet when its host has been silent this long."


@dataclass(slots=True)
class ProxyStats:
    """What the radio pair did, both directions together."""

    offered_bytes: int = 0
    overflow_bytes: int = 0
    "Dropped because the host wrote faster than the radio sends."
    radio_packets: int = 0
    radio_packets_lost: int = 0
    delivered_bytes: int = 0
    air_s: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Side:
    queue: deque[bytes] = field(default_factory=deque)
    waiting: int = 0
    last_offer: int = 0


class RadioModel:
    """Both directions of one link. Times are nanoseconds given by the caller."""

    def __init__(self, profile: LinkProfile, channel: Channel) -> None:
        self._profile = profile
        self._channel = channel
        self._sides: dict[Direction, _Side] = {"to_base": _Side(), "to_edge": _Side()}
        self._free_at = {"to_base": 0, "to_edge": 0}
        self._last_talker: Direction | None = None
        self._in_flight: list[tuple[int, int, Direction, bytes]] = []
        self._order = 0
        self.stats = ProxyStats()

    def offer(self, data: bytes, now: int, direction: Direction) -> None:
        """A host hands bytes to its radio; over the queue's limit they vanish."""
        self.stats.offered_bytes += len(data)
        self.advance(now)
        side = self._sides[direction]
        room = self._profile.queue_bytes - side.waiting
        if self._profile.stream:
            kept = data[: max(0, room)]
        else:
            kept = data if len(data) <= room else b""
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
        times = [t for d in self._sides if (t := self._ready_at(d)) is not None]
        if self._in_flight:
            times.append(self._in_flight[0][0])
        return min(times, default=None)

    def advance(self, now: int) -> None:
        """Send every packet whose turn came by `now`, each at its own time."""
        while True:
            ready = [(t, d) for d in self._sides if (t := self._ready_at(d)) is not None]
            if not ready or min(ready)[0] > now:
                return
            self._transmit(*min(ready))

    def _ready_at(self, direction: Direction) -> int | None:
        side = self._sides[direction]
        if not side.waiting:
            return None
        at = self._free_at[direction]
        if self._profile.duplex == "half":
            at = max(self._free_at.values())
            if self._last_talker not in (None, direction):
                at += int(self._profile.turnaround_ms * 1e6)
        full = side.waiting >= self._profile.radio_packet_bytes
        gather = self._profile.stream and not full
        return max(at, side.last_offer + (_GATHER_NS if gather else 0))

    def _transmit(self, now: int, direction: Direction) -> None:
        packet = self._take(self._sides[direction])
        air_ns = int(airtime_s(self._profile, len(packet)) * 1e9)
        self._free_at[direction] = now + air_ns
        self._last_talker = direction
        self.stats.radio_packets += 1
        self.stats.air_s += air_ns / 1e9
        arrived = self._channel.pass_datagram(packet)
        self.stats.radio_packets_lost = self._channel.stats.lost
        at = now + max(air_ns, int(self._profile.latency.p50_ms * 1e6))
        for data in arrived:
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
