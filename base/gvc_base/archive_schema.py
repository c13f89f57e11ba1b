"""What a mission archive looks like on disk: its tables, its identity, how it is opened and locked.

Identity is SQLite's own: `application_id` says "a GVC archive", `user_version` says which version of
the tables. Both stand in the main file's first page and never change after creation, so a wrong file
is refused before anything is written to it or beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlite_utils import Database

from gvc_base.archive_tables import OLDEST_VERSION, SCHEMA_VERSION, create_tables, migrate
from gvc_protocol.errors import UserError

__all__ = [
    "APPLICATION_ID",
    "BUSY_TIMEOUT_MS",
    "SCHEMA_VERSION",
    "WriterLock",
    "connect_reader",
    "connect_writer",
    "expect_archive",
    "explain",
    "real_path",
]

APPLICATION_ID = int.from_bytes(b"GVCA", "big")
BUSY_TIMEOUT_MS = 2000
"How long a commit waits for somebody else's lock. The live base stands still meanwhile."

_SYNCHRONOUS = "FULL"
"In WAL mode, NORMAL would lose the last commits to a power cut."

_CHECKPOINT_PAGES = 256
"The log is folded into the main file at 1 MiB; after a crash it holds that much at most, about."

_DAMAGED = (
    "the file is damaged, or was copied without its -wal file; copy both, "
    "or save what is left with `sqlite3 FILE .recover`"
)


def real_path(path: Path) -> Path:
    """Absolute and without links: two names of one file must meet at one lock.

    Raises:
        UserError: the path is a loop of links or no path at all.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        raise UserError(f"{path!s:.200} is no usable path; name a file for the archive") from None


def explain(error: sqlite3.Error) -> str:
    """`what is wrong; what to do` for an error of SQLite."""
    lines = {
        sqlite3.SQLITE_FULL: "its disk is full; free space there",
        sqlite3.SQLITE_IOERR: "its disk reports an error; check the disk and its free space",
        sqlite3.SQLITE_BUSY: "another program holds it locked; close that program",
        sqlite3.SQLITE_LOCKED: "another program holds it locked; close that program",
        sqlite3.SQLITE_READONLY: "the file or its folder is read-only; make both writable",
        sqlite3.SQLITE_CANTOPEN: "the file or its folder cannot be used; check the rights of both",
        sqlite3.SQLITE_CORRUPT: _DAMAGED,
        sqlite3.SQLITE_NOTADB: _DAMAGED,
    }
    # The low byte is the primary code; errors of the Python module itself carry no code.
    primary = getattr(error, "sqlite_errorcode", -1) & 0xFF
    return lines.get(primary, f"{error}; check the file and its disk")


class WriterLock:
    """One writing process an archive.

    Two bases that write one file would mix their receptions under ids that look like one record,
    and each would wait for the other's syncs; so the second is refused. The lock is `flock` on
    FILE.lock: the kernel frees it when its holder dies, however it dies, so it is never stale.
    The lock file stays when it is freed: deleting it would let a third process lock a new file of
    that name beside the holder of the old one.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock of the archive at `path`.

        Raises:
            UserError: another process has it, or the folder is missing or read-only.
        """
        name = Path(f"{path}.lock")
        try:
            self._fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UserError(
                f"cannot write archive {path}: {error.strerror}; "
                "choose a folder that exists and that you can write in"
            ) from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise UserError(
                f"archive {path} is being written by another process (pid {holder}); "
                "stop that one or choose another file"
            ) from None
        except OSError as error:
            os.close(self._fd)
            raise UserError(
                f"cannot lock archive {path}: {error.strerror}; put it on a local disk"
            ) from None
        self._note_pid()

    def _note_pid(self) -> None:
        """For people only: the lock holds without it, also on a disk too full for five digits."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Free the lock."""
        os.close(self._fd)


def connect_writer(path: Path) -> Database:
    """Open for writing, creating the tables in a new file. The caller holds the writer's lock.

    Raises:
        UserError: the file is no archive of this version, or cannot be written.
    """
    try:
        db = _connect(path, "mode=rwc")
        try:
            _prepare_writer(db, path)
        except BaseException:
            db.conn.close()
            raise
    except sqlite3.Error as error:
        raise UserError(f"cannot write archive {path}: {explain(error)}") from None
    return db


