"""Scenes of the planted bench: captures by the real encoder, their sources, and fakes to paste."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.mission import Mission
from gvc_base.recording import open_recording
from gvc_base.timeline import DecodeJob
from gvc_base.video import read_video
from gvc_edge.sources import open_source
from gvc_edge.sources.flood import FloodSource
from tests.bench.codec.movers import TrueMover, flood_movers, read_movers

__all__ = [
    "LEAST_SHOWN",
    "Box",
    "Planter",
    "Sprite",
    "capture",
    "jobs",
    "meet",
    "source",
    "sprites",
]

U8 = NDArray[np.uint8]
Box = tuple[int, int, int, int]

LEAST_SHOWN = 12.0
"Mean levels by which a fake must differ from what it covers: less is no object, and no case."
_SECONDS, _LATENCY = 6.0, 2.0
_MARGIN_PX = 4
_MOST_FPS = 31


@dataclass(slots=True)
class Sprite:
    """A vehicle or a person of the source, cut out."""

    kind: str
    pixels: U8
    alpha: NDArray[np.float32]


def capture(clip: str, bps: int, data: Path, out: Path) -> Path:
    path = out / f"{clip}-{bps}.pcap"
    if not path.exists():
        source = _flood(clip) or str(data / "clips" / f"{clip}.mp4")
        command = [sys.executable, "-m", "gvc_edge", "encode", source, "--profile", "udp",
                   "--fec", "off", "--bps", str(bps), "--latency", f"{_LATENCY:g}", "--seconds",
                   f"{_SECONDS:g}", "--start", "0", "--out", str(path)]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
    return path


def _flood(clip: str) -> str:
    """URL of a synthetic flood, `flood-SEED`; empty for another clip."""
    name, _, seed = clip.partition("-")
    return "" if name != "flood" else "synthetic:flood" + (f"?seed={seed}" if seed else "")


def source(clip: str, data: Path) -> tuple[list[U8], list[list[TrueMover]]]:
    if url := _flood(clip):
        made = open_source(url, start_us=0, seconds=_SECONDS)
        assert isinstance(made, FloodSource)
        frames = [f.pixels for f in made.frames()]
        return frames, flood_movers(made, frames=len(frames))
    video = read_video(data / "clips" / f"{clip}.mp4")
    frames = list(islice(video, round(_SECONDS * _MOST_FPS)))
    boxes = data / "clips" / f"{clip}.json"
    if not boxes.exists():
        return frames, []
    h, w = frames[0].shape[:2]
    return frames, read_movers(boxes, width=w, height=h)


def jobs(path: Path) -> list[DecodeJob]:
    recording = open_recording(path, None, None)
    mission, now, jobs = Mission(recording.params), 0, []
    for now, data in recording.packets(lambda *_: None):
        jobs += mission.receive(data, now)
    return [*jobs, *mission.close(now, to_total=True)]


def sprites(frames: list[U8], movers: list[list[TrueMover]]) -> list[Sprite]:
    out = []
    for number in range(0, min(len(frames), len(movers)), 15):
        h, w = frames[number].shape[:2]
        for m in movers[number]:
            if min(m.x0, m.y0) < 0 or m.x1 > w or m.y1 > h or min(m.x1 - m.x0, m.y1 - m.y0) < 6:
                continue
            pixels = frames[number][m.y0 : m.y1, m.x0 : m.x1].copy()
            alpha = np.zeros(pixels.shape[:2], np.float32)
            centre = (pixels.shape[1] // 2, pixels.shape[0] // 2)
            cv2.ellipse(alpha, centre, centre, 0, 0, 360, 1.0, -1)
            out.append(Sprite(m.kind, pixels, cv2.GaussianBlur(alpha, (0, 0), 1.0)))
    return out


class Planter:
    """Chooses fakes and places; all from one seed."""

    def __init__(self, sprites: list[Sprite], seed: int) -> None:
        kinds = sorted({s.kind for s in sprites})
        self._by_kind = [[s for s in sprites if s.kind == kind] for kind in kinds]
        self.rng = np.random.default_rng(seed)

    def plant(self, picture: U8, avoid: list[Box]) -> tuple[U8, Box, str] | None:
        """The picture with a fake in it; None where no place for one was found in some tries."""
        rows = self._by_kind[int(self.rng.integers(len(self._by_kind)))]
        sprite = rows[int(self.rng.integers(len(rows)))]
        scale = float(self.rng.uniform(0.8, 1.3))
        size = (
            max(6, round(sprite.pixels.shape[1] * scale)),
            max(6, round(sprite.pixels.shape[0] * scale)),
        )
        pixels = cv2.resize(sprite.pixels, size, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(sprite.alpha, size)[..., None]
        if self.rng.random() < 0.5:
            pixels, alpha = pixels[:, ::-1], alpha[:, ::-1]
        h, w = picture.shape[:2]
        for _ in range(20):
            x, y = int(self.rng.integers(0, w - size[0])), int(self.rng.integers(0, h - size[1]))
            box = (x, y, *size)
            under = picture[y : y + size[1], x : x + size[0]].astype(np.float32)
            mixed = alpha * pixels + (1 - alpha) * under
            shown = float(
                (np.abs(mixed - under).mean(2) * (alpha[..., 0] > 0.5)).sum() / (alpha > 0.5).sum()
            )
            if shown < LEAST_SHOWN or any(meet(box, other) for other in avoid):
                continue
            out = picture.copy()
            out[y : y + size[1], x : x + size[0]] = np.clip(np.round(mixed), 0, 255).astype(
                np.uint8
            )
            return out, box, sprite.kind
        return None


def meet(a: Box, b: Box, margin: int = _MARGIN_PX) -> bool:
    return min(a[0] + a[2], b[0] + b[2]) + margin > max(a[0], b[0]) and min(
        a[1] + a[3], b[1] + b[3]
    ) + margin > max(a[1], b[1])
