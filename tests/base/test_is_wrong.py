"""What counts as wrong: structure that is missing, invented or displaced; not noise, blur or light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gvc_base.marks import is_wrong
from gvc_edge.sources import open_source
from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.marks import tile_grid

U8 = NDArray[np.uint8]


@pytest.fixture(scope="module")
def scene() -> U8:
    """A frame of the synthetic flood: roofs, water, trees, cars."""
    source = open_source("synthetic:flood?seed=5", start_us=0)
    frame = next(iter(source.frames())).pixels
    return np.ascontiguousarray(frame[40:400, 60:700])


def share(true: U8, shown: U8) -> float:
    return float(is_wrong(true, shown).mean())


def changed(picture: U8, what: NDArray[np.float64]) -> U8:
    return np.clip(np.rint(what), 0, 255).astype(np.uint8).reshape(picture.shape)


def test_noise_light_and_a_small_blur_are_not_wrong(scene: U8) -> None:
    rng = np.random.default_rng(1)
    assert share(scene, scene) == 0
    assert share(scene, changed(scene, scene + rng.normal(0, 4, scene.shape))) < 0.01
    assert share(scene, changed(scene, scene + 8.0)) < 0.01
    assert share(scene, changed(scene, scene * 0.9)) < 0.01
    assert share(scene, np.asarray(cv2.GaussianBlur(scene, (0, 0), 1.0), np.uint8)) < 0.02


def test_displacement_is_wrong_from_a_few_pixels_on(scene: U8) -> None:
    def moved(by: int) -> float:
        wrong = is_wrong(scene[:, 20:], scene[:, 20 - by : scene.shape[1] - by])
        return float(wrong[:, 2:-2].mean())

    shares = [moved(by) for by in (0, 1, 2, 6, 12)]
    assert max(shares[:3]) < 0.03
    assert shares[3] > 0.1 and shares[4] > shares[3]


def test_structure_that_was_smoothed_away_is_wrong() -> None:
    """A chequered pattern of 12 pixels that is shown as its mean."""
    y, x = np.mgrid[0:160, 0:240]
    grey = (128 + 25 * np.sign(np.sin(y * np.pi / 12) * np.sin(x * np.pi / 12))).astype(np.uint8)
    true = cv2.merge([grey] * 3)
    shown = true.copy()
    shown[:, 120:] = 128
    wrong = is_wrong(true, shown)
    assert wrong[2:-2, 18:-2].all() and not wrong[2:-2, :12].any()


@pytest.mark.parametrize("size", [(8, 16), (20, 10), (40, 20)])
def test_what_was_invented_or_left_out_is_wrong_there_and_nowhere_else(
    size: tuple[int, int],
) -> None:
    """People and cars from 60 m, 40 levels from what is around them, on 40 places."""
    wide, high = size
    ground = np.full((240, 320, 3), 110, np.uint8)
    rng = np.random.default_rng(2)
    ground = changed(ground, ground + cv2.GaussianBlur(rng.normal(0, 30, ground.shape), (0, 0), 2))
    found = 0
    for _ in range(40):
        x, y = int(rng.integers(32, 240)), int(rng.integers(32, 160))
        there = ground.copy()
        there[y : y + high, x : x + wide] = 150
        for true, shown in ((ground, there), (there, ground)):
            wrong = is_wrong(true, shown)
            near = np.zeros_like(wrong)
            near[(y - 24) // 8 : (y + high + 31) // 8, (x - 24) // 8 : (x + wide + 31) // 8] = True
            assert not wrong[~near].any()
            found += bool(wrong.any())
    assert found >= 78


@given(height=st.integers(8, 90), width=st.integers(8, 90), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_every_size_has_its_grid(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    wrong = is_wrong(picture, picture)
    assert wrong.shape == tile_grid(height, width) and wrong.dtype == np.bool_
    assert not wrong.any()


def test_pictures_of_two_sizes_are_refused() -> None:
    small, large = np.zeros((16, 16, 3), np.uint8), np.zeros((16, 24, 3), np.uint8)
    for pair in ((small, large), (small[..., 0], small[..., 0])):
        with pytest.raises(LocalProtocolError, match="one size"):
            is_wrong(*pair)
