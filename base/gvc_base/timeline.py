"""Received units to decode jobs on the source's own timeline: every frame once, gaps named.

A unit whose D was lost is placed by its number; a unit of which nothing came becomes an empty job, so
that what was lost is shown as lost and the frames after it stay aligned with the source.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gvc_protocol.codec import CodecSpec, ReceivedUnit, UnitSpan
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.events import UnitReady

__all__ = ["DecodeJob", "Timeline"]

_MAX_LEADING_S = 120
"A longer stretch before the first unit is a base that joined late, not a loss to be filled."

_MAX_TAIL_S = 4 * 3600
_SLACK_UNITS = 8
_MAX_WAITING = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeJob:
    """One unit, or one missing unit, and the frames it stands for."""

    unit: ReceivedUnit
    span: UnitSpan
    spec: CodecSpec
    first_new_frame: int
    "Frames below this number were given by an earlier job and must not be shown again."
    boot_id: int = 0

    @property
    def empty(self) -> bool:
        """True when nothing of the unit arrived."""
        u = self.unit
        return u.descriptors is None and not u.keyframe.ranges and not u.features.ranges

    def as_lost(self) -> DecodeJob:
        """The same stretch with nothing received: what a dropped job turns into."""
        return replace(self, unit=ReceivedUnit(unit_no=self.unit.unit_no))


class Timeline:
    """State of one stream and boot."""

    def __init__(self, boot_id: int = 0) -> None:
        self._boot_id = boot_id
        self._known: Descriptors | None = None
        self._unit_frames = 0
        self._next_frame = 0
        self._next_unit = 0
        self._last_ns: int | None = None
        self._waiting: list[UnitReady] = []
        self.refused: list[str] = []
        "One line for each unit that did not fit the stream: another size, or an impossible time."

    @property
    def known(self) -> Descriptors | None:
        """The newest descriptors that fit this stream."""
        return self._known

    def place_of(self, unit_no: int) -> UnitSpan | None:
        """Where a unit of usual length lies; None while no D told the stream's form."""
        if self._known is None:
            return None
        d, first = self._known, self._next_frame + (unit_no - self._next_unit) * self._unit_frames
        return UnitSpan(
            first_frame=max(0, first), frames=self._unit_frames, fps=d.fps, width=d.width,
            height=d.height,
        )  # fmt: skip

    def add(self, event: UnitReady) -> list[DecodeJob]:
        """Jobs, in order, that this unit makes possible; none while no D has come yet."""
        d = event.unit.descriptors
        if self._known is None:
            if d is None:
                self._waiting = [*self._waiting, event][-_MAX_WAITING:]
                return []
            self._begin(d, event.unit.unit_no)
            earlier, self._waiting = self._waiting, []
            jobs = [job for e in earlier for job in self._place(e)]
            return jobs + self._place(event)
        return self._place(event)

    def finish(self, *, to_total: bool) -> list[DecodeJob]:
        """No more units. With `to_total`, the lost tail up to the source's known length."""
        if self._known is None or not to_total:
            return []
        limit = self._next_frame + int(_MAX_TAIL_S * self._known.fps)
        return self._gap(min(self._known.total_frames, limit))

    def _begin(self, d: Descriptors, unit_no: int) -> None:
        self._known = d
        # The last unit of a file may be short; the number of frames before it tells the usual length.
        whole = d.first_frame // unit_no if unit_no and d.first_frame else d.frames
        self._unit_frames = max(1, whole)
        if d.first_frame > _MAX_LEADING_S * d.fps:
            first = self._waiting[0].unit.unit_no if self._waiting else unit_no
            self._next_unit = first
            self._next_frame = max(0, d.first_frame - (unit_no - first) * self._unit_frames)

    def _place(self, event: UnitReady) -> list[DecodeJob]:
        assert self._known is not None
        unit, known = event.unit, self._known
        predicted = self._next_frame + (unit.unit_no - self._next_unit) * self._unit_frames
        d = unit.descriptors
        if d is not None and (reason := self._misfit(d)):
            self.refused.append(f"unit {unit.unit_no}: {reason}")
            unit, d = ReceivedUnit(unit_no=unit.unit_no), None
        first = d.first_frame if d is not None else max(0, predicted)
        frames = d.frames if d is not None else self._unit_frames
        if d is None and known.total_frames:
            frames = max(0, min(frames, known.total_frames - first))
        if not self._plausible(first, event.now):
            self.refused.append(f"unit {unit.unit_no}: frame {first} is too far ahead")
            return []
        if d is not None:
            self._known = d
        jobs = self._gap(first)
        if first + frames > self._next_frame:
            jobs.append(self._job(unit, first, frames))
        self._next_unit = unit.unit_no + 1
        self._last_ns = event.now
        return jobs

    def _misfit(self, d: Descriptors) -> str:
        known = self._known
        assert known is not None
        if (d.width, d.height, d.fps) != (known.width, known.height, known.fps):
            return f"{d.width}x{d.height} at {d.fps} in a stream of {known.width}x{known.height}"
        if (d.codec_id, d.bitstream_version) != (known.codec_id, known.bitstream_version):
            return f"codec {d.codec_id} version {d.bitstream_version} in a stream of another"
        return ""

    def _plausible(self, first: int, now: int) -> bool:
        """A camera cannot be further ahead than time has passed: a wrong number is not believed."""
        assert self._known is not None
        ahead = first - self._next_frame
        slack = _SLACK_UNITS * self._unit_frames
        if self._last_ns is None:
            return ahead <= _MAX_LEADING_S * self._known.fps + slack
        return ahead <= (now - self._last_ns) * self._known.fps / 10**9 + slack

    def _gap(self, until_frame: int) -> list[DecodeJob]:
        jobs = []
        while self._next_frame < until_frame:
            frames = min(self._unit_frames, until_frame - self._next_frame)
            jobs.append(self._job(ReceivedUnit(unit_no=self._next_unit), self._next_frame, frames))
            self._next_unit += 1
        return jobs

    def _job(self, unit: ReceivedUnit, first: int, frames: int) -> DecodeJob:
        assert self._known is not None
        d = self._known
        span = UnitSpan(
            first_frame=first, frames=frames, fps=d.fps, width=d.width, height=d.height,
            boot_id=self._boot_id,
        )  # fmt: skip
        spec = CodecSpec(codec_id=d.codec_id, bitstream_version=d.bitstream_version)
        job = DecodeJob(
            unit=unit, span=span, spec=spec, first_new_frame=self._next_frame,
            boot_id=self._boot_id,
        )  # fmt: skip
        self._next_frame = max(self._next_frame, first + frames)
        return job
