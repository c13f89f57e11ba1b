"""One camera of one link: its units, its decoder, its screen, its channel back. Nothing of it waits for
another camera.

    UnitReady -> StreamUnits -> DecodeQueue (bounded) -> DecodeThread -> Screen
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from gvc_base.backchannel import BaseBackChannel
from gvc_base.console.view import DroneState, EventRow, LinkSample, MapState, Shown, TileSource
from gvc_base.render import mark_share
from gvc_base.report import DecodeReport
from gvc_base.resume import missing_of
from gvc_base.station.decoding import DecodeThread
from gvc_base.station.files import LiveRecording, write_snapshot
from gvc_base.station.ground import GroundMap
from gvc_base.station.notes import event_of, note_detail
from gvc_base.station.objects import NewObject
from gvc_base.station.playout import Scene
from gvc_base.station.queues import DecodeQueue
from gvc_base.station.regions_live import LiveRegions
from gvc_base.station.rows import RowIndex
from gvc_base.station.samples import LinkFacts, LinkSamples, UnitCount
from gvc_base.station.scenes import tile_source, trusted_share
from gvc_base.station.screen import Screen
from gvc_base.station.shared import LinkSetup, Shared
from gvc_base.station.tally import MarkTally
from gvc_base.stream_units import StreamUnits
from gvc_base.timeline import DecodeJob
from gvc_base.truth_score import EVENT, RegionScore
from gvc_profiles.links import LinkState
from gvc_protocol.codec import CodecSpec, ReceivedUnit, UnitDecoder, UnitSpan
from gvc_protocol.events import ReceiverEvent, SessionStarted, UnitReady
from gvc_protocol.params import SECOND
from gvc_protocol.reports import Reception

__all__ = ["StreamRun"]

_NS_S = 1e9
_NO_FPS = Fraction(0)
_DROPPED_TOLD_NS = 30 * SECOND
_WAITING_TOLD = 3


class StreamRun:
    """Its `event`, `packets` and `publish` belong to the link's thread, `tick` to the station's."""

    def __init__(
        self, shared: Shared, setup: LinkSetup, stream_id: int, *, first: bool,
        reception: Callable[[int, int], Reception | None], numbers: Iterator[int],
        radio: Callable[[], LinkState | None],
    ) -> None:  # fmt: skip
        """Args:
        first: the first camera of its link. reception: what was heard of (stream, boot).
        numbers: of commands, shared by the link's cameras. radio: what the link's radio tells.
        """
        self._shared, self._setup = shared, setup
        self.drone_id, self.stream_id = f"{setup.number}-{stream_id}", stream_id
        self._mutex = threading.Lock()
        self._units = StreamUnits(stream_id)
        self._queue = DecodeQueue(shared.options.queue_limit)
        self.report = DecodeReport(quality=shared.options.quality)
        self.rows = RowIndex()
        self._samples, self._facts = LinkSamples(), LinkFacts()
        self._ground = GroundMap(fov_deg=shared.options.fov_deg, ground_m=shared.options.ground_m)
        path = shared.archive.path
        self.regions = LiveRegions(
            path, on_change=lambda: self.screen.refresh(), on_score=self._scored
        )
        self.screen = Screen(shared.now, self.regions.apply)
        plain = first and shared.alone
        self._snapshot = self._named(shared.options.snapshot or path.with_suffix(".png"), plain)
        record = shared.options.record
        self._decoding = DecodeThread(
            shared, self.drone_id, self._queue, self.report,
            recording=LiveRecording(
                None if record is None else self._named(record, plain), shared.label, self._say
            ),
            on_unit=self._begin_unit, on_scene=self.screen.put, on_object=self._object,
            on_marks=self._marks, on_decoder=self._decoder, say=self._say,
        )  # fmt: skip
        self._decoding.start()
        self._boot_id = 0
        self._dropped = self._dropped_ns = 0
        self._heard: Callable[[int, int], Reception | None] = reception
        self._offset_us: int | None = None
        self._snapped = -1
        self._place: tuple[int, int] | None = None
        self.back = BaseBackChannel(
            setup.params, boot_id=setup.boot_id, key=shared.key, mode=setup.profile.backchannel,
            listen_ms=setup.profile.listen_ms, reception=reception,
            waiting=lambda: self._queue.waiting, note=self._note, say=self._say,
            regions=self.regions, stream_id=stream_id,
            pending=self._named(path.with_name(path.name + ".asks.json"), plain),
            ledger=setup.ledger,
            missing=missing_of(shared.archive, stream_id), radio=radio, numbers=numbers,
            on_recovered=self._recovered,
        )  # fmt: skip

    def _named(self, path: Path, plain: bool) -> Path:
        return path if plain else path.with_name(f"{path.stem}-{self.drone_id}{path.suffix}")

    def _say(self, line: str) -> None:
        self._shared.say(line if self._shared.alone else f"{self.drone_id}: {line}")

    # --- the link's thread

    def event(self, event: ReceiverEvent) -> None:
        """Something of this stream was heard."""
        if isinstance(event, SessionStarted):
            with self._mutex:
                self._boot_id, self._offset_us = event.boot_id, None
            self._say(
                f"stream {event.stream_id}, boot {event.boot_id}: heard, {self._shared.label}"
            )
            self._shared.events.add(
                "session", f"start {event.boot_id} of this camera heard, {self._shared.label}",
                drone_id=self.drone_id, time_ns=event.now,
            )  # fmt: skip
        self.back.event(event)
        if isinstance(event, UnitReady):
            state = "whole" if event.unit.whole else "degraded"
            self._say(f"unit {event.unit.unit_no} of stream {event.stream_id}: {state}")
            self._jobs(self._units.take(event), event.now)

    def packets(self, now: int) -> list[bytes]:
        """What is to be sent to this camera."""
        return self.back.packets(now)

    def publish(self, facts: LinkFacts) -> None:
        """The link's totals of this camera."""
        self._facts = replace(facts, heard=self._heard(self.stream_id, self._boot_id))

    @property
    def units(self) -> int:
        """That came so far, whole or not."""
        return self._units.whole + self._units.degraded

    def close(self) -> None:
        """Nothing more will come."""
        self._jobs(self._units.close(to_total=False), self._shared.now())
        self._queue.close()

    def finish(self, timeout_s: float) -> None:
        """Wait for the last picture, and fill the report in."""
        self._decoding.join(timeout_s)
        if (scene := self._decoding.newest) is not None:
            write_snapshot(self._snapshot, self.regions.apply(scene).frame, self._shared.label)
        self.report.payload_bytes = self._units.payload_bytes
        self.report.units_whole, self.report.units_degraded = (
            self._units.whole,
            self._units.degraded,
        )
        self.report.notes += self._units.refused()
        if self._queue.dropped:
            self.report.notes.append(
                f"{self._queue.dropped} units were too many for the live decoder "
                f"({self._queue.policy.value}); `gvc-base decode` shows them"
            )

    def _jobs(self, jobs: list[DecodeJob], now: int) -> None:
        lost: list[int] = []
        for job in jobs:
            self.report.units_sent += 1
            self.report.units_lost += job.empty
            self.report.units_decoded += not job.empty
            lost += [job.unit.unit_no] if job.empty else []
            with self._mutex:
                self._samples.unit_s = float(job.span.frames / job.span.fps)
                self._samples.unit(UnitCount(now, job.unit.whole, job.empty))
                if (d := job.unit.descriptors) is not None and d.ladder is not None:
                    self._samples.ladder_step = d.ladder
            self._queue.put(job)
        if lost:
            many = f"units {lost[0]} to {lost[-1]}" if len(lost) > 1 else f"unit {lost[0]}"
            self._shared.events.add(
                "loss", f"{many} lost: nothing of it came", drone_id=self.drone_id, time_ns=now
            )

    def _note(self, now: int, kind: str, about: dict[str, Any]) -> None:
        """What the channel back has to note: into the archive, onto the list, into our own state."""
        about = {**about, "stream_id": self.stream_id}
        self._shared.archive.record_event(self._setup.session_id, now, kind, about)
        if kind == "clock" and about["authenticated"]:
            self._offset_us = int(about["edge_less_base_us"])
        elif kind == "edge_setting":
            with self._mutex:
                self._samples.rate_bps = about["rate_bps"]
                self._samples.fec_percent = about["fec_percent"]
        elif kind == "asked" and about["kind"] == "region_request":
            x, y, w, h = about["box"]
            scenes = self.screen.recent()
            self.regions.expect(about["id"], about["boot"], about["unit"], (x, y, w, h), scenes)
            scene = self.screen.scene()
            if scene is not None and scene.telemetry is not None:
                size = (scene.frame.pixels.shape[1], scene.frame.pixels.shape[0])
                with self._mutex:
                    self._ground.requested(scene.telemetry, size, (x, y, w, h), now)
        row = event_of(kind, about)
        if row is not None:
            chip = self.regions.picture(about["id"]) if kind == "region_answer" else None
            self._shared.events.add(
                row[0], row[1], drone_id=self.drone_id, time_ns=now, box=row[2], chip=chip
            )

    def _scored(self, ask_id: int, score: RegionScore) -> None:
        """True pixels were compared with what had been shown."""
        session, about = self._setup.session_id, {"id": ask_id, "stream_id": self.stream_id}
        self._shared.archive.record_event(
            session, self._shared.now(), EVENT, {**about, **score.as_json()}
        )
        self._shared.scores.add(score, (session, self.stream_id))
        self._say(f"region {ask_id}: {score.text()}")

    def _recovered(self, boot_id: int, unit: ReceivedUnit) -> None:
        """A lost unit came: not onto the screen, which shows the newest moment, but into the list."""
        d = unit.descriptors
        if d is None:
            return
        span = UnitSpan(
            first_frame=d.first_frame, frames=d.frames, fps=d.fps, width=d.width, height=d.height,
            boot_id=boot_id,
        )  # fmt: skip
        spec = CodecSpec(codec_id=d.codec_id, bitstream_version=d.bitstream_version)

        def show() -> None:
            status = f"unit {unit.unit_no}, recovered later"
            chip = self._decoding.still_of(unit, span, spec, status)
            self._shared.events.add(
                "answer", f"unit {unit.unit_no} of start {boot_id}: came after all",
                drone_id=self.drone_id, chip=chip,
            )  # fmt: skip

        self._queue.put_later(show)

    # --- the decoder's thread

    def _begin_unit(self, job: DecodeJob) -> None:
        d = job.unit.descriptors
        path = None if d is None else d.motion_path
        self.regions.note_unit(job.boot_id, job.unit.unit_no, job.span, path)

    def _object(self, found: NewObject, job: DecodeJob) -> None:
        d = job.unit.descriptors
        if d is not None and d.telemetry is not None:
            with self._mutex:
                self._ground.detection(d.telemetry, (d.width, d.height), found.box, found.text)
        self._shared.events.add(
            "detection", found.text, drone_id=self.drone_id, box=found.box, chip=found.chip
        )

    def _marks(self, tally: MarkTally, job: DecodeJob) -> None:
        row = tally.row(self.stream_id, job.boot_id, job.unit.unit_no)
        self._shared.archive.record_marks(self._setup.session_id, row)

    def _decoder(self, decoder: UnitDecoder) -> None:
        session, now = self._setup.session_id, self._shared.now()
        self._shared.archive.record_model(session, now, decoder)

    # --- the station's thread

    def tick(self, now: int) -> None:
        """Once a second: a sample of the link, the map, the snapshot."""
        if self._queue.dropped > self._dropped:
            self._dropped, self._dropped_ns = self._queue.dropped, now
        with self._mutex:
            sample = self._samples.tick(self._facts, now)
            boot_id = self._boot_id
        self._shared.archive.record_link_sample(
            self._setup.session_id, self.stream_id, boot_id, sample
        )
        shown = self.screen.shown()
        scene = self.screen.scene()
        if shown is None or scene is None or shown.serial == self._snapped:
            return
        self._snapped = shown.serial
        if scene.telemetry is not None and not scene.empty:
            place = (scene.boot_id, scene.frame.unit_no)
            at = scene.capture_us - (self._offset_us or 0) if scene.capture_us else 0
            with self._mutex:
                self._ground.seen(
                    scene.telemetry, scene.frame, at * 1000 or now, moved=place != self._place
                )
            self._place = place
        write_snapshot(self._snapshot, shown.frame, self._shared.label)

    # --- for the console

    def keep_note(self, kind: Literal["note", "bookmark"], text: str) -> EventRow:
        """Put a note or bookmark at the shown moment into the archive, synced, and onto the list."""
        now, scene = self._shared.now(), self.screen.scene()
        about = note_detail(text, self.drone_id, self.stream_id, scene)
        archive = self._shared.archive
        archive.record_event(self._setup.session_id, now, kind, about)
        archive.flush()
        return self._shared.events.add(
            kind, text or "bookmark", drone_id=self.drone_id, time_ns=now
        )

    def slow(self) -> str:
        """A line where the decoder does not keep up: the link is well then, and the picture is not."""
        if self._dropped_ns and self._shared.now() - self._dropped_ns < _DROPPED_TOLD_NS:
            return (
                f"drone {self.drone_id}: this computer decodes too slowly; units that came whole are "
                "shown as lost. All are in the archive: close other programs, or replay later"
            )
        if (waiting := self._queue.waiting) >= _WAITING_TOLD:
            return f"drone {self.drone_id}: the picture is {waiting} units behind what came"
        return ""

    def shown(self, *, after: int, wait_s: float) -> Shown | None:
        """See `StationView.shown`."""
        return self.screen.shown(after=after, wait_s=wait_s)

    def history(self, since_ns: int) -> tuple[LinkSample, ...]:
        """See `StationView.history`."""
        with self._mutex:
            return tuple(row for row in self._samples.rows if row.time_ns > since_ns)

    def map(self) -> MapState:
        """See `StationView.map`."""
        with self._mutex:
            return self._ground.state()

    def tile(self, row: int, column: int) -> TileSource | None:
        """See `StationView.tile`."""
        return tile_source(self.screen.scene(), row, column, self.rows)

    def state(self) -> DroneState:
        """See `StationView.drones`."""
        shown, scene = self.screen.shown(), self.screen.scene()
        now = self._shared.now()
        with self._mutex:
            health = self._samples.health(now)
            sample = self._samples.rows[-1] if self._samples.rows else None
        common: dict[str, Any] = {
            "drone_id": self.drone_id, "link_url": self._setup.url,
            "profile_id": self._setup.profile.id, "stream_id": self.stream_id,
            "label": self._shared.label, "health": health, "decoder": self._decoding.label,
            "sample": sample, "can_ask": not self.back.why_not, "why_not": self.back.why_not,
        }  # fmt: skip
        if shown is None or scene is None:
            return DroneState(
                **common, boot_id=self._boot_id, unit_no=-1, frame_no=-1, width=0, height=0,
                fps=_NO_FPS, capture_us=0, latency_s=None,
            )  # fmt: skip
        frame = shown.frame
        return DroneState(
            **common, boot_id=shown.boot_id, unit_no=frame.unit_no, frame_no=frame.frame_no,
            width=frame.pixels.shape[1], height=frame.pixels.shape[0], fps=scene.fps,
            capture_us=scene.capture_us, latency_s=self._latency_s(scene, shown.shown_ns),
            mark_share={m.name.lower(): share for m, share in mark_share(frame).items()},
            trusted=trusted_share(frame),
        )  # fmt: skip

    def _latency_s(self, scene: Scene, shown_ns: int) -> float | None:
        if self._offset_us is None or not scene.capture_us:
            return None
        return shown_ns / _NS_S - (scene.capture_us - self._offset_us) / 1e6
