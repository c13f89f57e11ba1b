"""What a picture holds, tile by tile, and rows that the marks are trained on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gvc_base.decoders.gvc_fuse import find_pair
from gvc_base.decoders.motion import FlowEngine
from gvc_base.marks import is_wrong, truth
from gvc_base.marks.facts import PLANES, SCALARS, Fact, pair_facts
from gvc_base.marks.texture import standing
from gvc_profiles.sight.evidence import small_grey, work_size
from gvc_profiles.sight.shares import apart_at
from gvc_protocol.marks import tile_grid
from tests.bench.marks.learn import Rows


def ground(seed: int, height: int, width: int) -> np.ndarray:
    """Patches of several sizes, soft in one half."""
    rng = np.random.default_rng(seed)
    out = np.zeros((height, width, 3), np.float32)
    for step, levels in ((6, 14), (16, 20), (60, 30)):
        coarse = rng.normal(0, levels, (height // step + 2, width // step + 2, 3)).astype(
            np.float32
        )
        out += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    out[:, : width // 2] *= 0.3
    return np.clip(out + 120, 0, 255).astype(np.uint8)


def test_structure_is_about_what_wrong_is_measured_by() -> None:
    for height, width in ((480, 854), (361, 643), (96, 128)):
        picture, grid = ground(1, height, width), tile_grid(height, width)
        there, away = standing(picture, grid)
        whole = np.log1p(truth._power(truth.structure(picture), *grid))
        assert there.shape == away.shape == grid
        assert np.corrcoef(there.ravel(), whole.ravel())[0, 1] > 0.98
        assert np.abs(there - whole).mean() < 0.35
        # What stands elsewhere shares little with it: about the power of both.
        assert np.abs(away - there - np.log(2)).mean() < 0.35


def test_a_displacement_leaves_nothing_of_flat_ground_and_less_along_an_edge() -> None:
    flat = np.full((96, 128, 3), 90, np.uint8)
    assert np.concatenate(standing(flat, (12, 16))).max() < 1e-6
    edge = flat.copy()
    edge[48:] = 150
    for picture, least, most in ((edge, 0.8, 1.2), (ground(3, 96, 128), 1.6, 2.4)):
        there, away = (np.expm1(p[3:-3, 3:-3]) for p in standing(picture, (12, 16)))
        assert least < away.mean() / there.mean() < most


def test_motion_is_told_in_tiles_of_what_is_shown_and_not_from_one_scene_to_another() -> None:
    whole = cv2.cvtColor(ground(3, 240, 480), cv2.COLOR_BGR2GRAY)
    a, b = (np.ascontiguousarray(p) for p in (whole[40:200, 60:380], whole[48:208, 36:356]))
    # Half the width of what is shown: 24 pixels right and 8 up are six tiles and two.
    pair = find_pair(FlowEngine(fine=False), a, b, passed_s=0.5, width=640, grid=(40, 80))
    assert not pair.cut
    inside = pair.facts().flow[8:-8, 12:-12]
    assert np.allclose(np.median(inside, (0, 1)), (6, -2), atol=0.1)
    trust = (pair.trust_a, pair.trust_b)
    told = pair_facts(a, b, pair.motion, trust, 0.5, 640, (40, 80), cut=True)
    assert not told.flow.any() and told.speed.any()


@pytest.mark.parametrize("size", [(640, 360), (854, 480), (480, 270)])
def test_the_sender_measures_what_wrong_means(size: tuple[int, int]) -> None:
    """Small and grey, and yet the same places, about: the share in each cell is that of `is_wrong`."""
    # Colour differs less than light does, in the world.
    true = np.repeat(ground(1, size[1], size[0])[..., :1], 3, 2)
    sent = np.asarray(cv2.GaussianBlur(true, (0, 0), 8), np.uint8)
    sent[: size[1] // 3] = true[: size[1] // 3]
    small = [small_grey(p, work_size(*size)) for p in (true, sent)]
    ours, theirs = (
        cv2.resize(w.astype(np.float32), (10, 6), interpolation=cv2.INTER_AREA)
        for w in (apart_at(small[0], small[1], size[0]) > 1, is_wrong(true, sent))
    )
    assert 0.1 < theirs.mean() < 0.9
    assert np.abs(ours - theirs).mean() < 0.03
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99


def test_rows_of_grey_pictures_are_told_apart() -> None:
    inputs = np.random.default_rng(2).normal(0, 1, (10, PLANES + SCALARS)).astype(np.float32)
    inputs[3:7, [Fact.STRUCTURE, Fact.CODED_OWN]] = 0
    inputs[8, Fact.STRUCTURE] = 0
    apart = (np.arange(10, dtype=np.float32) + 1) % 2 * 3
    rows, others = Rows(
        inputs, np.arange(10, dtype=np.uint8), apart, apart, np.zeros((10, 3), np.float32),
        np.arange(10, dtype=np.int32) // 5,
    ).seen()  # fmt: skip
    assert rows.mark.tolist() == [0, 1, 2, 7, 8, 9]
    assert rows.picture.tolist() == [0, 0, 0, 1, 1, 1]
    assert others.tolist() == [False, True, False, True]
