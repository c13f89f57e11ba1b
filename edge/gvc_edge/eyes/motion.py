"""How the picture as a whole moved from one looked-at frame to the next.

    corners, followed (pyramidal Lucas-Kanade) -> homography of those on the ground (RANSAC) -> Step
                                               -> and where they were in the unit's first frame -> Fit

Corners are followed for as long as they last and remember where they stood in the unit's first frame, so
the path over the unit is fitted to long tracks and does not add up the errors of its steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gvc_edge.eyes.corners import Corners, Grey
from gvc_edge.eyes.planes import (
    MIN_INLIERS,
    Floats,
    Matrix,
    apply,
    find_plane,
    fit_plane,
    gaps,
    inverse,
)

__all__ = ["Fit", "Registration", "Step"]

_STEP_TOLERANCE_PX = 1.0
_WORST_RMS_PX = 3.0
_FLAT_SPREAD_PX, _FLAT_SHARE = 0.5, 0.88
_SAMPLE, _NEIGHBOURS = 64, 6
_LOST_PX = 4.0
"A corner that strays this much in one step sits on a mover, or was not found again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Motion from the frame before to this one, in pixels of the small picture."""

    matrix: Matrix
    "float64[3, 3], frame before to this one."
    points: Floats
    "float32[N, 2]: where followed corners are now."
    residual: Floats
    "float32[N, 2]: their motion beyond the homography: noise, relief, flow, movers."
    spread_px: float
    "Three quarters of the corners on the ground stray less than this: what relief alone does."
    flat: bool
    "Whether a plane, and what flows on it, explain the picture. Before a car they do not."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Motion from the unit's first frame to this one."""

    matrix: Matrix
    rms_px: float
    "RMS distance of the followed corners from it, relief included."


class Registration:
    """Follows one stream of small grey pictures, uint8[H, W]."""

    def __init__(self) -> None:
        self._before: Grey | None = None
        self._corners = Corners()
        self._chain: Matrix | None = None
        self._last = np.eye(3)

    def anchor(self) -> None:
        """From now on `fit` counts from the picture that was seen last."""
        self._corners.anchor()
        self._chain = np.eye(3)

    def see(self, grey: Grey) -> Step | None:
        """Take the next picture.

        Returns:
            None for the first picture, after a cut, and where there is too little texture to tell.
        """
        step = None if self._before is None else self._step(self._before, grey)
        if step is None:
            self._corners, self._chain, self._last = Corners(), None, np.eye(3)
        new = self._corners.refill(grey)
        if self._chain is not None and new.any():
            self._corners.origins[new] = apply(inverse(self._chain), self._corners.points[new])
        self._before = grey
        return step

    def _step(self, before: Grey, grey: Grey) -> Step | None:
        corners = self._corners
        if len(corners) < MIN_INLIERS:
            return None
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            before, grey, corners.points.reshape(-1, 1, 2), None,  # type: ignore[call-overload]
            winSize=(13, 13), maxLevel=3,
            criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 12, 0.03),
        )  # fmt: skip
        now = np.asarray(found, np.float32).reshape(-1, 2)
        height, width = grey.shape
        inside = (now > 1).all(1) & (now[:, 0] < width - 2) & (now[:, 1] < height - 2)
        start = corners.points
        corners.move(now)
        good = (np.asarray(status).ravel() == 1) & inside
        corners.keep(good)
        start, now, ground = start[good], now[good], corners.on_ground
        priors = (self._last, np.eye(3))
        matrix = find_plane(start[ground], now[ground], _STEP_TOLERANCE_PX, priors)
        if matrix is None:
            return None
        self._last = matrix
        if self._chain is not None:
            self._chain = matrix @ self._chain
        residual = now - apply(matrix, start)
        stray = np.hypot(residual[:, 0], residual[:, 1])
        spread = float(np.percentile(stray[ground], 75))
        corners.keep(stray < _LOST_PX)
        corners.judge()
        flat = spread < _FLAT_SPREAD_PX and _alike(now, residual) > _FLAT_SHARE
        return Step(matrix=matrix, points=now, residual=residual, spread_px=spread, flat=flat)

    def fit(self) -> Fit | None:
        """Motion since `anchor`; None when the thread was lost in between."""
        if self._chain is None:
            return None
        ground = self._corners.on_ground
        origins, points = self._corners.origins[ground], self._corners.points[ground]
        if len(points) < MIN_INLIERS:
            return None
        chain = self._chain
        near = np.ones(len(points), np.bool_)
        for _ in range(2):
            # Least squares over all that agrees with the chain: RANSAC anew each time would hop
            # between the planes of a scene with relief.
            stray = gaps(chain, origins, points)
            near = stray <= max(0.5, 3.0 * float(np.median(stray)))
            fitted = fit_plane(origins[near], points[near])
            chain = chain if fitted is None else fitted
        self._chain = chain
        rms = float(np.sqrt(np.mean(gaps(chain, origins[near], points[near]) ** 2)))
        # Farther off, it is no camera's motion over a plane, and nobody should move a picture by it.
        return Fit(matrix=chain, rms_px=rms) if rms <= _WORST_RMS_PX else None


def _alike(points: Floats, residual: Floats) -> float:
    """Share of corners that stray as those around them do, to a pixel."""
    some = np.arange(0, len(points), max(1, len(points) // _SAMPLE))
    if len(points) <= _NEIGHBOURS:
        return 0.0
    apart = np.abs(points[some, None] - points[None]).sum(axis=2)
    near = np.argpartition(apart, _NEIGHBOURS, axis=1)[:, : _NEIGHBOURS + 1]
    off = residual[some] - np.median(residual[near], axis=1)
    return float(np.mean(np.hypot(off[:, 0], off[:, 1]) < 1.0))
