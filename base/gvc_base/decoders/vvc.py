"""VVC access units from the air to pictures, by FFmpeg's own decoder. Total: damage leaves fewer.

Each unit goes in with its display place as timestamp, so that a picture is known by what it says and not
by how many came before it. Pictures may be missing: FFmpeg refuses those that refer to one (unless it is
asked to put out corrupt ones) and gives all others, bit by bit as ever. The size in the stream is held
against what the caller allows before the decoder sees a picture of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["decode_access_units"]

Picture = NDArray[np.uint8]

_MIN_SIDE_PX = 2
_CTU_PX = 128
_START_CODE = b"\0\0\1"


def decode_access_units(
    parameter_sets: bytes, units: Sequence[tuple[int, bytes]], *, width: int, height: int
) -> list[tuple[int, Picture]]:
    """Pictures of one closed stream.

    Args:
        parameter_sets: NAL units in Annex B that come before the first picture.
        units: (display place, NAL units in Annex B without the first start code), decoding order.
        width, height: largest picture to accept, pixels.

    Returns:
        (display place, BGR uint8[h, w, 3]) in display order, all of one size.
    """
    found: dict[int, Picture] = {}
    size: tuple[int, int] | None = None
    # The decoder allots whole coding tree units, and checks its limit against those.
    for frame in _frames(parameter_sets, units, _whole_ctus(width) * _whole_ctus(height)):
        place = frame.pts
        plain = frame.format.name in ("yuv420p", "yuv420p10le")
        inside = _MIN_SIDE_PX <= frame.width <= width and _MIN_SIDE_PX <= frame.height <= height
        if not (plain and inside) or frame.is_corrupt or place is None or place in found:
            continue
        if size is None:
            size = (frame.width, frame.height)
        if (frame.width, frame.height) == size:
            found[int(place)] = _to_bgr(frame)
    return sorted(found.items(), key=lambda item: item[0])


def _whole_ctus(side: int) -> int:
    return -(-side // _CTU_PX) * _CTU_PX


def _frames(sets: bytes, units: Sequence[tuple[int, bytes]], pixels: int) -> list[Any]:
    context: Any = av.CodecContext.create("vvc", "r")
    context.thread_count = 2
    context.options = {"max_pixels": str(pixels)}
    out: list[Any] = []
    first = True
    for place, body in units:
        packet = av.Packet((sets if first else b"") + _START_CODE + body)
        packet.pts = place
        first = False
        try:
            out += context.decode(packet)
        except (av.error.FFmpegError, ValueError, MemoryError):
            continue
    try:
        out += context.decode(None)
    except (av.error.FFmpegError, ValueError, MemoryError):
        return out
    return out


def _to_bgr(frame: Any) -> Picture:
    """BT.601 limited range, as everywhere; ten bits are rounded to eight first."""
    if frame.format.name == "yuv420p10le":
        planes = frame.to_ndarray(format="yuv420p10le")
        eight = np.minimum((planes.astype(np.uint16) + 2) >> 2, 255).astype(np.uint8)
    else:
        eight = frame.to_ndarray(format="yuv420p")
    return np.asarray(cv2.cvtColor(eight, cv2.COLOR_YUV2BGR_I420), np.uint8)
