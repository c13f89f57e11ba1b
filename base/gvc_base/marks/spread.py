"""What the sender told of a whole cell, spread over its tiles by what this side knows of each.

    scores of a cell's tiles without the map (`Fact.OWN`), in all pictures of this slice so far
    -> the offset in log-odds with which the mean of their probabilities is what the sender found there
Where this side expects more in a cell than was found it is too careful with all of its tiles, and the
other way about. A network that sees one tile and the cell's share beside it cannot know which it is.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.marks.texture import Grid
from gvc_profiles.sight.shares import log_odds

__all__ = ["Spread"]

F32 = NDArray[np.float32]

_LEAST, _MOST = -5.0, 3.0
"Log-odds of a share beyond these are as good as these."
_REACH, _BINS = 8.0, 32
"Scores are counted in bins, so that many pictures cost no more than one."
_MIDDLES = ((np.arange(_BINS) + 0.5) * (2 * _REACH / _BINS) - _REACH).astype(np.float32)
_TIMES, _FARTHEST = 4, 4.0
"Steps towards the offset, each of so much at most."
_SMALLEST = 1e-3


class Spread:
    """One unit's."""

    def __init__(self) -> None:
        self._seen: dict[int, F32] = {}
        "By slice: tiles in each cell and bin of their score, float32[cells, _BINS]."

    def see(self, own: F32, odds: F32, part: int) -> tuple[F32, F32]:
        """Offsets for this picture, which counts already: of each tile's cell, and straight between the
        middles of the cells; both on the grid of tiles.

        Args:
            own: float32[R, C]: log-odds of wrong without the map.
            odds: float32[r, c]: log-odds of the share of wrong in each cell of this slice.
            part: which slice.
        """
        cells, size = odds.size, (own.shape[1], own.shape[0])
        cell = _cell_of(own.shape, odds.shape)
        # Steps of half a unit of log-odds.
        at = np.clip((own.ravel() + _REACH) * (_BINS / (2 * _REACH)), 0, _BINS - 1)
        now = np.bincount(cell * _BINS + at.astype(np.int64), minlength=cells * _BINS)
        seen = self._seen.get(part, np.zeros((cells, _BINS), np.float32))
        seen = seen + now.reshape(cells, _BINS).astype(np.float32)
        self._seen[part] = seen
        offset = _offset(seen, np.clip(odds.ravel(), _LEAST, _MOST))
        evenly = cv2.resize(offset.reshape(odds.shape), size, interpolation=cv2.INTER_LINEAR)
        return offset[cell].reshape(own.shape), np.asarray(evenly, np.float32)


def _offset(seen: F32, wanted: F32) -> F32:
    """float32[cells]; 0 of a cell that holds no tile."""
    tiles = seen.sum(1)
    share = seen / np.maximum(1, tiles)[:, None]
    offset = wanted - share @ _MIDDLES
    for _ in range(_TIMES):
        mean = (share / (1 + np.exp(-_MIDDLES - offset[:, None]))).sum(1)
        mean = np.clip(mean, _SMALLEST, 1 - _SMALLEST)
        offset += np.clip(wanted - log_odds(mean), -_FARTHEST, _FARTHEST)
    return np.where(tiles > 0, offset, 0).astype(np.float32)


@lru_cache(maxsize=32)
def _cell_of(tiles: Grid, cells: Grid) -> NDArray[np.int64]:
    """int64[R * C]: as `facts.Told.put` lays cells over tiles."""
    numbers = np.arange(cells[0] * cells[1], dtype=np.float32).reshape(cells)
    laid = cv2.resize(numbers, (tiles[1], tiles[0]), interpolation=cv2.INTER_NEAREST)
    return laid.ravel().astype(np.int64)
