"""What is fuzzed: each target takes any bytes and must neither raise nor break its law.

A law is checked where one is known: what was read can be written and reads back the same, a byte
stream gives the same items whole or in pieces, memory stays bounded.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from gvc_base.mission import Mission
from gvc_protocol.classical import FeaturesPart, KeyframePart
from gvc_protocol.codec import PartData
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.errors import UserError
from gvc_protocol.framing import Deframer, Framing
from gvc_protocol.gvc1 import Patch, decodable, read_unit
from gvc_protocol.motion_path import unpack_motion_path
from gvc_protocol.objects import unpack_tracks
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.pcap import read_records
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.vvc_sets import unpack_sets
from gvc_protocol.wire import Datagram
from tests.fuzz.mutate import fix_crcs
from tests.fuzz.targets_radio import RADIO_TARGETS

__all__ = ["Target", "all_targets"]

Take = Callable[[bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One parser. `kind` names its seeds; `weight` its share of the inputs (slow ones get less)."""

    name: str
    kind: str
    take: Take
    weight: float = 1.0
    above_crc: bool = False
    "True: every datagram in the input gets a right CRC first."

    def run(self, data: bytes) -> None:
        """Feed one input. Raises only when the parser is wrong."""
        self.take(fix_crcs(data) if self.above_crc else data)


def _datagram(data: bytes) -> None:
    read = Datagram.unpack(data)
    if isinstance(read, Datagram) and not (data[2] & 0x0E):
        assert read.pack() == data, "a datagram does not write as it reads"


def _deframe(framing: Framing, data: bytes) -> None:
    whole, pieces = Deframer(framing), Deframer(framing)
    items = whole.feed(data) + whole.flush()
    if not framing.stream:
        return
    step = 1 + data[0] % 97 if data else 1
    split = [item for i in range(0, len(data), step) for item in pieces.feed(data[i : i + step])]
    assert split + pieces.flush() == items, "a stream in pieces reads otherwise"
    assert not whole.pending and not pieces.pending


def _segments(data: bytes) -> None:
    deframer = Deframer(Framing(mtu_bytes=14))
    for packet in _packets(data):
        deframer.feed(packet)


def _packets(data: bytes) -> Iterator[bytes]:
    """Length-prefixed packets, so that one input is a whole conversation."""
    at = 0
    while at < len(data):
        size = data[at]
        yield data[at + 1 : at + 1 + size]
        at += 1 + size


class _Listening:
    """One receiver, or one mission above it, that lives through all inputs: growth would show."""

    def __init__(self, params: LinkParams) -> None:
        self._params, self._now, self._inputs = params, 0, 0
        self._receiver, self._mission = LinkReceiver(params), Mission(params)

    def receiver(self, data: bytes) -> None:
        self._now += 1 + (data[-1] if data else 0) * SECOND // 40
        self._receiver.receive(data, self._now)
        while self._receiver.next_event() is not None:
            pass

    def mission(self, data: bytes) -> None:
        # A mission keeps its log of refused units, a few bytes each, so it is renewed at times.
        self._inputs += 1
        if self._inputs % 2000 == 0:
            self._mission = Mission(self._params)
        self._now += 1 + (data[-1] if data else 0) * SECOND // 40
        self._mission.receive(data, self._now)


def _descriptors(data: bytes) -> None:
    read = Descriptors.unpack(data)
    if read is not None:
        assert Descriptors.unpack(read.pack()) == read, "descriptors do not read as they write"


def _records(data: bytes) -> None:
    unpack_tracks(data)
    unpack_motion_path(data, 1280, 720)


def _classical(data: bytes) -> None:
    KeyframePart.unpack(data)
    read = FeaturesPart.unpack(data)
    if read is not None:
        assert len(read.offsets) == len(read.frames)


def _gvc1(data: bytes) -> None:
    size = int.from_bytes(data[:2], "big")
    k, f = data[2 : 2 + size], data[2 + size :]
    # A gap in F, placed by the input itself: the reader must place what came around it.
    cut = len(f) // 2
    features = PartData(
        ranges=tuple((a, b) for a, b in ((0, f[:cut]), (cut + 3, f[cut + 3 :])) if b)
    )
    read = read_unit(PartData(ranges=((0, k),)), features)
    if read is not None:
        decodable(read)
    Patch.unpack(data)
    unpack_sets(data)


def _pcap(data: bytes) -> None:
    with suppress(UserError):
        for _ in read_records(io.BytesIO(data), name="fuzz.pcap"):
            pass


def _link(mtu: int, *, stream: bool = False, rs: bool = False) -> LinkParams:
    framing = Framing(mtu_bytes=mtu, stream=stream, inner_rs=rs)
    return LinkParams(framing=framing, rate_bps=25_600, fec_percent=40)


def all_targets() -> list[Target]:
    """Every target, with state of its own where it keeps any."""
    stream, packet = Framing(mtu_bytes=250, stream=True), Framing(mtu_bytes=250)
    rs = Framing(mtu_bytes=118, stream=True, inner_rs=True)
    below, above = _Listening(_link(250, stream=True)), _Listening(_link(250, stream=True))
    made = partial(Target, above_crc=True)
    return [
        Target(name="datagram", kind="datagram", take=_datagram),
        made(name="datagram+crc", kind="datagram", take=_datagram, weight=2),
        Target(name="deframer-stream", kind="stream", take=partial(_deframe, stream), weight=0.3),
        made(name="deframer-stream+crc", kind="stream", take=partial(_deframe, stream), weight=0.3),
        made(name="deframer-packet+crc", kind="stream", take=partial(_deframe, packet), weight=0.3),
        # Reed-Solomon in Python is slow: few inputs, each of several frames.
        Target(name="deframer-rs", kind="rs", take=partial(_deframe, rs), weight=0.004),
        Target(name="segments", kind="segments", take=_segments, weight=0.5),
        Target(name="receiver", kind="stream", take=below.receiver, weight=0.3),
        made(name="receiver+crc", kind="stream", take=above.receiver, weight=0.5),
        made(name="mission+crc", kind="stream", take=above.mission, weight=0.3),
        Target(name="descriptors", kind="descriptors", take=_descriptors, weight=1.5),
        Target(name="tracks-path", kind="records", take=_records),
        Target(name="classical", kind="classical", take=_classical),
        Target(name="gvc1", kind="gvc1", take=_gvc1, weight=1.5),
        Target(name="pcap", kind="pcap", take=_pcap, weight=0.5),
        *(
            # pymavlink and protobuf are slow beside our own parsers.
            Target(name=name, kind=kind, take=take, weight=0.1 if name == "mavlink" else 1.0)
            for name, kind, take in RADIO_TARGETS
        ),
    ]
