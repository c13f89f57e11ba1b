"""The two programs as processes of a test, and what they log."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from gvc_edge.sources.flood import FloodSource, parse_flood_query

__all__ = [
    "FPS", "SECONDS", "Started", "port_of", "start_base", "start_edge", "wait_for", "write_scene",
]  # fmt: skip

SECONDS, FPS = 120, 5
"Longer than a loaded machine needs for a test, of few pictures: decoding fills the whole scene."
Started = Callable[..., subprocess.Popen[str]]


def write_scene(path: Path) -> None:
    """160x96, lossless: a look at one picture of the flood that wanders to and fro.

    Drawing the flood itself beside the programs would take a core of the machine all the time, and
    coding four times the pixels half a core.
    """
    query = parse_flood_query("seed=5&seconds=1&size=448x256&fps=1")
    wide = FloodSource(query, start_us=0, seconds=None, crop_even=False).render(0)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=Fraction(FPS))
        stream.width, stream.height, stream.pix_fmt = 160, 96, "bgr0"
        for number in range(SECONDS * FPS):
            x, y = (2 * number) % 256, number % 128
            x, y = min(x, 256 - x), min(y, 128 - y)
            view = wide[y : y + 96, x : x + 160]
            out.mux(stream.encode(av.VideoFrame.from_ndarray(view.copy(), "bgr24")))
        out.mux(stream.encode(None))


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


def start_edge(start: Started, scene: Path, folder: Path, link: str, *more: object) -> Any:
    return start("edge", "gvc_edge", "run", "--config", "none", "--source", scene, "--link", link,
                 "--latency", 1, "--codec", "classical", "--objects", "none",
                 "--state", folder / "edge-state", *more)  # fmt: skip


def port_of(folder: Path) -> int:
    line = wait_for(folder / "base.log", "listening on udp port")
    return int(line.split("udp port ")[1].split(",")[0])
