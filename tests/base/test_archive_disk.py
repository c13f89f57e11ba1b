"""Wrong files, second writers, full and locked disks: one clear line each, and no row is lost."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gvc_base.archive import Archive
from gvc_base.archive_schema import APPLICATION_ID, SCHEMA_VERSION
from gvc_protocol.errors import UserError
from gvc_protocol.framing import Framing
from gvc_protocol.params import LinkParams

PARAMS = LinkParams(framing=Framing(mtu_bytes=250), rate_bps=5e4, fec_percent=30.0)


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in here is about power cuts; a busy disk shall not slow these tests down."""
    monkeypatch.setattr("gvc_base.archive_schema._SYNCHRONOUS", "OFF")


def start(archive: Archive) -> int:
    return archive.start_session(link_url="udp://h:1", profile_id="p", params=PARAMS, now_ns=5_000)


def row(number: int) -> tuple[int, str, bytes]:
    return number, f"s{number}", number.to_bytes(4, "big") * 250


def numbers(path: Path) -> list[int]:
    with Archive.open_readonly(path) as archive:
        return [t for s in archive.sessions() for t, _ in archive.datagrams(s.id)]


def events(path: Path) -> list[tuple[int, str, str]]:
    conn = sqlite3.connect(path)
    found = conn.execute("SELECT time_ns, kind, detail FROM events ORDER BY rowid").fetchall()
    conn.close()
    return found


# --- wrong files ------------------------------------------------------------------------------


def _other_sqlite(path: Path, application_id: int, version: int, mode: str = "wal") -> None:
    conn = sqlite3.connect(path)
    conn.execute(f"PRAGMA journal_mode={mode}")
    conn.execute(f"PRAGMA application_id={application_id}")
    conn.execute(f"PRAGMA user_version={version}")
    conn.execute("CREATE TABLE t (x)")
    conn.close()


def make_wrong(kind: str, folder: Path) -> Path:
    path = folder / "wrong.gvc"
    if kind == "directory":
        path.mkdir()
    elif kind == "text":
        path.write_text("frames, not tables\n" * 500)
    elif kind == "short":
        path.write_bytes(b"SQLite format 3\0")
    elif kind == "foreign":
        _other_sqlite(path, 0, 0)
    elif kind == "foreign-same-version":
        _other_sqlite(path, 77, SCHEMA_VERSION, mode="delete")
    elif kind == "newer":
        _other_sqlite(path, APPLICATION_ID, SCHEMA_VERSION + 1)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "no-folder":
        return folder / "missing" / "wrong.gvc"
    return path


