"""From received bytes to decode jobs: the code that live, `decode` and replay all run.

(time, bytes) -> LinkReceiver -> UnitReady -> StreamUnits -> DecodeJob
"""

from __future__ import annotations

from collections.abc import Callable

from gvc_base.report import DecodeReport
from gvc_base.resume import RecoveredUnits
from gvc_base.stream_units import StreamUnits
from gvc_base.timeline import DecodeJob
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
        self._boot_id, self._recovered = boot_id, recovered
        self._on_event = on_event
        self._stream = None if stream_id is None else self._follow(stream_id)
        self._other_streams: set[int] = set()

    def _follow(self, stream_id: int) -> StreamUnits:
        return StreamUnits(stream_id, boot_id=self._boot_id, recovered=self._recovered)

    @property
    def total_frames(self) -> int:
        """Frames of the whole source where it is a file, else 0."""
        return 0 if self._stream is None else self._stream.total_frames

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
        return jobs if self._stream is None else jobs + self._stream.close(to_total=to_total)

    def fill_report(self, report: DecodeReport) -> None:
        """Put the link's totals into a report."""
        counters = self._receiver.counters
        report.authenticated, report.key = bool(self._fingerprint), self._fingerprint
        report.air_bytes = counters.bytes_received
        if hidden := counters.rejected.get(RejectReason.ENCRYPTED, 0):
            report.notes.append(f"{hidden} datagrams are encrypted; --key FILE reads them")
        report.packets_received = counters.received
        report.packets_lost = self._receiver.lost_datagrams()
        report.packets_sent = counters.received + report.packets_lost
        report.packets_repaired = counters.repaired_symbols
        report.packets_rejected = {r.name.lower(): n for r, n in counters.rejected.items()}
        report.packets_late, report.packets_duplicate = counters.late, counters.duplicates
        for other in sorted(self._other_streams):
            report.notes.append(f"stream {other} was heard, too; --stream {other} decodes it")
        if self._stream is not None:
            report.payload_bytes = self._stream.payload_bytes
            report.units_whole = self._stream.whole
            report.units_degraded = self._stream.degraded
            report.notes += self._stream.refused()

    def _jobs(self) -> list[DecodeJob]:
        jobs: list[DecodeJob] = []
        while (event := self._receiver.next_event()) is not None:
            self._on_event(event)
            if isinstance(event, UnitReady):
                jobs += self._unit(event)
        return jobs

    def _unit(self, event: UnitReady) -> list[DecodeJob]:
        if self._stream is None:
            self._stream = self._follow(event.stream_id)
        if event.stream_id != self._stream.stream_id:
            self._other_streams.add(event.stream_id)
            return []
        return self._stream.take(event)
