"""End-to-end helpers: the real commands, as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import Started


@dataclass(frozen=True)
class Ran:
    """What a command printed and returned."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.out.strip().splitlines()[-1])
        return report

    @property
    def error_line(self) -> str:
        """The one line of a refused command; asserts that it is one."""
        assert self.code == 2, (self.code, self.err)
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err + self.out
        return lines[0]


def run(*args: object, timeout: float = 120) -> Ran:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, args)], capture_output=True, text=True, timeout=timeout
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def edge() -> Callable[..., Ran]:
    return lambda *args, **kw: run("gvc_edge", *args, **kw)


@pytest.fixture(scope="session")
def base() -> Callable[..., Ran]:
    return lambda *args, **kw: run("gvc_base", *args, **kw)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, edge: Callable[..., Ran]) -> Path:
    """Six seconds of the synthetic flood, small, as a video file."""
    path = tmp_path_factory.mktemp("clip") / "flood.mp4"
    made = edge("render", "synthetic:flood?seed=3&seconds=6&size=320x192&fps=15", "--out", path)
    assert made.code == 0, made.err
    return path


@pytest.fixture(scope="session")
def capture(clip: Path, edge: Callable[..., Ran]) -> tuple[Path, dict[str, Any]]:
    """The clip as it leaves for a sik-64 radio, and the edge's report."""
    path = clip.with_suffix(".pcap")
    made = edge("encode", clip, "--profile", "sik-64", "--out", path, "--start", "0", "--json")
    assert made.code == 0, made.err
    return path, made.json


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Started]:
    """Start a program; its stderr goes to NAME.log in the folder. All are ended with the test."""
    running: list[subprocess.Popen[str]] = []

    def begin(name: str, *args: object) -> subprocess.Popen[str]:
        with (tmp_path / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *map(str, args)], stdout=subprocess.DEVNULL, stderr=log,
                text=True,
            )  # fmt: skip
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def key(tmp_path: Path, edge: Callable[..., Ran]) -> Path:
    path = tmp_path / "team.key"
    made = edge("keys", "new", path)
    assert made.code == 0, made.err
    return path
