"""The two programs as processes of a test, and what they log."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["SCENE", "SECONDS", "Started", "port_of", "start_base", "start_edge", "wait_for"]

SECONDS = 120  # decoding fills the whole scene, so a long one costs time
SCENE = f"synthetic:flood?seed=5&seconds={SECONDS}&size=320x192&fps=10"
Started = Callable[..., subprocess.Popen[str]]


def wait_for(log: Path, word: str, limit_s: float = 60) -> str:
    """The first line of a log that holds the word."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        text = log.read_text(errors="replace") if log.exists() else ""
        for line in text.splitlines():
            if word in line:
                return line
        time.sleep(0.1)
    raise AssertionError(f"{word!r} did not come: {log.read_text()[-2000:]}")


def start_base(start: Started, folder: Path, *more: object, link: str = "udp://127.0.0.1:0") -> Any:
    return start("base", "gvc_base", "run", "--link", link, "--archive", folder / "m.db",
                 "--state", folder / "base-state", "--no-console", *more)  # fmt: skip


def start_edge(start: Started, folder: Path, link: str, *more: object) -> Any:
    return start("edge", "gvc_edge", "run", "--config", "none", "--source", SCENE, "--link", link,
                 "--latency", 1, "--codec", "classical", "--objects", "none",
                 "--state", folder / "edge-state", *more)  # fmt: skip


def port_of(folder: Path) -> int:
    line = wait_for(folder / "base.log", "listening on udp port")
    return int(line.split("udp port ")[1].split(",")[0])
