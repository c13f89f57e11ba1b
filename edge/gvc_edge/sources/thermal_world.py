"""The ground and the warm objects of `synthetic:thermal`: temperatures on a map, no camera, no counts.

Lengths are map pixels, 6 to a metre; temperatures are degrees Celsius.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.flood_noise import Floats, octaves, upscale

__all__ = ["MAP_PX", "HotKind", "HotObject", "World", "make_hot", "make_world", "stream"]

HotKind = Literal["vehicle", "person", "fire"]

MAP_PX = 1536
_PX_PER_M = 6.0


@dataclass(frozen=True, slots=True)
class HotObject:
    """Swings along a straight line, or stands; lengths in map pixels, heat in Celsius."""

    kind: HotKind
    x: float
    y: float
    heading: float
    reach: float
    rate: float
    phase: float
    length: float
    width: float
    heat: float

    def at(self, t: float) -> tuple[float, float]:
        """Its middle on the map, `t` seconds into the flight."""
        along = self.reach * math.sin(self.rate * t + self.phase)
        return self.x + along * math.cos(self.heading), self.y + along * math.sin(self.heading)

    def outline(self, t: float) -> NDArray[np.float64]:
        """float64[4, 2]: its corners on the map."""
        x, y = self.at(t)
        c, s = math.cos(self.heading), math.sin(self.heading)
        half = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (self.length / 2, self.width / 2)
        return np.asarray(half @ np.array([[c, s], [-s, c]]) + (x, y), np.float64)


@dataclass(frozen=True, slots=True)
class World:
    """The map."""

    celsius: Floats
    "float32[MAP_PX, MAP_PX]"
    roads: tuple[tuple[float, float, float], ...]
    "x, y and heading of straight roads."
    dry: NDArray[np.bool_]
    "bool[MAP_PX, MAP_PX]: not river"


def stream(seed: int, layer: int) -> np.random.Generator:
    """One stream a layer: a change to one does not redraw the others."""
    return np.random.default_rng((seed, 77, layer))


@lru_cache(maxsize=1)
def make_world(seed: int) -> World:
    """Ground in fields of unlike emissivity, a cold river, roads that kept the day's heat, houses."""
    rng = stream(seed, 0)
    size = MAP_PX
    seeds = rng.uniform(0, size, (60, 2))
    grid = np.stack(np.meshgrid(np.arange(0, size, 4), np.arange(0, size, 4)), -1)
    owner = np.abs(grid[:, :, None] - seeds).sum(-1).argmin(-1)
    fields = (rng.normal(0, 1.1, 60)[owner]).astype(np.float32)
    ground = 12.0 + cv2.resize(fields, (size, size), interpolation=cv2.INTER_NEAREST)
    ground += 0.9 * upscale(octaves(rng, size // 2, 9, 5, 0.6), size)
    ground += np.tile(rng.normal(0, 0.25, (512, 512)).astype(np.float32), (3, 3))
    wood = octaves(rng, 384, 8, 5, 0.7)
    trees = upscale(np.clip(wood - 0.7, 0, 1).astype(np.float32), size) > 0.15
    crowns = np.tile(octaves(rng, 512, 60, 2), (3, 3))
    ground = np.where(trees, 10.8 + 0.8 * crowns, ground).astype(np.float32)
    roads = _lay_roads(rng, ground)
    wet = _lay_river(rng, ground)
    for road in roads[:1]:  # the bridge
        _draw_road(ground, road, 15.5)
    _place_houses(rng, ground, wet)
    soft = np.asarray(cv2.GaussianBlur(ground, (0, 0), 0.8), np.float32)
    return World(soft, roads, ~wet)


def _lay_roads(rng: np.random.Generator, ground: Floats) -> tuple[tuple[float, float, float], ...]:
    middle = MAP_PX / 2
    roads = []
    for i in range(4):
        heading = (i % 2) * math.pi / 2 + float(rng.normal(0, 0.12))
        shift = float(rng.uniform(-0.16, 0.16)) * MAP_PX if i > 1 else 0.0
        x = middle - shift * math.sin(heading) + float(rng.normal(0, 40))
        y = middle + shift * math.cos(heading) + float(rng.normal(0, 40))
        roads.append((x, y, heading))
        _draw_road(ground, roads[-1], 16.0 + float(rng.normal(0, 0.5)))
    return tuple(roads)


def _draw_road(ground: Floats, road: tuple[float, float, float], heat: float) -> None:
    x, y, heading = road
    far = (math.cos(heading) * 2 * MAP_PX, math.sin(heading) * 2 * MAP_PX)
    ends = (round(x - far[0]), round(y - far[1])), (round(x + far[0]), round(y + far[1]))
    cv2.line(ground, *ends, heat, round(6.5 * _PX_PER_M))
    cv2.line(ground, *ends, heat - 0.5, 3)


def _lay_river(rng: np.random.Generator, ground: Floats) -> NDArray[np.bool_]:
    """Draws the river; bool[H, W] of where it is."""
    x = np.arange(-16, MAP_PX + 17, 8)
    a, b = rng.uniform(0, 6.3, 2)
    y = MAP_PX * 0.72 + 90 * np.sin(x / 330 + a) + 30 * np.sin(x / 120 + b)
    mask = np.zeros(ground.shape, np.uint8)
    line = np.round(np.stack([x, y], -1)).astype(np.int32)
    cv2.polylines(mask, [line], False, 255, round(22 * _PX_PER_M))
    wet = mask > 0
    streaks = np.tile(octaves(rng, 512, 24, 3), (3, 3))
    ground[wet] = (7.5 + 0.15 * streaks)[wet]
    return wet


def _place_houses(rng: np.random.Generator, ground: Floats, wet: NDArray[np.bool_]) -> None:
    """Roofs that face a clear sky are cold, walls leak heat, a few chimneys are hot."""
    for _ in range(70):
        x, y = rng.uniform(40, MAP_PX - 40, 2)
        if wet[int(y), int(x)]:
            continue
        angle = float(rng.choice((0, 90)) + rng.normal(0, 6))
        length, width = float(rng.uniform(60, 96)), float(rng.uniform(42, 60))
        walls = cv2.boxPoints(((x, y), (length, width), angle))
        roof = cv2.boxPoints(((x, y), (length - 7, width - 7), angle))
        ridge = cv2.boxPoints(((x, y), (length - 7, 3), angle))
        cold = float(rng.normal(8.5, 1.6))
        for shape, heat in ((walls, cold + 6.5), (roof, cold), (ridge, cold + 1.5)):
            cv2.fillPoly(ground, [np.round(shape).astype(np.int32)], heat)
        if rng.random() < 0.5:
            spot = np.round(roof[0] * 0.3 + np.array((x, y)) * 0.7).astype(int).tolist()
            cv2.circle(ground, spot, 3, float(rng.uniform(24, 38)), -1)


def make_hot(rng: np.random.Generator, world: World, movers: int) -> tuple[HotObject, ...]:
    """Two movers in five are vehicles, the others people; then one or two fires that stay."""
    out: list[HotObject] = []
    middle = MAP_PX / 2
    while len(out) < movers:
        phase = float(rng.uniform(0, 6.3))
        if len(out) % 5 < 2:
            x, y, heading = world.roads[int(rng.integers(len(world.roads)))]
            along, side = float(rng.uniform(-330, 330)), float(rng.choice((-9, 9)))
            x += along * math.cos(heading) - side * math.sin(heading)
            y += along * math.sin(heading) + side * math.cos(heading)
            reach, speed = float(rng.uniform(120, 220)), float(rng.uniform(45, 80))
            body = (float(rng.uniform(25, 31)), 12.0, float(rng.uniform(19, 24)))
            out.append(HotObject("vehicle", x, y, heading, reach, speed / reach, phase, *body))
            continue
        x, y = rng.uniform(middle - 330, middle + 330, 2)
        if not world.dry[int(y), int(x)]:
            continue
        reach, heading = float(rng.uniform(12, 40)), float(rng.uniform(0, 6.3))
        pace = float(rng.uniform(6, 10))
        body = (4.5, 6.5, float(rng.uniform(27, 32)))
        out.append(HotObject("person", x, y, heading, reach, pace / reach, phase, *body))
    for _ in range(int(rng.integers(1, 3))):
        x, y = rng.uniform(middle - 220, middle + 220, 2)
        size = float(rng.uniform(12, 24))
        phase, heat = float(rng.uniform(0, 6.3)), float(rng.uniform(120, 260))
        out.append(HotObject("fire", x, y, 0.0, 0.0, 0.0, phase, size, size, heat))
    return tuple(out)
