"""The archive of a long mission: size, how soon a replay shows it, kill -9. `make bench-archive`.

    clip of the synthetic flood -> real sender, hour after hour -> losses -> archive writer -> replay

The flight is synthetic: four coded seconds over and over, on a straight track. All datagrams are those
of the real sender, so every unit is a valid one of its own number, frame and time. Losses repeat each
ten minutes, so what the receiver makes of them does, too: it runs over the first twenty minutes, and its
units of the second ten are noted for all that follow. `--check` receives all of it and compares.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from gvc_base.archive import Archive
from gvc_base.archive_deep import derived_problems
from gvc_base.archive_seal import load_signer
from gvc_base.archive_verify import verify_archive
from gvc_base.replay.view import ReplayOptions, ReplayView
from gvc_protocol.codec import EncodedUnit
from gvc_protocol.events import UnitReady
from gvc_protocol.params import SECOND
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.sender import LinkSender
from tests.base.test_archive_crash import rows_of, run_and_kill
from tests.bench.machine import processor
from tests.replay.flown import Flight, clip_units, note_unit, unit_of

_PERIOD = 600
"Units after which losses repeat."
_FIRST = 2400
"From this unit on to the 262144th all numbers in D take the same bytes: every period the same time."
_BATCH = 1024
_LOSS = 0.12
_GIVE_UP_S = 60.0
START_TARGET_S, SEEK_TARGET_S = 2.0, 0.5


def lost(number: int, index: int) -> bool:
    """Whether the index-th datagram of a unit is lost: the same in every period."""
    digest = sha256(f"{number % _PERIOD}-{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < _LOSS * 2**32


def packets(flight: Flight) -> Iterator[tuple[int, int, bytes]]:
    """(unit, time_ns, packet) as they arrive."""
    sender = LinkSender(flight.params, stream_id=flight.stream_id, boot_id=flight.boot_id)
    for number in range(_FIRST, _FIRST + flight.units):
        now = flight.began_ns + round((number - _FIRST + 1) * flight.unit_s * SECOND)
        sender.submit(unit_of(flight, number), now)
        index = 0
        while not sender.idle:
            for packet in sender.datagrams_to_send(now):
                if not lost(number, index):
                    yield number, now + SECOND // 20, packet
                index += 1
            now = sender.next_timer() or now + 1


def synthesise(path: Path, flight: Flight) -> None:
    """The archive that a base would have left of this flight."""
    with Archive.create_or_open(path, signer=load_signer(path.parent / "state")) as archive:
        session = archive.start_session(
            link_url=flight.link_url, profile_id="udp", params=flight.params,
            now_ns=flight.began_ns,
        )  # fmt: skip
        receiver, pattern = LinkReceiver(flight.params), []
        noted = received = _FIRST + 2 * _PERIOD
        waiting: list[tuple[int, str, bytes]] = []
        now = flight.began_ns
        for number, now, packet in packets(flight):
            if number <= received:  # one more: it closes the last
                receiver.receive(packet, now)
                pattern += _take(archive, session, receiver, received)
            elif number >= noted + _PERIOD:
                _repeat(archive, session, flight, pattern, noted)
                noted += _PERIOD
            waiting.append((now, "edge:1", packet))
            if len(waiting) == _BATCH:
                archive.append(session, waiting)
                waiting = []
        archive.append(session, waiting)
        _repeat(archive, session, flight, pattern, noted)
        archive.record_event(session, now + 2 * SECOND, "session_ended", {})


def _take(archive: Archive, session: int, receiver: LinkReceiver, end: int) -> list[UnitReady]:
    """Note what the receiver gives; of the second period also for what follows."""
    out = []
    while (event := receiver.next_event()) is not None:
        if not isinstance(event, UnitReady):
            archive.record(session, event)
        elif event.unit.unit_no < end:
            archive.record(session, event)
            note_unit(archive, session, event)
            out += [event] if event.unit.unit_no >= end - _PERIOD else []
    return out


def _repeat(
    archive: Archive, session: int, flight: Flight, pattern: list[UnitReady], first: int
) -> None:
    """The second period's units once more, from unit `first` on."""
    for event in pattern:
        number = event.unit.unit_no - _FIRST - _PERIOD + first
        if number >= _FIRST + flight.units:
            continue
        d = event.unit.descriptors
        told = None if d is None else unit_of(flight, number).descriptors
        later = event.now + round((first - _FIRST - _PERIOD) * flight.unit_s * SECOND)
        unit = replace(event.unit, unit_no=number, descriptors=told)
        made = replace(event, unit=unit, now=later)
        archive.record(session, made)
        note_unit(archive, session, made)


