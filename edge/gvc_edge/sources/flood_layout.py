"""Where things are on the flood's map: river, water depth, roads, houses and trees. No pixels.

All lengths are map pixels, 9 to a metre; x runs with the river.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gvc_edge.sources.flood_noise import Floats, octaves

__all__ = [
    "FLOW_PX_S", "MAP_PX", "SOS_ROOF", "SUN", "House", "Tree", "corners", "lay_depth",
    "lay_river", "lay_roads", "place_houses", "place_trees",
]  # fmt: skip

MAP_PX = 2560
FLOW_PX_S = 34.0
"How fast the water runs, along +x."
SUN = (0.62, 0.44)
"Length of a shadow along x and y for each unit of height."
SOS_ROOF = 6
"The roof texture that has SOS painted on it."
_HALF = MAP_PX // 2


@dataclass(frozen=True, slots=True)
class House:
    """A box with a pitched roof; `x, y` its centre, all lengths in map pixels."""

    x: float
    y: float
    length: float
    width: float
    angle: float
    eaves: float
    ridge: float
    roof: int
    "Which roof texture."
    flooded: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """A tall tree, drawn with parallax."""

    x: float
    y: float
    height: float
    scale: float
    sprite: int


def corners(x: float, y: float, length: float, width: float, angle: float) -> Floats:
    """float32[4, 2]: the corners of a turned rectangle; 0-1 and 2-3 are its long sides."""
    c, s = np.cos(angle), np.sin(angle)
    half = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (length / 2, width / 2)
    return np.asarray(half @ np.array([[c, s], [-s, c]]) + (x, y), np.float32)


def lay_river(rng: np.random.Generator) -> Floats:
    """float32[N, 2]: map points along the middle of the river, which runs along +x."""
    x = np.arange(-64, MAP_PX + 65, 8, dtype=np.float32)
    a, b = rng.uniform(0, 6.3, 2)
    y = MAP_PX * 0.5 + 130 * np.sin(x / 470 + a) + 34 * np.sin(x / 190 + b)
    return np.stack([x, y], -1).astype(np.float32)


def lay_depth(rng: np.random.Generator, river: Floats) -> Floats:
    """Water level less ground level, metres: a channel, a flood plain, and slopes that stay dry."""
    x = np.arange(0, MAP_PX, 2, dtype=np.float32)
    middle = np.interp(x, river[:, 0], river[:, 1]).astype(np.float32)
    away = np.abs(x[:, None] - middle[None, :])
    rise = np.clip((away - 120) / 520, 0, 1.4)
    land = 2.9 * rise + 0.62 * octaves(rng, _HALF, 6, 4, 0.48) * (0.3 + np.clip(rise, 0, 1))
    channel = 2.2 * np.clip(1 - away / 150, 0, 1)
    return np.asarray(1.0 - land + channel, np.float32)


def lay_roads(rng: np.random.Generator) -> tuple[Floats, ...]:
    """One road across the valley, lanes that leave it to both sides."""
    y = np.arange(-80, MAP_PX + 81, 8, dtype=np.float32)
    bend, phase = rng.uniform(60, 120), rng.uniform(0, 6.3)
    x = MAP_PX * 0.47 + bend * np.sin(y / 420 + phase)
    roads = [np.stack([x, y], -1).astype(np.float32)]
    for at in (0.20, 0.355, 0.62, 0.77):
        i = int((at + rng.uniform(-0.015, 0.015)) * len(y))
        for sign in (-1, 1):
            along = np.arange(0, rng.uniform(620, 980), 8, dtype=np.float32)
            wobble = 26 * np.sin(along / 170 + rng.uniform(0, 6.3)) - 26 * np.sin(rng.uniform(0, 1))
            ramp = np.clip(along / 90, 0, 1)
            lane = np.stack(
                [x[i] + sign * along, y[i] + wobble * ramp + rng.uniform(-0.05, 0.05) * along], -1
            )
            roads.append(lane.astype(np.float32))
    return tuple(roads)


def place_houses(
    rng: np.random.Generator, roads: tuple[Floats, ...], depth: Floats
) -> tuple[House, ...]:
    """Rows of houses along the lanes; those that stand in water show only their upper part."""
    houses: list[House] = []
    points = np.concatenate(roads)
    for _ in range(1500):
        road = roads[int(rng.integers(len(roads)))]
        i = int(rng.integers(2, len(road) - 2))
        along = road[i + 1] - road[i - 1]
        heading = float(np.arctan2(along[1], along[0]))
        side = float(rng.choice((-1, 1)) * rng.uniform(88, 175))
        x = float(road[i, 0] - side * np.sin(heading))
        y = float(road[i, 1] + side * np.cos(heading))
        length, width = float(rng.uniform(96, 146)), float(rng.uniform(66, 88))
        if not (60 < x < MAP_PX - 60 and 60 < y < MAP_PX - 60):
            continue
        wet = float(depth[int(y) // 2, int(x) // 2])
        crowded = any((h.x - x) ** 2 + (h.y - y) ** 2 < 158**2 for h in houses)
        if crowded or wet > 1.9 or np.hypot(*(points - (x, y)).T).min() < 80:
            continue
        angle = heading + float(rng.normal(0, 0.06)) + (np.pi / 2 if rng.random() < 0.3 else 0.0)
        eaves = max(5.0, float(rng.choice((24, 28, 44))) - 9 * 1.5 * max(0.0, wet))
        roof = int(rng.integers(8))
        if roof == SOS_ROOF and (wet < 0.3 or any(h.roof == SOS_ROOF for h in houses)):
            roof += 1  # one cry for help, from somebody who stands in the water
        ridge = eaves + 0.36 * width
        houses.append(House(x, y, length, width, angle, eaves, ridge, roof, wet > 0.08))
    return tuple(houses)


def place_trees(
    rng: np.random.Generator, roads: tuple[Floats, ...], houses: tuple[House, ...], depth: Floats
) -> tuple[tuple[Tree, ...], tuple[Tree, ...]]:
    """Tall trees (parallax) and low ones (part of the map), clear of roads and houses."""
    blocked = np.zeros((_HALF, _HALF), np.uint8)
    for lane in roads:
        cv2.polylines(blocked, [np.round(lane / 2).astype(np.int32)], False, 255, 62)
    for h in houses:
        box = corners(h.x, h.y, h.length + 84, h.width + 84, h.angle) / 2
        cv2.fillPoly(blocked, [np.round(box).astype(np.int32)], 255)
    wood = octaves(rng, 256, 7, 3)
    tall: list[Tree] = []
    low: list[Tree] = []
    for _ in range(7000):
        x, y = rng.uniform(30, MAP_PX - 30, 2)
        dense = wood[int(y) // 10, int(x) // 10]
        wet = depth[int(y) // 2, int(x) // 2]
        if (
            blocked[int(y) // 2, int(x) // 2]
            or wet > 1.5
            or rng.random() > (0.9 if dense > 0.85 else 0.10)
        ):
            continue
        sprite = int(rng.integers(10))
        if rng.random() < 0.30 and wet < 1.2:
            tall.append(
                Tree(x, y, float(rng.uniform(34, 62)), float(rng.uniform(0.62, 1.0)), sprite)
            )
        else:
            low.append(Tree(x, y, float(rng.uniform(8, 22)), float(rng.uniform(0.2, 0.55)), sprite))
    return tuple(sorted(tall, key=lambda t: t.height)), tuple(sorted(low, key=lambda t: t.scale))
