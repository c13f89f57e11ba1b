"""What the protocol tests share: strategies, a link in three calls, and what must hold of its output."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from random import Random

from hypothesis import strategies as st

from gvc_protocol.blocks import make_block
from gvc_protocol.codec import CodecSpec, EncodedUnit, PartData, ReceivedUnit
from gvc_protocol.descriptors import Descriptors, Detection, GlobalMotion, Telemetry, Thermal
from gvc_protocol.events import ReceiverEvent, UnitReady
from gvc_protocol.framing import Framing
from gvc_protocol.motion_path import ControlPoint, MotionPath
from gvc_protocol.objects import Track, TrackPoint
from gvc_protocol.params import LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.sender import LinkSender
from gvc_protocol.truth import TruthMap
from gvc_protocol.wire import Datagram, WirePart

Timed = tuple[int, bytes]
SPEC = CodecSpec(codec_id=0, bitstream_version=1)


def link(mtu: int = 250, *, rate_bps: float = 25_600, fec: float = 40, **more: int) -> LinkParams:
    """Link parameters of a plain packet radio."""
    return LinkParams(
        framing=Framing(mtu_bytes=mtu), rate_bps=rate_bps, fec_percent=fec,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def descriptors(unit_no: int = 0, **more: object) -> Descriptors:
    """Plain descriptors of a unit of 50 frames."""
    fields: dict[str, object] = {
        "codec_id": 0, "bitstream_version": 1, "capture_us": 1_750_000_000_000_000 + unit_no,
        "width": 1280, "height": 720, "fps": Fraction(25), "first_frame": 50 * unit_no,
        "frames": 50,
    }  # fmt: skip
    return Descriptors(**{**fields, **more})  # type: ignore[arg-type]


def unit(unit_no: int, keyframe: bytes = b"", features: bytes = b"") -> EncodedUnit:
    return EncodedUnit(
        unit_no=unit_no, spec=SPEC, descriptors=descriptors(unit_no),
        keyframe=keyframe, features=features,
    )  # fmt: skip


def symbols(
    part: WirePart, data: bytes, *, unit_no: int, seq: int = 0, s_max: int = 40, fec: float = 0,
    block_no: int = 0, offset: int = 0, last: bool = True, sent: tuple[bool, bool] = (False, False),
) -> list[Datagram]:  # fmt: skip
    """Datagrams of one block; numbers run on from `seq`."""
    block = make_block(
        part=part, block_no=block_no, last=last, offset=offset, data=data,
        max_symbol_bytes=s_max, fec_percent=fec,
    )  # fmt: skip
    return [
        Datagram(
            part=part, last=last, k_sent=sent[0], f_sent=sent[1], stream_id=1, boot_id=1,
            seq=seq + i, unit_no=unit_no, block_no=block_no, symbol=i, k=len(block.data),
            payload=payload,
        )
        for i, payload in enumerate(block.data + block.parity)
    ]  # fmt: skip


def small_unit(unit_no: int, seq: int) -> bytes:
    """A whole unit in one datagram: D alone."""
    data = descriptors(unit_no).pack()
    return symbols(WirePart.DESCRIPTORS, data, unit_no=unit_no, seq=seq, s_max=200)[0].pack()


def drain(sender: LinkSender, now: int = 0, until: int | None = None) -> list[Timed]:
    """Call the sender at its own timers until it is idle; fails when a call makes no progress."""
    out: list[Timed] = []
    while (due := sender.next_timer()) is not None and (until is None or due <= until):
        now = max(now, due)
        packets = sender.datagrams_to_send(now)
        after = sender.next_timer()
        assert packets or after is None or after > now, "a timer that leads nowhere"
        out += [(now, packet) for packet in packets]
    return out


def events(receiver: LinkReceiver) -> list[ReceiverEvent]:
    out = []
    while (event := receiver.next_event()) is not None:
        out.append(event)
    return out


def receive(params: LinkParams, packets: Iterable[Timed]) -> list[ReceiverEvent]:
    """Everything that a fresh receiver says of these packets, closed 60 s after the last."""
    receiver, now = LinkReceiver(params), 0
    for now, packet in packets:
        receiver.receive(packet, now)
    receiver.close(now + 60_000_000_000)
    return events(receiver)


def units(of: Iterable[ReceiverEvent]) -> list[ReceivedUnit]:
    return [event.unit for event in of if isinstance(event, UnitReady)]


def check_true(got: PartData, sent: bytes) -> None:
    """Every range is what was sent, at its place, in order; complete means identical."""
    end = -1
    for at, data in got.ranges:
        assert at > end and data, "ranges touch, overlap or are empty"
        assert sent[at : at + len(data)] == data
        end = at + len(data)
    if got.complete:
        assert got.whole == sent


def check_units(got: list[ReceivedUnit], sent: list[EncodedUnit]) -> None:
    """Units rise strictly and hold nothing but what was sent."""
    by_number = {u.unit_no: u for u in sent}
    numbers = [u.unit_no for u in got]
    assert numbers == sorted(set(numbers))
    for u in got:
        original = by_number[u.unit_no]
        assert u.descriptors in (None, original.descriptors)
        check_true(u.keyframe, original.keyframe)
        check_true(u.features, original.features)
        if u.whole:
            assert (u.keyframe.whole or b"") == original.keyframe
            assert (u.features.whole or b"") == original.features


def repair_crc(raw: bytes) -> bytes:
    """The same bytes with the CRC that belongs to them."""
    return raw[:-4] + zlib.crc32(raw[2:-4]).to_bytes(4, "big")


byte = st.integers(0, 255)
u16 = st.integers(0, 0xFFFF)
i16 = st.integers(-0x8000, 0x7FFF)
i32 = st.integers(-(1 << 31), (1 << 31) - 1)
u63 = st.integers(0, (1 << 63) - 1)


def spread(top: int) -> st.SearchStrategy[int]:
    """0..top: small numbers, and numbers of all sizes alike, which `integers` alone rarely draws."""
    seeds = st.integers(0, 1 << 30)
    return st.integers(0, min(top, 60)) | seeds.map(lambda s: Random(s).randrange(top + 1))


def datagrams(max_payload: int = 300) -> st.SearchStrategy[Datagram]:
    """Datagrams over all fields, as the wire gives them back."""
    return st.builds(
        Datagram,
        part=st.integers(0, 3), last=st.booleans(), k_sent=st.booleans(), f_sent=st.booleans(),
        stream_id=u16, boot_id=u16, seq=st.integers(0, 0xFFFFFF), unit_no=u16, block_no=byte,
        symbol=byte, k=st.integers(1, 256), payload=st.binary(min_size=1, max_size=max_payload),
        tag=st.just(b"") | st.binary(min_size=8, max_size=8), encrypted=st.booleans(),
        from_base=st.booleans(), over=st.booleans(),
    ).map(lambda d: replace(d, encrypted=d.encrypted and bool(d.tag)))  # fmt: skip


detections = st.builds(
    Detection, class_id=byte, score_pct=byte, x=u16, y=u16, width=u16, height=u16
)
telemetries = st.builds(
    Telemetry, lat_e7=i32, lon_e7=i32, alt_cm=i32, roll_cdeg=i16, pitch_cdeg=i16, yaw_cdeg=i16
)
motions = st.builds(GlobalMotion, coefficients=st.lists(i16, min_size=8, max_size=8).map(tuple))


def rising(most: int, top: int = 60_000, least: int = 0) -> st.SearchStrategy[list[int]]:
    """1..most different numbers in order."""
    return st.lists(
        st.integers(least, top), min_size=1, max_size=most, unique=True
    ).map(sorted)  # fmt: skip


@st.composite
def tracks(draw: st.DrawFn, max_points: int = 32) -> Track:
    """A track over all fields, smooth or wild."""
    offsets = draw(rising(max_points))
    boxes = draw(
        st.lists(st.tuples(u16, u16, u16, u16), min_size=len(offsets), max_size=len(offsets))
    )
    points = tuple(
        TrackPoint(offset=at, x=x, y=y, width=w, height=h)
        for at, (x, y, w, h) in zip(offsets, boxes, strict=True)
    )
    return Track(track_id=draw(u16), class_id=draw(byte), score_pct=draw(st.integers(0, 100)),
                 points=points)  # fmt: skip


@st.composite
def motion_paths(draw: st.DrawFn, max_points: int = 64, reach: int = 64) -> MotionPath:
    """A path of arbitrary corners; 64 eighths are in range for any picture."""
    corner = st.integers(-reach, reach)
    return MotionPath(points=tuple(
        ControlPoint(
            offset=at, corners=tuple(draw(st.lists(corner, min_size=8, max_size=8))),
            residual=draw(byte),
        )
        for at in draw(rising(max_points, least=1))
    ))  # fmt: skip


thermals = st.builds(
    lambda counts, hot, bent: Thermal(
        lo=min(counts), hi=max(counts), white_hot=hot, knee=sorted(counts)[1] if bent else None
    ),
    st.tuples(u16, u16, u16), st.booleans(), st.booleans(),
)  # fmt: skip
truth_maps = (
    st.tuples(st.integers(0, 15), st.integers(7, 14), st.binary(max_size=15))
    .map(lambda t: TruthMap.unpack(bytes((t[0] << 4 | t[1],)) + t[2]))
    .filter(lambda m: m is not None)
)
"Every body is some map, and one that fits."

all_descriptors = st.builds(
    Descriptors,
    codec_id=byte, bitstream_version=byte, capture_us=st.integers(0, (1 << 64) - 1),
    width=st.integers(1, 16384), height=st.integers(1, 16384),
    fps=st.builds(
        Fraction, st.integers(1, 240_000), st.sampled_from((1, 2, 1000, 1001))
    ).filter(lambda f: 0 < f <= 1000),
    first_frame=u63, frames=st.integers(0, 100_000), total_frames=u63,
    weights_prefix=st.just(b"") | st.binary(min_size=4, max_size=4),
    global_motion=st.none() | motions, telemetry=st.none() | telemetries,
    detections=st.lists(detections, max_size=20).map(tuple), end_of_stream=st.booleans(),
    tracks=st.lists(tracks(max_points=4), max_size=4).map(tuple),
    motion_path=st.none() | motion_paths(max_points=4), thermal=st.none() | thermals,
    ladder=st.none() | byte, truth=st.none() | truth_maps,
    unknown=st.lists(
        st.tuples(st.integers(12, 255), st.binary(max_size=40)), max_size=5
    ).map(tuple),
)  # fmt: skip
