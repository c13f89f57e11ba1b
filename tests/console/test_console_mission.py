"""One mission in the browser, nothing scripted: a real edge over UDP, a real base, its console, then its
replay. Beside the edge fly a drone that falls silent and one whose decoder hangs."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gvc_base.archive_verify import verify_archive
from gvc_base.replay.view import ReplayOptions, ReplayView
from gvc_base.station.decoding import DecodeThread
from gvc_edge.door import say_to_edge
from gvc_edge.sources.flood import FloodSource, parse_flood_query
from gvc_profiles.keys import new_key, write_key
from gvc_profiles.links import LinkState, UdpLink
from gvc_protocol.auth import LinkKey
from gvc_protocol.ledger import AirtimeLedger, AirtimeLimit
from gvc_protocol.params import SECOND
from tests.console.conftest import Open
from tests.console.test_console_asks import drag
from tests.station.flights import Flight, packets, start_flight, wait_until

FPS = 4
SCENE = f"synthetic:flood?seed=5&seconds=900&size=320x192&fps={FPS}"
EDGE, SILENT, HUNG = "0-1", "1-2", "2-3"


class ToldRadio(UdpLink):
    """A port that tells of its radio, as a SiK modem does."""

    def link_state(self) -> LinkState:
        return LinkState(rssi_dbm=-83.0, noise_dbm=-104.0)


@dataclass
class Mission:
    flight: Flight
    folder: Path
    key: LinkKey
    end: Callable[[], None]
    "The edge lands, the hung decoder goes on, the base ends the mission."

    @property
    def archive(self) -> Path:
        return self.folder / "m.db"

    def edge_said(self, words: str) -> bool:
        return words in (self.folder / "edge.log").read_text()


def _hang(stack: ExitStack) -> threading.Event:
    """The decoder of drone HUNG waits until the event is set."""
    free, real = threading.Event(), DecodeThread._decoder_for

    def decoder_for(self: DecodeThread, spec: Any) -> Any:
        if threading.current_thread().name == f"decode-{HUNG}":
            free.wait()
        return real(self, spec)

    patch = pytest.MonkeyPatch()
    patch.setattr(DecodeThread, "_decoder_for", decoder_for)
    stack.callback(patch.undo)
    stack.callback(free.set)
    return free


@pytest.fixture(scope="module")
def mission(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Mission]:
    folder, key = tmp_path_factory.mktemp("mission"), new_key()
    write_key(folder / "k.key", key)
    patch = pytest.MonkeyPatch()
    patch.setattr("gvc_base.archive_schema._SYNCHRONOUS", "OFF")
    with ExitStack() as stack:
        stack.callback(patch.undo)
        radio = ToldRadio("127.0.0.1", 0, listen=True)
        stack.callback(radio.close)
        limit = AirtimeLimit(subband="any", duty_cycle=0.01)
        ledger = AirtimeLedger(limit, lambda size: size * SECOND // 1000)
        flight = start_flight(stack, folder / "m.db", 3, key=key, radio=radio, ledger=ledger)
        free = _hang(stack)
        with (folder / "edge.log").open("w") as log:
            edge = subprocess.Popen(
                [sys.executable, "-m", "gvc_edge", "run", "--source", SCENE, "--profile", "udp",
                 "--link", f"udp://127.0.0.1:{radio.port}", "--bps", "60000", "--latency", "1",
                 "--codec", "classical", "--objects", "none", "--key", str(folder / "k.key"),
                 "--state", str(folder / "edge")],
                stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        stack.callback(edge.wait)
        stack.callback(edge.kill)
        flight.links[1].feed(packets(stream_id=2, key=key, numbers=(0, 1, 3)))
        flight.links[2].feed(packets(stream_id=3, key=key))

        def end() -> None:
            edge.kill()
            free.set()
            flight.end()

        made = Mission(flight, folder, key, end)
        wait_until(lambda: flight.shows(EDGE, 1) and flight.shows(SILENT, 4), "the first pictures")
        wait_until(lambda: made.edge_said("adapting to the link"), "the way back")
        yield made


def open_large(mission: Mission, open_page: Open) -> Any:
    """The page with the edge's drone large."""
    page = open_page(mission.flight.view, ready=False)
    page.wait_for_function("() => document.querySelectorAll('#stage .pane').length === 3")
    page.locator(f'[data-drone="{EDGE}"] .open').click()
    page.wait_for_selector(f'#stage [data-drone="{EDGE}"] canvas[data-serial]')
    return page


