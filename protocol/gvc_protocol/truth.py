"""The sender-verified map: how much of the base's picture is wrong where (WIRE.md, "Truth map").

    share of wrong in each cell -> one of five levels -> adaptive counts by context -> one exact interval
    -> its shortest bytes

Also what else a frame can say against itself: `Alarm`, something that is shown and that nobody vouches
for, or that was seen and is not shown.

The coder keeps its interval in whole numbers of any size, so that both ends agree to the last bit and no
byte goes into ending it: 144 cells are at most some 1300 bits of arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.marks import TILE_PX, tile_grid

__all__ = [
    "GRIDS", "KNOWN_WRONG", "MAX_TRUTH_BYTES", "RIGHT", "Alarm", "AlarmKind", "Proxy", "Truth",
    "TruthMap", "levels_of",
]  # fmt: skip

Levels = NDArray[np.uint8]
Counts = tuple[tuple[int, ...], ...]

MAX_TRUTH_BYTES = 16
"Of the record's value; with type and length the record takes at most 18."

GRIDS = ((9, 16), (7, 12), (6, 10), (5, 8), (3, 5))
"Rows and columns, the finest first: a map that would be too long in one goes in the next."

RIGHT, KNOWN_WRONG = 1, 2
"""The highest level of a cell with next to nothing wrong; the least one of a cell in which something is:
a person who is missing is a small share of it."""

_SHARES = (0.03, 0.15, 0.45)
"Share of wrong from which on a cell is of level 2, 3, 4."
_SURE = 0.25
"Below that, level 0 is a cell whose pictures differ by less than this share of what would be wrong."

_COUNTS: Counts = (
    (17, 1, 1, 1, 1), (9, 7, 4, 1, 1), (8, 4, 5, 2, 1), (2, 7, 4, 5, 2), (1, 4, 3, 3, 9),
    (1, 5, 8, 5, 1), (1, 3, 8, 6, 1), (1, 2, 7, 8, 3), (1, 1, 4, 6, 10), (1, 1, 4, 12, 3),
    (1, 1, 2, 10, 8), (1, 1, 1, 6, 13), (1, 1, 1, 1, 19),
)  # fmt: skip
"""Cells of each level taken for granted, by the sum of the three neighbours' levels above and left;
shares of the training scenes of the marks."""
_COUNTS_BEFORE: Counts = ((16, 1), (3, 2), (2, 3), (1, 5))
"Of the maps of right and wrong alone, which are read and no longer sent."
_GAIN = 2

_GRID_OF = {0: (9, 16), 1: (6, 10)} | {2 + i: grid for i, grid in enumerate(GRIDS)}
_FIRST_OF_LEVELS = 2
"Grids of a lower number hold right and wrong alone."


class Proxy(IntEnum):
    """What the sender compared with its true frames. Never reused."""

    CODED = 1
    "The coded pictures, enlarged; between them the frames that follow from their motion."
    CARRIED_STILL = 2
    "The unit's still, moved by the motion path of D."


class Truth(IntEnum):
    """What the sender says of a shown tile."""

    UNTOLD = 0
    "Nothing; or what it said does not hold for what is shown here."
    VERIFIED = 1
    "The sender compared this with its camera's picture and found no structure wrong."
    KNOWN_WRONG = 2
    "The sender found structure missing, invented or misplaced here."


class AlarmKind(IntEnum):
    """Ways in which the picture and the evidence contradict each other."""

    UNCONFIRMED = 0
    "The picture shows something that the sender did not see."
    MISSED = 1
    "The sender saw something that the picture does not show."


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One contradiction in one frame; the box is in pixels of the shown picture."""

    kind: AlarmKind
    x: int
    y: int
    width: int
    height: int
    why: str
    "What found it: evidence, detector, contrast, chip, motion."
    strength: float
    "How far over its threshold, 1 = just."
    class_id: int | None = None
    "An `ObjectClass` where something is known of it."
    track_id: int | None = None
    chip: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)
    "uint8[h, w, 3] BGR of a missed object: pixels of it that were received, at the size they came in."


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthMap:
    """How much of what the proxy shows was wrong, in the mean over the unit.

    Raises:
        LocalProtocolError: `levels` is of no grid, or holds a level, that WIRE.md does not know.
    """

    proxy: int
    levels: Levels
    "uint8 of one of `GRIDS`, equal cells over the picture: 0, right for sure, to 4, most of it wrong."

    def __post_init__(self) -> None:
        if self.levels.dtype != np.uint8 or self.levels.shape not in GRIDS:
            raise LocalProtocolError(f"a truth map is uint8 of one of the grids {GRIDS}")
        if not 0 <= self.proxy <= 15 or int(self.levels.max()) > 1 + len(_SHARES):
            raise LocalProtocolError("no such proxy or level")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TruthMap):
            return NotImplemented
        return self.proxy == other.proxy and np.array_equal(self.levels, other.levels)

    def __hash__(self) -> int:
        return hash((self.proxy, self.levels.tobytes()))

    def pack(self) -> bytes:
        """At least one byte. It may be longer than `MAX_TRUTH_BYTES`: such a map is not sent."""
        index = _FIRST_OF_LEVELS + GRIDS.index(self.levels.shape)
        return bytes((self.proxy << 4 | index,)) + _encode(self.levels, _COUNTS)

    @classmethod
    def unpack(cls, data: bytes) -> TruthMap | None:
        """None where this version cannot know what is meant. Any body is some map."""
        if not 0 < len(data) <= MAX_TRUTH_BYTES or (index := data[0] & 15) not in _GRID_OF:
            return None
        if index < _FIRST_OF_LEVELS:
            levels = _decode(data[1:], _GRID_OF[index], _COUNTS_BEFORE) * np.uint8(KNOWN_WRONG)
        else:
            levels = _decode(data[1:], _GRID_OF[index], _COUNTS)
        return cls(proxy=data[0] >> 4, levels=levels)

    def tiles(self, height_px: int, width_px: int) -> Levels:
        """uint8[R, C]: level of the cell that each tile's middle lies in."""
        rows, columns = tile_grid(height_px, width_px)
        r, c = self.levels.shape
        y = np.minimum(np.arange(rows) * TILE_PX + TILE_PX // 2, height_px - 1) * r // height_px
        x = np.minimum(np.arange(columns) * TILE_PX + TILE_PX // 2, width_px - 1) * c // width_px
        return self.levels[np.ix_(y, x)]


def levels_of(shares: NDArray[np.float32], apart: NDArray[np.float32]) -> Levels:
    """Level of each cell.

    Args:
        shares: how much of it is wrong, 0 to 1.
        apart: how far the pictures differ there; from 1 on that is wrong.
    """
    levels = 1 + np.digitize(shares, _SHARES)
    levels[(levels == RIGHT) & (apart < _SURE)] = 0
    return np.asarray(levels, np.uint8)


class _Model:
    """Adaptive counts; the same steps at both ends."""

    def __init__(self, counts: Counts) -> None:
        self._counts = [list(row) for row in counts]

    def context(self, cells: Levels, r: int, c: int) -> int:
        above = int(cells[r - 1, c]) if r else 0
        left = int(cells[r, c - 1]) if c else 0
        beyond = int(cells[r - 1, c + 1]) if r and c + 1 < cells.shape[1] else 0
        return above + left + beyond

    def steps(self, context: int) -> Sequence[int]:
        """Where the levels' parts of the interval begin, and where the last one ends."""
        return list(accumulate(self._counts[context], initial=0))

    def learn(self, context: int, level: int) -> None:
        self._counts[context][level] += _GAIN


def _encode(cells: Levels, counts: Counts) -> bytes:
    """Shortest bytes whose value, as a fraction of 256^length, lies in the map's interval."""
    model = _Model(counts)
    low, size, whole = 0, 1, 1
    for r in range(cells.shape[0]):
        for c in range(cells.shape[1]):
            context, level = model.context(cells, r, c), int(cells[r, c])
            steps = model.steps(context)
            low, whole = low * steps[-1] + size * steps[level], whole * steps[-1]
            size *= steps[level + 1] - steps[level]
            model.learn(context, level)
    length = 0
    while True:
        unit = 1 << 8 * length
        value = -(-low * unit // whole)
        if value * whole < (low + size) * unit:
            return value.to_bytes(length, "big")
        length += 1


def _decode(data: bytes, shape: tuple[int, int], counts: Counts) -> Levels:
    model = _Model(counts)
    cells = np.zeros(shape, np.uint8)
    # What is left of the value, over the interval that it lies in: value / whole of size 1.
    value, whole = int.from_bytes(data, "big"), 1 << 8 * len(data)
    for r in range(shape[0]):
        for c in range(shape[1]):
            context = model.context(cells, r, c)
            steps = model.steps(context)
            level = sum(value * steps[-1] >= whole * step for step in steps[1:-1])
            value = value * steps[-1] - whole * steps[level]
            whole *= steps[level + 1] - steps[level]
            cells[r, c] = level
            model.learn(context, level)
    return cells
