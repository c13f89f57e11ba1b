"""Recorded time in a real browser: scrub, speed, jump; nothing can be asked of it."""

from __future__ import annotations

from typing import Any

from tests.console.clip import Clip
from tests.console.conftest import Open
from tests.console.rehearsed import RehearsedView


def second(view: RehearsedView) -> float:
    transport = view.transport()
    assert transport is not None
    return (transport.now_ns - transport.first_ns) / 1e9


def wait_clock(page: Any, text: str) -> None:
    page.wait_for_function(
        "text => document.querySelector('#replay .at').textContent.startsWith(text)", arg=text
    )


def test_a_live_mission_has_no_replay_bar(clip: Clip, open_page: Open) -> None:
    page = open_page(RehearsedView(clip))
    assert page.inner_text("#mode") == "● LIVE"
    assert page.locator("#replay").is_hidden()


def test_scrub_play_and_speed(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip, recorded=True)
    page = open_page(view)
    assert page.inner_text("#mode") == "▶ REPLAY"
    assert "2026-11-25" in page.inner_text("#clock"), "recorded time has a date"
    slider = page.get_by_role("slider", name="Recorded time")
    area = slider.bounding_box()
    page.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    wait_clock(page, "10:0")
    page.wait_for_function(
        "() => gvc.replay.transport.now_ms - gvc.replay.transport.first_ms > 2e5"
    )
    assert 280 < second(view) < 320
    page.get_by_label("Speed").select_option("16")
    page.locator("#link").click()
    page.keyboard.press("Space")
    page.wait_for_function(
        "() => gvc.replay.transport.playing && gvc.replay.transport.speed === 16"
    )
    page.keyboard.press("Space")
    page.wait_for_function("() => !gvc.replay.transport.playing")
    page.keyboard.press(",")
    page.wait_for_function("() => gvc.replay.transport.speed === 8")
    assert page.get_by_label("Speed").evaluate("s => [...s.options].map(o => +o.value)") == [
        0.25, 0.5, 1, 2, 4, 8, 16,
    ]  # fmt: skip
    before = second(view)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "before => gvc.replay.transport.now_ms - gvc.replay.transport.first_ms < before * 1000 - 4000",
        arg=before,
    )


def test_jump_to_event_loss_and_low_trust(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip, recorded=True)
    page = open_page(view)
    page.get_by_role("button", name="Next loss").click()
    wait_clock(page, "10:02:00")
    page.wait_for_selector('#link .badge[data-health="lost"]')
    page.keyboard.press("l")
    wait_clock(page, "10:05:00")
    page.keyboard.press("Shift+L")
    wait_clock(page, "10:02:00")
    page.keyboard.press("u")
    wait_clock(page, "10:03:30")
    page.keyboard.press("e")
    wait_clock(page, "10:05:00")
    page.get_by_role("button", name="Previous event").click()
    wait_clock(page, "10:02:30")
    # Behind the last one there is none, and that is said.
    page.keyboard.press("u")
    wait_clock(page, "10:03:30")
    page.keyboard.press("u")
    wait_clock(page, "10:05:30")
    page.keyboard.press("u")
    page.wait_for_function(
        "() => document.querySelector('#toast').textContent === 'No later low trust.'"
    )


def test_going_back_forgets_what_is_not_known_yet(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip, recorded=True)
    page = open_page(view)
    page.evaluate("gvc.replay.seek(gvc.replay.transport.first_ms + 200000)")
    page.wait_for_selector("#events [data-kind=alarm]")
    page.evaluate("gvc.replay.seek(gvc.replay.transport.first_ms + 30000)")
    page.wait_for_selector("#events [data-kind=alarm]", state="detached")
    assert page.locator("#events [data-kind=detection]").count() == 1
    # A line of the list leads to its moment.
    page.locator("#events [data-kind=detection] button").click()
    wait_clock(page, "10:00:20")


def test_nothing_can_be_asked_of_recorded_time_but_notes_can_be_kept(
    clip: Clip, open_page: Open
) -> None:
    view = RehearsedView(clip, recorded=True)
    page = open_page(view)
    assert "recorded time" in page.inner_text("#why-not")
    page.keyboard.press("k")
    page.wait_for_function(
        "() => document.querySelector('#toast').textContent.includes('recorded time')"
    )
    assert view.asked == []
    page.keyboard.press("b")
    page.wait_for_selector("#events [data-kind=bookmark]")
