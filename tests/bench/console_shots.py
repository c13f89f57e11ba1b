"""Pictures of the console for its page in docs: a real mission of the synthetic flood, then its replay.

    edge's encoder -> lossy packets in real time -> base that decodes -> console -> browser -> PNG

Two drones with a key, positions and movers; one unit is lost on the way, then the link falls silent.
`python -m tests.bench.console_shots --out bench-out/console`
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from gvc_base.console.app import serve
from gvc_base.replay.view import ReplayOptions, ReplayView
from gvc_edge.pipeline import make_pipeline
from gvc_edge.rate import RateControl
from gvc_edge.sources import open_source
from gvc_edge.units import build_units
from gvc_profiles.params import link_params
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import EncodedUnit
from tests.console.clip import make_clip
from tests.console.conftest import CHROMIUM
from tests.console.rehearsed import RehearsedView
from tests.replay.flown import Flight, packets_of
from tests.station.flights import PROFILE, start_flight, wait_until

SCENE = "synthetic:flood?seed=5&seconds={seconds}&size=480x288&fps=5"
UNIT_S, RATE_BPS = 4.0, 20_000.0
LAPTOP, TABLET, PORTRAIT = (1366, 768), (1024, 768), (768, 1024)


def units(seconds: float) -> tuple[EncodedUnit, ...]:
    """The flight, as the edge codes it."""
    url = SCENE.format(seconds=f"{seconds:g}")
    source = open_source(url, start_us=10**12, seconds=None, crop_even=False)
    params = link_params(PROFILE, bps=RATE_BPS, fec="auto", packets=True, tagged=True)
    made = make_pipeline(
        source, PROFILE.id, params, latency=UNIT_S, codec="gvc", objects="movers", live=True
    )
    built = build_units(
        source, made.encoder, RateControl(params), unit_frames=made.unit_frames, eyes=made.eyes,
        verifier=made.verifier, backlog=lambda: 0,
    )  # fmt: skip
    coded = tuple(one.unit for one in built)
    source.close()
    return coded


def _feed(link: Any, flight: Flight) -> None:
    rows = list(packets_of(flight))
    began = time.monotonic()
    for at, data in rows:
        time.sleep(max(0.0, began + (at - rows[0][0]) / 1e9 - time.monotonic()))
        link.feed([data])


class Camera:
    """Takes the pictures."""

    def __init__(self, browser: Any, out: Path) -> None:
        self._browser, self._out = browser, out
        out.mkdir(parents=True, exist_ok=True)

    def page(self, url: str, size: tuple[int, int], *, theme: str = "sun") -> Any:
        page = self._browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.set_default_timeout(120_000)
        page.goto(url)
        page.wait_for_selector("#stage canvas[data-serial]")
        while page.evaluate("document.documentElement.dataset.theme") != theme:
            page.keyboard.press("s")
        return page

    def take(self, page: Any, name: str) -> None:
        page.wait_for_timeout(1500)
        page.screenshot(path=str(self._out / f"{name}.png"))
        print(self._out / f"{name}.png", flush=True)


def live(camera: Camera, url: str) -> None:
    """While the mission goes on."""
    page = camera.page(url, LAPTOP)
    camera.take(page, "live-all")
    page.keyboard.press("1")
    camera.take(page, "live")
    for key, name in (("w", "heat"), ("r", "received"), ("m", "marks"), ("o", "plain")):
        page.keyboard.press(key)
        camera.take(page, name)
    page.keyboard.press("m")
    area = page.locator("#stage .over").bounding_box()
    page.mouse.move(area["x"] + 0.5 * area["width"], area["y"] + 0.6 * area["height"])
    camera.take(page, "tile")
    page.mouse.down()
    page.mouse.move(area["x"] + 0.7 * area["width"], area["y"] + 0.8 * area["height"])
    page.mouse.up()
    camera.take(page, "box")
    page.get_by_role("button", name="Request real pixels").click()
    page.mouse.move(5, 5)
    camera.take(page, "asked")
    page.close()
    for size, name in ((TABLET, "tablet"), (PORTRAIT, "portrait")):
        page = camera.page(url, size)
        page.keyboard.press("1")
        camera.take(page, name)
        page.close()
    page = camera.page(url, LAPTOP, theme="dark")
    page.keyboard.press("1")
    camera.take(page, "dark")
    page.close()


def scripted(camera: Camera) -> None:
    """The same page on the tests' scripted station: pictures of codec 0 that no busy machine spoils."""
    clip = make_clip(size="480x288", unit_bytes=14_000)
    with ExitStack() as stack:
        for name, view, size in (
            ("live", RehearsedView(clip, drones=2, frozen_at=1), LAPTOP),
            ("portrait", RehearsedView(clip, frozen_at=1), PORTRAIT),
            ("replay", RehearsedView(clip, recorded=True, frozen_at=1), LAPTOP),
        ):
            if name == "live":
                view.fleet["0-1"].health = "lost"
            server = serve(view, host="127.0.0.1", port=0, token=None, say=print)
            stack.callback(server.close)
            page = camera.page(server.url, size)
            page.keyboard.press("1" if name == "live" else "l")
            camera.take(page, name)
            page.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench-out/console"))
    parser.add_argument("--seconds", type=float, default=24.0, help="of the flight")
    parser.add_argument("--gap", type=float, default=UNIT_S, help="seconds from unit to unit")
    parser.add_argument("--scripted", action="store_true", help="the tests' station, no mission")
    options = parser.parse_args()
    if CHROMIUM is None:
        raise SystemExit("no chromium here (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    if options.scripted:
        with sync_playwright() as running:
            browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            scripted(Camera(browser, options.out))
            browser.close()
        return
    coded, key = units(options.seconds), LinkKey(bytes(range(32)))
    print(f"{len(coded)} units coded", flush=True)
    params = link_params(PROFILE, bps=RATE_BPS * 2, fec="auto", packets=True, tagged=True)
    plan = Flight(
        units=30, unit_s=options.gap, loss=0.04, lost_units=(5,), codec_units=coded, params=params,
        key=key, began_ns=time.time_ns(),
    )  # fmt: skip
    with sync_playwright() as running, ExitStack() as stack:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stack.callback(browser.close)
        camera = Camera(browser, options.out)
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "mission.db"
        with ExitStack() as mission:
            flight = start_flight(mission, path, 2, key=key)
            for number, link in enumerate(flight.links):
                one = replace(plan, stream_id=number, seed=number + 1, boot_id=7 + number)
                if number:  # this one falls silent
                    one = replace(one, units=3, lost_units=())
                threading.Thread(target=_feed, args=(link, one), daemon=True).start()
            server = serve(flight.view, host="127.0.0.1", port=0, token=None, say=print)
            mission.callback(server.close)
            wait_until(lambda: flight.shows("0-0", 8), "eight units", 300)
            live(camera, server.url)
            page = camera.page(server.url, LAPTOP)
            page.keyboard.press("1")
            page.wait_for_selector("#link .badge[data-health=lost]")
            page.wait_for_timeout(20_000)
            camera.take(page, "lost")
            server.close()
            page.wait_for_selector("#contact", state="visible")
            camera.take(page, "no-contact")
            page.close()
        view = ReplayView(path, ReplayOptions(key=key))
        stack.callback(view.close)
        server = serve(view, host="127.0.0.1", port=0, token=None, say=print)
        stack.callback(server.close)
        page = camera.page(server.url, LAPTOP)
        page.keyboard.press("1")
        page.keyboard.press("l")
        camera.take(page, "replay")
        page.close()


if __name__ == "__main__":
    main()
