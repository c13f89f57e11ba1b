"""Every change of the record is found; what cannot be told is said."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gvc_base.archive import Archive, MarksRow
from gvc_base.archive_deep import derived_problems
from gvc_base.archive_seal import Signer, load_signer
from gvc_base.archive_verify import Verification, verify_archive
from gvc_base.cli import app
from gvc_base.console.view import LinkSample
from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError
from gvc_protocol.framing import Framing
from gvc_protocol.params import LinkParams

VECTORS = Path(__file__).parents[1] / "vectors"
KEY = LinkKey(bytes(range(32)))
PARAMS = LinkParams(framing=Framing(mtu_bytes=250), rate_bps=5e4, fec_percent=30.0)
ROWS = 12


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gvc_base.archive_schema._SYNCHRONOUS", "OFF")


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    made = load_signer(tmp_path_factory.mktemp("state"))
    assert made is not None
    return made


def start(archive: Archive) -> int:
    return archive.start_session(link_url="udp://h:1", profile_id="p", params=PARAMS, now_ns=5_000)


def rows(first: int, count: int) -> list[tuple[int, str, bytes]]:
    return [(i * 1000, f"peer-{i}", bytes([i]) * 20) for i in range(first, first + count)]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, signer: Signer) -> Path:
    path = tmp_path_factory.mktemp("signed") / "mission.db"
    with Archive.create_or_open(path, signer=signer) as archive:
        session = start(archive)
        for i in range(1, ROWS + 1):
            archive.append(session, rows(i, 1))
            archive.record_event(session, i, "note", {"text": f"seen {i}"})
    return path


def look(path: Path) -> Verification:
    return verify_archive(path)


def edit(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as conn:
        for statement in statements:
            conn.execute(statement)
        conn.commit()


def test_a_whole_archive_is_whole_and_signed_to_its_end(signed: Path, signer: Signer) -> None:
    found = look(signed)
    assert found.whole and found.closed and found.rows == found.signed_to == ROWS
    assert found.fingerprints == [signer.fingerprint] and found.state == "signed"
    assert found.notes == []


def test_a_signature_may_stand_alone_and_a_second_run_goes_on(
    tmp_path: Path, signer: Signer
) -> None:
    path = tmp_path / "m.db"
    for first in (1, 4, 7):
        with Archive.create_or_open(path, signer=signer) as archive:
            archive.append(start(archive), rows(first, 3))
    Archive.create_or_open(path, signer=signer).close()
    found = look(path)
    assert found.whole and found.signed_to == 9
    with closing(sqlite3.connect(path)) as conn:
        # Opened and closed again without anything new: no new signature.
        assert conn.execute("SELECT count(*), sum(closing) FROM signatures").fetchone() == (3, 3)


@settings(max_examples=60, deadline=None)
@given(
    row=st.integers(1, ROWS),
    column=st.sampled_from(["session_id", "received_ns", "source", "data", "chain"]),
    at=st.integers(0, 31), bit=st.integers(0, 7),
)  # fmt: skip
def test_any_changed_bit_of_any_row_is_found(
    signed: Path, tmp_path_factory: pytest.TempPathFactory, row: int, column: str, at: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("bit") / "m.db"
    shutil.copy(signed, path)
    with closing(sqlite3.connect(path)) as conn:
        sql = f"SELECT {column} FROM datagrams WHERE id = ?"
        old = conn.execute(sql, (row,)).fetchone()[0]
        new: int | str | bytes
        if isinstance(old, int):
            new = old ^ 1 << bit
        else:
            raw = bytearray(old if isinstance(old, bytes) else old.encode())
            raw[at % len(raw)] ^= 1 << bit
            new = bytes(raw)
        cast = "CAST(? AS TEXT)" if column == "source" else "?"
        conn.execute(f"UPDATE datagrams SET {column} = {cast} WHERE id = ?", (new, row))
        conn.commit()
    found = look(path)
    assert not found.whole
    assert any(f"datagram {row} " in line for line in found.problems)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_removed_added_and_reordered_rows_are_found(
    signed: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("rows") / "m.db"
    shutil.copy(signed, path)
    row = data.draw(st.integers(1, ROWS))
    how = data.draw(st.sampled_from(["remove", "remove and renumber", "copy", "swap", "tail"]))
    if how == "remove":
        edit(path, f"DELETE FROM datagrams WHERE id = {row}")
    elif how == "remove and renumber":
        edit(path, f"DELETE FROM datagrams WHERE id = {row}",
             f"UPDATE datagrams SET id = id - 1 WHERE id > {row}")  # fmt: skip
    elif how == "copy":
        to = data.draw(st.integers(1, ROWS + 1))
        edit(path, f"UPDATE datagrams SET id = -id - 1 WHERE id >= {to}",
             "UPDATE datagrams SET id = -id WHERE id < 0",
             f"INSERT INTO datagrams SELECT {to}, session_id, received_ns, source, data, chain"
             f" FROM datagrams WHERE id = {row if row < to else row + 1}")  # fmt: skip
    elif how == "swap":
        other = row % ROWS + 1
        edit(path, f"UPDATE datagrams SET id = 1000 WHERE id = {row}",
             f"UPDATE datagrams SET id = {row} WHERE id = {other}",
             f"UPDATE datagrams SET id = {other} WHERE id = 1000")  # fmt: skip
    else:
        edit(path, f"DELETE FROM datagrams WHERE id >= {row}")
    found = look(path)
    assert not found.whole and "datagram" in found.problems[0]


def test_a_row_is_named(signed: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    shutil.copy(signed, path)
    edit(path, "DELETE FROM datagrams WHERE id IN (3, 7, 8)", "UPDATE datagrams SET data = x'00'"
         " WHERE id = 5")  # fmt: skip
    assert look(path).problems[:3] == [
        "datagram 3 is missing",
        "datagram 5 was changed, or what stood before it was removed or added: its hash does not fit",
        "datagrams 7 to 8 are missing",
    ]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("UPDATE sessions SET link_url = 'udp://elsewhere:1'", "a row of sessions 1 to 1"),
        ("UPDATE events SET detail = '{}' WHERE rowid = 4", "event of the base's own"),
        ("DELETE FROM events WHERE rowid = 4", "event of the base's own"),
        ("UPDATE signatures SET last_id = 11", "signature 1 .+ is not genuine"),
        ("UPDATE signatures SET signature = zeroblob(64)", "signature 1 .+ is not genuine"),
        ("UPDATE signatures SET id = 2", "signature 1 is missing"),
        ("UPDATE meta SET value = 'other' WHERE key = 'archive_id'", "datagram 1 was changed"),
    ],
)
def test_what_hangs_on_the_signature_is_found(
    signed: Path, tmp_path: Path, change: str, line: str
) -> None:
    path = tmp_path / "m.db"
    shutil.copy(signed, path)
    edit(path, change)
    import re

    assert any(re.search(line, problem) for problem in look(path).problems)


def test_a_chain_made_anew_does_not_fit_the_signature(signed: Path, tmp_path: Path) -> None:
    from gvc_base.archive_chain import chain_all

    path = tmp_path / "m.db"
    shutil.copy(signed, path)
    edit(path, "UPDATE datagrams SET data = x'00' WHERE id = 5")
    with closing(sqlite3.connect(path)) as conn:
        archive_id = conn.execute("SELECT value FROM meta WHERE key = 'archive_id'").fetchone()[0]
        chain_all(conn, archive_id)
        conn.commit()
    assert look(path).problems == [
        f"datagrams up to {ROWS} are not those that signature 1 was made over"
    ]


def test_rows_behind_a_closing_signature_were_added(signed: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    shutil.copy(signed, path)
    with Archive.create_or_open(path) as archive:  # by somebody without the key
        archive.append(1, rows(13, 2))
    assert look(path).problems == [
        "datagram 13 was added to a session after the archive's closing signature"
    ]


def test_an_unsigned_tail_is_told_and_no_problem(
    tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill leaves: signatures on the way, none at the end."""
    monkeypatch.setattr("gvc_base.archive_seal._EVERY_ROWS", 5)
    path = tmp_path / "m.db"
    archive = Archive.create_or_open(path, signer=signer)
    session = start(archive)
    for i in range(1, 13):
        archive.append(session, rows(i, 1))
    found = look(path)
    archive.close()
    assert found.whole and (found.rows, found.signed_to, found.closed) == (12, 10, False)
    assert "datagrams 11 to 12 are in the chain and not signed" in found.notes[0]
    assert found.state == "signed to row 10 of 12"


