"""The real program on a real terminal: a pty of 80x24, watched until it sends, ended by Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from tests.edge.clips import write_clip

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A program in a terminal. `seen` is all that it wrote."""

    def __init__(self, *args: object) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
        for name in ("NO_COLOR", "COLUMNS", "LINES"):
            environment.pop(name, None)
        command = [sys.executable, "-m", "gvc_edge", *map(str, args)]
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    def read_until(self, words: str, limit_s: float = 90) -> None:
        end = time.monotonic() + limit_s
        while words not in _SEQUENCE.sub("", self.seen):
            assert time.monotonic() < end, f"{words!r} did not come: {self.seen[-3000:]!r}"
            ready, _, _ = select.select([self._master], [], [], 0.2)
            if ready and not self._read():
                raise AssertionError(f"ended before {words!r}: {self.seen[-3000:]!r}")

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def end(self) -> int:
        while self._read():
            pass
        os.close(self._master)
        return self._process.wait(60)

    def _read(self) -> bool:
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # the program closed its side
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)


def test_the_live_screen_on_a_terminal(tmp_path: Path) -> None:
    terminal = Terminal(
        "run", "--config", "none", "--source", write_clip(tmp_path / "a.mkv", seconds=60),
        "--link", f"file:{tmp_path / 'x.pcap'}", "--profile", "udp", "--bps", 30_000, "--latency", 1,
        "--codec", "classical", "--objects", "none", "--no-verify", "--state", tmp_path / "state",
    )  # fmt: skip
    terminal.read_until("STARTING")
    terminal.read_until("one-way radio")
    terminal.read_until("SENDING")
    terminal.read_until("frames sent")
    terminal.press(b"\x03")
    assert terminal.end() == 0
    screen, back, after = terminal.seen.rpartition("\x1b[?1049l")
    assert back and "\x1b[?1049h" in screen, "the screen is given back as it was"
    assert "unauthenticated" in screen and "▀" in screen
    # What was said stays readable, and the report comes last.
    assert "sending on file:" in after and "bytes on the air" in after.strip().splitlines()[-1]
    assert "Traceback" not in terminal.seen


def test_plain_lines_on_a_terminal(tmp_path: Path) -> None:
    terminal = Terminal(
        "run", "--config", "none", "--source", "v4l2:/dev/video_none", "--link", "udp://127.0.0.1:9",
        "--profile", "udp", "--state", tmp_path / "state", "--plain",
    )  # fmt: skip
    terminal.read_until("state: NO CAMERA; no such camera: /dev/video_none -> plug it in")
    terminal.press(b"\x03")
    assert terminal.end() == 0
    assert "\x1b[" not in terminal.seen and "stopped before anything was sent" in terminal.seen
    assert not list(tmp_path.rglob("boot-counter")), (
        "a start without anything to send has no number"
    )


def test_long_work_shows_how_far_it_is(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", seconds=2)
    terminal = Terminal("render", clip, "--out", tmp_path / "x.mp4")
    terminal.read_until("rendering")
    terminal.read_until("/20 frames")
    assert terminal.end() == 0 and (tmp_path / "x.mp4").exists()
