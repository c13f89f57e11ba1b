"""One pattern a mark: what tells a received tile from the others when colour cannot be trusted.

    received      nothing
    carried       a sky blue dot with a dark rim in each tile
    enhanced      a thin yellow line with a dark one below it, level, through each row of tiles
    regenerated   vermillion tint, slanting bars, an outline
    lost          grey and dark, white crosses, an outline

Colours are Okabe and Ito's. Shape alone tells the marks apart, each coloured shape has a dark side so
that it shows on snow as on asphalt, and no tile is without its share: a single tile shows its mark.
All but the last stay sparse because they may cover the whole picture, which must still be readable.

Each pattern is kept for the last sizes as `out = picture * keep / 255 + ink`, so that a frame costs one
multiplication and one addition whatever its marks are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_protocol.marks import TILE_PX, Mark, tile_grid

__all__ = ["BLACK", "SKY_BLUE", "VERMILLION", "WHITE", "YELLOW", "paint", "swatch"]

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

SKY_BLUE: Colour = (233, 180, 86)
YELLOW: Colour = (66, 228, 240)
VERMILLION: Colour = (0, 94, 213)
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)

_OUTLINED = {Mark.REGENERATED: VERMILLION, Mark.LOST: WHITE}
_STEP_PX = 400
"""Large pictures are looked at reduced, on a sheet or a small screen. For each such height one more tile
is stepped over between dots and lines that are drawn large enough to survive that."""

_SWATCH_PX = 14
"A swatch of twice this height shows the pattern twice as large."

_CENTRE_PX = {Mark.LOST: TILE_PX}
"Where a pattern's most telling part lies, both ways; for a swatch. Half a tile where not named."


@dataclass(frozen=True, slots=True)
class _Pattern:
    """`keep` is uint8[H, W, 3] (255 lets the picture through), `ink` uint8[H, W, 3]."""

    keep: Image
    ink: Image


class _Plate:
    """A pattern in the making: shapes laid over each other, each with its opacity."""

    def __init__(self, height: int, width: int) -> None:
        self._keep = np.ones((height, width, 1), np.float32)
        self._ink = np.zeros((height, width, 3), np.float32)

    def lay(self, where: NDArray[np.bool_], colour: Colour, opacity: float) -> None:
        a = np.where(where, np.float32(opacity), np.float32(0))[..., None]
        self._keep *= 1 - a
        self._ink = self._ink * (1 - a) + a * np.array(colour, np.float32)

    def done(self) -> _Pattern:
        # Both are rounded down: their sum can then never wrap or exceed 255.
        keep = np.repeat(np.floor(self._keep * 255), 3, axis=2).astype(np.uint8)
        return _Pattern(keep, np.floor(self._ink).astype(np.uint8))


@lru_cache(maxsize=3)
def _patterns(height: int, width: int) -> dict[Mark, _Pattern]:
    """Patterns of all marks but RECEIVED for one size of picture."""
    y, x = np.mgrid[0:height, 0:width]
    whole = np.ones((height, width), np.bool_)
    in_y, in_x = y % TILE_PX, x % TILE_PX
    plates = {mark: _Plate(height, width) for mark in Mark if mark != Mark.RECEIVED}
    step = _step(height)
    big_row = (y // TILE_PX) % step == step // 2
    big_dot = big_row & ((x // TILE_PX) % step == step // 2)

    def box(low: int, size: int) -> NDArray[np.bool_]:
        inside = (in_y >= low) & (in_y < low + size) & (in_x >= low) & (in_x < low + size)
        return np.asarray(inside, np.bool_)

    grow = min(step - 1, 2)
    carried = plates[Mark.CARRIED]
    carried.lay(np.where(big_dot, box(2 - grow, 4 + 2 * grow), box(2, 4)), BLACK, 0.25)
    carried.lay(np.where(big_dot, box(3 - grow, 2 + 2 * grow), box(3, 2)), SKY_BLUE, 0.8)

    enhanced = plates[Mark.ENHANCED]
    thick = np.where(big_row, 1 + grow, 1)
    enhanced.lay((in_y >= 3 - grow) & (in_y < 3 - grow + thick), YELLOW, 0.45)
    enhanced.lay((in_y >= 3 - grow + thick) & (in_y < 4 - grow + thick), BLACK, 0.25)

    made_up = plates[Mark.REGENERATED]
    made_up.lay(whole, VERMILLION, 0.15)
    made_up.lay((x + y) % TILE_PX < 2, VERMILLION, 0.7)
    made_up.lay((x + y) % TILE_PX == 2, BLACK, 0.5)

    lost = plates[Mark.LOST]
    lost.lay(whole, BLACK, 0.6)
    cross_px = 1 + step // 3
    cross = ((x + y) % (2 * TILE_PX) < cross_px) | ((x - y) % (2 * TILE_PX) < cross_px)
    lost.lay(cross, WHITE, 0.75)
    return {mark: plate.done() for mark, plate in plates.items()}


def paint(pixels: Image, mark: NDArray[np.uint8]) -> Image:
    """The picture with its marks on it.

    Args:
        pixels: uint8[H, W, 3] BGR.
        mark: uint8[ceil(H/8), ceil(W/8)] of `Mark`.

    Returns:
        A new uint8[H, W, 3]; received tiles are untouched.
    """
    height, width = pixels.shape[:2]
    present = np.flatnonzero(np.bincount(mark.ravel(), minlength=len(Mark)))
    marks = [Mark(int(m)) for m in present if m != Mark.RECEIVED]
    if not marks:
        return pixels.copy()
    mark_px = _to_pixels(mark, height, width)
    keep = np.full_like(pixels, 255)
    ink = np.zeros_like(pixels)
    patterns = _patterns(height, width)
    regions = {m: np.asarray(mark_px == m, np.uint8) for m in marks}
    for m, region in regions.items():
        cv2.copyTo(patterns[m].keep, region, keep)
        cv2.copyTo(patterns[m].ink, region, ink)
    seen = pixels
    if Mark.LOST in regions:
        grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        seen = pixels.copy()
        cv2.copyTo(cv2.merge([grey, grey, grey]), regions[Mark.LOST], seen)
    out = np.asarray(cv2.multiply(seen, keep, scale=1 / 255), np.uint8)
    cv2.add(out, ink, out)
    for m, colour in _OUTLINED.items():
        if m in regions:
            out[_rim(regions[m], min(_step(height), 2))] = colour
    return out


def _step(height: int) -> int:
    return max(1, round(height / _STEP_PX))


def _to_pixels(mark: NDArray[np.uint8], height: int, width: int) -> Image:
    rows, cols = tile_grid(height, width)
    size = (cols * TILE_PX, rows * TILE_PX)
    grown = cv2.resize(mark, size, interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(grown[:height, :width])


def _rim(region: Image, thick: int) -> NDArray[np.bool_]:
    """Outermost pixels of a region, inside it: a received neighbour keeps every pixel.

    The picture's own edge is no border.
    """
    inner = cv2.erode(region, np.ones((2 * thick + 1, 2 * thick + 1), np.uint8))
    return np.asarray(inner != region, np.bool_)


@lru_cache(maxsize=64)
def swatch(mark: Mark, height: int, width: int) -> Image:
    """A piece of mid grey with one mark's pattern: uint8[height, width, 3], framed if it is large."""
    zoom = max(1, height // _SWATCH_PX)
    rows, cols = -(-height // zoom), -(-width // zoom)
    grid = tile_grid(rows + 4 * TILE_PX, cols + 4 * TILE_PX)
    grey = np.full((grid[0] * TILE_PX, grid[1] * TILE_PX, 3), 128, np.uint8)
    painted = paint(grey, np.full(grid, int(mark), np.uint8))
    centre = _CENTRE_PX.get(mark, TILE_PX // 2)
    top, left = ((centre - side // 2) % (2 * TILE_PX) for side in (rows, cols))
    cut = painted[top : top + rows, left : left + cols]
    out = cut.repeat(zoom, axis=0).repeat(zoom, axis=1)[:height, :width].copy()
    if min(height, width) >= TILE_PX:
        cv2.rectangle(out, (0, 0), (width - 1, height - 1), WHITE, 1)
    return out
