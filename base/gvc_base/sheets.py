"""Source, decoded and marked side by side: one video frame, or a contact sheet of moments.

The middle panel is there to be held against the source, so it is unmarked; its heading says so, and
the marked one is always beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["HEADINGS", "contact_sheet", "side_by_side"]

Image = NDArray[np.uint8]
Row = tuple[str, Image, Image, Image]
HEADINGS = ("SOURCE", "DECODED (marks: see right)", "DECODED, MARKED")

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_PANEL_PX = 640
_SHEET_PANEL_PX = 580
_GAP_PX = 6
_BACK = (28, 26, 24)
_INK = (240, 240, 240)
_DIM = (180, 180, 180)


def side_by_side(source: Image, decoded: Image, marked: Image, *, caption: str) -> Image:
    """One row of three panels, at most 640 px wide each, uint8[H, W, 3] with even sides."""
    panels = [_fit(p, _PANEL_PX) for p in (source, decoded, marked)]
    return _row(panels, HEADINGS, caption)


def contact_sheet(rows: Sequence[Row], *, title: str, lines: Sequence[str]) -> Image:
    """Moments of a clip, one a row: (label, source, decoded, marked)."""
    parts = []
    for i, (label, *pictures) in enumerate(rows):
        panels = [_fit(p, _SHEET_PANEL_PX) for p in pictures]
        headings = HEADINGS if i == 0 else ("", "", "")
        parts.append(_row(panels, headings, label))
    width = max((p.shape[1] for p in parts), default=3 * _SHEET_PANEL_PX)
    head = [_band(width, title, 0.75, _INK, 40), *(_band(width, t, 0.5, _DIM, 26) for t in lines)]
    return np.concatenate([*head, *(_pad_width(p, width) for p in parts)])


def _fit(picture: Image, width: int) -> Image:
    if picture.shape[1] <= width:
        return picture
    height = max(2, round(picture.shape[0] * width / picture.shape[1]))
    size = (width, height)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _row(panels: Sequence[Image], headings: Sequence[str], caption: str) -> Image:
    """Panels next to each other, a heading above each, the caption in the lower left."""
    height = max(p.shape[0] for p in panels)
    columns = []
    for panel, heading in zip(panels, headings, strict=True):
        body = cv2.copyMakeBorder(
            panel, 0, height - panel.shape[0], 0, _GAP_PX, cv2.BORDER_CONSTANT, value=_BACK
        )
        columns.append(np.concatenate([_band(body.shape[1], heading, 0.5, _INK, 24), body]))
    row = np.concatenate(columns, axis=1)
    row = np.concatenate([row, _band(row.shape[1], caption, 0.5, _DIM, 24)])
    return row[: row.shape[0] & ~1, : row.shape[1] & ~1]


def _band(width: int, text: str, scale: float, ink: tuple[int, int, int], height: int) -> Image:
    """A strip of background with one line of text, made smaller where it does not fit."""
    band = np.full((height, width, 3), _BACK, np.uint8)
    if text:
        needed = cv2.getTextSize(text, _FONT, scale, 1)[0][0]
        scale = min(scale, scale * (width - 12) / max(1, needed))
        cv2.putText(band, text, (6, height - 8), _FONT, scale, ink, 1, cv2.LINE_AA)
    return band


def _pad_width(picture: Image, width: int) -> Image:
    missing = width - picture.shape[1]
    if missing <= 0:
        return picture
    padded = cv2.copyMakeBorder(picture, 0, 0, 0, missing, cv2.BORDER_CONSTANT, value=_BACK)
    return np.asarray(padded, np.uint8)
