"""`gvc-base run`: store, then parse, then decode; a slow decoder never slows the store.

    ByteLink -> Archive (committed) -> Mission -> DecodeQueue (bounded) -> decoder thread -> live picture

Everything that is lost in here is a picture of this moment only: the archive has every byte, and
`gvc-base decode MISSION.db` gives the same pictures again, all of them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from enum import Enum
from pathlib import Path

import cv2

from gvc_base.archive import Archive
from gvc_base.asks import AskServer
from gvc_base.backchannel import BaseBackChannel
from gvc_base.decoders import Backend, make_decoder
from gvc_base.mission import Mission
from gvc_base.refusals import RefusalTeller
from gvc_base.regions import RegionFiles
from gvc_base.render import overlay
from gvc_base.report import DecodeReport
from gvc_base.resume import missing_of
from gvc_base.timeline import DecodeJob
from gvc_base.video import Mp4Writer
from gvc_profiles.clock import steady_clock
from gvc_profiles.links import ByteLink, state_of
from gvc_profiles.links.backoff import Backoff
from gvc_profiles.replay_store import ReplayStore
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import DecodedFrame, Quality, UnitDecoder
from gvc_protocol.errors import UserError
from gvc_protocol.events import ReceiverEvent, SessionStarted, UnitReady
from gvc_protocol.ledger import AirtimeLedger
from gvc_protocol.params import LinkParams

__all__ = ["DecodeQueue", "DropPolicy", "LiveBase"]

_POLL_S = 0.2
_SNAPSHOT_S = 1.0
_MUTE_NS = 60 * 10**9


class DropPolicy(Enum):
    """What gives way when units come faster than they are decoded."""

    OLDEST_AS_LOST = "oldest-as-lost"
    """The oldest waiting unit is shown as lost: the operator wants the newest picture, the timeline
    stays whole, and the archive still has the unit for `decode`."""


class DecodeQueue:
    """Bounded queue of decode jobs between the receiver and the decoder thread."""

    def __init__(self, limit: int, policy: DropPolicy = DropPolicy.OLDEST_AS_LOST) -> None:
        self.policy = policy
        self.dropped = 0
        self._limit = limit
        self._jobs: deque[DecodeJob] = deque()
        self._wanted = threading.Condition()
        self._closed = False

    def put(self, job: DecodeJob) -> None:
        """Add a job; over the limit the oldest real one turns into a lost one. Never blocks."""
        with self._wanted:
            self._jobs.append(job)
            waiting = [i for i, j in enumerate(self._jobs) if not j.empty]
            if len(waiting) > self._limit:
                self._jobs[waiting[0]] = self._jobs[waiting[0]].as_lost()
                self.dropped += 1
            self._wanted.notify()

    @property
    def waiting(self) -> int:
        """Units that wait."""
        return len(self._jobs)

    def close(self) -> None:
        """No more jobs; `get` gives what is left, then None."""
        with self._wanted:
            self._closed = True
            self._wanted.notify_all()

    def get(self) -> DecodeJob | None:
        """The next job, waiting for it; None when closed and empty."""
        with self._wanted:
            while not self._jobs:
                if self._closed:
                    return None
                self._wanted.wait()
            return self._jobs.popleft()


class LiveBase:
    """One link, one archive session, one live picture."""

    def __init__(
        self, link: ByteLink, archive: Archive, params: LinkParams, *, session_id: int,
        quality: Quality, snapshot: Path, record: Path | None, queue_limit: int,
        stream_id: int | None, say: Callable[[str], None],
        on_ack: Callable[[int, int], None] = lambda _row, _count: None, backend: Backend = "auto",
        key: LinkKey | None = None, replay: ReplayStore | None = None, boot_id: int = 1,
        back_mode: str = "none", listen_ms: float = 0.0, ledger: AirtimeLedger | None = None,
    ) -> None:  # fmt: skip
        """Args:
        snapshot: PNG that always holds the newest picture, marks burned in.
        record: fragmented MP4 of the live picture, marks burned in; None for none.
        on_ack: called with (last archive row, rows) after each commit.
        key: with it nothing else is believed. replay: what was believed before, kept on disk.
        boot_id: of this start; back_mode, listen_ms: the way to the edge, see `BaseBackChannel`.
        """
        self._link, self._archive, self._session_id = link, archive, session_id
        self._replay = replay
        guard = None if replay is None else replay.guard
        self._mission = Mission(
            params, stream_id=stream_id, on_event=self._log, key=key, replay=guard
        )
        self._refused = RefusalTeller(say)
        self._quality, self._backend, self._snapshot, self._record = (
            quality,
            backend,
            snapshot,
            record,
        )
        self._queue = DecodeQueue(queue_limit)
        self._say, self._on_ack = say, on_ack
        self._stop = threading.Event()
        self._stats = DecodeReport(quality=quality)
        self._down = False
        self._backoff = Backoff()
        self._now = steady_clock()
        self._muted_until = 0
        path = archive.path
        self._back = BaseBackChannel(
            params, boot_id=boot_id, key=key, mode=back_mode, listen_ms=listen_ms,
            reception=self._mission.reception, waiting=lambda: self._queue.waiting,
            note=lambda now, kind, about: archive.record_event(session_id, now, kind, about),
            say=say, regions=RegionFiles(path), stream_id=stream_id,
            pending=path.with_name(path.name + ".asks.json"), ledger=ledger,
            missing=missing_of(archive, stream_id), radio=lambda: state_of(link),
        )  # fmt: skip
        self._door = AskServer(path, self._back, self._now, say)

    def stop(self) -> None:
        """End the mission: close open units, finish the picture, return from `run`."""
        self._stop.set()

    def run(self, *, seconds: float | None = None) -> DecodeReport:
        """Receive until `stop` or for so many seconds."""
        decoder = threading.Thread(target=self._decode_loop, name="decode", daemon=True)
        decoder.start()
        until = None if seconds is None else time.monotonic() + seconds
        while not self._stop.is_set() and (until is None or time.monotonic() < until):
            self._step()
        self._door.close()
        if self._replay is not None:
            self._replay.save()
        ended = self._now()
        # An exact replay needs the moment at which open units were closed.
        self._archive.record_event(self._session_id, ended, "session_ended", {})
        self._jobs(self._mission.close(ended, to_total=False))
        self._queue.close()
        decoder.join(timeout=60)
        self._archive.flush()
        self._mission.fill_report(self._stats)
        stats = self._stats
        stats.air_bps = stats.air_bytes * 8 / stats.seconds if stats.seconds else 0.0
        if self._queue.dropped:
            stats.notes.append(
                f"{self._queue.dropped} units were too many for the live decoder "
                f"({self._queue.policy.value}); `gvc-base decode` shows them"
            )
        return stats

    def _step(self) -> None:
        try:
            got = self._link.receive(self._wait_s())
        except OSError as error:
            self._reconnect(error)
            return
        now = self._now()
        if got:
            # On disk first: a crash from here on loses no received byte.
            row = self._archive.append(
                self._session_id, [(now, item.source, item.data) for item in got]
            )
            self._on_ack(row, len(got))
        for item in got:
            self._jobs(self._mission.receive(item.data, now))
        self._jobs(self._mission.handle_timer(now))
        self._talk(now)
        self._refused.tick(self._mission.refused, now)
        if self._replay is not None:
            self._replay.tick(now)
            self._refused.problem(self._replay.problem)

    def _talk(self, now: int) -> None:
        """Send the edge what is due. A port that takes nothing must not keep us from listening."""
        if now < self._muted_until:
            return
        try:
            for packet in self._back.packets(now):
                self._link.send(packet)
        except OSError as error:
            self._muted_until = now + _MUTE_NS
            self._say(f"cannot send to the edge ({error}); trying again in a minute")

    def _wait_s(self) -> float:
        due = self._mission.next_timer()
        if due is None:
            return _POLL_S
        return min(_POLL_S, max(0.001, (due - self._now()) / 1e9))

    def _reconnect(self, error: OSError) -> None:
        if not self._down:
            self._say(f"link is down ({error}); trying again")
        self._down = True
        self._stop.wait(self._backoff.wait_s())
        with suppress(OSError):
            self._link.reopen()
            self._down = False
            self._backoff.reset()
            self._say("link is back")

    def _jobs(self, jobs: list[DecodeJob]) -> None:
        for job in jobs:
            self._stats.units_sent += 1
            self._stats.units_lost += job.empty
            self._stats.units_decoded += not job.empty
            self._queue.put(job)

    def _log(self, event: ReceiverEvent) -> None:
        """Derived rows of the archive and one line for the operator."""
        self._archive.record(self._session_id, event)
        self._back.event(event)
        if isinstance(event, UnitReady):
            state = "whole" if event.unit.whole else "degraded"
            self._say(f"unit {event.unit.unit_no} of stream {event.stream_id}: {state}")
        elif isinstance(event, SessionStarted):
            self._say(
                f"stream {event.stream_id}, boot {event.boot_id}: heard, {self._mission.label}"
            )

    def _decode_loop(self) -> None:
        decoder: UnitDecoder | None = None
        began = time.perf_counter()
        with ExitStack() as stack:
            show = _LivePicture(self._snapshot, self._record, stack, self._mission.label)
            while (job := self._queue.get()) is not None:
                try:
                    if decoder is None or decoder.spec != job.spec:
                        decoder = make_decoder(job.spec, self._quality, self._backend)
                        self._stats.decoder = decoder.label
                    for frame in decoder.decode(job.unit, job.span):
                        if frame.frame_no >= job.first_new_frame:
                            show.frame(frame, job)
                except UserError as error:
                    self._say(f"cannot show unit {job.unit.unit_no}: {error}")
                except Exception as error:  # a bug in a decoder must not end the mission's picture
                    decoder = None
                    self._say(
                        f"the decoder failed on unit {job.unit.unit_no} ({error!r}); it is in the "
                        "archive, and the next unit is decoded anew"
                    )
            show.finish()
        self._stats.frames = show.frames
        self._stats.seconds = round(show.seconds, 6)
        self._stats.frames_per_s = show.frames / max(1e-9, time.perf_counter() - began)


class _LivePicture:
    """The newest picture as PNG, and all of them as a recording that survives a power cut."""

    def __init__(self, snapshot: Path, record: Path | None, stack: ExitStack, status: str) -> None:
        self._snapshot, self._record, self._stack = snapshot, record, stack
        self._status = status
        self._writer: Mp4Writer | None = None
        self._written_at = 0.0
        self._last: DecodedFrame | None = None
        self.frames = 0
        self.seconds = 0.0

    def frame(self, frame: DecodedFrame, job: DecodeJob) -> None:
        self.frames += 1
        self.seconds += float(1 / job.span.fps)
        self._last = frame
        if self._record is not None:
            if self._writer is None:
                span = job.span
                self._writer = self._stack.enter_context(
                    Mp4Writer(
                        self._record, width=span.width, height=span.height, fps=span.fps,
                        comment=f"GVC live picture, marks burned in, {self._status}", fragmented=True,
                    )
                )  # fmt: skip
            self._writer.write(overlay(frame, status=self._status))
        if time.monotonic() - self._written_at > _SNAPSHOT_S:
            self._write_snapshot(frame)

    def finish(self) -> None:
        if self._last is not None:
            self._write_snapshot(self._last)

    def _write_snapshot(self, frame: DecodedFrame) -> None:
        self._written_at = time.monotonic()
        done, png = cv2.imencode(".png", overlay(frame, status=self._status))
        if done:
            part = self._snapshot.with_name(self._snapshot.name + ".part")
            with suppress(OSError):  # a full disk costs the snapshot, not the mission
                part.write_bytes(png.tobytes())
                part.replace(self._snapshot)
