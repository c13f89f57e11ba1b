"""Whole pictures of a take, held against the source, and the rows that are drawn from them.

What the sender tells of a cell is read by what is thought of all of its tiles
(`gvc_base.marks.spread`), so rows cannot be drawn before the networks of a tile's own score are there:
whole grids are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gvc_base.marks.facts import PLANES, SCALARS, Fact
from gvc_base.marks.model import prepared
from gvc_base.marks.spread import Spread
from tests.bench.marks.learn import HELD, Net, Rows, joined, own_score

__all__ = ["Grids"]

_TILES = 300
"Of each picture."


@dataclass(frozen=True, slots=True, kw_only=True)
class Grids:
    """n pictures that a score was made for, in their order."""

    planes: NDArray[np.float16]
    "[n, PLANES, R, C]: the facts; `OWN` and its offsets are made anew for the rows."
    scalars: NDArray[np.float32]
    "[n, SCALARS]"
    cells: NDArray[np.int32]
    "[n, 3]: slice, rows and columns of the sender's map; no rows where there was none."
    unit: NDArray[np.int32]
    "[n]"
    mark: NDArray[np.uint8]
    "[n, R, C]"
    apart: NDArray[np.float32]
    "[n, R, C]: disagreement with the source."
    error: NDArray[np.float32]
    "[n, R, C]: mean square of the difference, levels of 255."
    detail: NDArray[np.float16]
    "[n, 3, R, C]: of what is shown (`gvc_base.marks.texture.detail`)."

    @staticmethod
    def none() -> Grids:
        """Of a take that nothing came of."""
        tiles = np.zeros((0, 0, 0), np.float32)
        return Grids(
            planes=np.zeros((0, PLANES, 0, 0), np.float16), detail=np.zeros((0, 3, 0, 0), np.float16),
            scalars=np.zeros((0, SCALARS), np.float32), cells=np.zeros((0, 3), np.int32),
            unit=np.zeros(0, np.int32), mark=tiles.astype(np.uint8), apart=tiles, error=tiles,
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """All or nothing."""
        part = path.with_suffix(".part.npz")
        np.savez(part, **{f.name: getattr(self, f.name) for f in fields(self)})
        part.rename(path)

    @staticmethod
    def load(path: Path) -> Grids:
        """What `save` wrote."""
        with np.load(path) as file:
            return Grids(**{f.name: file[f.name] for f in fields(Grids)})

    def rows(self, seed: int, own: Net | None = None) -> Rows:
        """`_TILES` tiles of each picture.

        Args:
            seed: which ones. own: the networks of `Fact.OWN`; without, it and its like are 0.
        """
        rng = np.random.default_rng(seed)
        drawn = []
        for index, inputs in enumerate(self._inputs(own)):
            pick = rng.permutation(len(inputs))[:_TILES]
            drawn.append(Rows(
                inputs[pick], self.mark[index].ravel()[pick], self.apart[index].ravel()[pick],
                self.error[index].ravel()[pick],
                self.detail[index].reshape(3, -1)[:, pick].T.astype(np.float32),
                np.full(len(pick), index, np.int32),
            ))  # fmt: skip
        return joined(drawn)

    def _inputs(self, own: Net | None) -> Iterator[NDArray[np.float32]]:
        """Of each picture's tiles, float32[R * C, PLANES + SCALARS], as the networks take them."""
        spread, unit = Spread(), -1
        for index, facts in enumerate(self.planes):
            grid = facts.shape[1:]
            planes = facts.astype(np.float32)
            planes[[Fact.OWN, Fact.OFFSET, Fact.OFFSET_EVENLY]] = 0
            inputs = np.empty((grid[0] * grid[1], PLANES + SCALARS), np.float32)
            inputs[:, :PLANES] = prepared(planes.reshape(PLANES, -1)).T
            inputs[:, PLANES:] = self.scalars[index]
            if own is not None:
                held = bool(self.scalars[index][[at - PLANES for at in HELD]].any())
                if held or self.unit[index] != unit:
                    # A held picture stands for the one that it was when it was made.
                    spread, unit = Spread(), -1 if held else int(self.unit[index])
                said = own_score(own, inputs).reshape(grid)
                inputs[:, Fact.OWN] = said.ravel()
                if self.cells[index, 1]:
                    offsets = spread.see(said, *self._told(index))
                    inputs[:, Fact.OFFSET : Fact.OFFSET_EVENLY + 1] = np.stack(
                        [plane.ravel() for plane in offsets], 1
                    )
            yield inputs

    def _told(self, index: int) -> tuple[NDArray[np.float32], int]:
        """Log-odds of each cell, by the tile in its middle, and which slice it is."""
        part, *shape = self.cells[index]
        told = self.planes[index, Fact.TOLD].astype(np.float32)
        y, x = (
            ((np.arange(cells) + 0.5) * tiles / cells).astype(np.int64)
            for cells, tiles in zip(shape, told.shape, strict=True)
        )
        return told[np.ix_(y, x)], int(part)
