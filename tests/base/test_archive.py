"""The archive gives back what it was given, in order, byte for byte; the record rebuilds the rest."""

from __future__ import annotations

import json
import random
import re
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_base.archive import Archive, params_from_json, params_to_json
from gvc_base.archive_schema import APPLICATION_ID, SCHEMA_VERSION
from gvc_base.decode import Outputs, decode_recording
from gvc_base.recording import open_recording
from gvc_protocol.codec import CodecId, CodecSpec, EncodedUnit
from gvc_protocol.descriptors import Descriptors, Detection, GlobalMotion, Telemetry
from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.events import DatagramsRejected, MessageReady, ReceiverEvent
from gvc_protocol.framing import Framing
from gvc_protocol.params import LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import RejectReason

PARAMS = LinkParams(framing=Framing(mtu_bytes=250, stream=True), rate_bps=5e4, fec_percent=30.0)
PAGE = Path(__file__).parents[2] / "docs" / "archive.md"


def start(archive: Archive, params: LinkParams = PARAMS) -> int:
    return archive.start_session(link_url="udp://h:1", profile_id="p", params=params, now_ns=5_000)


# --- settings ---------------------------------------------------------------------------------

ns = st.integers(min_value=0, max_value=1 << 70)
framings = st.one_of(
    st.builds(Framing, mtu_bytes=st.integers(14, 63)),
    st.builds(
        Framing, mtu_bytes=st.integers(120, 1400), stream=st.booleans(), inner_rs=st.booleans()
    ),
)
valid_params = st.builds(
    LinkParams,
    framing=framings,
    rate_bps=st.floats(min_value=0, exclude_min=True) | st.integers(1, 1 << 40),
    fec_percent=st.floats(0, 400),
    packet_overhead_bytes=st.integers(0, 100),
    tagged=st.just(True), encrypted=st.booleans(),
    window_ns=ns, close_after_ns=ns, reorder_ns=ns, hold_ns=ns, queue_ns=ns,
)  # fmt: skip


@given(valid_params)
@settings(max_examples=150, deadline=None)
def test_settings_come_back_exactly(params: LinkParams) -> None:
    text = params_to_json(params)
    assert params_from_json(text) == params

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    "change",
    [
        {"hold_ns": "8"}, {"hold_ns": True}, {"rate_bps": -1}, {"rate_bps": "fast"},
        {"tagged": 1}, {"framing": {"mtu_bytes": 250}}, {"framing": 3}, {"of_a_later_version": 1},
    ],
)  # fmt: skip
def test_settings_that_are_not_understood_are_refused(change: dict[str, object]) -> None:
    text = json.dumps({**json.loads(params_to_json(PARAMS)), **change})
    with pytest.raises(UserError, match=r"^[^\n]+$"):
        params_from_json(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000])
def test_settings_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^[^\n]+$"):
        params_from_json(text)


# --- what goes in comes out -------------------------------------------------------------------


def test_rows_of_interleaved_sessions_come_back_in_order(tmp_path: Path) -> None:
    rng = random.Random(3)
    path = tmp_path / "ü #%41?b c.gvc"
    wanted: dict[int, list[tuple[int, bytes]]] = {}
    last = 0
    for _ in range(3):
        with Archive.create_or_open(path) as archive:
            assert archive.last_id == last
            session = start(archive)
            wanted[session] = []
            for _ in range(30):
                target = rng.choice(list(wanted))
                rows = [
                    (rng.randrange(-(1 << 63), 1 << 63), "peer", rng.randbytes(rng.randrange(1500)))
                    for _ in range(rng.randrange(40))
                ]
                last += len(rows)
                assert archive.append(target, rows) == last
                wanted[target] += [(t, data) for t, _, data in rows]
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, path.name + ".lock"]
    with Archive.open_readonly(path) as archive:
        assert {s.id: list(archive.datagrams(s.id)) for s in archive.sessions()} == wanted
        assert all(s.params == PARAMS and s.started_us == 5 for s in archive.sessions())
        assert not any(s.authenticated for s in archive.sessions())


