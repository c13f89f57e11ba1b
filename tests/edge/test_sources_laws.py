"""Files and cameras: the promised number of frames, the true clock, one line for what is bad."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gvc_edge.sources import FrameSource, open_source
from gvc_edge.sources import live as live_module
from gvc_edge.sources.live import RtspSource, V4l2Source
from gvc_protocol.errors import UserError

W, H = 64, 48
MS = Fraction(1, 1000)


def picture(number: int, width: int = W, height: int = H) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Grey level 10 * number: tells which picture a frame shows after lossy coding."""
    return np.full((height, width, 3), 10 * number % 250, np.uint8)


def write(
    path: Path, times: Sequence[int], *, unit: Fraction = MS, rate: int = 25, codec: str = "libx264",
    pix_fmt: str = "yuv420p", size: tuple[int, int] = (W, H), gop: int = 12, **options: str,
) -> Path:  # fmt: skip
    """A clip whose picture k is shown at times[k] units."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = unit
        stream.codec_context.gop_size = gop
        stream.options = options
        for k, at in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(k, *size), "bgr24")
            frame.pts, frame.time_base = at, unit
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def steady(count: int, rate: int = 25) -> list[int]:
    return [round(k * 1000 / rate) for k in range(count)]


def levels(source: FrameSource) -> list[int]:
    """Which picture each frame shows; checks numbers, size, type and the promised count."""
    shown = []
    for n, frame in enumerate(source.frames()):
        assert frame.frame_no == n
        assert frame.pixels.shape == (source.info.height, source.info.width, 3)
        assert frame.pixels.dtype == np.uint8 and frame.pixels.flags.c_contiguous
        shown.append(round(float(frame.pixels.mean()) / 10))
    assert len(shown) == source.info.total_frames
    return shown


@pytest.mark.parametrize(
    "name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.h264", "odd: 'näme' %03d.mp4"]
)
@pytest.mark.parametrize("count", [1, 5, 23])
def test_a_steady_file_gives_each_picture_once(name: str, count: int, tmp_path: Path) -> None:
    unit = Fraction(1, 25)
    path = write(
        tmp_path / name, list(range(count)), unit=unit, bf="2" if "ts" not in name else "0"
    )
    source = open_source(str(path), start_us=5_000_000)
    assert levels(source) == list(range(count))
    assert levels(source) == list(range(count)), "a second pass gives the same"
    if count > 2:
        assert source.info.fps == 25
    assert not source.info.live and not source.info.synthetic


def test_clock_is_the_file_s_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [1001 * k for k in range(9)], unit=Fraction(1, 30000), rate=30)
    source = open_source(str(path), start_us=1_700_000_000_000_000)
    assert source.info.fps == Fraction(30000, 1001)
    stamps = [f.capture_us - 1_700_000_000_000_000 for f in source.frames()]
    assert stamps == [round(n * 1_001_000_000 / 30000) for n in range(9)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_variable_rate_keeps_duration(seed: int, suffix: str, tmp_path: Path) -> None:
    gaps = np.random.default_rng(seed).integers(15, 90, 40)
    times = np.concatenate([[0], np.cumsum(gaps)])
    path = write(tmp_path / f"a.{suffix}", [int(t) for t in times], bf="0", crf="4")
    source = open_source(str(path), start_us=0)
    shown = levels(source)
    fps = source.info.fps
    assert abs((len(shown) - 1) / fps - float(times[-1]) / 1000) <= 1 / fps
    for n, level in enumerate(shown):
        # The picture shown is the last one due by then, half a frame of grace.
        due = int((times <= float((n + Fraction(1, 2)) / fps) * 1000).sum()) - 1
        assert (10 * due % 250) // 10 == level or abs(
            times[due] - float((n + 0.5) / fps) * 1000
        ) < 2


def test_seconds_cuts(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a.mp4", steady(20)))
    for seconds, count in ((0.4, 10), (0.001, 1), (99.0, 20)):
        assert len(levels(open_source(path, start_us=0, seconds=seconds))) == count
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match="--seconds"):
            open_source(path, start_us=0, seconds=bad)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [("ffv1", "gray", "mkv"), ("ffv1", "gray16le", "mkv"), ("libx264", "yuv422p10le", "mkv"),
     ("ffv1", "bgra", "mkv"), ("mjpeg", "yuvj420p", "avi")],
)  # fmt: skip
def test_other_pixel_formats(codec: str, pix_fmt: str, suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a.{suffix}", steady(8), codec=codec, pix_fmt=pix_fmt)
    assert levels(open_source(str(path), start_us=0)) == list(range(8))


@pytest.mark.parametrize(
    ("turn", "size"), [(0, (64, 48)), (90, (48, 64)), (180, (64, 48)), (270, (48, 64))]
)
def test_rotation_of_the_container(turn: int, size: tuple[int, int], tmp_path: Path) -> None:
    """A telephone held upright: the matrix in the track's header says how to turn the picture."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        corner = np.zeros((H, W, 3), np.uint8)
        corner[: H // 2, : W // 2] = 255  # the upper left quarter is white
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(corner, "bgr24")))
        out.mux(stream.encode(None))
    c, s = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[turn]
    matrix = struct.pack(">9i", c << 16, s << 16, 0, -s << 16, c << 16, 0, 0, 0, 1 << 30)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = matrix
    path.write_bytes(data)
    source = open_source(str(path), start_us=0)
    assert (source.info.width, source.info.height) == size
    pixels = next(iter(source.frames())).pixels
    h, w = pixels.shape[0] // 2, pixels.shape[1] // 2
    quarters = {0: pixels[:h, :w], 90: pixels[:h, w:], 180: pixels[h:, w:], 270: pixels[h:, :w]}
    # Turned clockwise, the white quarter goes upper left, upper right, lower right, lower left.
    assert max(quarters, key=lambda k: quarters[k].mean()) == turn


