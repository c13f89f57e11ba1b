"""The picture in a real browser: layers, the state that is always visible, tiles, several drones."""

from __future__ import annotations

import base64
import time
from typing import Any

import cv2
import numpy as np
import pytest

from gvc_base.received import received_only
from gvc_base.render import overlay_beneath
from gvc_protocol.marks import Mark
from tests.console.clip import Clip
from tests.console.conftest import NARROW, TABLET, Open
from tests.console.rehearsed import RehearsedView

CANVAS = "#stage canvas"


def wait_layer(page: Any, layer: str) -> None:
    page.wait_for_selector(f'{CANVAS}[data-layer="{layer}"]')


def canvas_pixels(page: Any) -> np.ndarray[Any, Any]:
    """uint8[H, W, 3] RGB of the large picture, as the browser painted it."""
    url = page.evaluate("document.querySelector('#stage canvas').toDataURL()")
    data = np.frombuffer(base64.b64decode(url.split(",")[1]), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])


def test_marks_are_on_and_it_says_so(clip: Clip, open_page: Open) -> None:
    page = open_page(
        RehearsedView(clip, frozen_at=4)
    )  # the lost unit: crosses over the held picture
    assert (
        page.get_by_role("radio", name="Marks", exact=True).get_attribute("aria-checked") == "true"
    )
    assert "MARKS ON" in page.inner_text("#banner")
    assert page.locator("#stage .warning").inner_text() == "NOT FOR PILOTING"
    assert "lost 100 %" in " ".join(page.inner_text("#banner").split())
    pixels = canvas_pixels(page)[: clip.size[1]].astype(int)
    source = clip.shown[4].pixels[:, :, ::-1].astype(int)
    assert np.abs(pixels - source).mean() > 15, "the crosses of a lost picture are not on it"
    told = page.locator(CANVAS).get_attribute("aria-label")
    assert "lost" in told and "Not for piloting" in told


def test_each_layer_shows_what_its_name_says(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip, frozen_at=1)
    view.fleet["0-0"].patches.append((64, 64, 64, 64))
    page = open_page(view)
    width, height = clip.size
    source = clip.shown[1].pixels[:, :, ::-1].astype(int)
    for key, layer, words in (
        ("o", "plain", "MARKS OFF"), ("w", "heat", "HEAT"), ("r", "received", "RECEIVED ONLY"),
        ("m", "marks", "MARKS ON"),
    ):  # fmt: skip
        page.keyboard.press(key)
        wait_layer(page, layer)
        assert words in page.inner_text("#banner")
        assert page.locator("#layers [aria-checked=true]").get_attribute("data-layer") == layer
        assert page.locator("#stage .warning").is_visible()
        shown = canvas_pixels(page)[:height].astype(int)
        assert shown.shape[1] == width
        away = np.abs(shown - source).mean(axis=2)
        if layer == "plain":
            away[64:128, 64:128] = 0  # true pixels here
            assert away.mean() < 6
        if layer == "heat":
            assert np.ptp(shown[:64, :64], axis=2).max() > 20, "the ramp's colour is not on it"
        if (
            layer == "received"
        ):  # the coded picture in blocks with its marks, true pixels as they are
            wanted = overlay_beneath(received_only(clip.shown[1]))[:height, :, ::-1].astype(int)
            off = np.abs(shown - wanted).mean(axis=2)
            assert off[:56].mean() < 8 < np.abs(source - wanted)[:56].mean()
            true = clip.true[1][72:120, 72:120, ::-1].astype(int)
            assert np.abs(shown[72:120, 72:120] - true).mean() < 6


def test_a_tile_tells_where_it_comes_from(clip: Clip, open_page: Open) -> None:
    page = open_page(RehearsedView(clip, frozen_at=1))
    area = page.locator("#stage .over").bounding_box()
    page.mouse.move(area["x"] + area["width"] * 0.3, area["y"] + area["height"] * 0.6)
    card = page.locator("#stage .card")
    card.wait_for()
    text = card.inner_text()
    row, column = int(0.6 * clip.size[1]) // 8, int(0.3 * clip.size[0]) // 8
    assert Mark(int(clip.shown[1].mark[row, column])).name.lower() in text
    for part in ("age", "chance it is wrong", "unit 0, features", "812, 813, 815, 816 and 1 more"):
        assert part in text
    # The same by keyboard, and it goes away.
    page.keyboard.press("p")
    page.keyboard.press("ArrowRight")
    card.wait_for()
    page.keyboard.press("Escape")
    card.wait_for(state="hidden")