KINDS = [
    "directory",
    "text",
    "short",
    "foreign",
    "foreign-same-version",
    "newer",
    "loop",
    "no-folder",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_file_is_refused_in_one_line_and_left_alone(kind: str, tmp_path: Path) -> None:
    path = make_wrong(kind, tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    for opener in (Archive.create_or_open, Archive.open_readonly):
        with pytest.raises(UserError, match=r"^[^\n]{20,400}$"):
            opener(path)
    assert {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


@pytest.mark.parametrize("content", [None, b""])
def test_nothing_recorded_yet(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.gvc"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"does not exist|is empty"):
        Archive.open_readonly(path)
    Archive.create_or_open(path).close()
    Archive.open_readonly(path).close()


def test_a_damaged_archive_is_named_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.gvc"
    with Archive.create_or_open(path) as archive:
        archive.append(start(archive), [row(i) for i in range(300)])
    whole = bytearray(path.read_bytes())
    rng = random.Random(5)
    refused = 0
    for _ in range(25):
        hurt = bytearray(whole)
        at = rng.randrange(4096, len(hurt) - 4096)
        hurt[at : at + 4096] = rng.randbytes(4096)
        path.write_bytes(hurt[: rng.choice([len(hurt), at])])
        try:
            numbers(path)
        except UserError as error:
            refused += 1
            assert "damaged" in str(error) and "\n" not in str(error)
    assert refused > 10


def test_an_unknown_session_names_the_known_ones(tmp_path: Path) -> None:
    with Archive.create_or_open(tmp_path / "a.gvc") as archive:
        with pytest.raises(UserError, match=r"no session 1; it has: none"):
            archive.datagrams(1)
        start(archive)
        start(archive)
        with pytest.raises(UserError, match=r"no session 7; it has: 1, 2$"):
            archive.datagrams(7)


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Root may write anywhere: for these tests it becomes somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    modes = {up: up.stat().st_mode for up in (folder, *folder.parents)}
    modes = {up: mode for up, mode in modes.items() if mode & 0o055 != 0o055}
    for up, mode in modes.items():
        up.chmod(mode | 0o055)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for up, mode in modes.items():
            up.chmod(mode)


def test_a_read_only_folder(tmp_path: Path) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    with Archive.create_or_open(folder / "closed.gvc") as archive:
        archive.append(start(archive), [row(1), row(2)])
    cut = Archive.create_or_open(tmp_path / "cut.gvc")
    cut.append(start(cut), [row(1)])
    for end in ("", "-wal"):
        (folder / f"cut.gvc{end}").write_bytes((tmp_path / f"cut.gvc{end}").read_bytes())
    cut.close()
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    with unprivileged(tmp_path):
        assert numbers(folder / "closed.gvc") == [1, 2]
        with pytest.raises(UserError, match=r"read-only; copy both files"):
            Archive.open_readonly(folder / "cut.gvc")
        for name in ("closed.gvc", "new.gvc"):
            with pytest.raises(UserError, match=r"^cannot write archive [^\n]+Permission denied; "):
                Archive.create_or_open(folder / name)
    folder.chmod(0o755)


# --- one writer -------------------------------------------------------------------------------


def test_the_second_writer_is_refused_under_any_name(tmp_path: Path) -> None:
    path = tmp_path / "a.gvc"
    link = tmp_path / "link.gvc"
    first = Archive.create_or_open(path)
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(UserError, match=rf"another process \(pid {os.getpid()}\)"):
            Archive.create_or_open(name)
    assert first.append(start(first), [row(1)]) == 1
    first.close()
    Archive.create_or_open(link).close()


def test_a_reader_in_the_writers_process_does_not_free_its_file_locks(tmp_path: Path) -> None:
    path = tmp_path / "a.gvc"
    with Archive.create_or_open(path) as archive:
        session = start(archive)
        archive.append(session, [row(1)])
        Archive.open_readonly(path).close()
        with pytest.raises(UserError):
            Archive.create_or_open(path)
        # A stranger that closes as the last user of the file would fold in and delete the log.
        stranger = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('select * from"
        stranger += " datagrams').fetchall(); c.close()"
        subprocess.run([sys.executable, "-c", stranger, str(path)], check=True)
        assert Path(f"{path}-wal").exists()
        assert archive.append(session, [row(2)]) == 2
    assert numbers(path) == [1, 2]


# --- a disk that does not take it ---------------------------------------------------------------


@contextmanager
def disk_limit(limit_bytes: int) -> Iterator[None]:
    """No file grows beyond the limit: the system's own refusal in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_delays_rows_and_loses_none(tmp_path: Path) -> None:
    path = tmp_path / "a.gvc"
    lines: list[str] = []
    with Archive.create_or_open(path, on_health=lines.append) as archive:
        session = start(archive)
        with disk_limit(200_000):
            for i in range(400):
                acknowledged = archive.append(session, [row(i)])
                archive.record_event(session, i, "note", {})
                assert acknowledged + archive.health.waiting_rows == i + 1
            assert 0 < acknowledged < 400 and not archive.health.ok
            assert numbers(path) == list(range(acknowledged))
            assert len(lines) == 1 and re.fullmatch(
                r"archive .+ cannot be written: its disk .+", lines[0]
            )
            with pytest.raises(UserError, match="its disk"):
                start(archive)
        assert archive.append(session, [row(400)]) == 401
        assert archive.health.ok and archive.health.line == "" and len(lines) == 2
        assert "written again" in lines[1]
        archive.flush()
    assert numbers(path) == list(range(401))
    assert [event[0] for event in events(path)] == list(range(400))


def test_a_full_memory_refuses_new_rows_and_the_record_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.gvc"
    lines: list[str] = []
    with Archive.create_or_open(path, backlog_bytes=50_000, on_health=lines.append) as archive:
        session = start(archive)
        with disk_limit(100_000):
            for i in range(300):
                archive.append(session, [row(i)])
            health = archive.health
            assert 0 < health.waiting_bytes <= 50_000 and health.dropped_rows > 100
            assert archive.last_id + health.waiting_rows + health.dropped_rows == 300
            assert len(lines) == 2 and "are lost" in lines[1]
        archive.append(session, [row(300)])
        assert archive.health.ok and archive.health.dropped_rows == health.dropped_rows
    kept = numbers(path)
    first_lost = 300 - health.dropped_rows
    assert kept == [*range(first_lost), 300]
    ((last_lost, _, detail),) = [e for e in events(path) if e[1] == "archive_gap"]
    assert last_lost == 299
    assert json.loads(detail) == {"rows": health.dropped_rows, "first_ns": first_lost}


def test_closing_on_a_full_disk_says_what_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.gvc"
    archive = Archive.create_or_open(path)
    session = start(archive)
    with disk_limit(100_000):
        while archive.health.ok:
            archive.append(session, [row(1)])
        with pytest.raises(UserError, match=r"1 datagrams wait in memory.+they are lost$"):
            archive.close()
    Archive.create_or_open(path).close()


def test_a_lock_of_another_program_delays_rows_and_loses_none(tmp_path: Path) -> None:
    path = tmp_path / "a.gvc"
    with Archive.create_or_open(path) as archive:
        session = start(archive)
        archive._db.execute("PRAGMA busy_timeout=1")
        stranger = sqlite3.connect(path, isolation_level=None)
        stranger.execute("BEGIN IMMEDIATE")
        assert [archive.append(session, [row(i)]) for i in range(5)] == [0] * 5
        assert "another program holds it locked" in archive.health.line
        stranger.execute("ROLLBACK")
        stranger.close()
        archive.flush()
        assert archive.last_id == 5 and archive.health.ok
        assert archive._db.execute("PRAGMA busy_timeout").fetchone()[0] == 2000
    assert numbers(path) == list(range(5))


def test_a_large_backlog_goes_to_disk_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.gvc"
    with Archive.create_or_open(path) as archive:
        session = start(archive)
        with disk_limit(60_000):
            for i in range(0, 3000, 10):
                archive.append(session, [row(j) for j in range(i, i + 10)])
        archive.flush()
        assert archive.last_id == 3000
    assert numbers(path) == list(range(3000))
