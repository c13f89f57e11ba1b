"""Console frame rate and added latency, in a real browser: `make bench-console`.

    view has a new picture -> coded, sent, decoded -> painted (requestAnimationFrame)

Added latency is from the moment that the view hands a picture out to the browser's frame that shows it,
on one machine and one clock. The view offers 30 pictures a second to each drone. A second part has a
base decode what four drones send (`console_flight`). The number of the console's tests is printed, too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gvc_base.console.app import serve
from tests.bench.console_flight import fly_for_real
from tests.bench.machine import processor
from tests.console.clip import Clip, make_clip
from tests.console.conftest import CHROMIUM
from tests.console.rehearsed import RehearsedView

OFFERED_FPS = 30.0
SIZES = ("640x360", "848x480")
DRONES = (1, 4)
WARM_S = 3.0


def measure(browser: Any, clip: Clip, drones: int, seconds: float) -> dict[str, Any]:
    """{drones, width, height, fps (a drone), latency_ms: {p50, p95}} of one run."""
    handed: dict[tuple[str, int], float] = {}
    view = RehearsedView(
        clip, drones=drones, fps=OFFERED_FPS,
        on_shown=lambda drone, serial: handed.setdefault((drone, serial), time.time() * 1000) and None,
    )  # fmt: skip
    server = serve(view, host="127.0.0.1", port=0, token=None, say=print)
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    try:
        page.goto(server.url)
        page.wait_for_selector("#stage canvas[data-serial]")
        time.sleep(WARM_S)
        page.evaluate("gvcPainted.length = 0")
        time.sleep(seconds)
        painted = page.evaluate("gvcPainted.slice()")
    finally:
        page.close()
        server.close()
    late = [
        p["at"] - handed[p["drone"], p["serial"]]
        for p in painted
        if (p["drone"], p["serial"]) in handed
    ]
    late.sort()
    width, height = clip.size
    return {
        "drones": drones, "width": width, "height": height,
        "fps": round(len(painted) / seconds / drones, 1),
        "latency_ms": {"p50": round(statistics.median(late)), "p95": round(late[len(late) * 95 // 100])},
    }  # fmt: skip


def console_tests() -> int:
    """Tests of tests/console, as pytest collects them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/console"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return sum("::" in line for line in done.stdout.splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="of each run, at most 600 pictures"
    )
    parser.add_argument("--flight-seconds", type=float, default=16.0, help="of the four drones")
    options = parser.parse_args()
    print(f"load of the machine at the start {os.getloadavg()[0]:.1f}")
    if CHROMIUM is None:
        raise SystemExit("no chromium here (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    rows = []
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for size in SIZES:
            clip = make_clip(size=size, unit_bytes=20_000)
            for drones in DRONES:
                rows.append(measure(browser, clip, drones, options.seconds))
                row = rows[-1]
                print(
                    f"{size}, {drones} drone(s): {row['fps']:.1f} of {OFFERED_FPS:.0f} frames/s each, "
                    f"added latency {row['latency_ms']['p50']} ms (95 %: {row['latency_ms']['p95']} ms)"
                )
        print(f"{(tests := console_tests())} tests of the console", flush=True)
        flight = fly_for_real(browser, drones=4, seconds=options.flight_seconds)
        print(flight.as_text())
        browser.close()
    load = os.getloadavg()[0]
    print(f"load of the machine at the end {load:.1f}")
    options.out.mkdir(parents=True, exist_ok=True)
    report = {
        "processor": processor(), "load_1min": load, "rows": rows, "flight": asdict(flight),
        "tests": tests,
    }  # fmt: skip
    (options.out / "console.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
