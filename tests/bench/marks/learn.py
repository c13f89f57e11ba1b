"""The networks of `p_wrong`, learnt in plain numpy: Adam with weight decay, noise on the inputs.

rows of pictures that were received -> is this tile wrong          (`fit`)
rows of pictures held or moved, with the first one's answer for the picture as it was
    -> is it out of place by now: right is what was right and still is    (`fit_away`)
rows with their p, all of them -> how far are the pixels from the truth    (`fit_error`)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gvc_base.marks.facts import PLANES, SCALARS, Fact, Scalar
from gvc_base.marks.model import AWAY, away_inputs, error_inputs, run, still_right

__all__ = [
    "HELD", "Net", "Rows", "fit", "fit_away", "fit_error", "joined", "merged", "of_kind", "own_score",
    "score",
]  # fmt: skip

F32 = NDArray[np.float32]
Net = list[tuple[F32, F32]]
Slope = Callable[[F32, F32], F32]
"(what was drawn beside the inputs, outputs) -> gradient of the loss of each output."

_WIDTHS, _AWAY_WIDTHS, _ERROR_WIDTHS = (24, 12), (16, 16), (12, 8)
_LEAST_ERROR = 0.3
"Mean square, levels of 255: nearer than that is a matter of rounding."

_UNUSED = [PLANES + Scalar.COST, PLANES + Scalar.RATE]
"""They are one number a take: with some sixty takes they tell scenes apart, not right from
wrong. Left out, nothing is lost on scenes that were not seen, and a size or rate that none had is no
surprise."""

_OF_THE_MAP = [Fact.TOLD, Fact.TOLD_EVENLY, Fact.TOLD_NEAR, Fact.OFFSET, Fact.OFFSET_EVENLY]

HELD = [PLANES + Scalar.MOVED, PLANES + Scalar.HELD]
"Inputs of which one is 1 in a picture that was held or moved."
_AGED = [Fact.DRIFT, Fact.UNCOVERED, PLANES + Scalar.SINCE, *HELD]

_LEAST_SPREAD = 1e-4
_STEPS, _BATCH, _RATE = 1500, 4096, 3e-3
_DECAY, _JITTER = 1e-2, 0.1
"""Weight decay, and noise on the inputs in deviations: twenty scenes are few, and what tells them apart
must not be learnt."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Tiles: inputs float32[n, PLANES + SCALARS] as the network takes them, mark uint8[n], apart
    float32[n]: disagreement with the source, error float32[n]: mean square of the difference, levels of
    255, detail float32[n, 3] of what is shown (`gvc_base.marks.texture.detail`), picture int32[n]:
    which tiles are of one."""

    inputs: NDArray[np.float32]
    mark: NDArray[np.uint8]
    apart: NDArray[np.float32]
    error: NDArray[np.float32]
    detail: NDArray[np.float32]
    picture: NDArray[np.int32]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """As `is_wrong` says."""
        return self.apart > 1

    def seen(self) -> tuple[Rows, NDArray[np.bool_]]:
        """Tiles of pictures that something was received of, and whether those of the others are wrong.

        A picture before anything came is grey: no structure at all, and the same in all of its tiles.
        """
        none = ~self.inputs[:, [Fact.STRUCTURE, Fact.CODED_OWN]].any(1)
        return self.of(~none), self.wrong[none]

    def of(self, these: NDArray[np.bool_]) -> Rows:
        """Some of the tiles."""
        return Rows(
            self.inputs[these], self.mark[these], self.apart[these], self.error[these],
            self.detail[these], self.picture[these],
        )  # fmt: skip


def joined(rows: Sequence[Rows]) -> Rows:
    """All of them, one after the other."""
    none = Rows(
        np.zeros((0, PLANES + SCALARS), np.float32), np.zeros(0, np.uint8),
        np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros((0, 3), np.float32),
        np.zeros(0, np.int32),
    )  # fmt: skip
    names = ("inputs", "mark", "apart", "error", "detail", "picture")
    return Rows(*(np.concatenate([getattr(r, n) for r in (none, *rows)]) for n in names))


def of_kind(rows: Rows, *, held: bool) -> Rows:
    """The tiles of pictures that were held or moved, or those of the others."""
    here = rows.inputs[:, HELD].any(1) == held
    return rows.of(here)


def fit(rows: Sequence[Rows], seed: int = 1, *, own: bool = False) -> Net:
    """(weights, bias) three times; each take counts alike, whatever its number of tiles.

    Args:
        own: without what the sender's map told.
    """
    rng = np.random.default_rng(seed)
    takes = [(r.inputs, r.wrong.astype(np.float32)) for r in rows if len(r.mark)]

    def slope(wrong: F32, out: F32) -> F32:
        """Of the log loss."""
        return np.asarray(1 / (1 + np.exp(-out)) - wrong, np.float32)

    return _learn(takes, slope, _WIDTHS, _UNUSED + (_OF_THE_MAP if own else []), rng)


def fit_away(rows: Sequence[Rows], layers: Net, seed: int = 1) -> Net:
    """The same for pictures that were held or moved.

    Args:
        layers: the network that says whether the picture was right when it was made.
    """
    rng = np.random.default_rng(seed)
    takes = []
    for r in rows:
        if len(r.mark):
            before = _when_made(layers, r.inputs)
            given = np.stack([r.wrong, before], 1).astype(np.float32)
            takes.append((away_inputs(r.inputs[:, AWAY], before), given))

    def slope(given: F32, out: F32) -> F32:
        """Of the log loss of `still_right`."""
        wrong, before = given.T
        odds = np.exp(np.clip(still_right(before, out), -12, 12))  # wrong over right
        return np.asarray((1 - wrong - wrong / odds) / (1 + np.exp(-out)), np.float32)

    return _learn(takes, slope, _AWAY_WIDTHS, [], rng)


def fit_error(rows: Sequence[Rows], p: Sequence[NDArray[np.floating[Any]]], seed: int = 1) -> Net:
    """How far shown pixels are from the truth.

    Args:
        p: of each take's rows.
    """
    takes = [
        (error_inputs(r.detail, r.mark, q), np.maximum(r.error, _LEAST_ERROR))
        for r, q in zip(rows, p, strict=True) if len(r.mark)
    ]  # fmt: skip

    def slope(error: F32, out: F32) -> F32:
        """Of a gamma's log loss, of which the mean is exp(out); a rare large error pulls so much."""
        return np.asarray(np.maximum(1 - error * np.exp(-np.clip(out, -2, 12)), -4), np.float32)

    return _learn(takes, slope, _ERROR_WIDTHS, [], np.random.default_rng(seed))


