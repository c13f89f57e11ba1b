"""Real coding damage for training: the same encoders that the edge uses, driven through one binary.

Base programs may not import the edge, so the training tools call the ffmpeg that `imageio-ffmpeg`
brings. The pictures come back exactly as a base would decode them.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_protocol.errors import UserError

__all__ = ["Coded", "Recipe", "code", "random_recipe"]

U8 = NDArray[np.uint8]

_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one scene was coded."""

    tool: str
    "vvc or av1."
    quantiser: int
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """Decoded low-resolution pictures, BGR uint8[h, w, 3], and what they cost."""

    pictures: list[U8]
    bits_per_coded_pixel: float


def random_recipe(rng: np.random.Generator) -> Recipe:
    """A recipe from the range that 60 to 1 kbit/s use."""
    scale = float(rng.choice([1.5, 2.0, 3.0, 4.0], p=[0.2, 0.5, 0.2, 0.1]))
    if rng.random() < 0.65:
        return Recipe(tool="vvc", quantiser=int(rng.integers(27, 45)), scale=scale)
    return Recipe(tool="av1", quantiser=int(rng.integers(35, 63)), scale=scale)


def code(frames: list[U8], recipe: Recipe, hz: float, *, threads: int = 2) -> Coded:
    """Reduce, encode as one closed stream and decode again.

    Raises:
        UserError: the ffmpeg binary is missing or cannot run these encoders.
    """
    height, width = frames[0].shape[:2]
    w, h = (max(64, round(side / recipe.scale / 4) * 4) for side in (width, height))
    small = [cv2.resize(f, (w, h), interpolation=cv2.INTER_AREA) for f in frames]
    raw = b"".join(cv2.cvtColor(f, cv2.COLOR_BGR2YUV_I420).tobytes() for f in small)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("stream.vvc" if recipe.tool == "vvc" else "stream.obu")
        source = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{w}x{h}", "-r", f"{hz:g}"]
        _ffmpeg([*source, "-i", "-", *_encoder(recipe, threads), str(path)], raw)
        planes = _ffmpeg(["-i", str(path), "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"], b"")
        size = path.stat().st_size
    decoded = np.frombuffer(planes, np.uint8).reshape(-1, h * 3 // 2, w)
    pictures = [np.asarray(cv2.cvtColor(p, cv2.COLOR_YUV2BGR_I420), np.uint8) for p in decoded]
    return Coded(pictures=pictures, bits_per_coded_pixel=size * 8 / (w * h * len(frames)))


def _encoder(recipe: Recipe, threads: int) -> list[str]:
    if recipe.tool == "vvc":
        options = ["-c:v", "libvvenc", "-preset", "fast", "-qp", str(recipe.quantiser)]
        return [*options, "-qpa", "0", "-period", "999", "-threads", str(threads), "-f", "vvc"]
    options = ["-c:v", "libsvtav1", "-preset", "5", "-crf", str(recipe.quantiser), "-g", "999"]
    return [*options, "-svtav1-params", f"lp={threads}", "-f", "obu"]


def _ffmpeg(arguments: list[str], data: bytes) -> bytes:
    try:
        import imageio_ffmpeg

        binary = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise UserError("training needs imageio-ffmpeg; pip install 'gvc-field[train]'") from error
    command = [binary, "-v", "error", "-y", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise UserError(f"ffmpeg failed: {' '.join(last)}")
    return done.stdout
