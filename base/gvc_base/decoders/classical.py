"""Codec 0 decoder: whatever arrived of a unit to exactly as many marked frames as it spans.

K -> still                         F prefix -> coded low-resolution frames
both -> pictures at the coded moments (the still's detail carried by flow) -> frames between them
moments that nothing reaches -> the last picture, moved on as the camera moved last, marked LOST, older
from frame to frame
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.av1 import Picture, decode_units
from gvc_base.decoders.camera import Camera, of_tiles
from gvc_base.decoders.classical_made import Made, made_of, nowhere
from gvc_base.decoders.fusion import Between, Carrier, Settings, resize, tile_means
from gvc_base.decoders.gvc_parts import CodedUnit
from gvc_base.decoders.motion import F32, FlowEngine
from gvc_base.marks import facts
from gvc_base.marks.doubt import Doubt, Known, told_of
from gvc_base.marks.facts import Context, PairFacts
from gvc_base.marks.model import load_model
from gvc_protocol.classical import BITSTREAM_VERSION, FeaturesPart, KeyframePart
from gvc_protocol.codec import (
    CodecId,
    CodecSpec,
    DecodedFrame,
    PartData,
    Quality,
    ReceivedUnit,
    UnitSpan,
)
from gvc_protocol.marks import AGE_UNKNOWN_MS, Mark, SourcePart, tile_grid

__all__ = ["SPEC", "ClassicalDecoder"]

SPEC = CodecSpec(codec_id=CodecId.CLASSICAL, bitstream_version=BITSTREAM_VERSION)

_SETTINGS: dict[Quality, Settings] = {
    "preview": Settings(
        flow_width_px=256, fine_flow=False, fast_flow=True, carry=False, cubic=False
    ),
    "standard": Settings(
        flow_width_px=480, fine_flow=False, fast_flow=False, carry=True, cubic=False
    ),
    "best": Settings(flow_width_px=640, fine_flow=True, fast_flow=False, carry=True, cubic=True),
}

_CARRIED_OVER = 0.5
"Mean weight of the still over a tile above which the tile counts as carried."

_TRUSTED_OVER = 0.5
_LEAST_GAIN = 64
"A still that the edge found worth less than a quarter is no source of detail: nothing is carried."

_GREY = 128

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class _Coded:
    """One coded moment: F's frame there, the picture shown and the still's weight in it."""

    offset: int
    low: Picture
    picture: Picture
    weight: F32 | None
    known: Known


@dataclass(frozen=True, slots=True)
class _Still:
    offset: int
    picture: Picture
    full_size: bool
    gains: tuple[float, float]
    carries: bool
    bits_per_pixel: float
    factor: float
    "How many times it was smaller than the source, a side."


class ClassicalDecoder:
    """Unit decoder of codec 0 (see `gvc_protocol.codec.UnitDecoder`).

    Args:
        spec: must have this codec's id and bitstream version (`make_decoder` sees to it).
        quality: "preview": F only, gaps filled at F's size with coarse flow, then enlarged; the
            still is shown at its moment only. "standard": the still's detail is carried, gaps are
            filled at full size, flow on pictures up to 480 wide. "best": the same with DIS's
            medium preset on pictures up to 640 wide, and cubic sampling of the still.
        doubt: what gives `p_wrong`; None: the package's calibration.
    """

    def __init__(self, spec: CodecSpec, quality: Quality, doubt: Doubt | None = None) -> None:
        self._spec, self._quality = spec, quality
        self._settings = _SETTINGS[quality]
        s = self._settings
        self._engine = FlowEngine(fine=s.fine_flow, ultrafast=s.fast_flow)
        self._doubt = doubt or Doubt(load_model())
        self._camera = Camera(self._engine, s.flow_width_px)
        self._held: Made | None = None
        "The last picture that anything was received of."
        self._held_s = 0.0
        self._known: Known | None = None
        self._unfollowed: Callable[[], PairFacts] | None = None
        "Motion to the last coded moment, where it was not looked for."
        self._evidence_s: Fraction | None = None
        self.evidence: CodedUnit | None = None
        "F's pictures of the last unit, before anything was made of them."

    @property
    def spec(self) -> CodecSpec:
        return self._spec

    @property
    def label(self) -> str:
        return f"codec {self._spec.codec_id} {self._quality}"

    def decode(self, unit: ReceivedUnit, span: UnitSpan) -> Iterator[DecodedFrame]:
        """Exactly `span.frames` frames; never raises over what the parts hold."""
        offsets, lows, context = self._features(unit.features, span)
        still = self._keyframe(unit.keyframe, span)
        self.evidence = CodedUnit(offsets=list(offsets), lows=list(lows), camera=self._camera)
        self._doubt.tell(told_of(unit, span))
        made = self._moments(offsets, lows, still, unit, span, context) if lows else iter(())
        for offset in range(span.frames):
            moment = next(made, None)
            if still is not None and offset == still.offset:
                moment = self._still_frame(still, unit, span, context)
            if moment is not None:
                # A copy: whoever draws on a frame must not draw on those made from it.
                self._held = replace(moment, pixels=moment.pixels.copy())
                self._held_s = (span.first_frame + offset) / float(span.fps)
            else:
                moment = self._lost_frame(span, offset, context)
            yield self._finish(unit, span, offset, moment)

    def _features(self, part: PartData, span: UnitSpan) -> tuple[list[int], list[Picture], Context]:
        """Offsets and pictures of the coded frames that arrived and lie in or just past the span."""
        parsed = FeaturesPart.unpack(part.prefix)
        if parsed is None:
            return [], [], self._context(span, 1.0, 0.0, 1)
        # One coded frame past the span still helps to fill the gap before it.
        within = sum(offset < span.frames + parsed.step for offset in parsed.offsets)
        width, height = span.width + span.width % 2, span.height + span.height % 2
        lows = decode_units(parsed.frames[:within], width=width, height=height)
        bits = 8 * sum(len(data) for data in parsed.frames[: len(lows)])
        pixels = sum(low.shape[0] * low.shape[1] for low in lows)
        factor = span.width / lows[0].shape[1] if lows else 1.0
        context = self._context(span, factor, bits / max(1, pixels), parsed.step)
        return parsed.offsets[: len(lows)], lows, context

    def _context(self, span: UnitSpan, factor: float, bits: float, step: int) -> Context:
        return Context(
            grid=tile_grid(span.height, span.width), factor=factor, bits_per_coded_pixel=bits,
            coded_hz=float(span.fps) / max(1, step), classical=True, quality=self._quality,
        )  # fmt: skip

    def _keyframe(self, part: PartData, span: UnitSpan) -> _Still | None:
        parsed = KeyframePart.unpack(part.whole or b"")
        if parsed is None or parsed.offset >= span.frames:
            return None
        width, height = span.width + span.width % 2, span.height + span.height % 2
        pictures = decode_units([parsed.obus], width=width, height=height)
        if not pictures:
            return None
        full_size = pictures[0].shape[:2] == (height, width)
        strong = max(parsed.gain_low, parsed.gain_high) >= _LEAST_GAIN
        return _Still(
            offset=parsed.offset,
            picture=resize(pictures[0], span.width, span.height),
            full_size=full_size,
            gains=(parsed.gain_low / 255, parsed.gain_high / 255),
            carries=full_size and strong,
            bits_per_pixel=8 * len(parsed.obus) / (pictures[0].shape[0] * pictures[0].shape[1]),
            factor=span.width / pictures[0].shape[1],
        )

    def _moments(
        self, offsets: list[int], lows: list[Picture], still: _Still | None, unit: ReceivedUnit,
        span: UnitSpan, context: Context,
    ) -> Iterator[Made]:  # fmt: skip
        """Each frame from the first coded one to the last, in order."""
        before: _Coded | None = None
        for offset, low, picture, weight in self._coded(offsets, lows, still, span):
            between: Between | None = None
            if before is not None and offset - before.offset > 1:
                between = Between(
                    before.low, low, before.picture, picture, before.weight, weight,
                    self._settings, self._engine,
                    passed_s=(offset - before.offset) / float(span.fps), width=span.width,
                    grid=context.grid,
                )  # fmt: skip
            pair = between.facts if between is not None else None
            known = self._known_of(context, (offset, low, picture, weight), still, pair, span)
            now = _Coded(offset, low, picture, weight, known)
            if before is not None and between is not None:
                yield from self._gap(before, now, between, still, unit, span)
            if offset < span.frames:
                self._camera.saw(low, (span.first_frame + offset) / float(span.fps))
                self._known, self._unfollowed = known, None
                if before is not None and between is None:
                    self._unfollowed = partial(self._motion, before, low, offset, span, context)
            yield self._shown(now, still, unit, span)
            before = now

    def _motion(
        self, before: _Coded, low: Picture, offset: int, span: UnitSpan, context: Context
    ) -> PairFacts:
        """From one coded picture to the next, with no frame between them."""
        return Between(
            before.low, low, before.low, low, None, None, self._settings, self._engine,
            passed_s=(offset - before.offset) / float(span.fps), width=span.width,
            grid=context.grid,
        ).facts()  # fmt: skip

    def _known_of(
        self, context: Context, coded: tuple[int, Picture, Picture, F32 | None],
        still: _Still | None, pair: Callable[[], PairFacts] | None, span: UnitSpan,
    ) -> Known:  # fmt: skip
        offset, low, picture, weight = coded
        frame = span.first_frame + offset
        kept = self._doubt.kept(context, frame, float(span.fps)) if pair is not None else None
        if kept is not None:
            return kept
        away_s = abs(offset - still.offset) / float(span.fps) if still is not None else 0.0
        carries = weight is not None and still is not None and still.carries
        age_s = np.full(context.grid, away_s, np.float32) if carries else None
        received = weight if carries else None
        motion = pair() if pair is not None else None
        planes = facts.moment(context, picture, low, motion, None, received=received, age_s=age_s)
        return self._doubt.coded(context, frame, planes)

    def _coded(
        self, offsets: list[int], lows: list[Picture], still: _Still | None, span: UnitSpan
    ) -> Iterator[tuple[int, Picture, Picture, F32 | None]]:
        """(offset, F's picture, picture shown, the still's weight in it) of each coded moment."""
        size = (span.width, span.height)
        carrier: Carrier | None = None
        if self._settings.carry and still is not None and still.offset in offsets:
            at = offsets.index(still.offset)
            carrier = Carrier(
                lows, at, still.picture, still.gains, size, self._settings, self._engine
            )
        for index, (offset, low) in enumerate(zip(offsets, lows, strict=True)):
            if carrier is not None:
                picture, weight = carrier.picture(index)
                yield offset, low, picture, weight
            elif self._settings.carry:
                yield offset, low, resize(low, *size), None
            else:
                yield offset, low, low, None

    def _shown(self, now: _Coded, still: _Still | None, unit: ReceivedUnit, span: UnitSpan) -> Made:
        """A coded moment: what F shows there, with the still's detail where it was carried."""
        full = now.low.shape[:2] == (span.height, span.width)
        grid = tile_grid(span.height, span.width)
        mark = np.full(grid, Mark.RECEIVED if full else Mark.ENHANCED, np.uint8)
        age = np.zeros(grid, np.uint16)
        self._saw(span, now.offset)
        if now.weight is not None and still is not None and still.carries:
            carried = tile_means(now.weight, span.width, span.height) > _CARRIED_OVER
            mark[carried] = Mark.CARRIED
            age[carried] = _milliseconds(Fraction(abs(now.offset - still.offset)) / span.fps)
        picture = resize(now.picture, span.width, span.height)
        picture = picture.copy() if picture is now.picture else picture
        return made_of(picture, mark, age, now.known.score, unit, span)

    def _gap(
        self, a: _Coded, b: _Coded, between: Between, still: _Still | None, unit: ReceivedUnit,
        span: UnitSpan,
    ) -> Iterator[Made]:  # fmt: skip
        """The frames between two coded moments."""
        first, fps = span.first_frame, float(span.fps)
        ends = (first + a.offset, first + b.offset)
        carries = still is not None and still.carries and a.weight is not None
        for offset in range(a.offset + 1, min(b.offset, span.frames)):
            pixels, trust, weight = between.at((offset - a.offset) / (b.offset - a.offset))
            mark = np.full(tile_grid(span.height, span.width), Mark.ENHANCED, np.uint8)
            nearest = min(offset - a.offset, b.offset - offset)
            age = np.full_like(mark, 0, np.uint16) + _milliseconds(Fraction(nearest) / span.fps)
            if carries and still is not None:
                carried = tile_means(weight, span.width, span.height) > _CARRIED_OVER
                mark[carried] = Mark.CARRIED
                age[carried] = _milliseconds(Fraction(abs(offset - still.offset)) / span.fps)
            # A tile of which more than half follows no motion is a guess, whatever else is in it.
            trusted = (trust > _TRUSTED_OVER).astype(np.float32)
            guessed = tile_means(trusted, span.width, span.height) < 0.5
            mark[guessed] = Mark.REGENERATED
            age[guessed] = _milliseconds(Fraction(nearest) / span.fps)
            score = self._doubt.between(a.known, b.known, ends, between.facts, first + offset, fps)
            shown = resize(pixels, span.width, span.height)
            yield made_of(shown, mark, age, score, unit, span)

    def _still_frame(
        self, still: _Still, unit: ReceivedUnit, span: UnitSpan, context: Context
    ) -> Made:
        self._saw(span, still.offset)
        grid = tile_grid(span.height, span.width)
        mark = np.full(grid, Mark.RECEIVED if still.full_size else Mark.ENHANCED, np.uint8)
        age = np.zeros(grid, np.uint16)
        own = replace(context, factor=still.factor, bits_per_coded_pixel=still.bits_per_pixel)
        ones = np.ones(context.grid, np.float32) if still.full_size else None
        planes = facts.moment(own, still.picture, still.picture, None, None, received=ones)
        self._known = self._doubt.coded(own, span.first_frame + still.offset, planes)
        made = made_of(still.picture.copy(), mark, age, self._known.score, unit, span)
        made.part[:] = SourcePart.KEYFRAME
        return made

    def _lost_frame(self, span: UnitSpan, offset: int, context: Context) -> Made:
        grid = tile_grid(span.height, span.width)
        age_ms = AGE_UNKNOWN_MS
        if self._evidence_s is not None:
            now_s = Fraction(span.first_frame + offset) / span.fps
            age_ms = _milliseconds(now_s - self._evidence_s)
        mark, age = np.full(grid, Mark.LOST, np.uint8), np.full(grid, age_ms, np.uint16)
        if self._known is not None and self._unfollowed is not None:
            # How wrong a held picture gets hangs on how the scene moved.
            self._known = self._doubt.followed(self._known, self._unfollowed())
            self._unfollowed = None
        known = self._doubt.on_grid(self._known or self._doubt.unseen(context), grid)
        frame, fps = span.first_frame + offset, float(span.fps)
        if self._held is None:
            score = self._doubt.beyond(known, frame, fps)
            nothing = np.full((span.height, span.width, 3), _GREY, np.uint8)
            return Made(nothing, mark, age, score, *nowhere(grid))
        held = self._held.at_size(span.height, span.width)
        matrix = self._camera.on(self._held_s, frame / fps, span.width)
        by = None if matrix is None else of_tiles(matrix)
        held = held if matrix is None else held.moved(matrix)
        score = self._doubt.beyond(known, frame, fps, by=by)
        return replace(held, mark=mark, age=age, score=score)

    def _saw(self, span: UnitSpan, offset: int) -> None:
        """Note that something of this moment arrived."""
        if offset < span.frames:
            self._evidence_s = Fraction(span.first_frame + offset) / span.fps

    def _finish(self, unit: ReceivedUnit, span: UnitSpan, offset: int, made: Made) -> DecodedFrame:
        return DecodedFrame(
            frame_no=span.first_frame + offset, unit_no=unit.unit_no, pixels=made.pixels,
            mark=made.mark, age_ms=made.age, p_wrong=self._doubt.p_wrong(made.mark, made.score),
            source_unit=made.unit, source_boot=made.boot, source_part=made.part,
        )  # fmt: skip


def _milliseconds(seconds: Fraction) -> int:
    """Age field for a stretch of time, capped."""
    return int(min(AGE_UNKNOWN_MS, max(0, round(seconds * 1000))))
