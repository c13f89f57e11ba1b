"""Pictures to H.264 as Foxglove takes it: Annex B, a packet each, no B-frames, headers at each key."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

__all__ = ["AnnexB"]

_CRF = "18"
"Thin patterns and small text must outlive the coder."


class AnnexB:
    """One video.

    Args:
        width, height: pixels, even. fps: a key picture comes every second.
    """

    def __init__(self, width: int, height: int, fps: Fraction) -> None:
        codec: Any = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.time_base, codec.framerate = 1 / fps, fps
        codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
        codec.gop_size = max(1, round(fps))
        codec.options = {
            "crf": _CRF, "preset": "veryfast", "tune": "zerolatency", "threads": "2",
            "x264-params": "bframes=0:annexb=1:repeat-headers=1:mbtree=0",
        }  # fmt: skip
        self._codec, self._count = codec, 0

    def encode(self, bgr: NDArray[np.uint8]) -> bytes:
        """The packet of a picture, uint8[H, W, 3] BGR."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(bgr), format="bgr24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = self._count, self._codec.time_base
        self._count += 1
        return b"".join(self._packets(frame))

    def _packets(self, frame: Any) -> Iterator[bytes]:
        for packet in self._codec.encode(frame):
            yield bytes(packet)
