"""What can be read of a mission archive, beside a live writer too."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from gvc_base.archive_json import params_from_json
from gvc_base.archive_merged import FEED_ENDS, FEED_NEXT, FEED_ROWS
from gvc_base.archive_schema import explain
from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.params import LinkParams
from gvc_protocol.replay import ReplayGuard

__all__ = ["ArchiveReads", "SessionRow"]

_PAGE_ROWS = 512
REPLAY_STATE = "replay_state"
_ROWS = "SELECT id, received_ns, data FROM datagrams WHERE session_id = ? AND id > ? ORDER BY id LIMIT ?"
_NEXT = "SELECT id, received_ns FROM datagrams WHERE session_id = ? AND id >= ? ORDER BY id LIMIT 1"
_ENDS = "SELECT id, received_ns FROM datagrams WHERE session_id = ? ORDER BY id {} LIMIT 1"
_UNITS_SO_FAR = (
    "SELECT stream_id, boot_id, unit_no, max(whole) FROM units WHERE authenticated = 1"
    " GROUP BY stream_id, boot_id, unit_no ORDER BY min(closed_ns)"
)
_MODELS = "SELECT DISTINCT label, weights_sha256 FROM models WHERE session_id = ? ORDER BY time_ns"
_UNITS_SETTLED = "SELECT detail FROM events WHERE kind = 'unit_recovered'"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One run of the base on one link."""

    id: int
    started_us: int
    link_url: str
    profile_id: str
    params: LinkParams
    "Exactly what the receiver was made with: a replay must use the same."
    authenticated: bool
    "Only what a key vouched for was believed."
    key_fingerprint: str
    "Of that key; empty without one."


