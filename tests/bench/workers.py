"""How many drones one base decodes, and what worker processes add: `make bench-workers`.

    synthetic flood, 854x480, 15 frames/s, units of 2 s at sik-64 -> four cameras -> one process, workers

Processor time is measured beside the clock, of this process and of its workers apart: it hardly depends
on what else the machine does. "Drones" is the number of cores over the processor time that a second of
one drone's video takes; with more of them the base falls behind. In runs with a loss one worker is ended
by SIGKILL after a third of the units; pixels and marks of all frames are compared with one process's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from gvc_base.mission import Mission
from gvc_base.recording import open_recording
from gvc_base.station.queues import DecodeBudget
from gvc_base.timeline import DecodeJob
from gvc_base.workers import WorkersSpec
from gvc_base.workers.dask_pool import DaskPool
from gvc_base.workers.remote import RemoteDecoder
from gvc_base.workers.session import DecoderPlan, DecodeSession
from gvc_protocol.codec import DecodedFrame, Quality
from gvc_protocol.replay import ReplayGuard
from tests.bench.machine import processor

SIZE, FPS, UNIT_S = "854x480", 15, 2.0
CAMERAS = 4


def make_clip(path: Path, units: int) -> None:
    """A capture of the synthetic flood, as gvc-edge sends it."""
    source = f"synthetic:flood?size={SIZE}&fps={FPS}&seconds={units * UNIT_S:g}"
    command = ["encode", source, "--profile", "sik-64", "--latency", f"{UNIT_S:g}", "--start", "0"]
    options = ["--quick", "--no-verify", "--out", str(path)]
    subprocess.run([sys.executable, "-m", "gvc_edge", *command, *options], check=True)


def jobs_of(path: Path) -> list[DecodeJob]:
    recording, guard = open_recording(path, None, None), ReplayGuard()
    mission, jobs, now = Mission(recording.params), [], 0
    for now, data in recording.packets(guard.merge):
        jobs += mission.receive(data, now)
    return [job for job in jobs + mission.close(now, to_total=True) if not job.empty]


@dataclass
class Run:
    """What one set-up did."""

    name: str
    units: int = 0
    frames: int = 0
    equal: bool = True
    wall_s: float = 0.0
    base_cpu_s: float = 0.0
    worker_cpu_s: float = 0.0
    load: float = 0.0
    said: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cpu_per_video_s(self) -> float:
        """Processor seconds for a second of one drone's video."""
        return (self.base_cpu_s + self.worker_cpu_s) / (self.units * UNIT_S)

    def row(self) -> dict[str, Any]:
        base = self.base_cpu_s / (self.units * UNIT_S)
        return {
            "setup": self.name, "units": self.units, "frames": self.frames, "equal": self.equal,
            "units_per_s": round(self.units / self.wall_s, 3),
            "cpu_s_per_video_s": round(self.cpu_per_video_s, 3),
            "of_it_base": round(base, 3), "load": round(self.load, 1), "said": self.said,
        }  # fmt: skip


def digest(frame: DecodedFrame) -> bytes:
    sha = hashlib.sha256()
    for array in (frame.pixels, frame.mark, frame.age_ms, frame.p_wrong, frame.source_unit):
        sha.update(array.tobytes())
    return sha.digest()


def cpu_of(numbers: Sequence[int]) -> float:
    total = 0.0
    for number in numbers:
        try:
            used = psutil.Process(number).cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total


Open = Callable[[], Any]
Turn = Callable[[], AbstractContextManager[None]]


def fly(run: Run, jobs: Sequence[DecodeJob], make: Open, turn: Turn, true: list[bytes]) -> None:
    """One camera's units, in order; without `true` its frames become what is true."""
    decoder = make()
    got: list[bytes] = []
    for job in jobs:
        frames = iter(decoder(job))
        while True:
            with turn():
                frame = next(frames, None)
            if frame is None:
                break
            got.append(digest(frame))
        with run.lock:
            run.units += 1
    with run.lock:
        run.frames += len(got)
        if not true:
            true += got
        run.equal &= got == true


