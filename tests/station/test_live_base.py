"""Several drones on one base: each has its picture, nothing waits for another, every byte is kept."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from gvc_base.archive import Archive
from gvc_base.asks import ask
from gvc_base.replay.view import ReplayOptions, ReplayView
from gvc_base.station.decoding import DecodeThread
from gvc_base.truth_score import read_scores
from gvc_edge.regions import encode_layer
from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError
from gvc_protocol.messages import RegionAnswer
from tests.station.flights import (
    UNIT_FRAMES,
    packets,
    source_frames,
    start_flight,
    wait_until,
)


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in here is about power cuts; a busy disk shall not slow these tests down."""
    monkeypatch.setattr("gvc_base.archive_schema._SYNCHRONOUS", "OFF")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def rows(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


def test_two_links_and_three_cameras_each_have_their_picture(
    tmp_path: Path, stack: ExitStack
) -> None:
    path = tmp_path / "m.db"
    flight = start_flight(stack, path, 2)
    view = flight.view
    assert view.drones() == () and view.transport() is None
    flight.links[0].feed(packets(stream_id=3))
    flight.links[1].feed(packets(stream_id=3))
    flight.links[1].feed(packets(stream_id=4, numbers=(0, 1, 3)))
    names = ("0-3", "1-3", "1-4")
    wait_until(lambda: all(flight.shows(n, 4) for n in names), "pictures of all")
    assert {d.drone_id for d in view.drones()} == set(names)

    for state in view.drones():
        shown = view.shown(state.drone_id)
        assert shown is not None and shown.frame.pixels.shape == (96, 160, 3)
        later = view.shown(state.drone_id, after=shown.serial, wait_s=20)
        assert later is not None and later.serial > shown.serial
        assert abs(sum(state.mark_share.values()) - 1) < 1e-6
        assert state.trusted is not None and 0 <= state.trusted <= 1
        assert "unauthenticated" in state.label and not state.can_ask and "key" in state.why_not

    # Tile facts: rows of the archive that carry this unit of this camera, on this link.
    wait_until(lambda: all(view.history(n) for n in names), "link samples")
    tile = view.tile("1-4", 0, 0)
    assert tile is not None and tile.unit_no == 3 and tile.datagrams
    assert view.tile("1-4", 999, 0) is None
    sessions = {row[0] for row in rows(path, "SELECT DISTINCT session_id FROM datagrams WHERE id IN "
                                             f"({','.join(map(str, tile.datagrams))})")}  # fmt: skip
    assert sessions == {2}

    # What was lost is told, and where it was seen is on the map.
    lost = [e for e in view.events() if e.kind == "loss"]
    assert [e.drone_id for e in lost] == ["1-4"] and "unit 2" in lost[0].text
    wait_until(lambda: view.map("0-3").footprint is not None, "a map")
    chart = view.map("0-3")
    assert chart.track and "70 degrees" in chart.about
    assert chart.footprint is not None and len(chart.footprint.corners) == 4
    assert chart.camera is not None and chart.camera.height_m == 100 and chart.camera.cut
    assert chart.camera.time_ns == chart.footprint.time_ns
    flight.base.stop()


def test_what_the_console_does_is_in_the_archive(tmp_path: Path, stack: ExitStack) -> None:
    path = tmp_path / "m.db"
    with ExitStack() as mission:
        flight = start_flight(mission, path, 1)
        flight.links[0].feed(packets())
        wait_until(lambda: flight.shows("0-0", 4), "the picture")
        view = flight.view
        row = view.note("0-0", " a person on the roof ", bookmark=False)
        assert row.kind == "note" and row in view.events(after=row.event_id - 1)
        view.note("0-0", "", bookmark=True)
        # On disk when the call returns, not at the end of the mission.
        kept = rows(path, "SELECT kind, detail FROM events WHERE kind IN ('note', 'bookmark')")
        assert [kind for kind, _ in kept] == ["note", "bookmark"]
        about = json.loads(kept[0][1])
        assert about["text"] == "a person on the roof" and about["drone"] == "0-0"
        assert about["unit"] == 3 and about["boot"] == 1
        for call in (
            lambda: view.note("0-0", "  ", bookmark=False),
            lambda: view.ask("0-0", {"ask": "keyframe"}),
            lambda: view.ask("7-7", {"ask": "keyframe"}),
            lambda: view.play(playing=True),
            lambda: view.seek(0),
        ):
            with pytest.raises(UserError):
                call()
        assert view.base().recording and view.base().mode == "live"
    assert flight.report is not None and flight.report.units_whole == 4
    marks = rows(path, "SELECT unit_no, frames, received + carried + enhanced + regenerated + lost "
                       "FROM marks ORDER BY unit_no")  # fmt: skip
    assert [m[:2] for m in marks] == [(n, 4) for n in range(4)]
    assert all(abs(m[2] - 1) < 1e-6 for m in marks)
    assert rows(path, "SELECT count(*) FROM link_samples")[0][0] >= 1
    (model,) = rows(path, "SELECT label FROM models")
    assert model[0]


def test_a_decoder_that_hangs_stops_neither_its_link_nor_another_drone(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    stack.callback(free.set)
    real = DecodeThread._decoder_for

    def hang(self: DecodeThread, spec: Any) -> Any:
        made = real(self, spec)
        inside = threading.current_thread().name == "decode-0-0"
        return _Lazy(made, free) if inside else made

    monkeypatch.setattr(DecodeThread, "_decoder_for", hang)
    path = tmp_path / "m.db"
    flight = start_flight(stack, path, 2)
    stack.callback(free.set)  # before the base is ended
    sent = packets()
    flight.links[0].feed(sent)
    flight.links[1].feed(sent)
    wait_until(lambda: flight.shows("1-0", 4), "the other drone's picture")
    stored = "SELECT count(*) FROM datagrams WHERE session_id = 1"
    wait_until(lambda: rows(path, stored)[0][0] == len(sent), "all datagrams of the first link")
    assert flight.view.shown("0-0") is None and flight.view.shown("1-0") is not None


class _Lazy:
    """Hangs inside its turn, as a decoder does that computes for ever."""

    def __init__(self, inner: Any, free: threading.Event) -> None:
        self._inner, self._free = inner, free

    def decode(self, unit: Any, span: Any) -> Iterator[Any]:
        self._free.wait(60)
        yield from self._inner.decode(unit, span)


def test_an_unplugged_link_comes_back_and_the_other_does_not_notice(
    tmp_path: Path, stack: ExitStack
) -> None:
    flight = start_flight(stack, tmp_path / "m.db", 2)
    half = packets(numbers=(0, 1))
    flight.links[0].feed([*half, OSError("unplugged"), *packets(boot_id=2, numbers=(0, 1))])
    flight.links[1].feed(half)
    wait_until(lambda: flight.shows("1-0", 2), "the other")
    wait_until(lambda: any(d.boot_id == 2 for d in flight.view.drones()), "the first, again")
    told = [e.text for e in flight.view.events() if e.kind == "link"]
    assert len(told) == 2 and "unplugged" in told[0] and "back" in told[1]


def test_a_full_disk_keeps_receiving_in_memory_and_warns(tmp_path: Path, stack: ExitStack) -> None:
    path = tmp_path / "m.db"
    flight = start_flight(stack, path, 1)
    archive, view = flight.base.shared.archive, flight.view
    first, rest = packets(numbers=(0,)), packets(boot_id=2)
    flight.links[0].feed(first)
    wait_until(lambda: archive.last_id == len(first), "the first rows")
    pages = archive.fetch("PRAGMA page_count")[0][0]
    archive.fetch(f"PRAGMA max_page_count = {pages}")  # SQLite's own "disk is full"
    flight.links[0].feed(rest)
    wait_until(lambda: any(d.boot_id == 2 and d.unit_no == 3 for d in view.drones()), "picture")
    wait_until(lambda: not view.base().recording, "the warning")
    assert any("full" in w for w in view.base().warnings), view.base().warnings
    wait_until(lambda: any(e.kind == "storage" for e in view.events()), "the event")
    kept = rows(path, "SELECT count(*) FROM datagrams")[0][0]
    assert kept >= len(first), "a committed row is never lost"
    archive.fetch("PRAGMA max_page_count = 1073741823")
    flight.links[0].feed([b"?"])
    wait_until(lambda: view.base().recording, "written again")
    flight.base.stop()
    wait_until(lambda: flight.report is not None, "the end")
    with Archive.open_readonly(path) as record:
        data = [d for s in record.sessions() for _, d in record.datagrams(s.id)]
    assert data == [*first, *rest, b"?"]


def test_with_a_key_an_ask_goes_to_its_drone_only(tmp_path: Path, stack: ExitStack) -> None:
    key = LinkKey(bytes(range(32)))
    flight = start_flight(stack, tmp_path / "m.db", 2, key=key)
    flight.links[0].feed(packets(stream_id=1, key=key))
    flight.links[1].feed(packets(stream_id=2, key=key))
    wait_until(lambda: flight.shows("0-1", 4) and flight.shows("1-2", 4), "both")
    shown = flight.view.shown("1-2")
    assert shown is not None
    row = flight.view.ask("1-2", {"ask": "region", "box": [16, 16, 32, 32]})
    assert row.state == "waiting" and row.drone_id == "1-2" and not row.picture
    assert "32x32 at 16,16 of unit 3" in row.what
    (asked,) = flight.view.asks()
    assert asked.ask_id == row.ask_id
    said = flight.view.ask("0-1", {"ask": "text", "text": "come home"})
    assert said.ask_id != row.ask_id and said.what == "message: come home"
    with pytest.raises(UserError):
        flight.view.ask("0-1", {"ask": "text", "text": "x" * 5000})
    with pytest.raises(UserError):
        flight.view.ask("0-1", {"ask": "dance"})
    # `gvc-base ask` has to say whom it means.
    with pytest.raises(UserError, match="--drone: 0-1, 1-2"):
        ask(tmp_path / "m.db", {"ask": "keyframe"}, wait_s=0)
    number, state = ask(tmp_path / "m.db", {"ask": "keyframe", "drone": "1-2"}, wait_s=0)
    assert state == "waiting" and number in {a.ask_id for a in flight.view.asks()}
    told = [(e.drone_id, e.text) for e in flight.view.events() if e.kind == "asked"]
    assert [drone for drone, _ in told] == ["1-2", "0-1", "1-2"]


def test_true_pixels_are_held_against_what_was_shown(tmp_path: Path, stack: ExitStack) -> None:
    """In the running base, its archive, a start after it and a replay alike."""
    key, path, box = LinkKey(bytes(range(32))), tmp_path / "m.db", (16, 16, 64, 64)
    with ExitStack() as mission:
        flight = start_flight(mission, path, 1, key=key)
        flight.links[0].feed(packets(key=key))
        wait_until(lambda: flight.shows("0-0", 4), "the picture")
        view, (stream,) = flight.view, flight.base.streams
        assert view.base().truth is None
        asked = view.ask("0-0", {"ask": "region", "box": list(box)})
        shown = view.shown("0-0")
        assert shown is not None
        unit_no = shown.frame.unit_no
        true = source_frames()[unit_no * UNIT_FRAMES].pixels.copy()
        true[40:56, 40:56] = 255 - true[40:56, 40:56]  # there is something that was not shown
        for layer, (scale, crf) in enumerate(((2, 38.0), (1, 34.0), (1, 6.0))):
            patch = encode_layer(true, box, offset=0, scale=scale, crf=crf, most_bytes=1 << 16)
            assert patch is not None
            stream.regions.write(
                RegionAnswer(
                    command_id=asked.ask_id, boot_id=1, unit_no=unit_no, layer=layer, last=layer == 2,
                    patch=patch.pack(),
                )
            )  # fmt: skip
            assert (view.base().truth is None) == (layer == 0), "enlarged pixels are no truth"
        truth, (row,) = view.base().truth, view.asks()
        assert truth is not None and (truth.regions, truth.tiles) == (1, 64), "both layers are one"
        assert 0 < truth.wrong <= 64 and 0 < truth.expected < 64
        assert f"wrong in {truth.wrong} of 64 tiles" in row.about
    kept = [json.loads(d) for (d,) in rows(path, "SELECT detail FROM events WHERE kind = "
                                                 "'truth_score' ORDER BY rowid")]  # fmt: skip
    assert [(k["id"], k["unit_no"], k["tiles"]) for k in kept] == [(asked.ask_id, unit_no, 64)] * 2
    assert kept[-1]["wrong"] == truth.wrong
    assert read_scores(path).figures()["wrong"] == truth.wrong
    again = ReplayView(path, ReplayOptions(key=key))
    stack.callback(again.close)
    assert again.base().truth is None, "nothing was known yet"
    again.seek(again.clock.last_ns)
    assert again.base().truth == truth
    assert [a.about for a in again.asks()] == [row.about]
