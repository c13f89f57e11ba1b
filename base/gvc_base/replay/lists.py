"""Rows of the operator's lists from the archive: events, objects, requests; and where to jump.

An event's id is its place in time, in microseconds since the beginning, so that rows which are read
later stand among the others without moving them.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gvc_base.archive_read import ArchiveReads
from gvc_base.console.view import AskRow, EventRow
from gvc_base.replay.index import Drone, ReplayIndex, ReplaySession
from gvc_base.station.notes import asked_text, event_of
from gvc_base.station.objects import Box, meet, object_text
from gvc_base.truth_score import EVENT, RegionScore, RunningScore, score_of

__all__ = ["AskList", "Noted", "RecordedEvents", "drone_of", "read_notes"]

_EVENTS = (
    "SELECT time_ns, kind, detail FROM events WHERE session_id = ? AND kind IN ('session_started',"
    " 'note', 'bookmark', 'asked', 'ask_given_up', 'acknowledged', 'region_answer',"
    " 'unit_recovered', 'text_received', 'archive_gap', 'alarm', 'truth_score') ORDER BY time_ns"
)
_TRACKS = (
    "SELECT closed_ns, stream_id, boot_id, json_extract(descriptors, '$.tracks'),"
    " json_extract(descriptors, '$.detections'), json_extract(descriptors, '$.ladder')"
    " FROM units WHERE session_id = ?"
    " AND descriptors IS NOT NULL AND (instr(descriptors, '\"tracks\": []') = 0"
    " OR instr(descriptors, '\"detections\": []') = 0) ORDER BY rowid"
)
_OF_ASKS = ("asked", "acknowledged", "region_answer", "ask_given_up", EVENT)
_GIVE_WAY_EVERY = 32
_CHIPS = 3
"Step of the ladder on which objects are sent as pictures."


def drone_of(index: ReplayIndex, session: ReplaySession, detail: dict[str, Any]) -> str:
    """Which camera a note of the base is about; a base of one camera an earlier version did not say."""
    if "stream_id" in detail:
        return f"{session.link_no}-{detail['stream_id']}"
    mine = [d.drone_id for d in index.drones.values() if d.link_no == session.link_no]
    return mine[0] if mine else ""


@dataclass(frozen=True, slots=True)
class Noted:
    """An event of the archive."""

    session: ReplaySession
    time_ns: int
    kind: str
    detail: dict[str, Any]


def read_notes(archive: ArchiveReads, index: ReplayIndex) -> list[Noted]:
    """The events of which the lists are made; read once for all of them. Damaged ones are left out:
    they are for `verify` to tell."""
    found: list[Noted] = []
    for one in index.sessions:
        for time_ns, kind, text in archive.fetch(_EVENTS, (one.row.id,)):
            try:
                detail = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(detail, dict):
                found.append(Noted(one, time_ns, kind, detail))
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    row: EventRow
    unit: tuple[int, int] | None = None
    "(session, closed_ns) of the unit whose chip it may have."


class RecordedEvents:
    """All rows of a recording, in order of time. Thread-safe."""

    def __init__(self, notes: Sequence[Noted], index: ReplayIndex) -> None:
        self._index = index
        self._mutex = threading.Lock()
        rows = list(self._told(notes))
        rows += [row for drone in index.drones.values() for row in _losses(drone)]
        self._rows: list[_Known] = []
        self._ids: list[int] = []
        self._put([_Known(row) for row in rows])

    def read_objects(
        self, archive: ArchiveReads, give_way: Callable[[], None] = lambda: None
    ) -> None:
        """Add the objects that the edges told of: of eight hours this takes a while. `archive` is
        another view of the same file, so that nobody waits for it; `give_way` is called often."""
        found: list[_Known] = []
        for one in self._index.sessions:
            found += self._objects(archive, one, give_way)
        self._put(found)

    def add(self, row: EventRow) -> EventRow:
        """A note that was made just now; returns it with its id."""
        self._put([_Known(row)])
        with self._mutex:
            made = (k.row for k in self._rows if k.row.time_ns == row.time_ns)
            return next(r for r in made if (r.kind, r.text) == (row.kind, row.text))

    def after(self, event_id: int, limit: int, until_ns: int) -> tuple[EventRow, ...]:
        """The newest `limit` rows above an id that had happened by then, oldest first."""
        with self._mutex:
            first = bisect_right(self._ids, event_id)
            end = bisect_right(self._rows, until_ns, key=lambda k: k.row.time_ns)
            rows = self._rows[max(first, end - limit) : end] if limit > 0 else []
            return tuple(known.row for known in rows)

    def unit_of(self, event_id: int) -> tuple[EventRow, int, int] | None:
        """(row, session, closed_ns) of an object's row."""
        with self._mutex:
            at = bisect_left(self._ids, event_id)
            if at >= len(self._ids) or self._ids[at] != event_id:
                return None
            known = self._rows[at]
            return None if known.unit is None else (known.row, *known.unit)

    def next_time(self, time_ns: int, *, forward: bool) -> int | None:
        """Of the next or previous row, other than starts and losses; None where there is none."""
        with self._mutex:
            times = [
                k.row.time_ns for k in self._rows if k.row.kind not in ("loss", "session", "link")
            ]
        return next_of(times, time_ns, forward=forward)

    def _put(self, fresh: list[_Known]) -> None:
        with self._mutex:
            merged = sorted([*self._rows, *fresh], key=lambda k: k.row.time_ns)
            last, numbered = 0, []
            for known in merged:
                wanted = max(1, (known.row.time_ns - self._index.first_ns) // 1000)
                last = max(last + 1, wanted)
                numbered.append(replace(known, row=replace(known.row, event_id=last)))
            self._rows, self._ids = numbered, [k.row.event_id for k in numbered]

    def _told(self, notes: Sequence[Noted]) -> Iterator[EventRow]:
        for note in notes:
            try:
                row = self._event(note.session, note.time_ns, note.kind, note.detail)
            except (ValueError, KeyError, TypeError, IndexError):
                continue  # a damaged note is for `verify` to tell
            if row is not None:
                yield row

    def _event(
        self, one: ReplaySession, time_ns: int, kind: str, detail: dict[str, Any]
    ) -> EventRow | None:
        drone = drone_of(self._index, one, detail)
        if kind == "session_started":
            told: tuple[str, str, tuple[int, int, int, int] | None] | None = (
                "session",
                f"start {detail['boot_id']} of this camera heard",
                None,
            )
        elif kind in ("note", "bookmark", "alarm"):
            told = (kind, str(detail.get("text") or kind), None)
        elif kind == "archive_gap":
            told = ("storage", f"{detail['rows']} datagrams were lost: the disk was full", None)
        else:
            told = event_of(kind, detail)
        if told is None:
            return None
        return EventRow(
            event_id=0, time_ns=time_ns, drone_id=drone, kind=told[0], text=told[1], box=told[2]
        )

    def _objects(
        self, archive: ArchiveReads, one: ReplaySession, give_way: Callable[[], None]
    ) -> Iterator[_Known]:
        known: set[tuple[int, int, int]] = set()
        loose: dict[int, list[tuple[int, Box]]] = {}
        for number, row in enumerate(archive.fetch(_TRACKS, (one.row.id,))):
            closed, stream, boot, tracks, detections, ladder = row
            if number % _GIVE_WAY_EVERY == 0:
                give_way()
            chips = ladder == _CHIPS
            drone = f"{one.link_no}-{stream}"
            told = json.loads(tracks or "[]")
            for track in told:
                key = (stream, boot, int(track["track_id"]))
                if key in known:
                    continue
                known.add(key)
                text = object_text(track["class_id"], track["score_pct"], track["track_id"])
                yield _object(closed, drone, text, track["points"][0], one.row.id, chip=chips)
            found = [] if told else json.loads(detections or "[]")
            before = loose.get(stream, [])
            loose[stream] = [(d["class_id"], _box(d)) for d in found]
            for d in found:
                if not any(c == d["class_id"] and meet(b, _box(d)) for c, b in before):
                    text = object_text(d["class_id"], d["score_pct"])
                    yield _object(closed, drone, text, d, one.row.id, chip=False)


def _object(
    closed: int, drone: str, text: str, at: dict[str, Any], session_id: int, *, chip: bool
) -> _Known:
    row = EventRow(
        event_id=0, time_ns=closed, drone_id=drone, kind="detection", text=text, box=_box(at),
        chip=chip,
    )  # fmt: skip
    return _Known(row, (session_id, closed) if chip else None)


def _box(at: dict[str, Any]) -> Box:
    return int(at["x"]), int(at["y"]), int(at["width"]), int(at["height"])


def _losses(drone: Drone) -> Iterator[EventRow]:
    """A row for each stretch of which nothing came."""
    next_unit: dict[tuple[int, int], int] = {}
    for unit in drone.units:
        key = (unit.session_id, unit.boot_id)
        first = next_unit.get(key)
        if first is not None and unit.unit_no > first:
            last = unit.unit_no - 1
            many = f"units {first} to {last}" if last > first else f"unit {first}"
            yield EventRow(
                event_id=0, time_ns=unit.closed_ns, drone_id=drone.drone_id, kind="loss",
                text=f"{many} lost: nothing of it came",
            )  # fmt: skip
        next_unit[key] = unit.unit_no + 1


def next_of(times: list[int], time_ns: int, *, forward: bool) -> int | None:
    """The nearest of sorted times that lies really before or behind."""
    at = bisect_right(times, time_ns) if forward else bisect_left(times, time_ns) - 1
    return times[at] if 0 <= at < len(times) else None


class AskList:
    """Requests of a recording, and how far each had come at a moment."""

    def __init__(self, notes: Sequence[Noted], index: ReplayIndex) -> None:
        self._events: list[tuple[int, str, str, int, dict[str, Any]]] = []
        self._scores: list[tuple[int, str, RegionScore]] = []
        for note in notes:
            if note.kind not in _OF_ASKS:
                continue
            try:
                self._take(note, drone_of(index, note.session, note.detail))
            except (ValueError, KeyError, TypeError):
                continue
        self._events.sort(key=lambda event: event[0])
        self._scores.sort(key=lambda row: row[0])

    def _take(self, note: Noted, drone: str) -> None:
        detail = note.detail
        if note.kind == EVENT:
            score = score_of(detail)
            self._scores.append((note.time_ns, drone, score))
            detail = {"about": score.text(), "id": detail["id"]}
        self._events.append((note.time_ns, note.kind, drone, int(detail["id"]), detail))

    def at(self, time_ns: int) -> tuple[AskRow, ...]:
        """The rows as they stood then."""
        rows: dict[tuple[str, int], AskRow] = {}
        for when, kind, drone, number, detail in self._events:
            if when > time_ns:
                break
            key = (drone, number)
            if kind == "asked":
                try:
                    what = asked_text(detail)
                except (KeyError, TypeError, ValueError):
                    continue
                if detail["kind"] != "resume":
                    rows[key] = AskRow(
                        ask_id=number, drone_id=drone, asked_ns=when, what=what, state="waiting"
                    )
            elif key in rows:
                rows[key] = _later(rows[key], kind, detail)
        return tuple(sorted(rows.values(), key=lambda row: row.asked_ns))

    def scores(self, time_ns: int) -> RunningScore:
        """How far the pictures had been from the truth, as far as it was known then."""
        out = RunningScore()
        for when, drone, score in self._scores:
            if when <= time_ns:
                out.add(score, drone)
        return out

    def boxes(self, drone_id: str, time_ns: int) -> list[dict[str, Any]]:
        """Details of the regions that were asked for by then, each with its `time_ns`."""
        return [
            {**detail, "time_ns": when}
            for when, kind, drone, _, detail in self._events
            if kind == "asked" and drone == drone_id and when <= time_ns and "box" in detail
        ][-64:]

    def answers(self, ask_id: int, time_ns: int) -> list[tuple[str, int]]:
        """(drone, time) of each layer of pixels that had come for an ask."""
        return [
            (drone, when)
            for when, kind, drone, number, detail in self._events
            if kind == "region_answer" and number == ask_id and when <= time_ns
            and not detail.get("status")
        ]  # fmt: skip


def _later(row: AskRow, kind: str, detail: dict[str, Any]) -> AskRow:
    if kind == "ask_given_up":
        return replace(row, state="given up")
    if kind == EVENT:
        return replace(row, about=detail["about"])
    if kind == "acknowledged":
        return replace(row, state=str(detail.get("state")))
    if detail.get("status"):
        return replace(row, state="no picture")
    return replace(row, state="done" if detail.get("last") else "working", picture=True)
