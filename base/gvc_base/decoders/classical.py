"""Codec 0 decoder: whatever arrived of a unit to exactly as many marked frames as it spans.

K -> still                         F prefix -> coded low-resolution frames
both -> pictures at the coded moments (the still's detail carried by flow) -> frames between them
moments that nothing reaches -> the last picture, marked LOST, older from frame to frame
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.av1 import Picture, decode_units
from gvc_base.decoders.fusion import Between, Carrier, Settings, resize, tile_means
from gvc_base.decoders.gvc_parts import CodedUnit
from gvc_base.decoders.motion import F32, FlowEngine
from gvc_base.p_wrong import p_wrong_from_marks
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
from gvc_protocol.marks import AGE_UNKNOWN_MS, Mark, tile_grid

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


@dataclass(frozen=True, slots=True)
class _Still:
    offset: int
    picture: Picture
    full_size: bool
    gains: tuple[float, float]
    carries: bool


class ClassicalDecoder:
    """Unit decoder of codec 0 (see `gvc_protocol.codec.UnitDecoder`).

    Args:
        spec: must have this codec's id and bitstream version (`make_decoder` sees to it).
        quality: "preview": F only, gaps filled at F's size with coarse flow, then enlarged; the
            still is shown at its moment only. "standard": the still's detail is carried, gaps are
            filled at full size, flow on pictures up to 480 wide. "best": the same with DIS's
            medium preset on pictures up to 640 wide, and cubic sampling of the still.
    """

    def __init__(self, spec: CodecSpec, quality: Quality) -> None:
        self._spec, self._quality = spec, quality
        self._settings = _SETTINGS[quality]
        s = self._settings
        self._engine = FlowEngine(fine=s.fine_flow, ultrafast=s.fast_flow)
        self._held: Picture | None = None
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
        offsets, lows = self._features(unit.features, span)
        still = self._keyframe(unit.keyframe, span)
        self.evidence = CodedUnit(offsets=list(offsets), lows=list(lows))
        made = self._moments(offsets, lows, still, span) if lows else iter(())
        for offset in range(span.frames):
            moment = next(made, None)
            if still is not None and offset == still.offset:
                shown = self._still_frame(still, unit, span)
            elif moment is None:
                shown = self._lost_frame(unit, span, offset)
            else:
                shown = self._finish(unit, span, offset, *moment)
            # A copy: whoever draws on a frame must not draw on those made from it.
            self._held = shown.pixels.copy()
            yield shown

    def _features(self, part: PartData, span: UnitSpan) -> tuple[list[int], list[Picture]]:
        """Offsets and pictures of the coded frames that arrived and lie in or just past the span."""
        parsed = FeaturesPart.unpack(part.prefix)
        if parsed is None:
            return [], []
        # One coded frame past the span still helps to fill the gap before it.
        within = sum(offset < span.frames + parsed.step for offset in parsed.offsets)
        width, height = span.width + span.width % 2, span.height + span.height % 2
        lows = decode_units(parsed.frames[:within], width=width, height=height)
        return parsed.offsets[: len(lows)], lows

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
        )

    def _moments(
        self, offsets: list[int], lows: list[Picture], still: _Still | None, span: UnitSpan
    ) -> Iterator[tuple[Picture, U8, U16]]:
        """(pixels, mark, age) for each frame from the first coded one to the last, in order."""
        before: _Coded | None = None
        for now in self._coded(offsets, lows, still, span):
            if before is not None and now.offset - before.offset > 1:
                yield from self._gap(before, now, still, span)
            yield self._shown(now, still, span)
            before = now

    def _coded(
        self, offsets: list[int], lows: list[Picture], still: _Still | None, span: UnitSpan
    ) -> Iterator[_Coded]:
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
                yield _Coded(offset, low, picture, weight)
            elif self._settings.carry:
                yield _Coded(offset, low, resize(low, *size), None)
            else:
                yield _Coded(offset, low, low, None)

    def _shown(self, now: _Coded, still: _Still | None, span: UnitSpan) -> tuple[Picture, U8, U16]:
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
        return (picture.copy() if picture is now.picture else picture), mark, age

    def _gap(
        self, a: _Coded, b: _Coded, still: _Still | None, span: UnitSpan
    ) -> Iterator[tuple[Picture, U8, U16]]:
        """The frames between two coded moments."""
        between = Between(
            a.low, b.low, a.picture, b.picture, a.weight, b.weight, self._settings, self._engine
        )
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
            yield resize(pixels, span.width, span.height), mark, age

    def _still_frame(self, still: _Still, unit: ReceivedUnit, span: UnitSpan) -> DecodedFrame:
        self._saw(span, still.offset)
        grid = tile_grid(span.height, span.width)
        mark = np.full(grid, Mark.RECEIVED if still.full_size else Mark.ENHANCED, np.uint8)
        age = np.zeros(grid, np.uint16)
        return self._finish(unit, span, still.offset, still.picture.copy(), mark, age)

    def _lost_frame(self, unit: ReceivedUnit, span: UnitSpan, offset: int) -> DecodedFrame:
        grid = tile_grid(span.height, span.width)
        age_ms = AGE_UNKNOWN_MS
        if self._evidence_s is not None:
            now_s = Fraction(span.first_frame + offset) / span.fps
            age_ms = _milliseconds(now_s - self._evidence_s)
        if self._held is None:
            held = np.full((span.height, span.width, 3), _GREY, np.uint8)
        else:
            held = resize(self._held, span.width, span.height)
            held = held.copy() if held is self._held else held
        mark = np.full(grid, Mark.LOST, np.uint8)
        return self._finish(unit, span, offset, held, mark, np.full(grid, age_ms, np.uint16))

    def _saw(self, span: UnitSpan, offset: int) -> None:
        """Note that something of this moment arrived."""
        if offset < span.frames:
            self._evidence_s = Fraction(span.first_frame + offset) / span.fps

    def _finish(
        self, unit: ReceivedUnit, span: UnitSpan, offset: int, pixels: Picture, mark: U8, age: U16
    ) -> DecodedFrame:
        return DecodedFrame(
            frame_no=span.first_frame + offset, unit_no=unit.unit_no, pixels=pixels, mark=mark,
            age_ms=age, p_wrong=p_wrong_from_marks(mark, age),
        )  # fmt: skip


def _milliseconds(seconds: Fraction) -> int:
    """Age field for a stretch of time, capped."""
    return int(min(AGE_UNKNOWN_MS, max(0, round(seconds * 1000))))
