"""From which `p_wrong` on tiles are doubted: at a constant rate of false alarms over the mission.

    pictures so far -> right tiles that are expected at each p (1 - p of each tile), older pictures less
    -> the lowest p from which on no more than `RATE` of them would be marked

As in a radar's detector (constant false alarm rate, CFAR) the rate is held over time and not in each
picture: one that is good all over carries few marks, and one that is not may carry what others left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALWAYS", "LEAST", "NOTHING_DOUBTED", "RATE", "DoubtLevel"]

RATE = 0.094
"""Share of the mission's right tiles that may be expected among the doubted ones: as many as mark no
more than a tenth of them on the calibration scenes."""
LEAST, ALWAYS = 0.15, 0.5
"""A tile less likely wrong than the first is not doubted, whatever the rate allows; one that is more
likely wrong than right always is."""

NOTHING_DOUBTED = 2.0
"The level of a picture in which nothing was made up: no p is as high."

_EVERY = 5
_KEPT = 0.5 ** (1 / 600)
"Of what was counted, each time: half of it is left after 3000 pictures, 100 s at 30 a second."
_BINS = 256


class DoubtLevel:
    """One mission's. `at` is 0.5 until a picture came.

    Args:
        every: only one picture in so many is counted; the others are like it.
    """

    def __init__(self, every: int = _EVERY) -> None:
        self._every = every
        self._right = np.zeros(_BINS)
        self._pictures = 0
        self.at = ALWAYS

    def see(self, p_wrong: NDArray[Any]) -> float:
        """The level for this picture, which counts already.

        Args:
            p_wrong: of its tiles, any shape.
        """
        if self._pictures % self._every == 0:
            self._count(p_wrong.astype(np.float64).ravel())
        self._pictures += 1
        return self.at

    def state(self) -> tuple[NDArray[np.float64], int, float]:
        """What the pictures so far have told, for `restore`."""
        return self._right.copy(), self._pictures, self.at

    def restore(self, state: tuple[NDArray[np.float64], int, float]) -> None:
        """Go on from what `state` gave."""
        right, self._pictures, self.at = state
        self._right = right.copy()

    def _count(self, p: NDArray[np.float64]) -> None:
        bins = np.minimum((p * _BINS).astype(np.int64), _BINS - 1)
        self._right *= _KEPT
        self._right += np.bincount(bins, 1 - p, _BINS) / max(1, len(p))
        from_here_on = np.cumsum(self._right[::-1])[::-1]
        few = np.flatnonzero(from_here_on <= RATE * from_here_on[0])
        level = few[0] / _BINS if len(few) else 1.0
        self.at = float(min(ALWAYS, max(LEAST, level)))
