"""What a mission's pictures were made of, unit by unit: the one pass that all map exports share.

    ShownFrame ... -> UnitFacts (the camera's place, which tiles hold received content) -> MissionFacts

A unit tells the camera's place at its first frame alone. So what was seen is that frame's, there; what
was made up is that of the frame with the most of it, at a place between this unit's and the next one's:
were it the first frame's, too, a unit that begins well and ends in guesses would look well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gvc_base.decode_pass import DecodePass, ShownFrame
from gvc_base.received import received_only
from gvc_base.station.objects import Box, ObjectRows
from gvc_base.timeline import DecodeJob
from gvc_protocol.descriptors import Telemetry
from gvc_protocol.errors import UserError
from gvc_protocol.marks import Mark

__all__ = ["FoundObject", "MissionFacts", "TileMask", "UnitFacts", "collect", "place_at", "unit_of"]

_MADE_UP = (Mark.REGENERATED, Mark.LOST)


@dataclass(frozen=True, slots=True)
class TileMask:
    """Some tiles of a picture, packed: hours of them fit into memory."""

    bits: bytes
    rows: int
    columns: int

    @classmethod
    def of(cls, tiles: NDArray[np.bool_]) -> TileMask:
        """Pack bool[R, C]."""
        rows, columns = tiles.shape
        return cls(np.packbits(tiles).tobytes(), rows, columns)

    def unpack(self) -> NDArray[np.bool_]:
        """bool[R, C]."""
        flat = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=self.rows * self.columns)
        return flat.reshape(self.rows, self.columns).astype(bool)

    @property
    def share(self) -> float:
        """Of all tiles, 0..1."""
        return float(self.unpack().mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObject:
    """An object that the edge found on true pixels."""

    text: str
    box: Box
    "x, y, width, height in source pixels."
    chip: bytes | None
    "PNG of received pixels, its marks burned in; None where none came."


@dataclass(slots=True, kw_only=True)
class UnitFacts:
    """One unit of the timeline; of a lost one nothing is known but when."""

    boot_id: int
    unit_no: int
    first_frame: int
    frames: int
    fps: Fraction
    width: int
    height: int
    received_ns: int
    arrived: bool
    "Something of it came."
    whole: bool
    capture_us: int = 0
    "Exposure of the first frame by the edge's clock, Unix time; 0 unknown."
    telemetry: Telemetry | None = None
    objects: tuple[FoundObject, ...] = ()
    tiles: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Mark), np.int64))
    "Tiles by mark over all frames that were shown."
    seen: TileMask | None = None
    "Of the first frame that was shown: received, carried or enhanced."
    seen_offset: int = 0
    "Which frame that is, counted from the unit's first."
    made_up: TileMask | None = None
    "Of the frame with the most of them: regenerated or lost."
    made_up_offset: int = 0
    "Which frame that is."

    @property
    def shares(self) -> dict[str, float]:
        """Share of the tiles by mark over all frames, 0..1."""
        total = max(1, int(self.tiles.sum()))
        return {mark.name.lower(): round(int(self.tiles[mark]) / total, 4) for mark in Mark}

    @property
    def time_ns(self) -> int:
        """Unix time of the first frame: the edge's where it is told, else when the base had it."""
        return self.capture_us * 1000 if self.capture_us else self.received_ns

    def take(self, shown: ShownFrame) -> None:
        """Count a frame in."""
        mark, offset = shown.frame.mark, shown.frame.frame_no - self.first_frame
        self.tiles += np.bincount(mark.ravel(), minlength=len(Mark))
        made_up = np.isin(mark, _MADE_UP)
        if self.seen is None:
            self.seen, self.seen_offset = TileMask.of(~made_up), offset
        if self.made_up is None or made_up.mean() > self.made_up.share:
            self.made_up, self.made_up_offset = TileMask.of(made_up), offset


