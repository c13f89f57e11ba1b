"""The copies at the command post: one archive for each that a base writes, row for row the same.

A message is applied whole or not at all, and applying it twice is applying it once: rows that the copy
has are compared, not written. So a message may come again after a crash, a cut or a re-reading of the
server's store, and nothing is missing or doubled after it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gvc_base.archive_merged import MERGED_TABLES, create_merged_tables
from gvc_base.archive_queue import transaction
from gvc_base.archive_schema import SCHEMA_VERSION, WriterLock, connect_writer, explain
from gvc_base.post.rows import Batch, columns_of, last_datagram, link_at, tables_of, with_chain
from gvc_protocol.errors import UserError

__all__ = [
    "Applied", "ChangedError", "Copies", "Copy", "GapError", "NewerError", "disk_line", "station_name",
]  # fmt: skip

_STATION = re.compile(r"[A-Za-z0-9_-]{1,32}")
_ID_CHARS = 12
_MAX_OPEN = 32
_SHORT_SQL = "SELECT coalesce(max(rowid), 0) FROM "


class GapError(Exception):
    """Rows before these are not in the copy."""


class ChangedError(Exception):
    """The copy has other rows where these belong."""


class NewerError(Exception):
    """The base is newer than this program."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What a message did to a copy."""

    new: int = 0
    "Rows written."
    known: int = 0
    "Rows that were there already, and the same."
    closed: bool = False
    "The base's closing signature is among the new ones."


