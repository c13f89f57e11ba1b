"""Bad input: one clear line, exit code 2, nothing lost, never a traceback.

Most of it without a process each; the last test holds both ways to the same answer.
"""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gvc_base import rehearse
from tests.e2e.conftest import Ran

Command = Callable[..., Ran]


def video(path: Path, width: int, height: int, *, audio_only: bool = False) -> Path:
    with av.open(str(path), "w") as out:
        if audio_only:
            stream = out.add_stream("aac", rate=8000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate = 8000
        else:
            stream = out.add_stream("libx264", rate=Fraction(15))
            # yuv444p and lossless settings take odd sizes, which 4:2:0 does not.
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
            frame = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), np.uint8), "bgr24")
        for _ in range(4):
            frame.pts = None
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d, c: d / "nowhere.mp4", "no such file"),
        (lambda d, c: _write(d / "empty.mp4", b""), "empty"),
        (lambda d, c: _write(d / "cut.mp4", c.read_bytes()[:2000]), "cut.mp4"),
        (lambda d, c: _write(d / "text.mp4", b"this is no video\n" * 99), "text.mp4"),
        (lambda d, c: d, "folder"),
        (lambda d, c: video(d / "audio.mp4", 0, 0, audio_only=True), "video"),
        (lambda d, c: video(d / "tiny.mkv", 1, 1), "1x1"),
        (lambda d, c: video(d / "odd.mkv", 321, 241), "--crop-even"),
        (lambda d, c: "synthetic:fire", "synthetic"),
        (lambda d, c: "synthetic:flood?seconds=-1", "seconds"),
    ],
    ids=[
        "missing",
        "empty",
        "truncated",
        "text",
        "folder",
        "audio",
        "1x1",
        "odd",
        "scene",
        "query",
    ],
)
def test_bad_video(make: Any, words: str, clip: Path, tmp_path: Path, edge_here: Command) -> None:
    source = make(tmp_path, clip)
    out = tmp_path / "out.pcap"
    ran = edge_here("encode", source, "--profile", "sik-64", "--out", out)
    assert words in ran.error_line
    assert not out.exists()
    assert not list(tmp_path.glob("*.part"))


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_odd_size_works_with_crop_even(tmp_path: Path, edge_here: Command) -> None:
    source = video(tmp_path / "odd.mkv", 321, 241)
    ran = edge_here(
        "encode", source, "--profile", "udp", "--out", tmp_path / "o.pcap", "--crop-even", "--json"
    )
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--profile", "nope"], "sik-64"),
        (["--profile", "udp", "--bps", "30"], "too small"),
        (["--profile", "udp", "--bps", "-5"], "bps"),
        (["--profile", "sik-64", "--bps", "900000"], "sik-64"),
        (["--profile", "sik-64", "--fec", "lots"], "--fec"),
        (["--profile", "sik-64", "--latency", "60"], "--latency"),
        (["--profile", "sik-64", "--stream", "70000"], "--stream"),
    ],
)
def test_bad_options(
    options: list[str], words: str, clip: Path, tmp_path: Path, edge_here: Command
) -> None:
    ran = edge_here("encode", clip, "--out", tmp_path / "x.pcap", *options)
    assert words in ran.error_line


def test_unwritable_output(
    clip: Path, capture: tuple[Path, Any], tmp_path: Path, edge_here: Command, base_here: Command
) -> None:
    nowhere = tmp_path / "no" / "such" / "x"
    assert "x" in edge_here("encode", clip, "--profile", "sik-64", "--out", nowhere).error_line
    assert "x" in base_here("decode", capture[0], "--out", nowhere.with_suffix(".mp4")).error_line
    assert "x" in base_here("impair", capture[0], "--out", nowhere).error_line
    ran = base_here("rehearse", clip, "--profile", "sik-64", "--out", "/proc/x")
    assert "/proc/x" in ran.error_line


