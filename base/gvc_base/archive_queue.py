"""Rows on their way to disk: committed in order, kept in memory while the disk does not take them."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from gvc_base.archive_chain import chained, first_link
from gvc_base.archive_schema import BUSY_TIMEOUT_MS, explain
from gvc_base.archive_seal import SignatureBook, Signer
from gvc_protocol.errors import LocalProtocolError

__all__ = ["DatagramRow", "Health", "Row", "WriteQueue", "checked", "transaction"]

_ROW_BYTES = 200
"What a waiting row costs in memory beside its data, roughly."
_GROUP_BYTES = 1 << 20
"Backlog written in one transaction: a nearly full disk takes some of it at least."
_MAX_DERIVED = 20_000
_INSERT_DATAGRAM = (
    "INSERT INTO datagrams (session_id, received_ns, source, data, chain) VALUES (?, ?, ?, ?, ?)"
)
_INSERT_UNIT = "INSERT INTO units VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?)"
_INSERT_OTHER = {
    "marks": "INSERT INTO marks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "link_samples": "INSERT INTO link_samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "models": "INSERT INTO models VALUES (?, ?, ?, ?)",
}

DatagramRow = tuple[int, int, str, bytes]
"session_id, received_ns, source, data"
Row = tuple[int | float | str | bytes | None, ...]
_RowT = TypeVar("_RowT", bound=Row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the archive keeps up with the link."""

    ok: bool = True
    line: str = ""
    "What is wrong and what to do; empty while all is well."
    waiting_rows: int = 0
    "Datagrams in memory that are not on disk yet."
    waiting_bytes: int = 0
    dropped_rows: int = 0
    "Datagrams of this run that did not fit in memory while the disk failed; they are lost."


