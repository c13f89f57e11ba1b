"""Where recorded `(time, bytes)` come from: a capture file or a mission archive, told by content."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gvc_base.archive import Archive
from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError
from gvc_protocol.framing import Framing
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.pcap import read_records
from gvc_protocol.replay import ReplayGuard

__all__ = ["PCAP_PARAMS", "Recording", "open_recording", "store_recording"]

PCAP_PARAMS = LinkParams(
    framing=Framing(mtu_bytes=1400), rate_bps=1e9, fec_percent=0,
    reorder_ns=30 * SECOND, hold_ns=150 * SECOND,
)  # fmt: skip
"""How a capture is read: one record is one packet, plain or RS frame, of any profile. Nobody waits for
the pictures of a recording, so units stay open as long as those of the slowest radio need."""

_SQLITE_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What was received, and the receiver settings it was received with."""

    path: Path
    params: LinkParams
    session_ids: tuple[int, ...] = ()
    "Sessions of an archive, in order; empty for a capture."
    key_fingerprint: str = ""
    "Of the key that the base had when it recorded this; empty without one."

    def packets(
        self, on_session: Callable[[ReplayGuard], None] = lambda _: None
    ) -> Iterator[tuple[int, bytes]]:
        """(time_ns, bytes as the link gave them), in order of arrival.

        Args:
            on_session: given, before each session, what the base had believed before it.
        """
        if not self.session_ids:
            with self.path.open("rb") as file:
                for record in read_records(file, name=str(self.path)):
                    yield record.time_ns, record.data
            return
        with closing(Archive.open_readonly(self.path)) as archive:
            for session_id in self.session_ids:
                on_session(archive.replay_state(session_id))
                yield from archive.datagrams(session_id)


def open_recording(path: Path, params: LinkParams | None, session: int | None = None) -> Recording:
    """Look at a file and say how to read it.

    Args:
        params: receiver settings for a capture of a radio that needs them (segments), or None.
        session: only this session of an archive. None takes all that were received with the same
            settings as the last: a base that was restarted in the air goes on with one mission.

    Raises:
        UserError: no such file, empty, neither capture nor archive, or an archive that cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(_SQLITE_MAGIC))
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if not head:
        raise UserError(f"{path} is empty; give a capture (.pcap) or a mission archive (.db)")
    if head != _SQLITE_MAGIC:
        with path.open("rb") as file:
            next(read_records(file, name=str(path)), None)  # the header is checked here, early
        return Recording(path=path, params=params or PCAP_PARAMS)
    return _from_archive(path, session)


def _from_archive(path: Path, session: int | None) -> Recording:
    with closing(Archive.open_readonly(path)) as archive:
        rows = archive.shown_sessions()
        if session is not None:
            rows = [row for row in archive.sessions() if row.id == session]
            if not rows:
                raise UserError(
                    f"{path} has no session {session}; leave --session out for the last"
                )
        try:
            filled = [r for r in rows if next(iter(archive.datagrams(r.id)), None) is not None]
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"{path} is damaged: {error}; try sqlite3's .recover on a copy"
            ) from None
    if not filled:
        raise UserError(f"{path} holds no datagram yet; nothing to decode")
    params = filled[-1].params
    ids = tuple(row.id for row in filled if row.params == params)
    return Recording(
        path=path, params=params, session_ids=ids, key_fingerprint=filled[-1].key_fingerprint
    )


def store_recording(recording: Recording, path: Path, key: LinkKey | None) -> None:
    """Copy a recording's packets into an archive, before anything of it is parsed.

    Raises:
        UserError: the archive cannot be written, or the recording not be read.
    """
    store = Archive.create_or_open(path)
    try:
        session_id: int | None = None
        batch: list[tuple[int, str, bytes]] = []
        believed = ReplayGuard()
        for time_ns, data in recording.packets(believed.merge):
            if session_id is None:
                session_id = store.start_session(
                    link_url=f"file:{recording.path}", profile_id="capture",
                    params=recording.params, now_ns=time_ns,
                    key_fingerprint=key.fingerprint if key else recording.key_fingerprint,
                )  # fmt: skip
                store.record_replay_state(session_id, time_ns, believed)
            batch.append((time_ns, str(recording.path), data))
            if len(batch) >= 256:
                store.append(session_id, batch)
                batch = []
        if session_id is not None and batch:
            store.append(session_id, batch)
    finally:
        store.close()
