"""For everybody and on every screen: axe's rules in both themes, keys alone, fingers on a tablet."""

from __future__ import annotations

from typing import Any

import pytest

from gvc_base.console.guard import new_token
from tests.console.clip import Clip
from tests.console.conftest import TABLET, Open
from tests.console.rehearsed import RehearsedView

PORTRAIT = (768, 1024)
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def axe() -> Any:
    found = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="axe is not installed (pip install '.[dev]')",
    )
    return found.Axe()


def faults(axe: Any, page: Any) -> list[str]:
    """What breaks a rule: rule, and the first elements that do."""
    found = axe.run(page, options=WCAG).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {[n['html'][:160] for n in one['nodes'][:3]]}"
        for one in found
    ]


def test_axe_finds_nothing_on_a_live_mission_in_trouble(
    clip: Clip, open_page: Open, axe: Any
) -> None:
    view = RehearsedView(clip, drones=2)
    view.fleet["0-1"].health = "lost"
    view.warnings = ("the disk is full: receiving goes on in memory",)
    page = open_page(view)
    page.keyboard.press("k")
    view.note("0-0", "a note", bookmark=False)
    page.wait_for_selector("#events [data-kind=alarm]")
    page.wait_for_selector("#events [data-kind=note]")
    page.wait_for_selector("#advice", state="visible")
    page.wait_for_selector("#toast.shown")
    for theme in ("dark", "sun"):
        while page.evaluate("document.documentElement.dataset.theme") != theme:
            page.keyboard.press("s")
        assert faults(axe, page) == [], theme
    page.locator("#tab-asks").click()
    page.wait_for_selector("#asks [data-ask]")
    page.keyboard.press("o")  # marks off has a banner of its own
    page.wait_for_selector('#stage canvas[data-layer="plain"]')
    page.keyboard.press("?")
    assert faults(axe, page) == []


def test_axe_finds_nothing_on_replay(clip: Clip, open_page: Open, axe: Any) -> None:
    page = open_page(RehearsedView(clip, recorded=True))
    assert faults(axe, page) == []
    page.keyboard.press("n")
    assert faults(axe, page) == [], "the dialog"


def test_axe_finds_nothing_on_the_login_page(
    clip: Clip, open_page: Open, console: Any, axe: Any
) -> None:
    port = console(RehearsedView(clip), host="0.0.0.0", token=new_token()).url.rsplit(":", 1)[1]
    page = open_page(None, url=f"http://127.0.0.1:{port}/login", ready=False)
    assert faults(axe, page) == []


def test_focus_follows_the_page_and_is_seen(clip: Clip, open_page: Open) -> None:
    """With Tab alone: down the page, no stop is invisible, none is outside the screen."""
    page = open_page(RehearsedView(clip))
    stops = []
    for _ in range(60):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => { const n = document.activeElement, b = n.getBoundingClientRect();
            const all = [...document.querySelectorAll('*')];
            return n === document.body ? null : {at: all.indexOf(n), name: n.id || n.className,
              outline: getComputedStyle(n).outlineStyle, wide: b.width, left: b.left,
              right: b.right}; }"""
        )
        if stop is None or (stops and stop["at"] <= stops[-1]["at"]):
            break
        stops.append(stop)
    assert len(stops) > 20
    for stop in stops:
        assert stop["outline"] != "none" and stop["wide"] > 0, stop["name"]
        assert stop["left"] >= 0 and stop["right"] <= 1367, stop["name"]
    names = [stop["name"] for stop in stops]
    assert names[0] == "skip" and names.index("do-region") > names.index("frame")


def swipe(page: Any, *way: tuple[float, float]) -> None:
    """One finger, put down, moved along and lifted."""
    session = page.context.new_cdp_session(page)
    send = lambda kind, *at: session.send(  # noqa: E731
        "Input.dispatchTouchEvent",
        {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in at]},
    )
    send("touchStart", way[0])
    for at in way[1:]:
        send("touchMove", at)
    send("touchEnd")
    session.detach()


@pytest.mark.parametrize("size", [TABLET, PORTRAIT])
def test_a_finger_drags_a_box_on_a_tablet(
    clip: Clip, open_page: Open, size: tuple[int, int]
) -> None:
    view = RehearsedView(clip, frozen_at=1)
    page = open_page(view, size=size, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.locator("#stage").scroll_into_view_if_needed()
    area = page.locator("#stage .over").bounding_box()
    assert area["width"] > 0.5 * size[0] or area["height"] > 0.4 * size[1], "the picture is small"
    at = lambda u, v: (area["x"] + u * area["width"], area["y"] + v * area["height"])  # noqa: E731
    swipe(page, at(0.2, 0.2), at(0.3, 0.4), at(0.4, 0.6))
    button = page.get_by_role("button", name="Request real pixels")
    box = button.bounding_box()
    assert box["height"] >= 40 and box["x"] >= 0 and box["x"] + box["width"] <= size[0]
    button.click()
    page.wait_for_selector("#asks [data-ask]")
    (_, wanted), (width, height) = view.asked[0], clip.size
    x, y, w, h = wanted["box"]
    assert abs(x - 0.2 * width) <= 8 and abs(x + w - 0.4 * width) <= 9
    assert abs(y - 0.2 * height) <= 8 and abs(y + h - 0.6 * height) <= 9
    # A tap tells where a tile comes from.
    page.touchscreen.tap(*at(0.7, 0.7))
    page.wait_for_selector("#stage .card dl")
    assert "chance it is wrong" in page.inner_text("#stage .card")
    # Every control is large enough for a finger and inside the screen.
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, select')].filter(n => n.checkVisibility())
        .map(n => [n.id || n.textContent, n.getBoundingClientRect()])
        .filter(([, b]) => b.height < 34 || b.width < 34 || b.left < 0 || b.right > innerWidth + 1)
        .map(([name, b]) => `${name} ${b.width}x${b.height} at ${b.left}`)"""
    )
    assert small == []