def test_objects_are_drawn_by_what_is_known_of_them(clip: Clip, open_page: Open) -> None:
    page = open_page(RehearsedView(clip, frozen_at=1))
    boxes = clip.boxes[1]
    page.wait_for_function(
        f"() => document.querySelectorAll('.over .object').length === {len(boxes)}"
    )
    assert page.locator(".over .object.unconfirmed").count() == 1
    labels = page.locator(".over .label").all_text_contents()
    assert boxes[0]["kind"] in labels and f"{boxes[1]['kind']}?" in labels


def test_four_drones_each_its_tile_and_a_stuck_one_holds_up_nobody(
    clip: Clip, open_page: Open
) -> None:
    view = RehearsedView(clip, drones=4)
    view.fleet["0-2"].health = "waiting"  # `shown` waits without end
    page = open_page(view, ready=False)
    page.wait_for_function(
        "() => document.querySelectorAll('#stage canvas[data-serial]').length === 3"
    )
    assert page.locator("#stage .pane").count() == 4
    assert "WAITING" in page.inner_text('[data-drone="0-2"] .cover')
    page.keyboard.press("4")
    page.wait_for_selector('#stage [data-drone="0-3"] canvas[data-serial]')
    assert page.locator("#film .pane").count() == 3
    assert page.locator("#stage .pane").count() == 1
    assert "Drone 0-3" in page.inner_text("#link")
    page.get_by_role("button", name="All drones").click()
    page.wait_for_function("() => document.querySelectorAll('#stage .pane').length === 4")
    page.locator('[data-drone="0-1"] .frame').click()
    page.wait_for_selector('[data-drone="0-1"].selected')


def test_a_slow_browser_gets_the_newest_picture_not_a_queue(clip: Clip, open_page: Open) -> None:
    given: list[tuple[int, float]] = []
    view = RehearsedView(
        clip, fps=50, on_shown=lambda _drone, serial: given.append((serial, time.time()))
    )
    page = open_page(view)
    # The browser is busy for a second; then its next picture must be one of now.
    page.evaluate(
        "() => { const end = performance.now() + 1000; while (performance.now() < end); }"
    )
    count = page.evaluate("gvcPainted.length")
    page.wait_for_function(f"() => gvcPainted.length > {count + 2}")
    painted = page.evaluate(f"gvcPainted.slice({count + 1}, {count + 3})")
    newest_before = {s: max(g for g, at in given if at * 1000 <= p["at"]) for p in painted
                     for s in [p["serial"]]}  # fmt: skip
    assert all(newest - serial <= 50 for serial, newest in newest_before.items())
    assert painted[1]["serial"] > painted[0]["serial"]


def test_no_contact_and_back(clip: Clip, open_page: Open, console: Any) -> None:
    server = console(RehearsedView(clip))
    page = open_page(None, url=server.url)
    assert page.locator("#contact").is_hidden()
    server.close()
    page.locator("#contact").wait_for()
    assert "NO CONTACT WITH THE BASE" in page.inner_text("#contact")


@pytest.mark.parametrize("size", [TABLET, NARROW])
def test_small_screens_keep_everything_in_reach(
    clip: Clip, open_page: Open, size: tuple[int, int]
) -> None:
    page = open_page(RehearsedView(clip, recorded=True), size=size, has_touch=True)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= size[0], "the page is wider than the screen"
    for name in ("Real pixels", "Keyframe", "Message", "Bookmark", "Note", "▶ Play", "Next loss"):
        button = page.get_by_role("button", name=name, exact=True)
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= size[0]
        assert box["height"] >= 40, f"{name} is too low for a finger"
