"""One stream's units to decode jobs, boot after boot: what live, `decode` and replay share.

UnitReady -> (recovered units of the gap before it) -> Timeline (one a boot) -> DecodeJob
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gvc_base.resume import RecoveredUnits
from gvc_base.timeline import DecodeJob, Timeline
from gvc_protocol.codec import UnitSpan
from gvc_protocol.events import UnitReady

__all__ = ["StreamUnits"]


class StreamUnits:
    """One camera as the base follows it. Sans-IO."""

    def __init__(
        self, stream_id: int, *, boot_id: int | None = None,
        recovered: RecoveredUnits | None = None,
    ) -> None:  # fmt: skip
        """Args:
        boot_id: only this start of the edge; None for all, one after the other.
        recovered: units that came later, to be put in their place; None in a live mission.
        """
        self.stream_id = stream_id
        self._boot_id = boot_id
        self._recovered = recovered or RecoveredUnits()
        self._next_unit: dict[int, int] = {}
        self._closed_at = 0
        self._timelines: dict[int, Timeline] = {}
        self.payload_bytes = 0
        self.whole = 0
        self.degraded = 0

    @property
    def total_frames(self) -> int:
        """Frames of the whole source where it is a file, else 0."""
        known = [t.known.total_frames for t in self._timelines.values() if t.known is not None]
        return known[-1] if known else 0

    def refused(self) -> Iterator[str]:
        """A line for each unit that did not fit."""
        for boot, timeline in self._timelines.items():
            yield from (f"boot {boot}, {line}" for line in timeline.refused)

    def place_of(self, boot_id: int, unit_no: int) -> UnitSpan | None:
        """The stretch of the source's timeline that a unit of a known boot covers, about."""
        timeline = self._timelines.get(boot_id)
        return None if timeline is None else timeline.place_of(unit_no)

    def take(self, event: UnitReady) -> list[DecodeJob]:
        """The jobs that this unit makes possible."""
        if self._boot_id is not None and event.boot_id != self._boot_id:
            return []
        jobs: list[DecodeJob] = []
        if event.boot_id not in self._timelines and self._timelines:
            jobs = self._tail(list(self._timelines)[-1])  # an earlier boot ends here
        return jobs + [job for e in self._with_recovered(event) for job in self._place(e)]

    def close(self, *, to_total: bool) -> list[DecodeJob]:
        """No more units. `to_total`: fill a file's lost tail."""
        if not self._timelines:
            return []
        # Only the boot that was on the air last: an earlier one ended where the next began.
        last = list(self._timelines)[-1]
        return self._tail(last) + self._timelines[last].finish(to_total=to_total)

    def _with_recovered(self, event: UnitReady) -> list[UnitReady]:
        """The unit, or what came of it later, and before it the recovered ones of the gap."""
        boot, number = event.boot_id, event.unit.unit_no
        first = self._next_unit.get(boot, 0)
        self._next_unit[boot], self._closed_at = number + 1, event.now
        gap = self._recovered.between(boot, first, number)
        later = None if event.unit.whole else self._recovered.get(boot, number)
        return [replace(event, unit=u) for u in (*gap, later or event.unit)]

    def _tail(self, boot: int) -> list[DecodeJob]:
        """Recovered units of a boot behind the last of it that came in its time."""
        units = self._recovered.between(boot, self._next_unit.get(boot, 0), None)
        events = [
            UnitReady(stream_id=self.stream_id, boot_id=boot, unit=u, now=self._closed_at)
            for u in units
        ]
        return [job for e in events for job in self._place(e)]

    def _place(self, event: UnitReady) -> list[DecodeJob]:
        unit = event.unit
        parts = (unit.keyframe, unit.features)
        self.payload_bytes += sum(len(data) for part in parts for _, data in part.ranges)
        self.payload_bytes += len(unit.descriptors.pack()) if unit.descriptors is not None else 0
        self.whole += unit.whole
        self.degraded += not unit.whole
        return self._timelines.setdefault(event.boot_id, Timeline(event.boot_id)).add(event)
