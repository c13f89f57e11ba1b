"""Small pictures with soft edges (trees, cars, boats, roofs), drawn once and warped into each frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.flood_noise import Floats, Image, octaves

__all__ = [
    "Sprite", "blit", "boat_sprite", "car_sprite", "roof_textures", "stamp",
    "tree_sprites", "wake_sprite",
]  # fmt: skip

Color = tuple[int, int, int]
_FINE = 4
"Sprites are drawn this much larger, then shrunk: soft edges for free."


@dataclass(frozen=True, slots=True)
class Sprite:
    """`color` is BGR times opacity, `hole` is 255 minus opacity; both uint8[H, W, 3]."""

    color: Image
    hole: Image
    px: float
    "Sprite pixels for one map pixel."


def make_sprite(color: NDArray[Any], alpha: NDArray[Any], px: float) -> Sprite:
    """Args: color [H, W, 3] 0..255; alpha float32[H, W] 0..1."""
    soft = np.clip(alpha, 0, 1)[..., None]
    hole = np.repeat(np.round(255 * (1 - soft)), 3, axis=2).astype(np.uint8)
    return Sprite(np.clip(color * soft, 0, 255).astype(np.uint8), hole, px)


def blit(picture: Image, sprite: Sprite, matrix: NDArray[np.float64]) -> None:
    """Draw a sprite; `matrix` float[2, 3] takes sprite pixels to picture pixels."""
    h, w = sprite.color.shape[:2]
    ends = np.array([[0, 0, 1], [w, 0, 1], [w, h, 1], [0, h, 1]], float) @ matrix.T
    x0, y0 = np.maximum(np.floor(ends.min(0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(ends.max(0)).astype(int) + 1, (picture.shape[1], picture.shape[0]))
    if x0 >= x1 or y0 >= y1:
        return
    shifted = matrix - np.array([[0, 0, x0], [0, 0, y0]])
    size = (int(x1 - x0), int(y1 - y0))
    color = cv2.warpAffine(sprite.color, shifted, size)
    hole = cv2.warpAffine(
        sprite.hole, shifted, size, borderMode=cv2.BORDER_CONSTANT, borderValue=(255,) * 3
    )
    area = picture[y0:y1, x0:x1]
    area[:] = cv2.add(cv2.multiply(area, hole, scale=1 / 255), color)


def stamp(ground: Image, sprite: Sprite, x: float, y: float, scale: float) -> None:
    """Draw a sprite on the map, its centre at `x, y`."""
    h, w = sprite.color.shape[:2]
    k = scale / sprite.px
    blit(ground, sprite, np.array([[k, 0, x - k * w / 2], [0, k, y - k * h / 2]]))


def tree_sprites(rng: np.random.Generator, count: int) -> tuple[Sprite, ...]:
    """Crowns of leaf clusters, about 72 map pixels wide at scale 1, lit from the upper left."""
    return tuple(_tree(rng, 96) for _ in range(count))


def _tree(rng: np.random.Generator, side: int) -> Sprite:
    color = np.zeros((side, side, 3), np.float32)
    alpha = np.zeros((side, side), np.float32)
    base = np.array((rng.uniform(34, 52), rng.uniform(64, 88), rng.uniform(50, 80)), np.float32)
    reach = side * 0.36
    clusters = int(rng.integers(95, 150))
    for i in range(clusters):
        turn, out = rng.uniform(0, 2 * np.pi), math.sqrt(rng.uniform(0, 1)) * reach
        # The later a cluster is drawn, the nearer it is to the top, and the brighter.
        out *= 1 - 0.45 * i / clusters
        x, y = side / 2 + out * math.cos(turn), side / 2 + out * math.sin(turn)
        facing = -(math.cos(turn) * 0.8 + math.sin(turn) * 0.6) * out / reach
        light = 0.62 + 0.55 * i / clusters + 0.32 * facing + rng.normal(0, 0.10)
        radius = float(rng.uniform(2.6, 7.0))
        center = (int(x * 16), int(y * 16))
        tone = tuple(float(v) for v in base * light)
        cv2.circle(color, center, int(radius * 16), tone, -1, cv2.LINE_AA, shift=4)
        cv2.circle(alpha, center, int(radius * 16), 1.0, -1, cv2.LINE_AA, shift=4)
    color += rng.normal(0, 7, (side, side, 1)).astype(np.float32)
    return make_sprite(color, cv2.GaussianBlur(alpha, (0, 0), 0.7), 1.0)


def _fine_shape(length: float, width: float) -> tuple[Floats, Floats, float]:
    size = (int((width + 4) * _FINE), int((length + 4) * _FINE))
    return np.zeros((*size, 3), np.float32), np.zeros(size, np.float32), float(_FINE)


def _shrunk(color: Floats, alpha: Floats, px: float) -> Sprite:
    half = (color.shape[1] // 2, color.shape[0] // 2)
    small = cv2.resize(color, half, interpolation=cv2.INTER_AREA)
    return make_sprite(small, cv2.resize(alpha, half, interpolation=cv2.INTER_AREA), px / 2)


def _rounded(
    into: Floats, box: tuple[float, float, float, float], radius: float, value: Any
) -> None:
    """Fill a rounded box (x0, y0, x1, y1 in fine pixels)."""
    x0, y0, x1, y1 = box
    r = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
    turns = np.linspace(0, 2 * np.pi, 33)[:-1]
    cx = np.where(np.cos(turns) > 0, x1 - r, x0 + r) + r * np.cos(turns)
    cy = np.where(np.sin(turns) > 0, y1 - r, y0 + r) + r * np.sin(turns)
    points = np.round(np.stack([cx, cy], -1) * 16).astype(np.int32)
    cv2.fillPoly(into, [points], value, cv2.LINE_AA, shift=4)


def car_sprite(length: float, width: float, paint: Color, *, truck: bool, drowned: bool) -> Sprite:
    """A vehicle from above, its nose to the right. A drowned one shows its cabin above brown water."""
    color, alpha, f = _fine_shape(length, width)
    h, w = alpha.shape
    at = 2 * f
    tone = np.array(paint, np.float32)

    def part(
        x0: float, y0: float, x1: float, y1: float, shade: object, radius: float = 1.2
    ) -> None:
        box = (
            at + x0 * (w - 2 * at),
            at + y0 * (h - 2 * at),
            at + x1 * (w - 2 * at),
            at + y1 * (h - 2 * at),
        )
        value = tuple(float(v) for v in np.broadcast_to(np.asarray(shade, np.float32), 3))
        _rounded(color, box, radius * f, value)

    _rounded(alpha, (at, at, w - at, h - at), 3.4 * f, 1.0)
    part(0, 0, 1, 1, tone * 0.72, 3.4)
    part(0.01, 0.05, 0.99, 0.90, tone, 3.2)
    if truck:
        part(0.02, 0.06, 0.66, 0.94, tone * 0.55, 0.6)
        part(0.05, 0.12, 0.64, 0.88, (92, 108, 118), 0.5)
        part(0.70, 0.10, 0.93, 0.90, tone * 1.1, 1.6)
        part(0.87, 0.12, 0.94, 0.88, (52, 44, 40), 0.8)
    else:
        part(0.14, 0.10, 0.76, 0.90, (46, 40, 36), 2.2)  # glass all round
        part(0.25, 0.15, 0.60, 0.85, np.minimum(tone * 1.12, 255), 1.8)
        part(0.28, 0.19, 0.52, 0.42, np.minimum(tone * 1.25 + 10, 255), 1.4)
        part(0.64, 0.18, 0.72, 0.50, (120, 112, 104), 0.8)  # sky in the windscreen
    part(0.96, 0.10, 0.995, 0.26, (215, 228, 232), 0.6)
    part(0.96, 0.74, 0.995, 0.90, (215, 228, 232), 0.6)
    part(0.005, 0.10, 0.035, 0.26, (40, 40, 170), 0.6)
    part(0.005, 0.74, 0.035, 0.90, (40, 40, 170), 0.6)
    if drowned:
        ends = np.linspace(0, 1, w, dtype=np.float32)
        sunk = np.clip(np.abs(ends - 0.44) * 6.5 - 1.4, 0, 0.94)[None, :, None]
        color += (np.array((84, 114, 136), np.float32) - color) * sunk
    return _shrunk(color, alpha, f)


def boat_sprite(length: float, width: float, hull: Color) -> Sprite:
    """An inflatable rescue boat from above, bow to the right, with its crew."""
    color, alpha, f = _fine_shape(length, width)
    h, w = alpha.shape
    at, mid = 2 * f, h / 2
    x = np.array([0, 0.55, 0.8, 0.95, 1.0, 0.95, 0.8, 0.55, 0], np.float32)
    y = np.array([-1, -1, -0.78, -0.35, 0, 0.35, 0.78, 1, 1], np.float32)
    for scale, shade in ((1.0, 0.75), (0.94, 1.0)):
        outline = np.stack([at + x * (w - 2 * at), mid + y * scale * (h / 2 - at)], -1)
        points = [np.round(outline * 16).astype(np.int32)]
        tone = tuple(float(v * shade) for v in hull)
        cv2.fillPoly(color, points, tone, cv2.LINE_AA, shift=4)
        if scale == 1.0:
            cv2.fillPoly(alpha, points, 1.0, cv2.LINE_AA, shift=4)
    inner = (at + 0.05 * w, mid - h * 0.2, at + 0.66 * w, mid + h * 0.2)
    _rounded(color, inner, 3 * f, (62.0, 66.0, 70.0))
    _rounded(color, (at - f, mid - 2 * f, at + 4 * f, mid + 2 * f), f, (36.0, 36.0, 38.0))
    for u, v, vest in (
        (0.16, 0.05, (30, 120, 245)),
        (0.38, -0.12, (40, 200, 235)),
        (0.52, 0.12, (30, 120, 245)),
    ):
        center = (int(at + u * w), int(mid + v * h))
        cv2.circle(color, center, int(2.5 * f), tuple(float(c) for c in vest), -1, cv2.LINE_AA)
        cv2.circle(color, center, int(1.2 * f), (50.0, 60.0, 80.0), -1, cv2.LINE_AA)
    return _shrunk(color, alpha, f)


def wake_sprite(rng: np.random.Generator, length: int, width: int) -> Sprite:
    """Foam behind a boat that heads to the right: a bright trail and two spreading arms."""
    x = np.linspace(1, 0, length, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, width, dtype=np.float32)[:, None]
    arms = np.exp(-(((np.abs(y) - 0.12 - 0.8 * x) / 0.085) ** 2)) * (1 - x) ** 1.1
    trail = np.exp(-((y / (0.12 + 0.12 * x)) ** 2)) * (1 - x) ** 0.7
    torn = octaves(rng, max(length, width), 26, 3)[:width, :length]
    alpha = np.clip((0.75 * arms + 0.85 * trail) * (0.62 + 0.42 * torn), 0, 0.9)
    return make_sprite(
        np.full((width, length, 3), (206, 218, 226), np.float32), alpha.astype(np.float32), 1.0
    )


def roof_textures(rng: np.random.Generator) -> tuple[tuple[Image, Image], ...]:
    """Eight roofs, each (sunlit slope, shaded slope) uint8[72, 192, 3]; row 0 is the ridge."""
    tiles: list[Color] = [(66, 82, 150), (58, 72, 126), (74, 96, 146), (96, 100, 106), (70, 72, 80),
                          (82, 104, 138), (150, 154, 158), (110, 104, 92)]  # fmt: skip
    return tuple(_roof(rng, tone, metal=i >= 6, sos=i == 6) for i, tone in enumerate(tiles))


def _roof(rng: np.random.Generator, tone: Color, *, metal: bool, sos: bool) -> tuple[Image, Image]:
    height, width = 72, 192
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None, :]
    both: list[Image] = []
    for light in (1.14, 0.74):
        if metal:
            pattern = 9 * np.sign(np.sin(x * 0.8)) + 0 * y
        else:
            # Courses of tiles, each second one shifted by half a tile.
            course = np.floor(y / 6)
            pattern = -16 * (np.mod(y, 6) < 1.2) - 6 * (np.mod(x + 4 * np.mod(course, 2), 8) < 1.2)
        stain = octaves(rng, width, 6, 4)[:height] * 7 + rng.normal(0, 5, (height, width))
        moss = np.clip(octaves(rng, width, 9, 3)[:height] - 0.9, 0, 1) * (y / height)
        color = np.array(tone, np.float32) * light + (pattern + stain)[..., None]
        color += (np.array((50, 84, 72), np.float32) - color) * (moss * 0.8)[..., None]
        slope = np.ascontiguousarray(np.clip(color, 0, 255).astype(np.uint8))
        slope[:3] = np.clip(np.array(tone) * light * 1.2, 0, 255).astype(np.uint8)
        slope[-2:] = (slope[-2:] * 0.6).astype(np.uint8)
        if light > 1 and not sos and rng.random() < 0.6:
            at = int(rng.integers(20, width - 50))
            cv2.rectangle(slope, (at, 24), (at + 18, 46), (86, 74, 62), -1)
            cv2.rectangle(slope, (at, 24), (at + 18, 46), (170, 172, 174), 1)
        if light > 1 and sos:
            cv2.putText(
                slope, "SOS", (52, 58), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (40, 40, 196), 7, cv2.LINE_AA
            )
        both.append(slope)
    return both[0], both[1]