def live_bytes() -> list[tuple[int, bytes]]:
    """A short mission with losses and foreign bytes: (time, bytes)."""
    rng = random.Random(11)
    sender = LinkSender(PARAMS, stream_id=3, boot_id=9)
    spec = CodecSpec(codec_id=CodecId.CLASSICAL, bitstream_version=1)
    out: list[tuple[int, bytes]] = []
    for unit_no in range(6):
        about = Descriptors(
            codec_id=0, bitstream_version=1, capture_us=1_700_000_000_000_000 + unit_no * 2_000_000,
            width=640, height=360, fps=Fraction(30000, 1001), first_frame=unit_no * 60, frames=60,
            telemetry=Telemetry(lat_e7=485_000_000, lon_e7=-21_000_000 + unit_no, alt_cm=12_345),
            detections=(Detection(class_id=1, score_pct=80, x=1, y=2, width=3, height=4),),
            global_motion=GlobalMotion(coefficients=(16384, 0, 0, 0, 16384, 0, 0, 0)),
            weights_prefix=b"\x00\xff\x10\x20", unknown=((200, b"\xfe"),),
        )  # fmt: skip
        key = rng.randbytes(900) if unit_no % 2 == 0 else b""
        unit = EncodedUnit(
            unit_no=unit_no,
            spec=spec,
            descriptors=about,
            keyframe=key,
            features=rng.randbytes(2000),
        )
        now = unit_no * 2_000_000_000
        sender.submit(unit, now)
        while not sender.idle:
            packets = sender.datagrams_to_send(now)
            out += [(now, p) for p in packets if rng.random() > 0.35]
            out += [(now, rng.randbytes(30) + b"\xeb\x90" + rng.randbytes(60))]
            now = sender.next_timer() or now + 1
    return out


def receive(source: list[tuple[int, bytes]], params: LinkParams) -> list[ReceiverEvent]:
    receiver = LinkReceiver(params)
    for now, data in source:
        receiver.receive(data, now)
    receiver.close(60_000_000_000)
    return list(iter(receiver.next_event, None))


def derived(path: Path) -> list[list[tuple[object, ...]]]:
    conn = sqlite3.connect(path)
    found = [
        conn.execute(f"SELECT * FROM {t} ORDER BY rowid").fetchall() for t in ("units", "events")
    ]
    conn.close()
    return found


def write_mission(path: Path) -> list[ReceiverEvent]:
    source = live_bytes()
    events = receive(source, PARAMS)
    with Archive.create_or_open(path) as archive:
        session = start(archive)
        archive.append(session, [(now, "peer", data) for now, data in source])
        archive.record_event(session, 7, "link_lost", {"why": "unplugged"})
        for event in events:
            archive.record(session, event)
    return events


def test_a_replay_of_the_record_gives_the_derived_rows_anew(tmp_path: Path) -> None:
    path = tmp_path / "mission.gvc"
    events = write_mission(path)
    before = derived(path)
    states = {state for unit in before[0] for state in unit[-3:-1]}
    assert states >= {"whole", "partial", "not_sent"}
    with Archive.create_or_open(path) as archive:
        (session,) = archive.sessions()
        again = receive(list(archive.datagrams(session.id)), session.params)
        assert again == events
        archive.clear_derived(session.id)
        archive.flush()
        assert [r[2] for r in derived(path)[1]] == ["link_lost"]
        for event in again:
            archive.record(session.id, event)
    after = derived(path)
    assert after[0] == before[0] and sorted(after[1], key=str) == sorted(before[1], key=str)


def test_the_queries_of_the_page_run_and_find_something(tmp_path: Path) -> None:
    path = tmp_path / "mission.gvc"
    write_mission(path)
    with Archive.create_or_open(path) as archive:
        archive.record(1, DatagramsRejected(counts={RejectReason.BAD_TAG: 9}, since=1, now=8))
    queries = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(queries) == 6
    conn = sqlite3.connect(path)
    conn.row_factory = sqlite3.Row
    results = [[dict(r) for r in conn.execute(query)] for query in queries]
    conn.close()
    assert all(results)
    assert results[0][0]["datagrams"] == len(live_bytes())
    assert results[2][0]["whole"] + results[2][0]["degraded"] + results[2][0]["missing"] == 6
    assert results[3][0]["lat_deg"] == 48.5 and results[3][0]["alt_m"] == 123.45
    page = PAGE.read_text(encoding="utf-8")
    assert str(APPLICATION_ID) in page and f"`user_version` is {SCHEMA_VERSION}" in page


def test_every_commit_is_synced(tmp_path: Path) -> None:
    archive = Archive.create_or_open(tmp_path / "a.gvc")
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 2000}
    found = {k: archive._db.execute(f"PRAGMA {k}").fetchone()[0] for k in wanted}
    archive.close()
    assert found == wanted


