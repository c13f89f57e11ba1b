"""What *wrong* means, once: `is_wrong(source, decoded)`. docs/marks.md gives the reasons.

A tile is wrong where the structure that a person would act on is not there, was invented, or stands more
than a few pixels from its place. Noise, a slight blur, a drift of exposure and a shift of a pixel or two
are not wrong: they change no decision.

    both pictures -> luma and chroma at half size -> band between FINE_PX and COARSE_PX
      -> power of what is left of one after the other is taken away, at the best of nine small shifts
      -> wrong where that is more than SHARE of the structure of both, and more than a floor
"""

from __future__ import annotations

from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_profiles.sight.shares import COARSE_PX, FINE_PX, FLOOR, SHARE, WINDOW_PX
from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.marks import TILE_PX, tile_grid

__all__ = ["disagreement", "is_wrong", "structure"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_HALF = 2
"Everything is measured at half size: nothing finer than four pixels counts as structure."

_SHIFT_PX = 2
"Shifts that are tried each way: a structure this far from its place is in its place."


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
        allowed = np.float32(SHARE) * (own + _power(moved, rows, columns))
        least = np.minimum(least, left / np.maximum(allowed, np.float32(FLOOR**2)))
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
    fine = cv2.GaussianBlur(planes, (0, 0), FINE_PX / _HALF, borderType=cv2.BORDER_REPLICATE)
    coarse = cv2.GaussianBlur(planes, (0, 0), COARSE_PX / _HALF, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(fine - coarse, np.float32)


def _power(band: Any, rows: int, columns: int) -> F32:
    """Mean square over each tile's window, the planes together: float32[rows, columns]."""
    power = np.square(band).sum(2)
    spread = cv2.GaussianBlur(power, (0, 0), WINDOW_PX / _HALF, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(spread, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
