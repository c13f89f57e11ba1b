"""The mission archive: every byte that the link gave, on disk before anybody is told so.

`append` commits and syncs its rows in one transaction, then returns the last row id: rows up to that
id survive a kill -9 and, as far as the disk keeps its promises, a power cut. When the disk is full or
gone, nothing is raised: the rows wait in memory in their order, `health` says so in one line, and the
next `append` tries again. `datagrams` is the record; `units` and the receiver's `events` are derived
and can be written anew by feeding the record to a receiver with the session's settings.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sqlite_utils import Database

from gvc_base.archive_json import (
    RECEIVER_KINDS,
    descriptors_to_json,
    event_to_note,
    params_from_json,
    params_to_json,
    part_state,
)
from gvc_base.archive_queue import DatagramRow, Health, WriteQueue, checked, transaction
from gvc_base.archive_read import REPLAY_STATE, ArchiveReads, SessionRow
from gvc_base.archive_schema import (
    WriterLock,
    connect_reader,
    connect_writer,
    expect_archive,
    explain,
    real_path,
)
from gvc_base.archive_seal import Signer
from gvc_protocol.codec import UnitDecoder
from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.events import ReceiverEvent, TurnGiven, UnitReady
from gvc_protocol.params import LinkParams
from gvc_protocol.replay import ReplayGuard

__all__ = ["Archive", "Health", "MarksRow", "SessionRow", "params_from_json", "params_to_json"]

if TYPE_CHECKING:
    from gvc_base.console.view import LinkSample

_BACKLOG_BYTES = 64 << 20
"Two hours of a 64 kbit/s radio."


@dataclass(frozen=True, slots=True, kw_only=True)
class MarksRow:
    """What the pictures of one unit were made of, as they were shown."""

    stream_id: int
    boot_id: int
    unit_no: int
    frames: int
    received: float
    "Shares of all tiles of these frames, 0..1."
    carried: float
    enhanced: float
    regenerated: float
    lost: float
    p_wrong: float
    "Mean over the tiles."


class Archive(ArchiveReads):
    """One archive file. Safe to share between the threads of one process.

    One process writes at a time (`archive_schema.WriterLock` says why), any number read.
    """

    def __init__(
        self, db: Database, path: Path, *, lock: WriterLock | None = None,
        queue: WriteQueue | None = None,
    ) -> None:  # fmt: skip
        """Use `create_or_open` or `open_readonly`."""
        super().__init__(db, path)
        self._lock = lock
        self._queue = queue
        self._sessions = {int(row[0]) for row in self.fetch("SELECT id FROM sessions")}

    @classmethod
    def create_or_open(
        cls, path: Path, *, backlog_bytes: int = _BACKLOG_BYTES,
        on_health: Callable[[str], None] = lambda _: None, signer: Signer | None = None,
    ) -> Archive:  # fmt: skip
        """Open for writing; a file that is there is appended to.

        Args:
            backlog_bytes: memory for datagrams that the disk does not take.
            on_health: given one line when the disk fails, when datagrams are first dropped, and
                when all is well again.
            signer: signs the record once a minute and at the end; None leaves it unsigned.

        Raises:
            UserError: another process writes it, the file is no archive of this version, or the
                folder or disk does not take it.
        """
        path = real_path(path)
        expect_archive(path, may_be_empty=True)
        lock = WriterLock(path)
        try:
            db = connect_writer(path)
            queue = WriteQueue(
                db.conn, path, limit_bytes=backlog_bytes, on_health=on_health, signer=signer
            )
            return cls(db, path, lock=lock, queue=queue)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def open_readonly(cls, path: Path) -> Archive:
        """Open for reading: beside a live writer, or what a crash left.

        After a crash the newest rows are in the `-wal` file, which belongs beside the archive. The
        main file alone lacks them, and is damaged if the crash came while the log was folded in.

        Raises:
            UserError: the file is missing, no archive of this version, or cannot be read.
        """
        path = real_path(path)
        return cls(connect_reader(path), path)

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    @property
    def health(self) -> Health:
        """The state of the disk side, as of the last try to write."""
        return Health() if self._queue is None else self._queue.health

    @property
    def last_id(self) -> int:
        """Id of the last datagram on disk, 0 when there is none."""
        return super().last_id if self._queue is None else self._queue.last_id

    def start_session(
        self, *, link_url: str, profile_id: str, params: LinkParams, now_ns: int,
        key_fingerprint: str = "",
    ) -> int:  # fmt: skip
        """Open a session and put it on disk; returns its id.

        Args:
            key_fingerprint: of the key without which nothing is believed in this session.

        Raises:
            UserError: the disk does not take it. The mission has not begun, so this one is raised.
        """
        made = json.loads(params_to_json(params))
        framing = json.dumps(made.pop("framing"))
        about = (now_ns // 1000, link_url, profile_id, framing, json.dumps(made))
        row = checked((*about, int(bool(key_fingerprint)), key_fingerprint))
        sql = (
            "INSERT INTO sessions (started_us, link_url, profile_id, framing, params,"
            " authenticated, key_fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        with self._mutex:
            self._writer()
            try:
                with transaction(self._db.conn) as conn:
                    session_id = int(conn.execute(sql, row).lastrowid or 0)
            except sqlite3.Error as error:
                raise UserError(f"cannot write archive {self._path}: {explain(error)}") from None
            self._sessions.add(session_id)
            return session_id

    def append(self, session_id: int, items: Sequence[tuple[int, str, bytes]]) -> int:
        """Put datagrams on disk, in one synced transaction.

        Args:
            items: (received_ns, source, data), data exactly as the link gave it.

        Returns:
            The acknowledgement: the id of the last datagram on disk. With a failing disk that is
            an older one, and `health` tells how many wait.

        Raises:
            LocalProtocolError: the session is unknown or an item is malformed.
        """
        batch: list[DatagramRow] = []
        for received_ns, source, data in items:
            if not isinstance(data, bytes):
                raise LocalProtocolError(f"a datagram is bytes, not {type(data).__name__}")
            batch.append(checked((session_id, received_ns, source, data)))
        with self._mutex:
            queue = self._writer(session_id)
            queue.put(batch)
            queue.commit()
            return queue.last_id

    def append_all(self, batches: Sequence[tuple[int, Sequence[tuple[int, str, bytes]]]]) -> int:
        """As `append`, for several (session, items) in one synced transaction, in this order."""
        rows = [
            checked((session_id, received_ns, source, data))
            for session_id, items in batches
            for received_ns, source, data in items
        ]
        with self._mutex:
            for session_id, _ in batches:
                self._writer(session_id)
            queue = self._writer()
            queue.put(rows)
            queue.commit()
            return queue.last_id

    def record(self, session_id: int, event: ReceiverEvent) -> None:
        """Note an event of the receiver: a unit as a unit, all others as events."""
        if isinstance(event, UnitReady):
            self.record_unit(session_id, event)
        elif not isinstance(event, TurnGiven):  # of which the datagrams themselves tell
            kind, detail = event_to_note(event)
            self.record_event(session_id, event.now, kind, detail)

    def record_unit(self, session_id: int, event: UnitReady) -> None:
        """Note a closed unit; on disk with the next `append`, `flush` or `close`."""
        unit = event.unit
        about = None if unit.descriptors is None else descriptors_to_json(unit.descriptors)
        states = (part_state(unit.keyframe), part_state(unit.features))
        key = (session_id, event.stream_id, event.boot_id, unit.unit_no)
        with self._mutex:
            queue = self._writer(session_id)
            row = (*key, event.now, int(unit.whole), about, *states, int(event.authenticated))
            queue.put_unit(checked(row))

    def record_event(
        self, session_id: int, time_ns: int, kind: str, detail: Mapping[str, Any]
    ) -> None:
        """Note an event; on disk with the next `append`, `flush` or `close`.

        Raises:
            LocalProtocolError: the session is unknown or `detail` is no JSON.
        """
        try:
            text = json.dumps(dict(detail), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise LocalProtocolError(
                f"event {kind} has a detail that is no JSON: {error}"
            ) from None
        with self._mutex:
            queue = self._writer(session_id)
            queue.put_event(checked((session_id, time_ns, kind, text)))

    def record_marks(self, session_id: int, row: MarksRow) -> None:
        """Note what a unit's pictures were made of; on disk with the next `append` or `flush`."""
        values = (session_id, *astuple(row))
        with self._mutex:
            self._writer(session_id).put_other("marks", checked(values, reals=True))

    def record_link_sample(
        self, session_id: int, stream_id: int, boot_id: int, sample: LinkSample
    ) -> None:
        """Note one second of a link; on disk with the next `append`, `flush` or `close`."""
        values = (session_id, stream_id, boot_id, *astuple(sample))
        with self._mutex:
            self._writer(session_id).put_other("link_samples", checked(values, reals=True))

    def record_model(self, session_id: int, time_ns: int, decoder: UnitDecoder) -> None:
        """Note what made the pictures from now on: the decoder's label and its weights' hash."""
        row = (session_id, time_ns, decoder.label, decoder.spec.weights_sha256.hex())
        with self._mutex:
            self._writer(session_id).put_other("models", checked(row))

    def flush(self) -> None:
        """Write what waits, backlog and derived rows. A failure goes to `health`."""
        with self._mutex:
            self._writer().commit()

    def clear_derived(self, session_id: int) -> None:
        """Forget a session's units and the receiver's events, before a replay writes them anew.

        The base's own events (kinds that no receiver makes) stay: no replay could bring them back.

        Raises:
            UserError: the disk does not take it.
        """
        with self._mutex:
            queue = self._writer(session_id)
            queue.commit()  # what waits of this session must not come back behind the deletion
            try:
                with transaction(self._db.conn) as conn:
                    conn.execute("DELETE FROM units WHERE session_id = ?", (session_id,))
                    marks = ", ".join("?" * len(RECEIVER_KINDS))
                    conn.execute(
                        f"DELETE FROM events WHERE session_id = ? AND kind IN ({marks})",
                        (session_id, *RECEIVER_KINDS),
                    )
            except sqlite3.Error as error:
                raise UserError(f"cannot write archive {self._path}: {explain(error)}") from None

    def record_replay_state(self, session_id: int, time_ns: int, guard: ReplayGuard) -> None:
        """Note what was believed before a session: only so does a replay believe the same."""
        self.record_event(session_id, time_ns, REPLAY_STATE, guard.export())

    def close(self) -> None:
        """Write what waits, fold the log into the main file, free the lock. Twice is once.

        Raises:
            UserError: the disk still does not take datagrams that wait; they are lost now.
        """
        with self._mutex:
            if self._closed:
                return
            if self._queue is not None:
                self._queue.commit()
                with contextlib.suppress(sqlite3.Error):
                    self._queue.sign()
                with contextlib.suppress(sqlite3.Error):
                    # A reader may hold the log; then the last one to close folds it in.
                    self._db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._closed = True
            self._db.conn.close()
            if self._lock is not None:
                self._lock.release()
            if self.health.waiting_rows:
                raise UserError(f"{self.health.line}; they are lost")

    def _writer(self, session_id: int | None = None) -> WriteQueue:
        if self._queue is None or self._closed:
            raise LocalProtocolError(f"archive {self._path} is not open for writing")
        if session_id is not None and session_id not in self._sessions:
            raise LocalProtocolError(f"session {session_id} was not started in this archive")
        return self._queue
