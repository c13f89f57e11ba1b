"""When two pictures of one moment show the same: by structure, not noise, sharpness or a small shift.

    smoothed a, smoothed b -> what of a no value of b within reach explains, and the other way round
    -> cells or blobs in which enough pixels are unexplained

The base holds what was received against what is shown with it. The sender measures how much is wrong
(`shares`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["CELLS", "Difference", "find_blobs", "unexplained", "wrong_cells"]

Grey = NDArray[np.uint8]

CELLS = (9, 16)
"Rows and columns of the cells that are compared."

_SMOOTH_PX = 1.2
_REACH = 5
"""Window within which a value counts as explained, pixels of a picture 480 wide: a shift of 2 there is 4
of a picture 854 wide, which a rescuer would call in place."""
_LEAST_LEVELS, _LEAST_PX = 14, 8


@dataclass(frozen=True, slots=True)
class Difference:
    """A connected place where two pictures differ; pixels of the compared pictures."""

    x: int
    y: int
    width: int
    height: int
    peak: int
    "Grey levels that nothing within reach explains."
    area: int


def unexplained(a: Grey, b: Grey, *, reach: int = _REACH, smooth: float = _SMOOTH_PX) -> Grey:
    """Levels of `a` that no value of `b` within reach explains, or of `b` none of `a`: uint8[h, w].

    Args:
        a, b: uint8[h, w] of one size.
        reach: side of the window, odd; 1 = the same pixel only.
        smooth: deviation of the Gaussian that takes noise away first, pixels; 0 for none.
    """
    if smooth:
        a = np.asarray(cv2.GaussianBlur(a, (0, 0), smooth), np.uint8)
        b = np.asarray(cv2.GaussianBlur(b, (0, 0), smooth), np.uint8)
    if reach == 1:
        return np.asarray(cv2.absdiff(a, b), np.uint8)
    kernel = np.ones((reach, reach), np.uint8)
    out: Grey | None = None
    for one, other in ((a, b), (b, a)):
        high, low = cv2.dilate(other, kernel), cv2.erode(other, kernel)
        more = cv2.max(cv2.subtract(one, high), cv2.subtract(low, one))
        out = np.asarray(more if out is None else cv2.max(out, more), np.uint8)
    assert out is not None
    return out


def wrong_cells(true: Grey, shown: Grey, shape: tuple[int, int] = CELLS) -> NDArray[np.bool_]:
    """bool[rows, columns]: cells in which structure is missing, invented or out of place."""
    over = (unexplained(true, shown) > _LEAST_LEVELS).astype(np.float32)
    rows, columns = shape
    h, w = over.shape
    # To whole cells: means over unequal ones would count some pixels twice.
    big = (columns * -(-w // columns), rows * -(-h // rows))
    grown = cv2.resize(over, big, interpolation=cv2.INTER_NEAREST)
    share = cv2.resize(grown, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(share * (h * w / (rows * columns)) >= _LEAST_PX, np.bool_)


def find_blobs(
    apart: Grey, least_levels: NDArray[np.uint8] | int, least_px: int, join_px: int = 0
) -> list[Difference]:
    """Connected places of at least so many levels and pixels, the strongest first.

    Args:
        join_px: places no further apart than this are one: the sides of one object.
    """
    mask = np.asarray(apart > least_levels, np.uint8)
    joined = mask
    if join_px:
        joined = np.asarray(cv2.dilate(mask, np.ones((join_px + 1, join_px + 1), np.uint8)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    out = []
    for i in range(1, count):
        x, y, w, h, _ = (int(v) for v in stats[i])
        place = np.s_[y : y + h, x : x + w]
        mine = (labels[place] == i) & (mask[place] > 0)
        area = int(mine.sum())
        if area < least_px:
            continue
        rows, columns = np.flatnonzero(mine.any(1)), np.flatnonzero(mine.any(0))
        out.append(
            Difference(
                x + int(columns[0]), y + int(rows[0]), int(columns[-1] - columns[0]) + 1,
                int(rows[-1] - rows[0]) + 1, int(apart[place][mine].max()), area,
            )
        )  # fmt: skip
    return sorted(out, key=lambda d: -d.peak * d.area)
