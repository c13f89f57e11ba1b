"""What a decoded tile is made of. The marks are the product: no picture travels without them.

A tile is 8x8 pixels of the shown picture; the last row and column of tiles may be cut by the
picture's edge. Where a tile mixes sources it takes the least trustworthy one, i.e. the maximum.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["AGE_UNKNOWN_MS", "TILE_PX", "Mark", "SourcePart", "pixels_to_tiles", "tile_grid"]

TILE_PX = 8
"Side of a marked tile in pixels of the shown picture."

AGE_UNKNOWN_MS = 0xFFFF
"Age of a tile that no received pixel stands behind, and the cap of the age field (65.5 s)."


class Mark(IntEnum):
    """Where a tile's pixels come from, ordered from most to least trustworthy.

    The numbers are written to MARKS.npz and to the archive; they are never reused.
    """

    RECEIVED = 0
    "The bits of this tile at this resolution and this moment arrived and were decoded."
    CARRIED = 1
    "Received detail of another moment, moved here by motion; `age_ms` says how far away in time."
    ENHANCED = 2
    "Only low-resolution pixels of this moment arrived; detail between them is estimated."
    REGENERATED = 3
    "No received pixel of this moment agrees with what is shown; it was made up to fill the hole."
    LOST = 4
    """Nothing arrived for this moment: the last picture is held, or moved on as the camera moved last,
    or there is none."""


class SourcePart(IntEnum):
    """Which received bytes a tile was made from, beside the unit and boot that they belong to.

    Written to MARKS.npz; never reused.
    """

    NONE = 0
    "No received byte."
    KEYFRAME = 1
    "A picture whose bytes travelled in the unit's part K."
    FEATURES = 2
    "One whose bytes travelled in F; what it refers to lies in K and F of the same unit."
    PATCH = 3
    "A patch of true pixels, in F."
    ANSWER = 4
    "Pixels that were asked for: a message."


def tile_grid(height_px: int, width_px: int) -> tuple[int, int]:
    """Rows and columns of tiles that cover a picture; cut tiles at the edge count as whole ones."""
    return -(-height_px // TILE_PX), -(-width_px // TILE_PX)


def pixels_to_tiles(mark_px: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Least trustworthy mark of each tile.

    Args:
        mark_px: uint8[H, W], one `Mark` a pixel.

    Returns:
        uint8[ceil(H/8), ceil(W/8)].
    """
    rows, cols = tile_grid(*mark_px.shape)
    pad = ((0, rows * TILE_PX - mark_px.shape[0]), (0, cols * TILE_PX - mark_px.shape[1]))
    # Edge padding repeats a mark that is there already, so the maximum cannot be made worse by it.
    padded = np.pad(mark_px, pad, mode="edge")
    tiles = padded.reshape(rows, TILE_PX, cols, TILE_PX).max(axis=(1, 3))
    return np.asarray(tiles, dtype=np.uint8)
