"""Whether two photos show the same ground: features that match, and one homography through them.

For lists of scenes only: what one photo teaches must not be judged on another of the same place.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Features", "features", "matching"]

U8 = NDArray[np.uint8]

Features = tuple[NDArray[np.float32], NDArray[np.float32]]
"Places [n, 2] and descriptors [n, 128]."

_SIDE_PX, _MOST, _DISTINCT, _WITHIN_PX = 1200, 4000, 0.75, 5.0
_FAIR = (0.2, 5.0)
"A homography that makes areas smaller or larger than this has put all features into one."


def features(path: Path) -> Features:
    """SIFT (Lowe 2004) of a photo, its longer side made 1200 pixels."""
    photo = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if photo is None:
        raise FileNotFoundError(path)
    scale = _SIDE_PX / max(photo.shape)
    photo = np.asarray(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    points, found = cv2.SIFT.create(_MOST).detectAndCompute(photo, None)
    return np.array([p.pt for p in points], np.float32), np.asarray(found, np.float32)


def matching(a: Features, b: Features) -> int:
    """Features of one that lie in the other where one homography puts them. Photos of different ground
    have a few by chance, in rows of a field that all look alike."""
    pairs = cv2.BFMatcher().knnMatch(a[1], b[1], k=2)
    good = [one for one, other in pairs if one.distance < _DISTINCT * other.distance]
    if len(good) < 8:
        return 0
    there, here = (
        np.array([points[at] for at in index], np.float32)
        for points, index in (
            (a[0], [m.queryIdx for m in good]), (b[0], [m.trainIdx for m in good]),
        )
    )  # fmt: skip
    matrix, within = cv2.findHomography(there, here, cv2.RANSAC, _WITHIN_PX)
    if matrix is None or not _FAIR[0] < abs(np.linalg.det(matrix[:2, :2])) < _FAIR[1]:
        return 0
    return int(within.sum())
