"""The sender-verified map: how much of the base's picture is wrong where (WIRE.md, "Truth map").

    share of wrong in each cell and slice of the unit's time -> one of five levels -> `levels.encode`

Also what else a frame can say against itself: `Alarm`, something that is shown and that nobody vouches
for, or that was seen and is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.levels import BINARY, PLAIN, SLICED, Coding, decode, encode
from gvc_protocol.marks import TILE_PX, tile_grid

__all__ = [
    "KNOWN_WRONG", "MAX_TRUTH_BYTES", "RIGHT", "SHAPES", "Alarm", "AlarmKind", "Proxy", "Truth",
    "TruthMap", "levels_of",
]  # fmt: skip

Levels = NDArray[np.uint8]

MAX_TRUTH_BYTES = 16
"Of the record's value; with type and length the record takes at most 18."

_SLICED = (
    (1, 9, 16), (1, 7, 12), (1, 6, 10), (2, 7, 12), (2, 6, 10), (2, 5, 8), (4, 6, 10), (4, 3, 5),
)  # fmt: skip
SHAPES = (*_SLICED, (1, 5, 8), (1, 3, 5))
"Slices, rows and columns of the maps that are sent: where wrong is, or when, as a unit needs it."

RIGHT, KNOWN_WRONG = 1, 2
"""The highest level of a cell with next to nothing wrong; the least one of a cell in which something is:
a person who is missing is a small share of it."""

_SHARES = (0.03, 0.15, 0.45)
"Share of wrong from which on a cell is of level 2, 3, 4."
_SURE = 0.25
"Below that, level 0 is a cell whose pictures differ by less than this share of what would be wrong."
_SPOT = 6 / 4320
"Of the picture: what is wrong at one moment is an object's size, and its cell known wrong."

_SHAPE_OF: dict[int, tuple[tuple[int, int, int], Coding]] = {
    0: ((1, 9, 16), BINARY), 1: ((1, 6, 10), BINARY),
    2: ((1, 9, 16), PLAIN), 3: ((1, 7, 12), PLAIN), 4: ((1, 6, 10), PLAIN),
    5: ((1, 5, 8), PLAIN), 6: ((1, 3, 5), PLAIN),
} | {7 + i: (shape, SLICED) for i, shape in enumerate(_SLICED)}  # fmt: skip
"By the number on the wire; 15 is kept for what comes after."
_NUMBER_OF = {shape: number for number, (shape, _) in _SHAPE_OF.items()}
"The last that was given to a shape, by which it is sent now."


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
    """How much of what the proxy shows was wrong: where, and in which part of the unit.

    Raises:
        LocalProtocolError: `levels` is of no shape, or holds a level, that WIRE.md does not know.
    """

    proxy: int
    levels: Levels
    """uint8[T, R, C], equal slices of the unit's frames, equal cells over the picture: 0, right for
    sure, to 4, most of it wrong."""

    def __post_init__(self) -> None:
        if self.levels.dtype != np.uint8 or self.levels.shape not in _NUMBER_OF:
            raise LocalProtocolError(f"a truth map is uint8 of one of the shapes {SHAPES}")
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
        index = _NUMBER_OF[self.levels.shape]
        return bytes((self.proxy << 4 | index,)) + encode(self.levels, _SHAPE_OF[index][1])

    @classmethod
    def unpack(cls, data: bytes) -> TruthMap | None:
        """None where this version cannot know what is meant. Any body is some map."""
        if not 0 < len(data) <= MAX_TRUTH_BYTES or (index := data[0] & 15) not in _SHAPE_OF:
            return None
        shape, coding = _SHAPE_OF[index]
        levels = decode(data[1:], shape, coding)
        return cls(
            proxy=data[0] >> 4, levels=levels * np.uint8(KNOWN_WRONG if coding is BINARY else 1)
        )

    def slice_at(self, share: float) -> int:
        """Which slice holds the moment after this share of the unit's frames; any moment has one."""
        slices = len(self.levels)
        return min(slices - 1, max(0, int(share * slices)))

    def tiles(self, height_px: int, width_px: int, share: float) -> Levels:
        """uint8[R, C]: level of the cell that each tile's middle lies in.

        Args:
            share: of the unit's frames that are before the one that is asked for, 0 to 1.
        """
        levels = self.levels[self.slice_at(share)]
        rows, columns = tile_grid(height_px, width_px)
        r, c = levels.shape
        y = np.minimum(np.arange(rows) * TILE_PX + TILE_PX // 2, height_px - 1) * r // height_px
        x = np.minimum(np.arange(columns) * TILE_PX + TILE_PX // 2, width_px - 1) * c // width_px
        return np.asarray(levels[np.ix_(y, x)], np.uint8)


def levels_of(
    shares: NDArray[np.float32], apart: NDArray[np.float32], spots: NDArray[np.float32]
) -> Levels:
    """Level of each cell.

    Args:
        shares: how much of it is wrong, 0 to 1.
        apart: how far the pictures differ there; from 1 on that is wrong.
        spots: share of the whole picture that is surely wrong in it, at its worst moment.
    """
    levels = 1 + np.digitize(shares, _SHARES)
    levels[(levels == RIGHT) & (apart < _SURE)] = 0
    levels[(levels <= RIGHT) & (spots >= _SPOT)] = KNOWN_WRONG
    return np.asarray(levels, np.uint8)
