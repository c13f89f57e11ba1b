"""The record from some moment on, through the receiver that ran live, to decode jobs.

    rows of one session -> LinkReceiver -> units that the base had, when it had them -> StreamUnits

A receiver that starts in the middle lacks what came before. It is started early enough for the first
unit that is wanted, and every unit is held against the index: what the base did not have then is not
given. So a datagram that was recorded on the air and sent again is not believed now, either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from gvc_base.archive_read import ArchiveReads
from gvc_base.replay.index import IndexedUnit, ReplaySession
from gvc_base.station.rows import ReadRows
from gvc_base.stream_units import StreamUnits
from gvc_base.timeline import DecodeJob
from gvc_protocol.auth import LinkKey
from gvc_protocol.events import MessageReady, UnitReady
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.wire import UNIT_BITS, Datagram, nearest

__all__ = ["Feed", "TimedJob"]

_PAGE_ROWS = 256
FiledHook = Callable[[Datagram, int, int], None]


@dataclass(frozen=True, slots=True)
class TimedJob:
    """A decode job and when its unit was closed."""

    closed_ns: int
    job: DecodeJob
    listed: IndexedUnit


class Feed:
    """One camera in one session. Not thread-safe."""

    def __init__(
        self, archive: ArchiveReads, session: ReplaySession, stream_id: int,
        units: dict[tuple[int, int, int], IndexedUnit], *, start_ns: int, key: LinkKey | None,
        on_message: Callable[[MessageReady], None] = lambda _: None,
        on_filed: FiledHook = lambda _d, _a, _b: None,
    ) -> None:  # fmt: skip
        """Args:
        units: what the base had of this camera and session, by (closed_ns, boot, unit).
        start_ns: where to begin; 0 for the session's beginning.
        on_message: sees what the edge said. on_filed: each datagram and the rows that hold it.
        """
        self._archive, self._session = archive, session
        self._stream_id, self._units = stream_id, units
        self._on_message, self._on_filed = on_message, on_filed
        self._reads = ReadRows()
        self._receiver = LinkReceiver(
            session.row.params, key=session.own_key(key), replay=archive.replay_state(session.row.id),
            on_datagram=lambda d: on_filed(d, *self._reads.span),
        )  # fmt: skip
        self._after = archive.row_at(session.row.id, start_ns) if start_ns else 0
        self._whole = self._after == 0
        self._stream = StreamUnits(stream_id)
        self._page: deque[tuple[int, int, bytes]] = deque()
        self._wraps: dict[int, int] = {}
        self.position_ns = start_ns
        "Everything up to here was fed."
        self.ended = False
        self.short = 0
        "Units that came with less than the base had: it was started too late."

    @property
    def session_id(self) -> int:
        """Of the session that it reads."""
        return self._session.row.id

    def until(self, time_ns: int) -> list[TimedJob]:
        """The jobs of units that were closed by then, in order."""
        jobs: list[TimedJob] = []
        while not self.ended:
            if not self._page and not self._next_page():
                self._finish(time_ns, jobs)
                break
            row_id, now, data = self._page[0]
            if now > time_ns:
                self._receiver.handle_timer(time_ns)
                self._events(jobs)
                break
            self._page.popleft()
            self._reads.begin(row_id)
            # What is filed is told through `on_datagram`, while this row is the current one.
            before = self._receiver.counters.received
            self._receiver.receive(data, now)
            filed = self._receiver.counters.received > before
            self._reads.end(filed=filed, pending=self._receiver.pending)
            self._events(jobs)
        self.position_ns = max(self.position_ns, time_ns)
        return jobs

    def _next_page(self) -> bool:
        rows = self._archive.rows(self._session.row.id, self._after, _PAGE_ROWS)
        if rows:
            self._page.extend(rows)
            self._after = rows[-1][0]
        return bool(rows)

    def _finish(self, time_ns: int, jobs: list[TimedJob]) -> None:
        """All rows are fed: what is open is closed when the base closed it."""
        end = self._session.ended_ns
        end = self._session.last_ns if end is None else end
        self._receiver.handle_timer(min(time_ns, end))
        self._events(jobs)
        if time_ns >= end:
            self._receiver.close(end)
            self._events(jobs)
            self.ended = True

    def _events(self, jobs: list[TimedJob]) -> None:
        while (event := self._receiver.next_event()) is not None:
            if isinstance(event, MessageReady) and event.stream_id == self._stream_id:
                self._on_message(event)
            elif isinstance(event, UnitReady) and event.stream_id == self._stream_id:
                jobs += self._unit(event)

    def _unit(self, event: UnitReady) -> list[TimedJob]:
        number = event.unit.unit_no + self._wraps.get(event.boot_id, 0)
        listed = self._units.get((event.now, event.boot_id, number))
        if listed is None and event.boot_id not in self._wraps:
            listed = self._begun(event)
        if listed is None:
            return []
        self._wraps.setdefault(event.boot_id, 0)
        self.short += listed.whole and not event.unit.whole
        placed = replace(event, unit=replace(event.unit, unit_no=listed.unit_no))
        made = self._stream.take(placed)
        if not self._whole:
            # Of what was before the start nothing is known: that it was lost would be invented.
            made = [job for job in made if not job.empty or job.unit.unit_no >= listed.unit_no]
            self._whole = bool(made)
        return [TimedJob(event.now, job, listed) for job in made]

    def _begun(self, event: UnitReady) -> IndexedUnit | None:
        """The first unit of a boot: only the low bits of its number are on the air."""
        for listed in self._units.values():
            if (listed.closed_ns, listed.boot_id) == (event.now, event.boot_id):
                low = event.unit.unit_no & (1 << UNIT_BITS) - 1
                if nearest(low, UNIT_BITS, listed.unit_no) == listed.unit_no:
                    self._wraps[event.boot_id] = listed.unit_no - event.unit.unit_no
                    return listed
        return None
