"""Decoding in other processes: the same pictures and marks, and no unit lost when a process is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest

from gvc_base.workers import WorkersSpec
from gvc_base.workers.remote import RemoteDecoder
from gvc_base.workers.session import DecoderPlan, DecodeSession
from gvc_protocol.codec import CodecSpec, DecodedFrame
from gvc_protocol.errors import UserError
from tests.station.flights import packets, start_flight, wait_until
from tests.workers.flown import LOST, PLAN, UNIT_FRAMES, UNITS, alone, same, units

pytest.importorskip("distributed", reason="the extra `workers` is not installed")

LIMIT_S = 120


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def pool(said: list[str]) -> Iterator[Any]:
    """Two worker processes."""
    from gvc_base.workers.dask_pool import DaskPool

    made = DaskPool(WorkersSpec.parse("local:2"), said.append)
    try:
        wait_until(lambda: len(made.workers) == 2, "two workers", LIMIT_S)
        yield made
    finally:
        made.close()


def camera(pool: Any, plan: DecoderPlan = PLAN) -> tuple[RemoteDecoder, list[str]]:
    lines: list[str] = []
    return RemoteDecoder(plan, pool, nullcontext, lines.append), lines


def pids(pool: Any) -> dict[str, int]:
    """Process of each worker."""
    return dict(pool._client.run(os.getpid))


def test_a_decoder_goes_on_from_its_checkpoint() -> None:
    session, got = DecodeSession(PLAN), []
    for sent in units():
        got += list(session.frames(sent.unit, sent.span, skip=0))
        session = DecodeSession(PLAN, session.checkpoint())
    assert len(got) == UNITS * UNIT_FRAMES
    same(got)
    assert (alone()[LOST * UNIT_FRAMES].mark == 4).all(), "the lost unit hangs on what is kept"
    size = len(session.checkpoint())
    assert size < 4 * got[0].pixels.nbytes + 300_000, f"{size} bytes a unit"


def test_two_workers_give_the_same_frames(pool: Any, said: list[str]) -> None:
    (one, lines), (two, _) = camera(pool), camera(pool)
    first, second = [], []
    for sent in units():
        first += list(one.decode(sent.unit, sent.span))
        second += list(two.decode(sent.unit, sent.span))
    same(first)
    same(second)
    assert lines == [] and len(first) == UNITS * UNIT_FRAMES and pool.problem == ""
    places = {one.label.split(", on ")[1], two.label.split(", on ")[1]}
    assert places == set(pool.workers), "a camera each"
    assert said == ["2 decode workers at local:2 are reached"]


def test_a_worker_killed_in_the_middle_of_a_unit_costs_nothing(pool: Any) -> None:
    decoder, lines = camera(pool)
    got: list[DecodedFrame] = []
    processes = pids(pool)
    for number, sent in enumerate(units()):
        for frame in decoder.decode(sent.unit, sent.span):
            got.append(frame)
            if number == 1 and frame.frame_no == sent.span.first_frame:
                os.kill(processes[decoder.label.split(", on ")[1]], signal.SIGKILL)
    assert [frame.frame_no for frame in got] == list(range(UNITS * UNIT_FRAMES))
    same(got)
    assert len(lines) == 1 and "unit 1" in lines[0] and "decoding it again" in lines[0]
    wait_until(lambda: len(pool.workers) == 2, "the process is started again", LIMIT_S)


def test_what_fails_on_a_worker_is_told_and_decoded_here(pool: Any) -> None:
    other = DecoderPlan(spec=PLAN.spec, quality=PLAN.quality, program="0.0.1")
    with pytest.raises(UserError, match=r"install the same there"):
        DecodeSession(other)
    unknown = DecoderPlan(spec=CodecSpec(codec_id=9, bitstream_version=1), quality="preview")
    decoder, _ = camera(pool, unknown)
    with pytest.raises(UserError, match="codec 9 is not known"):
        list(decoder.decode(units()[0].unit, units()[0].span))
    pool._refused.clear()


def test_a_mission_goes_on_when_its_workers_are_gone(
    tmp_path: Path, pool: Any, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test: nothing is left of the pool."""
    monkeypatch.setattr("gvc_base.archive_schema._SYNCHRONOUS", "OFF")
    with ExitStack() as stack:
        flight = start_flight(stack, tmp_path / "m.db", 1, workers=pool)
        sent, half = packets(), len(packets(numbers=(0, 1)))
        flight.links[0].feed(sent[:half])
        wait_until(lambda: flight.shows("0-0", 2), "a picture from a worker", LIMIT_S)
        assert ", on tls://127.0.0.1:" in flight.view.drones()[0].decoder
        assert flight.base.warnings() == ()
        monkeypatch.setattr(pool, "_connect", lambda: pool._look())
        said.clear()
        pool._cluster.close()
        wait_until(lambda: pool.problem != "", "the loss is noticed", LIMIT_S)
        flight.links[0].feed(sent[half:])
        wait_until(lambda: flight.shows("0-0", 4), "a picture without workers", LIMIT_S)
        assert ", on " not in flight.view.drones()[0].decoder
        assert "this base decodes itself" in flight.base.warnings()[0]
    assert flight.report is not None and flight.report.units_lost == 0
    assert len(said) == 1 and "until one is reached" in said[0]
    assert sum("is decoded by this base itself" in line for line in flight.lines) == 1
