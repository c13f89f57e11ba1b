"""One camera of a replay: from where recorded time stands to the picture, on a thread of its own.

    Feed -> decoder -> ReplayScreen

After a seek only the unit that is on the screen then is decoded, by itself: what it would have carried
over from units before it is missing until newer ones have brought it again, and its marks say so. When
recorded time goes faster than this computer decodes, units are passed over, and told.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gvc_base.alarms import watch
from gvc_base.archive_read import ArchiveReads
from gvc_base.decoders import Backend, make_decoder
from gvc_base.replay.clock import ReplayClock
from gvc_base.replay.feed import Feed, TimedJob
from gvc_base.replay.index import Drone, IndexedUnit, ReplayIndex, reach_ns
from gvc_base.replay.regions import ReplayRegions
from gvc_base.replay.screen import ReplayScreen
from gvc_base.station.playout import Scene
from gvc_base.station.queues import DecodeBudget
from gvc_base.station.rows import RowIndex
from gvc_base.station.scenes import SceneMaker
from gvc_base.timeline import DecodeJob
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import DecodedFrame, Quality, UnitDecoder
from gvc_protocol.errors import UserError
from gvc_protocol.events import MessageReady
from gvc_protocol.messages import RegionAnswer, RegionStatus, unpack_message
from gvc_protocol.params import SECOND

__all__ = ["ReplayStream", "Sight", "latency_s"]

_TRIES = 3
_AHEAD_NS = SECOND
"Recorded time, at speed 1, by which decoding is ahead of the screen."
_MOST_AHEAD = 48
_MOST_AHEAD_BYTES = 64 << 20
_GAP_NS = 4 * SECOND
"Between two units, where there is but one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What all cameras of a replay share."""

    archive: ArchiveReads
    index: ReplayIndex
    clock: ReplayClock
    budget: DecodeBudget
    quality: Quality
    backend: Backend
    key: LinkKey | None
    say: Callable[[str], None]


class _MovedError(Exception):
    """Recorded time was moved while a unit was decoded."""


