"""Link, map, events, notes, recording: what the page says of them, in a real browser."""

from __future__ import annotations

from typing import Any

from tests.console.clip import Clip
from tests.console.conftest import Open
from tests.console.rehearsed import RehearsedView


def plot(page: Any, name: str) -> str:
    return str(page.inner_text(f'[data-plot="{name}"] output'))


def inked(page: Any, name: str) -> int:
    """Pixels of a small plot that are drawn on."""
    return int(
        page.evaluate(
            """name => { const c = document.querySelector(`[data-plot="${name}"] canvas`);
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 128; return n; }""",
            name,
        )
    )


def test_one_glance_tells_good_degraded_lost(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip)
    page = open_page(view)
    badge = page.locator("#link .badge")
    for health, told, shape in (
        ("good", "GOOD", "●"), ("degraded", "DEGRADED", "▲"), ("lost", "LOST", "✖"),
    ):  # fmt: skip
        view.fleet["0-0"].health = health  # type: ignore[assignment]
        page.wait_for_selector(f'#link .badge[data-health="{health}"]')
        assert badge.inner_text() == f"{shape} {told}", "a shape and a word, not a colour alone"
    assert "LOST - last good unit" in page.inner_text("#stage .cover")
    assert "LOST" in page.inner_text("#announce"), "a change is read out"
    # In plain words, what to do; and the picture goes on growing old.
    advice = page.inner_text("#advice")
    for words in ("LINK LOST", "picture is old", "nothing to press", "antenna", "by voice"):
        assert words in advice, words
    view.fleet["0-0"].can_ask = False
    page.wait_for_function(
        "() => !document.querySelector('#advice').textContent.includes('asked for again')"
    )
    assert "asked for again" in advice, "only where somebody can be asked"
    view.fleet["0-0"].health = "good"
    page.wait_for_selector("#advice", state="hidden")


def test_link_strip_shows_each_figure_with_its_plot(clip: Clip, open_page: Open) -> None:
    page = open_page(RehearsedView(clip))
    page.wait_for_function("() => window.gvc.link.samples.get('0-0')?.length > 100")
    shown = {
        "bit_s": "kbit/s", "loss": "→", "burst": "pkt", "rssi_dbm": "dBm", "airtime_left_s": "min",
        "ladder_step": "motion", "since_good_s": "ago",
    }  # fmt: skip
    page.evaluate("gvc.link.draw()")
    for name, unit in shown.items():
        assert unit in plot(page, name) or name == "ladder_step"
        floor = page.locator(f'[data-plot="{name}"] canvas').evaluate("c => c.width")
        assert inked(page, name) > floor, f"{name} has no line above the axis"


def test_what_a_radio_does_not_tell_is_a_dash(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip)
    view.silent_radio = True
    page = open_page(view)
    for name in ("rssi_dbm", "airtime_left_s", "ladder_step"):
        page.wait_for_function(
            "name => document.querySelector(`[data-plot='${name}'] output`).textContent === '-'",
            arg=name,
        )


def test_map_has_track_footprint_coverage_with_age_and_detections(
    clip: Clip, open_page: Open
) -> None:
    view = RehearsedView(clip, drones=2)
    page = open_page(view)
    page.wait_for_selector("#map .track")
    for kind in ("footprint", "coverage.fresh", "coverage.older", "detection", "aircraft"):
        assert page.locator(f"#map svg .{kind}").count() > 0, kind
    assert "old" in page.locator("#map .coverage title").first.text_content()
    assert "areas seen with real pixels" in page.get_attribute("#map > svg", "aria-label")
    assert "46.3" in page.inner_text("#map .where"), "a position to read out"
    page.wait_for_selector("#map .track.other", state="attached")  # the other drone is on it too
    near = page.text_content("#map .scale-text")
    page.keyboard.press("+")
    assert page.text_content("#map .scale-text") != near


def test_map_without_telemetry_says_so(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip)
    view.has_map = False
    page = open_page(view)
    assert "No position from this drone" in page.inner_text("#map")


def test_events_come_with_chips_and_can_be_sifted(clip: Clip, open_page: Open) -> None:
    page = open_page(RehearsedView(clip))
    page.wait_for_selector("#events [data-kind=detection] img")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#events img')].every(i => i.complete && i.naturalWidth)"
    )
    first = page.locator("#events li").first.inner_text()
    assert "the radio came back" in first, "the newest is on top"
    page.locator("#filters [data-group=objects]").click()
    kinds = page.locator("#events li").evaluate_all("rows => rows.map(r => r.dataset.kind)")
    assert set(kinds) == {"detection", "alarm"}
    chosen = page.locator("#events [data-kind=detection] button").first
    chosen.click()
    assert chosen.get_attribute("aria-expanded") == "true"
    page.wait_for_selector(".over .flash", state="attached")


