"""Codec 1's bookkeeping: where each tile of a shown frame comes from. Apart from any network.

A coded moment is enhanced (F enlarged and restored), received where F is full-size and nothing was
added, carried where received pixels were moved here; a tile is regenerated where the motion that made
it is not confirmed or the network expects to be far off; lost where nothing of this moment arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.fusion import resize, tile_means
from gvc_base.decoders.gvc_fuse import HALF, UNKNOWN_AGE_S, Filled, Moment
from gvc_base.decoders.gvc_parts import PlacedPatch
from gvc_base.decoders.motion import F32
from gvc_base.marks.doubt import Doubt
from gvc_base.marks.model import Model
from gvc_base.marks.sources import Sources, quads
from gvc_base.neural.layout import CELL_PX
from gvc_protocol.codec import DecodedFrame, ReceivedUnit, UnitSpan
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.marks import AGE_UNKNOWN_MS, TILE_PX, Mark, SourcePart, tile_grid

__all__ = ["Bookkeeper", "keep_objects", "with_patches"]

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

_FRESH_S = 1e-3
_TRUSTED_OVER = 0.5
_STRONG = 0.03
"Made-up texture of this deviation (8 of 255 levels) is plainly seen: the tile is regenerated."

_FAR_OFF = 0.10
"An expected mean error of a tenth of full scale: what is shown there is the network's, not the air's."


@dataclass(frozen=True, slots=True)
class _Tiles:
    """What is known of a frame's tiles when it is finished."""

    mark: U8
    age: U16
    score: F32
    origin: F32
    received: F32
    "On the same grid as `origin`."
    true: NDArray[np.bool_] | None
    "Tiles of received pixels of this very moment; None for none."


class Bookkeeper:
    """Makes marked frames. Knows nothing of how the pixels were made beyond what it is told.

    Args:
        doubt: gives `p_wrong`. sources: what the moments' `origin` stands for.
    """

    def __init__(self, doubt: Doubt, sources: Sources) -> None:
        self._doubt, self._sources = doubt, sources

    def shown(
        self, moment: Moment, unit: ReceivedUnit, span: UnitSpan, factor: float, score: F32
    ) -> DecodedFrame:
        """A coded moment.

        Args:
            factor: how many times F is smaller than the source, a side. score: of `Doubt`.
        """
        grid = tile_grid(span.height, span.width)
        full = factor <= 1 and not moment.sure.any()
        mark = np.full(grid, Mark.RECEIVED if full else Mark.ENHANCED, np.uint8)
        age = np.zeros(grid, np.uint16)
        true = self._judge(
            mark, age, moment.sure, moment.made_up, moment.received, moment.age_s, span
        )
        pixels = _own(moment.shown, span)
        tiles = _Tiles(mark, age, score, moment.origin, moment.received, true)
        return self._finish(unit, span, moment.frame - span.first_frame, pixels, tiles)

    def between(
        self, filled: Filled, unit: ReceivedUnit, span: UnitSpan, at: int, nearest: int, score: F32
    ) -> DecodedFrame:
        """A frame made by motion; `nearest`: frames to the nearer coded moment."""
        grid = tile_grid(span.height, span.width)
        mark = np.full(grid, Mark.ENHANCED, np.uint8)
        since = _milliseconds(Fraction(nearest) / span.fps)
        age = np.full(grid, since, np.uint16)
        self._judge(mark, age, filled.sure, filled.made_up, filled.received, filled.age_s, span)
        trusted = (filled.trust > _TRUSTED_OVER).astype(np.float32)
        # A tile of which more than half follows no motion is a guess, whatever else is in it.
        guessed = tile_means(trusted, span.width, span.height) < 0.5
        mark[guessed], age[guessed] = Mark.REGENERATED, since
        pixels = _own(filled.picture, span)
        tiles = _Tiles(mark, age, score, filled.origin, filled.received, None)
        return self._finish(unit, span, at, pixels, tiles)

    def held(
        self, moment: Moment, unit: ReceivedUnit, span: UnitSpan, at: int, score: F32
    ) -> DecodedFrame:
        """A frame before anything was received: the first picture, shown early."""
        grid = tile_grid(span.height, span.width)
        mark = np.full(grid, Mark.LOST, np.uint8)
        away = moment.frame - span.first_frame - at
        age = np.full(grid, _milliseconds(Fraction(abs(away)) / span.fps), np.uint16)
        pixels = _own(moment.shown, span)
        tiles = _Tiles(mark, age, score, moment.origin, moment.received, None)
        return self._finish(unit, span, at, pixels, tiles)

    def beyond(
        self, moment: Moment, there: NDArray[np.bool_] | None, unit: ReceivedUnit, span: UnitSpan,
        at: int, score: F32,
    ) -> DecodedFrame:  # fmt: skip
        """A frame that no coded picture reaches.

        Args:
            moment: the memory moved here, patches pasted.
            there: pixels that it covers; None where nobody knows how far it should have moved.
        """
        grid = tile_grid(span.height, span.width)
        mark = np.full(grid, Mark.LOST, np.uint8)
        age = _age_ms(cv2.resize(moment.age_s, grid[::-1], interpolation=cv2.INTER_AREA))
        nothing = np.zeros_like(moment.received)
        # Old pixels in the wrong place are no evidence; a patch of this very frame is.
        received = moment.received * (moment.age_s <= _FRESH_S)
        if there is not None:
            whole = tile_means(there.astype(np.float32), span.width, span.height) > 0.99
            # The ground moved as said; nothing is known of what moves on it.
            mark[whole] = Mark.REGENERATED
            cells = cv2.resize(whole.astype(np.float32), moment.received.shape[::-1])
            received = np.maximum(received, moment.received * cells)
        true = self._judge(mark, age, nothing, nothing, received, moment.age_s, span)
        pixels = _own(moment.shown, span)
        tiles = _Tiles(mark, age, score, moment.origin, received, true)
        return self._finish(unit, span, at, pixels, tiles)

    def with_patches(
        self, frame: DecodedFrame, patches: Sequence[PlacedPatch], span: UnitSpan
    ) -> DecodedFrame:
        """The frame with received pixels of this very moment in it."""
        return with_patches(
            frame, patches, SourcePart.PATCH, frame.unit_no, span.boot_id, self._doubt.model
        )

    def _judge(
        self, mark: U8, age: U16, sure: F32, made_up: F32, received: F32, age_s: F32, span: UnitSpan
    ) -> NDArray[np.bool_] | None:
        """Carried where received pixels are; regenerated where the network expects to be far off, or
        where texture that was made up is strong. Returns where received pixels are of this moment."""
        size = (span.width, span.height)
        for strength, limit in ((made_up, _STRONG), (sure, _FAR_OFF)):
            if strength.max(initial=0) > limit:  # else no tile's mean is
                much = tile_means(np.minimum(strength / np.float32(2 * limit), 1), *size) > 0.5
                mark[much] = Mark.REGENERATED
        if received.max(initial=0) > HALF:
            columns, rows = mark.shape[1], mark.shape[0]
            carried = np.asarray(quads(received, size).mean(2) > HALF, np.bool_)
            old = cv2.resize(age_s, (columns, rows), interpolation=cv2.INTER_AREA)
            fresh = np.asarray(carried & (old <= _FRESH_S), np.bool_)
            mark[carried] = Mark.CARRIED
            mark[fresh] = Mark.RECEIVED
            age[carried] = _age_ms(old)[carried]
            return fresh
        return None

    def _finish(
        self, unit: ReceivedUnit, span: UnitSpan, at: int, pixels: U8, tiles: _Tiles
    ) -> DecodedFrame:
        mark = tiles.mark
        about_received = (mark == Mark.CARRIED) | (mark == Mark.RECEIVED)
        unit_no, boot, part = self._sources.grids(
            tiles.origin, tiles.received, about_received, (span.width, span.height)
        )
        return DecodedFrame(
            frame_no=span.first_frame + at, unit_no=unit.unit_no, pixels=pixels, mark=mark,
            age_ms=tiles.age, p_wrong=self._doubt.p_wrong(mark, tiles.score, tiles.true),
            source_unit=unit_no, source_boot=boot, source_part=part,
        )  # fmt: skip


