"""The drone's camera: a pinhole that looks almost straight down, drifts, turns, climbs and shakes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.flood_layout import MAP_PX

__all__ = ["Camera", "Flight"]

_ALTITUDE = 690.0
"Map pixels above the ground at zoom 1: about 77 m."
_FOCAL = 0.94
"Picture pixels for each map pixel at that height, at 854x480."
_DIAGONAL = math.hypot(854, 480)


@dataclass(frozen=True, slots=True)
class Camera:
    """One pose. `full` is float64[3, 4]: map point (x, y, height, 1) to homogeneous picture point."""

    full: NDArray[np.float64]
    size: tuple[int, int]
    "Width and height of the picture."

    @property
    def ground(self) -> NDArray[np.float64]:
        """float64[3, 3]: map points at height 0 to the picture."""
        return self.full[:, [0, 1, 3]]

    def project(self, points: NDArray[np.floating], height: float = 0.0) -> NDArray[np.float64]:
        """float[N, 2] map points at one height to float64[N, 2] picture points."""
        flat = np.asarray(points, np.float64) @ self.full[:, :2].T
        flat += self.full[:, 2] * height + self.full[:, 3]
        return np.asarray(flat[:, :2] / flat[:, 2:])

    @property
    def scale(self) -> float:
        """Picture pixels for each map pixel, about, in the middle of the picture."""
        return math.hypot(*self.size) / _DIAGONAL

    def sees(self, points: NDArray[np.floating], margin_px: float) -> NDArray[np.bool_]:
        """bool[N]: which map points on the ground are in the picture or within `margin_px` of it."""
        at = self.project(points)
        w, h = self.size
        return np.asarray(
            (at > -margin_px).all(1) & (at[:, 0] < w + margin_px) & (at[:, 1] < h + margin_px)
        )

    def local(self, x: float, y: float, height: float = 0.0) -> NDArray[np.float64]:
        """float64[2, 3]: small offsets (dx, dy, 1) around a map point to picture points."""
        here = self.project(np.array([[x, y], [x + 1, y], [x, y + 1]]), height)
        return np.stack([here[1] - here[0], here[2] - here[0], here[0]], -1)


class Flight:
    """A smooth path over the map that never leaves it, however long the flight is."""

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        self._phase = rng.uniform(0, 2 * np.pi, 9)
        # The first seconds are over the village and the river bank, whatever the seed.
        self._phase[3] = rng.uniform(-0.5, 0.5)
        self._phase[5] = rng.choice((-1, 1)) * rng.uniform(0.15, 0.55)
        self._size = (width, height)
        self._scale = math.hypot(width, height) / _DIAGONAL

    def at(self, t: float) -> Camera:
        """The camera `t` seconds into the flight."""
        p, (w, h) = self._phase, self._size
        climb = _ALTITUDE * (1.0 + 0.09 * math.sin(0.19 * t + p[0]))
        yaw = 0.30 * math.sin(0.105 * t + p[1]) + 0.005 * math.sin(3.1 * t + p[2])
        pitch = 0.13 + 0.014 * math.sin(0.6 * t + p[7]) + 0.0018 * math.sin(6.9 * t + p[8])
        # What the middle of the picture looks at.
        x = MAP_PX * 0.48 + 290 * math.sin(0.093 * t + p[3]) + 1.6 * math.sin(5.3 * t + p[4])
        y = MAP_PX * 0.50 + 330 * math.sin(0.077 * t + p[5]) + 1.6 * math.sin(4.4 * t + p[6])
        cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
        ahead = climb * sp / cp
        x, y = x + sy * ahead, y + cy * ahead
        turn = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
        # Heights count upwards, the camera looks down: depth is its altitude less the height.
        place = np.array([[1, 0, 0, -x], [0, 1, 0, -y], [0, 0, -1, climb]])
        tilt = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        focal = _FOCAL * _ALTITUDE * self._scale
        lens = np.array([[focal, 0, w / 2], [0, focal, h / 2], [0, 0, 1]])
        return Camera(lens @ tilt @ turn @ place, self._size)
