"""Cursor on Target of a running mission: it parses, it says what is regenerated, it grows stale."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gvc_base.console.view import Footprint, MapState
from gvc_base.restream import cot
from gvc_base.restream.cot import CotSender, Situation, base_uid
from gvc_base.restream.targets import CotTarget
from gvc_base.station.ground import GroundMap
from gvc_protocol.descriptors import Telemetry
from gvc_protocol.marks import Mark
from gvc_protocol.params import SECOND
from tests.restream.given import HEIGHT, WIDTH, Given, Wire, frame_of
from tests.station.flights import wait_until

NOW = 1_800_000_000 * SECOND


def chart_of(pitch_cdeg: int = -9000, found: tuple[str, ...] = ()) -> MapState:
    told = Telemetry(lat_e7=463_000_000, lon_e7=80_000_000, alt_cm=15_000, pitch_cdeg=pitch_cdeg,
                     yaw_cdeg=9000)  # fmt: skip
    chart = GroundMap(fov_deg=70, ground_m=50)
    chart.seen(told, frame_of(0, Mark.ENHANCED), NOW - 3 * SECOND, moved=True)
    for i, text in enumerate(found):
        chart.detection(told, (WIDTH, HEIGHT), (40 * i, 20, 16, 16), text)
    return chart.state()


def read(events: Iterator[bytes] | list[bytes]) -> dict[str, ET.Element]:
    """uid's last part -> event."""
    found = [ET.fromstring(event) for event in events]
    return {str(e.get("uid")).split("0-1-")[1].split("-")[0]: e for e in found}


def remarks(event: ET.Element) -> str:
    return event.findtext("detail/remarks") or ""


def given(left: Mark, right: Mark) -> Given:
    made = Given()
    made.show(frame_of(0, left, right))
    return made


def test_events_say_where_it_is_and_what_is_regenerated() -> None:
    state = given(Mark.RECEIVED, Mark.REGENERATED).drones()[0]
    chart = chart_of(found=("person, 84 % sure", "picture of person, 84 % sure"))
    chart = replace(
        chart, requested=(Footprint(corners=chart.footprint.corners, time_ns=1, received_share=0),)
    )  # type: ignore[union-attr]  # fmt: skip
    events = list(Situation("gvc-x").events(state, chart, NOW, fresh=True))
    assert len(events) == 4
    assert all(len(event) < 1400 for event in events), "one datagram, not two"
    seen = read(events)
    camera, picture, person, asked = (seen[k] for k in ("camera", "picture", "found", "asked"))
    assert camera.get("type") == "a-f-A-C"
    point, sensor = camera.find("point"), camera.find("detail/sensor")
    assert point is not None and sensor is not None
    assert float(point.get("lat", "")) == 46.3 and float(point.get("lon", "")) == 8.0
    assert float(point.get("hae", "")) == 150.0
    assert {k: float(sensor.get(k, "")) for k in ("azimuth", "elevation", "fov", "range")} == {
        "azimuth": 90.0, "elevation": -90.0, "fov": 70.0, "range": 100.0
    }  # fmt: skip
    assert camera.find("detail/track") is None, "where it flies to is not known"
    stale, start = (datetime.fromisoformat(camera.get(k, "")) for k in ("stale", "start"))
    assert (stale - start).total_seconds() == 15 and start.timestamp() == NOW / SECOND

    assert "received 50%" in remarks(picture) and "REGENERATED 50%" in remarks(picture)
    contact = picture.find("detail/contact")
    assert contact is not None and "REGENERATED" in contact.get("callsign", "")
    assert len(picture.findall("detail/link")) == 5 and "flat ground at 50 m" in remarks(picture)
    for event in (camera, picture, person, asked):
        assert "unauthenticated" in remarks(event)
    assert person.get("type") == "b-m-p-s-m" and "found by the edge: person" in remarks(person)
    assert "asked for" in remarks(asked)


