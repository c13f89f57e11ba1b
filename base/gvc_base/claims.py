"""What p_wrong, the sender and the alarms say of a shown picture, drawn onto it.

doubtful       small purple x from the mission's p of doubt on (docs/marks.md): one in a tile that stands
               alone, one for many where all around are doubtful
verified       a small tick in each block of tiles that the sender has compared and found right
known wrong    a broken line around the tiles, and the words
unconfirmed    a yellow box with "?": shown, and nobody saw it
missed         a white box with the received chip in its place: seen, and not shown
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.patterns import BLACK, WHITE, YELLOW
from gvc_base.text import MIN_CAP_PX, draw_text, text_width_px
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.marks import TILE_PX, Mark
from gvc_protocol.truth import Alarm, AlarmKind, Truth

__all__ = ["claim_notes", "draw_claims"]

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
Places = tuple[NDArray[np.intp], NDArray[np.intp]]

GREEN: Colour = (115, 158, 0)
PURPLE: Colour = (167, 121, 204)
_BLOCK = 8
"Tiles a side that share one tick."
_DASH_PX = 6
_MOST_BOXES, _MOST_WORDS = 12, 6
_KNOWN_WRONG = "known wrong"


def claim_notes(frame: DecodedFrame) -> tuple[str, ...]:
    """In words, the most urgent first."""
    notes = []
    kinds = [alarm.kind for alarm in frame.alarms]
    for kind, name in ((AlarmKind.UNCONFIRMED, "UNCONFIRMED"), (AlarmKind.MISSED, "MISSED")):
        if kind in kinds:
            notes.append(f"{kinds.count(kind)} {name}")
    total, said = max(1, frame.mark.size), []
    if doubted := int(_doubted(frame).sum()):
        said.append(f"x doubtful {-(-100 * doubted // total)}%")
    if frame.truth is not None:
        wrong = int((frame.truth == Truth.KNOWN_WRONG).sum())
        right = int((frame.truth == Truth.VERIFIED).sum())
        if wrong or right:
            said.append(f"known wrong {-(-100 * wrong // total)}%")
            said.append(f"verified {100 * right // total}%")
    return (*notes, ", ".join(said)) if said else tuple(notes)


def draw_claims(image: Image, frame: DecodedFrame, hidden_px: int = 0) -> None:
    """Draw onto uint8[H, W, 3] BGR, in place.

    Args:
        hidden_px: rows at the lower edge that the legend will cover; an alarm there is told above.
    """
    _crosses(image, _thinned(_doubted(frame)))
    if frame.truth is not None:
        _ticks(image, frame.truth == Truth.VERIFIED)
        _known_wrong(image, frame.truth == Truth.KNOWN_WRONG)
    strongest = sorted(frame.alarms, key=lambda a: -a.strength)[:_MOST_BOXES]
    invented = {(a.x, a.y) for a in strongest if a.kind == AlarmKind.UNCONFIRMED}
    for alarm in strongest:
        # Where one thing stands in place of another, the warning is of what is shown.
        if alarm.kind == AlarmKind.UNCONFIRMED or (alarm.x, alarm.y) not in invented:
            _box(image, alarm, image.shape[0] - hidden_px)


def _doubted(frame: DecodedFrame) -> NDArray[np.bool_]:
    """Tiles to doubt; what is lost has crosses of its own."""
    return np.asarray((frame.p_wrong >= frame.doubt_from) & (frame.mark != Mark.LOST))


def _thinned(doubted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tiles that get the x: one of each block that is doubtful as a whole, so that the picture stays
    readable where all of it is; every tile that is not in such a block."""
    out = doubted.copy()
    for side in (2, 4):
        rows, columns = (n // side for n in doubted.shape)
        inside = np.s_[: rows * side, : columns * side]
        whole = doubted[inside].reshape(rows, side, columns, side).all((1, 3))
        part = out[inside]
        part[whole.repeat(side, 0).repeat(side, 1)] = False
        part[::side, ::side][whole] = True
    return out


def _crosses(image: Image, doubted: NDArray[np.bool_]) -> None:
    """A small x in the middle of each of these tiles."""
    if not doubted.any():
        return
    height, width = image.shape[:2]
    size = (doubted.shape[1] * TILE_PX, doubted.shape[0] * TILE_PX)
    grown = cv2.resize(doubted.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    there = np.ascontiguousarray(grown[:height, :width])
    for shape, colour in zip(_cross_shapes(height, width), (BLACK, PURPLE), strict=True):
        ink: Any = np.full_like(image, colour)
        cv2.copyTo(ink, cv2.bitwise_and(there, shape), image)


@lru_cache(maxsize=4)
def _cross_shapes(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(rim, x) of every tile, uint8[height, width] of 0 and 1."""
    y, x = (axis % TILE_PX for axis in np.mgrid[0:height, 0:width])
    inside = (y >= 2) & (y <= 5) & (x >= 2) & (x <= 5)
    light = inside & ((x == y) | (x + y == TILE_PX - 1))
    dark = cv2.dilate(light.astype(np.uint8), np.ones((2, 2), np.uint8), anchor=(0, 0))
    return np.asarray(dark, np.uint8), light.astype(np.uint8)


def _ticks(image: Image, verified: NDArray[np.bool_]) -> None:
    """A tick in the middle of each block that is verified as a whole."""
    rows, columns = (side // _BLOCK for side in verified.shape)
    cut = verified[: rows * _BLOCK, : columns * _BLOCK]
    whole = cut.reshape(rows, _BLOCK, columns, _BLOCK).all((1, 3))
    middles = np.argwhere(whole)[:, ::-1] * (_BLOCK * TILE_PX) + _BLOCK * TILE_PX // 2
    # Small: it must not hide what it vouches for.
    shapes: Any = list((middles[:, None] + [(-3, 0), (-1, 2), (3, -3)]).astype(np.int32))
    cv2.polylines(image, shapes, False, BLACK, 3, cv2.LINE_AA)
    cv2.polylines(image, shapes, False, GREEN, 1, cv2.LINE_AA)


def _known_wrong(image: Image, wrong: NDArray[np.bool_]) -> None:
    """A broken line around each region, and the words at the largest."""
    if not wrong.any():
        return
    height, width = image.shape[:2]
    lines = _lines(np.packbits(wrong).tobytes(), wrong.shape, height, width)
    image[lines.dark], image[lines.light] = BLACK, PURPLE
    for x, y in lines.words:
        _label(image, _KNOWN_WRONG, x, y, lines.cap, PURPLE)


@dataclass(frozen=True, slots=True)
class _Lines:
    """What `_known_wrong` draws: rows and columns of the broken line, the upper left corners of the
    words, and their height."""

    dark: Places
    light: Places
    words: list[tuple[int, int]]
    cap: int


@lru_cache(maxsize=4)
def _lines(packed: bytes, grid: tuple[int, int], height: int, width: int) -> _Lines:
    """Found once a unit: the sender's map holds for all its frames."""
    wrong = np.unpackbits(np.frombuffer(packed, np.uint8), count=grid[0] * grid[1]).reshape(grid)
    grown = wrong.repeat(TILE_PX, 0).repeat(TILE_PX, 1)[:height, :width]
    rim = grown - cv2.erode(grown, np.ones((7, 7), np.uint8), borderValue=0)
    y, x = np.nonzero(rim)
    dark = ((x + y) // _DASH_PX) % 2 == 0
    cap = max(MIN_CAP_PX, round(height * 0.021))
    count, _, stats, _ = cv2.connectedComponentsWithStats(grown, connectivity=4)
    largest = sorted(range(1, count), key=lambda i: -int(stats[i][4]))[:_MOST_WORDS]
    words = []
    for i in largest:
        left, top, wide, _, _ = (int(v) for v in stats[i])
        room = text_width_px(_KNOWN_WRONG, cap) + 8
        inside = wide >= room + 8
        # A region too small for the words has them above it, or below at the picture's upper edge.
        x0 = left + 5 if inside else max(0, min(left, width - room))
        y0 = top + 5 if inside or top < cap + 8 else top - cap - 7
        words.append((x0, y0))
    return _Lines((y[dark], x[dark]), (y[~dark], x[~dark]), words, cap)


def _box(image: Image, alarm: Alarm, floor: int) -> None:
    height, width = image.shape[:2]
    hidden = alarm.y + alarm.height // 2 >= floor
    x0, y0 = max(0, alarm.x - 3), max(0, alarm.y - 3)
    x1, y1 = min(width - 1, alarm.x + alarm.width + 3), min(height - 1, alarm.y + alarm.height + 3)
    if x1 <= x0 or y1 <= y0:
        return
    missed = alarm.kind == AlarmKind.MISSED
    if missed and alarm.chip is not None:
        _paste(image, alarm)
    colour = WHITE if missed else YELLOW
    cv2.rectangle(image, (x0, y0), (x1, y1), BLACK, 4)
    cv2.rectangle(image, (x0, y0), (x1, y1), colour, 2)
    text = "missed: seen by sender" if missed else "? unconfirmed"
    if missed and alarm.chip is not None:
        text = "missed: received chip"
    if hidden:
        text += ", under the legend"
    cap = max(MIN_CAP_PX, round(height * 0.021))
    room = text_width_px(text, cap) + 8
    left = min(x0, max(0, width - room))
    above = min(y0, floor) - cap - 8
    _label(image, text, left, above if above >= 0 else min(height - cap - 6, y1 + 4), cap, colour)


def _paste(image: Image, alarm: Alarm) -> None:
    """The received chip in the object's place, in square pixels where it is enlarged."""
    assert alarm.chip is not None
    full = cv2.resize(alarm.chip, (alarm.width, alarm.height), interpolation=cv2.INTER_NEAREST)
    height, width = image.shape[:2]
    x0, y0 = max(0, alarm.x), max(0, alarm.y)
    x1, y1 = min(width, alarm.x + alarm.width), min(height, alarm.y + alarm.height)
    if x1 > x0 and y1 > y0:
        image[y0:y1, x0:x1] = full[y0 - alarm.y : y1 - alarm.y, x0 - alarm.x : x1 - alarm.x]


def _label(image: Image, text: str, x: int, y: int, cap: int, colour: Colour) -> None:
    """Text on black, its upper left corner at x, y."""
    wide = text_width_px(text, cap)
    cv2.rectangle(image, (x, y), (x + wide + 6, y + cap + 6), BLACK, -1)
    draw_text(image, text, x + 3, y + cap + 3, cap, colour)