def with_patches(
    frame: DecodedFrame, patches: Sequence[PlacedPatch], part: SourcePart, unit_no: int,
    boot_id: int, model: Model,
) -> DecodedFrame:  # fmt: skip
    """A frame with pixels of its very moment in it, and their marks.

    Full-size ones are received; smaller ones were enlarged, so their tiles are enhanced, whatever they
    were before, and no surer than they were.

    Args:
        part: what the pixels came in. unit_no, boot_id: the unit that they show.
    """
    if not patches:
        return frame
    pixels = frame.pixels.copy()
    names = ("mark", "age_ms", "p_wrong", "source_unit", "source_boot", "source_part")
    grids = {name: getattr(frame, name).copy() for name in names}
    for patch in patches:
        h, w = patch.pixels.shape[:2]
        pixels[patch.y : patch.y + h, patch.x : patch.x + w] = patch.pixels
        # Sides are whole tiles, but for those cut by the picture's own edge.
        rows, columns = tile_grid(h, w)
        y, x = patch.y // TILE_PX, patch.x // TILE_PX
        area = np.s_[y : y + rows, x : x + columns]
        grids["mark"][area] = Mark.RECEIVED if patch.full_size else Mark.ENHANCED
        grids["age_ms"][area] = 0
        grids["source_unit"][area], grids["source_boot"][area] = unit_no, boot_id
        grids["source_part"][area] = part
        if patch.full_size:
            grids["p_wrong"][area] = model.received
    return replace(frame, pixels=pixels, **grids)


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
    received = cv2.resize(moment.received, (w, h), interpolation=cv2.INTER_NEAREST) > HALF
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


def _age_ms(age_s: NDArray[Any]) -> U16:
    ms: U16 = np.clip(age_s * 1000, 0, AGE_UNKNOWN_MS - 1).astype(np.uint16)
    ms[age_s >= UNKNOWN_AGE_S] = AGE_UNKNOWN_MS
    return ms


def _own(picture: U8, span: UnitSpan) -> U8:
    """The picture at the source's size, never the same memory."""
    full = resize(picture, span.width, span.height)
    return full.copy() if full is picture else full


def _milliseconds(seconds: Fraction) -> int:
    return int(min(AGE_UNKNOWN_MS - 1, max(0, round(seconds * 1000))))