def test_a_picture_of_received_pixels_alone_is_not_called_regenerated() -> None:
    state = given(Mark.RECEIVED, Mark.CARRIED).drones()[0]
    picture = read(Situation("gvc-x").events(state, chart_of(), NOW, fresh=True))["picture"]
    assert "carried 50%" in remarks(picture)
    assert "REGENERATED" not in ET.tostring(picture, encoding="unicode").upper()


def test_without_new_pictures_only_what_stays_true_is_said_again_ever_more_rarely() -> None:
    state = given(Mark.RECEIVED, Mark.RECEIVED).drones()[0]
    chart, situation = chart_of(found=("person, 84 % sure",)), Situation("gvc-x")
    times = {}
    for second in range(4000):
        for event in situation.events(state, chart, NOW + second * SECOND, fresh=False):
            root = ET.fromstring(event)
            assert root.get("type") == "b-m-p-s-m"
            times[second] = root.get("time")
    said = sorted(times)
    assert said[:6] == [0, 2, 6, 14, 30, 62] and 3500 < said[-1] <= 3600
    assert len(set(times.values())) == 1, "it was found when it was found"


def test_what_looks_at_the_sky_or_knows_no_place_has_no_footprint() -> None:
    state = given(Mark.RECEIVED, Mark.RECEIVED).drones()[0]
    level = read(Situation("gvc-x").events(state, chart_of(-1000), NOW, fresh=True))
    assert set(level) == {"camera"}
    sensor = level["camera"].find("detail/sensor")
    assert sensor is not None and sensor.get("range") is None
    assert not list(Situation("gvc-x").events(state, MapState(), NOW, fresh=True))
    camera = chart_of().camera
    assert camera is not None
    unknown = replace(
        chart_of(), camera=replace(camera, roll_deg=0, pitch_deg=0, yaw_deg=0, cut=True)
    )
    (only,) = Situation("gvc-x").events(state, unknown, NOW, fresh=True)
    assert b"<sensor" not in only and b"<track" not in only
    nowhere = replace(chart_of(), camera=replace(camera, lat=float("nan")))
    assert set(read(Situation("gvc-x").events(state, nowhere, NOW, fresh=True))) == {"picture"}


def test_uids_are_of_this_base_alone(tmp_path: Path) -> None:
    one = base_uid(tmp_path / "a.db")
    assert one == base_uid(tmp_path / "a.db") != base_uid(tmp_path / "b.db")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def test_datagrams_come_while_pictures_do_and_a_bad_target_costs_a_line(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cot, "_TICK_S", 0.02)
    monkeypatch.setattr(cot, "_EVERY_S", 0.05)
    monkeypatch.setattr(cot.CotSender, "retry_s", 0.05)
    crashes: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", crashes.append)
    wire, station = Wire(), given(Mark.ENHANCED, Mark.LOST)
    stack.callback(wire.close)
    station.chart = chart_of()
    lines: dict[str, list[str]] = {"127.0.0.1": [], "no.such.host.invalid": []}
    for host, said in lines.items():
        sender = CotSender(
            station.view, CotTarget(host=host, port=wire.port), said.append, uid="gvc-x"
        )
        stack.callback(sender.close)
        sender.start()
    wait_until(lambda: len(wire.came) >= 2, "camera and footprint")
    assert set(read(wire.came)) == {"camera", "picture"}
    assert "LOST 50%" in remarks(read(wire.came)["picture"])
    station.show(frame_of(1, Mark.ENHANCED))
    wait_until(lambda: len(wire.came) == 4, "those of the next picture")
    station.hold(1000)
    sender.close()
    wait_until(lambda: bool(lines["no.such.host.invalid"]), "a line")
    assert len(wire.came) == 4
    assert [len(said) for said in lines.values()] == [1, 1] and not crashes
    assert "the mission goes on" in lines["no.such.host.invalid"][0]