def test_a_real_link_at_one_glance(mission: Mission, open_page: Open) -> None:
    page = open_large(mission, open_page)
    page.wait_for_selector("#link .badge[data-health=good], #link .badge[data-health=degraded]")
    page.wait_for_function(
        "() => /bit.s/.test(document.querySelector('[data-plot=bit_s] output').textContent)"
    )
    page.wait_for_function(  # the radio tells once a second, if it is asked in time
        "() => document.querySelector('[data-plot=rssi_dbm] output').textContent === '-83 dBm'"
    )
    page.wait_for_function(  # of one per cent of an hour, less what was sent
        """() => { const t = document.querySelector('[data-plot=airtime_left_s] output').textContent;
        return / s$/.test(t) && parseInt(t) <= 36 && parseInt(t) > 20; }"""
    )
    page.wait_for_function(  # the first unit may still be on its way
        """() => document.querySelector('[data-plot=since_good_s] output').textContent.includes("ago")"""
    )
    for name, unit in (("loss", "%"), ("burst", "pkt")):  # "-" while no packet came for a moment
        page.wait_for_function(
            "([name, unit]) => document.querySelector(`[data-plot=${name}] output`).textContent"
            ".includes(unit)",
            arg=[name, unit],
        )
    assert page.inner_text("#auth").startswith("\u2713 authenticated")
    assert "REC" in page.inner_text("#recording")
    page.wait_for_function(  # a picture may be there before the state that tells its age
        f"""() => document.querySelector('[data-drone="{EDGE}"] .age').textContent.includes("old")"""
    )


def test_one_silent_one_hung_and_the_third_goes_on(mission: Mission, open_page: Open) -> None:
    page = open_page(mission.flight.view, ready=False)
    page.wait_for_selector(f'[data-drone="{SILENT}"] .badge[data-health=lost]')
    assert "last good unit" in page.inner_text(f'[data-drone="{SILENT}"] .cover')
    # Its decoder hangs: units come, pictures do not.
    assert page.locator(f'[data-drone="{HUNG}"] canvas[data-serial]').count() == 0
    assert f"drone {HUNG}: the picture is 3 units behind" in page.inner_text("#warnings")
    canvas = page.locator(f'[data-drone="{EDGE}"] canvas[data-serial]')
    canvas.wait_for()
    serial = int(canvas.get_attribute("data-serial"))
    page.wait_for_function(
        f"""() => Number(document.querySelector('[data-drone="{EDGE}"] canvas').dataset.serial)
        > {serial + 2}"""
    )
    page.locator(f'[data-drone="{SILENT}"] .open').click()
    page.wait_for_function(
        "who => document.querySelector('#advice').textContent.startsWith(who)",
        arg=f"Drone {SILENT}: LINK LOST",
    )
    page.wait_for_function(  # what it said last, on the ladder
        "() => document.querySelector('[data-plot=ladder_step] output').textContent[0] === '1'"
    )
    assert page.inner_text('[data-plot="rssi_dbm"] output') == "-", "its radio does not tell"
    page.locator("#filters [data-group=link]").click()
    assert "unit 2 lost" in page.inner_text("#events [data-kind=loss]")


def test_the_real_pixels_of_a_box_arrive_on_the_page(mission: Mission, open_page: Open) -> None:
    page = open_large(mission, open_page)
    drag(page, (0.3, 0.25, 0.5, 0.5))
    page.locator("#stage .card").get_by_role("button", name="Request real pixels").click()
    page.wait_for_selector("#asks [data-ask]")
    assert page.locator(".over .asked").count() >= 1
    page.wait_for_selector("#asks [data-state=done] img", timeout=60_000)
    page.wait_for_function("() => document.querySelector('#asks img').naturalWidth > 0")
    page.wait_for_timeout(1200)  # the last layer's picture
    shown = picture_of(page, "#asks img")
    told = page.inner_text("#asks .text")
    # "region WxH at X,Y of unit N ...": the page, the base and the source speak of the same place
    size, place = told.split(" at ")[0].split()[-1], told.split(" at ")[1].split()[0]
    w, h = map(int, size.split("x"))
    x, y = map(int, place.split(","))
    unit = int(told.split("unit ")[1].split()[0].rstrip(",;"))
    assert shown.shape[:2] == (h, w)
    off = min(
        float(np.abs(shown.astype(int) - true[y : y + h, x : x + w].astype(int)).mean())
        for true in true_frames(unit)
    )
    assert off < 5, "these are not the pixels that the camera saw"
    mission_events = page.locator("#events [data-kind=answer] img")
    page.locator("#tab-events").click()
    assert mission_events.count() >= 1, "the answer stands in the list, with its pixels"


