"""Codec 1 decoder: coded pictures, patches and motion of a unit to exactly its marked frames.

    K, F -> coded low-resolution pictures + patches of true pixels
    each coded moment: F enlarged, the next coded picture and the memory moved here -> network -> picture
    patches pasted, objects kept free of synthesis -> frames between by motion -> marks
    moments that no coded picture reaches: the memory moved by D's motion path, patches pasted, objects'
    patches moved by their tracks

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

from gvc_base.decoders.camera import Camera, of_tiles
from gvc_base.decoders.fusion import grey, resize
from gvc_base.decoders.gvc_fuse import (
    UNKNOWN_AGE_S,
    Moment,
    Pair,
    cell_shape,
    find_pair,
    moved,
    resized,
)
from gvc_base.decoders.gvc_marks import Bookkeeper, keep_objects
from gvc_base.decoders.gvc_parts import CodedUnit, read_coded
from gvc_base.decoders.gvc_patches import Chips, paste
from gvc_base.decoders.gvc_restore import Evidence, Restoration
from gvc_base.decoders.motion import FlowEngine
from gvc_base.marks import facts
from gvc_base.marks.doubt import Doubt, Known, told_of
from gvc_base.marks.facts import Context
from gvc_base.marks.model import load_model
from gvc_base.marks.sources import NOWHERE, Sources
from gvc_base.neural.runtime import Refiner, Restorer
from gvc_protocol.codec import (
    CodecId,
    CodecSpec,
    DecodedFrame,
    Quality,
    ReceivedUnit,
    UnitSpan,
)
from gvc_protocol.gvc1 import BITSTREAM_VERSION
from gvc_protocol.marks import SourcePart, tile_grid

__all__ = ["SPEC", "GvcDecoder"]

SPEC = CodecSpec(codec_id=CodecId.GVC, bitstream_version=BITSTREAM_VERSION)

U8 = NDArray[np.uint8]
_Step = tuple[Moment | None, Moment, Pair | None]
"A coded moment, the one before it (of an earlier unit, perhaps) and the motion between them."

_GREY = 128

_PATH_GAP_S = 0.5
"""The motion path starts at the unit's first frame. A memory older than this before it has missed motion
that nobody told of, and is not moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    flow_width_px: int
    fine_flow: bool
    fast_flow: bool
    looks: int
    "How often the network looks at a moment."
    look_every_s: float = 0.0
    """At moments closer than this it looks once, and what it said moves with the scene: the network is
    most of what decoding costs, and what it says of ground that stays in view hardly changes."""


_SETTINGS: dict[Quality, _Settings] = {
    "preview": _Settings(flow_width_px=256, fine_flow=False, fast_flow=True, looks=0),
    "standard": _Settings(
        flow_width_px=480, fine_flow=False, fast_flow=False, looks=1, look_every_s=0.999
    ),
    "best": _Settings(flow_width_px=640, fine_flow=True, fast_flow=False, looks=2),
}


