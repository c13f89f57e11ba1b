"""A console before a scripted station, and a real browser before the console."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from gvc_base.console.app import Server, serve
from gvc_base.console.view import StationView
from tests.console.clip import Clip, make_clip

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
DESKTOP, TABLET, NARROW = (1366, 768), (1024, 768), (420, 860)

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def clip() -> Clip:
    return make_clip()


@pytest.fixture
def console() -> Iterator[Callable[..., Server]]:
    """serve(view, host=, token=) on a free port; closed at the end."""
    running: list[Server] = []
    said: list[str] = []

    def start(view: StationView, *, host: str = "127.0.0.1", token: str | None = None) -> Server:
        running.append(serve(view, host=host, port=0, token=token, say=said.append))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (pip install '.[dev]')"
    )
    if CHROMIUM is None:
        pytest.skip("no chromium here (apt-get install chromium)")
    with playwright.sync_playwright() as running:
        # As root in a container chromium has no sandbox of its own.
        made = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="session")
def pages(browser: Any) -> dict[str, Any]:
    """Pages by their size, kept from test to test: a new one costs most of a second."""
    return {}


@pytest.fixture
def open_page(
    browser: Any, pages: dict[str, Any], console: Callable[..., Server]
) -> Iterator[Open]:
    """Open a view's console in the browser. A script error or a request to elsewhere fails the test."""
    used: list[tuple[Any, dict[str, Any]]] = []
    faults: list[str] = []

    def open_it(
        view: StationView | None, *, size: tuple[int, int] = DESKTOP, url: str = "", ready: bool = True,
        **context: Any,
    ) -> Any:  # fmt: skip
        server_url = url or console(view).url
        key = f"{size} {context}"
        if key not in pages:
            made = browser.new_context(viewport={"width": size[0], "height": size[1]}, **context)
            pages[key] = made.new_page()
            pages[key].set_default_timeout(60_000)
        page = pages[key]
        heard = {
            "pageerror": lambda error: faults.append(f"script error: {error}"),
            "request": lambda request: faults.extend(_elsewhere(request.url, server_url)),
            "console": lambda line: faults.extend([line.text] * ("Content Security" in line.text)),
        }
        for name, hear in heard.items():
            page.on(name, hear)
        used.append((page, heard))
        page.goto(server_url)
        if ready:
            page.wait_for_selector("#stage canvas[data-serial]")
        return page

    yield open_it
    for page, heard in used:
        for name, hear in heard.items():
            page.remove_listener(name, hear)
        page.goto("about:blank")
    assert faults == []


def _elsewhere(url: str, server_url: str) -> list[str]:
    asked, server = urlsplit(url), urlsplit(server_url)
    own = asked.scheme in ("blob", "data") or asked.netloc == server.netloc
    return [] if own else [f"asked elsewhere: {url}"]
