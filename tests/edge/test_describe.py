"""What of the eyes' findings goes into D: never more than its room, the surest first."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gvc_edge.describe import descriptor_room, tell
from gvc_edge.eyes import Seen
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.motion_path import ControlPoint, MotionPath
from gvc_protocol.objects import Track, TrackPoint

SIZE = (640, 480)


def track(number: int, score: int, points: int) -> Track:
    boxes = (
        TrackPoint(offset=5 * i, x=10 * i + number, y=20, width=30, height=20)
        for i in range(points)
    )
    return Track(track_id=number, class_id=0, score_pct=score, points=tuple(boxes))


def path(points: int) -> MotionPath:
    corners = [tuple((17 * i * (k + 1)) % 300 - 150 for k in range(8)) for i in range(points)]
    return MotionPath(
        points=tuple(
            ControlPoint(offset=10 * (i + 1), corners=c, residual=9) for i, c in enumerate(corners)
        )
    )


def packed_bytes(seen: Seen, room: int) -> int:
    """How much the told records add to D."""
    told = tell(seen, room, *SIZE)
    plain = Descriptors(
        codec_id=1, bitstream_version=1, capture_us=0, width=SIZE[0], height=SIZE[1],
        fps=Fraction(30), first_frame=0, frames=60,
    )  # fmt: skip
    full = Descriptors(
        codec_id=1, bitstream_version=1, capture_us=0, width=SIZE[0], height=SIZE[1],
        fps=Fraction(30), first_frame=0, frames=60, tracks=told.tracks,
        motion_path=told.motion_path,
    )  # fmt: skip
    return len(full.pack()) - len(plain.pack())


@given(
    room=st.integers(0, 300),
    tracks=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 8)), max_size=8),
    points=st.integers(0, 20),
)
def test_never_more_than_its_room(room: int, tracks: list[tuple[int, int]], points: int) -> None:
    seen = Seen(
        motion_path=path(points) if points else None,
        tracks=tuple(track(i, score, n) for i, (score, n) in enumerate(tracks)), shake_px=0.0,
    )  # fmt: skip
    assert packed_bytes(seen, room) <= room


def test_the_surest_track_stays() -> None:
    seen = Seen(motion_path=None, tracks=(track(1, 20, 6), track(2, 90, 6)), shake_px=0.0)
    told = tell(seen, 40, *SIZE)
    assert [t.track_id for t in told.tracks] == [2]


def test_a_long_path_is_thinned_and_keeps_its_end() -> None:
    seen = Seen(motion_path=path(16), tracks=(), shake_px=0.0)
    told = tell(seen, 120, *SIZE)
    assert told.motion_path is not None
    assert told.motion_path.end == seen.motion_path.end  # type: ignore[union-attr]
    assert len(told.motion_path.points) < 16


def test_a_slow_link_gets_no_records() -> None:
    assert descriptor_room(400) == 0
    assert 0 < descriptor_room(4000) <= 160
    assert descriptor_room(10**6) == 240