class GvcDecoder:
    """Unit decoder of codec 1 (see `gvc_protocol.codec.UnitDecoder`).

    Args:
        spec: must have this codec's id and bitstream version.
        quality: "preview" shows F without a network, gaps filled at F's size. "standard" runs the
            network once a coded moment; "best" twice, with finer motion.
        restorer: EvidenceNet; None for preview.
        refiner: RefineNet, for best.
        doubt: what gives `p_wrong`; None: the package's calibration.
    """

    def __init__(
        self, spec: CodecSpec, quality: Quality, restorer: Restorer | None,
        refiner: Refiner | None = None, doubt: Doubt | None = None,
    ) -> None:  # fmt: skip
        self._spec, self._quality, self._settings = spec, quality, _SETTINGS[quality]
        self._without = frozenset(os.environ.get("GVC_ABLATE", "").split(","))
        self._network = None if "no-network" in self._without else restorer
        self._refiner = refiner if self._network is not None else None
        self._restoration = Restoration(
            self._network, self._refiner, looks=self._settings.looks,
            noise="no-noise" not in self._without,
        )  # fmt: skip
        fine, fast = self._settings.fine_flow, self._settings.fast_flow
        moves = "no-motion" not in self._without
        self._engine = FlowEngine(fine=fine, ultrafast=fast) if moves else None
        self._camera = Camera(self._engine, self._settings.flow_width_px)
        self._full_size = self._settings.looks > 0
        self._memory: Moment | None = None
        self._looked: int | None = None
        "Frame of the moment that the network looked at last."
        self._chips = Chips()
        self._doubt, self._sources = doubt or Doubt(load_model()), Sources()
        self._books = Bookkeeper(self._doubt, self._sources)
        self.evidence: CodedUnit | None = None
        "What was decoded of the received bytes of the last unit, before anything was made of it."

    @property
    def spec(self) -> CodecSpec:
        return self._spec

    @property
    def label(self) -> str:
        used = [n.label for n in (self._network, self._refiner) if n is not None]
        return ", ".join([f"codec {self._spec.codec_id} {self._quality}", *used])

    def decode(self, unit: ReceivedUnit, span: UnitSpan) -> Iterator[DecodedFrame]:
        """Exactly `span.frames` frames; never raises over what the parts hold."""
        coded = self.evidence = read_coded(unit, span)
        coded.camera = self._camera
        if "no-keyframes" in self._without:
            coded.patches = []
        if "no-features" in self._without:
            coded.offsets, coded.lows = coded.offsets[:1], coded.lows[:1]
        # F's own size is cheaper to work at, until there is something larger to show.
        self._full_size = self._full_size or bool(coded.patches)
        in_patches = self._sources.number(span.boot_id, unit.unit_no, SourcePart.PATCH)
        self._doubt.tell(told_of(unit, span))
        self._chips.keep(coded.patches, unit.descriptors, span.first_frame, in_patches)
        pending = list(range(span.frames))
        for before, moment, pair in self._moments(coded, unit, span):
            offset = moment.frame - span.first_frame
            while pending and pending[0] < offset:
                yield self._between(before, moment, pair, unit, span, coded, pending.pop(0))
            if pending and pending[0] == offset:
                pending.pop(0)
                assert moment.known is not None
                factor = _factor(coded, span)
                yield self._books.shown(moment, unit, span, factor, moment.known.score)
        for at in pending:
            yield self._beyond(unit, span, at, coded)

    def _moments(self, coded: CodedUnit, unit: ReceivedUnit, span: UnitSpan) -> Iterator[_Step]:
        """Each coded moment in turn."""
        greys = [grey(low, self._settings.flow_width_px) for low in coded.lows]
        canvas = [self._canvas(low, span) for low in coded.lows]
        before = self._on_canvas(canvas[0], greys[0], span) if canvas else None
        pair = None
        if before is not None:
            first = span.first_frame + coded.offsets[0]
            pair = self._pair(before.grey, greys[0], span, first - before.frame)
        context = self._context(coded, span)
        patched = self._sources.number(span.boot_id, unit.unit_no, SourcePart.PATCH)
        for index, offset in enumerate(coded.offsets):
            frame = span.first_frame + offset
            past, ahead = None, None
            if before is not None and pair is not None:
                past = pair.onto_b(before, (frame - before.frame) / float(span.fps))
            if index + 1 < len(canvas):
                apart = coded.offsets[index + 1] - offset
                ahead = self._pair(greys[index], greys[index + 1], span, apart)
            nothing = (None, None)
            following = ahead.onto_a(canvas[index + 1]) if ahead is not None else nothing
            evidence = Evidence(
                current=canvas[index], ahead=following[0], ahead_trust=following[1], past=past,
                mono=coded.mono,
                factor=_factor(coded, span), bits_per_coded_pixel=coded.bits_per_coded_pixel,
                look=self._is_due(frame, span, pair), pair=pair,
                before=before.frame if before is not None else None,
                origin=self._sources.number(span.boot_id, unit.unit_no, coded.parts[index]),
            )  # fmt: skip
            moment = self._restoration.restore(evidence, frame, greys[index])
            keep_objects(moment, canvas[index], unit.descriptors, offset, (span.width, span.height))
            self._restoration.paint(moment, past, pair)
            ground, mine = moment, [p for p in coded.patches if p.offset == offset]
            if self._full_size and mine:
                # Where this picture is carried on without others, movers go by their tracks.
                last = index + 1 == len(canvas) and offset + 2 * coded.step < span.frames
                stay = self._chips.settled(mine, unit.descriptors) if last else mine
                paste(ground, stay, patched)
                if len(stay) < len(mine):
                    moment = ground.own()
                    paste(moment, mine, patched)
            self._camera.saw(greys[index], frame / float(span.fps))
            cut = pair is None or pair.cut or bool(mine)
            kept = None if cut else self._doubt.kept(context, frame, float(span.fps))
            moment.known = kept or self._known(context, moment, coded.lows[index], pair, ahead)
            ground.known = moment.known
            yield before, moment, pair
            self._memory, before = ground, moment
            pair = ahead

    def _is_due(self, frame: int, span: UnitSpan, pair: Pair | None) -> bool:
        """Whether the network looks at this moment: not where it has just looked at the same scene."""
        last, cut = self._looked, pair is None or pair.cut
        just = last is not None and 0 < (frame - last) / span.fps < self._settings.look_every_s
        if just and not cut:
            return False
        self._looked = frame
        return True

    def _pair(self, a: U8, b: U8, span: UnitSpan, frames: int) -> Pair:
        return find_pair(
            self._engine, a, b, passed_s=max(1, frames) / float(span.fps), width=span.width,
            grid=tile_grid(span.height, span.width),
        )  # fmt: skip

    def _context(self, coded: CodedUnit, span: UnitSpan) -> Context:
        return Context(
            grid=tile_grid(span.height, span.width), factor=_factor(coded, span),
            bits_per_coded_pixel=coded.bits_per_coded_pixel,
            coded_hz=float(span.fps) / max(1, coded.step), classical=False, quality=self._quality,
        )  # fmt: skip

    def _known(
        self, context: Context, moment: Moment, low: U8, before: Pair | None, after: Pair | None
    ) -> Known:
        planes = facts.moment(
            context, moment.shown, low, before.facts() if before is not None else None,
            after.facts() if after is not None else None, expected_error=moment.sure,
            made_up=moment.made_up, asked=moment.texture, received=moment.received,
            age_s=moment.age_s,
        )  # fmt: skip
        return self._doubt.coded(context, moment.frame, planes)

    def _canvas(self, low: U8, span: UnitSpan) -> U8:
        """A coded picture at the size that is worked at."""
        return resize(low, span.width, span.height) if self._full_size else low

    def _on_canvas(self, picture: U8, like: U8, span: UnitSpan) -> Moment | None:
        """The memory at this unit's sizes: they may differ from the last unit's."""
        if self._memory is None or "no-memory" in self._without:
            return None
        h, w = picture.shape[:2]
        memory = resized(self._memory, w, h, (like.shape[0], like.shape[1]))
        if memory.known is not None:
            memory.known = self._doubt.on_grid(memory.known, tile_grid(span.height, span.width))
        return memory

    def _between(
        self, before: Moment | None, moment: Moment, pair: Pair | None, unit: ReceivedUnit,
        span: UnitSpan, coded: CodedUnit, at: int,
    ) -> DecodedFrame:  # fmt: skip
        """A frame before `moment`, by motion between it and the moment before."""
        frame, fps = span.first_frame + at, float(span.fps)
        assert moment.known is not None
        if before is None or before.known is None or pair is None or before.frame >= frame:
            score = self._doubt.beyond(moment.known, frame, fps)
            shown = self._books.held(moment, unit, span, at, score)
        else:
            alpha = (frame - before.frame) / (moment.frame - before.frame)
            nearest = min(frame - before.frame, moment.frame - frame)
            filled = pair.between(before, moment, alpha)
            ends = (before.frame, moment.frame)
            score = self._doubt.between(before.known, moment.known, ends, pair.facts, frame, fps)
            shown = self._books.between(filled, unit, span, at, nearest, score)
        # The picture of a patch's own moment was lost, or never sent.
        mine = [p for p in coded.patches if p.offset == at]
        return self._books.with_patches(shown, mine, span)

    def _beyond(
        self, unit: ReceivedUnit, span: UnitSpan, at: int, coded: CodedUnit
    ) -> DecodedFrame:
        """A frame that no coded picture reaches: the memory, moved by what D tells of the camera, or,
        where D is lost, on as the camera moved last."""
        ground, there, on = self._moved(unit, span, at)
        fps, d = float(span.fps), unit.descriptors
        known = ground.known or self._doubt.unseen(self._context(coded, span))
        told, by = there is not None, None if on is None else of_tiles(on)
        score = self._doubt.beyond(known, ground.frame, fps, by=by, told=told)
        mine = [p for p in coded.patches if p.offset == at]
        number = self._sources.number(span.boot_id, unit.unit_no, SourcePart.PATCH)
        paste(ground, self._chips.settled(mine, d), number)
        if mine or (told and at == span.frames - 1):
            # What was received here, and how far the camera went, must not be forgotten.
            now = known if by is None else self._doubt.moved(known, by)
            ground.known = replace(now, score=score)
            self._memory = ground
        moment = ground.own()
        if told:
            self._chips.place(moment, d, span.first_frame, fps)
        else:
            self._chips.hold(moment, fps, on)
        paste(moment, mine, number)
        return self._books.beyond(moment, there, unit, span, at, score)

    def _moved(
        self, unit: ReceivedUnit, span: UnitSpan, at: int
    ) -> tuple[Moment, NDArray[np.bool_] | None, NDArray[np.float64] | None]:
        """The memory at the source's size and at frame `at`, with what was known before it was moved;
        which pixels it covers, None where nobody told how far; how it was moved, None: not at all."""
        frame = span.first_frame + at
        m, d, size = self._memory, unit.descriptors, (span.width, span.height)
        if m is None:
            return _blank(*size, frame, self._settings.flow_width_px), None, None
        m = resized(m, *size, (m.grey.shape[0], m.grey.shape[1]))
        if m.known is not None:
            m.known = self._doubt.on_grid(m.known, tile_grid(span.height, span.width))
        path = d.motion_path if d is not None and "no-motion" not in self._without else None
        start = max(0, m.frame - span.first_frame)
        known = span.first_frame - m.frame <= _PATH_GAP_S * span.fps
        matrix = path.between(start, at, *size) if path is not None and known else None
        passed_s = float(Fraction(frame - m.frame) / span.fps)
        covered = None
        if matrix is not None:
            inside = cv2.warpPerspective(np.full(size[::-1], 255, np.uint8), matrix, size)
            covered = np.asarray(inside > 127)
        else:
            matrix = self._camera.on(m.frame / float(span.fps), frame / float(span.fps), size[0])
            if matrix is None:
                return moved(m, np.eye(3), frame, passed_s), None, None
        return moved(m, matrix, frame, passed_s), covered, matrix


def _factor(coded: CodedUnit, span: UnitSpan) -> float:
    """How many times F is smaller than the source, a side."""
    return span.width / coded.lows[0].shape[1] if coded.lows else 1.0


def _blank(width: int, height: int, frame: int, flow_width_px: int) -> Moment:
    picture = np.full((height, width, 3), _GREY, np.uint8)
    shape = cell_shape(height, width)
    zeros = [np.zeros(shape, np.float32) for _ in range(3)]
    return Moment(
        frame=frame, picture=picture, shown=picture, grey=grey(picture, flow_width_px),
        made_up=zeros[0], received=zeros[1], sure=zeros[2], free=np.ones(shape, np.float32),
        age_s=np.full(shape, UNKNOWN_AGE_S, np.float32), origin=np.full(shape, NOWHERE, np.float32),
    )  # fmt: skip
