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
from gvc_base.marks.facts import PLANES, SCALARS, Scalar
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
