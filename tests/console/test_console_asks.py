"""Asking for real pixels, a keyframe, a message: by mouse and by keys, and what comes of it."""

from __future__ import annotations

from typing import Any

from gvc_base.console.view import TruthSoFar
from tests.console.clip import Clip
from tests.console.conftest import Open
from tests.console.rehearsed import RehearsedView


def drag(page: Any, box: tuple[float, float, float, float]) -> None:
    """Drag over a box given as shares of the picture."""
    area = page.locator("#stage .over").bounding_box()
    x, y, right, foot = box
    at = lambda u, v: (area["x"] + area["width"] * u, area["y"] + area["height"] * v)  # noqa: E731
    page.mouse.move(*at(x, y))
    page.mouse.down()
    page.mouse.move(*at((x + right) / 2, (y + foot) / 2))
    page.mouse.move(*at(right, foot))
    page.mouse.up()


def test_drag_a_box_and_watch_the_real_pixels_arrive(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip, frozen_at=1)
    page = open_page(view)
    drag(page, (0.3, 0.3, 0.5, 0.6))
    card = page.locator("#stage .card")
    card.get_by_role("button", name="Request real pixels").click()
    page.wait_for_selector("#asks [data-state=waiting]")
    (drone, wanted), (width, height) = view.asked[0], clip.size
    x, y, w, h = wanted["box"]
    assert drone == "0-0" and wanted["ask"] == "region"
    assert all(side % 8 == 0 for side in (x, y, w, h)), "whole tiles"
    assert abs(x - 0.3 * width) <= 8 and abs(x + w - 0.5 * width) <= 9
    assert abs(y - 0.3 * height) <= 8 and abs(y + h - 0.6 * height) <= 9
    assert page.locator(".over .asked.open").count() == 1
    assert page.inner_text("#tab-asks") == "Requests (1 open)"

    view.answer_ask(1, state="working")  # coarse pixels first
    image = page.locator("#asks img")
    image.wait_for()
    coarse = image.get_attribute("src")
    view.answer_ask(1, state="done")
    page.wait_for_selector("#asks [data-state=done]")
    assert image.get_attribute("src") != coarse, "the finer picture took the place of the coarse"
    assert image.evaluate("i => [i.naturalWidth, i.naturalHeight]") == [w, h]
    assert "31 % wrong" in page.inner_text("#asks .about")
    assert page.locator("#truth").is_hidden()
    view.truth = TruthSoFar(regions=1, tiles=200, wrong=24, unmarked=3, expected=18.2)
    page.wait_for_selector("#truth")
    told = page.inner_text("#truth")
    assert "had been wrong in 12 % of 200 tiles" in told and "expected 9 %" in told
    assert told.endswith("wrong though vouched for: 3")
    # The large picture shows them, and its marks have changed.
    page.wait_for_function("() => gvc.drone.mark_share.received > 0.03")
    page.wait_for_selector(".over .asked.done", state="attached")
    assert "done" in page.inner_text("#announce")


def test_a_box_by_keyboard_alone(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip)
    page = open_page(view)
    page.keyboard.press("x")
    page.wait_for_selector(".over .dragged", state="attached")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#asks [data-ask]")
    _, wanted = view.asked[0]
    assert wanted["box"][2:] == [8 * 16, 8 * 7]
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    assert page.locator(".over .dragged").count() == 0
    assert len(view.asked) == 1


def test_keyframe_and_message(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip)
    page = open_page(view)
    page.get_by_role("button", name="Keyframe", exact=True).click()
    page.wait_for_selector("#asks [data-ask]", state="attached")
    page.get_by_role("button", name="Message", exact=True).click()
    page.keyboard.type("come höme")
    assert page.inner_text("#say-room") == "990 bytes left"
    page.get_by_role("button", name="Send").click()
    page.wait_for_function("() => document.querySelectorAll('#asks [data-ask]').length === 2")
    assert view.asked == [
        ("0-0", {"ask": "keyframe"}), ("0-0", {"ask": "text", "text": "come höme"}),
    ]  # fmt: skip
    # A message that is put off is not sent, and one that is too long cannot be.
    page.keyboard.press("t")
    page.locator("#say-text").fill("x" * 1001)
    assert page.locator("#say-ok").is_disabled()
    page.keyboard.press("Escape")
    assert len(view.asked) == 2


def test_why_nothing_can_be_asked_is_said_and_nothing_is_sent(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip)
    view.fleet["0-0"].can_ask = False
    page = open_page(view)
    page.wait_for_selector("#why-not")
    assert page.inner_text("#why-not") == "This radio has no way back."
    page.keyboard.press("k")
    page.wait_for_function(
        "() => document.querySelector('#toast').textContent.includes('no way back')"
    )
    drag(page, (0.2, 0.2, 0.4, 0.4))
    assert page.get_by_role("button", name="Request real pixels").is_disabled()
    page.get_by_role("button", name="Cancel").click()
    assert view.asked == []


def test_a_refusal_is_shown_in_the_words_of_the_base(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip)
    view.refusal = "one region at a time: wait for the one before"
    page = open_page(view)
    page.keyboard.press("k")
    page.wait_for_function(
        "() => document.querySelector('#toast').textContent.includes('one region')"
    )
