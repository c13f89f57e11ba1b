"""Which received bytes each tile was made from: exact bookkeeping, apart from any network.

Pictures carry one number a cell, moved with the pixels by nearest neighbour; this table says what the
numbers stand for. A tile takes the number of that of its cells which its mark is about: the one with
most received pixels where it is carried, the one with least elsewhere.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_protocol.marks import TILE_PX, SourcePart, tile_grid

__all__ = ["NOWHERE", "SourceGrids", "Sources", "quads"]

F32 = NDArray[np.float32]
SourceGrids = tuple[NDArray[np.int32], NDArray[np.uint16], NDArray[np.uint8]]
"(source_unit, source_boot, source_part) as `DecodedFrame` has them."

NOWHERE = 0.0
"What no received byte stands behind."

_MOST = 1 << 24
"Numbers are carried as float32, which is exact up to here: 60 days of a unit a second, four parts each."


class Sources:
    """One decoder's table of (boot, unit, part)."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int, int], int] = {(0, -1, SourcePart.NONE): 0}
        self._unit = np.full(64, -1, np.int32)
        self._boot = np.zeros(64, np.uint16)
        self._part = np.zeros(64, np.uint8)

    def number(self, boot_id: int, unit_no: int, part: SourcePart) -> float:
        """The number to carry for bytes of this part."""
        key = (boot_id, unit_no, int(part))
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self._numbers) % _MOST
            if found >= len(self._unit):
                self._unit, self._boot, self._part = (
                    np.concatenate([a, np.zeros_like(a)])
                    for a in (self._unit, self._boot, self._part)
                )  # fmt: skip
            self._unit[found], self._boot[found], self._part[found] = unit_no, boot_id, part
        return float(found)

    def grids(
        self, origin: F32, received: F32 | None, carried: NDArray[np.bool_], size: tuple[int, int]
    ) -> SourceGrids:
        """What stands behind each tile.

        Args:
            origin: numbers on any grid that spans the picture. received: shares of received pixels on
                the same grid; None: the same everywhere.
            carried: bool[R, C], tiles whose mark is about received pixels.
            size: (width, height) of the picture, pixels.
        """
        numbers = quads(origin, size)
        if received is None or received.max(initial=0) == received.min(initial=1):
            at = numbers[..., 0]
        else:
            share = quads(received, size)
            pick = np.where(carried, share.argmax(2), share.argmin(2))
            at = np.take_along_axis(numbers, pick[..., None], 2)[..., 0]
        index = at.astype(np.int32)
        return self._unit[index], self._boot[index], self._part[index]


def quads(plane: F32, size: tuple[int, int]) -> F32:
    """Four samples of each tile, float32[R, C, 4]: its cells, where the plane has the picture's size.

    Args:
        plane: on any grid that spans the picture. size: (width, height) of the picture, pixels.
    """
    rows, columns = tile_grid(size[1], size[0])
    # The last row and column of tiles may be cut by the picture's edge; their cells are not there.
    high = -(-plane.shape[0] * rows * TILE_PX // size[1])
    wide = -(-plane.shape[1] * columns * TILE_PX // size[0])
    below, right = max(0, high - plane.shape[0]), max(0, wide - plane.shape[1])
    whole = cv2.copyMakeBorder(plane, 0, below, 0, right, cv2.BORDER_REPLICATE)
    cells = cv2.resize(whole, (2 * columns, 2 * rows), interpolation=cv2.INTER_NEAREST)
    four = np.asarray(cells, np.float32).reshape(rows, 2, columns, 2)
    return four.transpose(0, 2, 1, 3).reshape(rows, columns, 4)
