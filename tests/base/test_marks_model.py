"""The calibration: refused when damaged, never falling, and what it promises holds on fresh draws."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_base.decoders.gvc import SPEC, GvcDecoder
from gvc_base.marks import facts
from gvc_base.marks.doubt import Doubt
from gvc_base.marks.facts import PLANES, SCALARS, Context, PairFacts, Scalar
from gvc_base.marks.level import LEAST
from gvc_base.marks.model import (
    AWAY,
    FOLDER,
    away_inputs,
    bins_of,
    load_model,
    model_of,
    prepared,
    run,
    still_right,
)
from gvc_protocol.codec import DecodedFrame, ReceivedUnit
from gvc_protocol.errors import UserError
from gvc_protocol.gvc1 import GvcUnit
from gvc_protocol.marks import Mark
from gvc_protocol.truth import TruthMap
from tests.base.test_gvc_decoder import FRAMES, SPAN, Grey, received, unit
from tests.bench.marks.bench import auroc
from tests.bench.marks.calibrate import ALPHA, calibrated
from tests.bench.marks.captures import Sending
from tests.bench.marks.ground import features, matching
from tests.bench.marks.harvest import Take
from tests.bench.marks.learn import Rows, fit, fit_away, fit_error, joined, merged, of_kind, score
from tests.bench.marks.replay import TRUE, Log, Logged, Seen, again
from tests.bench.marks.scenes import CALIBRATION, FRESH, TEST, TRAINING

__all__ = ["unit"]

GRID = (6, 9)
CONTEXT = Context(
    grid=GRID, factor=3.0, bits_per_coded_pixel=0.05, coded_hz=10.0, classical=False,
    quality="standard",
)  # fmt: skip


def test_the_shipped_calibration_is_whole() -> None:
    model = load_model()
    assert model.label.startswith("marks-") and 0 < model.received < ALPHA
    assert (np.diff(model.p.astype(np.float32), axis=1) >= 0).all()
    assert (
        model.p.min() > 0
        and model.p.max() < 1
        and model.is_trusted(
            np.zeros((1, 1), np.uint8), np.full((1, 1), model.received, np.float16)
        )
    )
    grid = np.full((1, 1), 0.01, np.float16)
    for mark in (Mark.REGENERATED, Mark.LOST):
        assert not model.is_trusted(np.full((1, 1), mark, np.uint8), grid).any()
    # What may be trusted is not doubted.
    assert (model.trusted < LEAST).all()


def test_a_calibration_that_is_not_the_one_of_its_index_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "calibration"
    shutil.copytree(FOLDER, folder)
    name = json.loads((folder / "index.json").read_text())["file"]
    (folder / name).write_bytes(b"x" + (folder / name).read_bytes()[1:])
    with pytest.raises(UserError, match="not the file that its name says"):
        load_model(folder)
    (folder / name).unlink()
    with pytest.raises(UserError, match="cannot be read"):
        load_model(folder)
    (folder / "index.json").write_text("{}")
    with pytest.raises(UserError, match="no usable calibration"):
        load_model(folder)


def test_a_calibration_for_other_facts_is_refused() -> None:
    model = load_model()
    arrays = {"p": model.p, "trusted": model.trusted, "vouched": np.float32(0.1)}
    nets = (
        ("gh", model.own_layers),
        ("wb", model.layers),
        ("va", model.away_layers),
        ("ef", model.error_layers),
    )
    for names, layers in nets:
        for index, both in enumerate(layers, 1):
            arrays |= {f"{name}{index}": array for name, array in zip(names, both, strict=True)}
    with pytest.raises(KeyError):
        model_of(arrays, "x")
    arrays |= {"received": np.float32(0.01), "unseen": np.float32(1.5)}
    assert model_of(arrays, "x").label == "x"
    with pytest.raises(ValueError, match="other inputs"):
        model_of({**arrays, "w1": model.layers[0][0][:, :-1]}, "x")
    with pytest.raises(ValueError, match="other inputs"):
        model_of({**arrays, "v1": model.away_layers[0][0][:, :-1]}, "x")
    with pytest.raises(ValueError, match="other marks"):
        model_of({**arrays, "p": model.p[:, :-1]}, "x")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_auroc_is_the_chance_to_order_a_pair_rightly(rows: list[tuple[int, bool]]) -> None:
    p = np.array([float(a) for a, _ in rows])
    wrong = np.array([b for _, b in rows])
    if wrong.all() or not wrong.any():
        assert np.isnan(auroc(p, wrong))
        return
    pairs = [(p[i] > p[j]) + 0.5 * (p[i] == p[j]) for i in np.flatnonzero(wrong)
             for j in np.flatnonzero(~wrong)]  # fmt: skip
    assert auroc(p, wrong) == pytest.approx(float(np.mean(pairs)))


def takes_of(rng: np.random.Generator, count: int) -> list[tuple[Take, Rows]]:
    """Takes whose tiles are wrong as often as a logistic of their first input, each with a bias."""
    out = []
    for index in range(count):
        x = rng.normal(0, 2.5, (4000, PLANES + SCALARS)).astype(np.float32)
        x[:, [PLANES + Scalar.MOVED, PLANES + Scalar.HELD]] = 0
        x[:, PLANES + Scalar.TOLD_WHOLE] = index % 10 > 0
        x[:, facts.Fact.TOLD] = np.where(rng.random(4000) < 0.1, 1, -5.5)
        wrong = rng.random(4000) < 1 / (1 + np.exp(-(x[:, 0] + rng.normal(-2, 0.5))))
        scene = replace(CALIBRATION[index % 12], kind=("a", "b", "c")[index % 3])
        sending = Sending(scene=scene, bpp=0.001, latency_s=2, codec="gvc")
        take = Take(sending=sending, quality="standard", loss_seed=0)
        out.append(
            (
                take,
                Rows(
                    x,
                    np.full(4000, Mark.ENHANCED, np.uint8),
                    wrong * np.float32(2),
                    wrong * np.float32(99),
                    np.zeros((4000, 3), np.float32),
                    np.arange(4000, dtype=np.int32) // 400,
                ),
            )
        )
    return out


def test_what_is_trusted_is_right_on_takes_that_were_not_seen() -> None:
    rng = np.random.default_rng(3)
    seen, fresh = takes_of(rng, 150), takes_of(rng, 90)
    table = calibrated(seen, [bins_of(rows.inputs[:, 0]) for _, rows in seen], 0.9)
    # Never falling, and in order wherever scores differ: else the surest tiles are any of half of them.
    enhanced = table.p[Mark.ENHANCED]
    assert (np.diff(table.p, axis=1) >= 0).all() and len(np.unique(enhanced)) > 100
    said = np.concatenate([enhanced[bins_of(rows.inputs[:, 0])] for _, rows in seen])
    assert abs(said.mean() - np.mean([rows.wrong.mean() for _, rows in seen])) < 0.01
    assert table.trusted[Mark.LOST] == 0 and table.trusted[Mark.ENHANCED] > 0
    trusted = wrong = vouched = off = 0
    for _, rows in fresh:
        p = table.p[Mark.ENHANCED][bins_of(rows.inputs[:, 0])]
        inside = p <= table.trusted[Mark.ENHANCED]
        trusted, wrong = trusted + inside.sum(), wrong + rows.wrong[inside].sum()
        told = (rows.inputs[:, PLANES + Scalar.TOLD_WHOLE] > 0) & (p <= table.vouched)
        told &= rows.inputs[:, facts.Fact.TOLD] < facts.TOLD_RIGHT
        vouched, off = vouched + told.sum(), off + rows.wrong[told].sum()
    assert off <= ALPHA * vouched and vouched > 0.2 * 90 * 4000
    assert wrong <= ALPHA * trusted and trusted > 0.3 * 90 * 4000
    assert any(line.startswith("doubt finds") for line in table.lines)


def test_a_small_network_learns_and_is_what_the_decoder_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.bench.marks.learn._STEPS", 220)
    monkeypatch.setattr("tests.bench.marks.learn._BATCH", 1024)
    rng = np.random.default_rng(4)
    rows = [r for _, r in takes_of(rng, 6)]
    layers = fit(rows)
    said = run(layers, rows[0].inputs)
    assert auroc(said.astype(float), rows[0].wrong) > 0.85
    model = replace(load_model(), layers=tuple(layers))
    planes = np.abs(rng.normal(0, 1, (PLANES, *GRID))).astype(np.float32)
    scalars = rng.normal(0, 1, SCALARS).astype(np.float32)
    got = model.score(planes, scalars)
    flat = prepared(planes.reshape(PLANES, -1).copy()).T
    inputs = np.concatenate([flat, np.tile(scalars, (len(flat), 1))], 1)
    own = run(model.own_layers, inputs)
    assert np.allclose(inputs[:, facts.Fact.OWN], own, atol=1e-4) and np.ptp(own) > 0
    assert not inputs[:, facts.Fact.OFFSET : facts.Fact.OFFSET_EVENLY + 1].any()
    assert np.allclose(got.ravel(), run(layers, inputs), atol=1e-4)
    assert got.shape == GRID
    other = fit(rows, seed=2)
    mean = (said + run(other, rows[0].inputs)) / 2
    both = merged([layers, other])
    assert np.allclose(run(both, rows[0].inputs), mean, atol=1e-3)
    model = replace(load_model(), layers=tuple(both))
    assert np.allclose(model.score(planes, scalars).ravel(), run(both, inputs), atol=1e-4)


def test_a_held_picture_is_wrong_where_it_was_or_where_it_has_moved_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.bench.marks.learn._STEPS", 220)
    monkeypatch.setattr("tests.bench.marks.learn._BATCH", 1024)
    rng = np.random.default_rng(5)
    live = [r for _, r in takes_of(rng, 6)]
    held = [r for _, r in takes_of(rng, 6)]
    for rows in held:
        rows.inputs[:, PLANES + Scalar.HELD] = 1
        rows.apart[rows.inputs[:, facts.Fact.DISPLACED] > 2] = 2
    both = [joined(pair) for pair in zip(live, held, strict=True)]
    layers = fit([of_kind(r, held=False) for r in both])
    away = fit_away([of_kind(r, held=True) for r in both], layers)
    said = score(layers, away, both[0].inputs)
    flat = run(layers, both[0].inputs)
    assert np.allclose(said[:4000], flat[:4000]), "a picture that has just come"
    assert auroc(said[4000:].astype(float), held[0].wrong) > 0.9
    assert auroc(flat[4000:].astype(float), held[0].wrong) < 0.85
    # Where nothing has moved it is as sure as it was.
    still = held[0].inputs[:, facts.Fact.DISPLACED] < 0
    gap = abs(said[4000:][still].mean() - flat[:4000].mean())
    assert gap < 0.7
    # What the decoder runs is the same.
    model = replace(load_model(), layers=tuple(layers), away_layers=tuple(away))
    planes = np.abs(rng.normal(0, 1, (PLANES, *GRID))).astype(np.float32)
    scalars = np.zeros(SCALARS, np.float32)
    before = model.score(planes, scalars)
    scalars[Scalar.HELD] = 1
    got = model.away(planes, scalars, before)
    inputs = prepared(planes.reshape(PLANES, -1).copy()).T
    inputs = np.concatenate([inputs, np.tile(scalars, (len(inputs), 1))], 1)[:, AWAY]
    want = run(away, away_inputs(inputs, before.ravel()))
    assert np.allclose(got.ravel(), still_right(before.ravel(), want), atol=1e-4)
    assert (got >= before - 1e-4).all() and np.isfinite(got).all()


def test_the_expected_error_is_that_of_tiles_like_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bench.marks.learn._STEPS", 300)
    monkeypatch.setattr("tests.bench.marks.learn._BATCH", 2048)
    rng = np.random.default_rng(6)

    def take() -> tuple[Rows, np.ndarray]:
        ((_, rows),) = takes_of(rng, 1)
        shown, p = rng.uniform(0, 6, (4000, 3)).astype(np.float32), rng.random(4000)
        # Of detail that is half gone, or, where it is wrong, of twice the detail.
        mean = np.exp(shown[:, 0]) * np.where(rng.random(4000) < p, 2, 0.25)
        error = (mean * rng.gamma(2, 0.5, 4000)).astype(np.float32)
        return replace(rows, detail=shown, error=error), p

    seen, (fresh, p) = [take() for _ in range(6)], take()
    net = fit_error([r for r, _ in seen], [q for _, q in seen])
    model = replace(load_model(), error_layers=tuple(net))
    said = model.expected_square(fresh.detail.T, fresh.mark, p.astype(np.float16))
    wanted = np.exp(fresh.detail[:, 0]) * (2 * p + 0.25 * (1 - p))
    # What is rare and far off pulls less than it weighs; the level is set afterwards, in `train`.
    apart = np.log(said / wanted)
    assert np.std(apart) < 0.8 and np.corrcoef(np.log(said), np.log(wanted))[0, 1] > 0.9
    order = np.argsort(said)
    assert fresh.error[order[-400:]].mean() > 50 * fresh.error[order[:400]].mean()
    picture = rng.integers(0, 255, (44, 70, 3), np.uint8)
    root = model.expected_error(picture, np.full(GRID, 2, np.uint8), np.full(GRID, 0.1, np.float16))
    assert root.shape == GRID and root.dtype == np.float16 and (root <= 255).all()


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


@pytest.mark.parametrize("quality", ["preview", "standard"])
def test_what_is_held_is_doubted_more_than_what_came(unit: GvcUnit, quality: str) -> None:
    network = Grey() if quality == "standard" else None
    decoder = GvcDecoder(SPEC, quality, network)  # type: ignore[arg-type]
    came = list(decoder.decode(received(unit), SPAN))
    later = replace(SPAN, first_frame=FRAMES, fps=Fraction(30))
    held = list(decoder.decode(ReceivedUnit(unit_no=1), later))
    mean = [float(np.mean([f.p_wrong.mean() for f in frames])) for frames in (came, held)]
    # What this network shows is as wrong as can be.
    assert 0 < mean[0] <= mean[1] < 1 and (mean[0] < mean[1] or quality == "standard")


def test_a_log_gives_what_the_decoder_would_have_shown(unit: GvcUnit, tmp_path: Path) -> None:
    def units(decoder: GvcDecoder) -> Iterator[DecodedFrame]:
        yield from decoder.decode(received(unit), SPAN)
        yield from decoder.decode(ReceivedUnit(unit_no=1), replace(SPAN, first_frame=FRAMES))
        yield from decoder.decode(received(unit), replace(SPAN, first_frame=2 * FRAMES))

    log = Log()
    doubt = Logged(log)
    for frame in units(GvcDecoder(SPEC, "standard", Grey(), doubt=doubt)):
        nothing = np.zeros(frame.mark.shape, np.float32)
        log.seen.append(
            Seen(
                frame=frame.frame_no, ask=doubt.asks, mark=frame.mark, true=frame.p_wrong == TRUE,
                wrong=nothing > 0, apart=nothing, error=nothing, detail=np.stack([nothing] * 3),
            )
        )  # fmt: skip
    log.save(tmp_path / "take.log")
    shown = units(GvcDecoder(SPEC, "standard", Grey()))
    told = list(again(Log.load(tmp_path / "take.log"), load_model()))
    assert len(told) == 3 * FRAMES and {"between", "beyond"} <= {name for name, _ in log.asked}
    for frame, (seen, p, _) in zip(shown, told, strict=True):
        assert frame.frame_no == seen.frame and np.array_equal(frame.p_wrong, p)


def test_no_scene_is_in_two_lists() -> None:
    lists = [
        {(s.source, s.start_s) for s in scenes} for scenes in (TRAINING, CALIBRATION, TEST, FRESH)
    ]
    assert not any(one & other for one, other in combinations(lists, 2))


def test_no_ground_teaches_and_calibrates_or_judges() -> None:
    """The aerial sheets are left out: each is of a hundred places, and no two sheets share any."""
    data = Path(__file__).parents[3] / "shared"
    if not data.exists():
        pytest.skip("the photos that the lists name are not on this machine")
    surveys = [
        [s.source for s in scenes if s.source.startswith("photos/") and "_9x10" not in s.source]
        for scenes in (TRAINING, CALIBRATION, FRESH)
    ]
    seen = {name: features(data / name) for names in surveys for name in names}
    flights = {name: name.split("_")[0] for name in seen}
    pairs = [
        (a, b) for one, other in combinations(surveys, 2) for a in one for b in other
        if flights[a] == flights[b]
    ]  # fmt: skip
    assert len(pairs) >= 23
    assert {pair: n for pair in pairs if (n := matching(seen[pair[0]], seen[pair[1]])) >= 12} == {}
    # Two fields of which one had to go: 0458 shows ground of 0450.
    other = features(data / "photos/seneca_img_0458.jpg")
    assert matching(seen["photos/seneca_img_0450.jpg"], other) > 100
