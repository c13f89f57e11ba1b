"""Laws of the timeline: every source frame once, in order, whatever was lost."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gvc_base.timeline import DecodeJob, Timeline
from gvc_protocol.codec import ReceivedUnit
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.events import UnitReady

UNIT = 60
FPS = Fraction(30)


def descriptors(unit_no: int, total: int) -> Descriptors:
    first = unit_no * UNIT
    return Descriptors(
        codec_id=0, bitstream_version=1, capture_us=first * 33_333, width=64, height=48, fps=FPS,
        first_frame=first, frames=min(UNIT, total - first), total_frames=total,
    )  # fmt: skip


def ready(unit_no: int, d: Descriptors | None) -> UnitReady:
    unit = ReceivedUnit(unit_no=unit_no, descriptors=d)
    return UnitReady(stream_id=1, boot_id=1, unit=unit, now=unit_no * 2 * 10**9)


def shown(jobs: list[DecodeJob]) -> list[int]:
    """Frame numbers that a viewer would see."""
    return [
        number
        for job in jobs
        for number in range(job.span.first_frame, job.span.first_frame + job.span.frames)
        if number >= job.first_new_frame
    ]


@given(
    total=st.integers(1, 10 * UNIT),
    fate=st.lists(st.sampled_from(["whole", "no D", "gone"]), min_size=10, max_size=10),
)
def test_every_frame_is_shown_once_and_in_order(total: int, fate: list[str]) -> None:
    units = -(-total // UNIT)
    timeline = Timeline()
    jobs: list[DecodeJob] = []
    for unit_no in range(units):
        if fate[unit_no] == "gone":
            continue
        d = descriptors(unit_no, total) if fate[unit_no] == "whole" else None
        jobs += timeline.add(ready(unit_no, d))
    jobs += timeline.finish(to_total=True)
    if "whole" in fate[:units]:
        assert shown(jobs) == list(range(total))
    else:
        assert jobs == []  # no D ever: not even the picture's size is known


def test_a_unit_without_d_stands_where_its_number_says() -> None:
    timeline = Timeline()
    timeline.add(ready(0, descriptors(0, 600)))
    jobs = timeline.add(ready(3, None))
    assert [job.empty for job in jobs] == [True, True, True]
    assert jobs[-1].span.first_frame == 3 * UNIT


def test_a_d_of_another_size_is_refused_and_named() -> None:
    timeline = Timeline()
    timeline.add(ready(0, descriptors(0, 600)))
    other = replace(descriptors(1, 600), width=32)
    jobs = timeline.add(ready(1, other))
    assert [job.span.width for job in jobs] == [64]
    assert "32x48" in timeline.refused[0]


def test_a_frame_number_ahead_of_time_is_not_believed() -> None:
    timeline = Timeline()
    timeline.add(ready(0, descriptors(0, 600)))
    forged = replace(descriptors(1, 600), first_frame=10**9, total_frames=0)
    assert timeline.add(ready(1, forged)) == []
    assert "too far ahead" in timeline.refused[0]
    assert shown(timeline.add(ready(2, descriptors(2, 600)))) == list(range(60, 180))


def test_a_base_that_joins_late_does_not_fill_the_past() -> None:
    timeline = Timeline()
    late = 1000
    d = replace(descriptors(late, 0), frames=UNIT, total_frames=0)
    jobs = timeline.add(ready(late, d))
    assert shown(jobs) == list(range(late * UNIT, (late + 1) * UNIT))
