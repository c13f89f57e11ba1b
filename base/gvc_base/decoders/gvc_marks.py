"""Codec 1's bookkeeping: where each tile of a shown frame comes from. Apart from any network.

A coded moment is enhanced (F enlarged and restored), received where F is full-size and nothing was
added, carried where received pixels were moved here; a tile is regenerated where the motion that made
it is not confirmed or the network expects to be far off; lost where nothing of this moment arrived.
"""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.fusion import resize, tile_means
from gvc_base.decoders.gvc_fuse import Carried, Moment
from gvc_base.decoders.motion import F32
from gvc_base.neural.layout import CELL_PX
from gvc_base.p_wrong import p_wrong_from_marks
from gvc_protocol.codec import DecodedFrame, ReceivedUnit, UnitSpan
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.marks import AGE_UNKNOWN_MS, Mark, tile_grid

__all__ = ["Bookkeeper", "keep_objects"]

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

_CARRIED_OVER = 0.5
_TRUSTED_OVER = 0.5
_STRONG = 0.03
"Made-up texture of this deviation (8 of 255 levels) is plainly seen: the tile is regenerated."

_FAR_OFF = 0.10
"An expected mean error of a tenth of full scale: what is shown there is the network's, not the air's."


class Bookkeeper:
    """Makes marked frames. Knows nothing of how the pixels were made beyond what it is told."""

    def shown(
        self, moment: Moment, unit: ReceivedUnit, span: UnitSpan, factor: float
    ) -> DecodedFrame:
        """A coded moment. `factor`: how many times F is smaller than the source, a side."""
        grid = tile_grid(span.height, span.width)
        full = factor <= 1 and not moment.sure.any()
        mark = np.full(grid, Mark.RECEIVED if full else Mark.ENHANCED, np.uint8)
        age = np.zeros(grid, np.uint16)
        self._judge(mark, age, moment.sure, moment.made_up, moment.received, moment.age_s, span)
        pixels = resize(moment.shown, span.width, span.height).copy()
        return _finish(unit, span, moment.frame - span.first_frame, pixels, mark, age)

    def between(
        self, carried: Carried, sure: F32, unit: ReceivedUnit, span: UnitSpan, at: int, nearest: int
    ) -> DecodedFrame:
        """A frame made by motion; `nearest`: frames to the nearer coded moment."""
        grid = tile_grid(span.height, span.width)
        mark = np.full(grid, Mark.ENHANCED, np.uint8)
        since = _milliseconds(Fraction(nearest) / span.fps)
        age = np.full(grid, since, np.uint16)
        self._judge(mark, age, sure, carried.made_up, carried.received, carried.age_s, span)
        trusted = (carried.trust > _TRUSTED_OVER).astype(np.float32)
        # A tile of which more than half follows no motion is a guess, whatever else is in it.
        guessed = tile_means(trusted, span.width, span.height) < 0.5
        mark[guessed], age[guessed] = Mark.REGENERATED, since
        pixels = resize(carried.picture, span.width, span.height)
        return _finish(unit, span, at, pixels.copy(), mark, age)

    def held(self, moment: Moment, unit: ReceivedUnit, span: UnitSpan, at: int) -> DecodedFrame:
        """A frame before anything was received: the first picture, shown early."""
        grid = tile_grid(span.height, span.width)
        mark = np.full(grid, Mark.LOST, np.uint8)
        away = moment.frame - span.first_frame - at
        age = np.full(grid, _milliseconds(Fraction(abs(away)) / span.fps), np.uint16)
        pixels = resize(moment.shown, span.width, span.height).copy()
        return _finish(unit, span, at, pixels, mark, age)

    def lost(
        self, pixels: U8, age_s: float | None, unit: ReceivedUnit, span: UnitSpan, at: int
    ) -> DecodedFrame:
        """Nothing of this moment is known."""
        grid = tile_grid(span.height, span.width)
        age_ms = AGE_UNKNOWN_MS if age_s is None else _milliseconds(Fraction(age_s))
        mark = np.full(grid, Mark.LOST, np.uint8)
        return _finish(unit, span, at, pixels, mark, np.full(grid, age_ms, np.uint16))

    def carried(
        self, pixels: U8, there: NDArray[np.bool_], age_s: float, unit: ReceivedUnit,
        span: UnitSpan, at: int,
    ) -> DecodedFrame:  # fmt: skip
        """The last picture, moved by the camera's path as received; `there`: pixels that it covers."""
        grid = tile_grid(span.height, span.width)
        whole = tile_means(there.astype(np.float32), span.width, span.height) > 0.99
        # The ground moved as said; nothing is known of what moves on it.
        mark = np.where(whole, Mark.REGENERATED, Mark.LOST).astype(np.uint8)
        age = np.full(grid, _milliseconds(Fraction(age_s)), np.uint16)
        return _finish(unit, span, at, pixels, mark, age)

    def _judge(
        self, mark: U8, age: U16, sure: F32, made_up: F32, received: F32, age_s: F32, span: UnitSpan
    ) -> None:
        """Carried where received pixels are; regenerated where the network expects to be far off, or
        where texture that was made up is strong."""
        size = (span.width, span.height)
        textured = tile_means(np.minimum(made_up / np.float32(2 * _STRONG), 1), *size) > 0.5
        mark[textured] = Mark.REGENERATED
        far = tile_means(np.minimum(sure / np.float32(2 * _FAR_OFF), 1), *size) > 0.5
        mark[far] = Mark.REGENERATED
        if received.max(initial=0) > _CARRIED_OVER:
            columns, rows = mark.shape[1], mark.shape[0]
            carried = tile_means(received, *size) > _CARRIED_OVER
            old = cv2.resize(age_s, (columns, rows), interpolation=cv2.INTER_AREA)
            fresh = carried & (old <= 1e-3)
            mark[carried] = Mark.CARRIED
            mark[fresh] = Mark.RECEIVED
            age[carried] = np.clip(old * 1000, 0, AGE_UNKNOWN_MS - 1)[carried].astype(np.uint16)


