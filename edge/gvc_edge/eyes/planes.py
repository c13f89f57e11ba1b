"""Homographies: points through them, and them out of points, one plane among several."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_INLIERS", "Floats", "Matrix", "apply", "find_plane", "fit_plane", "gaps", "inverse"]

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]

MIN_INLIERS = 12
_LEAST_SHARE = 0.2
_PRIOR_WORTH = 2.0


def apply(matrix: Matrix, points: NDArray[np.floating]) -> Floats:
    """float32[N, 2]: points through a homography."""
    if not len(points):
        return np.zeros((0, 2), np.float32)
    x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    out = matrix @ np.stack([x, y, np.ones_like(x)])
    depth = np.where(np.abs(out[2]) < 1e-9, 1e-9, out[2])
    return np.asarray((out[:2] / depth).T, np.float32)


def inverse(matrix: Matrix) -> Matrix:
    """float64[3, 3]. Steps that have none are refused by `find_plane`."""
    return np.asarray(np.linalg.inv(matrix), np.float64)


def gaps(matrix: Matrix, start: Floats, goal: Floats) -> Floats:
    """float32[N]: how far each point of `goal` is from where the homography takes its `start`."""
    return np.asarray(np.hypot(*(goal - apply(matrix, start)).T), np.float32)


def fit_plane(start: Floats, goal: Floats) -> Matrix | None:
    """Least squares over all points; None when they tell nothing."""
    if len(start) < MIN_INLIERS:
        return None
    found, _ = cv2.findHomography(start, goal, 0)
    return None if found is None else np.asarray(found, np.float64)


def find_plane(
    start: Floats, goal: Floats, tolerance_px: float, priors: Sequence[Matrix] = ()
) -> Matrix | None:
    """The homography that most points agree with, or one that was expected if enough of them do.

    An expected plane counts double: a truck before a fixed camera may have more corners than the
    street, and a river more than its banks, but the ground moves as it did before.

    Returns:
        None when fewer than 12 points, or a fifth of them, agree; or no camera moves like that.
    """
    if len(start) < MIN_INLIERS:
        return None
    found, mask = cv2.findHomography(
        start, goal, cv2.RANSAC, tolerance_px, maxIters=300, confidence=0.99
    )
    best = None if found is None else np.asarray(found, np.float64)
    count = 0 if found is None else int(np.sum(mask))
    score = float(count)
    for prior in priors:
        agree = gaps(prior, start, goal) < tolerance_px
        agreed = int(agree.sum())
        if agreed < MIN_INLIERS or _PRIOR_WORTH * agreed <= score:
            continue
        if best is not None:
            off = float(np.median(gaps(best, start[agree], goal[agree])))
            if off < tolerance_px:
                continue  # the same plane, which has been found more exactly
        refined = fit_plane(start[agree], goal[agree])
        if refined is not None:
            best, count, score = refined, agreed, _PRIOR_WORTH * agreed
    enough = count >= max(MIN_INLIERS, _LEAST_SHARE * len(goal))
    return best if best is not None and enough and _is_camera(best) else None


def _is_camera(matrix: Matrix) -> bool:
    """Whether a camera can make this step in a second: no mirror, no collapse."""
    area = float(np.linalg.det(matrix[:2, :2]))
    return bool(np.isfinite(matrix).all()) and 0.2 < area < 5.0
