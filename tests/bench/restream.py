"""What `--restream` costs and adds: `make bench-restream`.

    a view gets a picture -> painted, coded, sent over loopback -> a player's decoder gives it out

The picture turns from dark to light and back about once a second; the delay is from the view's new
picture to the first decoded one that shows it. The player is FFmpeg's library, told to buffer nothing:
real players add their own buffers. Processor time is that of the sending thread, encoder and all.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from gvc_base.restream.mux import FPS
from gvc_base.restream.targets import VideoKind, VideoTarget
from gvc_base.restream.video import VideoRestream
from gvc_protocol.marks import Mark
from tests.bench.machine import processor
from tests.restream.given import Given, frame_of, free_port

SIZES = ((640, 360), (848, 480), (1280, 720))
KINDS: tuple[VideoKind, ...] = ("mpegts", "rtp")
LONGEST_S = 5.0


class Player(threading.Thread):
    """Notes when the picture turns light or dark."""

    def __init__(self, url: str, options: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._url, self._options = url, options
        self.turned: list[tuple[bool, float]] = []
        self.ended = False

    def run(self) -> None:
        with av.open(self._url, options=self._options, timeout=LONGEST_S) as container:
            for packet in container.demux(video=0):
                frames: list[Any] = []
                with suppress(av.InvalidDataError):
                    frames = list(packet.decode())
                for frame in frames:
                    light = float(frame.to_ndarray(format="gray")[50:-80].mean()) > 100
                    if not self.turned or self.turned[-1][0] != light:
                        self.turned.append((light, time.monotonic()))
                if self.ended:
                    return


def measure(kind: VideoKind, size: tuple[int, int], turns: int) -> dict[str, Any]:
    """{kind, size, delay_ms: {p50, p95}, cpu_ms a frame, frames_per_s} of one run."""
    base = frame_of(0, Mark.ENHANCED, size=size)
    rng = np.random.default_rng(1)
    texture = rng.integers(0, 40, base.pixels.shape).astype(np.uint8)
    light, dark = (replace(base, pixels=texture + np.uint8(level)) for level in (170, 10))
    given, lines = Given(), []
    given.show(dark)
    target = VideoTarget(kind=kind, host="127.0.0.1", port=free_port())
    times: list[float] = []

    class Timed(VideoRestream):
        def _frame(self, number: int) -> None:
            began = time.thread_time()
            super()._frame(number)
            times.append(time.thread_time() - began)

    delays = []
    with tempfile.TemporaryDirectory() as folder:
        sdp = Path(folder) / "b.sdp"
        sent = Timed(given.view, target, lines.append, sdp=sdp, mission="bench")
        began = time.monotonic()
        sent.start()
        options = {"fflags": "nobuffer", "flags": "low_delay", "analyzeduration": "200000"}
        url = f"udp://127.0.0.1:{target.port}?fifo_size=100000"
        if kind == "rtp":
            while not lines:
                time.sleep(0.02)
            url, options["protocol_whitelist"] = str(sdp), "file,udp,rtp"
        player = Player(url, options)
        player.start()
        while not player.turned:
            time.sleep(0.02)
        time.sleep(2)
        for turn in range(turns):
            frame = light if turn % 2 == 0 else dark
            # Not in step with the sender's clock.
            time.sleep(0.9 + 0.2 * float(rng.random()))
            given.show(replace(frame, frame_no=turn + 1))
            at, seen = time.monotonic(), len(player.turned)
            while len(player.turned) == seen and time.monotonic() < at + LONGEST_S:
                time.sleep(0.001)
            delays.append(player.turned[-1][1] - at)
        player.ended = True
        player.join()
        sent.close()
    delays.sort()
    return {
        "kind": kind, "width": size[0], "height": size[1],
        "delay_ms": {"p50": round(1000 * statistics.median(delays)),
                     "p95": round(1000 * delays[len(delays) * 95 // 100])},
        "cpu_ms": round(1000 * statistics.mean(times), 1),
        "fps": round(len(times) / (time.monotonic() - began), 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    args = parser.parse_args()
    rows = [measure(kind, size, args.turns) for size in SIZES for kind in KINDS]
    lines = [f"Machine: {processor()}; load {os.getloadavg()[0]:.0f}; {time.strftime('%Y-%m-%d')}; "
             f"{FPS} frames/s asked for", "",
             "| picture | target | delay, median / 95 % | processor time a frame | frames/s |",
             "|---|---|---|---|---|"]  # fmt: skip
    for r in rows:
        delay = f"{r['delay_ms']['p50']} / {r['delay_ms']['p95']} ms"
        size = f"{r['width']}x{r['height']}"
        lines.append(f"| {size} | {r['kind']} | {delay} | {r['cpu_ms']} ms | {r['fps']} |")
    print("\n".join(lines))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "restream.json").write_text(json.dumps(rows, indent=2))
    (args.out / "restream.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
