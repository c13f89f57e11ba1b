"""What stands and moves on the flood's map: houses with pitched roofs, vehicles, people, boats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.flood_world import MAP_PX, House, World

__all__ = ["Camera", "Mover", "draw_house", "make_movers", "outline", "paint_mover"]

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
Color = tuple[int, int, int]
Kind = Literal["vehicle", "person", "boat"]

_CAMERA_HEIGHT = 900.0
"Map pixels from the ground to the camera: sets how far a roof leans outwards."
_SHADOW = 0.75
"Length of a shadow for each unit of height, along x and y."
_SKIN: Color = (120, 150, 200)


@dataclass(frozen=True, slots=True)
class Camera:
    """`matrix` takes map points to the picture (3x3); `foot` is the picture point below the camera."""

    matrix: Floats
    foot: tuple[float, float]

    def project(self, points: Floats, height: float = 0.0) -> Floats:
        """float[N, 2] map points at one height to float[N, 2] picture points."""
        homogeneous = np.c_[points, np.ones(len(points))] @ self.matrix.T
        flat = homogeneous[:, :2] / homogeneous[:, 2:]
        lean = 1 + height / (_CAMERA_HEIGHT - height)
        return np.asarray(self.foot + (flat - self.foot) * lean)


@dataclass(frozen=True, slots=True)
class Mover:
    """Something that moves; `size` is length and width in map pixels, `speed` map pixels a second."""

    kind: Kind
    x: float
    y: float
    speed: float
    angle: float
    size: tuple[float, float]
    color: Color
    phase: float
    height: float = 0.0

    def at(self, t: float) -> tuple[float, float, float]:
        """Map position and heading at `t` seconds."""
        if self.kind == "person":
            x = self.x + self.speed * math.sin(0.5 * t + self.phase)
            y = self.y + self.speed * math.cos(0.37 * t + self.phase)
            return x, y, self.angle + 0.35 * math.sin(0.8 * t + self.phase)
        # Back and forth over its stretch, so that it stays on the map however long the flight is.
        along = self.speed * 4 * math.sin(t / 4 + self.phase)
        heading = self.angle + (math.pi if math.cos(t / 4 + self.phase) < 0 else 0)
        return self.x + along * math.cos(self.angle), self.y + along * math.sin(self.angle), heading


def rectangle(x: float, y: float, length: float, width: float, angle: float) -> Floats:
    """float[4, 2] corners; 0-1 and 2-3 are the long sides."""
    c, s = math.cos(angle), math.sin(angle)
    half = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (length / 2, width / 2)
    return np.asarray(half @ np.array([[c, s], [-s, c]]) + (x, y))


def outline(camera: Camera, mover: Mover, t: float) -> Floats:
    """The mover's four corners in the picture, float[4, 2]."""
    x, y, heading = mover.at(t)
    return camera.project(rectangle(x, y, *mover.size, heading), mover.height)


