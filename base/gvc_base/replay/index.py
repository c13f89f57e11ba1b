"""What a recording holds and when: which sessions, which unit of which camera was closed at what time.

It is read from the rows that the base derived while it received, so that eight hours are known in a
second. Where these are missing (a base that was killed, a record that was never decoded) the record is
fed to the receiver for them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gvc_base.archive_read import ArchiveReads, SessionRow
from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError
from gvc_protocol.events import ReceiverEvent, UnitReady
from gvc_protocol.params import SECOND
from gvc_protocol.receiver import LinkReceiver

__all__ = ["Drone", "IndexedUnit", "ReplayIndex", "ReplaySession", "reach_ns"]

_PAUSE_NS = 6 * 3600 * SECOND
"A longer pause between two sessions is another mission, or a clock that was set."
_SET_BACK_NS = 60 * SECOND
"Units of several cameras are closed this much out of order at the most."
_UNITS = (
    "SELECT closed_ns, stream_id, boot_id, unit_no, whole, descriptors IS NOT NULL FROM units"
    " WHERE session_id = ? ORDER BY rowid"
)
_ENDED = "SELECT max(time_ns) FROM events WHERE session_id = ? AND kind = 'session_ended'"


@dataclass(frozen=True, slots=True)
class IndexedUnit:
    """One unit that the base had."""

    closed_ns: int
    session_id: int
    boot_id: int
    unit_no: int
    whole: bool
    described: bool
    "Its D arrived: it can be placed and shown by itself."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySession:
    """One session that is replayed."""

    row: SessionRow
    link_no: int
    first_ns: int
    last_ns: int
    ended_ns: int | None
    "When the base closed what was open; None when it was killed."

    def own_key(self, key: LinkKey | None) -> LinkKey | None:
        """The key, if this session was recorded with it."""
        return key if key is not None and self.row.key_fingerprint == key.fingerprint else None


@dataclass(slots=True, kw_only=True)
class Drone:
    """One camera on one link, over all sessions of that link."""

    drone_id: str
    link_no: int
    stream_id: int
    units: list[IndexedUnit] = field(default_factory=list)
    "In order of closing."
    closed: list[int] = field(default_factory=list)
    known: dict[int, dict[tuple[int, int, int], IndexedUnit]] = field(default_factory=dict)
    "Session: unit by (closed_ns, boot, unit)."

    def at(self, time_ns: int) -> int:
        """Index of the newest unit that was closed by then; -1 before the first."""
        return bisect_right(self.closed, time_ns) - 1


def reach_ns(row: SessionRow, gap_ns: int) -> int:
    """How long before a unit is closed its first datagram came at the most, about."""
    return row.params.hold_ns + row.params.reorder_ns + 4 * gap_ns


class ReplayIndex:
    """Of the sessions that are replayed together."""

    def __init__(
        self, archive: ArchiveReads, *, key: LinkKey | None = None, session: int | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """Args:
        key: of the sessions that were recorded with one.
        session: only this one; None for the newest and all that belong to the same mission by time.
        say: told what takes long, and what is left out.

        Raises:
            UserError: nothing was recorded, or not that session.
        """
        self.sessions = _chosen(archive, session, say)
        self.drones: dict[str, Drone] = {}
        self._set_back: dict[int, int] = {}
        for one in self.sessions:
            self._read(archive, one, key, say)
        for drone in self.drones.values():
            drone.units.sort(key=lambda unit: unit.closed_ns)  # stable: of one session it stays
            drone.closed = [unit.closed_ns for unit in drone.units]
            for unit in drone.units:
                name = (unit.closed_ns, unit.boot_id, unit.unit_no)
                drone.known.setdefault(unit.session_id, {})[name] = unit
        self.first_ns = min(one.first_ns for one in self.sessions)
        ends = [max(one.last_ns, one.ended_ns or 0) for one in self.sessions]
        closes = [drone.closed[-1] for drone in self.drones.values() if drone.closed]
        self.last_ns = max(ends + closes)

    def session(self, session_id: int) -> ReplaySession:
        """The session of that id."""
        return next(one for one in self.sessions if one.row.id == session_id)

    def clocks_went_back(self) -> list[str]:
        """A line for each session that began, by its clock, before one recorded earlier had ended, or
        within which the clock went back. A base's own does not: it follows one that never steps."""
        lines = [
            f"the clock of session {number} was set back by {back / SECOND:.0f} s while it was "
            "recorded: a replay shows a part of it only; `gvc-base decode` shows all"
            for number, back in self._set_back.items()
        ]
        last: dict[str, ReplaySession] = {}
        for one in self.sessions:
            before = last.get(one.row.link_url)
            if before is not None and one.first_ns < before.last_ns:
                lines.append(
                    f"session {one.row.id} began before session {before.row.id} had ended by its "
                    "clock, which was set back between them; both are shown at their own times"
                )
            last[one.row.link_url] = one
        return lines

    def _read(
        self, archive: ArchiveReads, one: ReplaySession, key: LinkKey | None,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        newest = 0
        for closed, stream, boot, number, whole, described in archive.fetch(_UNITS, (one.row.id,)):
            self._add(one, stream, IndexedUnit(closed, one.row.id, boot, number, bool(whole),
                                               bool(described)))  # fmt: skip
            if newest - closed > _SET_BACK_NS:
                back = self._set_back.get(one.row.id, 0)
                self._set_back[one.row.id] = max(back, newest - closed)
            newest = max(newest, closed)
        if one.ended_ns is not None and newest:
            return
        start = newest - reach_ns(one.row, 4 * SECOND) if newest else 0
        if not newest:
            say(f"session {one.row.id} has no index of its units; reading all of it once")
        for event in _derived(archive, one, key, start):
            if isinstance(event, UnitReady) and event.now > newest:
                made = IndexedUnit(
                    event.now, one.row.id, event.boot_id, event.unit.unit_no, event.unit.whole,
                    event.unit.descriptors is not None,
                )  # fmt: skip
                self._add(one, event.stream_id, made)

    def _add(self, one: ReplaySession, stream_id: int, unit: IndexedUnit) -> None:
        drone_id = f"{one.link_no}-{stream_id}"
        drone = self.drones.get(drone_id)
        if drone is None:
            drone = self.drones[drone_id] = Drone(
                drone_id=drone_id, link_no=one.link_no, stream_id=stream_id
            )
        drone.units.append(unit)


def _derived(
    archive: ArchiveReads, one: ReplaySession, key: LinkKey | None, start_ns: int
) -> Iterator[ReceiverEvent]:
    """Events of a session's receiver from a time on. Numbers of units that wrapped (every 65536) are
    right only from the beginning, which is where a session without any index is read from."""
    guard = archive.replay_state(one.row.id)
    receiver = LinkReceiver(one.row.params, key=one.own_key(key), replay=guard)
    after = archive.row_at(one.row.id, start_ns) if start_ns else 0
    while rows := archive.rows(one.row.id, after, 512):
        after = rows[-1][0]
        for _, now, data in rows:
            receiver.receive(data, now)
            while (event := receiver.next_event()) is not None:
                yield event
    receiver.close(one.last_ns if one.ended_ns is None else one.ended_ns)
    while (event := receiver.next_event()) is not None:
        yield event


def _chosen(
    archive: ArchiveReads, session: int | None, say: Callable[[str], None]
) -> tuple[ReplaySession, ...]:
    rows = archive.shown_sessions()
    if session is not None:
        every = archive.sessions()
        known = ", ".join(str(row.id) for row in every) or "none"
        rows = [row for row in every if row.id == session]
        if not rows:
            raise UserError(f"{archive.path} has no session {session}; it has: {known}")
    filled: list[tuple[SessionRow, int, int, int | None]] = []
    for row in rows:
        if (ends := archive.ends(row.id)) is not None:
            ended = archive.fetch(_ENDED, (row.id,))[0][0]
            filled.append((row, ends[2], ends[3], ended))
    if not filled:
        raise UserError(f"{archive.path} holds no datagram yet; nothing to replay")
    together = _one_mission(filled)
    if len(together) < len(filled):
        names = ", ".join(
            f"{row.id} ({datetime.fromtimestamp(first / SECOND, UTC):%Y-%m-%d %H:%M})"
            for row, first, _, _ in filled
            if row.id not in {t[0].id for t in together}
        )
        say(f"sessions of another time are left out: {names}; --session N shows one")
    urls = list(dict.fromkeys(row.link_url for row, _, _, _ in together))
    return tuple(
        ReplaySession(
            row=row, link_no=urls.index(row.link_url), first_ns=first, last_ns=last, ended_ns=ended
        )
        for row, first, last, ended in together
    )


def _one_mission(
    filled: Sequence[tuple[SessionRow, int, int, int | None]],
) -> list[tuple[SessionRow, int, int, int | None]]:
    """The newest session and those around it in time, none further than six hours from the next."""
    newest = filled[-1]
    first, last, found = newest[1], newest[2], {newest[0].id}
    grown = True
    while grown:
        grown = False
        for row, begin, end, _ in filled:
            near = begin <= last + _PAUSE_NS and end >= first - _PAUSE_NS
            if row.id not in found and near:
                found.add(row.id)
                first, last, grown = min(first, begin), max(last, end), True
    return [one for one in filled if one[0].id in found]
