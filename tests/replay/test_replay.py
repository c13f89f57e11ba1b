"""A recorded mission on recorded time: the same units, the same pictures, wherever one goes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_base.archive import Archive
from gvc_base.archive_deep import derived_problems
from gvc_base.archive_verify import verify_archive
from gvc_base.console.view import StationView
from gvc_base.decoders import make_decoder
from gvc_base.marks.model import load_model
from gvc_base.replay.clock import ReplayClock
from gvc_base.replay.feed import Feed, TimedJob
from gvc_base.replay.index import ReplayIndex, reach_ns
from gvc_base.replay.view import ReplayOptions, ReplayView
from gvc_base.stream_units import StreamUnits
from gvc_profiles.clock import steady_clock
from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError
from gvc_protocol.framing import Framing
from gvc_protocol.marks import Mark
from gvc_protocol.params import MS, SECOND, LinkParams
from tests.replay.flown import BEGAN_NS, Flight, fly

KEY = LinkKey(bytes(range(32)))
TAGGED = LinkParams(
    framing=Framing(mtu_bytes=250), rate_bps=64_000.0, fec_percent=30.0, tagged=True
)
LOSSY = Flight(units=40, loss=0.3, lost_units=(11, 12, 25), seed=4)


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gvc_base.archive_schema._SYNCHRONOUS", "OFF")


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lossy") / "m.db"
    fly(path, LOSSY)
    return path


def wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not until():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def replayed(path: Path, **options: object) -> Iterator[ReplayView]:
    view = ReplayView(path, ReplayOptions(**options))  # type: ignore[arg-type]
    try:
        yield view
    finally:
        view.close()


def jobs_of(path: Path, start_ns: int, key: LinkKey | None = None) -> list[TimedJob]:
    with closing(Archive.open_readonly(path)) as archive:
        index = ReplayIndex(archive, key=key)
        drone = next(iter(index.drones.values()))
        units = {(u.closed_ns, u.boot_id, u.unit_no): u for u in drone.units}
        feed = Feed(archive, index.sessions[0], drone.stream_id, units, start_ns=start_ns, key=key)
        return feed.until(index.last_ns)


def plain(made: TimedJob) -> tuple[object, ...]:
    return made.closed_ns, made.job.unit, made.job.span


def test_a_replay_gives_the_jobs_of_the_live_base(tmp_path: Path) -> None:
    live = fly(tmp_path / "m.db", LOSSY)
    stream = StreamUnits(0)
    wanted = [(event.now, job.unit, job.span) for event in live for job in stream.take(event)]
    assert [plain(made) for made in jobs_of(tmp_path / "m.db", 0)] == wanted
    assert len(wanted) >= 39


@settings(max_examples=25, deadline=None)
@given(at=st.floats(0.0, 1.0))
def test_from_anywhere_a_replay_gives_the_same_units(lossy: Path, at: float) -> None:
    """Once the receiver has run for as long as a unit may be open."""
    whole = jobs_of(lossy, 0)
    start = BEGAN_NS + int(at * 40 * SECOND)
    with closing(Archive.open_readonly(lossy)) as archive:
        reach = reach_ns(archive.sessions()[0], SECOND)
    later = [plain(m) for m in whole if m.closed_ns > start + reach and not m.job.empty]
    again = [plain(m) for m in jobs_of(lossy, max(1, start)) if not m.job.empty]
    assert [made for made in again if made[0] > start + reach] == later  # type: ignore[operator]


def test_numbers_that_wrapped_are_right_from_the_middle(tmp_path: Path) -> None:
    """Only 16 bits of a unit's number are on the air."""
    path = tmp_path / "m.db"
    fly(path, Flight(units=30, first_unit=65_530))
    with closing(sqlite3.connect(path)) as conn:
        numbers = [row[0] for row in conn.execute("SELECT unit_no FROM units ORDER BY rowid")]
    assert numbers == list(range(65_530, 65_560))
    made = jobs_of(path, BEGAN_NS + 12 * SECOND)
    assert made and made[-1].job.unit.unit_no == 65_559
    assert [m.job.unit.unit_no for m in made] == list(range(made[0].job.unit.unit_no, 65_560))


