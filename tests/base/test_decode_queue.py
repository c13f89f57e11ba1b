"""The bounded queue between receiver and decoder: the newest picture wins, the timeline stays whole."""

from __future__ import annotations

from fractions import Fraction

from gvc_base.station.queues import DecodeQueue, DropPolicy
from gvc_base.timeline import DecodeJob
from gvc_protocol.codec import CodecSpec, PartData, ReceivedUnit, UnitSpan


def job(unit_no: int) -> DecodeJob:
    span = UnitSpan(first_frame=unit_no * 10, frames=10, fps=Fraction(5), width=64, height=48)
    part = PartData(ranges=((0, b"x"),), complete=True)
    return DecodeJob(
        unit=ReceivedUnit(unit_no=unit_no, features=part), span=span,
        spec=CodecSpec(codec_id=0, bitstream_version=1), first_new_frame=span.first_frame,
    )  # fmt: skip


def drain(queue: DecodeQueue) -> list[DecodeJob]:
    queue.close()
    out = []
    while (got := queue.get()) is not None:
        out.append(got)
    return out


def test_over_the_limit_the_oldest_becomes_lost_and_no_frame_is_missing() -> None:
    queue = DecodeQueue(3)
    for unit_no in range(8):
        queue.put(job(unit_no))
    got = drain(queue)
    assert [g.empty for g in got] == [True] * 5 + [False] * 3
    assert [g.span.first_frame for g in got] == [10 * i for i in range(8)]
    assert queue.dropped == 5 and queue.policy is DropPolicy.OLDEST_AS_LOST


def test_within_the_limit_nothing_is_touched() -> None:
    queue = DecodeQueue(3)
    for unit_no in range(3):
        queue.put(job(unit_no))
    assert not any(g.empty for g in drain(queue)) and queue.dropped == 0
