"""Ours in the benchmark: the real commands, each a process; the decoder sees a capture only.

All bytes of the capture count: headers, descriptors, parity, tags.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Decoded", "Sent", "decode", "fill", "impair"]

_REFILL_BELOW = 0.97
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A capture as it would leave for the radio."""

    path: Path
    air_bytes: int
    encode_fps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What the base made of a capture."""

    frames: np.ndarray
    "uint8[n, h, w, 3], BGR, a memmap."
    decode_fps: float
    first_s: float
    "From the start of the first unit's decode to its first picture."
    label: str
    marks: dict[str, float]


def _edge(video: Path, out: Path, *, profile: str, bps: float, fec: str, latency: float,
          codec: str) -> Sent:  # fmt: skip
    command = [sys.executable, "-m", "gvc_edge", "encode", str(video), "--profile", profile,
               "--bps", f"{bps:.1f}", "--fec", fec, "--latency", f"{latency:g}", "--codec", codec,
               "--out", str(out), "--start", "0", "--json"]  # fmt: skip
    report = json.loads(_run(command))
    return Sent(path=out, air_bytes=report["air_bytes"], encode_fps=report["frames_per_s"])


def fill(
    video: Path, out: Path, *, budget: int, seconds: float, profile: str = "udp", fec: str = "off",
    latency: float = 4.0, codec: str = "gvc",
) -> Sent:  # fmt: skip
    """The capture that comes nearest to `budget` air bytes for the whole clip, never above it."""
    bps, best = budget * 8 / seconds, None
    for turn in range(_TRIES):
        sent = _edge(video, out.with_suffix(f".{turn}.pcap"), profile=profile, bps=bps, fec=fec,
                     latency=latency, codec=codec)  # fmt: skip
        if sent.air_bytes <= budget and (best is None or sent.air_bytes > best.air_bytes):
            best = sent
        if _REFILL_BELOW * budget <= sent.air_bytes <= budget:
            break
        bps *= 0.985 * budget / sent.air_bytes
    if best is None:
        raise RuntimeError(f"no capture of {video} fits {budget} bytes")
    return best


def impair(capture: Path, out: Path, *, loss: float, burst: float, seed: int) -> Path:
    """Through the bad link of `gvc-base impair`."""
    _run([sys.executable, "-m", "gvc_base", "impair", str(capture), "--out", str(out), "--loss",
          str(loss), "--burst", str(burst), "--seed", str(seed)])  # fmt: skip
    return out


def decode(
    capture: Path, frames: Path, *, quality: str, backend: str = "auto", ablate: str = ""
) -> Decoded:
    """Decode in a process that sees the capture only."""
    command = [sys.executable, "-m", "tests.bench.codec.child", str(capture), str(frames), quality,
               backend]  # fmt: skip
    report = json.loads(_run(command, {"GVC_ABLATE": ablate}))
    return Decoded(
        frames=np.load(frames, mmap_mode="r"), label=report["decoder"], marks=report["marks"],
        decode_fps=report["frames"] / max(1e-9, report["seconds"]), first_s=report["first_s"],
    )  # fmt: skip


def _run(command: list[str], extra: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **(extra or {})}
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{' '.join(command[2:5])} failed: {last}")
    return done.stdout.strip().splitlines()[-1]
