"""Whether a mission archive is what was recorded: chain, signatures, and derived rows made anew.

What can be told: a changed, missing or added row anywhere below the last signature, and a changed or
missing one above it up to the last row that is there. What cannot: rows cut off behind the last
signature of a base that was killed. So the last signed row is always named.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gvc_base.archive_chain import chained, first_link, rows_hash
from gvc_base.archive_merged import is_merged, merged_problems
from gvc_base.archive_read import ArchiveReads
from gvc_base.archive_schema import connect_reader, explain, real_path
from gvc_base.archive_seal import (
    NOTES_SQL,
    SESSIONS_SQL,
    Sealed,
    fingerprint_of,
    sealed_message,
    signature_fits,
)
from gvc_protocol.errors import UserError

__all__ = ["Verification", "verify_archive"]

_PAGE_ROWS = 2048
_MOST_PROBLEMS = 20
_Row = tuple[Any, ...]


@dataclass(slots=True, kw_only=True)
class Verification:
    """What a look at an archive found."""

    rows: int = 0
    problems: list[str] = field(default_factory=list)
    "Each names a row; empty when the archive is whole."
    notes: list[str] = field(default_factory=list)
    "What a reader must know: how far the signatures reach, rows older than the chain."
    signed_to: int = 0
    "Last datagram that a good signature covers, 0 for none."
    closed: bool = False
    "The newest signature was made when the archive was closed, and covers all of it."
    fingerprints: list[str] = field(default_factory=list)
    "Of the keys that signed."

    @property
    def whole(self) -> bool:
        """Nothing is wrong."""
        return not self.problems

    @property
    def state(self) -> str:
        """Three words for a list: signed, signed to row N, not signed, damaged."""
        if self.problems:
            return "DAMAGED"
        if not self.fingerprints:
            return "not signed"
        if self.signed_to >= self.rows:
            return "signed"
        return f"signed to row {self.signed_to} of {self.rows}"


def verify_archive(
    path: Path, *, on_progress: Callable[[float], None] = lambda _: None
) -> Verification:
    """Check the chain over the datagrams and all signatures. Reads every row once.

    Args:
        on_progress: given the share done, 0..1.

    Raises:
        UserError: no archive, one that was never chained, or one that SQLite cannot read at all.
    """
    path = real_path(path)
    db = connect_reader(path)
    with closing(db.conn):
        reads = ArchiveReads(db, path)
        if reads.version < 3:
            raise UserError(
                f"archive {path} is of version {reads.version}, which had no hash chain: nothing in "
                "it can be verified; opened by a base for writing it gets one, from then on"
            )
        # A damaged text must not stop the look: bytes that are no UTF-8 are read as they are.
        db.conn.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            return _Check(db.conn, path, on_progress).run()
        except sqlite3.Error as error:
            raise UserError(f"cannot read archive {path}: {explain(error)}") from None


class _Check:
    def __init__(
        self, conn: sqlite3.Connection, path: Path, on_progress: Callable[[float], None]
    ) -> None:
        self._conn, self._path, self._on_progress = conn, path, on_progress
        self._meta = dict(conn.execute("SELECT key, value FROM meta").fetchall())
        self._found = Verification()
        self._chains: dict[int, bytes] = {}

    def run(self) -> Verification:
        signatures = self._conn.execute("SELECT * FROM signatures ORDER BY id").fetchall()
        self._datagrams({int(row[1]) for row in signatures})
        self._signatures(signatures)
        self._tell_age()
        if is_merged(self._conn):
            problems, notes = merged_problems(self._conn)
            for line in problems:
                self._problem(line)
            self._found.notes += notes
        return self._found

    def _problem(self, line: str) -> None:
        problems = self._found.problems
        if len(problems) < _MOST_PROBLEMS:
            problems.append(line)
        elif len(problems) == _MOST_PROBLEMS:
            problems.append("and more")

    # --- the chain

    def _datagrams(self, wanted: set[int]) -> None:
        before, expected = first_link(str(self._meta.get("archive_id"))), 1
        total = self._conn.execute("SELECT count(*) FROM datagrams").fetchone()[0]
        for row in self._pages():
            row_id, chain = row[0], row[-1]
            if row_id != expected:
                self._missing(expected, row_id - 1)
            # Behind a hole nothing can be said of the next row's predecessor.
            elif not _fits(before, row):
                self._problem(
                    f"datagram {row_id} was changed, or what stood before it was removed or added: "
                    "its hash does not fit"
                )
            before = chain if isinstance(chain, bytes) else b""
            if row_id in wanted:
                self._chains[row_id] = before
            expected = row_id + 1
            self._found.rows += 1
            if self._found.rows % _PAGE_ROWS == 0:
                self._on_progress(self._found.rows / max(1, total))
        self._found.rows = expected - 1

    def _missing(self, first: int, last: int) -> None:
        if last < first:
            self._problem(f"datagram {last + 1} was added: ids begin at 1")
        elif first == last:
            self._problem(f"datagram {first} is missing")
        else:
            self._problem(f"datagrams {first} to {last} are missing")

    def _pages(self) -> Iterator[_Row]:
        last = -(1 << 63)
        sql = (
            "SELECT id, session_id, received_ns, source, data, chain FROM datagrams WHERE id > ?"
            " ORDER BY id LIMIT ?"
        )
        while rows := self._conn.execute(sql, (last, _PAGE_ROWS)).fetchall():
            yield from rows
            last = rows[-1][0]

    # --- signatures

    def _signatures(self, rows: list[_Row]) -> None:
        before = b""
        notes = _Notes(self._conn)
        for expected, row in enumerate(rows, start=1):
            number, *_, key, signature = row
            if number != expected:
                self._problem(f"signature {expected} is missing, or another was put in its place")
                return
            if self._signature(row, before, notes):
                name = fingerprint_of(key)
                if name not in self._found.fingerprints:
                    self._found.fingerprints.append(name)
            before = signature
        if len(self._found.fingerprints) > 1:
            names = ", ".join(self._found.fingerprints)
            self._found.notes.append(f"more than one base signed this archive: {names}")
        self._tail(rows, notes)

    def _signature(self, row: _Row, before: bytes, notes: _Notes) -> bool:
        (
            number,
            last_id,
            chain,
            sessions,
            sessions_hash,
            count,
            notes_hash,
            closed,
            at,
            key,
            made,
        ) = row
        try:
            sealed = Sealed(
                archive_id=str(self._meta.get("archive_id")), number=number, last_id=last_id,
                chain=chain, sessions=sessions, sessions_hash=sessions_hash, notes=count,
                notes_hash=notes_hash, closing=bool(closed), time_ns=at,
            )  # fmt: skip
            good = signature_fits(key, sealed_message(sealed, before), made)
        except (TypeError, struct.error, AttributeError):
            good = False
        if not good:
            self._problem(f"signature {number} (over datagrams 1 to {last_id}) is not genuine")
            return False
        if last_id > self._found.rows:
            self._missing(self._found.rows + 1, last_id)
        elif last_id and self._chains.get(last_id) != chain:
            self._problem(
                f"datagrams up to {last_id} are not those that signature {number} was made over"
            )
        if self._sessions(sessions) != sessions_hash:
            self._problem(f"a row of sessions 1 to {sessions} was changed, removed or added")
        if notes.hash_to(count) != notes_hash:
            self._problem(
                f"an event of the base's own, of the first {count}, was changed, removed or added "
                f"(signature {number})"
            )
        self._found.signed_to, self._found.closed = last_id, bool(closed)
        return True

    def _sessions(self, last: int) -> bytes:
        rows = self._conn.execute(SESSIONS_SQL, (0, last)).fetchall()
        return rows_hash(rows) if rows else b""

    def _tail(self, rows: list[_Row], notes: _Notes) -> None:
        found = self._found
        if not rows:
            found.notes.append(
                "no signature: whoever could write the file could make the chain anew, too"
            )
            return
        _, last_id, _, sessions, _, count, _, closed, *_ = rows[-1]
        sql = "SELECT min(id) FROM datagrams WHERE id > ? AND session_id <= ?"
        behind = self._conn.execute(sql, (last_id, sessions)).fetchone()[0]
        if closed and behind is not None:
            self._problem(
                f"datagram {behind} was added to a session after the archive's closing signature"
            )
        if found.rows > last_id:
            found.notes.append(
                f"datagrams {last_id + 1} to {found.rows} are in the chain and not signed: the base "
                "ended without closing the archive, or still runs; what was cut off behind them "
                "cannot be told"
            )
        elif not closed:
            found.notes.append(
                f"signed up to datagram {last_id}, without a closing signature: what was cut off "
                "behind it cannot be told"
            )
        if (more := notes.total() - count) > 0:
            found.notes.append(f"{more} events of the base's own came after the last signature")

    def _tell_age(self) -> None:
        old = int(self._meta.get("rows_before_chain", 0))
        if "chained_us" in self._meta:
            when = datetime.fromtimestamp(int(self._meta["chained_us"]) / 1e6, UTC)
            self._found.notes.append(
                f"datagrams 1 to {old} were recorded before this archive had a chain; they are "
                f"chained since {when:%Y-%m-%d %H:%M} UTC, and changes before that cannot be told"
            )


class _Notes:
    """Hash over the first n of the base's own events, for rising n."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._rows = conn.execute(NOTES_SQL, (-(1 << 63),)).fetchall()
        self._at, self._hash = 0, b""

    def total(self) -> int:
        return len(self._rows)

    def hash_to(self, count: int) -> bytes | None:
        if not self._at <= count <= len(self._rows):
            return None
        fresh = [row[1:] for row in self._rows[self._at : count]]
        self._at, self._hash = count, rows_hash(fresh, self._hash) if fresh else self._hash
        return self._hash


def _fits(before: bytes, row: _Row) -> bool:
    _, session_id, received_ns, source, data, chain = row
    try:
        return bool(chained(before, session_id, received_ns, source, data) == chain)
    except (TypeError, ValueError, struct.error, AttributeError):
        return False  # a value of another type than was ever written
