"""Motion on the decoder's side: dense flow between decoded frames, warping, and how far to trust it.

All flow is float32[h, w, 2] in pixels of the grid it was made on, (dx, dy), and is used *backwards*:
`warp(source, flow)[y, x] = source[y + dy, x + dx]`. So the flow that brings frame B onto frame A's
grid is "A to B": for each pixel of A, where it lies in B.

    coded A --a_to_b, b_to_a--> PairMotion.at(alpha) -> flows from the moment between to A and to B
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LONG_GAP_S", "FlowEngine", "PairMotion", "agreement", "alike", "compose", "pixel_grid",
    "resize_flow", "warp", "warp_nearest",
]  # fmt: skip

F32 = NDArray[np.float32]

_MIN_SIDE_PX = 64
"DIS needs room for its coarsest pyramid level; smaller pictures are padded."

_TOLERANCE_PX = 0.6
_TOLERANCE_SHARE = 0.06
"A flow vector and its way back may differ by this many pixels plus this share of their length."

LONG_GAP_S = 0.6
"""Across a longer gap what moves by itself is far from where it was: moved with its ground, both places
would show through, two cars for one. There `alike` is asked, too."""
_ALIKE_LEVELS, _ALIKE_BLUR, _ALIKE_AROUND = 10.0, 1.5, (5, 5)

_grids: dict[tuple[int, int], F32] = {}
_KEPT_GRIDS = 8
"A decoder samples at the sizes of flow, picture, cells, tiles and the alarms' evidence in turn."


def pixel_grid(height: int, width: int) -> F32:
    """Pixel coordinates (x, y), float32[h, w, 2]; the last few sizes are kept."""
    key = (height, width)
    if key not in _grids:
        if len(_grids) >= _KEPT_GRIDS:
            _grids.pop(next(iter(_grids)))
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        _grids[key] = np.dstack([x, y])
    return _grids[key]


def warp(source: NDArray[Any], flow: F32, *, cubic: bool = False) -> NDArray[Any]:
    """Sample `source` where `flow` points; beyond the edge the edge pixel is repeated.

    Args:
        source: uint8 or float32, [h, w] or [h, w, c], of the flow's size.
        flow: float32[h, w, 2].
    """
    at = pixel_grid(*flow.shape[:2]) + flow
    how = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    remap: Any = cv2.remap  # its stub does not know that a two-channel map needs no second one
    out: NDArray[Any] = remap(source, at, None, how, borderMode=cv2.BORDER_REPLICATE)
    return out


def warp_nearest(source: F32, flow: F32) -> F32:
    """The same without mixing: each sample is one of the source's values."""
    at = pixel_grid(*flow.shape[:2]) + flow
    remap: Any = cv2.remap
    out: F32 = remap(source, at, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return out


def compose(first: F32, then: F32) -> F32:
    """Flow A to C from A to B (`first`) and B to C (`then`)."""
    out: F32 = first + warp(then, first)
    return out


def resize_flow(flow: F32, width: int, height: int) -> F32:
    """The same motion on another grid; vectors grow with the picture."""
    h, w = flow.shape[:2]
    if (w, h) == (width, height):
        return flow
    # Scaled on the smaller grid, and by OpenCV: numpy takes six times as long for a last axis of two.
    grow: Any = (width / w, height / h, 0, 0)
    if width > w:
        return np.asarray(cv2.resize(cv2.multiply(flow, grow), (width, height)), np.float32)
    return np.asarray(cv2.multiply(cv2.resize(flow, (width, height)), grow), np.float32)


def agreement(there: F32, back: F32) -> F32:
    """How well `back` undoes `there`: float32[h, w], 1 where it does, falling to 0.

    Vectors that leave the picture have nothing to return from and get 0.
    """
    h, w = there.shape[:2]
    (x, y), (to_x, to_y) = cv2.split(there + warp(back, there)), cv2.split(there)
    allowed = cv2.magnitude(to_x, to_y) * np.float32(_TOLERANCE_SHARE) + np.float32(_TOLERANCE_PX)
    ratio = cv2.divide(cv2.magnitude(x, y), allowed)
    out = cv2.exp(cv2.multiply(ratio, ratio, scale=-0.5))
    at_x, at_y = cv2.split(cv2.add(pixel_grid(h, w), there))
    out[(at_x < -1) | (at_x > w) | (at_y < -1) | (at_y > h)] = 0
    return np.asarray(out, np.float32)


def alike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> F32:
    """How far two grey pictures, moved to one moment, show the same: float32[h, w], 1 falling to 0, with
    a seam of pixels around what differs."""
    apart = cv2.GaussianBlur(cv2.absdiff(a, b).astype(np.float32), (0, 0), _ALIKE_BLUR)
    ratio = cv2.dilate(apart, np.ones(_ALIKE_AROUND, np.uint8)) / np.float32(_ALIKE_LEVELS)
    return np.asarray(cv2.exp(cv2.multiply(ratio, ratio, scale=-0.5)), np.float32)


class FlowEngine:
    """DIS optical flow with one preset.

    Args:
        fine: the medium preset instead of the fast one. Its finest level is half size: down to
            full size took twice the time and gave no better pictures.
        ultrafast: the fastest preset; not with `fine`.
    """

    def __init__(self, *, fine: bool, ultrafast: bool = False) -> None:
        self._preset = cv2.DISOPTICAL_FLOW_PRESET_FAST
        if fine:
            self._preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
        elif ultrafast:
            self._preset = cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST

    def flow(self, a: NDArray[np.uint8], b: NDArray[np.uint8], start: F32 | None = None) -> F32:
        """Flow A to B of two grey pictures uint8[h, w]; `start` is a guess to refine."""
        height, width = a.shape
        pad = _padding(height, width)
        if pad != (0, 0):
            a, b = _pad(a, pad), _pad(b, pad)
            start = None if start is None else _pad(start, pad)
        # A new object each time (it costs nothing): DIS keeps an earlier call's starting flow, and
        # crashes the process when the picture's size changes between calls.
        dis: Any = cv2.DISOpticalFlow.create(self._preset)
        flow = dis.calc(a, b, None if start is None else np.ascontiguousarray(start).copy())
        return np.ascontiguousarray(flow[:height, :width])


def _padding(height: int, width: int) -> tuple[int, int]:
    """Rows and columns to add before DIS.

    It picks its coarsest level by the longer side alone and reads out of bounds (a crash) where the
    shorter one is then smaller than a patch.
    """
    shorter = max(_MIN_SIDE_PX, max(height, width) // 2)
    return max(0, shorter - height), max(0, shorter - width)


def _pad(picture: NDArray[Any], pad: tuple[int, int]) -> NDArray[Any]:
    out: NDArray[Any] = cv2.copyMakeBorder(picture, 0, pad[0], 0, pad[1], cv2.BORDER_REPLICATE)
    return out


@dataclass(frozen=True, slots=True)
class PairMotion:
    """Both flows between two neighbouring coded frames A and B."""

    a_to_b: F32
    b_to_a: F32

    def at(self, alpha: float) -> tuple[F32, F32]:
        """Flows (to A, to B) from the moment `alpha` of the way from A to B, 0 < alpha < 1.

        Each is a mix of both measured flows: near A the flow measured on A's grid is the better
        one, near B the other.
        """
        rest = 1 - alpha
        a, b = self.a_to_b, self.b_to_a
        to_a = cv2.addWeighted(a, -alpha * rest, b, alpha * alpha, 0)
        to_b = cv2.addWeighted(a, rest * rest, b, -alpha * rest, 0)
        return np.asarray(to_a, np.float32), np.asarray(to_b, np.float32)