def test_threads_may_share_one_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.gvc"
    with Archive.create_or_open(path) as archive:
        sessions = [start(archive) for _ in range(3)]

        def work(session: int) -> None:
            for i in range(40):
                archive.append(session, [(i, "s", b"x")])
                assert archive.sessions()

        threads = [threading.Thread(target=work, args=(s,)) for s in sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert archive.last_id == 120
        assert all([t for t, _ in archive.datagrams(s)] == list(range(40)) for s in sessions)


# --- misuse by our own code -------------------------------------------------------------------


def test_malformed_rows_are_refused_before_they_could_block_others(tmp_path: Path) -> None:
    path = tmp_path / "a.gvc"
    with Archive.create_or_open(path) as archive:
        session = start(archive)
        bad: list[Callable[[], object]] = [
            lambda: archive.append(session, [(1 << 63, "s", b"")]),
            lambda: archive.append(session, [(1, "s", "text")]),  # type: ignore[list-item]
            lambda: archive.append(session, [(1.5, "s", b"")]),  # type: ignore[list-item]
            lambda: archive.append(session + 1, [(1, "s", b"")]),
            lambda: archive.record_event(session, 1, "k", {"x": float("nan")}),
            lambda: archive.record_event(session, 1, "k", {"x": object()}),
            lambda: archive.record_event(99, 1, "k", {}),
        ]
        for call in bad:
            with pytest.raises(LocalProtocolError):
                call()
        assert archive.append(session, [(1, "port-\udcff", b"\x00")]) == 1
    for shut in (archive, Archive.open_readonly(path)):
        with pytest.raises(LocalProtocolError, match="not open for writing"):
            shut.append(session, [(1, "s", b"")])
        shut.close()
        shut.close()


# --- version 1 --------------------------------------------------------------------------------

VERSION_1 = Path(__file__).parents[1] / "vectors" / "archive-v1.db"


def identity(path: Path) -> int:
    with closing(sqlite3.connect(path)) as conn:
        return int(conn.execute("PRAGMA user_version").fetchone()[0])


def test_an_archive_of_version_1_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    shutil.copy(VERSION_1, path)
    with Archive.open_readonly(path) as archive:
        (session,) = archive.sessions()
        assert not session.authenticated and session.key_fingerprint == ""
        assert not session.params.encrypted
        assert len(list(archive.datagrams(session.id))) == 6
        assert archive.replay_state(session.id).export()["heard"] == []
    assert identity(path) == 1 and path.read_bytes() == VERSION_1.read_bytes()


def test_an_archive_of_version_1_decodes(tmp_path: Path) -> None:
    path, out = tmp_path / "old.db", tmp_path / "out.mp4"
    shutil.copy(VERSION_1, path)
    outputs = Outputs(plain=out, marked=None, marks=tmp_path / "out.npz")
    report = decode_recording(open_recording(path, None), outputs, quality="preview")
    assert (report.frames, report.units_whole, report.authenticated) == (20, 2, False)


def test_an_archive_of_version_1_becomes_version_3_when_written(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    shutil.copy(VERSION_1, path)
    with Archive.create_or_open(path) as archive:
        session = archive.start_session(
            link_url="x", profile_id="p", params=PARAMS, now_ns=9, key_fingerprint="ABCD-EFGH"
        )
        for now, data in live_bytes():
            archive.append(session, [(now, "", data)])
        old, new = archive.sessions()
        assert (old.authenticated, old.key_fingerprint) == (False, "")
        assert (new.authenticated, new.key_fingerprint) == (True, "ABCD-EFGH")
        assert len(list(archive.datagrams(old.id))) == 6
    assert identity(path) == 3
    with closing(sqlite3.connect(path)) as conn:
        fresh = tmp_path / "fresh.db"
        Archive.create_or_open(fresh).close()
        with closing(sqlite3.connect(fresh)) as other:
            for table in ("sessions", "units", "events", "datagrams"):
                sql = f"SELECT name, type, dflt_value FROM pragma_table_info('{table}')"
                assert conn.execute(sql).fetchall() == other.execute(sql).fetchall()
        version = conn.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    assert version == ("3",)


def test_a_message_and_a_flood_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with Archive.create_or_open(path) as archive:
        session = start(archive)
        archive.record(session, MessageReady(
            stream_id=1, boot_id=2, from_base=False, message_no=3, data=b"hello", now=7,
            authenticated=True,
        ))  # fmt: skip
        archive.record(
            session, DatagramsRejected(counts={RejectReason.BAD_TAG: 900}, since=1, now=8)
        )
    with closing(sqlite3.connect(path)) as conn:
        rows = conn.execute("SELECT kind, detail FROM events ORDER BY rowid").fetchall()
    assert [kind for kind, _ in rows] == ["message", "datagrams_rejected"]
    assert json.loads(rows[0][1])["bytes"] == 5 and json.loads(rows[0][1])["authenticated"] is True
    assert json.loads(rows[1][1])["counts"] == {"bad_tag": 900}
