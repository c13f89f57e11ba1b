"""Laws of the synthetic flood: same query, same bytes; boxes that tell the truth."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from gvc_edge.render_source import render
from gvc_edge.sources import FloodSource, open_source
from gvc_edge.sources import flood as flood_module
from gvc_protocol.errors import UserError


def flood(query: str = "", **options: object) -> FloodSource:
    source = open_source(f"synthetic:flood?{query}", start_us=0, **options)  # type: ignore[arg-type]
    assert isinstance(source, FloodSource)
    return source


@pytest.fixture(scope="module")
def scene() -> FloodSource:
    return flood("seed=3&seconds=60&size=854x480&fps=30")


def test_same_query_same_bytes(scene: FloodSource) -> None:
    numbers = (40, 0, 700)
    first = [(scene.render(n), scene.boxes(n)) for n in numbers]
    flood_module._scene.cache_clear()
    again = flood("seed=3&seconds=60&size=854x480&fps=30")
    for number, (pixels, boxes) in zip(
        numbers, first, strict=True
    ):  # in any order: a frame does not depend on those before it
        assert np.array_equal(pixels, again.render(number))
        assert boxes == again.boxes(number)


@pytest.mark.parametrize(
    ("query", "options", "size", "fps", "count"),
    [
        ("", {}, (854, 480), 30, 300),
        ("size=320x192&fps=15&seconds=2", {}, (320, 192), 15, 30),
        ("size=64x480&seconds=3", {"seconds": 1.0}, (64, 480), 30, 30),
        ("size=321x241&seconds=1", {"crop_even": True}, (320, 240), 30, 30),
    ],
)
def test_info(
    query: str, options: dict[str, object], size: tuple[int, int], fps: int, count: int
) -> None:
    info = flood(query, **options).info
    assert (info.width, info.height) == size
    assert (info.fps, info.total_frames, info.live, info.synthetic) == (fps, count, False, True)


def test_frames_are_numbered_and_stamped() -> None:
    source = open_source("synthetic:flood?size=64x48&fps=24&seconds=0.5", start_us=7_000_000)
    frames = list(source.frames())
    assert [f.frame_no for f in frames] == list(range(12)) == list(range(source.info.total_frames))
    assert [f.capture_us for f in frames] == [7_000_000 + round(n * 1e6 / 24) for n in range(12)]
    assert all(f.pixels.shape == (48, 64, 3) and f.pixels.dtype == np.uint8 for f in frames)


def test_boxes_hold_the_objects_and_nothing_else(scene: FloodSource) -> None:
    """What drawing the movers changes lies in the boxes, but for shadow, wake and the picture's edge."""
    for number in (0, 333, 1200):
        change = (
            cv2.absdiff(scene.render(number), scene.render(number, movers=False)).max(axis=2) > 12
        )
        boxes = scene.boxes(number)
        assert len(boxes) > 3
        beside = change.copy()
        for box in boxes:
            inside = change[box.y0 : box.y1, box.x0 : box.x1]
            assert inside.mean() > 0.25, box
            # Tight: the object reaches near each side of its box.
            rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
            assert rows[0] <= 5 and rows[-1] >= len(inside) - 6, box
            assert cols[0] <= 5 and cols[-1] >= inside.shape[1] - 6, box
            far = 70 if box.kind == "boat" else 24
            beside[max(0, box.y0 - far) : box.y1 + far, max(0, box.x0 - far) : box.x1 + far] = False
        beside[:50] = beside[-50:] = beside[:, :50] = beside[:, -50:] = False
        assert beside.mean() < 1e-4


def test_movers_move_and_boxes_follow(scene: FloodSource) -> None:
    """Against the ground, not the picture: with the camera's own motion taken out."""
    start, end = scene._flight.at(0.0), scene._flight.at(2.0)
    ways = [np.hypot(*(np.subtract(m.at(2.0)[:2], m.at(0.0)[:2]))) for m in scene.scene.movers]
    assert sum(way > 8 for way in ways) > len(ways) // 4
    assert not np.allclose(start.full, end.full)
    for mover in scene.scene.movers:
        jump = np.hypot(*np.subtract(mover.at(1.0)[:2], mover.at(1.0 + 1 / 30)[:2]))
        assert jump < 4, "nothing jumps between two frames"