def measure(
    run: Run, jobs: Sequence[DecodeJob], make: Open, turn: Turn, true: list[bytes],
    pool: DaskPool | None = None, *, kill: bool = False, cameras: int = CAMERAS,
) -> Run:  # fmt: skip
    """All cameras at once."""
    workers: list[int] = [] if pool is None else list(pids(pool).values())
    threads = [
        threading.Thread(target=fly, args=(run, jobs, make, turn, true)) for _ in range(cameras)
    ]
    before, began, mine = cpu_of(workers), time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    spent = 0.0
    while any(thread.is_alive() for thread in threads):
        if kill and run.units >= len(jobs) * cameras // 3:
            kill = False
            spent = cpu_of(workers[:1])
            os.kill(workers[0], signal.SIGKILL)
        time.sleep(0.05)
    run.wall_s, run.base_cpu_s = time.perf_counter() - began, time.process_time() - mine
    run.load = os.getloadavg()[0]
    after = set(workers) | (set() if pool is None else set(pids(pool).values()))
    run.worker_cpu_s = cpu_of(sorted(after)) + spent - before
    return run


def pids(pool: DaskPool) -> dict[str, int]:
    found: dict[str, int] = pool._client.run(os.getpid)
    return found


def alone(plan: DecoderPlan) -> Open:
    def make() -> Any:
        session = DecodeSession(plan)
        return lambda job: session.frames(job.unit, job.span, skip=0)

    return make


def one_process(
    quality: Quality, jobs: Sequence[DecodeJob], true: list[bytes], cameras: int
) -> Run:
    budget = DecodeBudget(max(1, (os.cpu_count() or 2) // 2), patience_s=60)
    plan = DecoderPlan(spec=jobs[0].spec, quality=quality)
    run = Run(f"{quality}, one process")
    return measure(run, jobs, alone(plan), budget.turn, true, cameras=cameras)


def with_workers(count: int, jobs: Sequence[DecodeJob], true: list[bytes], *, kill: bool) -> Run:
    plan = DecoderPlan(spec=jobs[0].spec, quality="preview")
    run = Run(f"preview, {count} workers{', one killed' if kill else ''}")
    pool = DaskPool(WorkersSpec.parse(f"local:{count}"), run.said.append)
    try:
        while len(pool.workers) < count:
            time.sleep(0.1)

        def make() -> Any:
            decoder = RemoteDecoder(plan, pool, nullcontext, run.said.append)
            return lambda job: decoder.decode(job.unit, job.span)

        return measure(run, jobs, make, nullcontext, true, pool, kill=kill)
    finally:
        pool.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--units", type=int, default=4, help="of 2 s, a camera")
    parser.add_argument("--clip", type=Path, help="capture that was made before")
    parser.add_argument("--no-standard", action="store_true", help="the network takes minutes here")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    clip = args.clip or args.out / "workers-flood.pcap"
    if not clip.exists():
        make_clip(clip, args.units)
    jobs, true, rows = jobs_of(clip)[: args.units], [], []
    cores = os.cpu_count() or 1
    print(
        f"{date.today()}, {processor()}; {len(jobs)} units of {UNIT_S:g} s at {SIZE}, {FPS} frames/s"
    )
    runs: list[Callable[[], Run]] = [lambda: one_process("preview", jobs, true, CAMERAS)]
    for count, kill in ((2, True), (2, False), (4, True), (1, False), (4, False)):
        runs.append(lambda c=count, k=kill: with_workers(c, jobs, true, kill=k))  # type: ignore[misc]
    if not args.no_standard:
        runs.append(lambda: one_process("standard", jobs[:1], [], 1))
    for one in runs:
        row = one().row()
        row["drones"] = round(cores / row["cpu_s_per_video_s"], 2)
        rows.append(row)
        print(json.dumps(row), flush=True)
    (args.out / "workers.json").write_text(json.dumps(rows, indent=1))
    if not all(row["equal"] for row in rows):
        sys.exit("frames differ from those of one process")


if __name__ == "__main__":
    main()