def picture_of(page: Any, selector: str) -> np.ndarray[Any, Any]:
    """uint8[H, W, 3] BGR of an image, as the browser has it."""
    url = page.evaluate(
        """s => { const i = document.querySelector(s), c = document.createElement('canvas');
        c.width = i.naturalWidth; c.height = i.naturalHeight; c.getContext('2d').drawImage(i, 0, 0);
        return c.toDataURL(); }""",
        selector,
    )
    data = np.frombuffer(base64.b64decode(url.split(",")[1]), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def true_frames(unit: int) -> Iterator[np.ndarray[Any, Any]]:
    query = parse_flood_query(SCENE.split("?")[1])
    source = FloodSource(query, start_us=0, seconds=None, crop_even=False)
    yield from (source.render(number) for number in range(unit * FPS, (unit + 1) * FPS))


def test_messages_both_ways_and_a_keyframe(mission: Mission, open_page: Open) -> None:
    page = open_large(mission, open_page)
    page.keyboard.press("t")
    page.keyboard.type("zurück zum Dach")
    page.keyboard.press("Enter")
    wait_until(lambda: mission.edge_said("zurück zum Dach"), "the text at the edge")
    page.keyboard.press("k")
    wait_until(lambda: mission.edge_said("asks for a keyframe"), "the keyframe's ask at the edge")
    say_to_edge(mission.folder / "edge", "battery 40 %, <b>two people</b> on the roof")
    page.locator("#filters [data-group=notes]").click()
    row = page.locator("#events [data-kind=text]", has_text="battery 40 %")
    row.wait_for(timeout=60_000)
    assert "<b>two people</b> on the roof" in row.inner_text()
    page.locator("#tab-asks").click()
    for what in ("message", "keyframe"):
        page.locator("#asks [data-state=done]", has_text=what).first.wait_for(timeout=60_000)
    page.keyboard.press("b")
    page.locator("#tab-events").click()
    page.wait_for_selector("#events [data-kind=bookmark]")


@pytest.fixture(scope="module")
def tape(mission: Mission) -> Iterator[ReplayView]:
    """The same mission, ended, on recorded time. What comes after this finds it ended."""
    mission.end()
    view = ReplayView(mission.archive, ReplayOptions(key=mission.key))
    yield view
    view.close()


def test_the_same_mission_is_seen_again(
    mission: Mission, tape: ReplayView, open_page: Open
) -> None:
    found = verify_archive(mission.archive)
    assert found.problems == [] and found.rows > 0
    page = open_page(tape, ready=False)
    page.wait_for_selector("#stage canvas[data-serial]")
    assert page.inner_text("#mode").endswith("REPLAY") and page.locator("#advice").is_hidden()
    # At its end everything is known that was done.
    page.get_by_role("slider", name="Recorded time").focus()
    page.keyboard.press("End")
    for kind in ("bookmark", "text", "answer", "asked", "loss"):
        page.wait_for_selector(f"#events [data-kind={kind}]", state="attached")
    page.keyboard.press("Home")
    page.wait_for_selector("#events [data-kind=bookmark]", state="detached")
    page.get_by_role("button", name="Next loss").click()
    page.wait_for_selector("#events [data-kind=loss]", state="attached")
    page.get_by_label("Speed").select_option("16")
    page.wait_for_function("() => gvc.replay.transport.speed === 16")
    before = page.evaluate("gvc.replay.transport.now_ms")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(f"() => gvc.replay.transport.now_ms > {before} + 3000")
    page.get_by_role("button", name="Pause").click()
