"""The picture that a unit's received bytes show by themselves: no network, no memory of what was shown.

    coded pictures -> enlarged; between two of them by their motion; behind the last it is moved by D's
    motion path, else by a guess that it is given, or stands still

The edge compares it with its camera's frames, the base with what its decoder shows. All is grey and at
most 480 pixels wide, so that it costs next to nothing beside the codec.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_protocol.motion_path import MotionPath

__all__ = ["WORK_WIDTH_PX", "Evidence", "small_grey", "work_size"]

Grey = NDArray[np.uint8]
Flow = NDArray[np.float32]
Matrix = NDArray[np.float64]

WORK_WIDTH_PX = 480
_FLOW_WIDTH_PX = 256
_LEAST_FLOW_PX = 64
"DIS needs room for its coarsest level; smaller pictures are enlarged."


def work_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) that a source of this size is compared at."""
    if width <= WORK_WIDTH_PX:
        return width, height
    return WORK_WIDTH_PX, max(2, round(height * WORK_WIDTH_PX / width))


def small_grey(bgr: NDArray[np.uint8], size: tuple[int, int]) -> Grey:
    """uint8[h, w] of a picture at `size`; one that is grey already may be given as uint8[h, w]."""
    # Grey first: reducing by a broken factor is what costs, and this way it is one plane.
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY) if bgr.ndim == 3 else bgr
    if grey.shape[::-1] != size:
        how = cv2.INTER_AREA if grey.shape[1] > size[0] else cv2.INTER_CUBIC
        grey = cv2.resize(grey, size, interpolation=how)
    return np.asarray(grey, np.uint8)


class Evidence:
    """One unit's plain picture at any of its frames.

    Args:
        offsets, pictures: the coded pictures, uint8[h, w, 3] BGR, and their frames in the unit, rising.
        size: (width, height) of what `at` gives.
        source: (width, height) of the source, which the path is given in.
        path: of D.
        before: what was there before the unit began, as `end` gave it, and where: (picture, offset).
        on: how the picture is taken to move from one frame of the unit to another where no path tells,
            float64[3, 3] of source pixels; None: not at all.
        fine: motion on larger pictures, nearer to the decoder's own, at some four times the cost.
    """

    def __init__(
        self, offsets: Sequence[int], pictures: Sequence[NDArray[np.uint8]], *,
        size: tuple[int, int], source: tuple[int, int], path: MotionPath | None = None,
        before: tuple[Grey, int] | None = None, fine: bool = False,
        on: Callable[[int, int], Matrix | None] | None = None,
    ) -> None:  # fmt: skip
        self._fine, self._on = fine, on
        self._size, self._source, self._path = size, source, path
        self._offsets, self._pictures = list(offsets), list(pictures)
        self._before = before
        self._greys: dict[int, Grey] = {}
        self._flows: tuple[int, Flow, Flow] | None = None

    @property
    def coded(self) -> frozenset[int]:
        """Frames of the unit that a coded picture stands at."""
        return frozenset(self._offsets)

    @property
    def detail(self) -> float:
        """Width of the coded pictures over that of what `at` gives; 0 without any."""
        return self._pictures[0].shape[1] / self._size[0] if self._pictures else 0.0

    def around(self, offset: int) -> list[Grey]:
        """The coded pictures next before a frame, or at it, and next behind it; there may be none."""
        behind = sum(o <= offset for o in self._offsets)
        ends = [i for i in (behind - 1, behind) if 0 <= i < len(self._offsets)]
        return [self._grey(i) for i in ends]

    def at(self, offset: int) -> Grey | None:
        """uint8[h, w] of `size`; None where nothing was ever received."""
        if not self._offsets or offset < self._offsets[0]:
            if self._before is not None:
                return self._moved(*self._before, offset)
            return self._grey(0) if self._offsets else None
        index = max(i for i, o in enumerate(self._offsets) if o <= offset)
        if self._offsets[index] == offset:
            return self._grey(index)
        if index + 1 < len(self._offsets):
            return self._between(index, offset)
        return self._moved(self._grey(index), self._offsets[index], offset)

    def end(self, frames: int) -> tuple[Grey, int] | None:
        """What is remembered behind the unit, and the frame of the unit where it stands: its last one,
        or what came last where nobody told how it moved since then."""
        last = frames - 1
        if not self._offsets:
            newest = self._before
        else:
            newest = (self._grey(len(self._offsets) - 1), self._offsets[-1])
        told = newest is not None and self._told(newest[1], last) is not None
        shown = self.at(last) if newest is not None and (newest[1] >= last or told) else None
        return newest if shown is None else (shown, last)

    def _grey(self, index: int) -> Grey:
        if index not in self._greys:
            while len(self._greys) > 3:
                self._greys.pop(next(iter(self._greys)))
            self._greys[index] = small_grey(self._pictures[index], self._size)
        return self._greys[index]

    def _moved(self, picture: Grey, start: int, offset: int) -> Grey:
        size, matrix = self._size, self._told(start, offset)
        if matrix is None and self._on is not None:
            matrix = self._on(start, offset)
        if matrix is None:
            return picture
        scale = np.diag([size[0] / self._source[0], size[1] / self._source[1], 1.0])
        small = scale @ matrix @ np.linalg.inv(scale)
        out = cv2.warpPerspective(picture, small, size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(out, np.uint8)

    def _told(self, start: int, offset: int) -> Matrix | None:
        """By D's path, which begins with the unit."""
        path = self._path
        return path.between(max(0, start), offset, *self._source) if path is not None else None

    def _between(self, index: int, offset: int) -> Grey:
        a, b = self._grey(index), self._grey(index + 1)
        start, end = self._offsets[index], self._offsets[index + 1]
        if self._flows is None or self._flows[0] != index:
            self._flows = (index, *_flow_both_ways(a, b, fine=self._fine))
        _, there, back = self._flows
        alpha = (offset - start) / (end - start)
        # Where a thing is at the moment between: as far along its way as the time is.
        from_a = _warp(a, _sized(-alpha * there, self._size))
        from_b = _warp(b, _sized(-(1 - alpha) * back, self._size))
        return np.asarray(cv2.addWeighted(from_a, 1 - alpha, from_b, alpha, 0), np.uint8)


def _flow_both_ways(a: Grey, b: Grey, *, fine: bool) -> tuple[Flow, Flow]:
    h, w = a.shape
    scale = min(1.0, (2 if fine else 1) * _FLOW_WIDTH_PX / w)
    preset = cv2.DISOPTICAL_FLOW_PRESET_FAST if fine else cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST
    size = (max(_LEAST_FLOW_PX, round(w * scale)), max(_LEAST_FLOW_PX, round(h * scale)))
    pair = [np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_AREA), np.uint8) for p in (a, b)]
    out = []
    for first, then in ((0, 1), (1, 0)):
        dis: Any = cv2.DISOpticalFlow.create(preset)
        out.append(np.asarray(dis.calc(pair[first], pair[then], None), np.float32))
    return out[0], out[1]


def _sized(flow: Flow, size: tuple[int, int]) -> Flow:
    h, w = flow.shape[:2]
    big = np.asarray(cv2.resize(flow, size), np.float32)
    return big * np.array([size[0] / w, size[1] / h], np.float32)


def _warp(picture: Grey, flow: Flow) -> Grey:
    h, w = picture.shape
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    out = cv2.remap(
        picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(out, np.uint8)
