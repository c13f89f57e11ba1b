"""The ground of the synthetic flood: a map drawn by a seeded program, seen from straight above.

    fields -> roads, yards -> flood water by depth -> shadows -> low trees and hedges

Everything is procedural (noise, curves, stamps); no photo is involved. The map has 9 pixels a metre and
is drawn once; what stands up from it (houses, tall trees) is placed here and drawn by `flood_draw`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.flood_layout import (
    MAP_PX,
    SUN,
    House,
    Tree,
    corners,
    lay_depth,
    lay_river,
    lay_roads,
    place_houses,
    place_trees,
)
from gvc_edge.sources.flood_noise import Floats, Image, octaves, stretched_tile, upscale
from gvc_edge.sources.flood_sprites import Sprite, stamp, tree_sprites

__all__ = ["World", "make_world"]

_HALF = MAP_PX // 2


@dataclass(frozen=True, slots=True)
class World:
    """The map and what stands on it."""

    ground: Image
    "uint8[MAP_PX, MAP_PX, 3] BGR: everything flat."
    depth: Floats
    "float32[MAP_PX/2, MAP_PX/2]: metres of water; below 0 the ground is dry."
    river: Floats
    "float32[N, 2], map points along the middle of the river."
    roads: tuple[Floats, ...]
    "Each float32[N, 2], one point about every 8 pixels; the main road first."
    houses: tuple[House, ...]
    trees: tuple[Tree, ...]
    sprites: tuple[Sprite, ...]
    "The crowns that `Tree.sprite` counts in."

    def depth_at(self, x: float, y: float) -> float:
        """Metres of water at a map point."""
        row = min(max(int(y) // 2, 0), _HALF - 1)
        return float(self.depth[row, min(max(int(x) // 2, 0), _HALF - 1)])


def make_world(rng: np.random.Generator) -> World:
    """Draw the map: fields, roads, a river over its banks, house and tree places."""
    river = lay_river(rng)
    depth = lay_depth(rng, river)
    roads = lay_roads(rng)
    houses = place_houses(rng, roads, depth)
    sprites = tree_sprites(rng, 10)
    color = _fields(rng)
    _draw_roads(color, roads, houses, rng)
    _draw_yards(color, houses, rng)
    ground = _flood(color, depth, houses, rng)
    trees, low = place_trees(rng, roads, houses, depth)
    _shadows(ground, houses, trees, low)
    for tree in low:
        stamp(ground, sprites[tree.sprite], tree.x, tree.y, tree.scale)
    return World(ground, depth, river, roads, houses, trees, sprites)


def _fields(rng: np.random.Generator) -> Floats:
    """float32[MAP_PX, MAP_PX, 3]: plots of grass, crops, stubble, bare soil and rough ground."""
    shades = np.array([(62, 98, 84), (56, 92, 72), (98, 136, 148), (88, 112, 134), (52, 82, 66),
                       (84, 120, 122), (68, 106, 92)], np.float32)  # fmt: skip
    crop = np.array([0, 9, 7, 8, 0, 6, 0], np.float32)
    small = MAP_PX // 4
    grid = np.stack(np.meshgrid(np.arange(small), np.arange(small)), -1).astype(np.float32) * 4
    grid += np.stack([octaves(rng, small, 9, 3), octaves(rng, small, 9, 3)], -1) * 22
    seeds = rng.uniform(-50, MAP_PX + 50, (64, 2)).astype(np.float32)
    seeds[:, 1] *= 0.99
    owner, border = _plots(grid, seeds)
    kinds = rng.integers(0, len(shades), len(seeds))
    tint = rng.normal(0, 5, (len(seeds), 1)).astype(np.float32) + rng.normal(0, 3, (len(seeds), 3))
    plots = (shades[kinds] + tint).astype(np.float32)[owner]
    plots *= np.where(border < 9, 0.74, 1.0).astype(np.float32)[..., None]
    color = np.asarray(cv2.resize(plots, (MAP_PX, MAP_PX), interpolation=cv2.INTER_LINEAR))
    angle = rng.uniform(0, np.pi, len(seeds))
    pitch = rng.uniform(0.42, 0.75, len(seeds))
    rows = [cv2.resize(field[owner].astype(np.float32), (MAP_PX,) * 2, interpolation=cv2.INTER_NEAREST)
            for field in (np.cos(angle) * pitch, np.sin(angle) * pitch, crop[kinds])]  # fmt: skip
    axis = np.arange(MAP_PX, dtype=np.float32)
    furrow = np.sin(rows[0] * axis[None, :] + rows[1] * axis[:, None]) * rows[2]
    patch = upscale(octaves(rng, _HALF, 20, 6, 0.62), MAP_PX)
    dry = upscale(octaves(rng, MAP_PX // 4, 7, 4), MAP_PX)
    grit = np.tile(
        rng.normal(0, 6.5, (640, 640)).astype(np.float32), (MAP_PX // 640, MAP_PX // 640)
    )
    clump = np.tile(stretched_tile(rng, 512, 7, 7) * 5.5, (MAP_PX // 512, MAP_PX // 512))
    light = furrow + patch * 8 + grit + clump
    for channel, (lit, arid) in enumerate(((0.85, 3.0), (1.0, 5.0), (1.0, 10.0))):
        color[..., channel] += light * lit + dry * arid
    return np.asarray(color, np.float32)


def _plots(grid: Floats, seeds: Floats) -> tuple[NDArray[np.int64], Floats]:
    """(owner, border) of each place [H, W]: its nearest seed, and how much farther the second is.

    One seed after another: all distances at once are 100 MB, and sorting them took longest.
    Of two that are equally near the later one owns the place.
    """
    owner = np.zeros(grid.shape[:2], np.int64)
    near = np.full(grid.shape[:2], np.inf, np.float32)
    second = near.copy()
    for number, (x, y) in enumerate(seeds):
        # Plots are longer along x, as strips beside a road are.
        gap = np.abs((grid[..., 0] - x) * 0.7) + np.abs(grid[..., 1] - y)
        closer = gap <= near
        np.minimum(second, np.where(closer, near, gap), out=second)
        np.copyto(near, gap, where=closer)
        owner[closer] = number
    return owner, second - near


def _draw_roads(
    color: Floats, roads: tuple[Floats, ...], houses: tuple[House, ...], rng: np.random.Generator
) -> None:
    """Asphalt with worn marks, gravel lanes with wheel ruts, a drive to each house."""

    def line(points: Floats, width: int, bgr: tuple[float, float, float]) -> None:
        cv2.polylines(mask, [np.round(points).astype(np.int32)], False, bgr, width, cv2.LINE_AA)

    mask = color  # drawn straight into the float map, whose grain is put back below
    every = np.concatenate(roads)
    for house in houses:
        near = every[np.hypot(*(every - (house.x, house.y)).T).argmin()]
        line(np.array([(house.x, house.y), near], np.float32), 20, (122, 138, 146))
    for lane in roads[1:]:
        line(lane, 46, (88, 112, 118))
        line(lane, 36, (118, 134, 142))
        for shift in (-8, 8):
            line(lane + np.array((0, shift), np.float32), 5, (104, 120, 130))
    main = roads[0]
    line(main, 76, (96, 118, 124))
    line(main, 60, (104, 106, 106))
    for shift in (-27, 27):
        line(main + np.array((shift, 0), np.float32), 2, (168, 172, 172))
    for i in range(0, len(main) - 3, 7):
        line(main[i : i + 4], 3, (196, 200, 200))
    for _ in range(90):  # patches and oil on the asphalt
        x, y = main[int(rng.integers(len(main)))] + rng.uniform(-24, 24, 2)
        tone = float(rng.uniform(84, 124))
        size = (int(rng.integers(3, 16)), int(rng.integers(2, 6)))
        cv2.ellipse(
            color, (int(x), int(y)), size, 90.0, 0, 360, (tone, tone, tone), -1, cv2.LINE_AA
        )
    wide = np.zeros((MAP_PX, MAP_PX), np.uint8)
    for lane, width in zip(roads, [62] + [44] * 8, strict=True):
        cv2.polylines(wide, [np.round(lane).astype(np.int32)], False, 255, width)
    rough = np.tile(rng.normal(0, 5, (640, 640)).astype(np.float32), (MAP_PX // 640, MAP_PX // 640))
    color += (rough * (wide > 0))[..., None]


def _draw_yards(color: Floats, houses: tuple[House, ...], rng: np.random.Generator) -> None:
    """Lawns, paved corners, vegetable beds, fences and sheds around the houses."""

    def fill(points: Floats, bgr: tuple[float, ...], alpha: float) -> None:
        x0, y0 = np.maximum(points.min(0).astype(int), 0)
        x1, y1 = np.minimum(points.max(0).astype(int) + 1, MAP_PX)
        if x0 >= x1 or y0 >= y1:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.float32)
        cv2.fillPoly(mask, [np.round(points - (x0, y0)).astype(np.int32)], alpha, cv2.LINE_AA)
        area = color[y0:y1, x0:x1]
        area += (np.array(bgr, np.float32) - area) * mask[..., None]

    for h in houses:
        c, s = np.cos(h.angle), np.sin(h.angle)
        plot = corners(h.x, h.y, h.length * 1.62, h.width * 2.0, h.angle)
        fill(plot, tuple(float(v) for v in np.array((64, 112, 92)) + rng.normal(0, 7, 3)), 0.55)
        fill(corners(h.x, h.y, h.length + 16, h.width + 16, h.angle), (138, 146, 150), 0.85)
        for _ in range(int(rng.integers(1, 4))):
            u, v = rng.choice((-1, 1)) * h.length * 0.62, rng.uniform(-0.8, 0.8) * h.width
            bed = corners(
                h.x + c * u - s * v, h.y + s * u + c * v, rng.uniform(18, 40), 14, h.angle
            )
            fill(bed, tuple(rng.uniform((50, 70, 70), (90, 120, 140))), 0.8)
        fence = (96, 112, 124) if rng.random() < 0.5 else (44, 66, 54)
        cv2.polylines(color, [np.round(plot).astype(np.int32)], True, fence, 2, cv2.LINE_AA)


def _flood(
    color: Floats, depth: Floats, houses: tuple[House, ...], rng: np.random.Generator
) -> Image:
    """Brown water over what is low. Shallow water shows the ground; foam and litter line its edge."""
    deep = upscale(depth, MAP_PX)
    deep += np.tile(stretched_tile(rng, 512, 11, 9) * 0.016, (MAP_PX // 512, MAP_PX // 512))
    wet = np.clip(1 + deep / 0.22, 0, 1) * 0.36  # mud that the water reached an hour ago
    color *= (1 - wet)[..., None]
    silt = upscale(octaves(rng, MAP_PX // 4, 8, 4), MAP_PX)
    streak = np.tile(stretched_tile(rng, 640, 120, 11) * 3.2 + stretched_tile(rng, 640, 34, 5) * 2.4,
                     (MAP_PX // 640, MAP_PX // 640))  # fmt: skip
    run = np.clip(deep / 1.6, 0, 1)
    wakes = _wakes(houses, rng)
    cover = np.clip(deep / 0.32, 0, 1) ** 0.7 * 0.95
    tone = streak * (0.35 + 0.65 * run) + silt * 5 + wakes
    # Shallow backwater is darker and greener; the channel carries the light-coloured silt.
    for channel, (calm, fast) in enumerate(((70, 92), (98, 122), (112, 147))):
        water = calm + (fast - calm) * run + tone * (0.9, 1.0, 1.06)[channel]
        color[..., channel] += (water - color[..., channel]) * cover
    foam = np.exp(-(((deep - 0.035) / 0.028) ** 2)) * np.clip(silt + 0.6, 0, 1)
    color += (foam * 26)[..., None]
    ground = np.clip(color, 0, 255).astype(np.uint8)
    _litter(ground, depth, rng)
    return ground


def _wakes(houses: tuple[House, ...], rng: np.random.Generator) -> Floats:
    """Eddies behind whatever stands in the water: lighter, torn streaks downstream (+x)."""
    small = np.zeros((_HALF, _HALF), np.float32)
    for h in houses:
        if not h.flooded:
            continue
        ring = corners(h.x, h.y, h.length + 9, h.width + 9, h.angle) / 2
        cv2.polylines(small, [np.round(ring).astype(np.int32)], True, 15.0, 2, cv2.LINE_AA)
        for _ in range(9):
            y = h.y + rng.uniform(-0.55, 0.55) * h.width
            x = h.x + h.length * 0.5
            end = (int((x + rng.uniform(40, 190)) / 2), int((y + rng.uniform(-12, 12)) / 2))
            cv2.line(
                small, (int(x / 2), int(y / 2)), end, float(rng.uniform(-14, 24)), 2, cv2.LINE_AA
            )
    return upscale(np.asarray(cv2.GaussianBlur(small, (0, 0), 1.6), np.float32), MAP_PX)


def _litter(ground: Image, depth: Floats, rng: np.random.Generator) -> None:
    """Branches and rubbish that the water left along its edge."""
    edge = np.argwhere(np.abs(depth - 0.06) < 0.05)
    for y, x in edge[rng.integers(0, len(edge), 900)] * 2:
        reach = rng.uniform(1.5, 6) * np.array((1.0, rng.normal(0, 1.1)))
        tone = int(rng.choice((44, 54, 66, 96)))
        end = (int(x + reach[0]), int(y + reach[1]))
        cv2.line(ground, (int(x), int(y)), end, (tone, tone + 6, tone + 12), 1, cv2.LINE_AA)


def _shadows(
    ground: Image, houses: tuple[House, ...], trees: tuple[Tree, ...], low: tuple[Tree, ...]
) -> None:
    mask = np.zeros((MAP_PX, MAP_PX), np.uint8)
    sun = np.array(SUN, np.float32)
    for h in houses:
        base = corners(h.x, h.y, h.length, h.width, h.angle)
        middle = np.array([(base[3] + base[0]) / 2, (base[1] + base[2]) / 2])
        hull = cv2.convexHull(np.concatenate([base, base + sun * h.eaves, middle + sun * h.ridge]))
        cv2.fillPoly(mask, [np.round(hull).astype(np.int32)], 255, cv2.LINE_AA)
    for tree in (*trees, *low):
        x, y = np.array((tree.x, tree.y)) + sun * tree.height * 0.8
        axes = (int(36 * tree.scale * 1.12), int(33 * tree.scale))
        cv2.ellipse(mask, (int(x), int(y)), axes, 35.0, 0, 360, 255, -1, cv2.LINE_AA)
    taken = cv2.convertScaleAbs(cv2.GaussianBlur(mask, (0, 0), 1.3), alpha=0.52)
    dark = cv2.multiply(ground, cv2.merge([taken] * 3), scale=1 / 255)
    np.copyto(ground, cv2.subtract(ground, dark))
