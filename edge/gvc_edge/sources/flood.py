"""`synthetic:flood`: a drone over a flooded village, drawn by a seeded program. Never call it real.

    World (once) -> flight -> warp of the ground -> water -> trees, houses -> movers -> sensor

Every object's box in the picture is known exactly: `boxes(frame_no)`. The same query gives the same
frames, and a frame does not depend on the ones before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from urllib.parse import parse_qsl

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.base import MAX_SIDE_PX, MIN_SIDE_PX, SourceInfo, check_seconds, even_size
from gvc_edge.sources.flood_camera import Camera, Flight
from gvc_edge.sources.flood_draw import draw_house, draw_tree
from gvc_edge.sources.flood_movers import Kind, Mover, draw_mover, make_movers, outline
from gvc_edge.sources.flood_noise import Image, lower
from gvc_edge.sources.flood_sprites import roof_textures
from gvc_edge.sources.flood_water import Water
from gvc_edge.sources.flood_world import World, make_world
from gvc_protocol.codec import SourceFrame
from gvc_protocol.errors import UserError

__all__ = ["FloodQuery", "FloodSource", "TrueBox", "parse_flood_query"]

_NOISE_BIAS = 24
_SPARE_PX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueBox:
    """Where an object is in one frame: source pixels, upper left inclusive, lower right exclusive."""

    kind: Kind
    x0: int
    y0: int
    x1: int
    y1: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodQuery:
    """What `synthetic:flood?...` asks for."""

    seed: int = 1
    seconds: float = 10.0
    width: int = 854
    height: int = 480
    fps: int = 30


_LIMITS = {"seed": (0, 2**31 - 1), "seconds": (0.1, 3600), "fps": (1, 120)}


def parse_flood_query(text: str) -> FloodQuery:
    """`seed=1&seconds=10&size=854x480&fps=30`, any of them. Raises UserError, naming the range."""
    values: dict[str, float] = {"seed": 1, "seconds": 10.0, "fps": 30}
    size = (854, 480)
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name != "size" and name not in values:
            raise UserError(f"synthetic:flood knows no {name!r}; use seed, seconds, size and fps")
        try:
            if name == "size":
                width, height = value.lower().split("x")
                size = (int(width), int(height))
            else:
                values[name] = float(value) if name == "seconds" else int(value)
        except ValueError:
            raise UserError(
                f"synthetic:flood: {name}={value} cannot be read; give {_allowed(name)}"
            ) from None
    for name, (low, high) in _LIMITS.items():
        if not low <= values[name] <= high:
            raise UserError(
                f"synthetic:flood: {name}={values[name]:.10g}; give {low:g} to {high:.10g}"
            )
    return FloodQuery(
        seed=int(values["seed"]), seconds=values["seconds"], width=size[0], height=size[1],
        fps=int(values["fps"]),
    )  # fmt: skip


def _allowed(name: str) -> str:
    if name == "size":
        return f"WIDTHxHEIGHT, each {MIN_SIDE_PX} to {MAX_SIDE_PX} and even, e.g. 854x480"
    low, high = _LIMITS[name]
    return f"{'a number' if name == 'seconds' else 'a whole number'} from {low} to {high}"


@dataclass(frozen=True, slots=True)
class _Scene:
    """What one seed draws: seconds of work, so it is made at the first picture, and kept."""

    world: World
    roofs: tuple[tuple[Image, Image], ...]
    water: Water
    movers: tuple[Mover, ...]
    trees_xy: NDArray[np.float64]
    houses_xy: NDArray[np.float64]


def _stream(seed: int, layer: int) -> np.random.Generator:
    """One stream a layer: a change to one does not redraw the others."""
    return np.random.default_rng((seed, layer))


@lru_cache(maxsize=3)
def _scene(seed: int) -> _Scene:
    world = make_world(_stream(seed, 0))
    return _Scene(
        world, roof_textures(_stream(seed, 1)), Water(_stream(seed, 2), world),
        make_movers(_stream(seed, 3), world),
        np.array([(tree.x, tree.y) for tree in world.trees]).reshape(-1, 2),
        np.array([(house.x, house.y) for house in world.houses]).reshape(-1, 2),
    )  # fmt: skip


class FloodSource:
    """The synthetic flood as a `FrameSource`."""

    def __init__(
        self, query: FloodQuery, *, start_us: int, seconds: float | None, crop_even: bool
    ) -> None:
        check_seconds(seconds)
        width, height = even_size("synthetic:flood", query.width, query.height, crop_even=crop_even)
        length = query.seconds if seconds is None else min(seconds, query.seconds)
        self.info = SourceInfo(
            name=f"synthetic:flood (seed {query.seed})", width=width, height=height,
            fps=Fraction(query.fps), total_frames=max(1, round(length * query.fps)), live=False,
            synthetic=True,
        )  # fmt: skip
        self.seed, self._start_us, self._closed = query.seed, start_us, False
        self._flight = Flight(_stream(query.seed, 4), width, height)

    @cached_property
    def _grain(self) -> Image:
        """Noise, drawn once and shifted in each frame: anew it would cost more than all the rest."""
        rng = _stream(self.seed, 5)
        shape = (self.info.height + _SPARE_PX, self.info.width + _SPARE_PX, 3)
        grain = rng.standard_normal(shape, np.float32) * 1.3
        grain += rng.standard_normal((*shape[:2], 1), np.float32) * 2.0
        return np.asarray(np.clip(grain + _NOISE_BIAS, 0, 255), np.uint8)

    @property
    def scene(self) -> _Scene:
        """What is drawn; the same for all sources of one seed."""
        return _scene(self.seed)

    @cached_property
    def _movers(self) -> tuple[Mover, ...]:
        return self.scene.movers

    def frames(self) -> Iterator[SourceFrame]:
        """See `FrameSource`."""
        for number in range(self.info.total_frames):
            if self._closed:
                return
            capture_us = self._start_us + round(number * 1_000_000 / self.info.fps)
            yield SourceFrame(frame_no=number, capture_us=capture_us, pixels=self.render(number))

    def close(self) -> None:
        """End `frames`."""
        self._closed = True

    def boxes(self, frame_no: int) -> tuple[TrueBox, ...]:
        """True boxes of the vehicles (parked and drowned ones too), people and boats that are seen.

        An object counts as seen when at least 40 % of its box is inside the picture; shadow and wake do
        not belong to it. Nothing hides a mover: they are placed clear of trees and walls, drawn last.
        """
        t = frame_no / float(self.info.fps)
        camera, out = self._flight.at(t), []
        for mover in self._near(camera, t):
            points = outline(camera, mover, t)
            (x0, y0), (x1, y1) = np.floor(points.min(0)), np.ceil(points.max(0))
            left, top = max(x0, 0.0), max(y0, 0.0)
            right, low = min(x1, float(self.info.width)), min(y1, float(self.info.height))
            if right - left < 2 or low - top < 2:
                continue
            if (right - left) * (low - top) < 0.4 * (x1 - x0) * (y1 - y0):
                continue
            out.append(
                TrueBox(kind=mover.kind, x0=int(left), y0=int(top), x1=int(right), y1=int(low))
            )
        return tuple(out)

    def render(self, frame_no: int, *, movers: bool = True) -> Image:
        """uint8[H, W, 3] BGR of one frame; without `movers`, the same scene left empty."""
        t = frame_no / float(self.info.fps)
        camera = self._flight.at(t)
        size = (self.info.width, self.info.height)
        picture = np.asarray(
            cv2.warpPerspective(
                self.scene.world.ground, camera.ground, size, borderMode=cv2.BORDER_REFLECT
            ),
            np.uint8,
        )
        self.scene.water.ripple(picture, camera, t)
        self.scene.water.debris(picture, camera, t)
        self._draw_tall(picture, camera, t)
        if movers:
            self._draw_movers(picture, camera, t)
        return self._sensor(picture, frame_no, t)

    def _draw_tall(self, picture: Image, camera: Camera, t: float) -> None:
        scene, world = self.scene, self.scene.world
        margin = 110.0 * camera.scale
        for i in np.flatnonzero(camera.sees(scene.trees_xy, margin)):
            tree = world.trees[i]
            draw_tree(picture, camera, tree, world.sprites[tree.sprite], t)
        for i in np.flatnonzero(camera.sees(scene.houses_xy, margin)):
            house = world.houses[i]
            draw_house(picture, camera, house, scene.roofs[house.roof])

    def _draw_movers(self, picture: Image, camera: Camera, t: float) -> None:
        for mover in self._near(camera, t):
            draw_mover(picture, camera, mover, t)

    def _near(self, camera: Camera, t: float) -> list[Mover]:
        """Movers in or beside the picture, in the order in which they are drawn."""
        movers = self._movers
        places = np.array([mover.at(t)[:2] for mover in movers]).reshape(-1, 2)
        seen = camera.sees(places, 150.0 * camera.scale)
        return [movers[i] for i in np.flatnonzero(seen)]

    def _sensor(self, picture: Image, number: int, t: float) -> Image:
        """Haze, exposure drift and noise."""
        exposure = 1.0 + 0.03 * math.sin(0.7 * t + self.seed)
        hazy = cv2.convertScaleAbs(picture, alpha=0.92 * exposure, beta=15.0)
        dx, dy = (number * 37) % _SPARE_PX, (number * 23) % _SPARE_PX
        h, w = hazy.shape[:2]
        grain = self._grain[dy : dy + h, dx : dx + w]
        # Noise is stored with a bias, so that both steps stay in fast uint8 arithmetic.
        return lower(np.asarray(cv2.add(hazy, grain), np.uint8), _NOISE_BIAS)
