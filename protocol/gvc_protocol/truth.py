"""The sender-verified map: where the base's picture is right, where wrong (WIRE.md, "Truth map").

    grid of cells, True = wrong -> adaptive counts by context -> one exact interval -> its shortest bytes

Also what else a frame can say against itself: `Alarm`, something that is shown and that nobody vouches
for, or that was seen and is not shown.

The coder keeps its interval in whole numbers of any size, so that both ends agree to the last bit and no
byte goes into ending it: 144 cells are at most some 1200 bits of arithmetic.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.marks import TILE_PX, tile_grid

__all__ = ["MAX_TRUTH_BYTES", "Alarm", "AlarmKind", "Proxy", "Truth", "TruthMap"]

Cells = NDArray[np.bool_]

MAX_TRUTH_BYTES = 16
"Of the record's value; with type and length the record takes at most 18."

_GRIDS = ((9, 16), (6, 10))
"Rows and columns. The second is for a map that would be too long in the first."
_COUNTS = ((16, 1), (3, 2), (2, 3), (1, 5))
"Right and wrong cells taken for granted, by how many of the three neighbours above and left are wrong."
_GAIN = 2


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
    """Where the proxy was wrong anywhere in the unit.

    Raises:
        LocalProtocolError: `wrong` is of no grid that WIRE.md knows.
    """

    proxy: int
    wrong: Cells
    "bool[9, 16] or bool[6, 10]: rows and columns of equal cells over the picture."

    def __post_init__(self) -> None:
        if self.wrong.dtype != np.bool_ or self.wrong.shape not in _GRIDS:
            raise LocalProtocolError("a truth map is bool[9, 16] or bool[6, 10]")
        if not 0 <= self.proxy <= 15:
            raise LocalProtocolError(f"no such proxy: {self.proxy}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TruthMap):
            return NotImplemented
        return self.proxy == other.proxy and np.array_equal(self.wrong, other.wrong)

    def __hash__(self) -> int:
        return hash((self.proxy, self.wrong.tobytes()))

    def pack(self) -> bytes:
        """At most `MAX_TRUTH_BYTES`; a longer map is told as `within` tells it."""
        told = self.within(MAX_TRUTH_BYTES)
        if told is None:  # "all is wrong" takes 4 bytes
            raise LocalProtocolError("a truth map did not fit")
        index = _GRIDS.index(told.wrong.shape)
        return bytes((self.proxy << 4 | index,)) + _encode(told.wrong)

    def within(self, most: int) -> TruthMap | None:
        """The map in at most `most` bytes: right cells are called wrong, never the other way round, in
        the grid that then leaves more of the picture right. None where no map is so short."""
        maps = [self.wrong]
        if not _fits(self.wrong, most):
            coarse = [_coarser(self.wrong)] if self.wrong.shape == _GRIDS[0] else []
            maps = [_filled(self.wrong, most), *coarse]
        maps = [wrong for wrong in maps if _fits(wrong, most)]
        if not maps:
            return None
        return replace(self, wrong=min(maps, key=lambda wrong: float(wrong.mean())))

    @classmethod
    def unpack(cls, data: bytes) -> TruthMap | None:
        """None where this version cannot know what is meant. Any body is some map."""
        if not 0 < len(data) <= MAX_TRUTH_BYTES or data[0] & 15 >= len(_GRIDS):
            return None
        return cls(proxy=data[0] >> 4, wrong=_decode(data[1:], _GRIDS[data[0] & 15]))

    def tiles(self, height_px: int, width_px: int) -> Cells:
        """bool[R, C]: the cell that each tile's middle lies in."""
        rows, columns = tile_grid(height_px, width_px)
        r, c = self.wrong.shape
        y = np.minimum(np.arange(rows) * TILE_PX + TILE_PX // 2, height_px - 1) * r // height_px
        x = np.minimum(np.arange(columns) * TILE_PX + TILE_PX // 2, width_px - 1) * c // width_px
        return self.wrong[np.ix_(y, x)]


def _fits(wrong: Cells, most: int) -> bool:
    return len(_encode(wrong)) < most  # a byte goes to proxy and grid


def _filled(wrong: Cells, most: int) -> Cells:
    """The map with gaps in it called wrong, as few as it takes to fit; else all wrong."""
    steps, now = [wrong], wrong
    while not now.all():
        ring = np.pad(now, 1).astype(np.int64)
        near = sum(
            ring[y : y + now.shape[0], x : x + now.shape[1]] for y in range(3) for x in range(3)
        )
        now = now.copy()
        now.flat[int(np.where(now, -1, near).argmax())] = True
        steps.append(now)
    # Fuller maps are shorter, about; the last one, all wrong, is the shortest.
    first = bisect_left(steps, True, key=lambda cells: _fits(cells, most))
    return steps[min(first, len(steps) - 1)]


def _coarser(wrong: Cells) -> Cells:
    """A coarse cell is wrong where any fine cell that overlaps it is."""
    (rows, columns), (fine_rows, fine_columns) = _GRIDS[1], wrong.shape
    out = np.zeros((rows, columns), np.bool_)
    for r in range(rows):
        top, bottom = r * fine_rows // rows, -(-(r + 1) * fine_rows // rows)
        for c in range(columns):
            left, right = c * fine_columns // columns, -(-(c + 1) * fine_columns // columns)
            out[r, c] = wrong[top:bottom, left:right].any()
    return out


class _Model:
    """Adaptive counts; the same steps at both ends."""

    def __init__(self) -> None:
        self._counts = [list(pair) for pair in _COUNTS]

    def context(self, cells: Cells, r: int, c: int) -> int:
        above = bool(r and cells[r - 1, c])
        left = bool(c and cells[r, c - 1])
        beyond = bool(r and c + 1 < cells.shape[1] and cells[r - 1, c + 1])
        return above + left + beyond

    def split(self, context: int) -> tuple[int, int]:
        right, wrong = self._counts[context]
        return right, right + wrong

    def learn(self, context: int, wrong: bool) -> None:
        self._counts[context][wrong] += _GAIN


def _encode(cells: Cells) -> bytes:
    """Shortest bytes whose value, as a fraction of 256^length, lies in the map's interval."""
    model = _Model()
    low, size, whole = 0, 1, 1
    for r in range(cells.shape[0]):
        for c in range(cells.shape[1]):
            context, wrong = model.context(cells, r, c), bool(cells[r, c])
            right, total = model.split(context)
            low, whole = low * total, whole * total
            low, size = (
                (low + size * right, size * (total - right)) if wrong else (low, size * right)
            )
            model.learn(context, wrong)
    length = 0
    while True:
        unit = 1 << 8 * length
        value = -(-low * unit // whole)
        if value * whole < (low + size) * unit:
            return value.to_bytes(length, "big")
        length += 1


def _decode(data: bytes, shape: tuple[int, int]) -> Cells:
    model = _Model()
    cells = np.zeros(shape, np.bool_)
    # What is left of the value, over the interval that it lies in: value / whole of size 1.
    value, whole = int.from_bytes(data, "big"), 1 << 8 * len(data)
    for r in range(shape[0]):
        for c in range(shape[1]):
            context = model.context(cells, r, c)
            right, total = model.split(context)
            wrong = value * total >= whole * right
            if wrong:
                value, whole = value * total - whole * right, whole * (total - right)
            else:
                value, whole = value * total, whole * right
            cells[r, c] = wrong
            model.learn(context, wrong)
    return cells
