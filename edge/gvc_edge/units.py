"""Frames to closed units: the one loop that files, cameras and rehearsals share.

FrameSource -> UnitBuilder (RateControl, UnitEncoder) -> EncodedUnit
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from gvc_edge.codecs import BudgetedEncoder
from gvc_edge.describe import Told, descriptor_room, tell
from gvc_edge.eyes import Eyes
from gvc_edge.rate import RateControl
from gvc_edge.sources import FrameSource, SourceInfo
from gvc_edge.sources.base import ThermalRange
from gvc_edge.verify import ShowsSent, Verifier
from gvc_protocol.codec import EncodedUnit, SourceFrame
from gvc_protocol.descriptors import Descriptors, Telemetry, Thermal
from gvc_protocol.motion_path import MotionPath
from gvc_protocol.objects import Track
from gvc_protocol.truth import MAX_TRUTH_BYTES, TruthMap

__all__ = ["BuiltUnit", "UsesRecords", "build_units", "frames_per_unit"]


@runtime_checkable
class UsesRecords(Protocol):
    """What an encoder has besides that builds on D's records."""

    def records_share(self, payload_bytes: int) -> float | None:
        """Share of a unit's bytes that records in D are worth; None for the usual share."""

    def look(self, tracks: Sequence[Track], path: MotionPath | None) -> None:
        """What D will tell of the open unit, the best tracks first; before `close`."""


_RECORD_HEAD_BYTES = 2
"Type and length of a record in D."


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltUnit:
    """A closed unit and when its last frame had been seen."""

    unit: EncodedUnit
    closed_us: int
    "Capture time at which the unit's last frame ends, microseconds."
    air_bytes: int


def frames_per_unit(info: SourceInfo, latency_s: float) -> int:
    """Source frames of one unit: as many as the operator's latency allows, at least one."""
    return max(1, round(latency_s * info.fps))


def build_units(
    source: FrameSource,
    encoder: BudgetedEncoder,
    rate: RateControl,
    *,
    unit_frames: int,
    backlog: Callable[[], int],
    on_frame: Callable[[int], None] = lambda _: None,
    eyes: Eyes | None = None,
    on_begin: Callable[[int], None] = lambda _: None,
    on_picture: Callable[[int, int, SourceFrame], None] = lambda _u, _o, _f: None,
    verifier: Verifier | None = None,
    place: Callable[[], Telemetry | None] = lambda: None,
) -> Iterator[BuiltUnit]:
    """Encode a source unit by unit.

    Args:
        unit_frames: frames a unit; the last may be shorter.
        backlog: air bytes that wait at the sender beyond what is usual.
        on_frame: called with each frame's number, for progress bars.
        eyes: what looks for objects and the camera's motion; None to send neither.
        on_begin: called with a unit's number before it is opened.
        on_picture: called with (unit, offset in it, frame) for each frame.
        verifier: what compares the unit with its source; None to send no truth map.
        place: where the camera is, asked as a unit's first frame is taken.
    """
    info = source.info
    frames = iter(source.frames())
    ahead = next(frames, None)
    unit_no = 0
    while ahead is not None:
        first, count = ahead, 0
        left = info.total_frames - first.frame_no
        expected = min(unit_frames, left) if left > 0 else unit_frames
        thermal, at = _thermal(source), place()
        on_begin(unit_no)
        # A short last unit gets a short budget: the file's own average must stay within the rate.
        budget = rate.payload_budget(float(expected / info.fps), backlog())
        if unit_no == 0 and budget < encoder.minimum_payload:
            # A source shorter than one long unit: a picture that takes longer than it, or none.
            budget = rate.payload_budget(float(unit_frames / info.fps), backlog())
        room, path_first = _records(encoder, rate, budget) if eyes is not None else (0, False)
        encoder.begin(unit_no, budget - rate.payload_for(room))
        if eyes is not None:
            eyes.begin()
        if verifier is not None:
            verifier.begin(expected)
        while ahead is not None and count < unit_frames:
            encoder.push(ahead)
            if eyes is not None:
                eyes.push(ahead.pixels, count)
            if verifier is not None:
                verifier.push(ahead.pixels, count)
            on_frame(ahead.frame_no)
            on_picture(unit_no, count, ahead)
            count += 1
            ahead = next(frames, None)
        told = Told()
        if eyes is not None:
            told = tell(eyes.close(), room, info.width, info.height, path_first=path_first)
            if isinstance(encoder, UsesRecords):
                encoder.look(told.tracks, told.motion_path)
        unit = _close(encoder, info, unit_no, first, count, told, thermal, at, last=ahead is None)
        if verifier is not None and isinstance(encoder, ShowsSent):
            maps = verifier.close(*encoder.take_shown(), told.motion_path)
            unit = _with_truth(unit, maps, rate, budget)
        d_bytes = len(unit.descriptors.pack())
        air = rate.spent(d_bytes, len(unit.keyframe), len(unit.features))
        closed_us = first.capture_us + round(count * 1_000_000 / info.fps)
        yield BuiltUnit(unit=unit, closed_us=closed_us, air_bytes=air)
        unit_no += 1


def _with_truth(
    unit: EncodedUnit, maps: Sequence[TruthMap], rate: RateControl, budget: int
) -> EncodedUnit:
    """The unit with the first of its truth maps that the picture leaves the bytes for."""
    d = unit.descriptors
    records = len(d.pack()) - len(replace(d, tracks=(), motion_path=None).pack())
    left = budget - len(unit.keyframe) - len(unit.features) - rate.payload_for(records)
    bare = len(d.pack())
    for truth in maps:
        told = replace(d, truth=truth)
        record = len(told.pack()) - bare
        if record <= MAX_TRUTH_BYTES + _RECORD_HEAD_BYTES and rate.payload_for(record) <= left:
            return replace(unit, descriptors=told)
    return unit


def _records(encoder: BudgetedEncoder, rate: RateControl, budget: int) -> tuple[int, bool]:
    """(bytes of D for records, whether the camera's path comes before the tracks)."""
    share = encoder.records_share(budget) if isinstance(encoder, UsesRecords) else None
    if share is None:
        return descriptor_room(budget), False
    room = descriptor_room(budget, share)
    left = budget - rate.payload_for(room)
    return (room, True) if left >= encoder.minimum_payload else (0, True)


def _thermal(source: FrameSource) -> Thermal | None:
    """What the grey levels of the frame that came last stand for, where they are sensor counts."""
    if not isinstance(source, ThermalRange) or (counts := source.thermal_range()) is None:
        return None
    return Thermal(lo=counts[0], hi=counts[1], knee=source.thermal_knee())


def _close(
    encoder: BudgetedEncoder,
    info: SourceInfo,
    unit_no: int,
    first: SourceFrame,
    count: int,
    told: Told,
    thermal: Thermal | None,
    telemetry: Telemetry | None,
    *,
    last: bool,
) -> EncodedUnit:
    keyframe, features = encoder.close()
    spec = encoder.spec
    descriptors = Descriptors(
        codec_id=spec.codec_id,
        bitstream_version=spec.bitstream_version,
        weights_prefix=spec.weights_sha256[:4],
        capture_us=first.capture_us,
        width=info.width,
        height=info.height,
        fps=info.fps,
        first_frame=first.frame_no,
        frames=count,
        total_frames=info.total_frames,
        end_of_stream=last,
        tracks=told.tracks,
        motion_path=told.motion_path,
        thermal=thermal,
        telemetry=telemetry,
        ladder=encoder.ladder,
    )
    return EncodedUnit(
        unit_no=unit_no, spec=spec, descriptors=descriptors, keyframe=keyframe, features=features
    )
