"""Laws of the bench's measures on small pictures: what is best, what is worst, what is not counted."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gvc_edge.sources.flood import FloodSource, parse_flood_query
from gvc_protocol.errors import UserError
from tests.bench.codec.jod import jod, jod_name, middle
from tests.bench.codec.judge import Box, Judge, Verdict, iou, last_of_each_scale, matched
from tests.bench.codec.metrics import (
    MOST_PSNR_DB,
    Clip,
    flicker,
    lpips,
    luma,
    ms_ssim,
    psnr,
    sampled,
    ssimulacra2,
)
from tests.bench.codec.movers import (
    TrueMover,
    correlation,
    flood_movers,
    movers_kept,
    read_movers,
)

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "judges" / "FastestDet.onnx"


def clip(seed: int, frames: int = 4, height: int = 48, width: int = 64) -> Clip:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), np.uint8)


def test_psnr_is_best_for_a_copy_and_the_formula_for_the_rest() -> None:
    a, b = clip(1), clip(2)
    error = float(((a.astype(np.float64) - b) ** 2).mean())
    assert psnr(a, a) == MOST_PSNR_DB
    assert psnr(a, b) == pytest.approx(10 * np.log10(255**2 / error), abs=1e-9)
    assert psnr(a, b) == psnr(b, a)


def test_psnr_averages_the_error_not_the_decibels() -> None:
    a = clip(1, frames=2)
    b = a.copy()
    b[1] = clip(3, frames=1)[0]
    assert psnr(a, b) == pytest.approx(psnr(a[1:], b[1:]) + 10 * np.log10(2), abs=1e-9)


@pytest.mark.parametrize("measure", [psnr, flicker, ms_ssim, ssimulacra2])
def test_clips_that_are_no_pair_are_refused(measure: Callable[[Clip, Clip], float]) -> None:
    a = clip(1)
    for bad in (a[:3], a[:, :-2], a.astype(np.float32), a[0]):
        with pytest.raises(ValueError, match="clips"):
            measure(a, bad)
    with pytest.raises(ValueError, match="without a frame"):
        measure(a[:0], a[:0])


def test_memmaps_measure_as_arrays_do(tmp_path: Path) -> None:
    a, b = clip(1), clip(2)
    mapped = np.memmap(tmp_path / "a.bin", np.uint8, "w+", shape=a.shape)
    mapped[:] = a
    for measure in (psnr, flicker):
        assert measure(mapped, b) == measure(a, b)


def test_flicker_of_an_error_that_stands_still_is_zero() -> None:
    still = np.repeat(clip(1, frames=1) // 2, 5, axis=0)
    wrong = still + clip(2, frames=1) // 4
    assert flicker(still, wrong) == 0
    assert flicker(still[:1], wrong[:1]) == 0
    moving = clip(3, frames=5)
    assert flicker(moving, moving) == 0


def test_flicker_is_the_step_of_the_error_in_levels() -> None:
    source = np.full((3, 16, 16, 3), 100, np.uint8)
    decoded = source.copy()
    decoded[1] += 8  # up by 8, down by 8
    assert flicker(source, decoded) == pytest.approx(8, abs=1e-4)


def test_luma_weighs_colours_and_does_not_round() -> None:
    frame = np.zeros((1, 3, 3), np.uint8)
    frame[0, 0, 0] = frame[0, 1, 1] = frame[0, 2, 2] = 255
    assert luma(frame)[0] == pytest.approx(np.array([0.114, 0.587, 0.299]) * 255, abs=1e-3)


@pytest.mark.parametrize(("total", "count"), [(60, 8), (3, 8), (1, 8), (24, 24)])
def test_samples_are_spread_over_the_clip(total: int, count: int) -> None:
    chosen = sampled(total, count)
    assert chosen == sorted(set(chosen)) and len(chosen) == min(total, count)
    assert chosen[0] == 0 and (chosen[-1] == total - 1 or count == 1)


def test_correlation_knows_a_copy_from_noise_and_forgives_brightness() -> None:
    a, noise = (luma(clip(seed, frames=1)[0]) for seed in (1, 2))
    assert correlation(a, a) == pytest.approx(1)
    assert correlation(a, 0.5 * a + 20) == pytest.approx(1)
    assert correlation(a, 255 - a) == pytest.approx(-1)
    assert abs(correlation(a, noise)) < 0.7
    assert correlation(a, np.full_like(a, 9)) == 0


def test_movers_are_kept_in_a_copy_and_lost_in_noise() -> None:
    source, truth = clip(1, frames=2), [[TrueMover("vehicle", 5, 5, 20, 20)]] * 2
    kept = movers_kept(source, source, truth)
    assert (kept.seen, kept.total, kept.share) == (2, 2, 1.0)
    half = source.copy()
    half[1] = clip(2, frames=1)[0]
    kept = movers_kept(source, half, truth)
    assert (kept.share, kept.by_kind) == (0.5, {"vehicle": (1, 2)})


def test_only_the_true_box_is_looked_at() -> None:
    source = clip(1, frames=1)
    decoded = clip(2, frames=1)
    decoded[0, 5:20, 5:20] = source[0, 5:20, 5:20]
    assert movers_kept(source, decoded, [[TrueMover("boat", 5, 5, 20, 20)]]).share == 1
    assert movers_kept(source, decoded, [[TrueMover("boat", 30, 5, 45, 20)]]).share == 0


def test_boxes_outside_small_or_flat_are_ignored() -> None:
    source = clip(1, frames=1)
    source[0, 30:, 30:] = 77
    ignored = [
        TrueMover("person", -20, 5, -2, 20),
        TrueMover("person", 64, 5, 90, 20),
        TrueMover("person", 60, 5, 90, 20),  # 4 pixels of it are inside
        TrueMover("person", 5, 5, 10, 20),
        TrueMover("person", 32, 32, 46, 46),
    ]
    kept = movers_kept(source, source, [ignored])
    assert kept.total == 0 and kept.share is None
    edge = TrueMover("person", 58, -9, 90, 20)  # 6 by 20 are inside
    assert movers_kept(source, source, [[*ignored, edge]]).total == 1
    with pytest.raises(ValueError, match="true boxes"):
        movers_kept(source, source, [])


def flyover_json(path: Path) -> Path:
    rows = [[["vehicle", 100 + i, 60, 140 + i, 90]] for i in range(30)]
    path.write_text(json.dumps({"fps": 30, "size": [400, 200], "movers": rows}))
    return path


def test_true_boxes_are_scaled_as_the_clip_is(tmp_path: Path) -> None:
    path = flyover_json(tmp_path / "a.json")
    same = read_movers(path, width=400, height=200)
    assert len(same) == 30 and same[3] == [TrueMover("vehicle", 103, 60, 143, 90)]
    half = read_movers(path, width=200, height=100)
    assert half[2] == [TrueMover("vehicle", 51, 30, 71, 45)]
    # Scaled to cover 200x200: the middle of 400x200.
    middle_cut = read_movers(path, width=200, height=200)
    assert middle_cut[0] == [TrueMover("vehicle", 0, 60, 40, 90)]


def test_true_boxes_are_sampled_as_the_clip_is(tmp_path: Path) -> None:
    path = flyover_json(tmp_path / "a.json")
    rows = read_movers(path, width=400, height=200, fps=10)
    assert [row[0].x0 for row in rows] == list(range(100, 130, 3))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"size": [0, 0], "fps": 30, "movers": []}'])
def test_a_file_without_true_boxes_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(UserError, match="cannot read"):
        read_movers(path, width=4, height=4)
    path.write_text(text)
    with pytest.raises(UserError, match="render it again"):
        read_movers(path, width=4, height=4)


def test_the_flood_tells_its_own_true_boxes() -> None:
    query = parse_flood_query("seed=1&size=320x180&seconds=1&fps=2")
    source = FloodSource(query, start_us=0, seconds=None, crop_even=True)
    rows = flood_movers(source, frames=2)
    assert [len(row) for row in rows] == [len(source.boxes(i)) for i in range(2)]
    frames = np.stack([source.render(i) for i in range(2)])
    kept = movers_kept(frames, frames, rows)
    assert kept.total == kept.seen > 0


def test_the_crop_is_the_middle_half_and_has_its_own_name() -> None:
    a = clip(1, height=40, width=80)
    assert np.array_equal(middle(a), a[:, 10:30, 20:60])
    assert jod_name(crop=True) != jod_name(crop=False)


@pytest.mark.parametrize(
    ("measure", "package"),
    [
        (lambda a: ms_ssim(a, a), "pytorch_msssim"),
        (lambda a: ssimulacra2(a, a), "ssimulacra2"),
        (lambda a: jod(a, a, fps=30), "torchvision"),
    ],
)
def test_a_missing_package_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch,
    measure: Callable[[Clip], float],
    package: str,
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match="missing; pip install"):
        measure(clip(1, frames=1, height=176, width=176))


def box(score: float, class_no: int, x0: float, x1: float) -> Box:
    return Box(score=score, class_no=class_no, x0=x0, y0=0.0, x1=x1, y1=1.0)


def test_boxes_match_once_and_within_their_class() -> None:
    car, other = box(0.9, 2, 0.0, 0.4), box(0.8, 2, 0.1, 0.4)
    assert iou(car, car) == pytest.approx(1) and iou(car, box(0.9, 2, 0.6, 0.9)) == 0
    assert iou(car, other) == pytest.approx(0.75)
    assert matched([car, other], [car]) == 1
    assert matched([car, other], [other, car]) == 2
    assert matched([car], [box(0.9, 3, 0.0, 0.4)]) == 0
    assert matched([car], [box(0.9, 2, 0.3, 0.7)]) == 0


def test_a_verdict_without_boxes_has_no_recall() -> None:
    none = Verdict(feature_distance=0.0, source_boxes=0, decoded_boxes=0, matched=0)
    assert none.recall is None and none.precision is None
    some = Verdict(feature_distance=0.1, source_boxes=4, decoded_boxes=2, matched=1)
    assert (some.recall, some.precision) == (0.25, 0.5)


def test_features_are_the_last_convolutions_of_each_scale() -> None:
    shapes = {
        "stem": (1, 16, 32, 64), "half": (1, 16, 32, 64), "thin": (1, 2, 32, 64),
        "deep": (1, 64, 8, 16), "late": (1, 32, 32, 64), "odd": (1, 16, 21, 42),
        "rows": (1, 16, 1, 600),
    }  # fmt: skip
    assert last_of_each_scale(list(shapes), list(shapes.values()), (128, 64)) == ["late", "deep"]


def tiny_yolo(path: Path, *, rows: bool = True) -> Path:
    """A model of the [1, 4 + C, N] layout with two scales and random weights."""
    onnx = pytest.importorskip("onnx")
    rng, make = np.random.default_rng(5), onnx.helper.make_node
    weights = {
        "a": rng.standard_normal((16, 3, 8, 8)) * 0.2, "b": rng.standard_normal((16, 16, 2, 2)),
        "c": rng.standard_normal((6, 16, 1, 1)),
    }  # fmt: skip
    nodes = [
        make("Conv", ["x", "a"], ["f8"], strides=[8, 8]),
        make("Conv", ["f8", "b"], ["f16"], strides=[2, 2]),
        make("Conv", ["f8", "c"], ["head"]),
        make("Sigmoid", ["head"], ["scores"]),
        make("Reshape", ["scores", "shape"], ["out"]),
        make("GlobalAveragePool", ["f16"], ["unused"]),
    ]
    kept = [onnx.numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()]
    shape = np.array([1, 6, 64] if rows else [1, 384], np.int64)
    kept.append(onnx.numpy_helper.from_array(shape, "shape"))
    info, real = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes, "tiny", [info("x", real, [1, 3, 64, 64])], [info("out", real, shape.tolist())], kept
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def test_any_yolo_judges_a_copy_as_perfect(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    judge = Judge(tiny_yolo(tmp_path / "tiny.onnx"))
    assert judge.name == "tiny.onnx"
    source = clip(1, frames=2, height=48, width=96)
    levels = judge.features(source[0])
    assert [level.shape for level in levels] == [(16, 8, 8), (16, 4, 4)] * 3
    assert np.linalg.norm(levels[0], axis=0) == pytest.approx(1, abs=1e-3)
    verdict = judge.compare(source, source)
    assert verdict.feature_distance == 0 and verdict.source_boxes > 0
    assert verdict.recall == verdict.precision == 1
    assert judge.compare(source, source[::-1]).feature_distance > 0


def test_a_judge_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    with pytest.raises(UserError, match="no such file"):
        Judge(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(UserError, match="not an ONNX model"):
        Judge(tmp_path / "text.onnx")
    with pytest.raises(UserError, match="YOLO-style"):
        Judge(tiny_yolo(tmp_path / "flat.onnx", rows=False))


@pytest.mark.skipif(not REFERENCE.exists(), reason="no reference detector beside the repository")
def test_the_reference_detector_sees_less_in_a_blurred_frame() -> None:
    cv2 = pytest.importorskip("cv2")
    pytest.importorskip("onnx")
    judge = Judge(REFERENCE)
    source = cv2.resize(clip(1, frames=1)[0], (480, 360), interpolation=cv2.INTER_CUBIC)
    small, large = (cv2.GaussianBlur(source, (0, 0), sigma) for sigma in (2, 6))
    assert len(judge.features(source)) == 15
    assert judge.distance(source, source) == 0
    assert 0 < judge.distance(source, small) < judge.distance(source, large) < 4


def test_lpips_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(UserError, match="pip install lpips"):
        lpips(clip(1), clip(1))