def test_text_from_the_radio_is_text(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip)
    page = open_page(view)
    view.note("0-0", '<img src=x onerror="window.hit=1">', bookmark=False)
    row = page.locator("#events [data-kind=note]")
    row.wait_for()
    assert "<img src=x" in row.inner_text()
    assert page.evaluate("window.hit") is None


def test_notes_and_bookmarks_reach_the_view(clip: Clip, open_page: Open) -> None:
    page = open_page(RehearsedView(clip))
    page.keyboard.press("b")
    page.wait_for_selector("#events [data-kind=bookmark]")
    page.keyboard.press("n")
    page.keyboard.type("roof at the bridge, 3 people")
    page.keyboard.press("Enter")
    note = page.locator("#events [data-kind=note]")
    note.wait_for()
    assert "roof at the bridge, 3 people" in note.inner_text()
    # Keys typed into the note have done nothing else.
    assert page.locator("#layers [aria-checked=true]").get_attribute("data-layer") == "marks"


def test_recording_space_and_warnings_are_always_there(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip)
    page = open_page(view)
    assert page.inner_text("#recording") == "● REC, 41 h left"
    assert "unauthenticated" in page.inner_text("#auth")
    view.warnings = ("the disk is full: receiving goes on in memory", "a long line " * 30)
    page.wait_for_selector("#warnings li")
    assert "disk is full" in page.inner_text("#warnings")
    # All of a long one can be read, and it pushes nothing off the screen.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for row in page.locator("#warnings li").all():
        assert row.evaluate("n => n.scrollWidth <= n.clientWidth")
    assert page.locator("#do-note").bounding_box()["x"] < 1366
    view.disk_hours, view.disk_free = 0.5, 2**28
    page.wait_for_selector('#recording[data-kind="low"]')
    assert "30 min left" in page.inner_text("#recording")
    view.recording = False
    page.wait_for_selector('#recording[data-kind="off"]')
    assert "NOT RECORDING" in page.inner_text("#recording")


def test_a_fault_of_the_view_is_told_and_ends_nothing(clip: Clip, open_page: Open) -> None:
    view = RehearsedView(clip)
    page = open_page(view)
    view.fault = RuntimeError("the archive is away")
    page.wait_for_function("() => document.querySelector('#toast').textContent.includes('away')")
    view.fault = None
    serial = int(page.get_attribute("#stage canvas", "data-serial"))
    page.wait_for_function(
        "serial => Number(document.querySelector('#stage canvas').dataset.serial) > serial",
        arg=serial,
    )


def test_everything_has_a_name_and_can_be_reached_by_keyboard(clip: Clip, open_page: Open) -> None:
    page = open_page(RehearsedView(clip, recorded=True))
    nameless = page.evaluate(
        """() => [...document.querySelectorAll(
            'button, input, select, textarea, [role=img], [role=application]')]
        .filter(n => n.checkVisibility())
        .filter(n => !(n.getAttribute('aria-label') || n.textContent.trim()
                       || (n.labels && n.labels.length))).map(n => n.outerHTML)"""
    )
    assert nameless == []
    wanted = page.evaluate(
        """() => { const seen = [...document.querySelectorAll('button, input, select, [tabindex="0"]')]
        .filter(n => n.checkVisibility() && n.tabIndex >= 0); seen.forEach((n, i) => n.dataset.stop = i);
        return seen.length; }"""
    )
    reached: set[str] = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        at = page.evaluate("document.activeElement.dataset.stop")
        reached |= {at} if at is not None else set()
    assert len(reached) == wanted
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    assert "regenerated" in page.inner_text("#help")
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()


def test_both_themes_have_contrast(clip: Clip, open_page: Open) -> None:
    """WCAG 2.2: 7 to 1 for text, 4.5 to 1 on badges; sunlight is black on white."""
    page = open_page(RehearsedView(clip))
    for theme in ("dark", "sun"):
        while page.evaluate("document.documentElement.dataset.theme") != theme:
            page.keyboard.press("s")
        colour = page.evaluate(
            """() => { const s = getComputedStyle(document.documentElement);
            return Object.fromEntries(['text', 'dim', 'panel', 'back', 'accent', 'on-accent',
            'good', 'degraded', 'lost', 'waiting'].map(
                n => [n, s.getPropertyValue('--' + n).trim()])); }"""
        )
        for ink in ("text", "dim"):
            for ground in ("panel", "back"):
                assert contrast(colour[ink], colour[ground]) >= 7, (theme, ink, ground)
        for ground in ("good", "degraded", "lost", "waiting"):
            assert contrast("#000", colour[ground]) >= 4.5, (theme, ground)
        assert contrast(colour["on-accent"], colour["accent"]) >= 4.5, theme


def contrast(one: str, other: str) -> float:
    def light(text: str) -> float:
        digits = text.lstrip("#")
        full = "".join(d * 2 for d in digits) if len(digits) == 3 else digits
        parts = [int(full[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        lin = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * lin[0] + 0.7152 * lin[1] + 0.0722 * lin[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)
