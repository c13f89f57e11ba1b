"""Decoding in other processes: the same pictures and marks, and no unit lost when a process is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gvc_base.cli import app
from gvc_base.workers import WorkersSpec, make_pool
from gvc_base.workers.certificates import make_certificates
from gvc_base.workers.remote import RemoteDecoder
from gvc_base.workers.session import DecoderPlan, DecodeSession
from gvc_protocol.codec import CodecSpec, DecodedFrame
from gvc_protocol.errors import UserError
from tests.station.flights import packets, start_flight, wait_until
from tests.workers.flown import LOST, PLAN, UNIT_FRAMES, UNITS, alone, same, units

pytestmark = pytest.mark.skipif(
    find_spec("distributed") is None, reason="the extra `workers` is not installed"
)

LIMIT_S = 120


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workers") / "tls"
    make_certificates(folder)
    return folder


@dataclass
class Scheduler:
    """One in this process, which can be ended."""

    spec: WorkersSpec
    thread: threading.Thread
    end: Callable[[], None]


@pytest.fixture(scope="module")
def scheduler(certificates: Path) -> Iterator[Scheduler]:
    from gvc_base.workers.serve import schedule

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spec = WorkersSpec.parse(f"dask://127.0.0.1:{port}", tls=certificates)
    lines: list[str] = []
    ended = threading.Event()
    thread = threading.Thread(target=schedule, args=(spec, lines.append, ended), daemon=True)
    thread.start()
    wait_until(lambda: bool(lines), "the scheduler", LIMIT_S)
    yield Scheduler(spec, thread, ended.set)
    ended.set()
    thread.join(LIMIT_S)


@pytest.fixture(scope="module")
def pool(scheduler: Scheduler, certificates: Path, said: list[str]) -> Iterator[Any]:
    """Two processes of `gvc-base workers join`, and the base's side."""
    from gvc_base.workers.dask_pool import DaskPool

    made = DaskPool(scheduler.spec, said.append)
    wait_until(lambda: made.problem != "", "nobody there yet", LIMIT_S)
    command = [
        "workers",
        "join",
        scheduler.spec.url,
        "--tls",
        str(certificates),
        "--processes",
        "2",
    ]
    joined = subprocess.Popen([sys.executable, "-m", "gvc_base", *command])
    try:
        wait_until(lambda: len(made.workers) == 2, "two workers", LIMIT_S)
        yield made
    finally:
        made.close()
        joined.terminate()
        assert joined.wait(LIMIT_S) == 0


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
    assert len(said) == 2 and "the scheduler has no workers" in said[0]
    assert "are reached" in said[1]


def test_cameras_that_begin_at_once_are_shared_out(pool: Any) -> None:
    cameras = [camera(pool)[0] for _ in range(4)]
    sent = units()[0]
    with ThreadPoolExecutor(4) as threads:
        for frames in threads.map(lambda one: list(one.decode(sent.unit, sent.span)), cameras):
            same(frames)
    assert sorted(Counter(one.label for one in cameras).values()) == [2, 2]


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
    assert "codec 9" in pool.problem
    decoder, lines = camera(pool)
    same(list(decoder.decode(units()[0].unit, units()[0].span)))
    assert lines == [] and ", on " in decoder.label, "its workers decode what they know"


def test_who_has_no_certificate_of_theirs_is_not_let_in(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    from gvc_base.workers.dask_pool import DaskPool

    make_certificates(tmp_path / "other")
    with pytest.raises(UserError, match="already"):
        make_certificates(tmp_path / "other")
    assert (tmp_path / "other" / "key.pem").stat().st_mode & 0o077 == 0
    for tls in (None, tmp_path / "other"):
        lines: list[str] = []
        stranger = DaskPool(replace(scheduler.spec, tls=tls), lines.append)
        wait_until(stranger.looked.is_set, "an answer", LIMIT_S)
        stranger.close()
        assert stranger.workers == frozenset() and len(lines) == 1, lines
        assert lines[0].startswith("no decode worker at dask://127.0.0.1:")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("local:0", "is not known"), ("local:x", "is not known"), ("ray://a:1", "is not known"),
        ("dask://a", "is not known"), ("dask://127.0.0.1:0", "is not known"),
        ("dask://192.0.2.7:8786", "can run programs"), ("dask://base.example:8786", "--workers-tls"),
    ],
)  # fmt: skip
def test_what_cannot_be_or_is_open_to_all_is_refused(text: str, why: str, tmp_path: Path) -> None:
    link = ["--link", "udp://127.0.0.1:0", "-p", "udp", "--archive", str(tmp_path / "m.db")]
    done = CliRunner().invoke(app, ["run", *link, "--workers", text])
    assert isinstance(done.exception, UserError) and why in str(done.exception), done.output
    assert not (tmp_path / "m.db").exists()


def test_what_may_be() -> None:
    assert WorkersSpec.parse("local:3").local == 3
    assert WorkersSpec.parse("dask://[::1]:8786").address == "tcp://[::1]:8786"
    assert WorkersSpec.parse("dask://192.0.2.7:1", insecure=True).host == "192.0.2.7"
    with pytest.raises(UserError, match=r"has no ca\.pem, cert\.pem, key\.pem"):
        WorkersSpec.parse("dask://192.0.2.7:1", tls=Path("/nonexistent"))


def test_workers_of_this_computer_end_with_the_base(said: list[str]) -> None:
    said.clear()
    made = make_pool(WorkersSpec.parse("local:1"), said.append)
    try:
        wait_until(lambda: bool(made.workers), "a worker", LIMIT_S)  # type: ignore[attr-defined]
        number = next(iter(pids(made).values()))
        decoder, lines = camera(made)
        same(list(decoder.decode(units()[0].unit, units()[0].span)))
        assert lines == [] and ", on tls://127.0.0.1:" in decoder.label
    finally:
        made.close()
    assert said == ["decode workers at local:1 are reached (1 now)"]
    wait_until(lambda: not Path(f"/proc/{number}").exists(), "the end of the process", LIMIT_S)


def test_a_mission_goes_on_when_its_workers_are_gone(
    tmp_path: Path, pool: Any, scheduler: Scheduler, said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The last test with that scheduler."""
    monkeypatch.setattr("gvc_base.archive_schema._SYNCHRONOUS", "OFF")
    with ExitStack() as stack:
        flight = start_flight(stack, tmp_path / "m.db", 1, workers=pool)
        sent, half = packets(), len(packets(numbers=(0, 1)))
        flight.links[0].feed(sent[:half])
        wait_until(lambda: flight.shows("0-0", 2), "a picture from a worker", LIMIT_S)
        assert ", on tls://127.0.0.1:" in flight.view.drones()[0].decoder
        assert not any("decodes itself" in line for line in flight.base.warnings())
        said.clear()
        scheduler.end()
        wait_until(lambda: "decodes itself" in pool.problem, "the loss is noticed", LIMIT_S)
        flight.links[0].feed(sent[half:])
        wait_until(lambda: flight.shows("0-0", 4), "a picture without workers", LIMIT_S)
        assert ", on " not in flight.view.drones()[0].decoder
        assert "this base decodes itself" in flight.base.warnings()[0]
    assert flight.report is not None and flight.report.units_lost == 0
    assert len(said) == 1 and "until one is reached" in said[0]
    assert sum("is decoded by this base itself" in line for line in flight.lines) == 1