@contextmanager
def transaction(conn: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of the block on disk and synced when it ends, or none of it."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield conn
        conn.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled back already; then there is nothing to undo.
        with suppress(sqlite3.Error):
            if conn.in_transaction:
                conn.execute("ROLLBACK")
        raise


def checked(row: _RowT, *, reals: bool = False) -> _RowT:
    """The row as SQLite takes it. A value that it refuses would block all rows behind it.

    Args:
        reals: whether the table has columns of real numbers.

    Raises:
        LocalProtocolError: a number has more than 64 bits, or a value is of another type.
    """
    out: list[int | float | str | bytes | None] = []
    for value in row:
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise LocalProtocolError(f"{value} does not fit in an archive column")
        if isinstance(value, str):
            # A device name may hold bytes that are no UTF-8; keep them readable.
            value = value.encode("utf-8", "backslashreplace").decode()
        elif isinstance(value, float) and not reals:
            raise LocalProtocolError("the archive takes no float here")
        elif not isinstance(value, int | float | bytes | None):
            raise LocalProtocolError(f"the archive takes no {type(value).__name__}")
        out.append(value)
    return cast(_RowT, tuple(out))


class WriteQueue:
    """Not thread-safe: the archive guards it."""

    def __init__(
        self, conn: sqlite3.Connection, path: Path, *, limit_bytes: int,
        on_health: Callable[[str], None], signer: Signer | None = None,
    ) -> None:  # fmt: skip
        """Args:
        limit_bytes: memory for datagrams that the disk does not take.
        signer: signs what is written, now and then; None for an archive without signatures.
        on_health: given one line when the disk fails, when datagrams are first dropped, and
            when all is well again.
        """
        self._conn = conn
        self._path = path
        self._limit_bytes = limit_bytes
        self._on_health = on_health
        self._batches: deque[list[DatagramRow]] = deque()
        self._waiting_bytes = 0
        self._units: deque[Row] = deque(maxlen=_MAX_DERIVED)
        self._events: deque[Row] = deque(maxlen=_MAX_DERIVED)
        self._others: deque[tuple[str, Row]] = deque(maxlen=_MAX_DERIVED)
        self._gap: dict[str, int] = {}
        self._book = SignatureBook(conn, signer)
        self.health = Health()
        last = conn.execute("SELECT id, chain FROM datagrams ORDER BY id DESC LIMIT 1").fetchone()
        self.last_id = int(last[0]) if last else 0
        self._chain = last[1] if last else first_link(self._book.archive_id)

    def put(self, batch: list[DatagramRow]) -> None:
        """Datagrams, behind all that wait."""
        if batch:
            self._batches.append(batch)
            self._waiting_bytes += _cost(batch)

    def put_unit(self, row: Row) -> None:
        """A row of `units`, written with or after the datagrams that wait now."""
        self._units.append(row)

    def put_event(self, row: Row) -> None:
        """A row of `events`, written with or after the datagrams that wait now."""
        self._events.append(row)

    def put_other(self, table: str, row: Row) -> None:
        """A row of `marks`, `link_samples` or `models`, in its turn like an event."""
        self._others.append((table, row))

    def sign(self) -> None:
        """The closing signature over all that is on disk.

        Raises:
            sqlite3.Error: the disk does not take it.
        """
        with transaction(self._conn) as conn:
            self._book.sign(conn, self.last_id, self._chain, closing=True)

    def commit(self) -> None:
        """Write what waits. A failure is told through `health`, and what waits goes on waiting."""
        if not self._drain() or self.health.ok:
            return
        if self._gap:
            # The record tells of its own hole.
            gap = self._gap
            detail = f'{{"rows": {gap["rows"]}, "first_ns": {gap["first_ns"]}}}'
            self._events.append((gap["session_id"], gap["last_ns"], "archive_gap", detail))
            self._gap = {}
            if not self._drain():
                return
        dropped = self.health.dropped_rows
        self.health = Health(dropped_rows=dropped)
        self._conn.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        lost = f"; {dropped} datagrams are lost" if dropped else ""
        self._on_health(f"archive {self._path} is written again{lost}")

    def _drain(self) -> bool:
        """Write group by group until nothing waits; False when the disk failed."""
        # A sick disk is tried with the oldest batch alone: cheap, and it fits first.
        limit = _GROUP_BYTES if self.health.ok else 0
        while self._batches or self._units or self._events or self._others:
            count = self._group(limit)
            try:
                self._write(count)
            except sqlite3.ProgrammingError:
                raise  # our own mistake, such as a closed connection; waiting cures nothing
            except sqlite3.Error as error:
                self._failed(error)
                return False
            for _ in range(count):
                self._waiting_bytes -= _cost(self._batches.popleft())
            if not self._batches:
                self._units.clear()
                self._events.clear()
                self._others.clear()
            limit = _GROUP_BYTES
        return True

    def _group(self, limit: int) -> int:
        """How many batches go into the next transaction: one at least."""
        count = total = 0
        for batch in self._batches:
            total += _cost(batch)
            if count and total > limit:
                break
            count += 1
        return count

    def _write(self, count: int) -> None:
        rows = [row for i in range(count) for row in self._batches[i]]
        chain, linked = self._chain, []
        for row in rows:
            chain = chained(chain, *row)
            linked.append((*row, chain))
        with transaction(self._conn) as conn:
            conn.executemany(_INSERT_DATAGRAM, linked)
            if count == len(self._batches):
                # Derived rows never get ahead of the record that they are derived from.
                conn.executemany(_INSERT_UNIT, self._units)
                conn.executemany(_INSERT_EVENT, self._events)
                for table, other in self._others:
                    conn.execute(_INSERT_OTHER[table], other)
            last = conn.execute("SELECT coalesce(max(id), 0) FROM datagrams").fetchone()[0]
            if self._book.due(last):
                self._book.sign(conn, last, chain, closing=False)
        self.last_id, self._chain = int(last), chain

    def _failed(self, error: sqlite3.Error) -> None:
        before, had_gap = self.health, bool(self._gap)
        dropped = before.dropped_rows + self._trim()
        rows = sum(map(len, self._batches))
        if self._gap:
            state = f"memory is full, {dropped} datagrams are lost, {rows} wait"
        else:
            state = f"{rows} datagrams wait in memory"
        self.health = Health(
            ok=False, line=f"archive {self._path} cannot be written: {explain(error)} ({state})",
            waiting_rows=rows, waiting_bytes=self._waiting_bytes, dropped_rows=dropped,
        )  # fmt: skip
        if before.ok:
            # Waited long enough once; from now on the live base does not stand still for a try.
            self._conn.execute("PRAGMA busy_timeout=0")
        if before.ok or (self._gap and not had_gap):
            self._on_health(self.health.line)

    def _trim(self) -> int:
        """Refuse the newest batches beyond the limit: what waits already keeps its place."""
        dropped = 0
        while self._waiting_bytes > self._limit_bytes and self._batches:
            batch = self._batches.pop()
            self._waiting_bytes -= _cost(batch)
            dropped += len(batch)
            gap = self._gap
            gap.setdefault("session_id", batch[0][0])
            gap["first_ns"] = min(gap.get("first_ns", batch[0][1]), batch[0][1])
            gap["last_ns"] = max(gap.get("last_ns", batch[-1][1]), batch[-1][1])
            gap["rows"] = gap.get("rows", 0) + len(batch)
        return dropped


def _cost(batch: list[DatagramRow]) -> int:
    return sum(len(row[3]) + _ROW_BYTES for row in batch)