class Copy:
    """One archive at the post, held open and locked: nobody else writes into it meanwhile."""

    def __init__(self, path: Path, archive_id: str) -> None:
        """Open, or begin with an empty one.

        Raises:
            UserError: the file cannot be written, or another program writes it.
        """
        self.path = path
        self._lock = WriterLock(path)
        try:
            self._conn: sqlite3.Connection = connect_writer(path).conn
        except BaseException:
            self._lock.release()
            raise
        self._archive_id = archive_id
        self._look()

    def _look(self) -> None:
        self._tables = tables_of(self._conn)
        self._columns = {t: columns_of(self._conn, t) for t in self._tables}

    def apply(self, batch: Batch) -> Applied:
        """Write what is new of a message, in one synced transaction.

        Raises:
            GapError, ChangedError, NewerError: it does not belong here as it is; nothing was written.
            sqlite3.Error: the disk does not take it; nothing was written.
        """
        if set(MERGED_TABLES) & set(batch.tables) - set(self._tables):
            with transaction(self._conn) as conn:
                create_merged_tables(conn)
            self._look()
        self._expect(batch)
        new = known = 0
        with transaction(self._conn) as conn:
            if batch.meta is not None:
                self._put_meta(conn, batch.meta)
            for table in self._tables:
                if table in batch.tables:
                    wrote, had = self._put(conn, batch, table)
                    new, known = new + wrote, known + had
        return Applied(new, known, bool(new) and self._closes(batch))

    def datagrams(self) -> int:
        """Id of the last datagram in the copy.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        return last_datagram(self._conn)

    def close(self) -> None:
        """Fold the log in, free the lock."""
        with suppress(sqlite3.Error):
            self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        with suppress(sqlite3.Error):
            self._conn.close()
        self._lock.release()

    def _expect(self, batch: Batch) -> None:
        unknown = set(batch.tables) - set(self._tables)
        if batch.version > SCHEMA_VERSION or unknown:
            raise NewerError
        if any(set(t.columns) - set(self._columns[n]) for n, t in batch.tables.items()):
            raise NewerError
        for table in self._tables:
            if self._last(table) < batch.before.at(table):
                raise GapError
        if link_at(self._conn, self._archive_id, batch.before.at("datagrams")) != batch.link:
            raise ChangedError

    def _last(self, table: str) -> int:
        return int(self._conn.execute(f'{_SHORT_SQL}"{table}"').fetchone()[0])

    def _put_meta(self, conn: sqlite3.Connection, meta: Mapping[str, str]) -> None:
        # The version is of this file's own tables: it may be a newer program's than the base's.
        rows = {**meta, "schema_version": str(SCHEMA_VERSION)}
        if dict(conn.execute("SELECT key, value FROM meta")) != rows:
            conn.execute("DELETE FROM meta")
            conn.executemany("INSERT INTO meta VALUES (?, ?)", list(rows.items()))

    def _put(self, conn: sqlite3.Connection, batch: Batch, table: str) -> tuple[int, int]:
        columns, rows = batch.tables[table].columns, batch.tables[table].rows
        if table == "datagrams":
            rows = with_chain(batch.link, columns, rows)
        last = self._last(table)
        names = ", ".join(f'"{c}"' for c in columns)
        fresh = [row for row in rows if row[0] > last]
        old = [row for row in rows if row[0] <= last]
        if old:
            sql = f'SELECT rowid, {names} FROM "{table}" WHERE rowid BETWEEN ? AND ? ORDER BY rowid'
            if conn.execute(sql, (old[0][0], old[-1][0])).fetchall() != old:
                raise ChangedError
        marks = ", ".join("?" * (len(columns) + 1))
        conn.executemany(f'INSERT INTO "{table}" (rowid, {names}) VALUES ({marks})', fresh)
        return len(fresh), len(old)

    def _closes(self, batch: Batch) -> bool:
        made = batch.tables.get("signatures")
        if made is None or "closing" not in made.columns:
            return False
        return bool(made.rows[-1][1 + made.columns.index("closing")])


class Copies:
    """All copies in a folder: FOLDER/STATION/MISSION-ID.db."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        self._open: dict[tuple[str, str], Copy] = {}

    def of(self, station: str, batch: Batch) -> Copy:
        """The copy that a message is for.

        Raises:
            UserError: its file cannot be written, or another program writes it.
        """
        key = station, batch.archive_id
        if key not in self._open:
            if len(self._open) >= _MAX_OPEN:
                self._open.pop(next(iter(self._open))).close()
            path = self._path(station, batch)
            is_new = not path.exists()
            self._open[key] = Copy(path, batch.archive_id)
            if is_new:
                self._say(f"{station}: a mission begins, {path}")
        return self._open[key]

    def _path(self, station: str, batch: Batch) -> Path:
        folder, short = self._folder / station, batch.archive_id[:_ID_CHARS]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            found = sorted(folder.glob(f"*-{short}.db"))
        except OSError as error:
            raise UserError(f"cannot keep archives in {folder}: {error.strerror}") from None
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", batch.name)[:48].lstrip(".") or "mission"
        return found[0] if found else folder / f"{name}-{short}.db"

    def set_aside(self, station: str, archive_id: str) -> tuple[Path, Path]:
        """Give a copy that was changed another name, so that a true one can be made; returns both.

        Raises:
            UserError: the file cannot be renamed.
        """
        copy = self._open.pop((station, archive_id))
        copy.close()
        number = 1
        while (aside := copy.path.with_suffix(f".changed-{number}.db")).exists():
            number += 1
        try:
            copy.path.rename(aside)
        except OSError as error:
            raise UserError(f"cannot rename {copy.path}: {error.strerror}") from None
        return copy.path, aside

    def close(self) -> None:
        """Close all of them."""
        for copy in self._open.values():
            copy.close()
        self._open.clear()


def station_name(text: str) -> str:
    """A name as it stands in subjects and folders.

    Raises:
        UserError: it has other characters than letters, digits, - and _, or more than 32.
    """
    if not _STATION.fullmatch(text):
        raise UserError(
            f"a station's name has 1 to 32 letters, digits, - or _, not {text!r:.50}; "
            "choose one with --post-name"
        )
    return text


def disk_line(path: Path, error: sqlite3.Error) -> str:
    """What is wrong with a copy's disk and what to do."""
    return f"archive {path} cannot be written: {explain(error)}"
