"""Clips as everybody gets them: 854x480, a few seconds, lossless in one file that both sides read.

Frames are read one by one, never through a filter that picks others; a clip keeps its own frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources import open_source
from tests.bench.codec.movers import TrueMover, flood_movers, read_movers

__all__ = ["HEIGHT", "WIDTH", "Clip", "default_clips", "load", "open_clip"]

WIDTH, HEIGHT = 854, 480
_SHARED = Path(__file__).resolve().parents[4] / "shared" / "clips"
_DEFAULT = ("flyover_brighton.mp4", "flyover_caliterra.mp4", "highway_udacity_540p25.mp4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One source of the benchmark."""

    name: str
    path: Path
    "The lossless file."
    fps: Fraction
    frames: int
    movers: list[list[TrueMover]] | None
    "True boxes a frame, where somebody knows them."
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def seconds(self) -> float:
        """Duration."""
        return float(self.frames / self.fps)


def default_clips() -> list[str]:
    """A synthetic flood, and what lies beside the project."""
    return ["synthetic:flood", *(str(_SHARED / n) for n in _DEFAULT if (_SHARED / n).exists())]


def open_clip(text: str, folder: Path, seconds: float) -> Clip:
    """Cut a source to size and length, once.

    Raises:
        UserError: it cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = text.replace(":", "-").split("?")[0] if text.startswith("synthetic") else Path(text).stem
    path = folder / f"{name}-{seconds:g}s.mkv"
    source = open_source(text, start_us=0, seconds=seconds)
    fps = source.info.fps
    wanted = round(seconds * fps)
    count = 0
    part = path.with_suffix(".part.mkv")
    if not path.exists():
        with av.open(str(part), "w", format="matroska") as container:
            stream = container.add_stream("ffv1", rate=fps)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
            for frame in source.frames():
                picture = av.VideoFrame.from_ndarray(_fitted(frame.pixels), format="bgr24")
                container.mux(stream.encode(picture.reformat(format="bgr0")))
                count += 1
                if count >= wanted:
                    break
            container.mux(stream.encode(None))
        part.rename(path)
    else:
        with av.open(str(path)) as container:
            count = sum(1 for _ in container.demux(video=0)) - 1
    return Clip(name=name, path=path, fps=fps, frames=count, movers=_movers(text, count, fps))


def _movers(text: str, frames: int, fps: Fraction) -> list[list[TrueMover]] | None:
    if text.startswith("synthetic:flood"):
        from gvc_edge.sources.flood import FloodSource

        source = open_source(text, start_us=0)
        assert isinstance(source, FloodSource)
        if (source.info.width, source.info.height) != (WIDTH, HEIGHT):
            return None
        return flood_movers(source, frames=frames)
    told = Path(text).with_suffix(".json")
    if not told.exists():
        return None
    return read_movers(told, width=WIDTH, height=HEIGHT, fps=float(fps))[:frames]


def load(clip: Clip) -> NDArray[np.uint8]:
    """uint8[n, 480, 854, 3], BGR."""
    with av.open(str(clip.path)) as container:
        frames = [f.to_ndarray(format="bgr24") for f in container.decode(video=0)]
    return np.stack(frames)


def _fitted(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scaled until it covers the size, and the middle of that."""
    h, w = picture.shape[:2]
    scale = max(WIDTH / w, HEIGHT / h)
    if scale != 1:
        size = (max(WIDTH, round(w * scale)), max(HEIGHT, round(h * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LANCZOS4
        picture = np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)
    y, x = (picture.shape[0] - HEIGHT) // 2, (picture.shape[1] - WIDTH) // 2
    return np.ascontiguousarray(picture[y : y + HEIGHT, x : x + WIDTH])