def test_a_seek_shows_the_picture_of_that_moment(lossy: Path) -> None:
    jobs = [m for m in jobs_of(lossy, 0) if not m.job.empty]
    alone = [a for a, b in pairwise(jobs) if b.closed_ns > a.closed_ns + 7 * SECOND // 10]
    with replayed(lossy) as view:
        for made in (alone[-2], alone[1], alone[7]):
            view.seek(made.closed_ns + SECOND // 2)
            d = made.job.unit.descriptors
            assert d is not None

            def there(unit_no: int = made.job.unit.unit_no) -> bool:
                scene = view._streams["0-0"].screen.scene()
                return scene is not None and scene.frame.unit_no == unit_no and scene.offset >= 3

            wait(there)
            shown = view.shown("0-0")
            assert shown is not None
            decoder = make_decoder(made.job.spec, "preview")
            frames = list(decoder.decode(made.job.unit, made.job.span))
            same = next(f for f in frames if f.frame_no == shown.frame.frame_no)
            assert np.array_equal(shown.frame.pixels, same.pixels)
            assert np.array_equal(shown.frame.mark, same.mark)
            state = view.drones()[0]
            assert state.unit_no == made.job.unit.unit_no and not state.can_ask
            rows = view.tile("0-0", 2, 3)
            assert rows is not None and rows.datagrams and rows.unit_no == made.job.unit.unit_no


def test_playing_goes_through_all_units_and_ends(lossy: Path) -> None:
    real = [0]  # goes on by steps: on a busy machine the decoder is not late, either
    with replayed(lossy, steady=lambda: real[0]) as view:
        seen: list[tuple[int, int]] = []
        serial = -1
        screen = view._streams["0-0"].screen
        view.play(playing=True, speed=16)
        while (transport := view.transport()) is not None and transport.playing:
            shown = view.shown("0-0", after=serial)
            real[0] += 20 * MS
            with view.clock.changed:
                view.clock.changed.notify_all()
            wait(lambda: screen._ready_ns >= view.clock.now())
            if shown is not None:
                assert shown.serial > serial
                serial = shown.serial
                seen.append((shown.frame.unit_no, shown.frame.frame_no))
                if shown.frame.unit_no in LOSSY.lost_units:
                    assert (shown.frame.mark == Mark.LOST).all()
        assert transport.now_ns == transport.last_ns
        assert [u for u, _ in seen] == sorted(u for u, _ in seen)
        assert len({u for u, _ in seen}) > 10
        view.seek(transport.first_ns)
        wait(lambda: view.drones()[0].unit_no <= 0)


def test_a_hole_is_shown_as_lost_with_its_age(tmp_path: Path) -> None:
    fly(tmp_path / "m.db", Flight(units=16, lost_units=(6, 7, 8, 9)))
    with replayed(tmp_path / "m.db") as view:
        view.seek(BEGAN_NS + 9 * SECOND + SECOND // 2)
        wait(lambda: view.drones()[0].mark_share.get("lost") == 1.0)
        shown = view.shown("0-0")
        assert shown is not None and (shown.frame.mark == Mark.LOST).all()
        assert int(shown.frame.age_ms.min()) > 400


def test_events_are_those_that_had_happened_and_keep_their_ids(lossy: Path) -> None:
    with replayed(lossy) as view:
        assert view._read.wait(60)
        view.seek(view.clock.last_ns)
        rows = view.events(limit=1000)
        ids = [row.event_id for row in rows]
        assert ids == sorted(set(ids)) and all(r.time_ns <= view.clock.last_ns for r in rows)
        assert [r.time_ns for r in rows] == sorted(r.time_ns for r in rows)
        assert {r.text for r in rows if r.kind == "loss"} >= {"unit 25 lost: nothing of it came"}
        assert sum(r.kind == "detection" for r in rows) == 4
        middle = BEGAN_NS + 20 * SECOND
        view.seek(middle)
        assert view.events(limit=1000) == tuple(r for r in rows if r.time_ns <= middle)
        last = [r for r in rows if r.time_ns <= middle][-3]
        assert [r.event_id for r in view.events(after=last.event_id)] == ids[
            ids.index(last.event_id) + 1 : ids.index(last.event_id) + 3
        ]


@pytest.mark.parametrize("kind", ["event", "loss", "low-trust"])
def test_jumps_visit_each_place_once_there_and_back(lossy: Path, kind: str) -> None:
    with replayed(lossy) as view:
        assert view._read.wait(60)

        def walk(*, forward: bool) -> list[int]:
            places = []
            while view.jump(kind, forward=forward):  # type: ignore[arg-type]
                places.append(view.clock.now())
                assert len(places) < 100
            return places

        view.seek(0)
        there = walk(forward=True)
        assert len(there) >= 3 and there == sorted(set(there))
        assert walk(forward=False)[::-1] == there[:-1]


def test_link_map_and_health_are_of_that_moment(lossy: Path) -> None:
    with replayed(lossy) as view:
        assert view._read.wait(60)
        view.seek(BEGAN_NS + 9 * SECOND)
        state = view.drones()[0]
        assert state.health in ("good", "degraded") and state.sample is not None
        assert state.sample.rssi_dbm == -90 and state.sample.time_ns <= view.clock.now()
        rows = view.history("0-0")
        assert rows and rows == tuple(s for s in rows if s.time_ns <= view.clock.now())
        assert view.history("0-0", since_ns=rows[-1].time_ns) == ()
        early = view.map("0-0")
        view.seek(view.clock.last_ns)
        late = view.map("0-0")
        assert 0 < len(early.track) < len(late.track) and late.coverage and late.footprint
        assert late.camera is not None and late.camera.time_ns == late.footprint.time_ns
        assert late.track[: len(early.track)] == early.track and late.detections
        assert view.drones()[0].health in ("lost", "degraded", "good")


def test_what_is_told_many_times_a_second_is_not_read_each_time(
    lossy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with replayed(lossy) as view:
        assert view._read.wait(60)
        view.seek(BEGAN_NS + 9 * SECOND)
        wait(lambda: view.drones()[0].trusted is not None)
        monkeypatch.setattr(view._archive, "fetch", lambda *_: pytest.fail("read again"))
        state = view.drones()[0]
        monkeypatch.undo()
        assert state.sample is not None and state.sample.time_ns <= view.clock.now()
        view.seek(BEGAN_NS - 7200 * SECOND)
        assert view._links["0-0"].now(view.clock.first_ns - 1) is None


def test_how_much_of_a_picture_is_trusted_is_told(tmp_path: Path) -> None:
    fly(tmp_path / "m.db", Flight(units=12, lost_units=(6, 7, 8, 9)))
    with replayed(tmp_path / "m.db") as view:
        view.seek(BEGAN_NS + 5 * SECOND + SECOND // 2)
        wait(lambda: view.drones()[0].trusted is not None)
        shown, state = view.shown("0-0"), view.drones()[0]
        assert shown is not None and state.trusted is not None
        model = load_model()
        wanted = [
            float(p) <= float(model.trusted.astype(np.float16)[m])
            for m, p in zip(shown.frame.mark.ravel(), shown.frame.p_wrong.ravel(), strict=True)
        ]
        assert state.trusted == pytest.approx(np.mean(wanted))
        view.seek(BEGAN_NS + 9 * SECOND + SECOND // 2)  # within the hole, a held picture
        wait(lambda: view.drones()[0].mark_share.get("lost") == 1.0)
        assert view.drones()[0].trusted == 0


def test_a_base_that_still_writes_keeps_its_archive_to_itself(tmp_path: Path) -> None:
    """It can be replayed beside the base; a note would mix two writers, so it is refused in a line."""
    path = tmp_path / "m.db"
    fly(path, Flight(units=6))
    with Archive.create_or_open(path) as base:
        with replayed(path) as view:
            assert view.drones()[0].drone_id == "0-0"
            with pytest.raises(UserError, match="being written by another process"):
                view.note("0-0", "a roof", bookmark=False)
        rows = base.append(1, [(BEGAN_NS + 9 * SECOND, "edge:1", b"more")])
        assert base.health.ok and rows == base.last_id
    assert verify_archive(path).whole


def test_what_cannot_be_done_is_said(lossy: Path) -> None:
    with replayed(lossy) as view:
        as_contract: StationView = view
        for wrong in (lambda: as_contract.ask("0-0", {"ask": "keyframe"}),
                      lambda: as_contract.play(speed=17), lambda: as_contract.shown("3-1"),
                      lambda: as_contract.note("0-0", " ", bookmark=False)):  # fmt: skip
            with pytest.raises(UserError):
                wrong()
        base = view.base()
        assert base.mode == "replay" and not base.recording and "unauthenticated" in base.label


def test_a_note_stands_at_its_moment_and_the_archive_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    fly(path, Flight(units=8))
    with replayed(path) as view:
        view.seek(BEGAN_NS + 5 * SECOND)
        row = view.note("0-0", "a roof with people", bookmark=False)
        assert row in view.events()
        view.note("0-0", "", bookmark=True)
    with replayed(path) as view:
        view.seek(BEGAN_NS + 5 * SECOND)
        assert [r.text for r in view.events() if r.kind == "note"] == ["a roof with people"]
        view.seek(BEGAN_NS + 4 * SECOND)
        assert not [r for r in view.events() if r.kind in ("note", "bookmark")]
    assert verify_archive(path).whole


def test_a_killed_base_and_a_bare_record_are_replayed_whole(tmp_path: Path) -> None:
    whole = fly(tmp_path / "a.db", Flight(units=12, loss=0.2))
    for name, how in (("killed.db", {"end": False}), ("bare.db", {"derive": False})):
        fly(tmp_path / name, Flight(units=12, loss=0.2), **how)  # type: ignore[arg-type]
        if name == "killed.db":
            with closing(sqlite3.connect(tmp_path / name)) as conn:
                conn.execute("DELETE FROM units WHERE unit_no > 8")
                conn.commit()
        with closing(Archive.open_readonly(tmp_path / name)) as archive:
            drone = ReplayIndex(archive).drones["0-0"]
        assert [u.unit_no for u in drone.units] == [e.unit.unit_no for e in whole]


def test_only_what_the_key_vouched_for_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    flight = Flight(units=30, params=TAGGED, key=KEY)
    fly(path, flight)
    # Recorded on the air, and sent again 20 seconds later: the base did not believe it then.
    with closing(sqlite3.connect(path)) as conn:
        old = conn.execute("SELECT data FROM datagrams WHERE id < 40").fetchall()
        shift = conn.execute("SELECT max(id) FROM datagrams").fetchone()[0]
        at = conn.execute("SELECT id, received_ns FROM datagrams WHERE received_ns > ? LIMIT 1",
                          (BEGAN_NS + 20 * SECOND,)).fetchone()  # fmt: skip
        conn.execute("UPDATE datagrams SET id = id + ? WHERE id >= ?", (shift + 100, at[0]))
        for number, (data,) in enumerate(old):
            conn.execute("INSERT INTO datagrams VALUES (?, 1, ?, 'x', ?, x'')",
                         (at[0] + number, at[1], data))  # fmt: skip
        conn.commit()
    for key in (KEY, None):
        made = jobs_of(path, BEGAN_NS + 19 * SECOND, key)
        numbers = [m.job.unit.unit_no for m in made]
        assert numbers == sorted(set(numbers)) and numbers[0] > 8 and numbers[-1] == 29
    with replayed(path) as view:
        assert any("shown without" in line for line in view.base().warnings)
        assert view.drones()[0].label == "unauthenticated"
    with replayed(path, key=KEY) as view:
        assert KEY.fingerprint in view.drones()[0].label and not view.base().warnings


def test_restarts_are_one_drone_and_other_links_others(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    again = BEGAN_NS + 30 * SECOND
    fly(
        path,
        Flight(units=10),
        Flight(units=10, link_url="udp://0.0.0.0:2", stream_id=4),
        Flight(units=10, boot_id=8, began_ns=again),
    )
    with replayed(path) as view:
        assert [d.drone_id for d in view.drones()] == ["0-0", "1-4"]
        view.seek(again + 5 * SECOND)
        wait(lambda: view.drones()[0].boot_id == 8 and view.drones()[0].unit_no >= 3)
        assert view.drones()[1].health == "lost"
        view.seek(BEGAN_NS + 9 * SECOND)
        view.play(playing=True, speed=16)  # over the pause into the next start
        wait(lambda: view.drones()[0].boot_id == 8 and view.drones()[0].unit_no >= 3)


def test_a_clock_that_jumped_between_runs(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "m.db"
    # No clock battery: 1970 until the next start, then a start set back by a minute.
    fly(path, Flight(units=4, began_ns=SECOND), Flight(units=8, boot_id=8),
        Flight(units=8, boot_id=9, began_ns=BEGAN_NS - 4 * SECOND))  # fmt: skip
    view = ReplayView(path, ReplayOptions(), say=said.append)
    try:
        transport = view.transport()
        assert transport is not None and transport.last_ns - transport.first_ns < 60 * SECOND
        assert "1 (1970-01-01 00:00)" in said[0] and "--session" in said[0]
        assert any("set back" in line for line in view.base().warnings)
    finally:
        view.close()
    with replayed(path, session=1) as old:
        wait(lambda: old.drones()[0].boot_id == 7 and old.drones()[0].unit_no >= 0)
    with pytest.raises(UserError, match="it has: 1, 2, 3"):
        ReplayView(path, ReplayOptions(session=9))


@pytest.mark.parametrize("jump_s", [3600, -3, -3600])
def test_a_clock_that_jumped_within_a_run(tmp_path: Path, jump_s: int) -> None:
    """No base's own clock does, but a capture from elsewhere may hold such times."""
    path = tmp_path / "m.db"
    middle = BEGAN_NS + 10 * SECOND
    flight = Flight(units=20, clock=lambda t: t + (jump_s * SECOND if t > middle else 0))
    units = fly(path, flight)
    assert [u.unit.unit_no for u in units] == list(range(20)) and all(u.unit.whole for u in units)
    assert verify_archive(path).whole and derived_problems(path, None) == ([], [])
    with replayed(path) as view:
        warned = any("set back by 3" in line for line in view.base().warnings)
        assert warned == (jump_s == -3600)
        if not warned:
            view.seek(BEGAN_NS + (15 + jump_s) * SECOND)
            wait(lambda: view.drones()[0].unit_no == 13)
            view.seek(BEGAN_NS + 6 * SECOND)
            wait(lambda: view.drones()[0].unit_no == 4)


def test_the_clock_of_a_base_never_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = steady_clock()
    before = now()
    monkeypatch.setattr(time, "time_ns", lambda: 0)  # somebody set the clock
    assert 0 <= now() - before < 60 * SECOND


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["wait", "seek", "speed", "stop", "go"]),
                          st.floats(0, 1)), max_size=20))  # fmt: skip
def test_recorded_time_keeps_its_pace(steps: list[tuple[str, float]]) -> None:
    """Against a model that adds up small steps."""
    real = [0]
    clock = ReplayClock(1000 * SECOND, 2000 * SECOND, steady=lambda: real[0])
    at, speed, playing = 1000.0, 1.0, False
    for what, value in steps:
        if what == "wait":
            real[0] += int(value * 100 * SECOND)
            at = min(2000.0, at + value * 100 * speed * playing)
        elif what == "seek":
            clock.seek(int((900 + 1200 * value) * SECOND))
            at = min(max(900 + 1200 * value, 1000.0), 2000.0)
        elif what == "speed":
            speed = 0.25 + 15.75 * value
            clock.play(speed=speed)
        else:
            playing = what == "go"
            clock.play(playing=playing)
        assert clock.now() / SECOND == pytest.approx(at, abs=1e-3)
    assert 1000 * SECOND <= clock.now() <= 2000 * SECOND
