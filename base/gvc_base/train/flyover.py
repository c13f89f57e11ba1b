"""A seeded synthetic flight over one photo, for training: SYNTHETIC, and said so wherever it shows.

The ground is the photo; a smooth random camera path, relief with parallax (hills and boxes), drawn
vehicles and people that move, haze, exposure drift and sensor noise are random but seeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["fly"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_GROUND_PX = 2304
"Longer side of the ground picture: photos are brought to this first."

_KINDS = ((46, 22), (58, 26), (12, 12), (30, 16), (80, 30))


@dataclass(slots=True)
class _Mover:
    place: NDArray[np.float64]
    heading: float
    speed: float
    size: tuple[int, int]
    colour: tuple[int, int, int]


def fly(photo: U8, *, seed: int, frames: int, hz: float, width: int, height: int) -> list[U8]:
    """Frames of one flight, uint8[height, width, 3].

    Args:
        photo: uint8[h, w, 3], any size.
        hz: frames a second of flight time; a lower rate moves farther from frame to frame.
    """
    rng = np.random.default_rng(seed)
    ratio = _GROUND_PX / max(photo.shape[:2])
    ground: Any = cv2.resize(photo, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    high, wide = ground.shape[:2]
    path = _path(rng, (high, wide), frames, hz)
    zoom = float(path[:, 3].mean())
    ground = cv2.GaussianBlur(ground, (0, 0), 0.45 * zoom)
    relief = _relief(rng, high, wide, rng.uniform(0, 18) if rng.random() < 0.8 else 0.0)
    movers = _movers(rng, int(rng.integers(0, 9)), high, wide)
    tilt, haze, noise = rng.uniform(0, 0.3), rng.uniform(0, 0.25), rng.uniform(0.3, 3.0)
    out = []
    for index in range(frames):
        at_x, at_y = _rays(path[index], tilt, relief, width, height)
        painted = _painted(ground, movers, rng, hz)
        mode = cv2.BORDER_REFLECT
        view = cv2.remap(painted, at_x, at_y, cv2.INTER_LINEAR, borderMode=mode).astype(np.float32)
        view = view * (1 - haze) + 205 * haze
        view *= 1 + 0.05 * np.sin(1.3 * index / hz)
        view += rng.standard_normal(view.shape, np.float32) * np.float32(noise)
        out.append(np.clip(view, 0, 255).astype(np.uint8))
    return out


def _path(
    rng: np.random.Generator, size: tuple[int, int], frames: int, hz: float
) -> NDArray[np.float64]:
    """x, y, yaw and zoom a frame: float64[frames, 4]. A steady flight with a wandering hand on it."""
    high, wide = size
    t = np.arange(frames) / hz
    walk = np.cumsum(rng.standard_normal((frames, 4)), 0) * np.sqrt(30 / hz) * 0.7
    heading, speed = rng.uniform(0, 2 * np.pi), rng.uniform(10, 110)
    zoom = rng.uniform(0.9, 1.75) * (1 + rng.uniform(-0.06, 0.08) * t)
    x = rng.uniform(0.3, 0.7) * wide + speed * t * np.cos(heading) + walk[:, 0] * 0.9
    y = rng.uniform(0.3, 0.7) * high + speed * t * np.sin(heading) + walk[:, 1] * 0.9
    yaw = rng.uniform(0, 2 * np.pi) + rng.uniform(-0.15, 0.15) * t + walk[:, 2] * 0.0015
    return np.stack([x, y, yaw, zoom * (1 + 0.0006 * walk[:, 3])], 1)


def _relief(rng: np.random.Generator, high: int, wide: int, metres: float) -> F32:
    """Height of the ground in ground pixels, float32[high, wide]: smooth hills and a few boxes."""
    h, w = high // 4, wide // 4
    hills: Any = cv2.GaussianBlur(rng.standard_normal((h, w)).astype(np.float32), (0, 0), w / 15)
    z: Any = hills / (float(np.abs(hills).max()) + 1e-6) * np.float32(metres)
    for _ in range(int(rng.integers(8, 30))):
        x, y = int(rng.integers(0, w)), int(rng.integers(0, h))
        a, b = (int(v) for v in rng.integers(max(2, w // 40), max(4, w // 12), 2))
        z[y : y + b, x : x + a] += np.float32(rng.uniform(0.6, 2.2) * metres)
    return np.asarray(cv2.resize(z, (wide, high), interpolation=cv2.INTER_LINEAR), np.float32)


def _movers(rng: np.random.Generator, count: int, high: int, wide: int) -> list[_Mover]:
    out = []
    for _ in range(count):
        size = _KINDS[int(rng.integers(len(_KINDS)))]
        place = np.array([rng.uniform(0.25, 0.75) * wide, rng.uniform(0.25, 0.75) * high])
        colour = tuple(int(c) for c in rng.integers(20, 240, 3))
        speed = rng.uniform(45, 210) * (1.0 if size[0] > 12 else 0.25)
        out.append(_Mover(place, rng.uniform(0, 2 * np.pi), speed, size, colour))  # type: ignore[arg-type]
    return out


def _painted(ground: U8, movers: list[_Mover], rng: np.random.Generator, hz: float) -> U8:
    """The ground with every mover one frame farther on."""
    if not movers:
        return ground
    out = ground.copy()
    for mover in movers:
        mover.heading += rng.normal(0, 0.04)
        step = np.array([np.cos(mover.heading), np.sin(mover.heading)]) * mover.speed / hz
        mover.place = mover.place + step
        at = (float(mover.place[0]), float(mover.place[1]))
        turn = float(np.degrees(mover.heading))
        body = cv2.boxPoints((at, mover.size, turn)).astype(np.int32)
        roof_size = (mover.size[0] * 0.45, mover.size[1] * 0.8)
        roof = cv2.boxPoints((at, roof_size, turn)).astype(np.int32)
        cv2.fillConvexPoly(out, body, mover.colour, cv2.LINE_AA)
        cv2.fillConvexPoly(out, roof, [int(c * 0.45) for c in mover.colour], cv2.LINE_AA)
    return out


def _rays(
    pose: NDArray[np.float64], tilt: float, relief: F32, width: int, height: int
) -> tuple[F32, F32]:
    """Where each pixel's view ray meets the ground: float32[height, width] twice."""
    x0, y0, yaw, zoom = (float(v) for v in pose)
    u, v = np.meshgrid(
        np.arange(width, dtype=np.float32) - width / 2,
        np.arange(height, dtype=np.float32) - height / 2,
    )
    far = (zoom * (1 - tilt * v / height)).astype(np.float32)
    c, s = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))
    ground_x = ((c * u - s * v) * far + np.float32(x0)).astype(np.float32)
    ground_y = ((s * u + c * v) * far + np.float32(y0)).astype(np.float32)
    at_x, at_y = ground_x, ground_y
    lean_x = (u / width * 1.6).astype(np.float32)
    lean_y = ((v / height - tilt * 1.5) * 1.6).astype(np.float32)
    for _ in range(3):  # parallax: walk back along the ray until it meets the relief
        z = cv2.remap(relief, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        at_x, at_y = ground_x - z * lean_x, ground_y - z * lean_y
    return at_x, at_y
