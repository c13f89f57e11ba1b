"""Live programs: rehearsal over a pty and over UDP, and a base that is killed ten times."""

from __future__ import annotations

import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gvc_base.video import probe, read_video
from gvc_protocol.pcap import Record, read_records
from tests.e2e.conftest import Ran


@pytest.mark.parametrize("profile", ["sik-64", "udp"])
def test_rehearsal_crosses_a_bad_link(
    profile: str, clip: Path, tmp_path: Path, base: Callable[..., Ran]
) -> None:
    """sik-64 goes through a pty pair as a byte stream, udp through a socket, with the quick codec."""
    udp = profile == "udp"
    more = ["--bps", 40_000, "--codec", "classical"] if udp else []
    ran = base(
        "rehearse", clip, "--profile", profile, "--loss", 0.2 if udp else 0.1, "--burst", 2, "--seed", 1,
        "--out", tmp_path, "--latency", 1, "--seconds", 4, "--quality", "preview", "--json", *more,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    report = ran.json
    assert report["edge"]["units_sent"] == 4
    assert report["base"]["frames"] == 20
    assert 0 < report["base"]["packets_lost"] < report["edge"]["packets_sent"]
    assert report["base"]["units_whole"] >= 2
    assert report["edge"]["air_bps"] <= report["edge"]["rate_bps"]
    assert probe(Path(report["side_by_side"])).frames == 20
    assert cv2.imread(report["sheet"]) is not None
    stored = sqlite3.connect(report["archive"]).execute("SELECT sum(length(data)) FROM datagrams")
    assert stored.fetchone()[0] == report["base"]["air_bytes"]


class Killed:
    """Runs of `gvc-base run --acks` over one archive, each ended by SIGKILL."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self.acknowledged = 0

    def start(self, port: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "gvc_base", "run", "--link", f"udp://127.0.0.1:{port}"]
        command += ["--profile", "udp", "--archive", str(self.archive), "--acks", "--no-console"]
        base = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert base.stderr is not None
        for line in base.stderr:
            if "listening" in line:
                return base
        raise AssertionError("the base did not start")

    def kill(self, base: subprocess.Popen[str]) -> None:
        base.send_signal(signal.SIGKILL)
        out, _ = base.communicate()
        acks = [int(m) for m in re.findall(r"^ack (\d+)$", out, re.MULTILINE)]
        self.acknowledged = max([self.acknowledged, *acks])


def test_ten_kills_lose_nothing_acknowledged(
    capture: tuple[Path, dict[str, Any]], tmp_path: Path, base_here: Callable[..., Ran]
) -> None:
    with capture[0].open("rb") as file:
        records: list[Record] = list(read_records(file, name="x"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        port = probe_socket.getsockname()[1]
    dice = random.Random(5)
    mission = Killed(tmp_path / "mission.db")
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sent = iter(records)
    for _ in range(10):
        process = mission.start(port)
        for record in [r for r, _ in zip(sent, range(len(records) // 10), strict=False)]:
            sender.sendto(record.data, ("127.0.0.1", port))
            time.sleep(dice.uniform(0, 0.02))
        mission.kill(process)
        db = sqlite3.connect(mission.archive)
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        ids = [row[0] for row in db.execute("SELECT id FROM datagrams ORDER BY id")]
        assert set(range(1, mission.acknowledged + 1)) <= set(ids)
        known = {r.data for r in records}
        assert all(row[0] in known for row in db.execute("SELECT data FROM datagrams"))
        db.close()
    assert mission.acknowledged > len(records) // 2
    _same_pictures_twice(mission.archive, tmp_path, base_here)


def _same_pictures_twice(archive: Path, folder: Path, base: Callable[..., Ran]) -> None:
    """A fresh decode of what the kills left gives the same pictures and marks each time."""
    made = []
    for name in ("a", "b"):
        out = folder / f"{name}.mp4"
        ran = base("decode", archive, "--out", out, "--marks", folder / f"{name}.npz",
                   "--quality", "preview")  # fmt: skip
        assert ran.code == 0, ran.err
        made.append((list(read_video(out)), np.load(folder / f"{name}.npz")["mark"]))
    assert all(np.array_equal(x, y) for x, y in zip(made[0][0], made[1][0], strict=True))
    assert np.array_equal(made[0][1], made[1][1])
