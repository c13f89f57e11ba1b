"""Small videos for tests that need pictures and do not care which."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

__all__ = ["write_clip"]


def write_clip(path: Path, *, seconds: float, fps: int = 10, grey: int | None = None) -> Path:
    """64x48, a stripe that moves; with `grey` one flat grey instead."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for number in range(round(seconds * fps)):
            picture = np.full((48, 64, 3), 90 if grey is None else grey, np.uint8)
            if grey is None:
                picture[:, number % 64] = 240
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        out.mux(stream.encode(None))
    return path
