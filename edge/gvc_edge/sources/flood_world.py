"""The ground of the synthetic flood: a map drawn by a seeded program, seen from straight above.

Everything is procedural (noise octaves, curves, boxes); no photo is involved. The map has 8 pixels
a metre at zoom 1 and is drawn once; `flood.py` flies a camera over it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["MAP_PX", "House", "World", "make_world"]

MAP_PX = 2600
Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class House:
    """A box with a pitched roof; `x, y` its centre on the map, sizes and height in map pixels."""

    x: float
    y: float
    length: float
    width: float
    angle: float
    height: float
    color: tuple[int, int, int]
    flooded: bool


@dataclass(frozen=True, slots=True)
class World:
    """The map and what stands on it."""

    ground: Image
    "uint8[MAP_PX, MAP_PX, 3] BGR, without houses and movers."
    water: Floats
    "float32[MAP_PX, MAP_PX], 0 dry .. 1 deep."
    houses: tuple[House, ...]
    road: NDArray[np.float32]
    "float32[N, 2], points along the main road."


def noise(rng: np.random.Generator, size: int, cells: int, octaves: int) -> Floats:
    """Octaves of smooth noise, about -1..1."""
    out = np.zeros((size, size), np.float32)
    weight, total = 1.0, 0.0
    for _ in range(octaves):
        grid = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
        big = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
        out += weight * big
        total += weight
        weight, cells = weight * 0.55, cells * 2
    return np.asarray(out / total, np.float32)


def make_world(rng: np.random.Generator) -> World:
    """Draw the map: fields, trees, a river over its banks, roads, house places."""
    size = MAP_PX
    height = noise(rng, size, 5, 4)
    x, y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    river_y = size * 0.52 + 190 * np.sin(x / 520 + rng.uniform(0, 6)) + 60 * np.sin(x / 170)
    bank = np.abs(y - river_y) - 120
    # Depth falls with distance from the river and with the height of the ground.
    water = np.clip(0.62 - bank / 620 - height * 0.75, 0, 1).astype(np.float32)
    ground = _fields(rng, size, x, y)
    road = _road(size, rng)
    _draw_roads(ground, road, rng)
    houses = _place_houses(rng, road, water)
    for house in houses:
        _yard(ground, house, rng)
    _trees(ground, water, houses, rng)
    _flood(ground, water, rng, x, y)
    return World(ground, water, houses, road)


def _fields(rng: np.random.Generator, size: int, x: Floats, y: Floats) -> Image:
    """Patches of grass, crop rows and bare soil."""
    shades = np.array(
        [(58, 96, 74), (66, 122, 98), (82, 118, 132), (74, 140, 120), (52, 88, 62)], np.float32
    )
    seeds = rng.uniform(0, size, (38, 2)).astype(np.float32)
    kinds = rng.integers(0, len(shades), len(seeds))
    small = 8
    points = np.stack([x[::small, ::small], y[::small, ::small]], -1)[:, :, None]
    owner = ((points - seeds) ** 2).sum(-1).argmin(-1).astype(np.uint8)
    owner = cv2.resize(owner, (size, size), interpolation=cv2.INTER_NEAREST)
    color = shades[kinds][owner]
    angle = rng.uniform(0, np.pi, len(seeds)).astype(np.float32)[owner]
    rows = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 0.55)
    cropped = np.isin(kinds, (1, 2))[owner]
    color += (rows * cropped * 9)[..., None]
    color += (noise(rng, size, 24, 5) * 26)[..., None]
    color += rng.normal(0, 7, (size, size, 1)).astype(np.float32)
    edges = cv2.morphologyEx(owner, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    color[edges] *= 0.72  # hedges between the fields
    return np.asarray(np.clip(color, 0, 255), np.uint8)


def _road(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    t = np.linspace(-0.1, 1.1, 160, dtype=np.float32)
    bend = rng.uniform(80, 200)
    xs = size * (0.2 + 0.55 * t) + bend * np.sin(t * 5)
    return np.stack([xs, size * t], -1).astype(np.float32)


def _draw_roads(ground: Image, road: NDArray[np.float32], rng: np.random.Generator) -> None:
    def line(points: NDArray[np.float32], width: int, color: tuple[int, int, int]) -> None:
        cv2.polylines(ground, [points.astype(np.int32)], False, color, width, cv2.LINE_AA)

    side = [road[i] for i in range(20, 150, 26)]
    for start in side:
        for sign in (-1, 1):
            end = start + np.array([sign * rng.uniform(420, 760), rng.uniform(-90, 90)])
            lane = np.stack([start, end]).astype(np.float32)
            line(lane, 34, (92, 104, 112))
            line(lane, 28, (112, 120, 124))
    line(road, 64, (88, 96, 100))
    line(road, 54, (96, 98, 98))
    for i in range(0, len(road) - 1, 2):
        line(road[i : i + 2], 3, (205, 212, 214))


def _place_houses(
    rng: np.random.Generator, road: NDArray[np.float32], water: Floats
) -> tuple[House, ...]:
    roofs = [
        (62, 74, 156),
        (72, 86, 128),
        (96, 98, 104),
        (70, 66, 72),
        (84, 106, 148),
        (150, 152, 156),
    ]
    houses: list[House] = []
    for _ in range(900):
        at = road[rng.integers(8, 150)] + np.array([rng.uniform(-760, 760), rng.uniform(-80, 80)])
        length, width = rng.uniform(92, 150), rng.uniform(66, 92)
        x, y = float(at[0]), float(at[1])
        if not (150 < x < MAP_PX - 150 and 150 < y < MAP_PX - 150):
            continue
        near_road = np.abs(road - at).sum(1).min() < 150
        crowded = any((h.x - x) ** 2 + (h.y - y) ** 2 < 190**2 for h in houses)
        depth = float(water[int(y), int(x)])
        if near_road or crowded or depth > 0.5:
            continue
        angle = float(rng.normal(0, 0.12) + (np.pi / 2 if rng.random() < 0.4 else 0))
        color = roofs[rng.integers(len(roofs))]
        rise = rng.uniform(26, 44) * (0.5 if depth > 0.12 else 1)
        houses.append(House(x, y, length, width, angle, float(rise), color, depth > 0.05))
    return tuple(houses)


def _yard(ground: Image, house: House, rng: np.random.Generator) -> None:
    size = (house.length * 1.7, house.width * 1.9)
    box = cv2.boxPoints(((house.x, house.y), size, float(np.degrees(house.angle))))
    shade = int(rng.integers(-8, 14))
    cv2.fillConvexPoly(
        ground, box.astype(np.int32), (70 + shade, 128 + shade, 104 + shade), cv2.LINE_AA
    )


def _trees(
    ground: Image, water: Floats, houses: tuple[House, ...], rng: np.random.Generator
) -> None:
    """Crowns with a lit side and a shadow; woods where the noise says so."""
    wood = noise(rng, 256, 5, 3)
    scale = MAP_PX / 256
    for _ in range(5200):
        x, y = rng.uniform(20, MAP_PX - 20, 2)
        dense = wood[int(y / scale), int(x / scale)] > 0.22
        if not dense and rng.random() > 0.12:
            continue
        if any(abs(h.x - x) < 100 and abs(h.y - y) < 90 for h in houses):
            continue
        r = rng.uniform(9, 24)
        dark = (int(30 + rng.integers(14)), int(54 + rng.integers(22)), int(40 + rng.integers(14)))
        center = (int(x), int(y))
        if water[int(y), int(x)] < 0.35:
            cv2.circle(
                ground, (int(x + r * 0.7), int(y + r * 0.7)), int(r), (30, 44, 38), -1, cv2.LINE_AA
            )
        cv2.circle(ground, center, int(r), dark, -1, cv2.LINE_AA)
        lit = tuple(int(c * 1.45) for c in dark)
        cv2.circle(
            ground, (int(x - r * 0.25), int(y - r * 0.25)), int(r * 0.6), lit, -1, cv2.LINE_AA
        )


def _flood(ground: Image, water: Floats, rng: np.random.Generator, x: Floats, y: Floats) -> None:
    """Brown water over what is low; shallow water lets the ground through, debris drifts on top."""
    silt = noise(rng, MAP_PX, 9, 4)
    brown = np.stack([82 + 12 * silt, 112 + 14 * silt, 134 + 16 * silt], -1)
    ripple = np.sin(y * 0.42 + 1.6 * np.sin(x * 0.021) + silt * 5) * np.sin(x * 0.11 + silt * 4)
    brown += (ripple * 6)[..., None]
    cover = np.clip((water - 0.03) * 5.5, 0, 0.93)[..., None]
    np.copyto(ground, (ground * (1 - cover) + brown * cover).astype(np.uint8))
    edge = (water > 0.01) & (water < 0.07)
    ground[edge] = (ground[edge] * 0.7 + np.array([46, 58, 66]) * 0.3).astype(np.uint8)
    for _ in range(420):
        px, py = rng.integers(10, MAP_PX - 10, 2)
        if water[py, px] > 0.25:
            size = (float(rng.uniform(3, 18)), float(rng.uniform(2, 5)))
            box = cv2.boxPoints(((float(px), float(py)), size, float(rng.uniform(0, 180))))
            tone = int(rng.integers(40, 190))
            cv2.fillConvexPoly(
                ground, box.astype(np.int32), (tone, tone, int(tone * 1.05)), cv2.LINE_AA
            )
