"""Across a gap left by a lost burst nothing is shown twice: what moved by itself stands in one place."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gvc_base.decoders.fusion import Between, Settings
from gvc_base.decoders.gvc_fuse import Moment, cell_shape, find_pair
from gvc_base.decoders.motion import LONG_GAP_S, FlowEngine, alike
from gvc_protocol.marks import tile_grid

U8 = NDArray[np.uint8]
WIDTH, HEIGHT = 320, 192
GRID = tile_grid(HEIGHT, WIDTH)


def scene(x: int) -> U8:
    """Soft ground and a car from high above at column x: so small that the ground's motion is found for
    its place, there and back."""
    rough = np.random.default_rng(5).integers(110, 150, (HEIGHT // 12, WIDTH // 12), np.uint8)
    grey = cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    picture = cv2.merge([grey] * 3)
    picture[90:95, x : x + 8] = (160, 60, 20)
    return np.asarray(picture, np.uint8)


def grey(picture: U8) -> U8:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)


def moment(frame: int, picture: U8) -> Moment:
    cells = np.zeros(cell_shape(HEIGHT, WIDTH), np.float32)
    return Moment(
        frame=frame, picture=picture, shown=picture, made_up=cells, free=cells + 1,
        grey=grey(picture), received=cells, age_s=cells, sure=cells, origin=cells,
    )  # fmt: skip


def cars(picture: U8) -> tuple[float, float]:
    """How much of the car shows at its first and at its last place, 0 to 1."""
    blue, red = picture[..., 0].astype(float), picture[..., 2].astype(float)
    places = [(blue - red)[91:94, x + 1 : x + 7].mean() / 140 for x in (60, 80)]
    return places[0], places[1]


@pytest.mark.parametrize("codec", ["gvc", "classical"])
@pytest.mark.parametrize("alpha", [0.3, 0.45, 0.55, 0.8])
def test_a_car_that_moved_far_in_a_long_gap_is_one_car(codec: str, alpha: float) -> None:
    a, b = scene(60), scene(80)
    passed_s = 2 * LONG_GAP_S
    if codec == "gvc":
        pair = find_pair(
            FlowEngine(fine=True), grey(a), grey(b), passed_s=passed_s, width=WIDTH, grid=GRID
        )
        shown, trust = (f := pair.between(moment(0, a), moment(36, b), alpha)).picture, f.trust
    else:
        settings = Settings(
            flow_width_px=WIDTH, fine_flow=True, fast_flow=False, carry=True, cubic=True
        )
        gap = Between(
            a, b, a, b, None, None, settings, FlowEngine(fine=True), passed_s=passed_s,
            width=WIDTH, grid=GRID,
        )  # fmt: skip
        shown, trust, _ = gap.at(alpha)
    here, gone = cars(shown) if alpha <= 0.5 else cars(shown)[::-1]
    assert here > 0.8 and gone < 0.1
    # The motion is not vouched for there, and is elsewhere.
    assert trust[92, 63] < 0.2 and trust[92, 83] < 0.2 and np.median(trust) > 0.8


def test_what_a_coder_changes_is_alike_and_another_thing_is_not() -> None:
    a = grey(scene(60))
    noisy = np.clip(a + np.random.default_rng(1).normal(0, 4, a.shape), 0, 255).astype(np.uint8)
    assert np.median(alike(a, noisy)) > 0.8
    assert alike(a, grey(scene(80)))[92, 63] < 0.05
