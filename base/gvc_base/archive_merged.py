"""What a merged archive holds beside its own record: where each row came from, and the proof of it.

    original 1: sessions, datagrams, notes --+-> copied unchanged, row by row in order of time
    original 2: the same                   --+
    merged_from, merged_sessions, merged_rows   which row was which row of which original
    merged_signatures                           the originals' signatures, as they stood
    a session that feeds on the others' rows    what both together heard, each datagram once

The chain of an original is computed from the copied rows, and must end in the hashes that its
signatures were made over. So the merged file alone proves what each base had recorded, as far as that
base signed it.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gvc_base.archive_chain import chained, first_link, rows_hash
from gvc_base.archive_json import RECEIVER_KINDS
from gvc_base.archive_seal import Sealed, fingerprint_of, sealed_message, signature_fits

__all__ = [
    "FEED_ENDS", "FEED_NEXT", "FEED_ROWS", "MERGED_KIND", "MERGED_TABLES", "OriginFacts",
    "create_merged_tables", "is_merged", "merged_problems", "origins_of", "tables_hash",
]  # fmt: skip

MERGED_KIND = "merged"
"The base's own note, under its signature: what was merged, and a hash over the tables here."

MERGED_TABLES = ("merged_from", "merged_sessions", "merged_rows", "merged_signatures")
_CREATE = (
    """CREATE TABLE merged_from (
        part INTEGER PRIMARY KEY,     -- 1, 2, ...
        name TEXT NOT NULL,           -- of the original's file
        archive_id TEXT NOT NULL,
        datagrams INTEGER NOT NULL,   -- rows 1..datagrams
        chain BLOB NOT NULL,          -- of the last of them, in the original
        clock_ahead_ns INTEGER NOT NULL, -- of the clock of part 1, in the middle of it
        clock_about TEXT NOT NULL)    -- how that is known""",
    """CREATE TABLE merged_sessions (
        session_id INTEGER PRIMARY KEY REFERENCES sessions(id),
        part INTEGER NOT NULL REFERENCES merged_from(part),
        original_id INTEGER NOT NULL)""",
    """CREATE TABLE merged_rows (
        id INTEGER PRIMARY KEY REFERENCES datagrams(id),
        part INTEGER NOT NULL REFERENCES merged_from(part),
        original_id INTEGER NOT NULL, -- row of the original's datagrams
        same_as INTEGER,              -- row that another base heard the same in, before this one
        feed INTEGER REFERENCES sessions(id), -- session that feeds on it; NULL: nothing new in it
        fed_ns INTEGER,               -- its time by the clock of part 1
        fed BLOB)                     -- what is fed, NULL: data as it is""",
    """CREATE TABLE merged_signatures (
        part INTEGER NOT NULL REFERENCES merged_from(part),
        id INTEGER NOT NULL,          -- these columns as in signatures, of the original
        last_id INTEGER NOT NULL,
        chain BLOB NOT NULL,
        sessions INTEGER NOT NULL,
        sessions_hash BLOB NOT NULL,
        notes INTEGER NOT NULL,
        notes_hash BLOB NOT NULL,
        closing INTEGER NOT NULL,
        time_ns INTEGER NOT NULL,
        public_key BLOB NOT NULL,
        signature BLOB NOT NULL,
        PRIMARY KEY (part, id))""",
    "CREATE INDEX merged_rows_feed ON merged_rows (feed, id)",
    "CREATE INDEX merged_rows_part ON merged_rows (part, original_id)",
)
FEED_ROWS = (
    "SELECT m.id, m.fed_ns, coalesce(m.fed, d.data) FROM merged_rows AS m"
    " JOIN datagrams AS d ON d.id = m.id WHERE m.feed = ? AND m.id > ? ORDER BY m.id LIMIT ?"
)
FEED_NEXT = "SELECT id, fed_ns FROM merged_rows WHERE feed = ? AND id >= ? ORDER BY id LIMIT 1"
FEED_ENDS = "SELECT id, fed_ns FROM merged_rows WHERE feed = ? ORDER BY id {} LIMIT 1"
_KINDS = ", ".join(f"'{kind}'" for kind in RECEIVER_KINDS)
_NOTES = (
    "SELECT s.original_id, e.time_ns, e.kind, e.detail FROM events AS e"
    " JOIN merged_sessions AS s ON s.session_id = e.session_id"
    f" WHERE s.part = ? AND e.kind NOT IN ({_KINDS}) ORDER BY e.rowid LIMIT ?"
)
_SESSIONS = (
    "SELECT m.original_id, started_us, link_url, profile_id, framing, params, authenticated,"
    " key_fingerprint FROM sessions AS s JOIN merged_sessions AS m ON m.session_id = s.id"
    " WHERE m.part = ? AND m.original_id <= ? ORDER BY m.original_id"
)
_ROWS = (
    "SELECT m.original_id, s.original_id, d.received_ns, d.source, d.data"
    " FROM merged_rows AS m JOIN datagrams AS d ON d.id = m.id"
    " JOIN merged_sessions AS s ON s.session_id = d.session_id AND s.part = m.part"
    " WHERE m.part = ? AND m.original_id > ? ORDER BY m.original_id LIMIT 2048"
)
_ORDER = {"merged_signatures": "part, id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginFacts:
    """One original of a merged archive, for people."""

    part: int
    name: str
    archive_id: str
    datagrams: int
    clock_ahead_ns: int
    clock_about: str


def is_merged(conn: sqlite3.Connection) -> bool:
    """Whether an archive was made of others."""
    sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'merged_rows'"
    return conn.execute(sql).fetchone() is not None


def create_merged_tables(conn: sqlite3.Connection) -> None:
    """In an archive that holds nothing yet."""
    for statement in _CREATE:
        conn.execute(statement)


def tables_hash(conn: sqlite3.Connection) -> str:
    """Hash over all rows of the four tables, hexadecimal."""
    now = b""
    for table in MERGED_TABLES:
        order = _ORDER.get(table, "1")
        now = rows_hash(conn.execute(f"SELECT * FROM {table} ORDER BY {order}"), now)
    return now.hex()


def origins_of(conn: sqlite3.Connection) -> list[OriginFacts]:
    """The originals; empty where the archive was not merged."""
    if not is_merged(conn):
        return []
    sql = (
        "SELECT part, name, archive_id, datagrams, clock_ahead_ns, clock_about FROM merged_from"
        " ORDER BY part"
    )
    return [
        OriginFacts(
            part=part, name=name, archive_id=archive_id, datagrams=datagrams,
            clock_ahead_ns=ahead, clock_about=about,
        )
        for part, name, archive_id, datagrams, ahead, about in conn.execute(sql)
    ]  # fmt: skip


def merged_problems(conn: sqlite3.Connection) -> tuple[list[str], list[str]]:
    """(problems, notes): whether the copied rows are what each original's chain and signatures say."""
    problems: list[str] = []
    notes: list[str] = []
    told = conn.execute(
        "SELECT json_extract(detail, '$.tables') FROM events WHERE kind = ? ORDER BY rowid LIMIT 1",
        (MERGED_KIND,),
    ).fetchone()
    if told is None or told[0] != tables_hash(conn):
        problems.append("a row of the merged_ tables was changed, removed or added")
    columns = "part, name, archive_id, datagrams, chain"
    for row in conn.execute(f"SELECT {columns} FROM merged_from ORDER BY part").fetchall():
        found, line = _Origin(conn, *row).look()
        problems += found
        notes.append(line)
    return problems, notes