def make_movers(rng: np.random.Generator, world: World) -> tuple[Mover, ...]:
    """Cars on the road, boats on deep water, people in yards and on the roofs of flooded houses."""
    movers: list[Mover] = []
    paints = [
        (200, 200, 205),
        (40, 40, 46),
        (50, 50, 170),
        (150, 90, 40),
        (90, 96, 100),
        (60, 150, 190),
    ]
    for i in range(12, 150, 9):
        here, there = world.road[i], world.road[i + 1]
        angle = math.atan2(there[1] - here[1], there[0] - here[0])
        side = rng.choice((-13, 13))
        x, y = here[0] - side * math.sin(angle), here[1] + side * math.cos(angle)
        if not (0 < x < MAP_PX and 0 < y < MAP_PX) or world.water[int(y), int(x)] > 0.2:
            continue
        parked = rng.random() < 0.3
        speed = 0.0 if parked else float(rng.uniform(12, 42))
        color = paints[rng.integers(len(paints))]
        movers.append(
            Mover(
                "vehicle",
                float(x),
                float(y),
                speed,
                angle,
                (36, 17),
                color,
                float(rng.uniform(0, 6)),
            )
        )
    deep = np.argwhere(world.water[::40, ::40] > 0.55) * 40
    for y, x in deep[rng.permutation(len(deep))[:7]]:
        angle = float(rng.uniform(0, 6.28))
        movers.append(Mover("boat", float(x), float(y), float(rng.uniform(6, 18)), angle, (34, 13),
                            (40, 90, 215), float(rng.uniform(0, 6))))  # fmt: skip
    for house in world.houses:
        for _ in range(int(rng.integers(0, 3))):
            on_roof = house.flooded
            reach = 0.28 if on_roof else 0.8
            x = house.x + rng.uniform(-reach, reach) * house.length
            y = house.y + (house.width * (0.7 if not on_roof else 0.1))
            color = (
                int(rng.integers(20, 240)),
                int(rng.integers(20, 240)),
                int(rng.integers(20, 240)),
            )
            speed = 1.5 if on_roof else float(rng.uniform(5, 16))
            lift = house.height * 1.05 if on_roof else 0.0
            movers.append(Mover("person", float(x), float(y), speed, float(rng.uniform(0, 6)), (11, 11),
                                color, float(rng.uniform(0, 6)), float(lift)))  # fmt: skip
    return tuple(movers)