def test_every_kind_is_in_every_scene() -> None:
    pictures = []
    for seed in (3, 1):
        source = flood(f"seed={seed}&seconds=60&fps=1")
        pictures.append(source.render(0).astype(int))
        kinds = Counter(box.kind for n in range(60) for box in source.boxes(n))
        assert min(kinds[kind] for kind in ("vehicle", "person", "boat")) > 20, (seed, kinds)
    assert np.abs(pictures[0] - pictures[1]).mean() > 5, "another seed is another place"


def test_boxes_stay_in_the_picture(scene: FloodSource) -> None:
    for number in range(0, 1800, 97):
        for box in scene.boxes(number):
            assert 0 <= box.x0 < box.x1 <= 854 and 0 <= box.y0 < box.y1 <= 480


def test_the_flight_never_leaves_the_map(scene: FloodSource) -> None:
    for t in np.linspace(0, 3600, 500):
        back = np.linalg.inv(scene._flight.at(float(t)).ground)
        ends = np.array([[0, 0, 1], [854, 0, 1], [0, 480, 1], [854, 480, 1]]) @ back.T
        ends = ends[:, :2] / ends[:, 2:]
        assert ends.min() > 0 and ends.max() < 2560


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("seed=-1", "0 to 2147483647"), ("seed=x", "whole number"), ("fps=0", "1 to 120"),
        ("fps=29.97", "whole number"), ("seconds=nan", "0.1 to 3600"), ("seconds=1e9", "3600"),
        ("seconds=", "number"), ("size=10x10", "16x16"), ("size=9000x480", "4096"),
        ("size=321x241", "--crop-even"), ("size=big", "WIDTHxHEIGHT"), ("colour=blue", "'colour'"),
    ],
)  # fmt: skip
def test_bad_queries(query: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        flood(query)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_scene() -> None:
    for url in ("synthetic:fire", "synthetic:", "synthetic:?seed=1"):
        with pytest.raises(UserError, match="synthetic:flood"):
            open_source(url, start_us=0)


def test_render_writes_video_and_truth(tmp_path: Path) -> None:
    out = tmp_path / "flood.mp4"
    url = "synthetic:flood?seed=1&size=160x96&fps=12&seconds=1.5"
    steps: list[tuple[int, int]] = []
    made = render(url, out, start_us=0, seconds=None, on_progress=lambda a, b: steps.append((a, b)))
    assert made == out and steps == [(n + 1, 18) for n in range(18)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["flood.json", "flood.mp4"]
    source = open_source(url, start_us=0)
    with av.open(str(out)) as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (160, 96, Fraction(12))
        pictures = [f.to_ndarray(format="bgr24") for f in video.decode(stream)]
    drawn = [f.pixels for f in source.frames()]
    assert len(pictures) == len(drawn) == 18
    # Noise and 4:2:0 colour cost a little; a shifted or swapped frame would cost far more.
    error = [np.square(a.astype(float) - b).mean() for a, b in zip(pictures, drawn, strict=True)]
    assert max(error) < 120
    truth = json.loads((tmp_path / "flood.json").read_text())
    assert (truth["synthetic"], truth["scene"], truth["seed"]) == (True, "flood", 1)
    assert (truth["fps"], truth["size"], len(truth["movers"])) == (12, [160, 96], 18)
    assert isinstance(source, FloodSource)
    assert truth["movers"][9] == [[b.kind, b.x0, b.y0, b.x1, b.y1] for b in source.boxes(9)]


def test_render_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    url = "synthetic:flood?size=64x48&seconds=1"
    with pytest.raises(UserError, match="cannot write"):
        render(url, tmp_path / "nowhere" / "x.mp4", start_us=0, seconds=None)

    def stop(done: int, _: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(url, tmp_path / "x.mp4", start_us=0, seconds=None, on_progress=stop)
    assert not list(tmp_path.iterdir())


def test_render_does_not_replace_its_input(tmp_path: Path) -> None:
    clip = tmp_path / "a.mp4"
    render("synthetic:flood?size=64x48&seconds=0.2", clip, start_us=0, seconds=None)
    before = clip.read_bytes()
    with pytest.raises(UserError, match="input"):
        render(str(clip), clip, start_us=0, seconds=None)
    assert clip.read_bytes() == before
