"""What was told of a cell, spread over its tiles: the cell's mean comes out, in any order of cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from gvc_base.marks.facts import PLANES, SCALARS, Fact, Scalar, Told
from gvc_base.marks.spread import Spread
from gvc_profiles.sight.shares import SHARE_OF_LEVEL, log_odds
from gvc_protocol.truth import TruthMap
from tests.bench.marks.grids import Grids
from tests.bench.marks.learn import Net

F32 = NDArray[np.float32]


def _p(odds: F32) -> F32:
    return np.asarray(1 / (1 + np.exp(-odds)), np.float32)


@pytest.mark.parametrize("share", [0.03, 0.2, 0.5, 0.8])
def test_the_mean_of_a_cell_is_what_was_told_of_it(share: float) -> None:
    rng = np.random.default_rng(3)
    own = rng.normal(-1, 1.5, (54, 80)).astype(np.float32)
    odds = np.full((9, 16), log_odds(np.float32(share)), np.float32)
    odds[0, :4] = log_odds(np.float32(0.01))
    offset, evenly = Spread().see(own, odds, 0)
    cells = _p(own + offset).reshape(9, 6, 16, 5).mean((1, 3))
    # Scores are counted in steps of half a unit.
    assert np.abs(cells[1:] - share).max() < 0.05 and cells[0, :4].max() < 0.03
    assert np.abs((cells[1:] - share).mean()) < 0.01
    assert np.ptp(offset.reshape(9, 6, 16, 5), (1, 3)).max() == 0
    assert np.corrcoef(offset.ravel(), evenly.ravel())[0, 1] > 0.8


def test_a_side_that_is_too_careful_everywhere_is_set_right_everywhere() -> None:
    """What a tile and its cell's share alone do not tell: whether this side is too careful here."""
    rng = np.random.default_rng(4)
    true = rng.normal(-1, 2, (54, 80)).astype(np.float32)
    wrong = rng.random(true.shape) < _p(true)
    share = wrong.reshape(9, 6, 16, 5).mean((1, 3)).clip(0.01, 0.99).astype(np.float32)
    for bias in (-2.0, 0.0, 2.0):
        own = true + np.float32(bias)
        offset, _ = Spread().see(own, log_odds(share), 0)
        assert abs(_p(own + offset).mean() - wrong.mean()) < 0.02


def test_all_pictures_of_a_slice_count_and_no_others() -> None:
    rng = np.random.default_rng(5)
    first, second = (rng.normal(m, 1, (18, 20)).astype(np.float32) for m in (-4, 1))
    odds = np.full((3, 5), log_odds(np.float32(0.3)), np.float32)
    spread = Spread()
    spread.see(first, odds, 0)
    both, _ = spread.see(second, odds, 0)
    mean = (_p(first + both).mean() + _p(second + both).mean()) / 2
    assert abs(mean - 0.3) < 0.02 and _p(second + both).mean() > 0.4
    alone, _ = spread.see(second, odds, 1)
    assert abs(_p(second + alone).mean() - 0.3) < 0.02


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, (5, 7), elements=st.floats(-1e6, 1e6, width=32)),
    arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 16)),
           elements=st.floats(-20, 20, width=32)),
)  # fmt: skip
def test_any_scores_and_any_shares_give_offsets(own: F32, odds: F32) -> None:
    for plane in Spread().see(own, odds, 2):
        assert plane.shape == own.shape and plane.dtype == np.float32 and np.isfinite(plane).all()


def _grids(rng: np.random.Generator, pictures: int = 3) -> tuple[Grids, TruthMap]:
    grid = (18, 32)
    truth = TruthMap(proxy=1, levels=rng.integers(0, 5, (1, 3, 5)).astype(np.uint8))
    planes = rng.normal(0, 1, (pictures, PLANES, *grid)).astype(np.float16)
    scalars = np.zeros((pictures, SCALARS), np.float32)
    scalars[-1, Scalar.HELD] = 1
    for index in range(pictures):
        full = np.zeros((PLANES, *grid), np.float32)
        Told(truth, whole=True, first=0, frames=9).put(full, scalars[index], index)
        planes[index, Fact.TOLD] = full[Fact.TOLD]
    tiles = (pictures, *grid)
    return Grids(
        planes=planes, scalars=scalars, cells=np.tile(np.int32([0, 3, 5]), (pictures, 1)),
        unit=np.zeros(pictures, np.int32), mark=np.full(tiles, 2, np.uint8),
        apart=rng.random(tiles).astype(np.float32), error=rng.random(tiles).astype(np.float32),
        detail=rng.random((pictures, 3, *grid)).astype(np.float16),
    ), truth  # fmt: skip


def test_rows_of_whole_pictures_hold_what_the_decoder_would_have_seen(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    grids, truth = _grids(rng)
    path = tmp_path / "take.npz"
    grids.save(path)
    again = Grids.load(path)
    net: Net = [
        (rng.normal(0, 0.3, (4, PLANES + SCALARS)).astype(np.float32), np.zeros(4, np.float32)),
        (rng.normal(0, 1, (3, 4)).astype(np.float32), np.zeros(3, np.float32)),
        (rng.normal(0, 1, (1, 3)).astype(np.float32), np.zeros(1, np.float32)),
    ]
    rows, plain = again.rows(7, net), again.rows(7)
    assert len(rows.mark) == 3 * 300 and (rows.apart == plain.apart).all()
    assert not plain.inputs[:, Fact.OWN :][:, :3].any()
    same = [c for c in range(PLANES + SCALARS) if not Fact.OWN <= c <= Fact.OFFSET_EVENLY]
    assert (rows.inputs[:, same] == plain.inputs[:, same]).all()
    # In the first picture: its own score, and the offset of its cell alone.
    spread, odds = Spread(), log_odds(SHARE_OF_LEVEL[truth.levels[0]])
    inputs = next(again._inputs(net))
    offset, evenly = spread.see(inputs[:, Fact.OWN].reshape(18, 32), odds, 0)
    assert np.allclose(inputs[:, Fact.OFFSET], offset.ravel(), atol=0.01)
    assert np.allclose(inputs[:, Fact.OFFSET_EVENLY], evenly.ravel(), atol=0.01)


def test_a_take_that_nothing_came_of_has_no_rows() -> None:
    assert len(Grids.none().rows(1).mark) == 0
