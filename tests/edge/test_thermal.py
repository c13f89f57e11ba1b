"""Thermal sources: counts to grey levels without flicker or clipping, files of counts, the scene."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gvc_edge.eyes import Eyes
from gvc_edge.sources import ThermalRange, ThermalSource, open_source
from gvc_edge.sources.thermal import SlowGain
from gvc_protocol.descriptors import KNEE_LEVEL, Thermal
from gvc_protocol.errors import UserError
from gvc_protocol.objects import ObjectClass

Counts = NDArray[np.uint16]


def scene(seed: int = 0, *, fire: int = 0, noise: float = 4.0) -> Counts:
    """Ground about 29000, a warm corner; a fire of `fire` counts above if any."""
    rng = np.random.default_rng(5)
    ground = 29_000 + cv2.GaussianBlur(rng.normal(0, 1500, (96, 128)), (0, 0), 6)
    ground[:12, :20] += 500
    if fire:
        ground[50:56, 60:68] += fire
    ground += np.random.default_rng(seed).normal(0, noise, ground.shape)
    return np.clip(ground, 0, 65535).astype(np.uint16)


def test_levels_are_those_that_the_range_tells() -> None:
    for fire in (0, 900, 20_000):
        gain, counts = SlowGain(30, 16), scene(fire=fire)
        pixels = gain.map(counts)
        assert pixels.shape == (96, 128, 3) and (pixels == pixels[..., :1]).all()
        lo, hi = gain.range
        told = Thermal(lo=lo, hi=hi, knee=gain.knee)
        assert (gain.knee is not None) == (fire == 20_000)
        back = np.array([told.counts(level) for level in range(256)])[pixels[..., 0]]
        inside = (counts > lo) & (counts < (gain.knee or hi))
        step = ((gain.knee or hi) - lo) / KNEE_LEVEL
        assert np.abs(back - counts)[inside].max() <= 0.51 * step + 1
        # Nothing hot is clipped: white is the hottest pixel or above.
        assert hi >= counts.max()


def test_a_steady_scene_does_not_flicker() -> None:
    gain = SlowGain(30, 16)
    means = [float(gain.map(scene(i)).mean()) for i in range(60)]
    assert max(abs(a - b) for a, b in pairwise(means)) < 0.5


def test_a_fire_dims_the_ground_a_little_and_for_good() -> None:
    gain = SlowGain(30, 16)
    ground = (slice(60, 96), slice(0, 40))
    before = [gain.map(scene(i))[ground].mean() for i in range(30)][-1]
    burning = [gain.map(scene(i, fire=20_000))[ground].mean() for i in range(30)]
    assert burning[0] > 0.55 * before and gain.map(scene(fire=20_000)).max() >= 250
    assert max(abs(a - b) for a, b in pairwise(burning)) < 2
    after = [gain.map(scene(i))[ground].mean() for i in range(400)]
    assert abs(after[-1] - before) < 4
    assert max(abs(a - b) for a, b in pairwise(after)) < 2


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535)), min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_any_counts_make_a_picture_and_an_ordered_range(ends: list[tuple[int, int]]) -> None:
    gain = SlowGain(25, 16)
    for a, b in ends:
        counts = np.linspace(a, b, 64).reshape(8, 8).astype(np.uint16)
        pixels = gain.map(counts)
        lo, hi = gain.range
        assert 0 <= lo < hi <= 65535 and hi >= counts.max() and pixels.dtype == np.uint8
        assert gain.knee is None or lo < gain.knee < hi
        order = np.argsort(counts, axis=None, kind="stable")
        assert (np.diff(pixels[..., 0].ravel()[order].astype(int)) >= 0).all()


def test_a_closed_shutter_is_shown_as_it_is_and_forgotten() -> None:
    gain = SlowGain(25, 16)
    assert abs(int(gain.map(np.full((8, 8), 40_000, np.uint16)).mean()) - 156) <= 1
    gain.map(scene())
    assert gain.range[0] > 20_000


def write(path: Path, pictures: list[NDArray[Any]], codec: str, fmt: str) -> Path:
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=10)
        stream.height, stream.width = pictures[0].shape
        stream.pix_fmt = fmt
        for i, counts in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(counts, fmt)
            frame.pts, frame.time_base = i, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "fmt", "bits"),
    [
        ("a.mkv", "ffv1", "gray16le", 16), ("a.avi", "ffv1", "gray16le", 16),
        ("a.mkv", "ffv1", "gray12le", 12), ("a.mkv", "ffv1", "gray10le", 10),
        ("a.mkv", "ffv1", "gray", 8), ("a.avi", "ffvhuff", "gray", 8),
        ("a.mkv", "rawvideo", "gray", 8), ("a.avi", "ffvhuff", "gray16le", 16),
    ],
)  # fmt: skip
def test_files_of_one_channel_are_counts(
    name: str, codec: str, fmt: str, bits: int, tmp_path: Path
) -> None:
    shift = 16 - bits
    pictures = [scene(i) >> shift for i in range(5)]
    if bits == 8:
        pictures = [p.astype(np.uint8) for p in pictures]
    source = open_source(str(write(tmp_path / name, pictures, codec, fmt)), start_us=0)
    assert source.info.mono and source.info.total_frames == 5 and isinstance(source, ThermalRange)
    for frame, counts in zip(source.frames(), pictures, strict=True):
        told = source.thermal_range()
        assert told is not None and told[1] >= counts.max() and told[1] < 1 << bits
        assert frame.pixels.shape == (96, 128, 3)
        # Warmer is brighter, to the rounding of a level.
        order = np.argsort(counts, axis=None, kind="stable")
        assert (np.diff(frame.pixels[..., 0].ravel()[order].astype(int)) >= 0).all()
    assert [f.frame_no for f in source.frames()] == list(range(5)), "frames can be asked for again"


def test_a_file_in_colour_is_no_thermal_one(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "c.mkv"), "w") as out:
        stream: Any = out.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "bgr24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    source = open_source(str(tmp_path / "c.mkv"), start_us=0)
    assert not source.info.mono and isinstance(source, ThermalRange)
    assert source.thermal_range() is None and source.thermal_knee() is None


def test_a_tiff_of_many_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    pages = [scene(i)[:, :127] for i in range(20)]
    assert cv2.imwritemulti(str(path), pages)
    with pytest.raises(UserError, match="even"):
        open_source(str(path), start_us=0)
    source = open_source(str(path), start_us=9, crop_even=True)
    frames = list(source.frames())
    assert source.info.mono and len(frames) == source.info.total_frames == 20
    assert {f.pixels.shape for f in frames} == {(96, 126, 3)}
    assert [f.capture_us for f in frames[:2]] == [9, 40_009]
    short = open_source(str(path), start_us=0, seconds=0.2, crop_even=True)
    assert len(list(short.frames())) == short.info.total_frames == 5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b"II*\0 nothing"), "not a TIFF"),
        (lambda path: cv2.imwrite(str(path), np.zeros((32, 32, 3), np.uint8)), "one channel"),
    ],
)
def test_bad_tiffs_say_why(make: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    make(path)
    with pytest.raises(UserError, match=words):
        open_source(str(path), start_us=0)


def thermal(query: str = "", **more: Any) -> ThermalSource:
    source = open_source(f"synthetic:thermal?{query}", start_us=0, **more)
    assert isinstance(source, ThermalSource)
    return source


def test_same_query_same_counts_in_any_order() -> None:
    query = "seed=3&size=256x192&seconds=4"
    a, b = thermal(query), thermal(query)
    later, first = a.counts(50), a.counts(0)
    assert np.array_equal(b.counts(0), first) and np.array_equal(b.counts(50), later)
    assert a.boxes(50) == b.boxes(50)
    assert not np.array_equal(thermal("seed=4&size=256x192").counts(0), first)


@pytest.mark.parametrize("size", ["640x512", "256x192", "64x480"])
def test_it_says_what_it_is(size: str) -> None:
    source = thermal(f"size={size}&seconds=0.1&fps=20")
    info = source.info
    assert info.synthetic and info.mono and "synthetic" in info.name and info.total_frames == 2
    frames = list(source.frames())
    assert f"{frames[0].pixels.shape[1]}x{frames[0].pixels.shape[0]}" == size
    assert len(frames) == 2 and (frames[0].pixels == frames[0].pixels[..., :1]).all()


def test_boxes_hold_what_is_warm() -> None:
    source = thermal("seed=1&size=640x512&seconds=3")
    kinds = set()
    for number in (0, 45, 89):
        counts = source.counts(number)
        for box in source.boxes(number):
            kinds.add(box.kind)
            assert 0 <= box.x0 < box.x1 <= 640 and 0 <= box.y0 < box.y1 <= 512
            least = {"person": 296, "vehicle": 289, "fire": 350}[box.kind] * 100
            assert counts[box.y0 : box.y1, box.x0 : box.x1].max() > least, box
    assert kinds == {"person", "vehicle", "fire"}
    assert {b.kind for b in thermal("movers=0").boxes(0)} <= {"fire"}


def test_people_are_seen_beside_a_fire() -> None:
    source = thermal("seed=1&seconds=2.1")
    *_, last = source.frames()
    assert source.thermal_knee() is not None, "there is a fire in this picture"
    boxes = [b for b in source.boxes(last.frame_no) if b.kind == "person"]
    grey = last.pixels[..., 0].astype(int)
    for box in boxes:
        inside = grey[box.y0 : box.y1, box.x0 : box.x1].max()
        around = np.median(grey[max(0, box.y0 - 8) : box.y1 + 8, max(0, box.x0 - 8) : box.x1 + 8])
        assert inside - around > 25, box


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("speed=9", "knows no 'speed'"), ("size=huge", "cannot be read"), ("size=8x8", "too small"),
        ("movers=65", "from 0 to 64"), ("fps=0", "from 1 to 120"), ("seconds=nan", "seconds"),
    ],
)  # fmt: skip
def test_bad_queries_say_what_to_do(query: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        thermal(query)


def test_the_eyes_find_the_heat() -> None:
    source = thermal("seed=1&seconds=2")
    info = source.info
    eyes = Eyes(width=info.width, height=info.height, fps=info.fps, thermal=True, max_tracks=16)
    eyes.begin()
    for frame in source.frames():
        eyes.push(frame.pixels, frame.frame_no)
    seen = eyes.close()
    assert seen.motion_path is not None and seen.motion_path.end == info.total_frames - 1
    assert ObjectClass.HOT_SPOT in {track.class_id for track in seen.tracks}
    found = total = 0
    for number in range(20, 60, 5):
        boxes = [b for t in seen.tracks if (b := t.box_at(number)) is not None]
        for true in source.boxes(number):
            x, y = (true.x0 + true.x1) / 2, (true.y0 + true.y1) / 2
            total += 1
            found += any(
                b.x - 3 <= x <= b.x + b.width + 3 and b.y - 3 <= y <= b.y + b.height + 3
                for b in boxes
            )
    assert found >= 0.6 * total