def test_recordings_that_are_something_else(
    capture: tuple[Path, Any], tmp_path: Path, base_here: Command
) -> None:
    ethernet = bytearray(capture[0].read_bytes())
    ethernet[20:24] = (1).to_bytes(4, "little")
    foreign = sqlite3.connect(tmp_path / "foreign.db")
    foreign.execute("create table t(x)")
    foreign.commit(), foreign.close()
    no_datagrams = capture[0].read_bytes()[:24]
    rows = {
        "missing.pcap": (None, "no such file"),
        "empty.pcap": (b"", "empty"),
        "text.pcap": (b"hello, world, this is a text", "not a capture"),
        "ethernet.pcap": (bytes(ethernet), "link type 1"),
        "nothing.pcap": (no_datagrams, "no GVC unit"),
        "foreign.db": ((tmp_path / "foreign.db").read_bytes(), "foreign.db"),
    }
    for name, (data, words) in rows.items():
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        ran = base_here("decode", path, "--out", tmp_path / "o.mp4")
        assert words in ran.error_line, name
        assert not (tmp_path / "o.mp4").exists()


def test_archive_of_another_version(
    capture: tuple[Path, Any], tmp_path: Path, base_here: Command
) -> None:
    archive = tmp_path / "m.db"
    done = base_here("decode", capture[0], "--out", tmp_path / "o.mp4", "--archive", archive,
                     "--quality", "preview")  # fmt: skip
    assert done.code == 0, done.err
    newer = tmp_path / "newer.db"
    shutil.copy(archive, newer)
    db = sqlite3.connect(newer)
    db.execute("PRAGMA user_version = 99")
    db.commit(), db.close()
    assert "version" in base_here("decode", newer, "--out", tmp_path / "p.mp4").error_line


def test_output_onto_the_input(
    capture: tuple[Path, Any], tmp_path: Path, base_here: Command
) -> None:
    copy = tmp_path / "c.pcap"
    shutil.copy(capture[0], copy)
    before = copy.read_bytes()
    assert "input" in base_here("impair", copy, "--out", copy).error_line
    assert "input" in base_here("decode", copy, "--out", copy).error_line
    assert copy.read_bytes() == before


def test_port_that_is_taken(tmp_path: Path, base_here: Command) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{taken.getsockname()[1]}"
        ran = base_here("run", "--link", url, "--profile", "udp", "--archive", tmp_path / "m.db")
    assert "in use" in ran.error_line


@pytest.mark.parametrize(
    "url", ["serial:/dev/nothing", "carrier:pigeon", "udp://host", "udp://h:99999"]
)
def test_bad_links(url: str, tmp_path: Path, base_here: Command) -> None:
    ran = base_here("run", "--link", url, "--profile", "sik-64", "--archive", tmp_path / "m.db")
    assert url.split(":")[-1] in ran.error_line


def test_impossible_channel(capture: tuple[Path, Any], tmp_path: Path, base_here: Command) -> None:
    for options, words in ((["--loss", "1.5"], "loss"), (["--burst", "0.2"], "burst")):
        ran = base_here("impair", capture[0], "--out", tmp_path / "x.pcap", *options)
        assert words in ran.error_line


def test_a_rehearsal_that_fails_is_one_line_and_code_1(
    tmp_path: Path, base_here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: rehearse.Rehearsal) -> None:
        raise rehearse.RehearsalFailedError("the edge ended with code 3")

    monkeypatch.setattr(rehearse.Rehearsal, "run", fail)
    ran = base_here("rehearse", "synthetic:flood", "--profile", "udp", "--out", tmp_path / "o")
    assert (ran.code, ran.err) == (1, "gvc-base: the edge ended with code 3\n")


def test_a_process_says_the_same(
    capture: tuple[Path, Any], clip: Path, tmp_path: Path, edge: Command, base: Command,
    edge_here: Command, base_here: Command,
) -> None:  # fmt: skip
    """And ends with code 2; what a library writes past Python would be a second line."""
    cut = _write(tmp_path / "cut.mp4", clip.read_bytes()[:2000])
    text = _write(tmp_path / "text.pcap", b"hello, world, this is a text")
    out, link = tmp_path / "x", ["--profile", "sik-64", "--archive", tmp_path / "m.db"]
    for process, here, words in (
        (edge, edge_here, ("encode", cut, "--profile", "sik-64", "--out", out)),
        (edge, edge_here, ("run", "--config", "none", "--source", "synthetic:fire", "--link",
                           "udp://h:1", "--profile", "udp")),
        (base, base_here, ("decode", text, "--out", tmp_path / "o.mp4")),
        (base, base_here, ("impair", capture[0], "--out", out, "--loss", "1.5")),
        (base, base_here, ("rehearse", clip, "--profile", "sik-64", "--out", "/proc/x")),
        (base, base_here, ("run", "--link", "carrier:pigeon", *link)),
    ):  # fmt: skip
        assert process(*words).error_line == here(*words).error_line
