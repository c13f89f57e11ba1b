"""A frame of codec 0 before it is handed out: its pixels, and what is known of its tiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.av1 import Picture
from gvc_base.decoders.camera import of_tiles
from gvc_base.decoders.fusion import resize
from gvc_base.decoders.motion import F32
from gvc_protocol.codec import ReceivedUnit, UnitSpan
from gvc_protocol.marks import Mark, SourcePart, tile_grid

__all__ = ["Made", "made_of", "nowhere"]

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
I32 = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Made:
    """A frame's pixels and what is known of its tiles."""

    pixels: Picture
    mark: U8
    age: U16
    score: F32
    unit: I32
    boot: U16
    part: U8

    def at_size(self, height: int, width: int) -> Made:
        """For a source of this size, never the same memory; at another size than it was made for its
        sources are not known."""
        pixels = resize(self.pixels, width, height)
        pixels = pixels.copy() if pixels is self.pixels else pixels
        grid = tile_grid(height, width)
        if self.unit.shape == grid:
            return replace(self, pixels=pixels)
        unit, boot, part = nowhere(grid)
        return replace(self, pixels=pixels, unit=unit, boot=boot, part=part)

    def moved(self, matrix: NDArray[np.float64]) -> Made:
        """Pixels moved by a homography of them, each tile's source with it; nothing else.

        Where the picture moved away from its edge is drawn out, and no received byte stands behind it.
        """
        (height, width), (rows, columns) = self.pixels.shape[:2], self.unit.shape
        mode = cv2.BORDER_REPLICATE
        pixels = cv2.warpPerspective(self.pixels, matrix, (width, height), borderMode=mode)

        def tiles(plane: NDArray[Any], nothing: int) -> NDArray[Any]:
            # OpenCV warps no int32; float64 holds each of them.
            out = cv2.warpPerspective(
                plane.astype(np.float64), of_tiles(matrix), (columns, rows),
                flags=cv2.INTER_NEAREST, borderValue=nothing,
            )  # fmt: skip
            return np.asarray(out).astype(plane.dtype)

        return replace(
            self, pixels=np.asarray(pixels, np.uint8), unit=tiles(self.unit, -1),
            boot=tiles(self.boot, 0), part=tiles(self.part, 0),
        )  # fmt: skip


def made_of(
    pixels: Picture, mark: U8, age: U16, score: F32, unit: ReceivedUnit, span: UnitSpan
) -> Made:
    """With its sources: what is carried is the still's, all else F's."""
    part = np.full(mark.shape, SourcePart.FEATURES, np.uint8)
    part[mark == Mark.CARRIED] = SourcePart.KEYFRAME
    return Made(
        pixels, mark, age, score, np.full(mark.shape, unit.unit_no, np.int32),
        np.full(mark.shape, span.boot_id, np.uint16), part,
    )  # fmt: skip


def nowhere(grid: tuple[int, int]) -> tuple[I32, U16, U8]:
    """Sources of tiles that no received byte stands behind: unit, boot, part."""
    return np.full(grid, -1, np.int32), np.zeros(grid, np.uint16), np.zeros(grid, np.uint8)
