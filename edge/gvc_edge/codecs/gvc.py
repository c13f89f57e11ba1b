"""Codec 1 encoder: a reduced stream by whichever of its tools gives more, in layers that may be lost.

    begin: step of the ladder from the last unit's QP -> push: reduce at once, keep sampled pictures only
    close: VVC or AV1 at the QP that fills the budget -> index, parameter sets, lowest layer: K; rest: F

The tools are compared on the first unit and now and then after it: same pictures, same bytes, the
smaller error wins and stays until the next comparison. For a file, so are other sizes and frame rates
(`gvc_trial`). Where the stream would be of stills only, one still that D's motion path carries, with
chips of the objects, is tried against it on every unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from gvc_edge.codecs import av1, vvc
from gvc_edge.codecs.av1 import Picture
from gvc_edge.codecs.gvc_ladder import (
    STEPS,
    Step,
    coded_size,
    first_guess,
    next_step,
    qp_for,
    spacing,
    within,
)
from gvc_edge.codecs.gvc_patches import RECORDS_SHARE, Lowest
from gvc_edge.codecs.gvc_tools import Coded, Tools, Wanted
from gvc_edge.codecs.gvc_trial import CLEARLY, SMALLER, Form, Trial
from gvc_protocol.classical import coded_offsets
from gvc_protocol.codec import CodecId, CodecSpec, SourceFrame
from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.gvc1 import BITSTREAM_VERSION, MAX_LAYER, MAX_STEP, GvcUnit, Tool
from gvc_protocol.motion_path import MotionPath
from gvc_protocol.objects import Track
from gvc_protocol.truth import Proxy

__all__ = ["MINIMUM_PAYLOAD", "GvcEncoder"]

MINIMUM_PAYLOAD = 110
"Bytes of a unit from which on a picture shows more than that there is one; units are made this long."
_LEAST_STILL_PAYLOAD = 70
"Bytes below which a unit comes out empty: an AV1 still of 64 x 64 takes 50, its head 16."

_NO_ERROR = 1e-6
"Nothing is below it: a form without any error stays."
_COMPARE_EVERY = 8
_PICTURE_BYTES, _HEADERS_SHARE = 20, 0.3
"A picture in which nothing happens takes some 15 bytes of VVC and 3 of the index."
_QP_PER_CRF = 0.5
"A step of CRF takes 6 % of AV1's bytes, a step of QP 12 % of VVC's."
_FINER_STEPS, _MOST_HELD = 2, 64_000_000
"For the first unit of a file; bytes of pictures that may be held for it."
_STILLS, _LOWEST = 2, 3
"Levels of the ladder."


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
        self._tools = Tools(live=live)
        self._live = live
        self._tool: Tool | None = None
        self._units_since = 0
        self._index, self._qp = 3, 36.0
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
        self._bounds, self._fresh = (0, _LOWEST), False
        self._shown: list[tuple[int, Picture]] = []
        self._trial: Trial | None = None
        self._form: Form | None = None
        self._tried_at, self._since_trial = -1, 0

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

    @property
    def fallbacks(self) -> int:
        """Units for which VVenC failed and AV1 stood in."""
        return self._tools.fallbacks

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
        self._sampled, self._newest = [], None
        self._tools.begin()
        self._index, self._qp = self._plan(payload_bytes)
        self._shown = []
        self._stills = STEPS[self._index].level >= _STILLS and payload_bytes >= _LEAST_STILL_PAYLOAD
        guessed = STEPS[self._index]
        if not (self._known or self._live or self._stills):
            self._from_finer()
        self._last_size = max(1, payload_bytes)
        if self._tried_at != self._index or self._crowded(self._index, payload_bytes):
            self._form = None
        self._set_step()
        self._begin_trial(guessed)
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
            if self._trial is not None:
                self._trial.push(frame.pixels, self._count)
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
        unit = self._lower(self._tried(self._code()))
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
        try:
            qp = self._tools.expect(self._wanted(), self._qp)
        except vvc.VvcError:
            # The unit's own encode meets the same fault, and counts it.
            return
        index, wanted = next_step(self._index, qp)
        while self._index < index:
            self._coarser()
        self._qp = wanted

    def _crowded(self, index: int, payload: int) -> bool:
        """True where the pictures' headers and the index alone would take too much of the bytes."""
        apart = spacing(STEPS[index], self._fps)
        if self._form is not None and index == self._tried_at:
            apart = self._form.spacing
        return self._is_crowded(apart, payload)

    def _is_crowded(self, apart: int, payload: int) -> bool:
        pictures = -(-self._unit_frames // apart) + 1
        return pictures * _PICTURE_BYTES > _HEADERS_SHARE * payload

    def _set_step(self) -> None:
        step = STEPS[self._index]
        self._spacing = spacing(step, self._fps)
        self._size = coded_size(self._width, self._height, step.scale)
        if self._form is not None:
            self._spacing, self._size = self._form.spacing, (self._form.width, self._form.height)

    def _begin_trial(self, step: Step) -> None:
        """Is it time to try other forms on this unit?"""
        self._trial, self._since_trial = None, self._since_trial + 1
        due = self._tried_at != self._index or self._since_trial >= _COMPARE_EVERY
        if self._live or self._stills or not due or self._payload < MINIMUM_PAYLOAD:
            return
        self._form = None
        self._set_step()
        self._trial = Trial((self._width, self._height), self._fps, self._unit_frames)
        self._trial.enter(step.scale, spacing(step, self._fps))

    def _tried(self, coded: Coded | None) -> Coded | None:
        """The unit in the form that shows most of all its frames."""
        trial, self._trial = self._trial, None
        if trial is None or coded is None or STEPS[self._index].level >= _STILLS:
            return coded
        best, least, own_width = coded, 1.0, coded.pictures[0].shape[1]
        own = trial.error(self._offsets(coded), coded.pictures)
        kept = self._wanted()
        for form, pictures in trial.forms():
            if self._is_crowded(form.spacing, self._payload):
                continue
            self._spacing = form.spacing
            wanted = replace(kept, pictures=pictures, spacing=form.spacing)
            rival = self._tools.code(Tool.VVC, wanted, self._qp)
            if rival is None or rival.unit.tool != Tool.VVC:
                continue
            error = trial.error(self._offsets(rival), rival.pictures)
            same = form.width == own_width
            mine, needed = (own[0], CLEARLY) if same else (own[1], SMALLER)
            ratio = error[not same] / max(_NO_ERROR, needed * mine)
            if ratio < least:
                best, least, self._form = rival, ratio, form
        if self._form is not None:
            self._qp, self._last_size, self._tool = best.quantiser, best.size, Tool.VVC
        self._spacing = self._form.spacing if self._form is not None else kept.spacing
        self._tried_at, self._since_trial = self._index, 0
        return best

    def _lower(self, coded: Coded | None) -> GvcUnit | None:
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

    def _offsets(self, coded: Coded) -> Sequence[int]:
        """Frames that the stream has a picture of; the lowest step may have kept the first alone."""
        return coded_offsets(self._spacing, self._count - 1)[: len(coded.pictures)]

    def _code(self) -> Coded | None:
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
        before, self._form = self._spacing, None
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

    def _best(self) -> Coded | None:
        """The stream of the tool in use; of both where it is time to compare."""
        self._units_since += 1
        compare = self._tool is None or self._units_since >= _COMPARE_EVERY
        tools = (Tool.VVC, Tool.AV1) if compare else (self._tool or Tool.VVC,)
        crf = self._tools.crf
        found = {tool: self._by(tool) for tool in tools}
        coded = {tool: c for tool, c in found.items() if c is not None}
        if not coded and not compare:
            other = Tool.AV1 if self._tool == Tool.VVC else Tool.VVC
            if (stream := self._by(other)) is not None:
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

    def _by(self, tool: Tool) -> Coded | None:
        """The pictures at hand by one tool."""
        coded = self._tools.code(tool, self._wanted(), self._qp)
        if coded is None and tool == Tool.VVC:
            self._qp = float(vvc.MAX_QP)
        return coded

    def _wanted(self) -> Wanted:
        return Wanted(
            pictures=self._sampled, spacing=self._spacing, last=self._count - 1, fps=self._fps,
            payload=self._payload,
        )  # fmt: skip
