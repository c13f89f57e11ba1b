"""`synthetic:flood`: a drone over a flooded village, drawn by a seeded program. Never call it real.

    World (once) -> camera path -> warp of the ground -> houses with parallax -> movers -> sensor

Every mover's box in the picture is known exactly: `boxes(frame_no)`. The same query, the same frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from urllib.parse import parse_qsl

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.base import SourceInfo, even_size
from gvc_edge.sources.flood_draw import Camera, draw_house, make_movers, outline, paint_mover
from gvc_edge.sources.flood_world import MAP_PX, make_world
from gvc_protocol.codec import SourceFrame
from gvc_protocol.errors import UserError

__all__ = ["FloodQuery", "FloodSource", "TrueBox", "parse_flood_query"]

Image = NDArray[np.uint8]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueBox:
    """Where a mover is in one frame, source pixels, upper left inclusive."""

    kind: str
    "`vehicle`, `person` or `boat`."
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


def parse_flood_query(text: str) -> FloodQuery:
    """`seed=1&seconds=10&size=854x480&fps=30`, any of them. Raises UserError, naming the range."""
    values: dict[str, float] = {}
    size = (854, 480)
    for name, value in parse_qsl(text, keep_blank_values=True):
        try:
            if name == "size":
                width, height = value.lower().split("x")
                size = (int(width), int(height))
            elif name in ("seed", "fps"):
                values[name] = int(value)
            elif name == "seconds":
                values[name] = float(value)
            else:
                raise UserError(
                    f"synthetic:flood knows no {name!r}; use seed, seconds, size and fps"
                )
        except ValueError:
            raise UserError(f"synthetic:flood: {name}={value} cannot be read; "
                            "give e.g. seed=1&seconds=10&size=854x480&fps=30") from None  # fmt: skip
    limits = (("seed", 0, 2**31 - 1), ("seconds", 0.1, 3600), ("fps", 1, 120))
    for name, low, high in limits:
        if name in values and not low <= values[name] <= high:
            raise UserError(f"synthetic:flood: {name}={values[name]:g}; give {low:g} to {high:g}")
    return FloodQuery(
        seed=int(values.get("seed", 1)), seconds=values.get("seconds", 10.0), width=size[0],
        height=size[1], fps=int(values.get("fps", 30)),
    )  # fmt: skip


class FloodSource:
    """The synthetic flood as a `FrameSource`."""

    def __init__(
        self, query: FloodQuery, *, start_us: int, seconds: float | None, crop_even: bool
    ) -> None:
        width, height = even_size("synthetic:flood", query.width, query.height, crop_even=crop_even)
        length = query.seconds if seconds is None else min(seconds, query.seconds)
        self.info = SourceInfo(
            name=f"synthetic:flood (seed {query.seed})", width=width, height=height,
            fps=Fraction(query.fps), total_frames=max(1, round(length * query.fps)), live=False,
            synthetic=True,
        )  # fmt: skip
        self._seed, self._start_us = query.seed, start_us
        self._rng = np.random.default_rng(query.seed)
        self._world = make_world(self._rng)
        self._movers = make_movers(self._rng, self._world)
        self._path = self._rng.uniform(0, 2 * np.pi, 8)
        # Sensor noise is drawn once and shifted: drawing it anew costs more than all the rest.
        self._grain = self._rng.normal(0, 2.2, (height + 64, width + 64, 1)).astype(np.int8)

    def frames(self) -> Iterator[SourceFrame]:
        """See `FrameSource`."""
        for number in range(self.info.total_frames):
            capture_us = self._start_us + round(number * 1_000_000 / self.info.fps)
            yield SourceFrame(
                frame_no=number, capture_us=capture_us, pixels=self._render(number)[0]
            )

    def boxes(self, frame_no: int) -> tuple[TrueBox, ...]:
        """The movers that are visible in a frame."""
        camera = self._camera(frame_no / float(self.info.fps))
        return self._draw_movers(None, camera, frame_no / float(self.info.fps))

    def close(self) -> None:
        """Nothing to give back."""

    def _camera(self, t: float) -> Camera:
        """Map to picture, 3x3: drift along the valley, slow yaw, breathing zoom, shake, slight tilt."""
        p, (w, h) = self._path, (self.info.width, self.info.height)
        scale = w / 854 * (0.92 + 0.10 * math.sin(0.21 * t + p[0]))
        yaw = 0.25 * math.sin(0.13 * t + p[1]) + 0.004 * math.sin(3.1 * t + p[2])
        cx = MAP_PX * 0.46 + 330 * math.sin(0.075 * t + p[3]) + 2.0 * math.sin(5.3 * t + p[4])
        cy = MAP_PX * 0.50 + 420 * math.sin(0.062 * t + p[5]) + 2.0 * math.sin(4.4 * t + p[6])
        c, s = math.cos(yaw) * scale, math.sin(yaw) * scale
        flat = np.array(
            [[c, -s, w / 2 - c * cx + s * cy], [s, c, h / 2 - s * cx - c * cy], [0, 0, 1]]
        )
        # Tilt: the upper edge is farther away.
        tilt = np.array([[1, 0, 0], [0, 1, 0], [0, -0.16 / h, 1.08]])
        centre = np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1]], float)
        back = np.array([[1, 0, w / 2], [0, 1, h / 2], [0, 0, 1]], float)
        return Camera(np.asarray(back @ tilt @ centre @ flat), (w / 2, h / 2))

    def _render(self, number: int) -> tuple[Image, tuple[TrueBox, ...]]:
        t = number / float(self.info.fps)
        size = (self.info.width, self.info.height)
        camera = self._camera(t)
        warped = cv2.warpPerspective(
            self._world.ground,
            camera.matrix,
            size,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        picture = np.asarray(warped, np.uint8)
        self._glint(picture, camera.matrix, t)
        for house in self._world.houses:
            draw_house(picture, camera, house)
        boxes = self._draw_movers(picture, camera, t)
        return self._sensor(picture, number, t), boxes

    def _glint(self, picture: Image, camera: Matrix, t: float) -> None:
        """Light that runs over the water."""
        quarter = np.diag([0.25, 0.25, 1.0]) @ camera
        h, w = picture.shape[0] // 4, picture.shape[1] // 4
        depth = cv2.warpPerspective(self._world.water, quarter, (w, h))
        x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
        inverse = np.linalg.inv(quarter).astype(np.float32)
        mx = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
        my = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]
        wave = np.sin(mx * 0.09 - 2.6 * t) * np.sin(my * 0.16 + 0.9 * t + mx * 0.02)
        light = np.where(depth > 0.12, np.clip(wave - 0.35, 0, 1) * 34, 0).astype(np.float32)
        large = cv2.resize(light, (picture.shape[1], picture.shape[0]))
        cv2.add(picture, cv2.merge([large] * 3).astype(np.uint8), dst=picture)

    def _draw_movers(self, picture: Image | None, camera: Camera, t: float) -> tuple[TrueBox, ...]:
        boxes = []
        for mover in self._movers:
            shape = outline(camera, mover, t)
            x0, y0 = np.floor(shape.min(0)).astype(int)
            x1, y1 = np.ceil(shape.max(0)).astype(int)
            if x1 <= 0 or y1 <= 0 or x0 >= self.info.width or y0 >= self.info.height:
                continue
            if picture is not None:
                paint_mover(picture, camera, mover, t)
            boxes.append(
                TrueBox(
                    kind=mover.kind, x0=max(0, int(x0)), y0=max(0, int(y0)),
                    x1=min(self.info.width, int(x1)), y1=min(self.info.height, int(y1)),
                )
            )  # fmt: skip
        return tuple(boxes)

    def _sensor(self, picture: Image, number: int, t: float) -> Image:
        """Haze, exposure drift and noise."""
        gain = (1 - 0.08) * (1 + 0.035 * math.sin(0.9 * t))
        out = cv2.convertScaleAbs(picture, alpha=gain, beta=0.08 * 205)
        dx, dy = (number * 37) % 64, (number * 23) % 64
        h, w = out.shape[:2]
        grain = self._grain[dy : dy + h, dx : dx + w]
        noisy = cv2.add(out, cv2.merge([grain] * 3), dtype=cv2.CV_8U)
        return np.asarray(noisy, np.uint8)
