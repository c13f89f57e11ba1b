"""Four drones on one base that decodes for real, all four tiles in a real browser.

    gvc-edge's encoder, once -> packets at a radio's moments -> archive, decoders, console -> browser

Each drone has a link of its own and sends the same flight, half a second after the one before it. The
base, its console and the sending share one process; the browser has its own.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gvc_base.console.app import serve
from gvc_base.console.view import Shown
from gvc_base.station.view import LiveView
from gvc_edge.offline import encode_to_packets
from gvc_edge.pipeline import make_pipeline
from gvc_edge.sources import open_source
from gvc_profiles.params import link_params
from tests.station.flights import PROFILE, start_flight

__all__ = ["FlightFigures", "fly_for_real"]

SIZE, FPS, UNIT_S, RATE_BPS = "640x360", 10, 2.0, 24_000.0
_APART_S = 0.5
_READY = re.compile(r"(?P<drone>\d+-\d+): unit (?P<unit>\d+) of stream \d+: (?:whole|degraded)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightFigures:
    """What one run gave."""

    drones: int
    seconds: float
    painted_fps: float
    "Pictures painted a second, mean of the drones."
    slowest_fps: float
    "Of the drone with the fewest."
    latency_ms: tuple[int, int]
    "Median and 95 %, from a picture on the base's screen to the browser's frame with it."
    cpu_share: float
    "Processor time of the base's process over wall time; 1 is one core."
    units: int
    "That were whole or degraded in the time, of all drones."
    late: int
    "Whose first picture was painted more than a unit's length after the unit was there, or never."

    def as_text(self) -> str:
        """One line."""
        return (
            f"{SIZE} at {FPS} frames/s, {RATE_BPS / 1000:.0f} kbit/s each, {self.drones} drones decoded "
            f"(preview): {self.painted_fps:.1f} frames/s painted each, the slowest "
            f"{self.slowest_fps:.1f}; added latency {self.latency_ms[0]} ms (95 %: "
            f"{self.latency_ms[1]} ms); base {100 * self.cpu_share:.0f} % of a core; {self.late} of "
            f"{self.units} units late"
        )


class _Timed(LiveView):
    """Notes when each picture was handed to the console first."""

    handed: dict[tuple[str, int], float]

    def shown(self, drone_id: str, *, after: int = -1, wait_s: float = 0.0) -> Shown | None:
        found = super().shown(drone_id, after=after, wait_s=wait_s)
        if found is not None:
            self.handed.setdefault((drone_id, found.serial), time.time() * 1000)
        return found


def _packets(seconds: float) -> list[tuple[float, bytes]]:
    """(seconds since the first, packet) of one flight."""
    url = f"synthetic:flood?seed=5&seconds={seconds:g}&size={SIZE}&fps={FPS}"
    source = open_source(url, start_us=10**12, seconds=None, crop_even=False)
    params = link_params(PROFILE, bps=RATE_BPS, fec="auto", packets=True, tagged=False)
    made: list[tuple[int, bytes]] = []
    pipeline = make_pipeline(
        source,
        PROFILE.id,
        params,
        latency=UNIT_S,
        codec="gvc",
        objects="none",
        live=True,
        verify=False,
    )
    encode_to_packets(
        source, pipeline, pipeline.params, lambda data, at: made.append((at, data)), stream_id=1,
        boot_id=1,
    )  # fmt: skip
    source.close()
    return [((at - made[0][0]) / 1e9, data) for at, data in made]


def _send(links: Any, packets: list[tuple[float, bytes]]) -> None:
    began = time.monotonic()
    plan = [(at + n * _APART_S, n, data) for at, data in packets for n in range(len(links))]
    for at, n, data in sorted(plan, key=lambda row: row[:2]):
        time.sleep(max(0.0, began + at - time.monotonic()))
        links[n].feed([data])


def fly_for_real(browser: Any, *, drones: int, seconds: float) -> FlightFigures:
    """Encode, then send and show for so many seconds."""
    packets = _packets(seconds)
    ready: dict[tuple[str, int], float] = {}

    def say(line: str) -> None:
        if (found := _READY.search(line)) is not None:
            ready.setdefault((found["drone"], int(found["unit"])), time.time() * 1000)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        flight = start_flight(stack, folder / "m.db", drones, say=say)
        view = _Timed(flight.base)
        view.handed = {}
        server = serve(view, host="127.0.0.1", port=0, token=None, say=print)
        stack.callback(server.close)
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        stack.callback(page.close)
        page.goto(server.url)
        sender = threading.Thread(target=_send, args=(flight.links, packets), daemon=True)
        sender.start()
        page.wait_for_selector("#stage canvas[data-serial]", timeout=300_000)
        page.evaluate("gvcPainted.length = 0")
        wall, cpu, painted, began = time.monotonic(), time.process_time(), [], time.time() * 1000
        while sender.is_alive() and time.monotonic() - wall < seconds:
            time.sleep(1)
            painted += page.evaluate("gvcPainted.splice(0)")
        passed, used = time.monotonic() - wall, time.process_time() - cpu
        time.sleep(UNIT_S)
        until = time.time() * 1000
        late_painted = page.evaluate("gvcPainted.splice(0)")
    return _figures(
        drones, passed, used, painted, painted + late_painted, view.handed,
        {key: at for key, at in ready.items() if began < at < until - 2000 * UNIT_S},
    )  # fmt: skip


def _figures(
    drones: int, passed: float, used: float, painted: list[Any], all_painted: list[Any],
    handed: dict[tuple[str, int], float], ready: dict[tuple[str, int], float],
) -> FlightFigures:  # fmt: skip
    rates = [sum(p["drone"] == f"{n}-1" for p in painted) / passed for n in range(drones)]
    if not painted:
        raise SystemExit("nothing was painted while the drones flew: this machine is too busy")
    lag = sorted(
        p["at"] - handed[key] for p in painted if (key := (p["drone"], p["serial"])) in handed
    )
    first: dict[tuple[str, int], float] = {}
    for p in all_painted:
        first.setdefault((p["drone"], p["unit"]), p["at"])
    late = sum(first.get(key, 1e18) > at + 1000 * UNIT_S for key, at in ready.items())
    return FlightFigures(
        drones=drones, seconds=round(passed, 1), painted_fps=round(statistics.mean(rates), 1),
        slowest_fps=round(min(rates), 1),
        latency_ms=(round(statistics.median(lag)), round(lag[len(lag) * 95 // 100])),
        cpu_share=round(used / passed, 2), units=len(ready), late=late,
    )  # fmt: skip
