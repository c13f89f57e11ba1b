"""Corners that are followed from picture to picture, and which of them stand on the ground.

Water flows, smoke drifts, and both have corners, often more than the ground. From one look to the
next they differ from it by a pixel or so; over a second the ground still moves as one plane, to a
fraction of a pixel, and what flows has been torn apart. So it is judged over a second, and remembered.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.eyes.planes import MIN_INLIERS, Floats, find_plane, fit_plane, gaps

__all__ = ["Corners", "Grey"]

Grey = NDArray[np.uint8]

_MOST, _FEW, _FEW_TRUSTED = 200, 130, 60
_MOST_WITH_DISTRUSTED = 260
_SPACING_PX = 7
_LEAST_STRENGTH = 1e-4
"Smaller eigenvalue of the gradients of a corner: above what a camera's noise makes."
_CELLS = (3, 4)
_LOOKS = 10
_LEAST_LOOKS = 5
_TOLERANCE_PX = 0.7
_SURE = 3


class Corners:
    """Places of N corners now, in the unit's first picture, and over the last looks."""

    def __init__(self) -> None:
        self.points: Floats = np.zeros((0, 2), np.float32)
        self.origins: Floats = np.zeros((0, 2), np.float32)
        self._trail = np.zeros((0, _LOOKS, 2), np.float32)
        self._trust = np.zeros(0, np.int8)
        self._looks = 0

    def __len__(self) -> int:
        return len(self.points)

    @property
    def on_ground(self) -> NDArray[np.bool_]:
        """bool[N]: those to measure the camera's motion by."""
        for least in (1, 0):
            chosen = self._trust >= least
            if int(chosen.sum()) >= 2 * MIN_INLIERS:
                return np.asarray(chosen)
        return np.ones(len(self.points), np.bool_)

    def anchor(self) -> None:
        """The present picture is the unit's first."""
        self.origins = self.points.copy()

    def move(self, now: Floats) -> None:
        """All corners to their places in the next picture, float32[N, 2]."""
        self._trail = np.concatenate([self._trail[:, 1:], self.points[:, None]], axis=1)
        self.points = now

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the others. bool[N]."""
        self.points, self.origins = self.points[kept], self.origins[kept]
        self._trail, self._trust = self._trail[kept], self._trust[kept]

    def refill(self, grey: Grey) -> NDArray[np.bool_]:
        """Find new corners where there are too few.

        Returns:
            bool[N]: which corners are new; their origins are left to the caller.
        """
        before = len(self.points)
        trusted = int((self._trust >= 0).sum())
        scarce = trusted < _FEW_TRUSTED and before < _MOST_WITH_DISTRUSTED
        room = _MOST - before if before < _FEW else 40 if scarce else 0
        if room:
            free = np.full(grey.shape, 255, np.uint8)
            for x, y in self.points.round().astype(int).tolist():
                cv2.circle(free, (x, y), _SPACING_PX, 0, -1)
            self._add(_find(grey, free, room))
        return np.arange(len(self.points)) >= before

    def _add(self, fresh: Floats) -> None:
        count = len(fresh)
        self.points = np.concatenate([self.points, fresh])
        self.origins = np.concatenate([self.origins, fresh])
        unseen = np.full((count, _LOOKS, 2), np.nan, np.float32)
        self._trail = np.concatenate([self._trail, unseen])
        self._trust = np.concatenate([self._trust, np.zeros(count, np.int8)])

    def judge(self) -> None:
        """Look back about a second: who moved with the ground? Every other look is often enough."""
        self._looks += 1
        if self._looks % 2:
            return
        for age in (_LOOKS, 7, _LEAST_LOOKS):
            past = self._trail[:, _LOOKS - age]
            known = ~np.isnan(past[:, 0])
            if int(known.sum()) >= max(2 * MIN_INLIERS, len(self.points) // 2):
                break
        else:
            return
        start, now = past[known], self.points[known]
        sure = self._trust[known] > 0
        before = fit_plane(start[sure], now[sure])
        plane = find_plane(start, now, _TOLERANCE_PX, () if before is None else (before,))
        if plane is None:
            return
        vote = np.where(gaps(plane, start, now) < _TOLERANCE_PX, 1, -1)
        self._trust[known] = np.clip(self._trust[known] + vote, -_SURE, _SURE)


def _find(grey: Grey, free: Grey, room: int) -> Floats:
    """float32[N, 2]: the strongest corners of each part of a picture, at most `room`.

    Each part on its own, and by an absolute measure: else one fire or mirror in the picture makes all
    other corners count as nothing.
    """
    strength = np.asarray(cv2.cornerMinEigenVal(grey, 3), np.float32)
    peak = cv2.dilate(strength, np.ones((_SPACING_PX, _SPACING_PX), np.uint8))
    is_corner = (strength >= peak) & (strength > _LEAST_STRENGTH) & (free > 0)
    rows, columns = np.nonzero(is_corner)
    height, width = grey.shape
    cell = rows * _CELLS[0] // height * _CELLS[1] + columns * _CELLS[1] // width
    order = np.argsort(-strength[rows, columns], kind="stable")
    share = max(1, room // (_CELLS[0] * _CELLS[1]))
    chosen = [order[cell[order] == i][:share] for i in range(_CELLS[0] * _CELLS[1])]
    picked = np.concatenate(chosen)
    return np.stack([columns[picked], rows[picked]], axis=1).astype(np.float32)
