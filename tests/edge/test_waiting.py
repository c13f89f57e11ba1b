"""A camera or radio that is not there: waited for, told once, and then the mission goes on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gvc_edge.field.board import Board
from gvc_edge.field.mission import fly
from gvc_edge.field.settings import RunSettings
from gvc_edge.field.tellers import Plain
from gvc_edge.field.waiting import StoppedWaiting, wait_for
from gvc_edge.sources import open_source
from gvc_profiles import load
from gvc_profiles.door import RequestDoor
from gvc_profiles.links import open_link
from gvc_profiles.links.backoff import Backoff
from gvc_profiles.links.uart import serial_port
from gvc_protocol.errors import AwayError, UserError
from tests.edge.clips import write_clip
from tests.profiles.fakes import Fake

QUICK = {"first_s": 0.0, "most_s": 0.0}


def opening(*results: object) -> object:
    left = list(results)

    def call() -> object:
        result = left.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    return call


def test_what_comes_later_is_waited_for_and_each_reason_is_told_once() -> None:
    said: list[str] = []
    away: list[str] = []
    got = wait_for(
        "camera", opening(AwayError("none"), AwayError("none"), AwayError("dark"), "pictures"),  # type: ignore[arg-type]
        stop=threading.Event(), say=said.append, on_away=away.append, backoff=Backoff(**QUICK),
    )  # fmt: skip
    assert got == "pictures"
    assert said == ["waiting for the camera: none", "waiting for the camera: dark",
                    "the camera is there"]  # fmt: skip
    assert away == ["none", "none", "dark", ""]


def test_what_is_there_at_once_says_nothing() -> None:
    said: list[str] = []
    assert wait_for("radio", lambda: 5, stop=threading.Event(), say=said.append) == 5
    assert said == []


def test_what_no_waiting_mends_is_not_waited_for() -> None:
    with pytest.raises(UserError, match="odd"):
        wait_for("camera", opening(UserError("odd")), stop=threading.Event(), say=print)  # type: ignore[arg-type]


def test_waiting_ends_when_asked() -> None:
    stop = threading.Event()
    with pytest.raises(StoppedWaiting):
        wait_for("camera", opening(AwayError("x")), stop=stop, say=lambda _: stop.set())  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["v4l2:/dev/video_none", "rtsp://127.0.0.1:9/none"])
def test_absent_cameras_may_come(url: str) -> None:
    with pytest.raises(AwayError):
        open_source(url, start_us=0)


@pytest.mark.parametrize(
    ("url", "profile", "may_come"),
    [
        ("serial:/dev/ttyNONE", "sik-64", True),
        ("kiss+tcp://127.0.0.1:9?call=DK1AB", "kiss-ax25-1200", True),
        ("serial:", "sik-64", False),
        ("kiss:/dev/ttyNONE?call=N0CALL", "kiss-ax25-1200", False),
        ("serial:/dev/ttyNONE", "udp", False),
    ],
)
def test_only_absent_radios_may_come(url: str, profile: str, may_come: bool) -> None:
    with pytest.raises(UserError) as caught:
        open_link(url, load(profile), listen=False)
    assert isinstance(caught.value, AwayError) is may_come


def test_a_port_that_a_running_edge_holds_is_told_as_such(tmp_path: Path) -> None:
    """The service runs, and somebody types `gvc-edge run` besides."""
    radio = Fake()
    held = serial_port(radio.device, load("sik-64"))
    door = RequestDoor(tmp_path / "edge.sock", lambda _: {}, name="say")
    assert door.open(alone=False) == ""
    s = RunSettings(
        source=str(write_clip(tmp_path / "a.mkv", seconds=1)), link=f"serial:{radio.device}",
        profile="sik-64", state=str(tmp_path), codec="classical", objects="none", verify=False,
    )  # fmt: skip
    try:
        with pytest.raises(UserError, match="a gvc-edge runs here already") as caught:
            fly(s, Plain(Board(tmp_path), print))
        assert not isinstance(caught.value, AwayError) and radio.device in str(caught.value)
    finally:
        door.close()
        held.close()
        radio.close()
    assert not (tmp_path / "boot-counter").exists()
