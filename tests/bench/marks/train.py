"""`make train-marks`: training scenes to a score, calibration scenes to what the score means.

    training scenes      -> networks of three layers, plain numpy (`learn`): first of what is known
                            without the sender's map, then of what this says beside the map
    calibration scenes   -> share of wrong tiles at each score, by mark (never falling)
                         -> the highest p that is still trusted, by mark (conformal risk control)
It goes on where it was: clips, captures and rows are kept in the work folder.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.gvc_parts import place_patch
from gvc_base.marks import is_wrong
from gvc_base.marks.facts import PLANES, SCALARS
from gvc_base.marks.model import BINS, FOLDER, Model, bins_of, error_inputs, model_of, run
from gvc_edge.regions import encode_layer
from gvc_protocol.marks import Mark
from tests.bench.marks.calibrate import Table, calibrated
from tests.bench.marks.harvest import Take, harvest, takes
from tests.bench.marks.learn import Net, Rows, fit, fit_away, fit_error, merged, of_kind, score
from tests.bench.marks.scenes import CALIBRATION, TRAINING, Scene, make_clip, read_clip

__all__ = ["main"]

_SEEDS, _AWAY_SEEDS = (1, 2), (1, 2, 3)
"The mean of several networks is steadier than one, on scenes of a kind that none has seen."


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


def _error(
    trained: Sequence[Rows],
    judged: Sequence[tuple[Take, Rows]],
    layers: Net,
    away: Net,
    table: Table,
) -> Net:
    """The network of the expected error: from the training scenes, its level from the others."""

    def p_of(rows: Rows) -> NDArray[np.float64]:
        return table.p[rows.mark, bins_of(score(layers, away, rows.inputs))]

    seen = [rows for rows in (take.seen()[0] for take in trained) if len(rows.mark)]
    net = fit_error(seen, [p_of(rows) for rows in seen])
    said, found = [], []
    for _, rows in judged:
        if len(rows.mark):
            inputs = error_inputs(rows.detail, rows.mark, p_of(rows))
            said.append(np.exp(run(net, inputs)).mean())
            found.append(rows.error.mean())
    weights, bias = net[-1]
    net[-1] = weights, bias + np.float32(np.log(np.sum(found) / np.sum(said)))
    return net


def _rows(
    scenes: Sequence[Scene], data: Path, work: Path, own: Callable[[Scene], Net] | None = None
) -> list[tuple[Take, Rows]]:
    """The same tiles each time.

    Args:
        own: the networks of `Fact.OWN` for a scene.
    """
    out = []
    for scene in scenes:
        nets = own(scene) if own is not None else None
        for take in takes(scene):
            seed = zlib.crc32(take.name.encode())
            out.append((take, harvest(take, data, work).rows(seed, nets)))
    return out


def _half(scene: Scene) -> int:
    """Which half of the training scenes it belongs to; one photo's scenes are in one."""
    names = sorted({s.name.removesuffix("-wide") for s in TRAINING})
    return names.index(scene.name.removesuffix("-wide")) % 2


def _own(data: Path, work: Path) -> list[Net]:
    """The networks of a tile's own score, one from each half of the training scenes: the score that the
    next ones are taught with is of scenes that it has not seen, as it will be in use."""
    taught = _rows(TRAINING, data, work)
    return [
        fit([rows for take, rows in taught if _half(take.sending.scene) == half], own=True)
        for half in (0, 1)
    ]


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
            apart = harvest(take, given.data, given.work).apart
            wrong = 100 * (apart > 1).sum() / max(1, apart.size)
            print(f"{take.name}: {len(apart)} pictures, {wrong:.1f} % wrong")
    halves = _own(given.data, given.work)
    own = merged(halves)
    taught = _rows(TRAINING, given.data, given.work, lambda scene: halves[1 - _half(scene)])
    trained = [rows for _, rows in taught]
    # All of them: those that are held teach it, too, though it is asked for the others alone.
    layers = merged([fit(trained, seed) for seed in _SEEDS])
    held = [of_kind(rows.seen()[0], held=True) for rows in trained]
    away = merged([fit_away(held, layers, seed) for seed in _AWAY_SEEDS])
    judging = _rows(CALIBRATION, given.data, given.work, lambda _: own)
    taken = [(take, rows.seen()) for take, rows in judging]
    judged = [(take, rows) for take, (rows, _) in taken]
    scores = [score(layers, away, rows.inputs) for _, rows in judged]
    # Each take counts alike, here too.
    unseen = float(np.mean([wrong.mean() for _, (_, wrong) in taken if len(wrong)]))
    table = calibrated(judged, [bins_of(s) for s in scores], unseen)
    error = _error(trained, judged, layers, away, table)
    received = np.float32(_received(given.data, given.work))
    # Counted apart from the scores, on patches, and far below alpha: such pixels are trusted.
    table.trusted[Mark.RECEIVED] = max(table.trusted[Mark.RECEIVED], received)
    arrays: dict[str, NDArray[np.generic]] = {
        "p": table.p.astype(np.float16), "trusted": table.trusted.astype(np.float32),
        "vouched": np.float32(table.vouched),
        "received": received, "unseen": np.float32(table.unseen),
    }  # fmt: skip
    for index in (1, 2, 3):
        arrays[f"g{index}"], arrays[f"h{index}"] = own[index - 1]
        arrays[f"w{index}"], arrays[f"b{index}"] = layers[index - 1]
        arrays[f"v{index}"], arrays[f"a{index}"] = away[index - 1]
        arrays[f"e{index}"], arrays[f"f{index}"] = error[index - 1]
    model = _write(arrays, given.out)
    assert model.layers[0][0].shape[1] == PLANES + SCALARS and table.p.shape == (len(Mark), BINS)
    for line in table.lines:
        print(line)
    print(f"{model.label} in {given.out}; a received tile is wrong in {100 * model.received:.3f} %")


if __name__ == "__main__":
    main()
