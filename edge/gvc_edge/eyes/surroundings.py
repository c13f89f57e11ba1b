"""What the corners around an object do: does it move, or does all of it move, there?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gvc_edge.eyes.motion import Step

__all__ = ["Surroundings"]

_NEAREST = 10
_LEAST = 5
_REACH_PX = 50.0
_ALIKE = 0.5

Box = tuple[float, float, float, float]


class Surroundings:
    """The corners of one step; boxes are centre x, y, width and height, pixels of the small picture."""

    def __init__(self, step: Step | None) -> None:
        self._step = step

    def drift(self, box: Box) -> tuple[float, float]:
        """How the ground around a box strays from the homography in this step: relief, or a current."""
        near = self._near(box)
        if not len(near):
            return 0.0, 0.0
        dx, dy = np.median(near, axis=0)
        return float(dx), float(dy)

    def share(self, box: Box, motion: tuple[float, float]) -> float:
        """Share of the corners around that move as the object does: what floats has company.

        Args:
            motion: the object's motion beyond the homography in this step, x and y.
        """
        near = self._near(box)
        if not len(near):
            return 0.0
        off = np.hypot(near[:, 0] - motion[0], near[:, 1] - motion[1])
        return float(np.mean(off < _ALIKE * np.hypot(*motion)))

    def _near(self, box: Box) -> NDArray[np.float32]:
        """float32[N, 2]: residuals of the nearest corners; empty where there are too few to tell.

        Corners on the object itself do not count, else it would stand still beside itself.
        """
        if self._step is None:
            return np.zeros((0, 2), np.float32)
        x, y, width, height = box
        points = self._step.points
        gap_x, gap_y = np.abs(points[:, 0] - x), np.abs(points[:, 1] - y)
        outside = (gap_x > 0.7 * width + 3) | (gap_y > 0.7 * height + 3)
        close = np.maximum(gap_x, gap_y) < _REACH_PX + max(width, height)
        near = np.flatnonzero(outside & close)
        if len(near) < _LEAST:
            return np.zeros((0, 2), np.float32)
        order = np.argsort((gap_x + gap_y)[near], kind="stable")
        return np.asarray(self._step.residual[near[order[:_NEAREST]]], np.float32)
