"""How far a picture is from being right, as the base means it, on small grey pictures.

    true, shown -> the band that carries what people act on -> what is left of one after the other is
    taken away, at the best of nine small shifts, on a grid of places -> share of what may be left

The measure is that of `gvc_base.marks.is_wrong`, which takes its numbers from here (docs/marks.md), in
grey and at the size at which the sender compares: what it finds holds for what the base shows.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COARSE_PX", "FINE_PX", "FLOOR", "PLACES", "SHARE", "SHARE_OF_LEVEL", "WINDOW_PX", "apart_at",
    "at_moment", "log_odds",
]  # fmt: skip

Grey = NDArray[np.uint8]
F32 = NDArray[np.float32]

PLACES = (54, 80)
"Rows and columns of what is measured: some 8 by 8 pixels of a source of 640 by 360."

FINE_PX, COARSE_PX = 1.5, 10.0
"""Sigmas of the band in source pixels. Below: noise, grain, what a small blur takes. Above: light, haze
and exposure. A person from 60 m (8 by 16 pixels) and a car (20 by 40) lie between."""

WINDOW_PX = 6.0
"Sigma of what counts for a tile: itself and about a tile on each side, 24 pixels in all."

SHARE = 0.4
"""Wrong where the disagreement is more than this share of the structure of both pictures: detail with
less than a third of its contrast left, or two patterns that correlate by less than 0.6."""

FLOOR = 4.0
"""Root mean square of the disagreement, levels of 255, below which nothing is wrong: sensor noise of
deviation 4 gives 0.8 here, and a figure of 8 by 16 pixels that stands out by 12 levels about 4."""

SHARE_OF_LEVEL = np.array([0.0018, 0.0077, 0.08, 0.28, 0.79], np.float32)
"What a cell of each level of a truth map has of wrong, in the mean of the training scenes."

_SHIFT_PX = 1
"Shifts each way, pixels of the compared pictures."
_LEAST_SIGMA = 0.3


def apart_at(true: Grey, shown: Grey, source_width: int) -> F32:
    """How much structure is missing, invented or out of place, float32 of `PLACES`: above 1 is wrong.

    Args:
        true, shown: uint8[h, w] of one size.
        source_width: of the source that they were made from, pixels.
    """
    high, wide = true.shape
    scale = wide / source_width
    sigmas = (WINDOW_PX * scale * PLACES[1] / wide, WINDOW_PX * scale * PLACES[0] / high)
    a, b = _band(true, scale), _band(shown, scale)
    around: Any = cv2.copyMakeBorder(b, *4 * (_SHIFT_PX,), cv2.BORDER_REPLICATE)
    # A shift by a pixel moves no structure to another place.
    most = np.float32(SHARE) * (_power(a, sigmas) + _power(b, sigmas))
    allowed = np.maximum(most, np.float32(FLOOR**2))
    least = np.full(PLACES, np.inf, np.float32)
    for dy, dx in product(range(2 * _SHIFT_PX + 1), repeat=2):
        moved = around[dy : dy + high, dx : dx + wide]
        least = np.minimum(least, _power(cv2.subtract(a, moved), sigmas))
    return np.asarray(least / allowed, np.float32)


def log_odds(share: Any) -> Any:
    """Of a share, or of an array of them."""
    return np.log(share / (1 - share))


def at_moment(slices: F32, share: float) -> F32:
    """What cells hold at a moment, straight between the middles of the slices: float32[R, C].

    Args:
        slices: float32[T, R, C]. share: of the unit's frames that are before the moment.
    """
    place = min(max(share * len(slices) - 0.5, 0.0), len(slices) - 1.0)
    first = min(int(place), max(0, len(slices) - 2))
    if place == first:
        return np.asarray(slices[first], np.float32)
    after = np.float32(place - first)
    return np.asarray(slices[first] * (1 - after) + slices[first + 1] * after, np.float32)


def _band(picture: Grey, scale: float) -> F32:
    levels = picture.astype(np.float32)
    fine, coarse = (
        cv2.GaussianBlur(levels, (0, 0), sigma * scale, borderType=cv2.BORDER_REPLICATE)
        for sigma in (FINE_PX, COARSE_PX)
    )
    return np.asarray(fine - coarse, np.float32)


def _power(band: Any, sigmas: tuple[float, float]) -> F32:
    """Mean square around each place."""
    power = cv2.resize(cv2.multiply(band, band), PLACES[::-1], interpolation=cv2.INTER_AREA)
    if max(sigmas) > _LEAST_SIGMA:  # else a place is larger than the window
        power = cv2.GaussianBlur(
            power, (0, 0), max(_LEAST_SIGMA, sigmas[0]), sigmaY=max(_LEAST_SIGMA, sigmas[1]),
            borderType=cv2.BORDER_REPLICATE,
        )  # fmt: skip
    return np.asarray(power, np.float32)