class ReplayStream:
    """Runs from `start` to `close`."""

    def __init__(self, sight: Sight, drone: Drone) -> None:
        self._sight, self.drone = sight, drone
        self.regions = ReplayRegions(sight.archive.path, lambda: self.screen.refresh())
        self.screen = ReplayScreen(sight.clock, self.regions.apply)
        self.rows = RowIndex()
        self.label = ""
        "What decodes."
        self.passed_over = 0
        "Units that were not shown since the last seek, because time went faster than the decoder."
        self.problem = ""
        self._seeks = -1
        self._feed: Feed | None = None
        self._jobs: deque[TimedJob] = deque()
        self._decoder: UnitDecoder | None = None
        self._scenes = SceneMaker()
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=self._loop, name=f"replay-{drone.drone_id}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, and wait for it."""
        self._closed.set()
        with self._sight.clock.changed:
            self._sight.clock.changed.notify_all()
        self._thread.join(10.0)

    def unit_now(self) -> IndexedUnit | None:
        """The newest unit that had come by now."""
        at = self.drone.at(self._sight.clock.now())
        return self.drone.units[at] if at >= 0 else None

    # --- its thread

    def _loop(self) -> None:
        while not self._closed.is_set():
            seeks, now = self._sight.clock.read()
            try:
                if seeks != self._seeks:
                    self._seeks = seeks
                    self._seek(now)
                else:
                    self._go_on(now)
                self.problem = ""
            except _MovedError:
                continue
            except UserError as error:
                self._fail(str(error))
            except Exception as error:  # a bug in a decoder must not end the replay
                self._decoder = None
                self._fail(f"the decoder failed ({error!r})")

    def _fail(self, line: str) -> None:
        if line != self.problem:
            self.problem = line
            self._sight.say(f"{self.drone.drone_id}: {line}")
        self._sight.clock.wait_until(self._sight.clock.last_ns, seeks=self._seeks)

    def _seek(self, now: int) -> None:
        """Show what was on the screen then."""
        self.screen.begin()
        self._jobs.clear()
        self.passed_over = 0
        self._decoder, self._scenes = None, SceneMaker()
        at = self.drone.at(now)
        while at > 0 and not self.drone.units[at].described:
            at -= 1  # by itself it could not be shown
        if at < 0 or not self.drone.units[at].described:
            self.screen.clear()
            self._feed = self._from(self.drone.units[0].session_id, 0)
            return
        wanted = self.drone.units[at]
        self._feed, jobs = self._feed_for(at, now)
        first = next((i for i, made in enumerate(jobs) if made.listed is wanted), len(jobs))
        self._jobs.extend(made for made in jobs[first:] if not made.job.empty)
        while self._jobs and self._jobs[0].closed_ns <= now:
            self._decode(self._jobs.popleft())
        self.screen.ready(now)

    def _feed_for(self, at: int, now: int) -> tuple[Feed, list[TimedJob]]:
        """A feed that has given that unit as the base had it."""
        wanted = self.drone.units[at]
        session = self._sight.index.session(wanted.session_id)
        before = self.drone.units[max(0, at - 4) : at + 1]
        gap = (wanted.closed_ns - before[0].closed_ns) // max(1, len(before) - 1) or _GAP_NS
        reach = reach_ns(session.row, min(gap, 60 * SECOND))
        for number in range(_TRIES):
            start = wanted.closed_ns - (reach << number)
            feed = self._from(wanted.session_id, max(0, start))
            jobs = feed.until(now)
            found = any(made.listed is wanted for made in jobs)
            if (found and not feed.short) or start <= session.first_ns:
                break
        return feed, jobs

    def _from(self, session_id: int, start_ns: int) -> Feed:
        sight = self._sight
        return Feed(
            sight.archive, sight.index.session(session_id), self.drone.stream_id,
            self.drone.known[session_id], start_ns=start_ns, key=sight.key, on_message=self._message,
            on_filed=self.rows.add,
        )  # fmt: skip

    def _go_on(self, now: int) -> None:
        assert self._feed is not None
        clock = self._sight.clock
        ahead = now + int(_AHEAD_NS * max(1.0, clock.rate))
        if not self._jobs:
            if self._feed.ended and not self._next_session():
                self.screen.ready(clock.last_ns)
                clock.wait_until(clock.last_ns + 1, seeks=self._seeks)
                return
            self._jobs.extend(self._feed.until(ahead))
        if not self._jobs:
            self.screen.ready(self._feed.position_ns)
            clock.wait_until(now + _AHEAD_NS // 4, seeks=self._seeks)
            return
        self.screen.ready(self._jobs[0].closed_ns - 1)
        if self._jobs[0].closed_ns > ahead:
            clock.wait_until(self._jobs[0].closed_ns - _AHEAD_NS, seeks=self._seeks)
            return
        self._pass_over(now)
        self._decode(self._jobs.popleft())

    def _pass_over(self, now: int) -> None:
        """Leave out units that are over, while a newer one has come as well."""
        assert self._feed is not None
        span = self._jobs[0].job.span
        late = now - self._jobs[0].closed_ns - int(span.frames / span.fps * SECOND)
        if late <= 0:
            return
        self._jobs.extend(self._feed.until(now))
        while len(self._jobs) > 1 and self._jobs[1].closed_ns <= now:
            self.passed_over += not self._jobs.popleft().job.empty

    def _next_session(self) -> bool:
        """Go on with the session after this one on the same link."""
        assert self._feed is not None
        ids = list(self.drone.known)
        at = ids.index(self._feed.session_id) + 1
        if at >= len(ids):
            return False
        self._feed = self._from(ids[at], 0)
        return True

    def _decode(self, made: TimedJob) -> None:
        job = made.job
        decoder = self._decoder_for(job)
        d = job.unit.descriptors
        path = None if d is None else d.motion_path
        self.regions.note_unit(job.boot_id, job.unit.unit_no, job.span, path)
        frames = iter(decoder.decode(job.unit, job.span))
        period = int(SECOND / job.span.fps)
        while True:
            with self._sight.budget.turn():
                frame = next(frames, None)
            if frame is None:
                break
            if frame.frame_no >= job.first_new_frame:
                place = made.closed_ns + (frame.frame_no - job.span.first_frame) * period
                self._wait_for(place, frame, period)
                self.screen.put(self._scenes.scene(frame, job), made.closed_ns)
                self.screen.ready(place)
            self._check()
        self.screen.ready(made.closed_ns)

    def _wait_for(self, place_ns: int, frame: DecodedFrame, period: int) -> None:
        """Not further ahead of the screen than memory and `Playout` take."""
        clock = self._sight.clock
        most = max(2, min(_MOST_AHEAD, _MOST_AHEAD_BYTES // frame.pixels.nbytes))
        begin = place_ns - most * period
        while not self._closed.is_set() and not clock.wait_until(begin, seeks=self._seeks):
            self._check()

    def _check(self) -> None:
        if self._closed.is_set() or self._sight.clock.read()[0] != self._seeks:
            raise _MovedError

    def _decoder_for(self, job: DecodeJob) -> UnitDecoder:
        if self._decoder is None or self._decoder.spec != job.spec:
            self._decoder = watch(make_decoder(job.spec, self._sight.quality, self._sight.backend))
            self.label = self._decoder.label
        return self._decoder

    def _message(self, event: MessageReady) -> None:
        if not event.authenticated:
            return
        for record in unpack_message(event.data):
            if isinstance(record, RegionAnswer) and record.status == RegionStatus.PIXELS:
                self.regions.write(record)


def latency_s(scene: Scene, shown_ns: int, edge_less_base_us: int | None) -> float | None:
    """From exposure to show, where the clocks are known to each other."""
    if edge_less_base_us is None or not scene.capture_us:
        return None
    return shown_ns / SECOND - (scene.capture_us - edge_less_base_us) / 1e6
