"""How a mission ends: ctrl-c, an archive that is closed and signed, one line that says so."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gvc_base import run_cli
from gvc_base.archive_verify import verify_archive
from gvc_base.cli import app


@pytest.fixture
def signals() -> Iterator[None]:
    """What the command does to this process's signals is undone."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, what in kept.items():
        signal.signal(number, what)


def run(folder: Path, *more: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a mission that is ended as soon as it listens."""
    done = CliRunner().invoke(
        app,
        ["run", "--link", "udp://127.0.0.1:0", "-p", "udp", "--archive", str(folder / "m.db"),
         "--state", str(folder / "state"), "--no-console", *more],
    )  # fmt: skip
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch, signals: None) -> None:
    say = run_cli._say

    def said(line: str) -> None:
        say(line)
        if line.startswith("listening on"):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(run_cli, "_say", said)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_closes_and_signs_the_archive_and_says_so_in_a_line(tmp_path: Path) -> None:
    code, out, err = run(tmp_path)
    assert code == 0
    (line,) = out.splitlines()
    assert line.startswith(f"{tmp_path / 'm.db'}: closed, signed by ")
    assert "units whole 0, degraded 0, lost 0" in line
    assert "ending:" in err and f"gvc-base replay {tmp_path / 'm.db'}" in err
    assert not (tmp_path / "m.db-wal").exists(), "the log is folded into the one file"
    assert verify_archive(tmp_path / "m.db").problems == []
    # The same file goes on with the next mission.
    code, out, _ = run(tmp_path, "--json")
    assert code == 0 and json.loads(out)["out"] == str(tmp_path / "m.db")
