"""Made-up texture: noise that moves with the scene, in three octaves scaled by what the network says, or
white for the refiner to start from.

The noise is carried from picture to picture by the same flow as everything else, sampled at the nearest
pixel (linear sampling would take its contrast away), and renewed little by little, where the motion is
not trusted at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.motion import pixel_grid
from gvc_base.neural.layout import TEXTURE_SIGMAS_PX

__all__ = ["MovingNoise", "lay_over", "noise_bands", "white_noise"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_RENEWED = 0.15
"Share of fresh noise a step: what nearest sampling repeats and tears does not add up."


def noise_bands(rng: np.random.Generator, height: int, width: int) -> F32:
    """Band-pass noise of unit deviation, float32[TEXTURE_BANDS, height, width], finest first."""
    out = []
    for index, sigma in enumerate(TEXTURE_SIGMAS_PX):
        white = rng.standard_normal((height, width), np.float32)
        fine = (
            white if index == 0 else cv2.GaussianBlur(white, (0, 0), TEXTURE_SIGMAS_PX[index - 1])
        )
        band = fine - cv2.GaussianBlur(fine, (0, 0), sigma)
        out.append(band / np.float32(max(1e-6, float(band.std()))))
    return np.asarray(np.stack(out), np.float32)


def white_noise(rng: np.random.Generator, height: int, width: int) -> F32:
    """White noise of unit deviation, float32[3, height, width]: one plane a colour."""
    return rng.standard_normal((3, height, width), np.float32)


class MovingNoise:
    """Noise of one picture size, in motion.

    Args:
        make: what kind: `noise_bands` or `white_noise`.
        seed: the same seed gives the same noise.
    """

    def __init__(
        self, make: Callable[[np.random.Generator, int, int], F32], height: int, width: int,
        seed: int,
    ) -> None:  # fmt: skip
        self._rng = np.random.default_rng(seed)
        self._fresh = make(self._rng, height, width)
        self.planes = self._fresh.copy()
        "float32[k, height, width], at this moment."
        self.shape = (height, width)

    def move(self, flow: F32, trust: F32) -> None:
        """Carry the noise to the next picture.

        Args:
            flow: float32[h, w, 2], from each pixel of the new picture to the old one.
            trust: float32[h, w], 0..1; below a half the noise is made anew.
        """
        h, w = self.shape
        at = pixel_grid(h, w) + flow
        roll = (int(self._rng.integers(h)), int(self._rng.integers(w)))
        keep = float(np.sqrt(1 - _RENEWED**2))
        anew = (trust < np.float32(0.5)).astype(np.uint8)
        remap: Any = cv2.remap
        for k in range(len(self.planes)):
            # A shifted copy of one field is as good as new noise, and costs no generator.
            fresh = np.roll(self._fresh[k], roll, (0, 1))
            # Sampled at the nearest pixel: linear sampling would take its contrast away.
            moved = remap(
                self.planes[k], at, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT
            )
            mixed = cv2.addWeighted(moved, keep, fresh, _RENEWED, 0)
            self.planes[k] = cv2.copyTo(fresh, anew, mixed)


def lay_over(picture: U8, bands: F32, amplitudes: F32) -> U8:
    """The picture with texture.

    Args:
        picture: uint8[h, w, 3].
        bands: `noise_bands` in motion, float32[TEXTURE_BANDS, h, w].
        amplitudes: float32[TEXTURE_BANDS, rows, columns], shares of full scale.
    """
    h, w = picture.shape[:2]
    total = np.zeros((h, w), np.float32)
    for band, amplitude in zip(bands, amplitudes, strict=True):
        cv2.accumulateProduct(band, cv2.resize(amplitude * np.float32(255), (w, h)), total)
    np.rint(np.clip(total, -127, 127, out=total), out=total)
    levels = cv2.merge([total] * picture.shape[2])
    return np.asarray(cv2.add(picture, levels, dtype=cv2.CV_8U), np.uint8)
