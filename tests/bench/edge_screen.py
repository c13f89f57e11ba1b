"""What the live screen of `gvc-edge run` costs, and its picture.

    python -m tests.bench.edge_screen [--drawings 200] [--picture docs/images/edge-screen.png]

Each drawing is a whole one, as the screen's thread makes it once a second: the lines, and their bytes
for a terminal of 80x24. Processor time of this process, start and imports not counted.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.terminal_theme import MONOKAI

from gvc_edge.field.screen import draw
from tests.bench.machine import processor
from tests.edge.boards import board_of

_SHOWN = ("good", "degraded-losses")
# Lines as high as the letters, so that half blocks meet as they do on a terminal.
_PAGE = (
    "<body style='margin:0'><pre style='display:inline-block;margin:0;padding:12px;background:#0c0c0c;"
    "color:#d9d9d9;font:24px/28px DejaVu Sans Mono,monospace'>{code}</pre></body>"
)


def cost(drawings: int) -> dict[str, float]:
    """Milliseconds of processor time a drawing, and bytes to the terminal a drawing."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24, color_system="256")
    with (
        tempfile.TemporaryDirectory() as folder,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        view = board_of("degraded-losses", Path(folder))
        live.update(Group(*draw(view, 80, 24)), refresh=True)
        began, before = time.process_time(), out.tell()
        for _ in range(drawings):
            live.update(Group(*draw(view, 80, 24)), refresh=True)
        took = time.process_time() - began
    return {
        "ms_a_drawing": 1000 * took / drawings, "percent_of_a_core": 100 * took / drawings,
        "bytes_a_drawing": (out.tell() - before) / drawings,
    }  # fmt: skip


def picture(path: Path) -> None:
    """The screen in two states as a PNG; needs chromium."""
    from playwright.sync_api import sync_playwright

    from tests.console.conftest import CHROMIUM

    console = Console(record=True, width=80, file=io.StringIO(), color_system="truecolor")
    with tempfile.TemporaryDirectory() as folder:
        for number, situation in enumerate(_SHOWN):
            if number:
                console.print()
            lines = draw(board_of(situation, Path(folder)), 80, 24)
            console.print(*lines, sep="\n", no_wrap=True, overflow="crop")
    html = console.export_html(theme=MONOKAI, inline_styles=True, code_format=_PAGE)
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        page.set_content(html)
        page.locator("pre").screenshot(path=str(path))
        browser.close()


def main() -> None:
    """Print one JSON object; write the picture where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawings", type=int, default=200)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    if given.picture is not None:
        picture(given.picture)
    told = {k: round(v, 2) for k, v in cost(given.drawings).items()}
    print(json.dumps({"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": processor(), **told}))


if __name__ == "__main__":
    main()
