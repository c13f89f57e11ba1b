"""Thermal pictures: sensor counts to grey levels that do not flicker, and TIFF files of counts.

    counts, uint8 or uint16[H, W] -> SlowGain -> uint8[H, W, 3], B = G = R

A camera's automatic gain jumps when something hot comes into view. This one follows the cold end slowly
and the hot end up at once: nothing hot is ever clipped, and a steady scene keeps its grey levels. Beside
a fire, even steps would leave six levels for the ground and one for a person; then levels above 224 are
wider than those below, with a knee between them that goes over the link as lo and hi do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.base import SourceInfo, check_seconds, even_size
from gvc_protocol.codec import SourceFrame
from gvc_protocol.descriptors import KNEE_LEVEL
from gvc_protocol.errors import UserError

__all__ = ["SlowGain", "TiffSource", "is_tiff"]

Image = NDArray[np.uint8]
Counts = NDArray[np.uint8] | NDArray[np.uint16]

_LOW_PCT, _HIGH_PCT = 0.5, 99.5
_LOW_S, _FALL_S = 2.0, 2.0
_HEADROOM = 0.1
_KNEE_SPANS = 1.5
"What is this many times the scene's own span above its cold end is a fire, not the scene."
_LEAST_SPAN = {8: 32}
_LEAST_DEEP_SPAN = 64
_TIFF_FPS = Fraction(25)
_BATCH = 16


class SlowGain:
    """Maps one stream of counts.

    Args:
        fps: pictures a second.
        bits: bits of a count, 8..16; a picture of one single value is shown against all of them.
    """

    def __init__(self, fps: float, bits: int) -> None:
        self._full = (1 << bits) - 1
        self._least = _LEAST_SPAN.get(bits, _LEAST_DEEP_SPAN)
        self._rise, self._fall = (1 - math.exp(-1 / (fps * s)) for s in (_LOW_S, _FALL_S))
        self._ends: tuple[float, float] | None = None
        self._span = 0.0
        self._range, self._knee = (0, self._full), 0

    @property
    def range(self) -> tuple[int, int]:
        """Counts of grey levels 0 and 255 in the picture that was mapped last."""
        return self._range

    @property
    def knee(self) -> int | None:
        """Counts of grey level 224 in that picture; None when all levels are even steps."""
        lo, hi = self._range
        even = 255 * (self._knee - lo) >= KNEE_LEVEL * (hi - lo)
        return None if even or not lo < self._knee < hi else self._knee

    def map(self, counts: Counts) -> Image:
        """uint8[H, W, 3] of the next picture, uint8 or uint16[H, W]; white is hot."""
        lo, hi = self._follow(counts)
        knee = self.knee
        if knee is None:
            grey = _levels(counts, lo, hi, 255)
        else:
            below, above = _levels(counts, lo, knee, KNEE_LEVEL), 255 - KNEE_LEVEL
            grey = np.asarray(cv2.add(below, _levels(counts, knee, hi, above)), np.uint8)
        return np.asarray(cv2.merge([grey] * 3), np.uint8)

    def _follow(self, counts: Counts) -> tuple[int, int]:
        most = float(counts.max())
        if most == float(counts.min()):
            # A closed shutter tells nothing about the scene.
            self._range, self._knee = (0, self._full), self._full
            return self._range
        low, high = np.percentile(counts[::3, ::3], (_LOW_PCT, _HIGH_PCT))
        goal = max(most, high + _HEADROOM * (high - low))
        if self._ends is None:
            self._ends, self._span = (float(low), goal), float(high - low)
        lo = self._ends[0] + self._rise * (low - self._ends[0])
        hi = goal if most > self._ends[1] else self._ends[1] + self._fall * (goal - self._ends[1])
        hi = max(hi, most)
        self._ends = (lo, hi)
        missing = max(0.0, self._least - (hi - lo))
        first = max(0, math.floor(lo - missing / 2))
        last = min(self._full, max(math.ceil(hi + missing / 2), first + self._least))
        self._range = (min(first, last - 1), last)
        self._span += self._rise * (float(high - low) - self._span)
        self._knee = round(lo + _KNEE_SPANS * max(self._span, self._least))
        return self._range


def _levels(counts: Counts, lo: int, hi: int, levels: int) -> Image:
    """uint8[H, W]: 0 up to `lo`, `levels` from `hi` on, even steps between."""
    part = np.asarray(np.clip(counts, lo, hi) - lo, np.uint16)
    return np.asarray(cv2.convertScaleAbs(part, alpha=levels / (hi - lo)), np.uint8)


def is_tiff(path: Path) -> bool:
    """By its name: OpenCV reads all pages of a TIFF, the video library only one."""
    return path.suffix.lower() in (".tif", ".tiff")


class TiffSource:
    """A TIFF of one page a picture, 8 or 16 bit, one channel, taken as 25 pictures a second.

    Raises:
        UserError: the file is missing, no TIFF, in colour, or of a size that cannot be sent.
    """

    def __init__(
        self, path: Path, *, start_us: int, seconds: float | None, crop_even: bool
    ) -> None:
        check_seconds(seconds)
        if not path.is_file():
            raise UserError(f"no such file: {path}; check the path")
        self._path, self._start_us, self._closed = path, start_us, False
        first = next(self._pages(1), None)
        if first is None:
            raise UserError(f"{path} is not a TIFF that can be read; give another file")
        if first.ndim != 2 or first.dtype not in (np.uint8, np.uint16):
            raise UserError(
                f"{path} is no 8 or 16 bit TIFF of one channel; give a thermal recording"
            )
        self._shape, self._bits = first.shape, 8 * first.dtype.itemsize
        height, width = first.shape
        size = even_size(path.name, width, height, crop_even=crop_even)
        count = int(cv2.imcount(str(path)))
        if seconds is not None:
            count = min(count, max(1, round(seconds * _TIFF_FPS)))
        self.info = SourceInfo(
            name=path.name, width=size[0], height=size[1], fps=_TIFF_FPS, total_frames=count,
            live=False, mono=True,
        )  # fmt: skip
        self._gain = SlowGain(float(_TIFF_FPS), self._bits)

    def frames(self) -> Iterator[SourceFrame]:
        """See `FrameSource`. A page that cannot be read or differs repeats the one before it."""
        self._gain = SlowGain(float(_TIFF_FPS), self._bits)
        pages, held = self._pages(self.info.total_frames), None
        for number in range(self.info.total_frames):
            page = next(pages, None)
            if page is not None and page.shape == self._shape and page.itemsize * 8 == self._bits:
                held = self._gain.map(page)[: self.info.height, : self.info.width]
            if self._closed or held is None:
                return
            capture_us = self._start_us + round(number * 1_000_000 / _TIFF_FPS)
            pixels = np.ascontiguousarray(held)
            yield SourceFrame(frame_no=number, capture_us=capture_us, pixels=pixels)

    def close(self) -> None:
        """End `frames` at the next picture."""
        self._closed = True

    def thermal_range(self) -> tuple[int, int] | None:
        """See `ThermalRange`."""
        return self._gain.range

    def thermal_knee(self) -> int | None:
        """See `ThermalRange`."""
        return self._gain.knee

    def _pages(self, count: int) -> Iterator[NDArray[Any]]:
        """The first `count` pages, a few at a time: a long recording does not fit into memory."""
        for start in range(0, count, _BATCH):
            size = min(_BATCH, count - start)
            try:
                _, pages = cv2.imreadmulti(str(self._path), start, size, flags=cv2.IMREAD_UNCHANGED)
            except cv2.error:
                return
            yield from pages
            if len(pages) < size:
                return
