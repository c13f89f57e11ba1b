"""A decoded frame as the operator may see it: no pixel that was not received without its pattern.

DecodedFrame -> patterns.paint (what each tile is) -> claims.draw_claims (what the sender and the alarms
    say of it) -> legend.draw_legend (what the patterns mean)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gvc_base.claims import claim_notes, draw_claims
from gvc_base.legend import draw_legend, legend_height_px
from gvc_base.patterns import paint
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.marks import AGE_UNKNOWN_MS, Mark

__all__ = ["mark_share", "overlay", "overlay_beneath", "strip_px"]


def mark_share(frame: DecodedFrame) -> dict[Mark, float]:
    """Share of the frame's tiles of each mark, 0..1; all marks are there, the sum is 1."""
    counts = np.bincount(frame.mark.ravel(), minlength=len(Mark))
    return {mark: float(counts[mark]) / max(1, frame.mark.size) for mark in Mark}


def overlay(frame: DecodedFrame, *, status: str = "") -> NDArray[np.uint8]:
    """The frame with marks and legend burned in.

    The legend covers the lower edge: 7 % of the height at 854x480, at most 17 % on a small picture,
    bare patterns below about 100 pixels of width, nothing where not even those fit.

    Args:
        status: one line for the operator (link state, "unauthenticated"); left out where there is no
            room. Not ASCII shows as '?'.

    Returns:
        A new uint8[H, W, 3] BGR of the frame's size.
    """
    out = paint(frame.pixels, frame.mark)
    draw_claims(out, frame, legend_height_px(*out.shape[:2]))
    draw_legend(out, mark_share(frame), _notes(frame, status))
    return out


def strip_px(height: int, width: int) -> int:
    """Height of the legend that `overlay_beneath` puts under a picture of this size."""
    strip = legend_height_px(height, width)
    # A taller picture may get a taller legend; it settles at once, and a strip too tall hides nothing.
    return max(strip, legend_height_px(height + strip, width))


def overlay_beneath(frame: DecodedFrame, *, status: str = "", title: str = "") -> NDArray[np.uint8]:
    """The frame with its marks, and the legend under it instead of on it.

    Args:
        status: said after what the frame says of itself, as far as there is room.
        title: said before all of that.

    Returns:
        A new uint8[H + legend, W, 3] BGR: no pixel of the picture is hidden.
    """
    height, width = frame.pixels.shape[:2]
    strip = strip_px(height, width)
    out = np.zeros((height + strip, width, 3), np.uint8)
    out[:height] = paint(frame.pixels, frame.mark)
    draw_claims(out[:height], frame)
    draw_legend(out, mark_share(frame), (title, *_notes(frame, status)))
    return out


def _notes(frame: DecodedFrame, status: str) -> tuple[str, ...]:
    """What the frame says of itself, the most important first."""
    notes = []
    lost = frame.age_ms[frame.mark == Mark.LOST]
    if lost.size == frame.mark.size:
        notes.append("NOTHING RECEIVED: " + _held(int(lost.min())))
    carried = frame.age_ms[frame.mark == Mark.CARRIED]
    if carried.size:
        notes.append(f"oldest carried {_seconds(int(carried.max()))}")
    return (*notes, *claim_notes(frame), status, f"frame {frame.frame_no}")


def _held(age_ms: int) -> str:
    if age_ms == AGE_UNKNOWN_MS:
        return "picture over 65 s old, or none"
    return f"picture is {_seconds(age_ms)} old"


def _seconds(age_ms: int) -> str:
    return "over 65 s" if age_ms == AGE_UNKNOWN_MS else f"{age_ms / 1000:.1f} s"
