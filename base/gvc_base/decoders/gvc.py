"""Codec 1 decoder: coded pictures, patches and motion of a unit to exactly its marked frames.

    K, F -> coded low-resolution pictures + patches of true pixels
    each coded moment: F enlarged, the next coded picture and the memory moved here -> network -> picture
    patches pasted, objects kept free of synthesis -> frames between by motion -> marks
    moments that nothing reaches: the last picture, moved by D's motion path where there is one

The memory is the last picture shown with the share and age of received pixels in it; it outlives units.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.fusion import resize
from gvc_base.decoders.gvc_fuse import Carried, Moment, Pair, cell_shape, find_pair, grey_of
from gvc_base.decoders.gvc_marks import Bookkeeper, keep_objects
from gvc_base.decoders.gvc_parts import CodedUnit, PlacedPatch, read_coded
from gvc_base.decoders.motion import F32, FlowEngine, PairMotion, resize_flow
from gvc_base.neural.layout import (
    CELL_PX,
    PLANES,
    Plane,
    age_value,
    cost_value,
    scale_value,
)
from gvc_base.neural.runtime import Restorer
from gvc_base.neural.texture import TextureField
from gvc_protocol.codec import (
    CodecId,
    CodecSpec,
    DecodedFrame,
    Quality,
    ReceivedUnit,
    UnitSpan,
)
from gvc_protocol.gvc1 import BITSTREAM_VERSION

__all__ = ["SPEC", "GvcDecoder"]

SPEC = CodecSpec(codec_id=CodecId.GVC, bitstream_version=BITSTREAM_VERSION)

U8 = NDArray[np.uint8]

_KEPT = 0.8
"""Share of 'received' that a coded moment hands on: the network mixed the pixel with newer evidence. The
network was trained with this number."""

_GREY = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    flow_width_px: int
    fine_flow: bool
    fast_flow: bool
    looks: int
    "How often the network looks at each moment; more than once, mirrored, and averaged."


_SETTINGS: dict[Quality, _Settings] = {
    "preview": _Settings(flow_width_px=256, fine_flow=False, fast_flow=True, looks=0),
    "standard": _Settings(flow_width_px=480, fine_flow=False, fast_flow=False, looks=1),
    "best": _Settings(flow_width_px=640, fine_flow=True, fast_flow=False, looks=2),
}


class GvcDecoder:
    """Unit decoder of codec 1 (see `gvc_protocol.codec.UnitDecoder`).

    Args:
        spec: must have this codec's id and bitstream version.
        quality: "preview" shows F without a network, gaps filled at F's size. "standard" runs the
            network once a coded moment; "best" twice, with finer motion.
        restorer: the network; None for preview.
    """

    def __init__(self, spec: CodecSpec, quality: Quality, restorer: Restorer | None) -> None:
        self._spec, self._quality, self._settings = spec, quality, _SETTINGS[quality]
        self._restorer = restorer
        self._without = frozenset(os.environ.get("GVC_ABLATE", "").split(","))
        self._engine = FlowEngine(fine=self._settings.fine_flow, ultrafast=self._settings.fast_flow)
        self._memory: Moment | None = None
        self._field: TextureField | None = None
        self._amplitudes: F32 | None = None
        self._books = Bookkeeper()

    @property
    def spec(self) -> CodecSpec:
        return self._spec

    @property
    def label(self) -> str:
        network = f", {self._restorer.label}" if self._restorer is not None else ""
        return f"codec {self._spec.codec_id} {self._quality}{network}"

    def decode(self, unit: ReceivedUnit, span: UnitSpan) -> Iterator[DecodedFrame]:
        """Exactly `span.frames` frames; never raises over what the parts hold."""
        coded = read_coded(unit, span)
        pending = list(range(span.frames))
        patches = {p.offset for p in coded.patches}
        for before, moment, pair in self._moments(coded, unit, span):
            offset = moment.frame - span.first_frame
            while pending and pending[0] < offset:
                at = pending.pop(0)
                yield self._between(before, moment, pair, unit, span, at, at in patches)
            if pending and pending[0] == offset:
                pending.pop(0)
                yield self._books.shown(moment, unit, span, self._factor(coded, span))
        for at in pending:
            yield self._beyond(unit, span, at)

    def _moments(
        self, coded: CodedUnit, unit: ReceivedUnit, span: UnitSpan
    ) -> Iterator[tuple[Moment | None, Moment, Pair | None]]:
        """Each coded moment with the one before it (of an earlier unit, perhaps) and the motion."""
        greys = [grey_of(low, self._settings.flow_width_px) for low in coded.lows]
        canvas = [self._canvas(low, span) for low in coded.lows]
        before = self._on_canvas(canvas[0], greys[0]) if canvas else None
        pair = self._pair(before.grey, greys[0]) if before is not None else None
        for index, offset in enumerate(coded.offsets):
            ahead = None
            if index + 1 < len(canvas):
                ahead = self._pair(greys[index], greys[index + 1])
            moment = self._restored(coded, index, canvas, greys[index], before, pair, ahead, span)
            moment.frame = span.first_frame + offset
            size = (span.width, span.height)
            keep_objects(moment, canvas[index], unit.descriptors, offset, size)
            self._paint(moment, before, pair)
            self._paste(moment, coded.patches, offset)
            yield before, moment, pair
            self._memory = before = moment
            pair = ahead

    def _pair(self, a: U8, b: U8) -> Pair:
        if "no-motion" in self._without:
            zero = np.zeros((*a.shape, 2), np.float32)
            ones = np.ones(a.shape, np.float32)
            return Pair(PairMotion(zero, zero), ones, ones, cut=False)
        return find_pair(self._engine, a, b)

    def _canvas(self, low: U8, span: UnitSpan) -> U8:
        """A coded picture at the size that is worked at: F's own in preview, else the source's."""
        if self._settings.looks == 0:
            return low
        return resize(low, span.width, span.height)

    def _on_canvas(self, picture: U8, grey: U8) -> Moment | None:
        """The memory at this unit's sizes: they may differ from the last unit's."""
        m = self._memory
        if m is None or "no-memory" in self._without:
            return None
        h, w = picture.shape[:2]
        rows, columns = cell_shape(h, w)
        if m.picture.shape == picture.shape and m.grey.shape == grey.shape:
            return m
        size = (columns, rows)
        return Moment(
            frame=m.frame, picture=resize(m.picture, w, h), shown=resize(m.shown, w, h),
            made_up=np.asarray(cv2.resize(m.made_up, size), np.float32), free=m.free,
            grey=resize(m.grey, grey.shape[1], grey.shape[0]),
            received=np.asarray(cv2.resize(m.received, size), np.float32),
            age_s=np.asarray(cv2.resize(m.age_s, size), np.float32),
            sure=np.asarray(cv2.resize(m.sure, size), np.float32),
        )  # fmt: skip

    def _restored(
        self, coded: CodedUnit, index: int, canvas: list[U8], grey: U8, before: Moment | None,
        pair: Pair | None, ahead: Pair | None, span: UnitSpan,
    ) -> Moment:  # fmt: skip
        """The picture of one coded moment."""
        current = canvas[index]
        rows, columns = cell_shape(*current.shape[:2])
        nothing = np.zeros((rows, columns), np.float32)
        past: Carried | None = None
        if before is not None and pair is not None:
            past = pair.onto_b(before)
            frames = span.first_frame + coded.offsets[index] - before.frame
            older = past.age_s + np.float32(frames / float(span.fps))
            past = replace(past, age_s=older)
        moment = Moment(
            frame=0, picture=current, shown=current, made_up=nothing, free=nothing + 1, grey=grey,
            received=nothing, age_s=nothing, sure=nothing,
        )  # fmt: skip
        if past is not None:
            moment.received = past.received * np.float32(_KEPT)
            moment.age_s = past.age_s
        if self._restorer is None or "no-network" in self._without:
            moment.received = nothing
            return moment
        next_picture, next_trust = current, None
        if ahead is not None:
            next_picture, next_trust = ahead.onto_a(canvas[index + 1])
        planes = self._planes(coded, index, past, next_trust, (rows, columns), span)
        memory = past.picture if past is not None else current
        looked = self._look(current, next_picture, memory, planes)
        moment.picture = moment.shown = looked[0]
        moment.sure = np.exp(0.5 * looked[1] - 3).astype(np.float32)
        self._amplitudes = looked[2]
        return moment

    def _paint(self, moment: Moment, before: Moment | None, pair: Pair | None) -> None:
        """Add texture: noise that moves with the scene, as strong as the network says."""
        if self._amplitudes is None or "no-noise" in self._without:
            moment.shown = moment.picture
            return
        h, w = moment.picture.shape[:2]
        if self._field is None or self._field.shape != (h, w):
            # Seeded by the place in the stream: a second decode of the same bytes is the same.
            self._field = TextureField(h, w, moment.frame)
        elif before is not None and pair is not None:
            flow, trust = pair.motion.b_to_a, pair.trust_b
            sized = np.asarray(cv2.resize(trust, (w, h)), np.float32)
            self._field.move(resize_flow(flow, w, h), sized)
        amplitudes = self._amplitudes * moment.free
        moment.shown = self._field.painted(moment.picture, amplitudes)
        moment.made_up = np.sqrt(np.sum(amplitudes**2, 0)).astype(np.float32)

    def _look(self, current: U8, ahead: U8, memory: U8, planes: F32) -> tuple[U8, F32, F32]:
        assert self._restorer is not None
        picture, spread, texture = self._restorer.restore(current, ahead, memory, planes)
        if self._settings.looks < 2:
            return picture, spread, texture
        # Upside down, not left to right: the height of usual sources is a whole number of cells, so
        # that padding does not shift the planes against the picture.
        c, a, m = (np.ascontiguousarray(p[::-1]) for p in (current, ahead, memory))
        again, more, other = self._restorer.restore(c, a, m, np.ascontiguousarray(planes[:, ::-1]))
        both = cv2.addWeighted(picture, 0.5, np.ascontiguousarray(again[::-1]), 0.5, 0)
        return (
            np.asarray(both, np.uint8),
            np.asarray((spread + more[::-1]) / 2, np.float32),
            np.asarray((texture + other[:, ::-1]) / 2, np.float32),
        )

    def _planes(
        self, coded: CodedUnit, index: int, past: Carried | None, next_trust: F32 | None,
        shape: tuple[int, int], span: UnitSpan,
    ) -> F32:  # fmt: skip
        rows, columns = shape
        planes = np.zeros((PLANES, rows, columns), np.float32)
        if next_trust is not None:
            planes[Plane.AHEAD_TRUST] = cv2.resize(next_trust, (columns, rows))
        if past is not None:
            planes[Plane.MEMORY_TRUST] = cv2.resize(past.trust, (columns, rows))
            planes[Plane.RECEIVED] = past.received
            planes[Plane.AGE] = age_value(past.age_s * (past.received > 0.1))
        planes[Plane.SCALE] = scale_value(self._factor(coded, span))
        planes[Plane.COST] = cost_value(coded.bits_per_coded_pixel)
        return planes

    def _factor(self, coded: CodedUnit, span: UnitSpan) -> float:
        """How many times F is smaller than the source, a side."""
        return span.width / coded.lows[0].shape[1] if coded.lows else 1.0

    def _paste(self, moment: Moment, patches: list[PlacedPatch], offset: int) -> None:
        """Received pixels replace made ones at their own moment."""
        mine = [p for p in patches if p.offset == offset]
        if not mine or self._settings.looks == 0:
            return
        moment.picture, moment.shown = moment.picture.copy(), moment.shown.copy()
        for patch in mine:
            h, w = patch.pixels.shape[:2]
            pixels = np.s_[patch.y : patch.y + h, patch.x : patch.x + w]
            moment.picture[pixels] = moment.shown[pixels] = patch.pixels
            if patch.full_size:
                y, x = patch.y // CELL_PX, patch.x // CELL_PX
                area = np.s_[y : y + h // CELL_PX, x : x + w // CELL_PX]
                moment.received[area], moment.age_s[area] = 1, 0
                moment.made_up[area] = 0

    def _between(
        self, before: Moment | None, moment: Moment, pair: Pair | None, unit: ReceivedUnit,
        span: UnitSpan, at: int, patched: bool,
    ) -> DecodedFrame:  # fmt: skip
        """A frame before `moment`, by motion between it and the moment before."""
        frame = span.first_frame + at
        if before is None or pair is None or before.frame >= frame:
            return self._books.held(moment, unit, span, at)
        alpha = (frame - before.frame) / (moment.frame - before.frame)
        carried, sure = pair.between(before, moment, alpha)
        nearest = min(frame - before.frame, moment.frame - frame)
        return self._books.between(carried, sure, unit, span, at, nearest)

    def _beyond(self, unit: ReceivedUnit, span: UnitSpan, at: int) -> DecodedFrame:
        """A frame that no coded picture reaches: the memory, moved by what D tells of the camera."""
        m, d = self._memory, unit.descriptors
        if m is None:
            blank = np.full((span.height, span.width, 3), _GREY, np.uint8)
            return self._books.lost(blank, None, unit, span, at)
        picture = resize(m.shown, span.width, span.height)
        age_s = float(Fraction(span.first_frame + at - m.frame) / span.fps)
        path = d.motion_path if d is not None and "no-motion" not in self._without else None
        start = max(0, m.frame - span.first_frame)
        matrix = path.between(start, at, span.width, span.height) if path is not None else None
        if matrix is None:
            return self._books.lost(picture.copy(), age_s, unit, span, at)
        size = (span.width, span.height)
        moved = cv2.warpPerspective(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        there = cv2.warpPerspective(np.full(picture.shape[:2], 255, np.uint8), matrix, size)
        return self._books.carried(np.asarray(moved, np.uint8), there > 127, age_s, unit, span, at)
