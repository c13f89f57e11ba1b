"""The strip burned into every marked picture: patterns, names, shares, and what the picture is not for.

The layout depends on the picture's size alone, so nothing moves from frame to frame. It is chosen from
a list, the most talkative first, so that a small picture keeps most of its own pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.patterns import BLACK, WHITE, YELLOW, swatch
from gvc_base.text import MIN_CAP_PX, ascii_only, draw_text, text_width_px
from gvc_protocol.marks import Mark

__all__ = ["WARNING", "draw_legend", "legend_height_px", "percent"]

Image = NDArray[np.uint8]

WARNING = "NOT FOR PILOTING"

_SHORT = {
    Mark.RECEIVED: "recv", Mark.CARRIED: "carr", Mark.ENHANCED: "enh", Mark.REGENERATED: "regen",
    Mark.LOST: "lost",
}  # fmt: skip
_FULL = {mark: mark.name.lower() for mark in Mark}
_MEDIUM = {**_FULL, Mark.REGENERATED: "regen"}
_NONE: Mapping[Mark, str] = {}
_CAP_SHARE = 0.021
"Height of capitals by the picture's height; 10 px at 480, 23 px at 1080."

_STRIP_SHARE = 0.17
"The strip takes at most this much of the picture's height."

_DIMMED = 0.12
"How much of the picture shines through behind the text."

_WIDEST = ">99%"


def percent(share: float) -> str:
    """A share 0..1 as text that never rounds something to nothing, nor nearly all to all."""
    if 0 < share < 0.01:
        return "<1%"
    if 0.99 < share < 1:
        return ">99%"
    return f"{round(share * 100)}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    names: Mapping[Mark, str]
    with_percent: bool
    columns: int
    cap_px: int
    text_row: bool
    row_px: int
    swatch_px: int
    "Width of a swatch; its height is the row's less two."

    @property
    def rows(self) -> int:
        return -(-len(Mark) // self.columns) + self.text_row

    @property
    def height(self) -> int:
        return self.rows * self.row_px + 2

    def column_px(self, column: int) -> int:
        """Width of a column's widest entry, with its gap to the next one."""
        if not self.with_percent:
            return self.swatch_px + 2
        marks = [m for m in Mark if m % self.columns == column]
        texts = (f"{self.names.get(m, '')} {_WIDEST}".strip() for m in marks)
        widest = max(text_width_px(text, self.cap_px) for text in texts)
        return self.swatch_px + self.cap_px // 2 + widest + self.cap_px

    def starts_px(self, width: int) -> list[int] | None:
        """Left end of each column, what is left over shared out; None when they do not fit."""
        wide = [self.column_px(c) for c in range(self.columns)]
        spare = (width - sum(wide)) // self.columns
        if spare < 0:
            return None
        return [sum(wide[:c]) + c * spare for c in range(self.columns)]


@lru_cache(maxsize=16)
def _layout(height: int, width: int) -> _Layout | None:
    """The most talkative layout that fits; None when not even bare swatches do."""
    wanted = max(MIN_CAP_PX, round(height * _CAP_SHARE))
    variants: list[tuple[Mapping[Mark, str], int, int]]
    variants = [(_FULL, 5, cap) for cap in range(wanted, max(MIN_CAP_PX, wanted * 2 // 3) - 1, -1)]
    for names in (_MEDIUM, _SHORT, _NONE):
        variants += [(names, 5, MIN_CAP_PX), (names, 3, MIN_CAP_PX)]
    room = height * _STRIP_SHARE
    for names, columns, cap in variants:
        layout = _Layout(
            names=names, with_percent=True, columns=columns, cap_px=cap, text_row=True,
            row_px=cap + max(3, cap // 2), swatch_px=max(12, 2 * cap),
        )  # fmt: skip
        if layout.height <= room and layout.starts_px(width):
            return layout
    bare = _Layout(
        names=_NONE, with_percent=False, columns=5, cap_px=MIN_CAP_PX, text_row=False,
        row_px=6, swatch_px=10,
    )  # fmt: skip
    return bare if bare.height <= height * 0.25 and bare.starts_px(width) else None


def legend_height_px(height: int, width: int) -> int:
    """Height of the strip on a picture of this size; 0 when there is no room for one."""
    layout = _layout(height, width)
    return layout.height if layout is not None else 0


def draw_legend(image: Image, shares: Mapping[Mark, float], notes: tuple[str, ...]) -> None:
    """Draw the strip along the lower edge, in place.

    Args:
        image: uint8[H, W, 3] BGR.
        shares: share of the frame of each mark, 0..1.
        notes: what to say after the warning, the most important first; what does not fit is left out.
    """
    height, width = image.shape[:2]
    layout = _layout(height, width)
    if layout is None:
        return
    strip = image[height - layout.height :]
    strip[:] = cv2.convertScaleAbs(strip, alpha=_DIMMED)
    starts = layout.starts_px(width)
    assert starts is not None
    for mark in Mark:
        row, column = divmod(int(mark), layout.columns)
        _draw_entry(strip, mark, shares[mark], starts[column], row * layout.row_px + 1, layout)
    if layout.text_row:
        _draw_notes(strip, notes, layout)


def _draw_entry(strip: Image, mark: Mark, share: float, x: int, y: int, layout: _Layout) -> None:
    cap = layout.cap_px
    tall, left = layout.row_px - 1, x + (cap // 3 if layout.with_percent else 1)
    strip[y : y + tall, left : left + layout.swatch_px] = swatch(mark, tall, layout.swatch_px)
    if layout.with_percent:
        text = f"{layout.names.get(mark, '')} {percent(share)}".strip()
        foot = y + (tall + cap) // 2
        # A class that is not in the picture steps back; the ones that are stand out.
        colour = WHITE if share else (150, 150, 150)
        draw_text(strip, text, left + layout.swatch_px + cap // 2, foot, cap, colour)


def _draw_notes(strip: Image, notes: tuple[str, ...], layout: _Layout) -> None:
    cap, width = layout.cap_px, strip.shape[1]
    top = (layout.rows - 1) * layout.row_px + 1
    foot = top + (layout.row_px - 1 + cap) // 2
    x = cap // 3
    for i, note in enumerate((WARNING, *notes)):
        text = ascii_only(note)
        wide = text_width_px(text, cap)
        if not text or x + wide > width:
            continue
        if i == 0:
            box = (x, top), (x + wide + cap // 2, top + layout.row_px - 2)
            cv2.rectangle(strip, *box, YELLOW, -1)
            draw_text(strip, text, x + cap // 4, foot, cap, BLACK)
        else:
            draw_text(strip, text, x, foot, cap)
        x += wide + 2 * cap
