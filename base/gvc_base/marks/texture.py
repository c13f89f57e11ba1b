"""How much a picture holds, tile by tile: detail, structure, and what of it a displacement leaves.

All powers are mean squares of levels of 255, given as log(1 + power); grids are of the marks' tiles.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_profiles.sight.shares import COARSE_PX, WINDOW_PX
from gvc_protocol.marks import TILE_PX, tile_grid

__all__ = ["Grid", "activity", "band_of", "detail", "finest", "standing", "tiles"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Grid = tuple[int, int]

_FINE, _BAND = (3, 3), (13, 13)
"Boxes that part fine detail, structure and light, pixels at half size."

_SIDE = 2
"Cells a tile's side where structure is taken as `is_wrong` does: its finest is four pixels."
_CELL_PX = TILE_PX // _SIDE
_AWAY_CELLS = 2
"Out of place beyond doubt, and not yet another thing."


def tiles(plane: Any, grid: Grid) -> F32:
    """Mean over each tile of a plane that spans the picture."""
    out = cv2.resize(plane, grid[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(out, np.float32)


def activity(picture: U8, grid: Grid) -> tuple[F32, F32]:
    """(FINE, BAND) of a picture of any size."""
    size = (grid[1] * 4, grid[0] * 4)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    below, right = grid[0] * TILE_PX - grey.shape[0], grid[1] * TILE_PX - grey.shape[1]
    if 0 <= below < TILE_PX and 0 <= right < TILE_PX:
        # To whole tiles: halving exactly is a third of the time, and blurs alike everywhere.
        grey = cv2.copyMakeBorder(grey, 0, below, 0, right, cv2.BORDER_REPLICATE)
    how = cv2.INTER_AREA if grey.shape[1] >= size[0] else cv2.INTER_LINEAR
    half = np.asarray(cv2.resize(grey, size, interpolation=how), np.float32)
    middle = cv2.blur(half, _FINE)
    fine, band = half - middle, middle - cv2.blur(half, _BAND)
    both = [cv2.blur(tiles(np.square(p), grid), (3, 3)) for p in (fine, band)]
    return np.log1p(np.asarray(both[0], np.float32)), np.log1p(np.asarray(both[1], np.float32))


def detail(picture: U8) -> F32:
    """FINE, BAND and STRUCTURE of a shown picture, float32[3, R, C]."""
    grid = tile_grid(*picture.shape[:2])
    return np.stack([*activity(picture, grid), _structure(_standing(picture, grid), grid)])


def finest(grey: F32, grid: Grid) -> F32:
    """log(1 + power) of a picture's own finest octave, at its own size."""
    own = np.square(grey - cv2.blur(grey, _FINE))
    return np.log1p(np.asarray(cv2.blur(tiles(own, grid), (3, 3)), np.float32))


def standing(picture: U8, grid: Grid) -> tuple[F32, F32]:
    """Structure that stands there, and what is left of it when it is taken from itself elsewhere.

    About the measure of `gvc_base.marks.is_wrong`: luma, colour differences, at half of its size.
    """
    band, n = _standing(picture, grid), _AWAY_CELLS
    high, wide = band.shape[:2]
    around: Any = cv2.copyMakeBorder(band, n, n, n, n, cv2.BORDER_REPLICATE)
    left, apart = np.zeros_like(band), np.empty_like(band)
    for y, x in ((0, n), (2 * n, n), (n, 0), (n, 2 * n)):
        cv2.subtract(band, around[y : y + high, x : x + wide], dst=apart)
        cv2.accumulateSquare(apart, left)
    return _structure(band, grid), _power(left, 0.25, grid)


def _structure(band: F32, grid: Grid) -> F32:
    return _power(cv2.multiply(band, band), 1.0, grid)


def _standing(picture: U8, grid: Grid) -> F32:
    """The band that carries structure, float32[2R, 2C, 3]."""
    size = (grid[1] * _SIDE, grid[0] * _SIDE)
    below, right = grid[0] * TILE_PX - picture.shape[0], grid[1] * TILE_PX - picture.shape[1]
    if 0 <= below < TILE_PX and 0 <= right < TILE_PX:
        picture = np.asarray(
            cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8
        )
    how = cv2.INTER_AREA if picture.shape[1] >= size[0] else cv2.INTER_LINEAR
    small: Any = cv2.resize(picture, size, interpolation=how)
    cells = cv2.cvtColor(small, cv2.COLOR_BGR2YCrCb).astype(np.float32)
    sigma = COARSE_PX / _CELL_PX
    band = cv2.GaussianBlur(cells, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.subtract(cells, band, dst=band), np.float32)


def _power(square: Any, scale: float, grid: Grid) -> F32:
    """Of three planes together, over each tile's window."""
    sum_ = cv2.transform(square, np.full((1, 3), scale, np.float32))
    sigma = WINDOW_PX / _CELL_PX
    spread = cv2.GaussianBlur(sum_, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.log1p(tiles(spread, grid))


def band_of(left: F32, grid: Grid) -> F32:
    """BAND of a difference of two pictures."""
    size = (grid[1] * 4, grid[0] * 4)
    how = cv2.INTER_AREA if left.shape[1] >= size[0] else cv2.INTER_LINEAR
    half = np.asarray(cv2.resize(left, size, interpolation=how), np.float32)
    band = np.asarray(cv2.blur(half, _FINE) - cv2.blur(half, _BAND), np.float32)
    return np.log1p(np.asarray(cv2.blur(tiles(np.square(band), grid), (3, 3)), np.float32))
