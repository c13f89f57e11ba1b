"""Source, decoded and marked pictures beside each other: frames for a video, a sheet for a report.

The decoded panel is the one that could pass for a camera's picture, so its heading always says that it
is unmarked and where the marks are.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.legend import WARNING
from gvc_base.text import draw_text, fit_text, text_width_px, wrap_text

__all__ = ["contact_sheet", "side_by_side"]

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
Row = tuple[str, Image, Image, Image]

_SIDE_HEADINGS = ("SOURCE", "DECODED (unmarked copy for comparison)", "MARKED")
_SHEET_HEADINGS = (
    "SOURCE (camera)", "DECODED, unmarked: marks in next column",
    "MARKED: only plain areas were received",
)  # fmt: skip

_PANEL_MAX_PX = 640
_PANEL_MIN_PX = 280
"Smaller panels are enlarged: the headings must be readable above them."

_SHEET_PANEL_MAX_PX = 560
_SHEET_MIN_PX = 900
_GAP = 8
_DARK: Colour = (32, 32, 32)
_PAPER: Colour = (255, 255, 255)
_INK: Colour = (24, 24, 24)
_WARN: Colour = (0, 70, 170)
"Vermillion, darker: on paper it must be read."


def side_by_side(
    source: Image, decoded: Image, marked: Image, *, caption: str,
    headings: tuple[str, str, str] = _SIDE_HEADINGS,
) -> Image:  # fmt: skip
    """Three panels with headings and a caption, for one frame of a comparison video.

    The size depends on `decoded`'s alone, so that every frame of a clip gives the same one.

    Args:
        source, decoded, marked: uint8[H, W, 3] BGR; the first and the last are brought to the size of
            the second.
        caption: one line, cut where it does not fit.
        headings: above the panels.

    Returns:
        uint8[H', W', 3], both even, each panel at most 640 pixels wide.
    """
    width, height = _panel_size(decoded, _PANEL_MAX_PX)
    cap = 12 if width >= 480 else 9
    bar = 2 * cap + 4
    total_w, total_h = 3 * width + 2 * _GAP, height + 2 * bar
    # 4:2:0 video has no odd sizes; the spare line is background.
    out = np.full((total_h + total_h % 2, total_w + total_w % 2, 3), _DARK, np.uint8)
    for i, (heading, picture) in enumerate(zip(headings, (source, decoded, marked), strict=True)):
        x = i * (width + _GAP)
        _line(out, heading, x + 4, bar - cap // 2 - 2, cap, width - 8, (255, 255, 255))
        out[bar : bar + height, x : x + width] = _scaled(picture, width, height)
    foot = bar + height + bar - cap // 2 - 2
    _line(out, f"{WARNING} | {caption}", 4, foot, cap, total_w - 8, (255, 255, 255))
    return out


def contact_sheet(
    rows: Sequence[Row], *, title: str, lines: Sequence[str],
    headings: tuple[str, str, str] = _SHEET_HEADINGS, unmarked: int | None = 1,
) -> Image:  # fmt: skip
    """Moments of a clip, one a row, as one picture for a report.

    Args:
        rows: (label, source, decoded, marked), pictures uint8[H, W, 3] BGR; the sizes are brought to
            that of the first row's decoded picture.
        title: set large, shrunk to one line.
        lines: text below the title, each wrapped to the sheet's width.
        headings: above the columns.
        unmarked: column whose pictures bear no marks, 0 to 2: its heading is set as a warning.

    Returns:
        uint8[H', W', 3], at most about 1800 pixels wide.
    """
    label_px = (
        max((text_width_px(fit_text(row[0], 11, 100)[0], 11) for row in rows), default=0) + 12
    )
    width, height = _panel_size(rows[0][2], _SHEET_PANEL_MAX_PX) if rows else (_PANEL_MIN_PX, 0)
    total_w = max(_SHEET_MIN_PX, label_px + 3 * (width + _GAP) + _GAP)
    head = _sheet_head(title, lines, total_w)
    titles_px = 30
    body = np.full((titles_px + len(rows) * (height + _GAP), total_w, 3), _PAPER, np.uint8)
    cap = min(fit_text(heading, 12, width)[1] for heading in headings)
    for i, heading in enumerate(headings):
        x = label_px + i * (width + _GAP)
        _line(body, heading, x, titles_px - 9, cap, width, _WARN if i == unmarked else _INK)
    for i, (label, *pictures) in enumerate(rows):
        y = titles_px + i * (height + _GAP)
        _line(body, label, 6, y + 16, 11, 100, _INK)
        for j, picture in enumerate(pictures):
            x = label_px + j * (width + _GAP)
            body[y : y + height, x : x + width] = _scaled(picture, width, height)
    return np.vstack([head, body])


def _sheet_head(title: str, lines: Sequence[str], width: int) -> Image:
    cap, step, room = 12, 24, width - 2 * _GAP
    wrapped = [part for line in lines for part in wrap_text(line, cap, room)]
    out = np.full((44 + (len(wrapped) + 1) * step, width, 3), _PAPER, np.uint8)
    _line(out, title, _GAP, 32, 18, room, _INK)
    for i, line in enumerate(wrapped):
        draw_text(out, line, _GAP, 44 + (i + 1) * step - 8, cap, _INK)
    foot = 44 + (len(wrapped) + 1) * step - 8
    _line(out, f"{WARNING}. Hatched and dotted areas are not received pixels.", _GAP, foot, cap,
          room, _WARN)  # fmt: skip
    return out


def _panel_size(picture: Image, at_most_px: int) -> tuple[int, int]:
    """(width, height) of a panel: the picture's own unless it is too wide or too narrow."""
    height, width = picture.shape[:2]
    grown = width * -(-_PANEL_MIN_PX // width)  # a whole factor: all pixels grow alike
    wide = min(at_most_px, grown)
    return wide, max(1, round(height * wide / width))


def _scaled(picture: Image, width: int, height: int) -> Image:
    if picture.shape[:2] == (height, width):
        return picture
    smaller = picture.shape[1] > width
    # Enlarged pixels stay square: a small picture must not look better than it is.
    how = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)


def _line(
    image: Image, text: str, x: int, baseline_y: int, cap_px: int, room_px: int, colour: Colour
) -> None:
    fitted, cap = fit_text(text, cap_px, room_px)
    draw_text(image, fitted, x, baseline_y, cap, colour)
