"""No acknowledged datagram is ever lost: the writer is killed for real, over and over."""

from __future__ import annotations

import os
import random
import runpy
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest

from gvc_base.archive import Archive
from gvc_protocol.errors import UserError

WRITER = Path(__file__).with_name("crash_writer.py")
_SHARED = runpy.run_path(str(WRITER))
content: Callable[[int], bytes] = _SHARED["content"]
append_next: Callable[[Archive, int, int], int] = _SHARED["append_next"]
run: Callable[[Path, int, TextIO], None] = _SHARED["run"]
PARAMS = _SHARED["PARAMS"]


@pytest.fixture
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process wrote survives its kill without a sync; only a power cut needs those."""
    monkeypatch.setattr("gvc_base.archive_schema._SYNCHRONOUS", "OFF")


def rows_of(path: Path) -> int:
    """Check the file and every byte in it; returns how many datagrams it holds."""
    with Archive.open_readonly(path) as archive:
        rows = [item for s in archive.sessions() for item in archive.datagrams(s.id)]
        assert archive.last_id == len(rows), "ids are not contiguous"
    assert rows == [(i * 1000, content(i)) for i in range(1, len(rows) + 1)]
    conn = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        ahead = "SELECT count(*) FROM events WHERE json_extract(detail, '$.last_id') > ?"
        assert conn.execute(ahead, (len(rows),)).fetchone() == (0,)
    finally:
        conn.close()
    return len(rows)


def run_and_kill(path: Path, seed: int, after_s: float) -> int:
    """One life of the writer; returns the last id it acknowledged."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read_end)
            with os.fdopen(write_end, "w") as out:
                run(path, seed, out)
        finally:
            os._exit(1)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        first = pipe.readline()
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
        text = first + pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    # A line without its end was cut by the kill: that one was not acknowledged.
    return max((int(line) for line in text.split(b"\n")[:-1]), default=0)


def check_main_file_alone(path: Path, acknowledged: int) -> None:
    """Without its log the file is older, or refused with the reason; never a traceback."""
    copy = path.with_name("copy.gvc")
    shutil.copy(path, copy)
    try:
        with Archive.open_readonly(copy) as archive:
            assert archive.last_id <= acknowledged + 40
            for session in archive.sessions():
                assert all(data == content(t // 1000) for t, data in archive.datagrams(session.id))
    except UserError as error:
        assert "copied without its -wal file" in str(error)
    finally:
        for end in ("", "-wal", "-shm"):
            Path(f"{copy}{end}").unlink(missing_ok=True)


def test_ten_kills_over_one_archive_lose_no_acknowledged_row(tmp_path: Path) -> None:
    path = tmp_path / "mission.gvc"
    rng = random.Random(20)
    acknowledged = 0
    for life in range(10):
        acknowledged = run_and_kill(path, life, rng.uniform(0.0, 0.12))
        check_main_file_alone(path, acknowledged)
        kept = rows_of(path)
        assert kept >= acknowledged > 0
        assert kept <= acknowledged + 40, "more than the one append under way is on disk"
    with Archive.create_or_open(path) as archive:
        assert len(archive.sessions()) == 10
        assert all(session.params == PARAMS for session in archive.sessions())


def die_before_statement(path: Path, number: int) -> bool:
    """A whole mission in a forked process that kills itself before its n-th SQL statement."""
    child = os.fork()
    if child == 0:
        try:
            _mission_with_fuse(path, number)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _mission_with_fuse(path: Path, number: int) -> None:
    seen = 0
    connect = sqlite3.connect

    def fuse(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect_with_fuse(*args: object, **named: object) -> sqlite3.Connection:
        conn: sqlite3.Connection = connect(*args, **named)  # type: ignore[call-overload]
        conn.set_trace_callback(fuse)
        return conn

    sqlite3.connect = connect_with_fuse  # type: ignore[assignment]
    archive = Archive.create_or_open(path)
    session = archive.start_session(link_url="l", profile_id="p", params=PARAMS, now_ns=1)
    append_next(archive, session, 3)
    archive.record_event(session, 1, "note", {"last_id": archive.last_id})
    append_next(archive, session, 2)
    archive.close()
    os._exit(0)


@pytest.mark.usefixtures("no_sync")
def test_a_kill_before_any_statement_leaves_a_file_that_can_be_used(tmp_path: Path) -> None:
    number = 0
    killed = True
    while killed:
        number += 1
        path = tmp_path / f"{number}.gvc"
        killed = die_before_statement(path, number)
        with Archive.create_or_open(path) as archive:
            session = archive.start_session(link_url="l", profile_id="p", params=PARAMS, now_ns=2)
            append_next(archive, session, 2)
        assert rows_of(path) in (2, 5, 7)
    assert number > 20


@pytest.mark.usefixtures("no_sync")
def test_any_beginning_of_the_log_gives_a_beginning_of_the_record(tmp_path: Path) -> None:
    """A power cut may leave the log cut anywhere, or with a page of garbage."""
    path = tmp_path / "mission.gvc"
    archive = Archive.create_or_open(path)
    session = archive.start_session(link_url="l", profile_id="p", params=PARAMS, now_ns=1)
    marks = []
    wal = Path(f"{path}-wal")
    for _ in range(12):
        last = append_next(archive, session, 5)
        marks.append((wal.stat().st_size, last))
    main_bytes, log = path.read_bytes(), wal.read_bytes()
    archive.close()
    rng = random.Random(7)
    for trial in range(40):
        cut = rng.randrange(len(log) + 1)
        tail = rng.randbytes(4096) if trial % 2 else b""
        copy = tmp_path / f"cut-{trial}.gvc"
        copy.write_bytes(main_bytes)
        Path(f"{copy}-wal").write_bytes(log[:cut] + tail)
        wanted = max((last for size, last in marks if size <= cut), default=0)
        assert rows_of(copy) >= wanted


@pytest.mark.usefixtures("no_sync")
def test_a_kill_while_the_log_is_folded_in_loses_nothing(tmp_path: Path) -> None:
    """Any mixture of old and new pages of the main file is whole with its log beside it."""
    page = 4096
    path = tmp_path / "mission.gvc"
    archive = Archive.create_or_open(path)
    session = archive.start_session(link_url="l", profile_id="p", params=PARAMS, now_ns=1)
    for _ in range(12):
        last = append_next(archive, session, 5)
    old, log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    archive.close()
    new = path.read_bytes()
    assert len(new) > len(old)
    rng = random.Random(8)
    for trial in range(30):
        copy = tmp_path / f"mixed-{trial}.gvc"
        size = rng.randrange(len(old), len(new) + page, page)
        sources = [rng.choice((old, new)) if i < len(old) else new for i in range(0, size, page)]
        at = range(0, size, page)
        copy.write_bytes(b"".join(s[i : i + page] for i, s in zip(at, sources, strict=True)))
        Path(f"{copy}-wal").write_bytes(log)
        assert rows_of(copy) == last
        Archive.create_or_open(copy).close()
        assert rows_of(copy) == last


def test_rows_in_another_process_are_seen_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "mission.gvc"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, str(WRITER), str(path), "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        try:
            assert process.stdout is not None
            acknowledged = int(process.stdout.readline())
            with Archive.open_readonly(path) as reader:
                assert reader.last_id >= acknowledged
                assert len(list(reader.datagrams(1))) >= acknowledged
            with pytest.raises(UserError, match=rf"another process \(pid {process.pid}\)"):
                Archive.create_or_open(path)
        finally:
            process.kill()
    Archive.create_or_open(path).close()
