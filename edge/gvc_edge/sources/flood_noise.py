"""Noise for procedural textures: smooth octaves, and tiles that repeat without a seam."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Image", "lower", "octaves", "stretched_tile", "upscale"]

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


def lower(image: Image, level: int) -> Image:
    """`level` less in every channel, not below 0."""
    # OpenCV takes a scalar here; its type stubs do not know.
    subtract: Any = cv2.subtract
    return np.asarray(subtract(image, (level,) * 4), np.uint8)


def upscale(field: Floats, size: int) -> Floats:
    """A small square field, smoothly enlarged to float32[size, size]."""
    return np.asarray(cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def octaves(
    rng: np.random.Generator, size: int, cells: int, count: int, gain: float = 0.5
) -> Floats:
    """float32[size, size], mean about 0 and deviation about 1; `cells` bumps a side at the coarsest."""
    out = np.zeros((size, size), np.float32)
    weight = 1.0
    for _ in range(count):
        out += weight * upscale(
            rng.standard_normal((cells + 2, cells + 2)).astype(np.float32), size
        )
        weight, cells = weight * gain, min(cells * 2, size)
    return np.asarray((out - out.mean()) / out.std(), np.float32)


def stretched_tile(rng: np.random.Generator, size: int, long_px: float, short_px: float) -> Floats:
    """Periodic noise float32[size, size] whose grains are `long_px` along x and `short_px` along y."""
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)).astype(np.float32))
    fx = np.fft.rfftfreq(size)[None, :] * long_px
    fy = np.fft.fftfreq(size)[:, None] * short_px
    radius = np.hypot(fx, fy)
    # A band around one cycle a grain: no large blobs, no single-pixel grit.
    field = np.fft.irfft2(spectrum * radius * np.exp(-1.6 * radius**2), (size, size))
    return np.asarray(field / field.std(), np.float32)
