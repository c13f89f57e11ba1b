"""The level of doubt: what a constant rate of false alarms over the mission means."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from gvc_base.marks.level import ALWAYS, LEAST, RATE, DoubtLevel

F64 = NDArray[np.float64]


@given(st.lists(arrays(np.float16, (3, 4), elements=st.floats(0, 1, width=16)), max_size=12))
@settings(max_examples=100, deadline=None)
def test_any_pictures_give_a_level_between_the_two_and_the_same_ones_the_same(
    pictures: list[NDArray[np.float16]],
) -> None:
    one, two = DoubtLevel(), DoubtLevel()
    assert one.at == ALWAYS
    for p in pictures:
        assert LEAST <= one.see(p) == two.see(p) <= ALWAYS


def _mission(seed: int, hard: float) -> tuple[F64, NDArray[np.bool_]]:
    """p float64[n, tiles] of good and bad pictures by turns of 20; tiles are wrong as p says."""
    rng = np.random.default_rng(seed)
    means = np.where(np.arange(600) // 20 % 2 == 0, -5.0, hard)
    odds = rng.normal(means[:, None], 2.5, (600, 500))
    p = 1 / (1 + np.exp(-odds))
    return p, rng.random(p.shape) < p


def test_the_rate_holds_over_a_mission_and_not_in_each_picture() -> None:
    p, wrong = _mission(1, -1.5)
    level = DoubtLevel(every=1)
    doubted = np.stack([picture >= level.see(picture) for picture in p])[100:]
    wrong, bad = wrong[100:], np.arange(100, 600) // 20 % 2 == 1
    assert 0.8 * RATE < doubted[~wrong].mean() < 1.1 * RATE
    # A bad picture spends what the good ones leave.
    assert doubted[bad][~wrong[bad]].mean() > 1.6 * RATE
    assert doubted[~bad][~wrong[~bad]].mean() < 0.4 * RATE


def test_it_finds_more_than_the_same_rate_in_each_picture() -> None:
    p, wrong = _mission(2, -1.5)
    level = DoubtLevel(every=1)
    ours = np.stack([picture >= level.see(picture) for picture in p])[100:]
    each = np.stack([picture >= DoubtLevel(every=1).see(picture) for picture in p])[100:]
    wrong = wrong[100:]
    assert each[~wrong].mean() <= 1.1 * RATE
    assert ours[wrong].mean() > each[wrong].mean() + 0.02


def test_it_goes_on_from_what_it_knew() -> None:
    p, _ = _mission(4, -1.5)
    whole, first, second = DoubtLevel(), DoubtLevel(), DoubtLevel()
    at = [whole.see(picture) for picture in p[:90]]
    for picture in p[:43]:
        first.see(picture)
    second.restore(first.state())
    first.see(p[50])
    assert [second.see(picture) for picture in p[43:90]] == at[43:] and len(set(at)) > 5


def test_what_is_more_likely_wrong_than_right_is_doubted_however_much_there_is() -> None:
    p, _ = _mission(3, 4.0)
    level = DoubtLevel()
    for picture in p[20:40]:
        at = level.see(picture)
    assert at == ALWAYS and (picture >= at).mean() > 0.9
