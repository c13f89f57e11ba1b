"""Derived rows made anew: the record, fed to a receiver, must give the units and events of the file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from gvc_base.archive import Archive
from gvc_base.archive_json import (
    RECEIVER_KINDS,
    descriptors_to_json,
    event_to_note,
    part_state,
)
from gvc_base.archive_read import SessionRow
from gvc_protocol.auth import LinkKey
from gvc_protocol.events import ReceiverEvent, TurnGiven, UnitReady
from gvc_protocol.receiver import LinkReceiver

__all__ = ["derived_problems"]

_Row = tuple[Any, ...]
_UNITS = (
    "SELECT stream_id, boot_id, unit_no, closed_ns, whole, descriptors, keyframe_state,"
    " features_state, authenticated FROM units WHERE session_id = ?"
)
_EVENTS = "SELECT time_ns, kind, detail FROM events WHERE session_id = ?"


def derived_problems(
    path: Path, key: LinkKey | None, *, on_progress: Callable[[float], None] = lambda _: None
) -> tuple[list[str], list[str]]:
    """(problems, notes): units and receiver's events that the record does not give, or that are missing.

    A session that was recorded with a key needs that key; without it, it is left out and told. So is one
    with a hole (`archive_gap`). Of a session without an end the last derived rows may be missing.

    Raises:
        UserError: the archive cannot be read.
    """
    problems: list[str] = []
    notes: list[str] = []
    with closing(Archive.open_readonly(path)) as archive:
        sessions = archive.sessions()
        for number, session in enumerate(sessions):
            on_progress(number / max(1, len(sessions)))
            if why := _unfit(archive, session, key):
                notes.append(f"session {session.id} was not derived anew: {why}")
                continue
            problems += _compare(archive, session, key)
    return problems, notes


def _unfit(archive: Archive, session: SessionRow, key: LinkKey | None) -> str:
    if session.key_fingerprint and (key is None or key.fingerprint != session.key_fingerprint):
        return f"it was recorded with key {session.key_fingerprint}; give --key FILE"
    sql = "SELECT kind FROM events WHERE session_id = ? AND kind = 'archive_gap'"
    if archive.fetch(sql, (session.id,)):
        return "some of its datagrams never came to disk (archive_gap)"
    if not archive.fetch("SELECT 1 FROM units WHERE session_id = ? LIMIT 1", (session.id,)):
        return "it has no derived rows"
    return ""


def _compare(archive: Archive, session: SessionRow, key: LinkKey | None) -> list[str]:
    stands = Counter(_plain(row) for row in archive.fetch(_UNITS, (session.id,)))
    for time_ns, kind, detail in archive.fetch(_EVENTS, (session.id,)):
        if kind in RECEIVER_KINDS:
            stands[_plain((time_ns, kind, detail))] += 1
    ended = archive.fetch(
        "SELECT max(time_ns) FROM events WHERE session_id = ? AND kind = 'session_ended'",
        (session.id,),
    )[0][0]
    made = Counter(_derive(archive, session, key if session.key_fingerprint else None, ended))
    problems = [f"session {session.id}: {_name(row)} is not what the record gives"
                for row in (stands - made)]  # fmt: skip
    missing = list(made - stands)
    if ended is None:
        # What the killed base had not written yet; and it never closed its open units.
        last = max((_time(row) for row in stands), default=0)
        missing = [row for row in missing if _time(row) < last]
    problems += [f"session {session.id}: {_name(row)} is missing" for row in missing]
    return problems


def _derive(
    archive: Archive, session: SessionRow, key: LinkKey | None, ended: int | None
) -> list[_Row]:
    receiver = LinkReceiver(
        session.params, key=key, replay=archive.replay_state(session.id) if key else None
    )
    rows: list[_Row] = []
    last = 0
    for last, data in archive.datagrams(session.id):
        receiver.receive(data, last)
        while (event := receiver.next_event()) is not None:
            rows += _rows(event)
    receiver.close(last if ended is None else ended)
    while (event := receiver.next_event()) is not None:
        rows += _rows(event)
    return rows


def _rows(event: ReceiverEvent) -> list[_Row]:
    if isinstance(event, TurnGiven):
        return []
    if not isinstance(event, UnitReady):
        kind, detail = event_to_note(event)
        return [_plain((event.now, kind, json.dumps(detail)))]
    unit = event.unit
    about = None if unit.descriptors is None else descriptors_to_json(unit.descriptors)
    states = (part_state(unit.keyframe), part_state(unit.features))
    who = (event.stream_id, event.boot_id, unit.unit_no, event.now, int(unit.whole))
    return [_plain((*who, about, *states, int(event.authenticated)))]


def _plain(row: _Row) -> _Row:
    """The row with its JSON in one form: an older version may have written other spaces."""
    return tuple(_json(v) if isinstance(v, str) and v.startswith("{") else v for v in row)


def _json(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text


def _time(row: _Row) -> int:
    return int(row[0] if len(row) == 3 else row[3])


def _name(row: _Row) -> str:
    if len(row) == 3:
        return f"event {row[1]} at {row[0]} ns"
    return f"unit {row[2]} of stream {row[0]}, boot {row[1]}, closed at {row[3]} ns"
