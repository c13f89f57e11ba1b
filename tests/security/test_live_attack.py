"""The real programs under attack over the loopback: forgeries, replays and a flood beside a mission."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from gvc_base.video import read_video
from gvc_protocol.wire import Datagram
from tests.e2e.conftest import Ran, run

SOURCE = "synthetic:flood?seed=3&seconds=6&size=160x96&fps=5"
FLOOD = 1500
"Datagrams of the attacker, 200 a second, about ten times what the edge may send."


class Attacker(threading.Thread):
    """Sits between edge and base: passes all on, and sends what it makes of it. It has no key."""

    def __init__(self, base_port: int) -> None:
        super().__init__(daemon=True)
        self._in = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._in.bind(("127.0.0.1", 0))
        self._in.settimeout(0.01)
        self._to = ("127.0.0.1", base_port)
        self.port: int = self._in.getsockname()[1]
        self.passed: list[bytes] = []
        "What the edge sent."
        self.sent = 0
        self.over = threading.Event()

    def run(self) -> None:
        dice = random.Random(1)
        until, edge = time.monotonic() + 60, None
        while not self.over.is_set() and time.monotonic() < until:
            try:
                packet, sender = self._in.recvfrom(2048)
            except TimeoutError:
                packet, sender = b"", None
            if packet and sender == self._to:
                if edge is not None:
                    self._in.sendto(packet, edge)
            elif packet:
                edge = sender
                self.passed.append(packet)
                self._in.sendto(packet, self._to)
            if self.passed:
                for _ in range(2):
                    self._bad(dice)
        self._in.close()

    def _bad(self, dice: random.Random) -> None:
        if self.sent >= FLOOD:
            return
        d = Datagram.unpack(dice.choice(self.passed))
        assert isinstance(d, Datagram)
        made = dice.choice((
            replace(d, payload=dice.randbytes(len(d.payload))),
            replace(d, tag=dice.randbytes(8), seq=dice.randrange(1 << 24)),
            replace(d, tag=b"", encrypted=False, unit_no=dice.randrange(50)),
            replace(d, boot_id=d.boot_id + 1), replace(d, from_base=True), d,
        ))  # fmt: skip
        self.sent += 1
        self._in.sendto(made.pack(), self._to)


def wait_for(stream: IO[str], pattern: str, lines: list[str]) -> re.Match[str]:
    for line in stream:
        lines.append(line)
        if found := re.search(pattern, line):
            return found
    raise AssertionError("".join(lines))


def fly(folder: Path, key: Path) -> tuple[dict[str, Any], dict[str, Any], str, Attacker]:
    """Edge -> attacker -> base. Returns both reports, what the base said, and the attacker."""
    module = [sys.executable, "-m"]
    base = subprocess.Popen(
        [*module, "gvc_base", "run", "--link", "udp://127.0.0.1:0", "--profile", "udp", "--json",
         "--no-console",
         "--archive", str(folder / "m.db"), "--key", str(key), "--state", str(folder / "base")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert base.stderr is not None
    said: list[str] = []
    attacker = None
    try:
        port = int(wait_for(base.stderr, r"listening on udp port (\d+)", said)[1])
        attacker = Attacker(port)
        attacker.start()
        edge = run(
            "gvc_edge", "run", "--config", "none", "--source", SOURCE, "--link", f"udp://127.0.0.1:{attacker.port}",
            "--profile", "udp", "--bps", 20_000, "--latency", 1, "--codec", "classical",
            "--objects", "none", "--key", key, "--state", folder / "edge", "--json",
        )  # fmt: skip
        assert edge.code == 0, edge.err
        assert f"authenticated (key {fingerprint(key)})" in edge.err
        deadline = time.monotonic() + 20
        while attacker.sent < FLOOD and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)
    finally:
        if attacker is not None:
            attacker.over.set()
            attacker.join(5)
        base.send_signal(signal.SIGINT)
        out, err = base.communicate(timeout=60)
    assert base.returncode == 0, err
    return edge.json, json.loads(out.splitlines()[-1]), "".join(said) + err, attacker


@cache
def fingerprint(key: Path) -> str:
    return run("gvc_base", "keys", "show", key).out.split()[2]


def decoded(archive: Path, key: Path | None, name: str) -> tuple[Any, dict[str, Any]]:
    out = archive.with_name(name)
    more = [] if key is None else ["--key", key]
    ran = run("gvc_base", "decode", archive, "--out", out, "--clean", "--quality", "preview", "--json",
              *more)  # fmt: skip
    assert ran.code == 0, ran.err
    return np.stack(list(read_video(out))), ran.json


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "link.key"
    made = run("gvc_edge", "keys", "new", path)
    assert made.code == 0, made.err
    return path


def test_a_mission_under_attack_shows_the_true_pictures(key: Path, tmp_path: Path) -> None:
    edge, report, said, attacker = fly(tmp_path, key)
    label = f"authenticated (key {fingerprint(key)})"
    assert edge["authenticated"] and edge["key"] == report["key"] == fingerprint(key)
    assert label in said and "unauthenticated" not in said
    assert "refused, and counted" in said and "with a wrong tag" in said
    # Everything true, nothing else. On a busy machine the kernel may drop packets of a flood, so
    # counts are compared with what the archive holds.
    assert report["units_whole"] == edge["units_sent"] and report["units_degraded"] == 0
    assert edge["packets_sent"] == len(attacker.passed)
    assert 0.9 * edge["packets_sent"] <= report["packets_received"] <= edge["packets_sent"]
    with closing(sqlite3.connect(tmp_path / "m.db")) as db:
        stored = db.execute("SELECT count(*) FROM datagrams").fetchone()[0]
        session = db.execute("SELECT authenticated, key_fingerprint FROM sessions").fetchone()
        units = db.execute("SELECT count(*), sum(whole), sum(authenticated) FROM units").fetchone()
        rows = db.execute("SELECT count(*) FROM events").fetchone()[0]
        boots = db.execute("SELECT DISTINCT boot_id FROM units").fetchall()
    refused = report["packets_rejected"]
    assert attacker.sent == FLOOD and stored > FLOOD // 2
    assert (
        report["packets_received"] + report["packets_duplicate"] + sum(refused.values()) == stored
    )
    assert {"bad_tag", "no_tag", "wrong_direction"} <= set(refused)
    assert session == (1, fingerprint(key)) and len(boots) == 1
    assert units == (edge["units_sent"],) * 3
    assert rows < 33 * 60

    pictures, again = decoded(tmp_path / "m.db", key, "true.mp4")
    assert again["authenticated"] and again["units_whole"] == edge["units_sent"]
    assert again["packets_rejected"] == refused
    # The true packets alone, as a second base would have heard them without an attacker.
    with closing(sqlite3.connect(tmp_path / "m.db")) as db:
        db.execute("CREATE TEMP TABLE keep AS SELECT min(id) AS id FROM datagrams GROUP BY data")
        known = set(attacker.passed)
        for row, data in db.execute("SELECT id, data FROM datagrams").fetchall():
            if data not in known:
                db.execute("DELETE FROM datagrams WHERE id = ?", (row,))
        db.execute("DELETE FROM datagrams WHERE id NOT IN (SELECT id FROM keep)")
        db.commit()
    clean, _ = decoded(tmp_path / "m.db", key, "clean.mp4")
    assert np.array_equal(pictures, clean)


def test_the_key_is_nowhere_but_in_its_file(
    key: Path, tmp_path: Path, edge_here: Callable[..., Ran]
) -> None:
    lines = [line for line in key.read_text().splitlines() if not line.startswith("#")]
    shown = [run("gvc_edge", "keys", "show", key), run("gvc_base", "keys", "show", key)]
    shown.append(run("gvc_base", "keys", "import", key, "--to", tmp_path / "copy.key"))
    assert (tmp_path / "copy.key").read_text() == key.read_text()
    made = edge_here(
        "encode", "synthetic:flood?seconds=1&size=160x96&fps=10", "--profile", "sik-64",
        "--codec", "classical", "--objects", "none", "--latency", 1, "--start", 0, "--quick", "--key",
        key, "--out", tmp_path / "x.pcap", "--state", tmp_path, "--json",
    )  # fmt: skip
    shown.append(made)
    for ran in shown:
        assert ran.code == 0, ran.err
        assert not any(line in ran.out + ran.err for line in lines)
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "copy.key":
            assert not any(line.encode() in path.read_bytes() for line in lines)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--key", "absent.key"], "no such key file"),
        (["--encrypt"], "--encrypt needs a key"),
        (["--key", "{open}"], "chmod 600"),
        (["--key", "{key}", "--boot", "3"], "leave --boot out"),
        (["--key", "{key}", "--state", "{used}"], "make a new key"),
    ],
)
def test_bad_keys_are_one_line(
    args: list[str], said: str, key: Path, tmp_path: Path, edge_here: Callable[..., Ran]
) -> None:
    readable, used, copy = tmp_path / "open.key", tmp_path / "used", tmp_path / "c.key"
    for path in (readable, copy):
        path.write_text(key.read_text())
        path.chmod(0o600)
    readable.chmod(0o644)
    used.mkdir()
    (used / f"boot-counter-{fingerprint(key)}").write_text("65535\n")
    filled = [a.format(open=readable, key=copy, used=used) for a in args]
    ran = edge_here(
        "encode", "synthetic:flood?seconds=1&size=160x96&fps=10", "--profile", "sik-64",
        "--codec", "classical", "--objects", "none", "--out", tmp_path / "x.pcap", *filled,
    )  # fmt: skip
    assert said in ran.error_line and not (tmp_path / "x.pcap").exists()