def test_crop_even(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a.mkv", steady(3), pix_fmt="yuv444p", size=(65, 49)))
    with pytest.raises(UserError, match=r"a.mkv is 65x49: .* must be even; add --crop-even"):
        open_source(path, start_us=0)
    source = open_source(path, start_us=0, crop_even=True)
    assert (source.info.width, source.info.height) == (64, 48)
    assert levels(source) == [0, 1, 2]


@pytest.mark.parametrize("damage", ["cut", "zeroed tail", "zeroed middle"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_damaged_file_gives_what_it_promised(damage: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(1).integers(0, 255, (40, 96, 128, 3), np.uint8)
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    with av.open(str(path), "w", options=options) as out:
        stream: Any = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.gop_size = 10
        for pixels in noise:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "bgr24")))
        out.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    n = len(data)
    if damage == "cut":
        data = data[: n * 6 // 10]
    else:
        span = (
            slice(n * 6 // 10, n * 98 // 100)
            if "tail" in damage
            else slice(n * 4 // 10, n * 5 // 10)
        )
        data[span] = bytes(span.stop - span.start)
    path.write_bytes(data)
    source = open_source(str(path), start_us=0)
    count = len(levels(source))
    assert 10 <= count <= (40 if damage == "zeroed middle" else 39)
    if damage == "zeroed middle":
        assert count > 30, "what follows the damage is not given up"


def audio(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d / "nowhere.mp4", "no such file"),
        (lambda d: d, "folder"),
        (lambda d: put(d / "a.mp4", b""), "empty"),
        (lambda d: put(d / "a.mp4", b"this is no video\n" * 99), "not a video"),
        (lambda d: put(d / "a.txt", b"this is no video\n" * 99), "not a video"),
        (lambda d: put(d / "a.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/x.ts\n"), "not a video"),
        (lambda d: put(d / "a.mp4", write(d / "b.mp4", steady(30)).read_bytes()[:700]), "moov"),
        (lambda d: audio(d / "a.m4a"), "no video in it"),
        (lambda d: write(d / "a.mkv", [0], codec="ffv1", pix_fmt="bgra", size=(1, 1)), "1x1: too small"),
        (lambda d: write(d / "a.mkv", [0], codec="ffv1", pix_fmt="bgra", size=(8192, 16)), "too large"),
        (lambda d: write(d / "a.mkv", [0], pix_fmt="yuv444p", size=(65, 48)), "--crop-even"),
        (lambda d: "/dev/null", "no regular file"),
        (lambda d: "a\0b", "check"),
    ],
    ids=["missing", "folder", "empty", "garbage", "text", "playlist", "cut", "audio", "tiny", "huge",
         "odd", "device", "nul"],
)  # fmt: skip
def test_files_that_cannot_be_sent(make: Any, words: str, tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(UserError) as caught:
        open_source(str(path), start_us=0)
    text = str(caught.value)
    assert words in text and "\n" not in text
    assert Path(str(path)).name.split("\0")[0] in text, "the line names the file"


def test_no_picture_decodes(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "a.mp4", steady(30)).read_bytes())
    at, moov = data.index(b"mdat") + 4, data.index(b"moov")
    start, stop = (at, moov - 4) if moov > at else (at, len(data))
    data[start:stop] = bytes(stop - start)
    with pytest.raises(UserError, match="no picture that can be decoded"):
        open_source(str(put(tmp_path / "b.mp4", bytes(data))), start_us=0)


def test_close_ends_a_file(tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "a.mp4", steady(30))), start_us=0)
    seen = 0
    for _ in source.frames():
        seen += 1
        source.close()
    assert seen <= 2


