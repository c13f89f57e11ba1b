"""From scores on the calibration scenes to probabilities, and to the tiles that may be called trusted.

p: share of wrong tiles at each score, by mark, made never to fall (pool adjacent violators); log-odds
run straight between the middles of what was pooled, so that scores keep their order. Each take counts
alike. Trusted: conformal risk control. With the n takes of the calibration and takes of missions
exchangeable, and each take's risk at a threshold t
    g_i(t) = (wrong tiles trusted at t - alpha * tiles trusted at t) / tiles of the take, <= 1 - alpha
the largest t with (sum g_i(t) + 1 - alpha) / (n + 1) <= 0 keeps the wrong share of what is trusted at
alpha in expectation (Angelopoulos et al., Conformal Risk Control, 2022; for risks that do not fall
steadily t is searched from below, and the first that fails ends the search). Beyond that no kind of
scene may be above three fifths of alpha by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gvc_base.marks.facts import PLANES, TOLD_RIGHT, Fact, Scalar
from gvc_base.marks.level import DoubtLevel
from gvc_base.marks.model import BINS, REACH
from gvc_protocol.marks import Mark
from tests.bench.marks.captures import LOSS
from tests.bench.marks.harvest import Take
from tests.bench.marks.learn import Rows

__all__ = ["ALPHA", "Table", "calibrated"]

F64 = NDArray[np.float64]

ALPHA = 0.05
"At most this share of the tiles that are shown as trusted is wrong."

_KIND_ALPHA = 0.03
"The same for each kind of calibration scene: few scenes are of one kind, so below what is promised."

_NEVER = (Mark.REGENERATED, Mark.LOST)
"Marks that are never trusted, however likely right: nothing received of that moment stands behind them."

_LEAST_TAKES, _LEAST_TILES = 4, 2000
"A mark seen less than this takes what all marks together gave, where that is worse."

_PRIOR_TAKES = 6.0
"""Takes' worth of tiles of any mark that are counted with each mark's own: a rare mark leans on the
others."""

_P_LEAST, _P_MOST = 1e-4, 0.998

_ODDS_A_BIN = 2 * REACH / BINS
"A score is log-odds, as the network was taught: beyond what was counted it is taken at its word."


@dataclass(frozen=True, slots=True)
class Table:
    """What goes into the calibration file, and lines for people."""

    p: F64
    trusted: F64
    vouched: float
    unseen: float
    lines: list[str]


def calibrated(
    judged: Sequence[tuple[Take, Rows]], bins: Sequence[NDArray[np.int32]], unseen: float
) -> Table:
    """The table of scores' bins.

    Args:
        judged: takes, with the tiles of pictures that something came of. bins: of each take's tiles.
        unseen: share of wrong tiles in pictures that nothing came of.
    """
    counts = np.stack([_counts(rows, b) for (_, rows), b in zip(judged, bins, strict=True)])
    share = counts / np.maximum(1, counts.sum((1, 2, 3), keepdims=True))
    all_ = share.sum((0, 1))
    pooled = _straight(*_rising(all_))
    like_all = _PRIOR_TAKES * all_ / all_.sum()
    p = np.stack([_straight(*_rising(share[:, m].sum(0) + like_all)) for m in range(len(Mark))])
    lines = []
    for mark in Mark:
        tiles = counts[:, mark].sum()
        seen = int((counts[:, mark].sum((1, 2)) > 0).sum())
        if tiles < _LEAST_TILES or seen < _LEAST_TAKES:
            p[mark] = np.maximum(pooled, p[mark]) if tiles else pooled
        lines.append(f"{mark.name.lower()}: {int(tiles)} tiles of {seen} takes")
    p = p.astype(np.float16).astype(np.float64)
    kinds = [take.sending.scene.kind for take, _ in judged]
    trusted = np.zeros(len(Mark))
    for mark in Mark:
        if mark not in _NEVER:
            trusted[mark] = _threshold(share[:, mark], p[mark], kinds)
            lines.append(f"{mark.name.lower()}: trusted up to p = {trusted[mark]:.3f}")
    lines.append(_doubted(judged, bins, p))
    # p has the sender's word among its inputs: what it does not trust, that word cannot save.
    vouched = min(_vouched(judged, bins, p), float(trusted[Mark.ENHANCED]))
    lines.append(f"what the sender found right is verified up to p = {vouched:.3f}")
    # The score that is read as this share.
    grey = (int(np.abs(p[Mark.LOST] - unseen).argmin()) + 0.5) * _ODDS_A_BIN - REACH
    lines.append(f"of pictures that nothing came of {100 * unseen:.1f} % of tiles are wrong")
    return Table(p, trusted, vouched, grey, lines)


def _counts(rows: Rows, bins: NDArray[np.int32]) -> F64:
    """Tiles of a take, float64[marks, BINS, 2]: right, wrong."""
    index = (rows.mark.astype(np.int64) * BINS + bins) * 2 + rows.wrong
    return np.bincount(index, minlength=len(Mark) * BINS * 2).reshape(-1, BINS, 2).astype(float)


def _rising(weights: F64) -> tuple[F64, F64]:
    """Share of wrong, never falling, and where it was counted: pool adjacent violators.

    Args:
        weights: float64[BINS, 2], right and wrong.

    Returns:
        (middle of the tiles that were pooled, in bins; share of wrong among them), float64[blocks] each,
        both rising. Without a tile: one block of share 0.
    """
    blocks: list[list[float]] = []  # wrong, all, sum of the bins of all
    for bin_, (right, wrong) in enumerate(weights):
        if right + wrong > 0:
            blocks.append([wrong, right + wrong, bin_ * (right + wrong)])
        while len(blocks) > 1 and blocks[-1][0] * blocks[-2][1] <= blocks[-2][0] * blocks[-1][1]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    if not blocks:
        return np.zeros(1), np.zeros(1)
    wrong, tiles, bins = np.array(blocks).T
    return bins / tiles, wrong / tiles


def _straight(middle: F64, share: F64) -> F64:
    """p of each bin, float64[BINS]: log-odds straight between blocks, on with the score beyond them."""
    share = np.clip(share, _P_LEAST, _P_MOST)
    odds = np.log(share / (1 - share))
    at = np.arange(BINS)
    out = np.interp(at, middle, odds)
    out += _ODDS_A_BIN * (np.minimum(0, at - middle[0]) + np.maximum(0, at - middle[-1]))
    return np.asarray(np.clip(1 / (1 + np.exp(-out)), _P_LEAST, _P_MOST))


def _threshold(share: F64, p: F64, kinds: Sequence[str]) -> float:
    """The highest p that is trusted; 0 where none is.

    Args:
        share: float64[takes, levels, 2], right and wrong tiles as shares of the take. p: of each level.
    """
    best = 0.0
    for level in np.unique(p):
        inside = share[:, p <= level].sum(1)
        risk = inside[:, 1] - ALPHA * inside.sum(1)
        of_kind = inside[:, 1] - _KIND_ALPHA * inside.sum(1)
        groups = [
            sum(r for r, k in zip(of_kind, kinds, strict=True) if k == kind) for kind in set(kinds)
        ]
        if risk.sum() + 1 - ALPHA > 0 and level > ALPHA:
            break
        if risk.sum() + 1 - ALPHA <= 0 and max(groups) <= 0:
            best = float(level)
    return best


def _vouched(
    judged: Sequence[tuple[Take, Rows]], bins: Sequence[NDArray[np.int32]], p: F64
) -> float:
    """The highest p up to which a tile that the sender found right is verified: of those no more than
    `ALPHA` is wrong, as of those that are trusted."""
    levels = np.unique(p)
    share = np.zeros((len(judged), len(levels), 2))
    for row, (_, rows), at in zip(share, judged, bins, strict=True):
        whole = rows.inputs[:, PLANES + Scalar.TOLD_WHOLE] > 0
        right = whole & (rows.inputs[:, Fact.TOLD] < TOLD_RIGHT) & (rows.mark != Mark.LOST)
        index = np.searchsorted(levels, p[rows.mark, at])[right] * 2 + rows.wrong[right]
        row += np.bincount(index, minlength=2 * len(levels)).reshape(-1, 2) / max(1, len(right))
    return _threshold(share, levels, [take.sending.scene.kind for take, _ in judged])


def _doubted(judged: Sequence[tuple[Take, Rows]], bins: Sequence[NDArray[np.int32]], p: F64) -> str:
    """What doubt finds on the scenes, were they one mission, the worse links apart: nothing is set by
    it. The level has seen them all once before."""
    usual = [
        (rows, p[rows.mark, at].astype(np.float16))
        for (take, rows), at in zip(judged, bins, strict=True)
        if take.loss == LOSS and not (take.cut or take.gone) and len(at)
    ]
    level = DoubtLevel(every=1)
    for _ in range(2):
        found = np.zeros((2, 2))
        for rows, own in usual:
            for picture in np.split(np.arange(len(own)), _starts(rows.picture)):
                marked = own[picture] >= level.see(own[picture])
                wrong = rows.wrong[picture]
                # Each take counts alike.
                found += np.array([
                    [(marked & ~wrong).sum(), (~wrong).sum()], [(marked & wrong).sum(), wrong.sum()]
                ]) / len(own)  # fmt: skip
    right, wrong = 100 * found[:, 0] / found[:, 1]
    return f"doubt finds {wrong:.1f} % of the wrong tiles with {right:.1f} % of the right ones"


def _starts(picture: NDArray[np.int32]) -> NDArray[np.intp]:
    """Where the next picture begins."""
    return np.flatnonzero(np.diff(picture)) + 1
