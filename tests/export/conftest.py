"""One short recorded mission with telemetry, losses, a gap and an object, for all exports."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gvc_base.cli import main
from tests.replay.flown import Flight, fly

GROUND_M = 540.0
"The flight's camera is at 600 m."


@pytest.fixture(scope="session")
def mission(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Units 0, 2, 4 whole; of 1 and 5 a part; of 3 nothing. An object in 1 and 5."""
    path = tmp_path_factory.mktemp("mission") / "flight.db"
    fly(path, Flight(units=6, lost_units=(3,), loss=0.35, seed=2))
    return path


@pytest.fixture(scope="session")
def placeless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mission of two units without telemetry, as left by a base that derived nothing."""
    path = tmp_path_factory.mktemp("placeless") / "flight.db"
    fly(path, Flight(units=2, telemetry=False), derive=False)
    return path


Program = Callable[..., tuple[int, str, str]]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    """program(*words) runs `gvc-base` here: (exit code, what it printed, what it complained)."""

    def run(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gvc-base", *map(str, words)])
        capsys.readouterr()
        try:
            main()
            code: int | str | None = 0
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        return int(code or 0), out, err

    return run
