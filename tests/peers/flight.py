"""Units from a LinkSender, over whatever radio, to a LinkReceiver; and what became of each.

A modem here is a function from the packets sent to what arrived, so that the same units can fly through
a real modem and through the simulated channel, and the outcomes be held against each other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gvc_protocol.codec import CodecSpec, EncodedUnit, PartData
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.events import DatagramRejected, UnitReady
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.sender import LinkSender
from tests.protocol.helpers import descriptors

__all__ = ["Flight", "Modem", "fly", "make_units"]

Modem = Callable[[list[bytes]], list[bytes]]
_SPEC = CodecSpec(codec_id=1, bitstream_version=1)


@dataclass(slots=True, kw_only=True)
class Flight:
    """Outcome of some units on one link. Video = F complete, still = K complete."""

    units: int = 0
    whole: int = 0
    degraded: int = 0
    video: int = 0
    stills: int = 0
    described: int = 0
    packets_sent: int = 0
    packets_arrived: int = 0
    rejected: int = 0
    wrong: int = 0
    "Parts or ranges that differ from what was sent: data believed although it is wrong."
    air_bytes: int = 0
    payload_bytes: int = 0

    @property
    def lost(self) -> int:
        """Units of which nothing came."""
        return self.units - self.whole - self.degraded

    def share(self, count: int) -> float:
        """A count as a share of the units."""
        return count / max(1, self.units)

    def line(self) -> str:
        """For tables and test output."""
        return (
            f"{self.units} units: {self.whole} whole, {self.degraded} degraded, {self.lost} lost; "
            f"D {self.described}, K {self.stills}, F {self.video}; packets {self.packets_arrived}/"
            f"{self.packets_sent}; {self.rejected} rejected, {self.wrong} wrong"
        )


def make_units(count: int, *, keyframe: int, features: int, seed: int = 1) -> list[EncodedUnit]:
    """Units with parts of about these sizes, as an encoder at a steady rate makes them."""
    dice = random.Random(seed)
    out = []
    for number in range(count):
        sizes = [round(s * dice.uniform(0.8, 1.2)) for s in (keyframe, features)]
        d = descriptors(number, codec_id=1)
        out.append(EncodedUnit(
            unit_no=number, spec=_SPEC, descriptors=d,
            keyframe=dice.randbytes(sizes[0]), features=dice.randbytes(sizes[1]),
        ))  # fmt: skip
    return out


def fly(params: LinkParams, units: Sequence[EncodedUnit], modem: Modem) -> Flight:
    """Send all units, each when the one before has left, through the modem; count what came."""
    sender = LinkSender(params, stream_id=1, boot_id=1)
    packets, times, now = [], [], 0
    for unit in units:
        sender.submit(unit, now)
        while (due := sender.next_timer()) is not None:
            now = max(now, due)
            for packet in sender.datagrams_to_send(now):
                packets.append(packet)
                times.append(now)
        now += 1
    arrived = modem(packets)
    receiver = LinkReceiver(params)
    for i, data in enumerate(arrived):
        at = times[min(len(times) - 1, i * len(times) // max(1, len(arrived)))]
        receiver.receive(data, at)
    receiver.close(now + 60 * SECOND)
    flight = Flight(units=len(units), packets_sent=len(packets), packets_arrived=len(arrived))
    flight.air_bytes, flight.payload_bytes = (
        sender.counters.air_bytes, sender.counters.payload_bytes
    )  # fmt: skip
    return _count(flight, receiver, {u.unit_no: u for u in units})


def _count(flight: Flight, receiver: LinkReceiver, sent: dict[int, EncodedUnit]) -> Flight:
    while (event := receiver.next_event()) is not None:
        flight.rejected += isinstance(event, DatagramRejected)
        if not isinstance(event, UnitReady):
            continue
        unit, original = event.unit, sent.get(event.unit.unit_no)
        if original is None or (event.stream_id, event.boot_id) != (1, 1):
            flight.wrong += 1
            continue
        flight.wrong += not _true_d(unit.descriptors, original.descriptors)
        flight.wrong += not _true_part(unit.keyframe, original.keyframe)
        flight.wrong += not _true_part(unit.features, original.features)
        flight.whole += unit.whole
        flight.degraded += not unit.whole
        flight.described += unit.descriptors is not None
        flight.stills += unit.keyframe.complete
        flight.video += unit.features.complete
    return flight


def _true_d(got: Descriptors | None, sent: Descriptors) -> bool:
    return got is None or got == sent


def _true_part(got: PartData, sent: bytes) -> bool:
    fits = all(sent[at : at + len(data)] == data for at, data in got.ranges)
    return fits and (not got.complete or got.whole == sent)