@pytest.mark.parametrize("device", ["/dev/video_nothing", "", "/dev/null", __file__])
def test_no_camera(device: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="camera") as caught:
        open_source(f"v4l2:{device}", start_us=0)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == "", "one line, and it is ours"


class Camera:
    """Stands in for cv2.VideoCapture."""

    def __init__(self, reads: int) -> None:
        self.left, self.open = reads, True

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.open

    def get(self, _: int) -> float:
        return 100.0

    def read(self) -> tuple[bool, Any]:
        time.sleep(0.005)
        self.left -= 1
        return (self.left >= 0), (picture(3) if self.left >= 0 else None)

    def release(self) -> None:
        self.open = False


def test_v4l2_stamps_wall_clock_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_RETRY_S", 0.01)
    monkeypatch.setattr(live_module, "_open_camera", lambda _: Camera(6))
    told: list[str] = []
    before = time.time_ns() // 1000
    source = V4l2Source("/dev/null", seconds=0.2, crop_even=False, on_drop=told.append)
    frames = list(source.frames())
    source.close()
    assert [f.frame_no for f in frames] == list(range(20))
    assert source.info.live and source.info.total_frames == 0 and source.info.fps == 100
    assert all(b.capture_us > a.capture_us for a, b in pairwise(frames))
    assert (
        before <= frames[0].capture_us and frames[-1].capture_us <= time.time_ns() // 1000 + 300_000
    )
    assert any("gives no picture" in line for line in told) and any(
        "is back" in line for line in told
    )


def test_a_long_stall_moves_the_stamps_not_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_STALL_S", 0.1)
    monkeypatch.setattr(live_module, "_open_camera", lambda _: Camera(10**6))
    source = V4l2Source("/dev/null", seconds=None, crop_even=False)

    def pictures() -> Iterator[Any]:
        for n in range(6):
            time.sleep(0.3 if n == 3 else 0.01)
            yield picture(n)

    monkeypatch.setattr(source, "_pictures", pictures)
    frames = list(source.frames())
    assert [f.frame_no for f in frames] == list(range(len(frames)))
    jumps = [b.capture_us - a.capture_us for a, b in pairwise(frames)]
    assert max(jumps) > 200_000


@pytest.fixture
def network_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`av.open` of an rtsp address plays a short clip and hangs up. Gives the addresses asked for."""
    clip = str(write(tmp_path / "cam.mkv", steady(8)))
    asked: list[str] = []
    real = av.open

    def fake(url: str, **options: Any) -> Any:
        asked.append(url)
        assert options["options"] == {"rtsp_transport": "tcp"} and options["timeout"]
        if len(asked) == 3:
            raise OSError("connection refused")
        return real(clip)

    monkeypatch.setattr(live_module.av, "open", fake)
    monkeypatch.setattr(live_module, "_RETRY_S", 0.01)
    return asked


def test_rtsp_comes_back_after_a_drop(network_camera: list[str]) -> None:
    told: list[str] = []
    url = "rtsp://user:secret@10.0.0.1/live"
    source = RtspSource(url, seconds=0.8, crop_even=False, on_drop=told.append)
    frames = list(source.frames())
    assert [f.frame_no for f in frames] == list(range(20))
    assert len(network_camera) >= 4
    assert sum("gives no picture" in line for line in told) >= 1
    assert sum("is back" in line for line in told) >= 1
    assert not any("secret" in line for line in [*told, source.info.name])


def test_rtsp_close_ends_it_while_away(
    network_camera: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = RtspSource(
        "rtsp://10.0.0.1/live", seconds=None, crop_even=False, on_drop=lambda _: None
    )
    monkeypatch.setattr(live_module, "_RETRY_S", 60.0)
    ended = threading.Event()

    def read() -> None:
        for _ in source.frames():
            pass
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    time.sleep(0.2)
    source.close()
    assert ended.wait(5)


def test_rtsp_that_is_not_there() -> None:
    with pytest.raises(UserError, match="check address") as caught:
        open_source("rtsp://user:secret@127.0.0.1:9/x", start_us=0)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)
