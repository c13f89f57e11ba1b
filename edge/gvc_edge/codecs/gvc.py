"""Codec 1 encoder: a reduced stream by whichever of its tools gives more, in layers that may be lost.

    begin: step of the ladder from the last unit's QP -> push: reduce at once, keep sampled pictures only
    close: VVC or AV1 at the QP that fills the budget -> index, parameter sets, lowest layer: K; rest: F

The tools are compared on the first unit and now and then after it: same pictures, same bytes, the
smaller error wins and stays until the next comparison. Where the stream would be of stills only, one
still that D's motion path carries, with chips of the objects, is tried against it on every unit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np

from gvc_edge.codecs import av1, vvc
from gvc_edge.codecs.av1 import Picture
from gvc_edge.codecs.gvc_ladder import (
    STEPS,
    coded_size,
    first_guess,
    next_step,
    qp_for,
    spacing,
    within,
)
from gvc_edge.codecs.gvc_patches import RECORDS_SHARE, Lowest
from gvc_edge.codecs.gvc_search import VvcSearch
from gvc_edge.codecs.ladder import search_crf
from gvc_protocol.classical import coded_offsets
from gvc_protocol.codec import CodecId, CodecSpec, SourceFrame
from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.gvc1 import BITSTREAM_VERSION, MAX_LAYER, MAX_STEP, GvcUnit, Tool
from gvc_protocol.gvc1 import Picture as CodedPicture
from gvc_protocol.motion_path import MotionPath
from gvc_protocol.objects import Track
from gvc_protocol.truth import Proxy

__all__ = ["MINIMUM_PAYLOAD", "GvcEncoder"]

MINIMUM_PAYLOAD = 110
"Bytes of a unit from which on a picture shows more than that there is one; units are made this long."
_LEAST_STILL_PAYLOAD = 70
"Bytes below which a unit comes out empty: an AV1 still of 64 x 64 takes 50, its head 16."

_COMPARE_EVERY = 8
_HEAD_BYTES, _SETS_BYTES = 14, 40
_PICTURE_BYTES, _HEADERS_SHARE = 20, 0.3
"A picture in which nothing happens takes some 15 bytes of VVC and 3 of the index."
_QP_PER_CRF = 0.5
"A step of CRF takes 6 % of AV1's bytes, a step of QP 12 % of VVC's."
_FINER_STEPS, _MOST_HELD = 2, 64_000_000
"For the first unit of a file; bytes of pictures that may be held for it."
_STILLS, _LOWEST = 2, 3
"Levels of the ladder."


@dataclass(slots=True)
class _Coded:
    """A stream that fits, and how far its pictures are from what went in."""

    unit: GvcUnit
    size: int
    quantiser: float
    error: float
    pictures: list[Picture]
    "As the base decodes them, in display order."


class GvcEncoder:
    """Unit encoder of codec 1 (see `gvc_protocol.codec.UnitEncoder`).

    Args:
        width, height: source size in pixels, both even.
        fps: source frames a second.
        frames_per_unit: frames that a unit usually has; the last may have fewer.
        live: keep up with a camera rather than get the most from each byte.

    Raises:
        UserError: the source's size is odd or too small, or there is no encoder to run.
    """

    def __init__(
        self, *, width: int, height: int, fps: Fraction, frames_per_unit: int, live: bool = False
    ) -> None:
        if width % 2 or height % 2 or width < 32 or height < 32:
            raise UserError(
                f"a source of {width}x{height} cannot be coded; give even sides of at least 32"
            )
        vvc.find_ffmpeg()
        self._width, self._height, self._fps = width, height, fps
        self._unit_frames = max(1, frames_per_unit)
        self._spec = CodecSpec(codec_id=CodecId.GVC, bitstream_version=BITSTREAM_VERSION)
        self._search = VvcSearch(threads=min(2, os.cpu_count() or 1), live=live)
        self._live = live
        self._index_bytes = 2.7
        self._tool: Tool | None = None
        self._units_since = 0
        self._index, self._qp, self._crf = 3, 36.0, 50.0
        self._known = False
        self._last_size = 1
        self._open = False
        self._payload = 0
        self._count = 0
        self._spacing, self._size = 1, (16, 16)
        self._sampled: list[Picture] = []
        self._newest: Picture | None = None
        self._lowest, self._stills = Lowest(width, height), False
        self._level = 0
        self._vvc_failed = False
        self._bounds, self._fresh = (0, _LOWEST), False
        self._shown: list[tuple[int, Picture]] = []
        self.fallbacks = 0
        "Units for which VVenC failed and AV1 stood in."

    @property
    def spec(self) -> CodecSpec:
        return self._spec

    @property
    def minimum_payload(self) -> int:
        """Smallest useful budget of a unit, bytes."""
        return MINIMUM_PAYLOAD

    @property
    def ladder(self) -> int:
        """Where the last unit stood: see `Descriptors.ladder`."""
        return self._level

    def take_shown(self) -> tuple[Proxy, list[tuple[int, Picture]]]:
        """See `gvc_edge.verify.ShowsSent`."""
        shown, self._shown = self._shown, []
        return (Proxy.CARRIED_STILL if self._level == _LOWEST else Proxy.CODED), shown

    def refresh(self) -> None:
        """The next unit counts on nothing that was sent before, and all of it has K's protection."""
        self._fresh = True

    def bound(self, finest: int, coarsest: int) -> None:
        """Keep to these steps of the ladder from the next unit on, as far as anything fits."""
        self._bounds = (finest, coarsest)

    def records_share(self, payload_bytes: int) -> float | None:
        """Share of a unit's bytes that tracks and motion path in D are worth; None for the usual."""
        level = STEPS[self._plan(payload_bytes)[0]].level
        return RECORDS_SHARE if level >= _STILLS else None

    def begin(self, unit_no: int, payload_bytes: int) -> None:
        """Open a unit; below `_LEAST_STILL_PAYLOAD` it will come out empty."""
        if self._open:
            raise LocalProtocolError("begin: the last unit was not closed")
        self._open, self._payload, self._count = True, payload_bytes, 0
        self._sampled, self._newest, self._vvc_failed = [], None, False
        self._index, self._qp = self._plan(payload_bytes)
        self._shown = []
        self._stills = STEPS[self._index].level >= _STILLS and payload_bytes >= _LEAST_STILL_PAYLOAD
        if not (self._known or self._live or self._stills):
            self._from_finer()
        self._last_size = max(1, payload_bytes)
        self._set_step()
        self._level = STEPS[self._index].level
        if self._fresh:
            self._lowest.forget()
        self._lowest.begin(unit_no)

    def push(self, frame: SourceFrame) -> None:
        """Add the next frame; only its reduced copy is kept, and only of sampled frames."""
        if not self._open:
            raise LocalProtocolError("push: no unit is open")
        if frame.pixels.shape != (self._height, self._width, 3):
            raise LocalProtocolError(f"push: frame of {frame.pixels.shape}")
        if self._payload >= _LEAST_STILL_PAYLOAD:
            sampled = self._count % self._spacing == 0
            small = av1.reduce(frame.pixels, *self._size)
            self._newest = small
            if sampled:
                self._sampled.append(small)
            if self._stills:
                self._lowest.push(frame.pixels, self._count, self._unit_frames, sampled=sampled)
        self._count += 1

    def look(self, tracks: Sequence[Track], path: MotionPath | None) -> None:
        """What D will tell of the open unit; before `close`."""
        self._lowest.look(tracks, path)

    def close(self) -> tuple[bytes, bytes]:
        """Close the unit: (keyframe, features), together at most the budget of `begin`."""
        if not self._open:
            raise LocalProtocolError("close: no unit is open")
        self._open = False
        if self._payload < _LEAST_STILL_PAYLOAD or not self._sampled:
            return b"", b""
        if (self._count - 1) % self._spacing and self._newest is not None:
            self._sampled.append(self._newest)
        if not (self._known or self._live):
            self._settle()
        unit = self._lower(self._code())
        self._sampled, self._newest = [], None
        if unit is not None and self._fresh:
            unit = replace(unit, layers_in_keyframe=MAX_LAYER + 1)
        self._fresh = False
        return unit.pack() if unit is not None else (b"", b"")

    def _plan(self, payload: int) -> tuple[int, float]:
        """Step and QP for a unit of so many bytes."""
        if not self._known:
            pixels = self._width * self._height * self._unit_frames
            index, qp = first_guess(payload * 8 / pixels)
        else:
            index, qp = next_step(self._index, qp_for(self._qp, self._last_size, payload))
        index, qp = within(index, qp, *self._bounds)
        while self._crowded(index, payload) and index + 1 < len(STEPS):
            index += 1
            qp -= STEPS[index].qp_from_finer
        return index, qp

    def _from_finer(self) -> None:
        """Begin a stream finer than guessed: `_settle` goes down from there, nothing can go up."""
        for _ in range(_FINER_STEPS):
            finer = STEPS[self._index - 1]
            width, height = coded_size(self._width, self._height, finer.scale)
            held = width * height * 3 * (self._unit_frames / spacing(finer, self._fps) + 1)
            if (
                self._index == 0
                or held > _MOST_HELD
                or self._crowded(self._index - 1, self._payload)
            ):
                break
            self._qp += STEPS[self._index].qp_from_finer
            self._index -= 1

    def _settle(self) -> None:
        """Ask a probe for the step of the first unit."""
        planes = [av1.i420(p) for p in self._sampled]
        room = max(1, self._payload - _HEAD_BYTES - _SETS_BYTES - 3 * len(planes))
        try:
            qp = self._search.expect(planes, budget=room, start_qp=self._qp, fps=self._hz)
        except vvc.VvcError:
            # The unit's own encode meets the same fault, and counts it.
            return
        index, wanted = next_step(self._index, qp)
        while self._index < index:
            self._coarser()
        self._qp = wanted

    def _crowded(self, index: int, payload: int) -> bool:
        """True where the pictures' headers and the index alone would take too much of the bytes."""
        pictures = -(-self._unit_frames // spacing(STEPS[index], self._fps)) + 1
        return pictures * _PICTURE_BYTES > _HEADERS_SHARE * payload

    def _set_step(self) -> None:
        step = STEPS[self._index]
        self._spacing = spacing(step, self._fps)
        self._size = coded_size(self._width, self._height, step.scale)

    def _lower(self, coded: _Coded | None) -> GvcUnit | None:
        """The stream, or the carried still where that shows more."""
        self._level = STEPS[self._index].level
        slide = self._lowest.make(self._payload) if self._stills else None
        if slide is not None and (
            coded is None or self._lowest.wins(slide, coded.pictures, self._offsets(coded))
        ):
            self._level = _LOWEST
            self._lowest.sent()
            self._shown = [(0, slide.still)]
            return slide.unit
        if coded is None:
            return None
        self._shown = list(zip(self._offsets(coded), coded.pictures, strict=True))
        return coded.unit

    def _offsets(self, coded: _Coded) -> Sequence[int]:
        """Frames that the stream has a picture of; the lowest step may have kept the first alone."""
        return coded_offsets(self._spacing, self._count - 1)[: len(coded.pictures)]

    def _code(self) -> _Coded | None:
        """The unit by its tools, a step coarser where nothing fits; None where nothing ever does."""
        while True:
            coded = self._best()
            if coded is not None:
                self._known = True
                return coded
            if self._index + 1 >= len(STEPS) and len(self._sampled) == 1:
                return None
            self._coarser()

    def _coarser(self) -> None:
        """The next step down, from the pictures at hand."""
        before = self._spacing
        self._index = min(self._index + 1, len(STEPS) - 1)
        self._qp -= STEPS[self._index].qp_from_finer
        last, offsets = self._sampled[-1], coded_offsets(before, self._count - 1)
        self._set_step()
        self._spacing = before * max(1, round(self._spacing / before))
        if self._index + 1 >= len(STEPS):
            self._spacing = max(self._spacing, self._widest(before))
        wanted = set(coded_offsets(self._spacing, self._count - 1)[:-1])
        kept = [p for offset, p in zip(offsets, self._sampled, strict=True) if offset in wanted]
        if self._count > 1 and self._spacing < self._count:
            kept.append(last)
        self._sampled = [av1.reduce(p, *self._size) for p in kept or [last]]

    def _widest(self, before: int) -> int:
        """Spacing of the last resort: one picture a unit, by way of as few as the index can say."""
        if self._count <= MAX_STEP or before * 2 > MAX_STEP:
            return self._count
        return MAX_STEP // before * before

    def _best(self) -> _Coded | None:
        """The stream of the tool in use; of both where it is time to compare."""
        self._units_since += 1
        compare = self._tool is None or self._units_since >= _COMPARE_EVERY
        tools = (Tool.VVC, Tool.AV1) if compare else (self._tool or Tool.VVC,)
        crf = self._crf
        planes = [av1.i420(p) for p in self._sampled]
        found = {tool: self._by(tool, planes) for tool in tools}
        coded = {tool: c for tool, c in found.items() if c is not None}
        if not coded and not compare:
            other = Tool.AV1 if self._tool == Tool.VVC else Tool.VVC
            if (stream := self._by(other, planes)) is not None:
                coded = {other: stream}
        if not coded:
            return None
        tool = min(coded, key=lambda t: coded[t].error)
        if compare:
            self._tool, self._units_since = tool, 0
        best = coded[tool]
        if tool == Tool.VVC:
            self._qp, self._last_size = best.quantiser, best.size
        elif not compare:
            # VVC did not look at this unit: its QP moves as AV1's CRF did.
            self._qp += (best.quantiser - crf) * _QP_PER_CRF
            self._last_size = best.size
        return best

    def _by(self, tool: Tool, planes: Sequence[Picture]) -> _Coded | None:
        if tool == Tool.AV1 or self._vvc_failed:
            return self._by_av1(planes)
        try:
            return self._by_vvc(planes)
        except vvc.VvcError:
            # One child that dies will die again: no more of it in this unit.
            self._vvc_failed = True
            self.fallbacks += 1
            return self._by_av1(planes)

    @property
    def _hz(self) -> Fraction:
        return self._fps / self._spacing

    def _by_vvc(self, planes: Sequence[Picture]) -> _Coded | None:
        """VVC at the QP that fills the budget."""
        for _ in range(2):
            fixed = _HEAD_BYTES + _SETS_BYTES
            room = self._payload - fixed - math.ceil(self._index_bytes * len(planes))
            found = None
            if room > 0:
                found = self._search.fill(planes, budget=room, start_qp=self._qp, fps=self._hz)
            if found is None:
                self._qp = float(vvc.MAX_QP)
                return None
            stream = found.stream
            places, pictures = vvc.display_order(stream)
            layers, bodies = [u.layer for u in stream.units], [u.body for u in stream.units]
            unit = self._unit(Tool.VVC, places, layers, bodies, stream.parameter_sets)
            size = sum(map(len, unit.pack()))
            # A byte to spare: the next unit's index may be a little larger.
            self._index_bytes = max(0, size - sum(map(len, bodies)) - fixed + 1) / len(planes)
            if size <= self._payload:
                return self._checked(unit, found.qp, pictures)
        return None

    def _by_av1(self, planes: Sequence[Picture]) -> _Coded | None:
        budget = self._payload - _HEAD_BYTES - 2 * len(planes)
        pixels_per_s = self._size[0] * self._size[1] * float(self._hz)
        preset = av1.preset_for(pixels_per_s, live=self._live)

        def encode(crf: float) -> Sequence[bytes]:
            return av1.encode(planes, crf=crf, fps=self._hz, still=False, preset=preset)

        found = search_crf(encode, lambda units: sum(map(len, units)), budget, self._crf)
        if found is None:
            return None
        self._crf = found.crf
        n = len(found.units)
        layers = [min(i, 1) for i in range(n)]
        unit = self._unit(Tool.AV1, list(range(n)), layers, found.units, b"")
        return self._checked(unit, found.crf, av1.decode(found.units))

    def _unit(
        self, tool: Tool, places: list[int], layers: list[int], bodies: list[bytes], sets: bytes
    ) -> GvcUnit:
        pictures = tuple(
            CodedPicture(layer=layer, display=place, body=body)
            for layer, place, body in zip(layers, places, bodies, strict=True)
        )
        return GvcUnit(
            tool=tool, step=min(self._spacing, MAX_STEP), last=max(0, self._count - 1),
            width=self._size[0], height=self._size[1], pictures=pictures, parameter_sets=sets,
        )  # fmt: skip

    def _checked(self, unit: GvcUnit, quantiser: float, pictures: list[Picture]) -> _Coded | None:
        """With its size and error; None when the index took it over the budget after all."""
        size = sum(map(len, unit.pack()))
        if size > self._payload or len(pictures) != len(self._sampled):
            return None
        errors = [
            float(np.mean(cv2.absdiff(a, b).astype(np.float32) ** 2))
            for a, b in zip(self._sampled, pictures, strict=True)
        ]
        return _Coded(unit, size, quantiser, sum(errors) / len(errors), pictures)