def score(layers: Net, away: Net, inputs: F32) -> F32:
    """Score of each row, as `Model.score` and `Model.away` give it."""
    out = run(layers, inputs)
    held = inputs[:, HELD].any(1)
    before = _when_made(layers, inputs[held])
    out[held] = still_right(before, run(away, away_inputs(inputs[held][:, AWAY], before)))
    return out


def own_score(own: Net, inputs: F32) -> F32:
    """`Fact.OWN` of each row; of a picture that was held, what it was when it was made."""
    out = run(own, inputs)
    held = inputs[:, HELD].any(1)
    if held.any():
        out[held] = _when_made(own, inputs[held])
    return out


def _when_made(layers: Net, inputs: F32) -> F32:
    """Score of the same pictures at the moment they were made."""
    inputs = inputs.copy()
    inputs[:, _AGED] = 0
    inputs[:, Fact.TRUST] = 1
    return run(layers, inputs)


def _learn(
    takes: Sequence[tuple[F32, F32]], slope: Slope, widths: tuple[int, int], unused: list[int],
    rng: np.random.Generator,
) -> Net:  # fmt: skip
    inputs = np.concatenate([x for x, _ in takes])
    mean, spread = inputs.mean(0), inputs.std(0)
    # What never changed taught nothing, and must say nothing where it does change.
    spread = np.where(spread > _LEAST_SPREAD, spread, np.inf).astype(np.float32)
    spread[unused] = np.inf
    sides = (inputs.shape[1], *widths, 1)
    weights = [rng.normal(0, np.sqrt(2 / a), (b, a)).astype(np.float32) for a, b in pairwise(sides)]
    parameters = weights + [np.zeros(b, np.float32) for b in sides[1:]]
    first, second = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    for step in range(1, _STEPS + 1):
        chosen = [takes[i] for i in rng.integers(0, len(takes), 64)]
        picks = [(*take, rng.integers(0, len(take[0]), _BATCH // 64)) for take in chosen]
        x = (np.concatenate([x[at] for x, _, at in picks]) - mean) / spread
        x += rng.normal(0, _JITTER, x.shape).astype(np.float32)
        given = np.concatenate([g[at] for _, g, at in picks])
        rate = np.float32(_RATE * 0.5 * (1 + np.cos(np.pi * step / _STEPS)))
        for i, by in enumerate(_slopes(parameters, x.astype(np.float32), given, slope)):
            first[i] += 0.1 * (by - first[i])
            second[i] += 0.001 * (by**2 - second[i])
            move = first[i] / (1 - 0.9**step) / (np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
            parameters[i] -= rate * (move + _DECAY * parameters[i] * (i < len(weights)))
    w, b = parameters[:3], parameters[3:]
    # The shipped network takes the facts as they are.
    w[0] = w[0] / spread
    b[0] = b[0] - w[0] @ mean
    return [
        (np.asarray(m, np.float32), np.asarray(v, np.float32)) for m, v in zip(w, b, strict=True)
    ]


def _slopes(parameters: list[F32], x: F32, given: F32, slope: Slope) -> list[F32]:
    """Gradient of the mean loss."""
    w, b = parameters[:3], parameters[3:]
    one = np.maximum(x @ w[0].T + b[0], 0)
    two = np.maximum(one @ w[1].T + b[1], 0)
    out = (two @ w[2].T + b[2])[:, 0]
    d3 = (slope(given, out) / len(x))[:, None]
    d2 = (d3 @ w[2]) * (two > 0)
    d1 = (d2 @ w[1]) * (one > 0)
    slopes = [d1.T @ x, d2.T @ one, d3.T @ two, d1.sum(0), d2.sum(0), d3.sum(0)]
    return [np.asarray(s, np.float32) for s in slopes]


def merged(nets: Sequence[Net]) -> Net:
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