def draw_house(picture: Image, camera: Camera, house: House) -> None:
    """Shadow, the walls that are seen, two roof planes and a ridge."""
    base = rectangle(house.x, house.y, house.length, house.width, house.angle)
    foot = camera.project(base)
    h, w = picture.shape[:2]
    if (foot.max(0) < -80).any() or (foot.min(0) > (w + 80, h + 80)).any():
        return
    shadow = camera.project(base + _SHADOW * house.height)
    hull = cv2.convexHull(np.concatenate([foot, shadow]).astype(np.float32))
    _darken(picture, hull)
    eaves = camera.project(base, house.height * 0.7)
    for i in range(4):
        wall = np.array([foot[i], foot[(i + 1) % 4], eaves[(i + 1) % 4], eaves[i]])
        shade = (150, 165, 176) if i in (0, 3) else (96, 108, 118)
        _fill(picture, wall, shade)
    mid = np.array([(base[3] + base[0]) / 2, (base[1] + base[2]) / 2])
    ridge = camera.project(mid, house.height * 1.15)
    lit = (min(255, int(house.color[0] * 1.3)), min(255, int(house.color[1] * 1.3)),
           min(255, int(house.color[2] * 1.3)))  # fmt: skip
    _fill(picture, np.array([eaves[0], eaves[1], ridge[1], ridge[0]]), lit)
    _fill(picture, np.array([eaves[3], eaves[2], ridge[1], ridge[0]]), house.color)
    dark = (house.color[0] // 2, house.color[1] // 2, house.color[2] // 2)
    for side, color in ((0, house.color), (3, dark)):
        other = 1 if side == 0 else 2
        for part in (0.25, 0.5, 0.75):
            a = eaves[side] * (1 - part) + ridge[0] * part
            b = eaves[other] * (1 - part) + ridge[1] * part
            _line(picture, a, b, color, 1)
    _line(picture, ridge[0], ridge[1], (205, 208, 210), 2)


def paint_mover(picture: Image, camera: Camera, mover: Mover, t: float) -> None:
    """Draw one mover at time `t`."""
    x, y, heading = mover.at(t)
    paint = {"vehicle": _vehicle, "person": _person, "boat": _boat}[mover.kind]
    paint(picture, camera, mover, (x, y, heading), t)


Pose = tuple[float, float, float]


def _vehicle(picture: Image, camera: Camera, mover: Mover, pose: Pose, t: float) -> None:
    x, y, heading = pose
    length, width = mover.size
    shadow = camera.project(rectangle(x + 5, y + 5, length, width, heading))
    _darken(picture, shadow.astype(np.float32))
    _fill(picture, camera.project(rectangle(x, y, length, width, heading)), mover.color)
    roof = (mover.color[0] * 3 // 4, mover.color[1] * 3 // 4, mover.color[2] * 3 // 4)
    _fill(
        picture, camera.project(rectangle(x, y, length * 0.56, width * 0.86, heading)), (38, 34, 30)
    )
    _fill(picture, camera.project(rectangle(x, y, length * 0.34, width * 0.8, heading), 6), roof)


def _boat(picture: Image, camera: Camera, mover: Mover, pose: Pose, t: float) -> None:
    x, y, heading = pose
    length, width = mover.size
    c, s = math.cos(heading), math.sin(heading)
    for i in range(1, 6):  # the wake
        spread = 4 + 3.2 * i
        back = np.array([x - c * (length / 2 + 6 * i), y - s * (length / 2 + 6 * i)])
        side = np.array([-s, c]) * spread
        ends = camera.project(np.array([back - side, back + side]))
        _line(picture, ends[0], ends[1], (150 - 8 * i, 175 - 8 * i, 190 - 8 * i), 1)
    hull = rectangle(x, y, length, width, heading)
    bow = np.array([[x + c * length * 0.5, y + s * length * 0.5]])
    left, right = hull[:1] * 0.3 + hull[1:2] * 0.7, hull[2:3] * 0.7 + hull[3:] * 0.3
    body = np.concatenate([hull[:1], left, bow, right, hull[3:]])
    _fill(picture, camera.project(body), mover.color)
    _fill(
        picture,
        camera.project(rectangle(x - c * 3, y - s * 3, length * 0.5, width * 0.55, heading)),
        (60, 62, 66),
    )
    for offset in (-6, 5):
        _dot(picture, camera, x + c * offset, y + s * offset, 3.2, (40, 160, 240))


def _person(picture: Image, camera: Camera, mover: Mover, pose: Pose, t: float) -> None:
    x, y, heading = pose
    h = mover.height
    _dot(picture, camera, x + 2.5, y + 2.5, 3.6, (34, 38, 40), h)
    _dot(picture, camera, x, y, 4.0, mover.color, h)
    _dot(picture, camera, x + 1.0, y - 1.0, 2.1, _SKIN, h)
    wave = 1.1 * math.sin(5 * t + mover.phase)  # arms that wave
    for side in (-1, 1):
        angle = heading + side * (1.2 + wave)
        tip = np.array([[x, y], [x + 5.2 * math.cos(angle), y + 5.2 * math.sin(angle)]])
        ends = camera.project(tip, h)
        _line(picture, ends[0], ends[1], _SKIN, 1)


def _points(polygon: Floats) -> NDArray[np.int32]:
    return np.asarray(np.round(polygon * 16), np.int32)


def _fill(picture: Image, polygon: Floats, color: Color) -> None:
    cv2.fillPoly(picture, [_points(polygon)], color, cv2.LINE_AA, shift=4)


def _line(picture: Image, a: Floats, b: Floats, color: Color, width: int) -> None:
    ends = _points(np.array([a, b])).tolist()
    cv2.line(picture, ends[0], ends[1], color, width, cv2.LINE_AA, shift=4)


def _dot(
    picture: Image, camera: Camera, x: float, y: float, radius: float, color: Color,
    height: float = 0.0,
) -> None:  # fmt: skip
    points = camera.project(np.array([[x, y], [x + radius, y]]), height)
    r = max(1.0, float(np.hypot(*(points[1] - points[0]))))
    center = _points(points[:1])[0].tolist()
    cv2.circle(picture, center, round(r * 16), color, -1, cv2.LINE_AA, shift=4)


def _darken(picture: Image, polygon: NDArray[Any]) -> None:
    """A shadow: halve the light inside a polygon."""
    x, y, w, h = cv2.boundingRect(polygon.astype(np.float32))
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(picture.shape[1], x + w), min(picture.shape[0], y + h)
    if x0 >= x1 or y0 >= y1:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(mask, [(polygon.reshape(-1, 2) - (x0, y0)).astype(np.int32)], 1)
    area = picture[y0:y1, x0:x1]
    area[mask > 0] = area[mask > 0] // 2
