"""What a player shows: the marked picture between a banner and its legend, nothing of it hidden.

    banner     what this is: not for piloting, which drone, authenticated or not, the time now;
               yellow and saying for how long while no new picture comes
    picture    with its marks, always: a player has no switch for them
    legend     under the picture, as everywhere

The clock in the banner tells a picture that stands from a player that hangs. A canvas has an even size,
as 4:2:0 video needs it, and keeps it as long as the source's picture does.
"""

from __future__ import annotations

import time

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.patterns import BLACK, WHITE, YELLOW
from gvc_base.render import overlay_beneath, strip_px
from gvc_base.text import MIN_CAP_PX, draw_text, fit_text, text_width_px
from gvc_protocol.codec import DecodedFrame

__all__ = ["Canvas", "banner_px"]

Image = NDArray[np.uint8]

_SLATE = (640, 480)
"Width and height of the picture that is expected: a guess that is right saves players a change of size."
_LEAST_WIDTH = 480
"Narrower pictures are enlarged by a whole number, so that the banner can be read."
_BANNER_SHARE = 0.055
_GREY = (58, 52, 48)


class Canvas:
    """Draws what is sent. Not thread-safe; keeps the painted picture while only the banner changes."""

    def __init__(self) -> None:
        self._painted: Image = _slate(*_SLATE)
        self._of: object = None

    def draw(
        self, frame: DecodedFrame | None, *, drone: str, label: str, now_s: float,
        silent_s: float | None,
    ) -> Image:  # fmt: skip
        """One image of the stream.

        Args:
            frame: what the screen shows; None before the first picture.
            drone: its name. label: authenticated or not.
            now_s: Unix time for the banner's clock.
            silent_s: since when no new picture came; None while they come.

        Returns:
            uint8[H, W, 3] BGR, even sides; the caller does not change it.
        """
        if frame is not None and frame is not self._of:
            zoom = -(-_LEAST_WIDTH // frame.pixels.shape[1])
            marked = overlay_beneath(frame)
            if zoom > 1:
                marked = marked.repeat(zoom, axis=0).repeat(zoom, axis=1)
            self._painted, self._of = marked, frame
        height, width = self._painted.shape[:2]
        tall = banner_px(height)
        out = np.zeros((_even(tall + height), _even(width), 3), np.uint8)
        out[tall : tall + height, :width] = self._painted
        who = f"drone {drone}, {label}" if drone else label
        if frame is None:
            said, loud = "NO PICTURE YET", False
        elif silent_s is not None:
            said, loud = f"NO NEW PICTURE FOR {_duration(silent_s)}", True
        else:
            said, loud = "", False
        _banner(out[:tall], (said, "NOT FOR PILOTING", who), now_s, loud=loud)
        return out


def banner_px(height: int) -> int:
    """Height of the banner over a picture and legend of `height` pixels."""
    return max(2 * MIN_CAP_PX + 2, round(height * _BANNER_SHARE))


def _even(side: int) -> int:
    return side + side % 2


def _banner(out: Image, said: tuple[str, ...], now_s: float, *, loud: bool) -> None:
    height, width = out.shape[:2]
    out[:] = YELLOW if loud else BLACK
    ink = BLACK if loud else WHITE
    cap = max(MIN_CAP_PX, height * 45 // 100)
    foot = (height + cap) // 2
    clock = time.strftime("now %H:%M:%SZ", time.gmtime(now_s))
    small = max(MIN_CAP_PX, cap * 3 // 4)
    # As wide as the widest digits would be: nothing moves from second to second.
    right = width - text_width_px("now 00:00:00Z", small) - cap // 2
    draw_text(out, clock, right, (height + small) // 2, small, ink)
    text, cap = fit_text(" - ".join(s for s in said if s), cap, right - 2 * cap)
    draw_text(out, text, cap // 2, foot, cap, ink)


def _slate(width: int, height: int) -> Image:
    """No picture came yet, and it says so: a black player would be taken for a broken one."""
    tall = height + strip_px(height, width)
    out: Image = np.full((tall, width, 3), _GREY, np.uint8)
    lines = (
        ("waiting for the first picture", height // 20),
        ("nothing was received yet", height // 30),
    )
    y = height // 2
    for text, cap in lines:
        draw_text(out, text, (width - text_width_px(text, cap)) // 2, y, cap, WHITE)
        y += 3 * cap
    cv2.rectangle(out, (0, 0), (width - 1, tall - 1), WHITE, 1)
    return out


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 100:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 6000 else f"{whole // 3600} h"