def test_an_archive_without_signature_says_so(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with Archive.create_or_open(path) as archive:
        archive.append(start(archive), rows(1, 3))
    found = look(path)
    assert found.whole and found.state == "not signed" and "no signature" in found.notes[0]


# --- the key ------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    assert load_signer(tmp_path, make=False) is None
    first, again = load_signer(tmp_path / "s"), load_signer(tmp_path / "s")
    assert first is not None and again is not None and first.public_key == again.public_key
    (file,) = (tmp_path / "s").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    with pytest.raises(UserError, match="chmod 600"):
        load_signer(tmp_path / "s")
    file.chmod(0o600)
    file.write_bytes(b"short")
    with pytest.raises(UserError, match="is no signing key"):
        load_signer(tmp_path / "s")


# --- older versions -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
def test_an_old_archive_gets_its_chain_when_it_is_written(
    version: int, tmp_path: Path, signer: Signer
) -> None:
    path = tmp_path / "old.db"
    shutil.copy(VECTORS / f"archive-v{version}.db", path)
    with Archive.open_readonly(path) as archive:
        before = list(archive.datagrams(1))
    with pytest.raises(UserError, match=f"version {version}, which had no hash chain"):
        look(path)
    with Archive.create_or_open(path, signer=signer) as archive:
        assert list(archive.datagrams(1)) == before
        archive.append(start(archive), rows(1, 2))
    found = look(path)
    assert found.whole and found.signed_to == len(before) + 2
    assert (
        f"datagrams 1 to {len(before)} were recorded before this archive had a chain"
        in (found.notes[0])
    )


def test_an_archive_of_version_2_is_read_decoded_and_derived(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    shutil.copy(VECTORS / "archive-v2.db", path)
    with Archive.open_readonly(path) as archive:
        (session,) = archive.sessions()
        assert session.authenticated and session.key_fingerprint == KEY.fingerprint
        assert archive.version == 2
    assert derived_problems(path, KEY) == ([], [])
    Archive.create_or_open(path).close()
    assert derived_problems(path, KEY) == ([], [])
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT unit_no, first_frame FROM frames").fetchall() == [
            (0, 0),
            (1, 10),
        ]
        assert conn.execute("SELECT ask_id, kind FROM requests").fetchall() == [(65537, "region")]
        assert conn.execute("SELECT edge_less_base_us FROM clock_relations").fetchall() == [
            (-1200,)
        ]
        assert conn.execute("SELECT kind FROM operator_actions").fetchall() == [("asked",)]


def test_a_kill_in_the_migration_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.db"
    shutil.copy(VECTORS / "archive-v2.db", path)

    def dies(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("gvc_base.archive_tables.chain_all", dies)
    with pytest.raises(KeyboardInterrupt):
        Archive.create_or_open(path)
    with Archive.open_readonly(path) as archive:
        assert archive.version == 2 and len(list(archive.datagrams(1))) == 6


# --- derived rows and rows of other tables --------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("UPDATE units SET whole = 0 WHERE unit_no = 1", "unit 1 of stream 7, boot 2, closed at"),
        ("DELETE FROM units WHERE unit_no = 0", "unit 0 of stream 7, boot 2, closed at"),
        ("INSERT INTO events VALUES (1, 7, 'message', '{}')", "event message at 7 ns is not what"),
    ],
)
def test_derived_rows_that_the_record_does_not_give_are_named(
    change: str, line: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.db"
    shutil.copy(VECTORS / "archive-v2.db", path)
    edit(path, change)
    assert any(line in problem for problem in derived_problems(path, KEY)[0])
    assert "give --key FILE" in derived_problems(path, None)[1][0]


def test_marks_samples_and_models_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    sample = LinkSample(time_ns=7, bit_s=4e4, loss=0.1, loss_repaired=0.0, burst=2.0, rssi_dbm=-90)
    marks = MarksRow(
        stream_id=1, boot_id=2, unit_no=3, frames=60, received=0.5, carried=0.25, enhanced=0.25,
        regenerated=0.0, lost=0.0, p_wrong=0.1,
    )  # fmt: skip
    with Archive.create_or_open(path) as archive:
        session = start(archive)
        archive.record_link_sample(session, 1, 2, sample)
        archive.record_marks(session, marks)
    with closing(sqlite3.connect(path)) as conn:
        row = conn.execute("SELECT * FROM link_samples").fetchone()
        assert row[:8] == (1, 1, 2, 7, 4e4, 0.1, 0.0, 2.0) and row[8] == -90 and row[-1] is None
        assert conn.execute("SELECT unit_no, frames, received FROM marks").fetchone() == (
            3,
            60,
            0.5,
        )


# --- the command ----------------------------------------------------------------------------------


def test_the_command_says_whole_damaged_or_cannot_tell(
    signed: Path, tmp_path: Path, signer: Signer
) -> None:
    def run(*words: str) -> tuple[int, str]:
        made = CliRunner().invoke(app, ["verify", *words, "--state", str(tmp_path)])
        return made.exit_code, made.output

    code, text = run(str(signed))
    assert code == 0 and "whole: 12 datagrams" in text and signer.fingerprint in text
    assert run(str(signed), "--signed-by", signer.fingerprint.lower())[0] == 0
    code, text = run(str(signed), "--signed-by", "0000-0000-0000-0000")
    assert code == 1 and "not signed by" in text
    path = tmp_path / "m.db"
    shutil.copy(signed, path)
    edit(path, "DELETE FROM datagrams WHERE id = 6")
    code, text = run(str(path))
    assert code == 1 and "datagram 6 is missing" in text
