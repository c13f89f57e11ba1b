"""From received bytes to decode jobs: the code that live, `decode` and replay all run.

(time, bytes) -> LinkReceiver -> UnitReady -> Timeline (one a boot) -> DecodeJob
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gvc_base.report import DecodeReport
from gvc_base.resume import RecoveredUnits
from gvc_base.timeline import DecodeJob, Timeline
from gvc_protocol.auth import LinkKey, auth_label
from gvc_protocol.events import ReceiverEvent, UnitReady
from gvc_protocol.params import LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.replay import ReplayGuard
from gvc_protocol.reports import Reception
from gvc_protocol.wire import RejectReason

__all__ = ["Mission"]


class Mission:
    """One stream as the base follows it. Sans-IO: the caller gives bytes and time."""

    def __init__(
        self, params: LinkParams, *, stream_id: int | None = None, boot_id: int | None = None,
        on_event: Callable[[ReceiverEvent], None] = lambda _: None,
        key: LinkKey | None = None, replay: ReplayGuard | None = None,
        recovered: RecoveredUnits | None = None,
    ) -> None:  # fmt: skip
        """Args:
        stream_id: the camera to follow; None follows the first that is heard.
        boot_id: only this start of the edge; None for all, one after the other.
        on_event: sees every event of every stream, for the log.
        key: with it nothing else is believed. replay: what was believed before.
        recovered: units that came later, to be put in their place; None in a live mission.
        """
        self._receiver = LinkReceiver(params, key=key, replay=replay)
        self._fingerprint = "" if key is None else key.fingerprint
        self._stream_id, self._boot_id = stream_id, boot_id
        self._on_event = on_event
        self._recovered = recovered or RecoveredUnits()
        self._next_unit: dict[int, int] = {}
        self._closed_at = 0
        self._timelines: dict[int, Timeline] = {}
        self._other_streams: set[int] = set()
        self._payload = 0
        self._whole = self._degraded = 0

    @property
    def total_frames(self) -> int:
        """Frames of the whole source where it is a file, else 0."""
        known = [t.known.total_frames for t in self._timelines.values() if t.known is not None]
        return known[-1] if known else 0

    @property
    def label(self) -> str:
        """What every screen says: authenticated, with which key, or not."""
        return auth_label(self._fingerprint)

    @property
    def refused(self) -> dict[RejectReason, int]:
        """Datagrams refused so far, by reason."""
        return self._receiver.counters.rejected

    def reception(self, stream_id: int, boot_id: int) -> Reception | None:
        """What was heard of a stream and boot, for a report to the edge."""
        return self._receiver.reception(stream_id, boot_id)

    def receive(self, data: bytes, now: int) -> list[DecodeJob]:
        """Feed what the link gave; returns the jobs it made possible."""
        self._receiver.receive(data, now)
        return self._jobs()

    def next_timer(self) -> int | None:
        """When `handle_timer` has something to do."""
        return self._receiver.next_timer()

    def handle_timer(self, now: int) -> list[DecodeJob]:
        """Close what is due."""
        self._receiver.handle_timer(now)
        return self._jobs()

    def close(self, now: int, *, to_total: bool) -> list[DecodeJob]:
        """The recording or the mission is over. `to_total`: fill a file's lost tail."""
        self._receiver.close(now)
        jobs = self._jobs()
        if self._timelines:
            # Only the boot that was on the air last: an earlier one ended where the next began.
            last = list(self._timelines)[-1]
            jobs += self._tail(last)
            jobs += self._timelines[last].finish(to_total=to_total)
        return jobs

    def fill_report(self, report: DecodeReport) -> None:
        """Put the link's totals into a report."""
        counters = self._receiver.counters
        report.authenticated, report.key = bool(self._fingerprint), self._fingerprint
        report.air_bytes = counters.bytes_received
        if hidden := counters.rejected.get(RejectReason.ENCRYPTED, 0):
            report.notes.append(f"{hidden} datagrams are encrypted; --key FILE reads them")
        report.payload_bytes = self._payload
        report.packets_received = counters.received
        report.packets_lost = self._receiver.lost_datagrams()
        report.packets_sent = counters.received + report.packets_lost
        report.packets_repaired = counters.repaired_symbols
        report.packets_rejected = {r.name.lower(): n for r, n in counters.rejected.items()}
        report.packets_late, report.packets_duplicate = counters.late, counters.duplicates
        report.units_whole, report.units_degraded = self._whole, self._degraded
        for other in sorted(self._other_streams):
            report.notes.append(f"stream {other} was heard, too; --stream {other} decodes it")
        for boot, timeline in self._timelines.items():
            report.notes += [f"boot {boot}, {line}" for line in timeline.refused]

    def _jobs(self) -> list[DecodeJob]:
        jobs: list[DecodeJob] = []
        while (event := self._receiver.next_event()) is not None:
            self._on_event(event)
            if isinstance(event, UnitReady):
                jobs += self._unit(event)
        return jobs

    def _unit(self, event: UnitReady) -> list[DecodeJob]:
        if self._stream_id is None:
            self._stream_id = event.stream_id
        if event.stream_id != self._stream_id:
            self._other_streams.add(event.stream_id)
            return []
        if self._boot_id is not None and event.boot_id != self._boot_id:
            return []
        jobs: list[DecodeJob] = []
        if event.boot_id not in self._timelines and self._timelines:
            jobs = self._tail(list(self._timelines)[-1])  # an earlier boot ends here
        return jobs + [job for e in self._with_recovered(event) for job in self._place(e)]

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
        stream = self._stream_id or 0
        events = [
            UnitReady(stream_id=stream, boot_id=boot, unit=u, now=self._closed_at) for u in units
        ]
        return [job for e in events for job in self._place(e)]

    def _place(self, event: UnitReady) -> list[DecodeJob]:
        unit = event.unit
        parts = (unit.keyframe, unit.features)
        self._payload += sum(len(data) for part in parts for _, data in part.ranges)
        self._payload += len(unit.descriptors.pack()) if unit.descriptors is not None else 0
        self._whole += unit.whole
        self._degraded += not unit.whole
        return self._timelines.setdefault(event.boot_id, Timeline(event.boot_id)).add(event)
