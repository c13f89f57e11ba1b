"""Files as sources: exact frame counts, the right picture at the right number, honest errors."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gvc_edge.render_source import render
from gvc_edge.sources import open_source
from gvc_protocol.errors import UserError


def write(
    path: Path, pts: list[int], *, codec: str = "libx264", size: tuple[int, int] = (64, 48)
) -> Path:
    """A clip whose picture i is a flat grey of 30 + 6i, at the given times in 1/30 s."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"crf": "1", "bf": "2"}
        stream.time_base = stream.codec_context.time_base = Fraction(1, 30)
        for i, at in enumerate(pts):
            grey = np.full((size[1], size[0], 3), 30 + 6 * (i % 32), np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, "bgr24")
            frame.pts, frame.time_base = at, Fraction(1, 30)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def greys(path: Path, **more: Any) -> list[int]:
    """Which picture stands at each frame number; 4:2:0 of limited range darkens grey by about 2.5."""
    source = open_source(str(path), start_us=0, **more)
    frames = list(source.frames())
    assert len(frames) == source.info.total_frames
    assert [f.frame_no for f in frames] == list(range(len(frames)))
    return [round((float(f.pixels.mean()) - 27.5) / 6) for f in frames]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_constant_rate_gives_every_picture_once(name: str, tmp_path: Path) -> None:
    codec = "ffv1" if name.endswith("avi") else "libx264"
    path = write(tmp_path / name, list(range(20)), codec=codec)
    assert greys(path) == list(range(20))


def test_variable_rate_keeps_its_duration(tmp_path: Path) -> None:
    # Ten pictures at 30 a second, then ten at 15: half of the time the picture is held.
    pts = [*range(10), *range(10, 30, 2)]
    source = open_source(str(write(tmp_path / "v.mkv", pts)), start_us=0)
    duration = source.info.total_frames / source.info.fps
    assert abs(duration - Fraction(29, 30)) < Fraction(1, 12)
    shown = greys(tmp_path / "v.mkv")
    assert shown == sorted(shown) and shown[0] == 0 and shown[-1] >= 18


def test_seconds_cuts_and_capture_times_follow_the_rate(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", list(range(30)))
    assert greys(path, seconds=0.5) == list(range(15))
    frames = list(open_source(str(path), start_us=5_000_000, seconds=0.2).frames())
    assert [f.capture_us for f in frames][:3] == [5_000_000, 5_033_333, 5_066_667]


def test_a_file_cut_in_the_middle_still_tells_the_truth(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", list(range(60)), size=(160, 96))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    source = open_source(str(path), start_us=0)
    assert 1 < source.info.total_frames == len(list(source.frames())) <= 60


def test_grey_and_deep_pixels_become_bgr(tmp_path: Path) -> None:
    path = tmp_path / "g.mkv"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "gray16le"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32), 40_000, np.uint16), "gray16le")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    frames = list(open_source(str(path), start_us=0).frames())
    assert frames[0].pixels.shape == (32, 32, 3)
    assert abs(int(frames[0].pixels.mean()) - 156) <= 3


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("v4l2:/dev/video_none", "no such camera"),
        ("rtsp://127.0.0.1:9/none", "cannot read rtsp"),
        ("synthetic:fire", "synthetic:flood"),
        ("synthetic:flood?speed=9", "knows no 'speed'"),
        ("synthetic:flood?size=huge", "cannot be read"),
        ("synthetic:flood?size=8x8", "too small"),
        ("synthetic:flood?fps=0", "give 1 to 120"),
    ],
)
def test_bad_sources_say_what_to_do(url: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        open_source(url, start_us=0)


def test_a_camera_file_that_is_no_camera(tmp_path: Path) -> None:
    (tmp_path / "video9").write_bytes(b"")
    with pytest.raises(UserError, match="gives no picture"):
        open_source(f"v4l2:{tmp_path / 'video9'}", start_us=0)


def test_render_writes_the_scene_and_its_truth(tmp_path: Path) -> None:
    out = tmp_path / "f.mp4"
    render("synthetic:flood?seconds=0.4&size=160x96&fps=10", out, start_us=0, seconds=None)
    source = open_source(str(out), start_us=0)
    assert source.info.total_frames == 4 and source.info.fps == 10
    assert '"synthetic": true' in out.with_suffix(".json").read_text()