@dataclass(slots=True, kw_only=True)
class MissionFacts:
    """One camera's flight."""

    name: str
    "Of the recording."
    label: str
    "Who was heard: authenticated with which key, or not."
    decoder: str = ""
    units: list[UnitFacts] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def end_ns(self) -> int:
        """When the last unit was there: ages count from then."""
        return max((unit.received_ns for unit in self.units), default=0)

    @property
    def placed(self) -> list[UnitFacts]:
        """Units whose place is known, in order."""
        return [unit for unit in self.units if unit.telemetry is not None]


def collect(
    run: DecodePass, name: str, on_frame: Callable[[int, int], None] = lambda _done, _total: None,
    also: Iterable[Callable[[ShownFrame], None]] = (), evidence_alone: bool = False,
) -> MissionFacts:  # fmt: skip
    """Go through a recording.

    Args:
        name: of the recording, for titles.
        on_frame: called with (frames so far, frames of the source or 0).
        also: see every frame, too.
        evidence_alone: look at received evidence instead of the decoder's picture; what is not of this
            moment counts as lost.

    Raises:
        UserError: no unit can be decoded.
    """
    facts = MissionFacts(name=name, label=run.mission.label)
    objects, others, job = ObjectRows(), tuple(also), None
    for done, one in enumerate(run.frames(), 1):
        shown = replace(one, frame=received_only(one.frame)) if evidence_alone else one
        if shown.job is not job:
            job = shown.job
            facts.units.append(unit_of(job, shown.received_ns, objects))
        facts.units[-1].take(shown)
        for other in others:
            other(shown)
        on_frame(done, run.mission.total_frames)
    if not facts.units:
        raise UserError(run.nothing())
    run.mission.fill_report(run.report)
    facts.decoder = run.report.decoder
    facts.notes += [*run.notes(), *run.report.notes]
    return facts


def unit_of(job: DecodeJob, received_ns: int, objects: ObjectRows) -> UnitFacts:
    """A unit before any of its frames."""
    d, span = job.unit.descriptors, job.span
    found = tuple(
        FoundObject(text=o.text, box=o.box, chip=o.chip) for o in objects.of(job)
    )  # fmt: skip
    return UnitFacts(
        boot_id=job.boot_id, unit_no=job.unit.unit_no, first_frame=span.first_frame,
        frames=span.frames, fps=span.fps, width=span.width, height=span.height,
        received_ns=received_ns, arrived=not job.empty, whole=job.unit.whole,
        capture_us=0 if d is None else d.capture_us, telemetry=None if d is None else d.telemetry,
        objects=found,
    )  # fmt: skip


def place_at(unit: UnitFacts, following: UnitFacts | None, offset: int) -> Telemetry:
    """Where the camera was `offset` frames after a unit's first, in a straight line to the next unit.

    Args:
        following: the unit after it, if that is of the same flight and told its place; without it the
            camera is taken to stand still.
    """
    here = unit.telemetry
    assert here is not None
    if following is None or following.boot_id != unit.boot_id:
        return here
    if following.telemetry is None or following.unit_no != unit.unit_no + 1:
        return here
    way = max(1, following.first_frame - unit.first_frame)
    return _between(here, following.telemetry, min(1.0, max(0.0, offset / way)))


def _between(here: Telemetry, there: Telemetry, part: float) -> Telemetry:
    def step(a: int, b: int, turn: int = 0) -> int:
        way = (b - a + turn // 2) % turn - turn // 2 if turn else b - a
        at = a + round(part * way)
        return (at + turn // 2) % turn - turn // 2 if turn else at

    return Telemetry(
        lat_e7=step(here.lat_e7, there.lat_e7),
        lon_e7=step(here.lon_e7, there.lon_e7, 3_600_000_000),
        alt_cm=step(here.alt_cm, there.alt_cm),
        roll_cdeg=step(here.roll_cdeg, there.roll_cdeg, 36_000),
        pitch_cdeg=step(here.pitch_cdeg, there.pitch_cdeg, 36_000),
        yaw_cdeg=step(here.yaw_cdeg, there.yaw_cdeg, 36_000),
    )  # fmt: skip
