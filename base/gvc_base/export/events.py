"""What happened in a mission, as the console lists it: objects, losses, requests, notes, alarms."""

from __future__ import annotations

from contextlib import closing

from gvc_base.archive import Archive
from gvc_base.console.view import AskRow, EventRow
from gvc_base.recording import Recording
from gvc_base.replay.index import ReplayIndex
from gvc_base.replay.lists import AskList, RecordedEvents, read_notes
from gvc_protocol.auth import LinkKey

__all__ = ["mission_events"]

_ALL = 1_000_000


def mission_events(
    recording: Recording, key: LinkKey | None
) -> tuple[tuple[EventRow, ...], tuple[AskRow, ...]]:
    """Rows of an archive's sessions that are exported, and requests as they ended; none of a capture,
    which keeps no notes.

    Raises:
        UserError: the archive cannot be read.
    """
    if not recording.session_ids:
        return (), ()
    with closing(Archive.open_readonly(recording.path)) as archive:
        one = recording.session_ids[0] if len(recording.session_ids) == 1 else None
        index = ReplayIndex(archive, key=key, session=one)
        notes = read_notes(archive, index)
        events = RecordedEvents(notes, index)
        events.read_objects(archive)
        return events.after(-1, _ALL, index.last_ns), AskList(notes, index).at(index.last_ns)
