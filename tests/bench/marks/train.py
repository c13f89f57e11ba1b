"""`make train-marks`: training scenes to a score, calibration scenes to what the score means.

    training scenes      -> a network of three layers, plain numpy
    calibration scenes   -> share of wrong tiles at each score, by mark (never falling)
                         -> the highest p that is still trusted, by mark (conformal risk control)
It goes on where it was: clips, captures and rows are kept in the work folder.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Sequence
from itertools import pairwise, zip_longest
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.gvc_parts import place_patch
from gvc_base.marks import is_wrong
from gvc_base.marks.facts import PLANES, SCALARS, Fact, Scalar
from gvc_base.marks.model import BINS, FOLDER, Model, bins_of, model_of
from gvc_edge.regions import encode_layer
from gvc_protocol.marks import Mark
from tests.bench.marks.calibrate import calibrated
from tests.bench.marks.harvest import Rows, Take, harvest, takes
from tests.bench.marks.scenes import CALIBRATION, TRAINING, Scene, make_clip, read_clip

__all__ = ["fit", "main", "merged", "score"]

F32 = NDArray[np.float32]

_WIDTHS = (32, 16)
_SEEDS = (1, 2, 3)
"The mean of several networks is steadier than one, on scenes of a kind that none has seen."

_UNUSED = [Fact.ADDED, PLANES + Scalar.COST, PLANES + Scalar.RATE]
"""The last two are one number a take: with some sixty takes they tell scenes apart, not right from
wrong. Left out, nothing is lost on scenes that were not seen, and a size or rate that none had is no
surprise."""

_LEAST_SPREAD = 1e-4
_STEPS, _BATCH, _RATE = 1500, 4096, 3e-3
_DECAY, _JITTER = 1e-2, 0.1
"""Weight decay, and noise on the inputs in deviations: twenty scenes are few, and what tells them apart
must not be learnt."""


def fit(rows: Sequence[Rows], seed: int = 1) -> list[tuple[F32, F32]]:
    """(weights, bias) three times; each take counts alike, whatever its number of tiles."""
    rng = np.random.default_rng(seed)
    rows = [r for r in rows if len(r.mark)]
    inputs = np.concatenate([r.inputs for r in rows])
    mean, spread = inputs.mean(0), inputs.std(0)
    # What never changed taught nothing, and must say nothing where it does change.
    spread = np.where(spread > _LEAST_SPREAD, spread, np.inf).astype(np.float32)
    spread[_UNUSED] = np.inf
    sides = (inputs.shape[1], *_WIDTHS, 1)
    weights = [rng.normal(0, np.sqrt(2 / a), (b, a)).astype(np.float32) for a, b in pairwise(sides)]
    parameters = weights + [np.zeros(b, np.float32) for b in sides[1:]]
    first, second = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    for step in range(1, _STEPS + 1):
        chosen = [rows[i] for i in rng.integers(0, len(rows), 64)]
        picks = [(r, rng.integers(0, len(r.mark), _BATCH // 64)) for r in chosen]
        x = (np.concatenate([r.inputs[at] for r, at in picks]) - mean) / spread
        x += rng.normal(0, _JITTER, x.shape).astype(np.float32)
        y = np.concatenate([r.wrong[at] for r, at in picks]).astype(np.float32)
        rate = np.float32(_RATE * 0.5 * (1 + np.cos(np.pi * step / _STEPS)))
        for i, slope in enumerate(_slopes(parameters, x.astype(np.float32), y)):
            first[i] += 0.1 * (slope - first[i])
            second[i] += 0.001 * (slope**2 - second[i])
            move = first[i] / (1 - 0.9**step) / (np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
            parameters[i] -= rate * (move + _DECAY * parameters[i] * (i < len(weights)))
    w, b = parameters[:3], parameters[3:]
    # The shipped network takes the facts as they are.
    w[0] = w[0] / spread
    b[0] = b[0] - w[0] @ mean
    return [
        (np.asarray(m, np.float32), np.asarray(v, np.float32)) for m, v in zip(w, b, strict=True)
    ]


def _slopes(parameters: list[F32], x: F32, y: F32) -> list[F32]:
    """Gradient of the mean log loss."""
    w, b = parameters[:3], parameters[3:]
    one = np.maximum(x @ w[0].T + b[0], 0)
    two = np.maximum(one @ w[1].T + b[1], 0)
    out = (two @ w[2].T + b[2])[:, 0]
    d3 = ((1 / (1 + np.exp(-out)) - y) / len(y))[:, None]
    d2 = (d3 @ w[2]) * (two > 0)
    d1 = (d2 @ w[1]) * (one > 0)
    slopes = [d1.T @ x, d2.T @ one, d3.T @ two, d1.sum(0), d2.sum(0), d3.sum(0)]
    return [np.asarray(s, np.float32) for s in slopes]


def merged(nets: Sequence[Sequence[tuple[F32, F32]]]) -> list[tuple[F32, F32]]:
    """One network whose score is the mean of several: side by side, then summed."""
    first, second, last = zip(*nets, strict=True)
    middle = np.zeros(
        (sum(len(w) for w, _ in second), sum(w.shape[1] for w, _ in second)), np.float32
    )
    row = column = 0
    for weights, _ in second:
        high, wide = weights.shape
        middle[row : row + high, column : column + wide] = weights
        row, column = row + high, column + wide
    share = np.float32(1 / len(nets))
    return [
        (np.concatenate([w for w, _ in first]), np.concatenate([b for _, b in first])),
        (middle, np.concatenate([b for _, b in second])),
        (np.concatenate([w for w, _ in last], 1) * share, share * sum(b for _, b in last)),
    ]


def score(layers: Sequence[tuple[F32, F32]], inputs: F32) -> F32:
    """Score of each row, as `Model.score` gives it."""
    out = inputs
    for index, (weights, bias) in enumerate(layers):
        out = out @ weights.T + bias
        if index < len(layers) - 1:
            out = np.maximum(out, 0)
    return np.asarray(out[:, 0], np.float32)


def _received(data: Path, work: Path) -> float:
    """Share of wrong tiles in the first full-size layer of a region answer, the coarsest that counts as
    received; never below one in as many as were looked at."""
    wrong = tiles = 0
    for scene in CALIBRATION:
        clip = read_clip(make_clip(scene, data, work))
        rng = np.random.default_rng(scene.seed)
        for frame in clip[rng.integers(0, len(clip), 4)]:
            y, x = 8 * rng.integers(0, 20), 8 * rng.integers(0, 50)
            patch = encode_layer(
                frame, (int(x), int(y), 160, 128), offset=0, scale=1, crf=34.0, most_bytes=1 << 20
            )
            placed = place_patch(patch) if patch is not None else None
            if placed is not None:
                high, wide = placed.pixels.shape[:2]
                off = is_wrong(
                    np.ascontiguousarray(frame[y : y + high, x : x + wide]), placed.pixels
                )
                wrong, tiles = wrong + int(off.sum()), tiles + off.size
    return (wrong + 1) / (tiles + 1)


def _all(scenes: Sequence[Scene], data: Path, work: Path) -> list[tuple[Take, Rows]]:
    out = []
    for scene in scenes:
        for take in takes(scene):
            out.append((take, harvest(take, data, work)))
    return out


def _write(arrays: dict[str, NDArray[np.generic]], folder: Path) -> Model:
    """The calibration under its hash, and the index that names it; older ones go."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    raw = buffer.getvalue()
    sha256 = hashlib.sha256(raw).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("marks-*.npz"):
        old.unlink()
    name = f"marks-{sha256[:8]}.npz"
    (folder / name).write_bytes(raw)
    (folder / "index.json").write_text(
        json.dumps({"file": name, "sha256": sha256}, indent=1) + "\n"
    )
    return model_of(dict(arrays), f"marks-{sha256[:8]}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, calibrate, ship."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with photos/ and clips/")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made once")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the calibration goes")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    pairs = zip_longest(TRAINING, CALIBRATION)
    for scene in (s for pair in pairs for s in pair if s is not None):
        for take in takes(scene):
            rows = harvest(take, given.data, given.work)
            print(f"{take.name}: {len(rows.mark)} tiles, {100 * rows.wrong.mean():.1f} % wrong")
    trained = [rows for _, rows in _all(TRAINING, given.data, given.work)]
    layers = merged([fit(trained, seed) for seed in _SEEDS])
    judged = _all(CALIBRATION, given.data, given.work)
    scores = [score(layers, rows.inputs) for _, rows in judged]
    table = calibrated(judged, [bins_of(s) for s in scores])
    received = np.float32(_received(given.data, given.work))
    # Counted apart from the scores, on patches, and far below alpha: such pixels are trusted.
    table.trusted[Mark.RECEIVED] = max(table.trusted[Mark.RECEIVED], received)
    arrays: dict[str, NDArray[np.generic]] = {
        "p": table.p.astype(np.float16), "trusted": table.trusted.astype(np.float32),
        "doubted": np.float32(table.doubted), "vouched": np.float32(table.vouched),
        "received": received,
    }  # fmt: skip
    for index, (weights, bias) in enumerate(layers, 1):
        arrays[f"w{index}"], arrays[f"b{index}"] = weights, bias
    model = _write(arrays, given.out)
    assert model.layers[0][0].shape[1] == PLANES + SCALARS and table.p.shape == (len(Mark), BINS)
    for line in table.lines:
        print(line)
    print(f"{model.label} in {given.out}; a received tile is wrong in {100 * model.received:.3f} %")


if __name__ == "__main__":
    main()