class _Origin:
    """One original, computed from the rows that were copied."""

    def __init__(
        self, conn: sqlite3.Connection, part: int, name: str, archive_id: str, datagrams: int,
        chain: bytes,
    ) -> None:  # fmt: skip
        self._conn, self._part, self._name, self._id = conn, part, name, archive_id
        self._datagrams, self._chain = datagrams, chain
        self._problems: list[str] = []

    def look(self) -> tuple[list[str], str]:
        """(problems, what is proven of it)."""
        rows = self._conn.execute(
            "SELECT * FROM merged_signatures WHERE part = ? ORDER BY id", (self._part,)
        ).fetchall()
        chains = self._chains({int(row[2]) for row in rows} | {self._datagrams})
        if chains.get(self._datagrams, first_link(self._id)) != self._chain:
            self._wrong("its rows do not give the chain that was copied with them")
        signed, keys = 0, []
        before = b""
        for expected, row in enumerate(rows, start=1):
            if row[1] != expected or not self._signature(row, before, chains):
                self._wrong(f"its signature {expected} does not fit the rows that came from it")
                break
            before, signed = row[-1], int(row[2])
            name = fingerprint_of(row[-2])
            keys += [name] if name not in keys else []
        who = f"signed to row {signed} by key {', '.join(keys)}" if keys else "which nobody signed"
        line = (
            f"{self._datagrams} datagrams are rows 1 to {self._datagrams} of {self._name}, archive "
            f"{self._id[:8]}, {who}"
        )
        return self._problems, line

    def _wrong(self, line: str) -> None:
        self._problems.append(f"part {self._part} ({self._name}): {line}")

    def _chains(self, wanted: set[int]) -> dict[int, bytes]:
        """Chain hash at each wanted row of the original."""
        found: dict[int, bytes] = {}
        now, expected = first_link(self._id), 1
        for row_id, session_id, received_ns, source, data in self._rows():
            if row_id != expected:
                self._wrong(f"its row {expected} is missing")
                break
            try:
                now = chained(now, session_id, received_ns, source, data)
            except (TypeError, ValueError, struct.error, AttributeError):
                now = b""
            if row_id in wanted:
                found[row_id] = now
            expected += 1
        return found

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        last = -(1 << 63)
        while page := self._conn.execute(_ROWS, (self._part, last)).fetchall():
            yield from page
            last = page[-1][0]

    def _signature(self, row: tuple[Any, ...], before: bytes, chains: dict[int, bytes]) -> bool:
        (
            _part, number, last_id, chain, sessions, sessions_hash, notes, notes_hash, closing,
            time_ns, key, made,
        ) = row  # fmt: skip
        try:
            sealed = Sealed(
                archive_id=self._id, number=number, last_id=last_id, chain=chain,
                sessions=sessions, sessions_hash=sessions_hash, notes=notes,
                notes_hash=notes_hash, closing=bool(closing), time_ns=time_ns,
            )  # fmt: skip
            genuine = signature_fits(key, sealed_message(sealed, before), made)
        except (TypeError, struct.error, AttributeError):
            return False
        stands = self._conn.execute(_SESSIONS, (self._part, sessions)).fetchall()
        noted = self._conn.execute(_NOTES, (self._part, notes)).fetchall()
        return (
            genuine
            and chains.get(last_id, first_link(self._id)) == chain
            and (rows_hash(stands) if stands else b"") == sessions_hash
            and len(noted) == notes
            and (rows_hash(noted) if noted else b"") == notes_hash
        )