def connect_reader(path: Path) -> Database:
    """Open for reading, also beside a live writer and after a crash of one.

    Raises:
        UserError: the file is missing, no archive of this version, or cannot be read.
    """
    expect_archive(path, may_be_empty=False)
    try:
        return _connect_checked(path, "mode=ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise UserError(f"cannot read archive {path}: {explain(error)}") from None
        for log in (Path(f"{path}-wal"), Path(f"{path}-journal")):
            if log.exists() and log.stat().st_size > 0:
                # `immutable` would leave out the newest rows without a word.
                raise UserError(
                    f"cannot read archive {path}: its newest rows are in {log.name} and the folder "
                    "is read-only; copy both files to a folder that you can write in"
                ) from None
    except sqlite3.Error as error:
        raise UserError(f"cannot read archive {path}: {explain(error)}") from None
    try:
        # A read-only medium without a writer: no lock and no helper file is needed.
        return _connect_checked(path, "mode=ro&immutable=1")
    except sqlite3.Error as error:
        raise UserError(f"cannot read archive {path}: {explain(error)}") from None


def _connect(path: Path, query: str) -> Database:
    # Autocommit: transactions are opened and closed by name, in one place. Threads are kept apart
    # by the archive's own lock.
    conn = sqlite3.connect(
        f"{path.as_uri()}?{query}", uri=True, isolation_level=None,
        timeout=BUSY_TIMEOUT_MS / 1000, check_same_thread=False,
    )  # fmt: skip
    return Database(conn, recursive_triggers=False)


def _connect_checked(path: Path, query: str) -> Database:
    db = _connect(path, query)
    try:
        _check_identity(path, *_identity(db))
        db.execute("SELECT count(*) FROM sessions").fetchone()
    except BaseException:
        db.conn.close()
        raise
    return db


def _prepare_writer(db: Database, path: Path) -> None:
    db.execute(f"PRAGMA synchronous={_SYNCHRONOUS}")
    if not any(_identity(db)) and not db.table_names():
        software = f"gvc-field {_software_version()}"
        create_tables(db.conn, application_id=APPLICATION_ID, software=software)
    _check_identity(path, *_identity(db))
    if (version := _identity(db)[1]) < SCHEMA_VERSION:
        migrate(db.conn, version)
    mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise UserError(
            f"cannot write archive {path}: its file system has no shared memory for the log "
            f"(journal mode {mode}); put the archive on a local disk"
        )
    db.execute("PRAGMA foreign_keys=ON")
    db.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}").fetchone()


def _software_version() -> str:
    try:
        return version("gvc-field")
    except PackageNotFoundError:
        return "from source"


def _identity(db: Database) -> tuple[int, int]:
    app = db.execute("PRAGMA application_id").fetchone()[0]
    return int(app), int(db.execute("PRAGMA user_version").fetchone()[0])


def _check_identity(path: Path, application_id: int, user_version: int) -> None:
    if application_id != APPLICATION_ID:
        raise UserError(f"{path} is a SQLite file but no mission archive; choose another file")
    if not OLDEST_VERSION <= user_version <= SCHEMA_VERSION:
        age = "newer" if user_version > SCHEMA_VERSION else "older"
        raise UserError(
            f"archive {path} has version {user_version}, this program reads {SCHEMA_VERSION}; "
            f"use the {age} gvc-field that wrote it"
        )


def expect_archive(path: Path, *, may_be_empty: bool) -> None:
    """Refuse a wrong file by its first page, leaving no trace beside it.

    Raises:
        UserError: the file is no archive of this version, or (unless `may_be_empty`) missing.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise UserError(f"{path} is no file; name a file for the archive")
    except FileNotFoundError:
        if may_be_empty:
            return
        raise UserError(f"archive {path} does not exist; check the name") from None
    except OSError as error:
        raise UserError(f"cannot open archive {path}: {error.strerror}; check the name") from None
    if size == 0:
        if may_be_empty:
            return
        raise UserError(f"archive {path} is empty: nothing was ever recorded in it")
    try:
        # Through SQLite, not `open`: closing a plain file handle would free the POSIX locks that a
        # writer in this very process has on the file. `immutable` takes none and makes no file.
        db = _connect(path, "mode=ro&immutable=1")
        try:
            _check_identity(path, *_identity(db))
        finally:
            db.conn.close()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", -1) & 0xFF == sqlite3.SQLITE_NOTADB:
            raise UserError(f"{path} is not a mission archive; choose another file") from None
        # Anything else is for the real open to tell. A kill while the log was being folded in leaves
        # a main file that looks damaged until it is read together with its log.
