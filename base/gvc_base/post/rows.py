"""Which rows of an archive go next: always by id, always from one moment of the file.

The tables of an archive only grow: a row that was committed is never changed (`meta` apart, which is
small and sent whole when it differs). So a place in an archive is one number a table, the cursor, and
what comes behind it is all that is missing.

Within a batch the record comes first (sessions, datagrams), then what is derived, then signatures, and
a table is begun only when those before it are sent to their end: a copy that ends anywhere never holds
a signature over rows that it lacks.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from gvc_base.archive_chain import chained, first_link
from gvc_protocol.errors import GvcError

__all__ = [
    "Batch", "Cursor", "PostError", "Row", "TableRows", "columns_of", "last_datagram", "link_at",
    "read_batch", "tables_of", "with_chain",
]  # fmt: skip

_FIRST, _LAST = ("sessions", "datagrams"), ("signatures",)
_PAGE_ROWS = 128
_NUMBER_BYTES = 8

Row = tuple[Any, ...]
"The row's id, then its columns in the order of `columns_of`."


class PostError(GvcError):
    """What came from the server is not what it should be. Its text is one line."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far an archive was read: the last row id of each table, and a hash of `meta`."""

    tables: Mapping[str, int] = field(default_factory=dict)
    meta: str = ""

    def at(self, table: str) -> int:
        """Last row id of a table, 0 before its first."""
        return self.tables.get(table, 0)


@dataclass(frozen=True, slots=True)
class TableRows:
    """Consecutive new rows of one table."""

    columns: tuple[str, ...]
    rows: list[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that follow each other, as one message carries them."""

    archive_id: str
    version: int
    "Of the archive's tables."
    name: str
    "Of the mission, for people: the archive's file name without its end."
    before: Cursor
    after: Cursor
    link: bytes
    "Hash of the datagram that these follow on: what tells a copy that they are its own."
    meta: Mapping[str, str] | None
    "All of `meta`, where it differs from what was sent."
    tables: Mapping[str, TableRows]

    @property
    def rows(self) -> int:
        """How many rows, of all tables."""
        return sum(len(t.rows) for t in self.tables.values())


def tables_of(conn: sqlite3.Connection) -> list[str]:
    """The tables that travel, in their order; `meta` travels apart."""
    found = {
        str(row[0]) for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    rest = {n for n in found if not n.startswith("sqlite_")} - {"meta", *_FIRST, *_LAST}
    return [*_FIRST, *sorted(rest), *(n for n in _LAST if n in found)]


def columns_of(conn: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """Columns without the one that is the row id itself."""
    info = conn.execute(f'PRAGMA table_info("{table}")').fetchall()
    alone = sum(bool(r[5]) for r in info) == 1
    return tuple(str(r[1]) for r in info if not (alone and r[5] and str(r[2]).upper() == "INTEGER"))


def link_at(conn: sqlite3.Connection, archive_id: str, datagram: int) -> bytes:
    """The chain's hash at a datagram, or what the first row hangs on."""
    row = conn.execute("SELECT chain FROM datagrams WHERE id = ?", (datagram,)).fetchone()
    if row is None:
        return first_link(archive_id)
    return row[0] if isinstance(row[0], bytes) else b""  # a damaged file


def last_datagram(conn: sqlite3.Connection) -> int:
    """Id of the last datagram, 0 when there is none."""
    return int(conn.execute("SELECT coalesce(max(id), 0) FROM datagrams").fetchone()[0])


def read_batch(
    conn: sqlite3.Connection, cursor: Cursor, *, name: str, budget_bytes: int
) -> Batch | None:
    """The rows behind the cursor, about so many bytes of them and one at least; None when none are new.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    conn.execute("BEGIN")
    try:
        return _read(conn, cursor, name, budget_bytes)
    finally:
        conn.execute("ROLLBACK")


def _read(conn: sqlite3.Connection, cursor: Cursor, name: str, budget: int) -> Batch | None:
    meta = {str(k): str(v) for k, v in conn.execute("SELECT key, value FROM meta")}
    archive_id, version = meta["archive_id"], conn.execute("PRAGMA user_version").fetchone()[0]
    meta_hash = sha256(repr(sorted(meta.items())).encode()).hexdigest()[:16]
    link = link_at(conn, archive_id, cursor.at("datagrams"))
    tables: dict[str, TableRows] = {}
    after = dict(cursor.tables)
    for table in tables_of(conn):
        columns, rows = columns_of(conn, table), list[Row]()
        for row in _behind(conn, table, columns, cursor.at(table)):
            cost = sum(len(v) if isinstance(v, str | bytes) else _NUMBER_BYTES for v in row)
            if cost > budget and (rows or tables):
                budget = 0
                break
            rows.append(row)
            budget = max(0, budget - cost)
        if rows:
            after[table] = rows[-1][0]
            if table == "datagrams":
                rows = _without_chain(link, columns, rows)
            tables[table] = TableRows(columns, rows)
        if budget <= 0:
            break
    if not tables and meta_hash == cursor.meta:
        return None
    return Batch(
        archive_id=archive_id, version=int(version), name=name, before=cursor,
        after=Cursor(after, meta_hash), link=link, tables=tables,
        meta=None if meta_hash == cursor.meta else meta,
    )  # fmt: skip


def _behind(
    conn: sqlite3.Connection, table: str, columns: tuple[str, ...], last: int
) -> Iterator[Row]:
    names = ", ".join(f'"{c}"' for c in columns)
    sql = f'SELECT rowid, {names} FROM "{table}" WHERE rowid > ? ORDER BY rowid LIMIT {_PAGE_ROWS}'
    while page := conn.execute(sql, (last,)).fetchall():
        yield from page
        last = page[-1][0]


def _without_chain(link: bytes, columns: tuple[str, ...], rows: list[Row]) -> list[Row]:
    """NULL for a hash that follows from the row: 32 bytes a datagram that need not travel. One that
    does not follow (somebody changed the file) travels as it is, and is found in the copy, too."""
    at, *places = _places(columns)
    out = []
    for row in rows:
        out.append((*row[:at], None, *row[at + 1 :]) if _fits(link, row, at, places) else row)
        link = row[at]
    return out


def with_chain(link: bytes, columns: tuple[str, ...], rows: list[Row]) -> list[Row]:
    """The hashes that did not travel, made anew.

    Raises:
        PostError: the columns or values are none of datagrams.
    """
    out = []
    try:
        at, *places = _places(columns)
        for row in rows:
            if row[at] is None:
                made = chained(link, *(row[p] for p in places))
                row = (*row[:at], made, *row[at + 1 :])
            link = row[at]
            out.append(row)
    except (TypeError, ValueError, struct.error, AttributeError):
        raise PostError("a message for the command post has rows that no archive has") from None
    return out


def _places(columns: tuple[str, ...]) -> list[int]:
    names = ("chain", "session_id", "received_ns", "source", "data")
    return [columns.index(c) + 1 for c in names]


def _fits(link: bytes, row: Row, at: int, places: list[int]) -> bool:
    try:
        return bool(row[at] == chained(link, *(row[p] for p in places)))
    except (TypeError, ValueError, struct.error, AttributeError):
        return False  # a value of another type than was ever written