def replay_start(path: Path) -> tuple[float, float, float]:
    """Seconds to the first picture in a new process: (from opening, of them processor time, from the
    program's start)."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from gvc_base.replay.view import ReplayOptions, ReplayView\n"
        "t, c = time.perf_counter(), time.process_time()\n"
        "view = ReplayView(Path(sys.argv[1]), ReplayOptions())\n"
        "drone = view.drones()[0].drone_id\n"
        "while view.shown(drone, wait_s=1.0) is None: pass\n"
        "print(time.perf_counter() - t, time.process_time() - c); view.close()"
    )
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        inside, used = map(float, run.stdout.readline().split())
        whole = time.perf_counter() - began
    return inside, used, whole


def seek_times(path: Path, count: int) -> tuple[list[float], list[float]]:
    """Seconds from a jump to its picture, at places all over the flight, sorted; and the processor's
    time of each, with what is read of the archive meanwhile."""
    view = ReplayView(path, ReplayOptions())
    try:
        drone = view.drones()[0].drone_id
        stream = view._streams[drone]
        while view.shown(drone, wait_s=1.0) is None:
            pass
        rng, times, used = random.Random(1), [], []
        first, last = view.clock.first_ns + 60 * SECOND, view.clock.last_ns - 10 * SECOND
        for _ in range(count):
            place = rng.randrange(first, last)
            at = stream.drone.at(place)
            while not stream.drone.units[at].described:
                at -= 1
            wanted = stream.drone.units[at].unit_no
            began, used_before = time.perf_counter(), time.process_time()
            view.seek(place)
            while (scene := stream.screen.scene()) is None or scene.frame.unit_no != wanted:
                time.sleep(0.001)
                if time.perf_counter() - began > _GIVE_UP_S:
                    raise SystemExit(f"a seek to unit {wanted} never showed it")
            times.append(time.perf_counter() - began)
            used.append(time.process_time() - used_before)
        return sorted(times), sorted(used)
    finally:
        view.close()


def kills(folder: Path, count: int) -> int:
    """Kill the writer at random moments; returns how many acknowledged rows there were, all kept."""
    rng, acknowledged, total = random.Random(20), 0, 0
    for life in range(count):
        path = folder / f"crash-{life // 10}.db"
        acknowledged = run_and_kill(path, life, rng.uniform(0.0, 0.12))
        kept = rows_of(path)
        if not acknowledged <= kept <= acknowledged + 40:
            raise SystemExit(f"kill {life}: {acknowledged} rows acknowledged, {kept} on disk")
        if life % 10 == 9 or life == count - 1:
            total += kept
    return total


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything, printed as it comes."""
    path = folder / "mission.db"
    flight = Flight(units=round(options.hours * 3600), codec_units=_clip())
    began, there = time.perf_counter(), path.exists()
    if not there:
        synthesise(path, flight)
    how = "kept from before" if there else f"written in {time.perf_counter() - began:.0f} s"
    size = path.stat().st_size
    with Archive.open_readonly(path) as archive:
        rows = archive.last_id
    print(f"{options.hours:g} h, synthetic: {flight.units} units, {rows} datagrams, {size / 1e6:.1f} MB "
          f"({size / rows:.0f} bytes a datagram), {how}", flush=True)  # fmt: skip
    began = time.perf_counter()
    found = verify_archive(path)
    print(f"verify: {'whole' if found.whole else found.problems[0]}, {found.state}, "
          f"{time.perf_counter() - began:.1f} s", flush=True)  # fmt: skip
    if options.check:
        differ = derived_problems(path, None)[0]
        print(f"received anew: {differ[:3] or 'the same units'}", flush=True)
    starts = [replay_start(path) for _ in range(5)]
    start = [statistics.median(column) for column in zip(*starts, strict=True)]
    print(f"replay: first picture {start[0]:.2f} s after opening (target {START_TARGET_S:g}), "
          f"processor {start[1]:.2f} s; {start[2]:.2f} s with the program's start; median of 5",
          flush=True)  # fmt: skip
    seeks, used = seek_times(path, options.seeks)
    at_95 = len(seeks) * 95 // 100
    told = {"median": statistics.median(seeks), "p95": seeks[at_95], "worst": seeks[-1]}
    print(f"seek, {len(seeks)} places: median {told['median']:.3f} s, 95 % {told['p95']:.3f} s, worst "
          f"{told['worst']:.3f} s (target {SEEK_TARGET_S:g}), processor: median "
          f"{statistics.median(used):.3f} s, worst {used[-1]:.3f} s", flush=True)  # fmt: skip
    kept = kills(folder, options.kills)
    load = os.getloadavg()[1]
    print(
        f"load of this machine meanwhile: {load:.0f} processes on {os.cpu_count()} cores",
        flush=True,
    )
    print(f"kill -9, {options.kills} times: {kept} rows kept, no acknowledged one lost", flush=True)
    return {
        "processor": processor(), "hours": options.hours, "datagrams": rows, "bytes": size,
        "start_s": start, "seek_s": told, "kills": options.kills, "load": load,
    }  # fmt: skip


def _clip() -> tuple[EncodedUnit, ...]:
    return clip_units()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--seeks", type=int, default=100)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument(
        "--check", action="store_true", help="receive all of it and compare; minutes"
    )
    parser.add_argument("--keep", type=Path, help="keep the archive there, and use it again")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="gvc-bench-archive-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        report = measure(folder, options)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "archive.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
