"""What *wrong* means, once: `is_wrong(source, decoded)`. docs/marks.md gives the reasons.

A tile is wrong where the structure that a person would act on is not there, was invented, or stands more
than a few pixels from its place. Noise, a slight blur, a drift of exposure and a shift of a pixel or two
are not wrong: they change no decision.

    both pictures -> luma and chroma at half size -> band between _FINE_PX and _COARSE_PX
      -> power of what is left of one after the other is taken away, at the best of nine small shifts
      -> wrong where that is more than _SHARE of the structure of both, and more than a floor
"""

from __future__ import annotations

from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.marks import TILE_PX, tile_grid

__all__ = ["disagreement", "is_wrong", "structure"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_HALF = 2
"Everything is measured at half size: nothing finer than four pixels counts as structure."

_FINE_PX, _COARSE_PX = 1.5, 10.0
"""Sigmas of the band in source pixels. Below: noise, grain, what a small blur takes. Above: light, haze
and exposure. A person from 60 m (8 by 16 pixels) and a car (20 by 40) lie between."""

_WINDOW_PX = 6.0
"Sigma of what counts for a tile: itself and about a tile on each side, 24 pixels in all."

_SHIFT_PX = 2
"Shifts that are tried each way: a structure this far from its place is in its place."

_SHARE = 0.4
"""Wrong where the disagreement is more than this share of the structure of both pictures: detail with
less than a third of its contrast left, or two patterns that correlate by less than 0.6."""

_FLOOR = 4.0
"""Root mean square of the disagreement, levels of 255, below which nothing is wrong: sensor noise of
deviation 4 gives 0.8 here, and a figure of 8 by 16 pixels that stands out by 12 levels about 4."""


def is_wrong(source: U8, decoded: U8) -> NDArray[np.bool_]:
    """Which tiles of a decoded picture are materially wrong.

    Args:
        source, decoded: uint8[H, W, 3], BGR, of one size: the truth and what is shown.

    Returns:
        bool[ceil(H/8), ceil(W/8)].

    Raises:
        LocalProtocolError: the pictures differ in size, or are no pictures.
    """
    return np.asarray(disagreement(source, decoded) > 1, np.bool_)


def disagreement(source: U8, decoded: U8) -> F32:
    """How far the structure of each tile disagrees, float32[ceil(H/8), ceil(W/8)]: above 1 it is wrong.

    Power of what is left, at the best shift, over what may be left.

    Raises:
        LocalProtocolError: the pictures differ in size, or are no pictures.
    """
    if source.shape != decoded.shape or source.ndim != 3 or source.shape[2] != 3:
        raise LocalProtocolError("is_wrong compares two pictures uint8[H, W, 3] of one size")
    true, shown = structure(source), structure(decoded)
    rows, columns = tile_grid(*source.shape[:2])
    reach = _SHIFT_PX // _HALF
    around: Any = cv2.copyMakeBorder(shown, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    high, wide = true.shape[:2]
    own = _power(true, rows, columns)
    least = np.full((rows, columns), np.inf, np.float32)
    for dy, dx in product(range(2 * reach + 1), repeat=2):
        moved = around[dy : dy + high, dx : dx + wide]
        left = _power(true - moved, rows, columns)
        allowed = np.float32(_SHARE) * (own + _power(moved, rows, columns))
        least = np.minimum(least, left / np.maximum(allowed, np.float32(_FLOOR**2)))
    return np.asarray(least, np.float32)


def structure(picture: U8) -> F32:
    """The band of a picture that carries what people act on, float32[ceil(H/8) * 4, ceil(W/8) * 4, 3].

    Luma and both colour differences at half size, levels of 255, mean near 0.
    """
    rows, columns = tile_grid(*picture.shape[:2])
    pad = rows * TILE_PX - picture.shape[0], columns * TILE_PX - picture.shape[1]
    whole = cv2.copyMakeBorder(picture, 0, pad[0], 0, pad[1], cv2.BORDER_REPLICATE)
    side = TILE_PX // _HALF
    small: Any = cv2.resize(whole, (columns * side, rows * side), interpolation=cv2.INTER_AREA)
    planes = cv2.cvtColor(small, cv2.COLOR_BGR2YCrCb).astype(np.float32)
    fine = cv2.GaussianBlur(planes, (0, 0), _FINE_PX / _HALF, borderType=cv2.BORDER_REPLICATE)
    coarse = cv2.GaussianBlur(planes, (0, 0), _COARSE_PX / _HALF, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(fine - coarse, np.float32)


def _power(band: Any, rows: int, columns: int) -> F32:
    """Mean square over each tile's window, the planes together: float32[rows, columns]."""
    power = np.square(band).sum(2)
    spread = cv2.GaussianBlur(power, (0, 0), _WINDOW_PX / _HALF, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(spread, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
