"""Units that a cut link lost come later and decode whole in their place; texts from the edge arrive."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Ran
from tests.e2e.programs import SECONDS, Started, port_of, start_base, start_edge, wait_for


class Relay:
    """UDP from an edge to a base and back; while `cut` is set it drops everything.

    `dropped` counts what was lost of the edge's.
    """

    def __init__(self, base_port: int) -> None:
        self._base = ("127.0.0.1", base_port)
        self._sides = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for side in self._sides:
            side.bind(("127.0.0.1", 0))
            side.settimeout(0.05)
        self.port = int(self._sides[0].getsockname()[1])
        self.cut, self._stop = threading.Event(), threading.Event()
        self._edge: Any = None
        self.dropped = 0
        self._threads = [threading.Thread(target=self._loop, args=(i,)) for i in (0, 1)]
        for thread in self._threads:
            thread.start()

    def _loop(self, number: int) -> None:
        while not self._stop.is_set():
            with suppress(TimeoutError, ConnectionError):
                data, peer = self._sides[number].recvfrom(65_535)
                if number == 0:
                    self._edge = peer
                to = self._base if number == 0 else self._edge
                if self.cut.is_set():
                    self.dropped += number == 0
                elif to is not None:
                    self._sides[1 - number].sendto(data, to)

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for side in self._sides:
            side.close()


@pytest.fixture
def relays() -> Iterator[list[Relay]]:
    made: list[Relay] = []
    yield made
    for relay in made:
        relay.close()


def test_what_a_cut_lost_comes_later(
    tmp_path: Path, key: Path, scene: Path, start: Started, base: Callable[..., Ran],
    edge: Callable[..., Ran], relays: list[Relay],
) -> None:  # fmt: skip
    archive = tmp_path / "m.db"
    running = start_base(start, tmp_path, "--profile", "udp", "--key", key)
    relay = Relay(port_of(tmp_path))
    relays.append(relay)
    link = f"udp://127.0.0.1:{relay.port}"
    flying = start_edge(
        start, scene, tmp_path, link, "--profile", "udp", "--bps", 60_000, "--key", key
    )
    wait_for(tmp_path / "base.log", "unit 3 of stream 1: whole")
    relay.cut.set()
    end = time.monotonic() + 3
    # At least two units, of some ten packets each, also where the machine is too busy for one a second.
    while time.monotonic() < end or relay.dropped < 25:
        time.sleep(0.05)
    relay.cut.clear()
    wait_for(tmp_path / "base.log", "recovered, for the record")

    state = tmp_path / "edge-state"
    assert stat.S_IMODE((state / "edge.sock").stat().st_mode) == 0o600
    said = edge("say", "Brücke\x1b gesperrt", "--state", state)
    assert said.code == 0, said.err
    wait_for(tmp_path / "base.log", "message from the edge: Brücke  gesperrt")
    wait_for(tmp_path / "edge.log", "the base has your message")

    until = time.monotonic() + 40
    while _missing(archive) and time.monotonic() < until:
        time.sleep(0.5)
    flying.send_signal(signal.SIGINT)
    flying.wait(timeout=30)
    running.send_signal(signal.SIGINT)
    running.wait(timeout=60)
    later = [(e["boot"], e["unit"]) for e in _events(archive, "unit_recovered") if e["whole"]]
    assert len(later) >= 2 and len(set(later)) == len(later)
    assert [e["text"] for e in _events(archive, "text_received")] == ["Brücke  gesperrt"]

    out = base("decode", archive, "--out", tmp_path / "v.mp4", "--key", key, "--quality", "preview",
               "--json")  # fmt: skip
    assert out.code == 0, out.err
    # The source goes on for SECONDS units of a second; all that were sent are there, and whole. The last
    # one is short, so that the rest may be one more.
    unsent = SECONDS - _sent(archive)
    assert out.json["units_degraded"] == 0 and out.json["units_lost"] - unsent in (0, 1)
    without = base("decode", archive, "--out", tmp_path / "w.mp4", "--quality", "preview", "--json")
    assert without.json["units_lost"] + without.json["units_degraded"] >= unsent + 2


def _sent(archive: Path) -> int:
    with sqlite3.connect(f"file:{archive}?mode=ro", uri=True) as db:
        return int(db.execute("SELECT max(unit_no) + 1 FROM units").fetchone()[0])


def _missing(archive: Path) -> bool:
    """Whether any unit below the newest is neither whole nor recovered."""
    with sqlite3.connect(f"file:{archive}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT unit_no FROM units WHERE whole = 1").fetchall()
    have = {row[0] for row in rows} | {e["unit"] for e in _events(archive, "unit_recovered")}
    return have != set(range(max(have) + 1))


def _events(archive: Path, kind: str) -> list[Any]:
    with sqlite3.connect(f"file:{archive}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT detail FROM events WHERE kind = ?", (kind,)).fetchall()
    return [json.loads(row[0]) for row in rows]


def test_nobody_to_say_it_to(tmp_path: Path, edge: Callable[..., Ran]) -> None:
    assert "no edge with a way back" in edge("say", "hello", "--state", tmp_path).error_line
    assert "1 to 1000 bytes" in edge("say", " ", "--state", tmp_path).error_line
