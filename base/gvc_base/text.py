"""Plain ASCII text on pictures, set by the height of its capitals and measured before it is drawn.

OpenCV 4 and 5 draw the same font number with different glyphs, so every width is asked for, never
assumed, and the scale is found from a drawn letter.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_CAP_PX", "ascii_only", "draw_text", "fit_text", "text_width_px", "wrap_text"]

MIN_CAP_PX = 7
"Capitals lower than this cannot be read in a coded video."

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BOLD_FROM_PX = 18


def ascii_only(text: str) -> str:
    """The text on one line; what the font has no glyph for becomes '?'."""
    flat = " ".join(text.split())
    return "".join(c if " " <= c <= "~" else "?" for c in flat)


@lru_cache(maxsize=64)
def _scale(cap_px: int) -> float:
    """Font scale at which a capital is `cap_px` high."""
    canvas = np.zeros((400, 400), np.uint8)
    cv2.putText(canvas, "H", (20, 380), _FONT, 4.0, 255, 1, cv2.LINE_AA)
    rows = np.flatnonzero(canvas.max(axis=1) > 60)
    return 4.0 * cap_px / float(rows[-1] - rows[0] + 1)


def _thickness(cap_px: int) -> int:
    return 1 + cap_px // _BOLD_FROM_PX


@lru_cache(maxsize=2048)
def text_width_px(text: str, cap_px: int) -> int:
    """Width of a line of text."""
    size, _ = cv2.getTextSize(text, _FONT, _scale(cap_px), _thickness(cap_px))
    return int(size[0]) + 1


def draw_text(
    image: NDArray[np.uint8], text: str, x: int, baseline_y: int, cap_px: int,
    colour: tuple[int, int, int] = (255, 255, 255),
) -> None:  # fmt: skip
    """Draw one line into uint8[H, W, 3] in place; what does not fit in the picture is cut.

    Args:
        x: left end, pixels. baseline_y: foot of the capitals, pixels.
        colour: BGR.
    """
    at = (x, baseline_y)
    cv2.putText(image, text, at, _FONT, _scale(cap_px), colour, _thickness(cap_px), cv2.LINE_AA)


def fit_text(text: str, cap_px: int, room_px: int) -> tuple[str, int]:
    """The text and the capital height at which it fits: first smaller, then cut with '...'."""
    text = ascii_only(text)
    while cap_px > MIN_CAP_PX and text_width_px(text, cap_px) > room_px:
        cap_px -= 1
    if text_width_px(text, cap_px) <= room_px:
        return text, cap_px
    while text and text_width_px(text + "...", cap_px) > room_px:
        text = text[:-1]
    return (text.rstrip() + "..." if text else ""), cap_px


def wrap_text(text: str, cap_px: int, room_px: int) -> list[str]:
    """The text in lines no wider than `room_px`, broken between words; a longer word is cut."""
    lines: list[str] = []
    for word in ascii_only(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width_px(longer, cap_px) <= room_px:
            lines[-1] = longer
            continue
        while word and text_width_px(word, cap_px) > room_px:
            keep = max(1, len(word) * room_px // text_width_px(word, cap_px) - 1)
            lines.append(word[:keep])
            word = word[keep:]
        if word:
            lines.append(word)
    return lines or [""]
