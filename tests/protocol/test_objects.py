"""Laws of the TRACKS record: exact round trip, any bytes, boxes between and beyond the points."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.objects import (
    MAX_POINTS,
    MAX_TRACKS,
    ObjectClass,
    Track,
    TrackPoint,
    pack_tracks,
    unpack_tracks,
)
from tests.protocol.helpers import tracks

laws = settings(max_examples=100, deadline=None)


def even(count: int = 8, step: int = 5) -> Track:
    """A car that drives evenly, 3 pixels a frame."""
    points = tuple(
        TrackPoint(offset=i * step, x=10 + 3 * i * step, y=400, width=40, height=20)
        for i in range(count)
    )
    return Track(track_id=300, class_id=ObjectClass.VEHICLE, score_pct=90, points=points)


def test_class_numbers_are_those_of_the_document() -> None:
    names = ["MOVER", "PERSON", "VEHICLE", "HOT_SPOT", "FIRE", "ANIMAL", "BOAT", "TEXT"]
    assert {kind.name: kind.value for kind in ObjectClass} == {n: i for i, n in enumerate(names)}


@given(st.lists(tracks(), min_size=1, max_size=5).map(tuple))
@laws
def test_round_trip(sent: tuple[Track, ...]) -> None:
    assert unpack_tracks(pack_tracks(sent)) == sent


@given(
    st.binary(max_size=80) | st.binary(max_size=40).map(lambda raw: b"\x01\x05\x01\x20\x04" + raw)
)
@laws
def test_any_bytes_are_read_without_an_exception(raw: bytes) -> None:
    read = unpack_tracks(raw)
    # One list of tracks has one form: what is read is what would be sent.
    assert read is None or pack_tracks(read) == raw


@given(tracks(max_points=5), st.data())
@laws
def test_a_cut_or_longer_record_is_none(track: Track, data: st.DataObject) -> None:
    raw = pack_tracks((track,))
    assert unpack_tracks(raw[: data.draw(st.integers(0, len(raw) - 1))]) is None
    assert unpack_tracks(raw + b"\0") is None


def test_the_bounds_hold_both_ways() -> None:
    full = (even(MAX_POINTS),) * MAX_TRACKS
    assert unpack_tracks(pack_tracks(full)) == full
    raw = bytearray(pack_tracks(full))
    assert raw[0] == MAX_TRACKS
    raw[0] += 1
    assert unpack_tracks(bytes(raw)) is None
    for wrong in ((), full + full[:1], (even(MAX_POINTS + 1),)):
        with pytest.raises(LocalProtocolError):
            pack_tracks(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"track_id": -1}, {"track_id": 65536}, {"class_id": 256}, {"score_pct": 101},
        {"points": ()}, {"points": even(2).points[::-1]}, {"points": even(1).points * 2},
        {"points": (TrackPoint(offset=0, x=-1, y=0, width=1, height=1),)},
        {"points": (TrackPoint(offset=0, x=0, y=0, width=65536, height=1),)},
        {"points": (TrackPoint(offset=100_001, x=0, y=0, width=1, height=1),)},
    ],
)  # fmt: skip
def test_a_track_out_of_range_is_our_own_error(change: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        pack_tracks((replace(even(), **change),))


def test_even_motion_costs_five_bytes_a_point() -> None:
    assert len(pack_tracks((even(12),))) <= 1 + 2 + 2 + 1 + 7 + 7 + 10 * 5


def test_boxes_between_points_move_evenly_and_are_held_outside() -> None:
    track = even(3, step=10)
    assert [track.box_at(i).x for i in (0, 1, 10, 15, 20)] == [10, 13, 40, 55, 70]  # type: ignore[union-attr]
    assert track.box_at(7) == TrackPoint(offset=7, x=31, y=400, width=40, height=20)
    assert track.box_at(-1) is None and track.box_at(21) is None
    assert track.box_at(24, hold=4) == replace(track.points[-1], offset=24)
    assert track.box_at(25, hold=4) is None


@given(tracks(max_points=6), st.data())
@laws
def test_a_box_lies_between_its_neighbours(track: Track, data: st.DataObject) -> None:
    for point in track.points:
        assert track.box_at(point.offset) == point
    first, last = track.points[0].offset, track.points[-1].offset
    at = data.draw(st.integers(first, last))
    box = track.box_at(at)
    assert box is not None and box.offset == at
    xs = [p.x for p in track.points]
    assert min(xs) <= box.x <= max(xs)
