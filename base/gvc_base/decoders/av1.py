"""AV1 bytes from the air to pictures, by dav1d. Total: damage ends the list, nothing is raised.

The bytes passed FEC and CRC, but they may still be another program's, or hostile: the picture size
is bounded before dav1d allocates anything, and each temporal unit must show exactly one 4:2:0 frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Picture", "decode_units"]

Picture = NDArray[np.uint8]

_THREADS = 2
_MIN_SIDE_PX = 2


def decode_units(units: Sequence[bytes], *, width: int, height: int) -> list[Picture]:
    """Pictures of one closed stream, as far as it is sound.

    Args:
        units: temporal units in decoding order, each showing one frame.
        width, height: largest picture to accept, pixels.

    Returns:
        BGR uint8[h, w, 3] of one size, one a unit, ended by the first unit that is damaged.
    """
    out: list[Picture] = []
    for frame in _frames(units, width * height):
        if frame is None or not _fits(frame, width, height):
            break
        if out and out[0].shape[:2] != (frame.height, frame.width):
            break
        planes = frame.to_ndarray(format="yuv420p")
        out.append(np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8))
    return out


def _frames(units: Sequence[bytes], pixels: int) -> Iterator[Any]:
    """The one frame of each unit, or None where there is none or more than one."""
    context: Any = av.CodecContext.create("libdav1d", "r")
    context.thread_count = _THREADS
    # One frame in, one frame out: without delay a unit's frame is known to be that unit's.
    # max_pixels becomes dav1d's frame_size_limit, which holds before any picture is allocated.
    context.options = {"max_frame_delay": "1", "max_pixels": str(pixels)}
    for unit in units:
        try:
            frames = context.decode(av.Packet(unit))
        except (av.error.FFmpegError, ValueError, MemoryError):
            yield None
            return
        yield frames[0] if len(frames) == 1 else None


def _fits(frame: Any, width: int, height: int) -> bool:
    sides: bool = _MIN_SIDE_PX <= frame.width <= width and _MIN_SIDE_PX <= frame.height <= height
    even: bool = frame.width % 2 == 0 and frame.height % 2 == 0
    plain: bool = frame.format.name == "yuv420p"
    return sides and even and plain
