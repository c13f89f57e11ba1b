"""What moves on the water in each frame: ripples that run with the current, glints, drifting debris."""

from __future__ import annotations

import cv2
import numpy as np

from gvc_edge.sources.flood_camera import Camera
from gvc_edge.sources.flood_layout import FLOW_PX_S, MAP_PX, corners
from gvc_edge.sources.flood_noise import Image, lower, stretched_tile
from gvc_edge.sources.flood_world import World

__all__ = ["Water"]

_TILE = 512
_DEBRIS = 340


class Water:
    """Animated water of one world."""

    def __init__(self, rng: np.random.Generator, world: World) -> None:
        self._world = world
        self._mask = np.clip(world.depth / 0.5 * 255, 0, 255).astype(np.uint8)
        self._tiles = tuple(
            np.clip(128 + 44 * stretched_tile(rng, _TILE, a, b), 0, 255).astype(np.uint8)
            for a, b in ((26, 9), (19, 11))
        )
        self._clear = _open_water(world)
        self._x = rng.uniform(0, MAP_PX, _DEBRIS)
        self._side = rng.normal(0, 120, _DEBRIS)
        self._long = np.where(
            rng.random(_DEBRIS) < 0.25, rng.uniform(14, 34, _DEBRIS), rng.uniform(3, 10, _DEBRIS)
        )
        self._wide = np.minimum(self._long * 0.7, rng.uniform(2, 5, _DEBRIS))
        self._turn = rng.uniform(0, 6.3, _DEBRIS)
        self._tone = rng.integers(0, 6, _DEBRIS)

    def ripple(self, picture: Image, camera: Camera, t: float) -> None:
        """Light and dark of small waves, and sparks of sun, where there is water."""
        h, w = picture.shape[:2]
        # At half size: waves are soft, and a quarter of the pixels is a quarter of the time.
        half = np.diag([0.5, 0.5, 1.0]) @ camera.ground
        size = ((w + 1) // 2, (h + 1) // 2)
        mask = cv2.warpPerspective(self._mask, half @ np.diag([2.0, 2.0, 1.0]), size)
        if not mask.any():
            return
        waves: list[Image] = []
        for tile, speed, drift in zip(self._tiles, (1.0, 0.62), (0.0, 5.0), strict=True):
            shift = np.array(
                [[1, 0, FLOW_PX_S * speed * t % _TILE], [0, 1, drift * t % _TILE], [0, 0, 1.0]]
            )
            wave = cv2.warpPerspective(tile, half @ shift, size, borderMode=cv2.BORDER_WRAP)
            waves.append(np.asarray(wave, np.uint8))
        mean = np.asarray(cv2.addWeighted(waves[0], 0.5, waves[1], 0.5, 0), np.uint8)
        both = np.asarray(cv2.multiply(waves[0], waves[1], scale=1 / 255), np.uint8)
        spark = lower(both, 124)
        light = cv2.addWeighted(lower(mean, 128), 0.20, spark, 1.05, 0)
        shade = cv2.convertScaleAbs(lower(255 - mean, 127), alpha=0.22)
        for change, apply in ((light, cv2.add), (shade, cv2.subtract)):
            large = cv2.resize(cv2.multiply(change, mask, scale=1 / 255), (w, h))
            apply(picture, cv2.merge([large] * 3), dst=picture)

    def debris(self, picture: Image, camera: Camera, t: float) -> None:
        """Boards, branches and barrels that the current carries along the river."""
        world, (h, w) = self._world, picture.shape[:2]
        x = np.mod(self._x + FLOW_PX_S * 0.8 * t, MAP_PX)
        y = np.interp(x, world.river[:, 0], world.river[:, 1]) + self._side
        at = camera.project(np.stack([x, y], -1))
        inside = (at > -20).all(1) & (at[:, 0] < w + 20) & (at[:, 1] < h + 20)
        rows = np.clip(y.astype(int) // 2, 0, len(self._clear) - 1)
        seen = np.flatnonzero(inside & (self._clear[rows, x.astype(int) // 2] > 0))
        tones = (
            (52, 70, 86),
            (70, 92, 110),
            (128, 150, 166),
            (196, 204, 208),
            (36, 44, 50),
            (70, 96, 150),
        )
        for i in seen:
            turn = float(self._turn[i] + 0.25 * np.sin(0.5 * t + self._turn[i]))
            box = camera.project(corners(x[i], y[i], self._long[i], self._wide[i], turn))
            points = [np.round(box * 16).astype(np.int32)]
            cv2.fillPoly(picture, points, tones[self._tone[i]], cv2.LINE_AA, shift=4)


def _open_water(world: World) -> Image:
    """uint8[MAP_PX/2, MAP_PX/2]: 1 where something can float without touching a house."""
    clear = (world.depth > 0.3).astype(np.uint8)
    for h in world.houses:
        box = corners(h.x, h.y, h.length + 44, h.width + 44, h.angle) / 2
        cv2.fillPoly(clear, [np.round(box).astype(np.int32)], 0)
    return clear
