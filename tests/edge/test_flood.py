"""The synthetic flood: repeatable, honest about itself, and its boxes hold what they say."""

from __future__ import annotations

import numpy as np
import pytest

from gvc_edge.sources import FloodSource, open_source


def flood(query: str) -> FloodSource:
    source = open_source(f"synthetic:flood?{query}", start_us=0)
    assert isinstance(source, FloodSource)
    return source


@pytest.fixture(scope="module")
def scene() -> FloodSource:
    return flood("seed=1&seconds=2&size=854x480&fps=30")


def test_same_seed_same_frames_other_seed_other_frames() -> None:
    query = "seconds=0.1&size=160x96&fps=20&seed="
    first, again, other = (
        [f.pixels for f in flood(query + seed).frames()] for seed in ("1", "1", "3")
    )
    assert len(first) == 2
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_it_says_that_it_is_synthetic(scene: FloodSource) -> None:
    assert scene.info.synthetic and "synthetic" in scene.info.name
    assert scene.info.total_frames == 60 and not scene.info.live


def test_boxes_lie_in_the_picture_and_hold_the_movers(scene: FloodSource) -> None:
    shown = scene.render(0).astype(int)
    boxes = scene.boxes(0)
    assert {b.kind for b in boxes} & {"person", "vehicle", "boat"}
    empty = flood("seed=1&seconds=2&size=854x480&fps=30")
    empty._movers = ()
    without = next(iter(empty.frames())).pixels.astype(int)
    changed = np.abs(shown - without).max(-1) > 12
    left = changed.copy()
    for box in boxes:
        assert 0 <= box.x0 < box.x1 <= 854 and 0 <= box.y0 < box.y1 <= 480
        assert changed[box.y0 : box.y1, box.x0 : box.x1].mean() > 0.15, box
        left[max(0, box.y0 - 12) : box.y1 + 12, max(0, box.x0 - 12) : box.x1 + 12] = False
    # What is left are wakes and shadows: nothing moves that no box tells of.
    assert left.mean() < 0.003


def test_movers_move_and_the_camera_flies(scene: FloodSource) -> None:
    first, last = scene.boxes(0), scene.boxes(59)
    assert [(b.x0, b.y0) for b in first] != [(b.x0, b.y0) for b in last]
    assert np.abs(scene.render(0).astype(int) - scene.render(59)).mean() > 4
