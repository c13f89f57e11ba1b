"""Two bases, one flight: more is whole than either had, and each original can still be proven."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gvc_base.archive import Archive
from gvc_base.archive_chain import chained, first_link
from gvc_base.archive_deep import derived_problems
from gvc_base.archive_seal import Signer, load_signer
from gvc_base.archive_verify import verify_archive
from gvc_base.cli import app
from gvc_base.marks.trace import Origin, trace
from gvc_base.missions.facts import read_facts
from gvc_base.missions.merge import MergeReport, merge_archives
from gvc_base.recording import open_recording
from gvc_base.replay.view import ReplayOptions, ReplayView
from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError
from gvc_protocol.events import UnitReady
from gvc_protocol.framing import Framing
from gvc_protocol.marks import SourcePart
from gvc_protocol.params import MS, SECOND, LinkParams
from gvc_protocol.receiver import LinkReceiver
from tests.replay.flown import BEGAN_NS, Flight, fly, packets_of

KEY = LinkKey(bytes(range(32)))
TAGGED = LinkParams(
    framing=Framing(mtu_bytes=250), rate_bps=64_000.0, fec_percent=30.0, tagged=True
)
AHEAD_NS = 17_300 * MS
UNITS = 36
NORTH = Flight(units=UNITS, loss=0.35, seed=1)


def late_clock(true_ns: int) -> int:
    """17.3 s ahead, 50 ppm fast, and up to 4 ms of a computer that was busy."""
    drift = (true_ns - BEGAN_NS) // 20_000
    return true_ns + AHEAD_NS + drift + true_ns // 997 % (4 * MS)


SOUTH = replace(NORTH, seed=2, clock=late_clock, link_url="serial:/dev/ttyUSB0", lost_units=(20,))


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gvc_base.archive_schema._SYNCHRONOUS", "OFF")


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> list[Signer]:
    made = [load_signer(tmp_path_factory.mktemp("state")) for _ in range(3)]
    return [signer for signer in made if signer is not None]


@pytest.fixture(scope="module")
def merged(
    tmp_path_factory: pytest.TempPathFactory, signers: list[Signer]
) -> tuple[Path, MergeReport]:
    folder = tmp_path_factory.mktemp("merged")
    fly(folder / "north.db", NORTH, signer=signers[0])
    fly(folder / "south.db", SOUTH, signer=signers[1])
    with Archive.create_or_open(folder / "south.db", signer=signers[1]) as archive:
        archive.record_event(1, BEGAN_NS, "note", {"text": "a roof"})
    paths = [folder / "north.db", folder / "south.db"]
    report = merge_archives(paths, folder / "both.db", key=None, signer=signers[2])
    return folder, report


def test_units_that_each_had_in_part_become_whole(merged: tuple[Path, MergeReport]) -> None:
    folder, report = merged
    north, south = report.parts
    assert 0 < north.whole < UNITS and 0 < south.whole < UNITS
    assert report.whole > max(north.whole, south.whole) and report.whole >= UNITS - 2
    assert report.whole + report.degraded == UNITS and report.common > 100
    assert verify_archive(folder / "both.db").whole
    assert derived_problems(folder / "both.db", None) == ([], [])


def test_the_clock_of_the_second_base_is_found(merged: tuple[Path, MergeReport]) -> None:
    folder, report = merged
    assert abs(report.parts[1].clock_ahead_ns - AHEAD_NS) < 10 * MS
    assert "came to both" in report.parts[1].clock_about
    with closing(sqlite3.connect(folder / "both.db")) as conn:
        fed = "SELECT fed_ns, part, received_ns FROM merged_rows JOIN datagrams USING (id)"
        rows = conn.execute(f"{fed} WHERE feed IS NOT NULL ORDER BY id").fetchall()
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    errors = [now - received + (AHEAD_NS if part == 2 else 0) for now, part, received in rows]
    assert max(map(abs, errors)) < 10 * MS


def test_every_row_of_both_is_there_and_says_where_from(
    merged: tuple[Path, MergeReport],
) -> None:
    folder, _ = merged
    with closing(sqlite3.connect(folder / "both.db")) as conn:
        for part, name in ((1, "north.db"), (2, "south.db")):
            conn.execute("ATTACH ? AS original", (str(folder / name),))
            left = conn.execute(
                "SELECT count(*) FROM original.datagrams AS o LEFT JOIN merged_rows AS m"
                " ON m.original_id = o.id AND m.part = ? LEFT JOIN datagrams AS d ON d.id = m.id"
                " WHERE d.data IS NOT o.data OR d.received_ns IS NOT o.received_ns"
                " OR d.source IS NOT o.source",
                (part,),
            ).fetchone()
            conn.execute("DETACH original")
            assert left == (0,)
        same = conn.execute(
            "SELECT count(*), sum(a.data = b.data) FROM merged_rows AS m JOIN datagrams AS a"
            " ON a.id = m.id JOIN datagrams AS b ON b.id = m.same_as WHERE m.feed IS NULL"
        ).fetchone()
    assert same[0] == same[1] > 100
    notes = verify_archive(folder / "both.db").notes
    assert "of north.db" in notes[0] and "of south.db" in notes[1] and "by key" in notes[1]


def edit(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as conn:
        for statement in statements:
            conn.execute(statement)
        conn.commit()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE merged_rows SET part = 3 - part WHERE id = 7", "merged_ tables"),
        ("UPDATE merged_rows SET feed = NULL, fed_ns = NULL WHERE id = 7", "merged_ tables"),
        ("UPDATE merged_from SET chain = zeroblob(32) WHERE part = 2", "part 2 (south.db)"),
        ("UPDATE merged_signatures SET last_id = last_id - 1", "its signature 1"),
        ("UPDATE merged_signatures SET public_key = zeroblob(32)", "its signature 1"),
        ("UPDATE datagrams SET data = x'00' WHERE id = 30", "datagram 30 was changed"),
        ("UPDATE events SET detail = '{}' WHERE kind = 'note'", "part 2 (south.db)"),
        ("UPDATE sessions SET link_url = 'x' WHERE id = 2", "part 2 (south.db)"),
        ("DELETE FROM merged_rows WHERE id = 30", "is missing"),
        ("DELETE FROM events WHERE kind = 'merged'", "merged_ tables"),
    ],
)
def test_whatever_is_changed_in_a_merged_archive_is_found(
    merged: tuple[Path, MergeReport], tmp_path: Path, statement: str, words: str
) -> None:
    shutil.copy(merged[0] / "both.db", tmp_path / "m.db")
    edit(tmp_path / "m.db", statement)
    problems = verify_archive(tmp_path / "m.db").problems
    assert any(words in line for line in problems), problems


def test_who_merged_cannot_change_what_another_base_signed(
    merged: tuple[Path, MergeReport], tmp_path: Path
) -> None:
    """With the chain made anew and its own signature gone, the original's signature still tells."""
    path = tmp_path / "m.db"
    shutil.copy(merged[0] / "both.db", path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("DELETE FROM signatures")
        conn.execute("UPDATE datagrams SET data = x'0102' WHERE id = 40")
        archive_id = conn.execute("SELECT value FROM meta WHERE key = 'archive_id'").fetchone()[0]
        now = first_link(archive_id)
        rows = conn.execute("SELECT id, session_id, received_ns, source, data FROM datagrams")
        for row_id, *row in rows.fetchall():
            now = chained(now, *row)
            conn.execute("UPDATE datagrams SET chain = ? WHERE id = ?", (now, row_id))
        conn.commit()
    problems = verify_archive(path).problems
    assert any("do not give the chain" in line for line in problems)
    assert any("its signature 1 does not fit" in line for line in problems)


def test_replay_decode_and_trace_show_the_merged_flight_once(
    merged: tuple[Path, MergeReport],
) -> None:
    path = merged[0] / "both.db"
    view = ReplayView(path, ReplayOptions())
    try:
        (drone,) = view.drones()
        assert drone.link_url.startswith("merged:")
        seconds = (view.clock.last_ns - view.clock.first_ns) / SECOND
        assert UNITS - 2 < seconds < UNITS + 10  # and not the 17 s of the clocks on top
    finally:
        view.close()
    recording = open_recording(path, None)
    assert len(recording.session_ids) == 1
    packets = trace(recording, Origin(boot_id=7, unit_no=5, part=SourcePart.FEATURES))
    rows = [row for packet in packets for row in packet.rows]
    with closing(sqlite3.connect(path)) as conn:
        marks = ", ".join("?" * len(rows))
        sql = f"SELECT DISTINCT part FROM merged_rows WHERE id IN ({marks}) AND feed IS NOT NULL"
        assert len(conn.execute(sql, rows).fetchall()) == 2
    assert open_recording(path, None, session=1).session_ids == (1,)
    facts = read_facts(path)
    assert facts.missions[0].units()[0] == merged[1].whole and len(facts.missions) == 1


def write(
    path: Path, params: LinkParams, rows: list[tuple[int, bytes]], key: LinkKey | None
) -> int:
    """A base that received these; returns how many units it had whole."""
    receiver = LinkReceiver(params, key=key)
    whole = 0
    with Archive.create_or_open(path) as archive:
        session = archive.start_session(
            link_url="serial:/dev/ttyUSB0", profile_id="p", params=params, now_ns=rows[0][0],
            key_fingerprint="" if key is None else key.fingerprint,
        )  # fmt: skip
        archive.append(session, [(now, "radio", data) for now, data in rows])
        for now, data in [*rows, (rows[-1][0] + 20 * SECOND, None)]:
            if data is None:
                archive.record_event(session, now, "session_ended", {})
                receiver.close(now)
            else:
                receiver.receive(data, now)
            while (event := receiver.next_event()) is not None:
                archive.record(session, event)
                whole += isinstance(event, UnitReady) and event.unit.whole
    return whole


def cut(rows: list[tuple[int, bytes]], rng: random.Random) -> Iterator[tuple[int, bytes]]:
    """The same bytes as reads of a serial port give them: cut anywhere, some of them wrong."""
    waiting = b""
    for now, data in rows:
        waiting += data
        size = rng.randrange(len(waiting) + 1)
        piece = bytearray(waiting[:size])
        if piece and rng.random() < 0.3:
            piece[rng.randrange(len(piece))] ^= 0x40
        if piece:
            yield now, bytes(piece)
        waiting = waiting[size:]
    yield rows[-1][0] + MS, waiting


@pytest.mark.parametrize("inner_rs", [False, True])
def test_a_byte_stream_and_packets_are_merged_as_well(tmp_path: Path, inner_rs: bool) -> None:
    """One base hears the radio at a serial port, the other through a relay that sends packets."""
    stream = replace(NORTH.params, framing=Framing(mtu_bytes=250, stream=True, inner_rs=inner_rs))
    flight = replace(NORTH, units=16, loss=0.0, params=stream)
    rng, sent = random.Random(4), list(packets_of(flight))
    serial = list(cut([row for row in sent if rng.random() > 0.3], rng))
    relayed = [(now + 3 * SECOND, data) for now, data in sent if rng.random() > 0.35]
    packets = replace(stream, framing=Framing(mtu_bytes=250, inner_rs=inner_rs))
    had = [
        write(tmp_path / "serial.db", stream, serial, None),
        write(tmp_path / "relay.db", packets, relayed, None),
    ]
    paths = [tmp_path / "serial.db", tmp_path / "relay.db"]
    report = merge_archives(paths, tmp_path / "both.db", key=None, signer=None)
    assert report.whole > max(had) and report.whole + report.degraded == 16
    assert abs(report.parts[1].clock_ahead_ns - 3 * SECOND) < SECOND // 2
    assert verify_archive(tmp_path / "both.db").whole
    assert derived_problems(tmp_path / "both.db", None) == ([], [])


def test_only_what_a_base_believed_comes_in(tmp_path: Path) -> None:
    """One base was sent a replay and a forgery; with the key neither gets into the merged flight."""
    flight = Flight(units=12, params=TAGGED, key=KEY, loss=0.0)
    sent = list(packets_of(flight))
    rng = random.Random(3)
    north = [row for row in sent if rng.random() > 0.3]
    south = [row for row in sent if rng.random() > 0.3]
    other = Flight(units=12, params=TAGGED, key=LinkKey(bytes(32)), seed=9, boot_id=30)
    forged = [(now + 5, data) for now, data in packets_of(other)][:40]
    replayed = [(sent[-1][0] + 40 * SECOND + i, data) for i, (_, data) in enumerate(sent[:60])]
    had = [
        write(tmp_path / "north.db", TAGGED, north, KEY),
        write(tmp_path / "south.db", TAGGED, sorted([*south, *forged, *replayed]), KEY),
    ]
    paths = [tmp_path / "north.db", tmp_path / "south.db"]
    with pytest.raises(UserError, match="give --key FILE"):
        merge_archives(paths, tmp_path / "both.db", key=None, signer=None)
    with pytest.raises(UserError, match=f"recorded with key {KEY.fingerprint}"):
        merge_archives(paths, tmp_path / "both.db", key=LinkKey(bytes(32)), signer=None)
    report = merge_archives(paths, tmp_path / "both.db", key=KEY, signer=None)
    assert max(had) < report.whole and report.whole + report.degraded == 12
    assert derived_problems(tmp_path / "both.db", KEY) == ([], [])
    with closing(sqlite3.connect(tmp_path / "both.db")) as conn:
        units = conn.execute(
            "SELECT boot_id, unit_no, authenticated FROM units WHERE session_id = 3"
        )
        assert units.fetchall() == [(7, number, 1) for number in range(12)]
        rows = conn.execute("SELECT count(*) FROM datagrams").fetchone()[0]
    assert rows == len(north) + len(south) + len(forged) + len(replayed)


def test_clocks_by_what_both_know_of_the_edge(tmp_path: Path) -> None:
    """Where the two heard nothing in common, their relations to the edge's clock tell."""
    sent = list(packets_of(replace(NORTH, units=8, loss=0.0)))
    half = len(sent) // 2
    parts = [sent[:half], [(now + 9 * SECOND, data) for now, data in sent[half:]]]
    for name, rows, edge_us in zip("ab", parts, (2_000_000, -7_000_000), strict=True):
        write(tmp_path / f"{name}.db", NORTH.params, rows, None)
        with Archive.create_or_open(tmp_path / f"{name}.db") as archive:
            about = {"edge_less_base_us": edge_us, "authenticated": True}
            archive.record_event(1, rows[0][0], "clock", about)
    paths = [tmp_path / "a.db", tmp_path / "b.db"]
    report = merge_archives(paths, tmp_path / "c.db", key=None, signer=None)
    assert report.parts[1].clock_ahead_ns == 9 * SECOND and report.common == 0
    assert "edge's clock" in report.parts[1].clock_about and report.whole == 8
    edit(tmp_path / "a.db", "DELETE FROM events WHERE kind = 'clock'")
    report = merge_archives(paths, tmp_path / "d.db", key=None, signer=None)
    assert report.parts[1].clock_ahead_ns == 0 and "not known" in report.parts[1].clock_about


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: (d / "both.db").write_bytes(b"mine"), "is there already"),
        (lambda d: edit(d / "b.db", "UPDATE datagrams SET source = 'x' WHERE id = 3"), "damaged"),
        (lambda d: shutil.copy(d / "a.db", d / "b.db"), None),
        (lambda d: (d / "b.db").unlink(), "does not exist"),
        (lambda d: shutil.copy(d / "merged.db", d / "b.db"), "merged itself"),
        (lambda d: edit(d / "b.db", "PRAGMA user_version = 2"), "no hash chain"),
    ],
)
def test_what_cannot_be_merged_is_said_and_nothing_is_left(
    merged: tuple[Path, MergeReport], tmp_path: Path, spoil: Callable[[Path], object],
    words: str | None,
) -> None:  # fmt: skip
    for source, name in (("north.db", "a.db"), ("south.db", "b.db"), ("both.db", "merged.db")):
        shutil.copy(merged[0] / source, tmp_path / name)
    spoil(tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir() if not p.name.endswith(("-shm", "-wal")))
    args = ["missions", "merge", *(str(tmp_path / n) for n in ("a.db", "b.db"))]
    args += ["--out", str(tmp_path / "both.db"), "--state", str(tmp_path / "state")]
    result = CliRunner().invoke(app, args)
    if words is None:  # two copies of one archive: of no use, and no harm
        assert result.exit_code == 0 and "units whole" in result.stdout
        return
    assert isinstance(result.exception, UserError) and words in str(result.exception)
    after = sorted(p.name for p in tmp_path.iterdir() if not p.name.endswith(("-shm", "-wal")))
    assert [name for name in after if name != "state"] == before
    with Archive.create_or_open(tmp_path / "a.db"), pytest.raises(UserError, match="being written"):
        merge_archives([tmp_path / "a.db", tmp_path / "merged.db"], tmp_path / "x.db", key=None,
                       signer=None)  # fmt: skip