class ArchiveReads:
    """The reading half of `gvc_base.archive.Archive`."""

    def __init__(self, db: Database, path: Path) -> None:
        self._db, self._path = db, path
        self._mutex = threading.RLock()
        self._closed = False
        self._copied: frozenset[int] | None = None
        self._feeds: frozenset[int] = frozenset()

    @property
    def path(self) -> Path:
        """The archive's file, absolute."""
        return self._path

    @property
    def last_id(self) -> int:
        """Id of the last datagram on disk, 0 when there is none."""
        return int(self.fetch("SELECT coalesce(max(id), 0) FROM datagrams")[0][0])

    @property
    def version(self) -> int:
        """Of the tables: a reader leaves an older file as it is."""
        return int(self.fetch("PRAGMA user_version")[0][0])

    def sessions(self) -> list[SessionRow]:
        """All sessions, oldest first.

        Raises:
            UserError: the file is damaged, or holds settings that this version does not know.
        """
        # A reader cannot bring a file of version 1 up to 2; that one knew no keys.
        old = self.fetch("PRAGMA user_version")[0][0] == 1
        fingerprint = "''" if old else "key_fingerprint"
        sql = (
            "SELECT id, started_us, link_url, profile_id, framing, params, authenticated,"
            f" {fingerprint} FROM sessions ORDER BY id"
        )
        return [_session_row(*row) for row in self.fetch(sql)]

    def shown_sessions(self) -> list[SessionRow]:
        """As `sessions`, but of a merged archive those that feed on the originals', not these.

        Raises:
            UserError: see `sessions`.
        """
        copied = self._originals()
        return [row for row in self.sessions() if row.id not in copied]

    def feeds(self) -> frozenset[int]:
        """Sessions of a merged archive that have no rows of their own: they feed on the originals'."""
        self._originals()
        return self._feeds

    def ends(self, session_id: int) -> tuple[int, int, int, int] | None:
        """(first row, last row, when the first came, when the last came); None without any.

        Raises:
            UserError: the file is damaged.
        """
        sql = FEED_ENDS if session_id in self.feeds() else _ENDS
        both = [self.fetch(sql.format(way), (session_id,)) for way in ("ASC", "DESC")]
        if not both[0]:
            return None
        (first, first_ns), (last, last_ns) = (rows[0] for rows in both)
        return first, last, first_ns, last_ns

    def row_ids(self, session_id: int) -> Iterator[int]:
        """Ids of a session's rows, in the order of `datagrams`."""
        last = 0
        while rows := self.rows(session_id, last, _PAGE_ROWS):
            yield from (row[0] for row in rows)
            last = rows[-1][0]

    def _originals(self) -> frozenset[int]:
        """Sessions that were copied from other archives."""
        if self._copied is None:
            table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'merged_rows'"
            copied: frozenset[int] = frozenset()
            if self.fetch(table):
                copied = frozenset(
                    r[0] for r in self.fetch("SELECT session_id FROM merged_sessions")
                )
                rows = self.fetch(
                    "SELECT id FROM sessions AS s WHERE EXISTS"
                    " (SELECT 1 FROM merged_rows WHERE feed = s.id)"
                )
                self._feeds = frozenset(row[0] for row in rows)
            self._copied = copied
        return self._copied

    def replay_state(self, session_id: int) -> ReplayGuard:
        """What was believed before the session; an empty guard where there was no key.

        Raises:
            UserError: the file is damaged.
        """
        rows = self.fetch(
            "SELECT detail FROM events WHERE session_id = ? AND kind = ? ORDER BY rowid LIMIT 1",
            (session_id, REPLAY_STATE),
        )
        try:
            return ReplayGuard.restore(json.loads(rows[0][0])) if rows else ReplayGuard()
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"session {session_id} of archive {self._path} has a damaged replay state ({error})"
            ) from None

    def datagrams(self, session_id: int) -> Iterator[tuple[int, bytes]]:
        """(received_ns, data) in the order of arrival, read in small pages.

        Beside a live writer it gives what is on disk when the end is reached.

        Raises:
            UserError: there is no such session, or the file is damaged.
        """
        if not self.fetch("SELECT 1 FROM sessions WHERE id = ?", (session_id,)):
            known = ", ".join(str(row[0]) for row in self.fetch("SELECT id FROM sessions"))
            raise UserError(
                f"archive {self._path} has no session {session_id}; it has: {known or 'none'}"
            )
        return self._pages(session_id)

    def units_so_far(self) -> list[tuple[int, int, int, bool]]:
        """(stream, boot, unit, whole) of what a key vouched for, in order of arrival."""
        return [(s, b, u, bool(whole)) for s, b, u, whole in self.fetch(_UNITS_SO_FAR)]

    def units_settled(self, stream_id: int | None) -> set[tuple[int, int]]:
        """(boot, unit) that came later, or never will: noted by the base's back-channel. Of one stream
        where the note names it, as it does since one base follows several."""
        rows = [json.loads(r[0]) for r in self.fetch(_UNITS_SETTLED)]
        rows = [made for made in rows if made.get("stream_id", stream_id) == stream_id]
        return {(int(made["boot"]), int(made["unit"])) for made in rows}

    def rows(self, session_id: int, after_id: int, limit: int) -> list[tuple[int, int, bytes]]:
        """(id, received_ns, data) of the next rows of a session.

        Raises:
            UserError: the file is damaged.
        """
        sql = FEED_ROWS if session_id in self.feeds() else _ROWS
        return self.fetch(sql, (session_id, after_id, limit))

    def row_at(self, session_id: int, time_ns: int) -> int:
        """Id below which all rows of a session came before `time_ns`, by bisection: milliseconds, also
        with millions of rows. 0 when none did.

        Raises:
            UserError: the file is damaged.
        """
        ends = self.ends(session_id)
        if ends is None:
            return 0
        sql = FEED_NEXT if session_id in self.feeds() else _NEXT
        low, high = ends[0], ends[1] + 1
        while low < high:
            middle = (low + high) // 2
            found = self.fetch(sql, (session_id, middle))
            if found and found[0][1] < time_ns:
                low = int(found[0][0]) + 1
            else:
                high = middle
        return low - 1

    def _pages(self, session_id: int) -> Iterator[tuple[int, bytes]]:
        # Pages, not one long cursor: an open read would keep the writer's log from being folded in.
        last = 0
        while rows := self.rows(session_id, last, _PAGE_ROWS):
            for row_id, received_ns, data in rows:
                yield received_ns, data
                last = row_id

    def models(self, session_id: int) -> list[tuple[str, str]]:
        """(what decoded, SHA-256 of its weights or empty) as the base noted it live, oldest first; an
        archive before version 3 notes none."""
        if self.version < 3:
            return []
        return [(str(label), str(sha)) for label, sha in self.fetch(_MODELS, (session_id,))]

    def fetch(self, sql: str, values: tuple[int | float | str, ...] = ()) -> list[Any]:
        """Rows of a query.

        Raises:
            UserError: the file is damaged.
        """
        with self._mutex:
            if self._closed:
                raise LocalProtocolError(f"archive {self._path} is closed")
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise UserError(f"cannot read archive {self._path}: {explain(error)}") from None


def _session_row(
    row_id: int, started_us: int, link_url: str, profile_id: str, framing: str, params: str,
    authenticated: int, key_fingerprint: str,
) -> SessionRow:  # fmt: skip
    try:
        merged = json.dumps({**json.loads(params), "framing": json.loads(framing)})
    except (ValueError, TypeError, RecursionError):
        raise UserError(f"the archive's session {row_id} has damaged link settings") from None
    return SessionRow(
        id=row_id, started_us=started_us, link_url=link_url, profile_id=profile_id,
        params=params_from_json(merged), authenticated=bool(authenticated),
        key_fingerprint=key_fingerprint,
    )  # fmt: skip