def keep_objects(
    moment: Moment, evidence: U8, descriptors: Descriptors | None, offset: int,
    size: tuple[int, int],
) -> None:  # fmt: skip
    """Inside boxes that the edge detected, show what was received and nothing that was made up.

    Args:
        moment: changed in place; pixels that are received ones already stay.
        evidence: F's picture of this moment on the canvas.
        size: (width, height) of the source, which the boxes are given in.
    """
    if descriptors is None or moment.picture is evidence:
        return
    boxes = [(d.x, d.y, d.width, d.height) for d in descriptors.detections]
    boxes += [at.box for t in descriptors.tracks if (at := t.box_at(offset)) is not None]
    if not boxes:
        return
    h, w = evidence.shape[:2]
    ratio_x, ratio_y = w / size[0], h / size[1]
    received = cv2.resize(moment.received, (w, h), interpolation=cv2.INTER_NEAREST) > _CARRIED_OVER
    picture = moment.picture.copy()
    for x, y, wide, high in boxes:
        x0, y0 = max(0, int(x * ratio_x)), max(0, int(y * ratio_y))
        x1, y1 = min(w, int((x + wide) * ratio_x) + 1), min(h, int((y + high) * ratio_y) + 1)
        area = np.s_[y0:y1, x0:x1]
        made = ~received[area]
        picture[area][made] = evidence[area][made]
        inner = np.s_[y0 // CELL_PX : -(-y1 // CELL_PX), x0 // CELL_PX : -(-x1 // CELL_PX)]
        moment.sure[inner] = 0
        # A cell more on each side: amplitudes are interpolated between cells.
        outer = np.s_[
            max(0, y0 // CELL_PX - 1) : -(-y1 // CELL_PX) + 1,
            max(0, x0 // CELL_PX - 1) : -(-x1 // CELL_PX) + 1,
        ]
        moment.free[outer] = 0
    moment.picture = moment.shown = picture


def _milliseconds(seconds: Fraction) -> int:
    return int(min(AGE_UNKNOWN_MS - 1, max(0, round(seconds * 1000))))


def _finish(
    unit: ReceivedUnit, span: UnitSpan, at: int, pixels: U8, mark: U8, age: U16
) -> DecodedFrame:
    return DecodedFrame(
        frame_no=span.first_frame + at, unit_no=unit.unit_no, pixels=pixels, mark=mark,
        age_ms=age, p_wrong=p_wrong_from_marks(mark, age),
    )  # fmt: skip
