"""End-to-end helpers: the real commands, as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import Started, write_scene
from tests.shared import made_once


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


def run(*args: object, timeout: float = 300) -> Ran:
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


def _here(
    program: str, capfd: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """The same as `run` without a process: what the program and its libraries write is caught, too."""

    def run_here(*args: object) -> Ran:
        patch.setattr(sys, "argv", [program.replace("_", "-"), *map(str, args)])
        capfd.readouterr()
        code = 0
        try:
            import_module(f"{program}.cli").main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Ran(code, *capfd.readouterr())

    return run_here


@pytest.fixture
def edge_here(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    return _here("gvc_edge", capfd, monkeypatch)


@pytest.fixture
def base_here(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    return _here("gvc_base", capfd, monkeypatch)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, edge: Callable[..., Ran]) -> Path:
    """Six seconds of the synthetic flood, small, as a video file."""

    def make(folder: Path) -> None:
        url = "synthetic:flood?seed=3&seconds=6&size=320x192&fps=5"
        made = edge("render", url, "--out", folder / "flood.mp4")
        assert made.code == 0, made.err

    return made_once(tmp_path_factory, "e2e-clip", make) / "flood.mp4"


@pytest.fixture(scope="session")
def capture(
    clip: Path, tmp_path_factory: pytest.TempPathFactory, edge: Callable[..., Ran]
) -> tuple[Path, dict[str, Any]]:
    """The clip as it leaves for a sik-64 radio, and the edge's report."""

    def make(folder: Path) -> None:
        made = edge("encode", clip, "--profile", "sik-64", "--out", folder / "flood.pcap",
                    "--start", "0", "--quick", "--json")  # fmt: skip
        assert made.code == 0, made.err
        (folder / "report.json").write_text(json.dumps(made.json))

    folder = made_once(tmp_path_factory, "e2e-capture", make)
    return folder / "flood.pcap", json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a live edge sees: `SECONDS` at `FPS`."""
    folder = made_once(tmp_path_factory, "e2e-scene", lambda f: write_scene(f / "scene.mkv"))
    return folder / "scene.mkv"


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
