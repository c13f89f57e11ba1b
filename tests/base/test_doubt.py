"""What a decoder's doubt says at each moment, between two and beyond the last."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gvc_base.marks import facts
from gvc_base.marks.doubt import Doubt
from gvc_base.marks.facts import Context, PairFacts, Scalar
from gvc_base.marks.model import load_model
from gvc_protocol.truth import TruthMap

GRID = (6, 9)
CONTEXT = Context(
    grid=GRID, factor=3.0, bits_per_coded_pixel=0.05, coded_hz=10.0, classical=False,
    quality="standard",
)  # fmt: skip


def test_before_anything_came_all_tiles_are_alike() -> None:
    model = replace(load_model(), unseen=1.75)
    doubt = Doubt(model)
    nothing = doubt.unseen(CONTEXT)
    assert (doubt.beyond(nothing, 4, 30.0) == np.float32(1.75)).all()


def pair(right: float = 0.0, grid: tuple[int, int] = GRID) -> PairFacts:
    """Args:
    right: tiles that the scene moves.
    """
    zeros = np.zeros(grid, np.float32)
    flow = np.dstack([zeros + np.float32(right), zeros])
    return PairFacts(zeros, zeros, zeros + 1, zeros + 1, zeros + 2, zeros, zeros, flow)


def test_scores_run_straight_from_moment_to_moment() -> None:
    doubt = Doubt(load_model())
    rng = np.random.default_rng(6)
    shown = [rng.integers(0, 255, (48, 72, 3), np.uint8) for _ in range(2)]
    a, b = (
        doubt.coded(CONTEXT, frame, facts.moment(CONTEXT, picture, picture, pair(), None))
        for frame, picture in zip((10, 20), shown, strict=True)
    )
    at = [doubt.between(a, b, (10, 20), pair, frame, 30.0) for frame in range(10, 21)]
    assert np.allclose(at[0], a.score) and np.allclose(at[10], b.score)
    assert np.allclose(at[2], a.score + (at[5] - a.score) * 0.4, atol=1e-5)
    assert not np.allclose(at[5], (a.score + b.score) / 2, atol=1e-3)
    near = replace(b, frame=14)
    assert np.allclose(
        doubt.between(a, near, (10, 14), pair, 12, 30.0), (a.score + b.score) / 2, atol=1e-5
    )
    held = [doubt.beyond(b, frame, 30.0) for frame in (21, 22, 24, 25, 300)]
    assert held[0] is held[1] and held[2] is held[0] and held[3] is not held[0]
    moved = doubt.moved(b, np.eye(3))
    assert np.allclose(moved.planes, b.planes, atol=1e-5) and moved.frame == b.frame
    on = doubt.beyond(b, 300, 30.0, by=np.eye(3))
    assert on is not held[4] and doubt.beyond(b, 301, 30.0, by=np.eye(3)) is on
    assert doubt.beyond(b, 301, 30.0, by=np.eye(3), told=True) is not on
    larger = doubt.on_grid(b, (8, 12))
    assert larger.score.shape == (8, 12) and larger.context.grid == (8, 12)


def test_between_two_moments_scores_and_facts_go_where_the_scene_goes() -> None:
    grid = (6, 40)
    context, inside = replace(CONTEXT, grid=grid), np.s_[:, 10:-10]
    seen: list[np.ndarray] = []
    doubt = Doubt(load_model(), lambda _, planes, scalars: seen.append(planes.copy()))
    planes = np.random.default_rng(6).random((facts.PLANES, *grid)).astype(np.float32)
    # The same ground, ten tiles further right ten frames later.
    later = np.roll(planes, 10, axis=2)
    a, b = (doubt.coded(context, frame, p.copy()) for frame, p in ((10, planes), (20, later)))
    a, b = replace(a, score=planes[0]), replace(b, score=later[0])
    at = {frame: doubt.between(a, b, (10, 20), lambda: pair(10, grid), frame, 30.0)
          for frame in (10, 12, 15, 18, 20)}  # fmt: skip
    half_way = np.roll(planes, 5, axis=2)[facts.Fact.FINE]
    assert np.allclose(seen[-1][facts.Fact.FINE][inside], half_way[inside], atol=1e-4)
    for near, frame, step in ((a.score, 12, 2), (b.score, 18, -2)):
        middle = np.roll(at[15], frame - 15, axis=1)
        mixed = 0.6 * np.roll(near, step, axis=1) + 0.4 * middle
        assert np.allclose(at[frame][inside], mixed[inside], atol=1e-4)
    assert np.allclose(at[10], a.score, atol=1e-5) and np.allclose(at[20], b.score, atol=1e-5)


def test_what_a_picture_was_moved_away_from_is_known_and_how_it_was_moved() -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    doubt = Doubt(load_model(), lambda _, planes, scalars: seen.append((planes.copy(), scalars)))
    known = doubt.unseen(CONTEXT)
    left = doubt.moved(known, np.array([[1, 0, -2.0], [0, 1, 0], [0, 0, 1]]))
    uncovered = left.planes[facts.Fact.UNCOVERED]
    assert (uncovered[:, -2:] == 1).all() and not uncovered[:, :-2].any()
    # Moved once more, it has not come back.
    again = doubt.moved(left, np.array([[1, 0, 2.0], [0, 1, 0], [0, 0, 1]]))
    assert (again.planes[facts.Fact.UNCOVERED][:, [0, 1]] == 1).all()
    for moved, told in ((False, False), (True, False), (True, True)):
        by = np.array([[1, 0, -2.0], [0, 1, 0], [0, 0, 1]]) if moved else None
        doubt.beyond(known, 4, 30.0, by=by, told=told)
        planes, scalars = seen[-1]
        assert (scalars[Scalar.MOVED], scalars[Scalar.HELD]) == (moved, not told)
        assert planes[facts.Fact.UNCOVERED].any() == moved


def test_what_the_sender_told_is_an_input_for_its_unit_and_no_other() -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    doubt = Doubt(load_model(), lambda _, planes, scalars: seen.append((planes.copy(), scalars)))
    picture = np.random.default_rng(6).integers(0, 255, (48, 72, 3), np.uint8)
    planes = facts.moment(CONTEXT, picture, picture, pair(), None)
    levels = np.zeros((1, 3, 5), np.uint8)
    levels[0, 0, :2] = 4
    truth = TruthMap(proxy=1, levels=levels)
    for told in (None, facts.Told(truth, whole=False), facts.Told(truth, whole=True), None):
        doubt.tell(told)
        doubt.coded(CONTEXT, 10, planes)
        assert doubt.kept(CONTEXT, 11, 30.0) is not None
        doubt.tell(None)
        assert doubt.kept(CONTEXT, 11, 30.0) is None, "what held for another unit"
    for fact in (facts.Fact.TOLD, facts.Fact.TOLD_EVENLY, facts.Fact.TOLD_NEAR):
        assert not seen[0][0][fact].any() and not seen[3][0][fact].any()
    odds = seen[1][0][facts.Fact.TOLD]
    assert (odds[:2, :4] > 1).all() and (odds > 0).sum() == 8, "on the facts' grid"
    assert (odds[2:] < facts.TOLD_RIGHT).all() and (odds[:, 4:] < facts.TOLD_RIGHT).all()
    evenly = seen[1][0][facts.Fact.TOLD_EVENLY]
    assert (np.diff(evenly[0]) <= 0).all() and len(np.unique(evenly[0])) > 2
    flags = [(s[Scalar.TOLD], s[Scalar.TOLD_WHOLE]) for _, s in seen]
    assert flags == [(0, 0), (1, 0), (1, 1), (0, 0)]
    shares = [s[Scalar.TOLD_SHARE] for _, s in seen]
    assert shares == pytest.approx([0, *[shares[1]] * 3]) and -3 < shares[1] < -2, (
        "the scene stays as hard as it was"
    )


def test_scalars_say_what_a_frame_is() -> None:
    scalars = CONTEXT.scalars(100.0, kind=Scalar.HELD)
    assert scalars[Scalar.HELD] == 1 and scalars[Scalar.MOVED] == 0
    assert scalars[Scalar.SINCE] == pytest.approx(np.log1p(facts.FAR_AWAY_S))
    assert scalars[Scalar.FACTOR] == pytest.approx(np.log2(3))
