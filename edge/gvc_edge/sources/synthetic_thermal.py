"""`synthetic:thermal`: a white-hot camera over a village at night, drawn by a seeded program. Not real.

    map of temperatures (once) -> flight -> warp -> movers, fires -> optics, noise -> counts -> grey

Counts are hundredths of a kelvin. Every object's box in the picture is known exactly: `boxes(frame_no)`.
The same query gives the same counts, and those of a frame do not depend on the ones before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from urllib.parse import parse_qsl

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.base import MAX_SIDE_PX, MIN_SIDE_PX, SourceInfo, check_seconds, even_size
from gvc_edge.sources.flood_noise import Floats, Image
from gvc_edge.sources.thermal import SlowGain
from gvc_edge.sources.thermal_world import MAP_PX, HotKind, HotObject, make_hot, make_world, stream
from gvc_protocol.codec import SourceFrame
from gvc_protocol.errors import UserError

__all__ = ["ThermalBox", "ThermalQuery", "ThermalSource", "parse_thermal_query"]

Counts = NDArray[np.uint16]

_DIAGONAL = math.hypot(640, 512)
_KELVIN, _COUNTS_PER_K = 273.15, 100.0
_NOISE_COUNTS, _PIXEL_COUNTS, _COLUMN_COUNTS = 5.0, 3.0, 3.0
_LIMITS = {"seed": (0, 2**31 - 1), "seconds": (0.1, 3600), "fps": (1, 120), "movers": (0, 64)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermalBox:
    """Where an object is in one frame: source pixels, upper left inclusive, lower right exclusive."""

    kind: HotKind
    x0: int
    y0: int
    x1: int
    y1: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermalQuery:
    """What `synthetic:thermal?...` asks for."""

    seed: int = 1
    seconds: float = 10.0
    width: int = 640
    height: int = 512
    fps: int = 30
    movers: int = 14


def parse_thermal_query(text: str) -> ThermalQuery:
    """`seed=1&seconds=10&size=640x512&fps=30&movers=14`, any of them. Raises UserError."""
    values: dict[str, float] = {"seed": 1, "seconds": 10.0, "fps": 30, "movers": 14}
    size = (640, 512)
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name != "size" and name not in values:
            raise UserError(
                f"synthetic:thermal knows no {name!r}; use seed, seconds, size, fps and movers"
            )
        try:
            if name == "size":
                width, height = value.lower().split("x")
                size = (int(width), int(height))
            else:
                values[name] = float(value) if name == "seconds" else int(value)
        except ValueError:
            raise UserError(
                f"synthetic:thermal: {name}={value} cannot be read; give {_allowed(name)}"
            ) from None
    for name, (low, high) in _LIMITS.items():
        if not low <= values[name] <= high:
            raise UserError(f"synthetic:thermal: {name}={values[name]:.10g}; give {_allowed(name)}")
    return ThermalQuery(
        seed=int(values["seed"]), seconds=values["seconds"], width=size[0], height=size[1],
        fps=int(values["fps"]), movers=int(values["movers"]),
    )  # fmt: skip


def _allowed(name: str) -> str:
    if name == "size":
        return f"WIDTHxHEIGHT, each {MIN_SIDE_PX} to {MAX_SIDE_PX} and even, e.g. 640x512"
    low, high = _LIMITS[name]
    return f"{'a number' if name == 'seconds' else 'a whole number'} from {low} to {high}"


class ThermalSource:
    """The synthetic thermal flight as a `FrameSource`."""

    def __init__(
        self, query: ThermalQuery, *, start_us: int, seconds: float | None, crop_even: bool
    ) -> None:
        check_seconds(seconds)
        size = even_size("synthetic:thermal", query.width, query.height, crop_even=crop_even)
        length = query.seconds if seconds is None else min(seconds, query.seconds)
        self.info = SourceInfo(
            name=f"synthetic:thermal (seed {query.seed})", width=size[0], height=size[1],
            fps=Fraction(query.fps), total_frames=max(1, round(length * query.fps)), live=False,
            synthetic=True, mono=True,
        )  # fmt: skip
        self.seed, self._movers = query.seed, query.movers
        self._start_us, self._closed = start_us, False
        self._phase = stream(query.seed, 2).uniform(0, 2 * np.pi, 8)
        self._gain = SlowGain(float(query.fps), 16)

    @cached_property
    def _hot(self) -> tuple[HotObject, ...]:
        return make_hot(stream(self.seed, 1), make_world(self.seed), self._movers)

    @cached_property
    def _pattern(self) -> Floats:
        """float32[H, W]: what each pixel and column of this one sensor adds to every picture."""
        rng = stream(self.seed, 3)
        shape = (self.info.height, self.info.width)
        pixels = rng.standard_normal(shape, np.float32) * _PIXEL_COUNTS
        columns = rng.standard_normal((1, shape[1]), np.float32) * _COLUMN_COUNTS
        return np.asarray(pixels + columns, np.float32)

    def frames(self) -> Iterator[SourceFrame]:
        """See `FrameSource`."""
        self._gain = SlowGain(float(self.info.fps), 16)
        for number in range(self.info.total_frames):
            if self._closed:
                return
            capture_us = self._start_us + round(number * 1_000_000 / self.info.fps)
            pixels: Image = self._gain.map(self.counts(number))
            yield SourceFrame(frame_no=number, capture_us=capture_us, pixels=pixels)

    def close(self) -> None:
        """End `frames`."""
        self._closed = True

    def thermal_range(self) -> tuple[int, int] | None:
        """See `ThermalRange`."""
        return self._gain.range

    def thermal_knee(self) -> int | None:
        """See `ThermalRange`."""
        return self._gain.knee

    def boxes(self, frame_no: int) -> tuple[ThermalBox, ...]:
        """True boxes of vehicles, people and fires of which at least 40 % is in the picture."""
        t, out = frame_no / float(self.info.fps), []
        camera = self._camera(t)
        for hot in self._hot:
            points = cv2.transform(hot.outline(t)[None], camera)[0]
            (x0, y0), (x1, y1) = np.floor(points.min(0)), np.ceil(points.max(0)) + 1
            left, top = max(x0, 0.0), max(y0, 0.0)
            right, low = min(x1, float(self.info.width)), min(y1, float(self.info.height))
            inside = max(0.0, right - left) * max(0.0, low - top)
            if inside >= max(4.0, 0.4 * (x1 - x0) * (y1 - y0)):
                box = ThermalBox(
                    kind=hot.kind, x0=int(left), y0=int(top), x1=int(right), y1=int(low)
                )
                out.append(box)
        return tuple(out)

    def counts(self, frame_no: int) -> Counts:
        """uint16[H, W]: what the sensor gives for one frame, hundredths of a kelvin."""
        t = frame_no / float(self.info.fps)
        camera = self._camera(t)
        size = (self.info.width, self.info.height)
        scene = np.asarray(
            cv2.warpAffine(
                make_world(self.seed).celsius, camera, size, flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT,
            ),
            np.float32,
        )  # fmt: skip
        for hot in self._hot:
            self._draw(scene, camera, hot, t)
        soft = cv2.GaussianBlur(scene, (3, 3), 0.6)
        raw = (np.asarray(soft, np.float32) + _KELVIN) * _COUNTS_PER_K + self._pattern
        noise = np.random.default_rng((self.seed, 78, frame_no)).standard_normal(
            raw.shape, np.float32
        )
        return np.clip(raw + _NOISE_COUNTS * noise, 0, 65535).astype(np.uint16)

    def _camera(self, t: float) -> NDArray[np.float64]:
        """float64[2, 3]: map to picture. It drifts, turns, climbs and shakes, and stays over the map."""
        p = self._phase
        scale = math.hypot(self.info.width, self.info.height) / _DIAGONAL
        zoom = scale * (1 + 0.07 * math.sin(0.17 * t + p[0]))
        yaw = 0.5 * math.sin(0.08 * t + p[1]) + 0.004 * math.sin(3.3 * t + p[2])
        x = MAP_PX / 2 + 190 * math.sin(0.07 * t + p[3]) + 0.8 * math.sin(5.1 * t + p[4])
        y = MAP_PX / 2 + 190 * math.sin(0.06 * t + p[5]) + 0.8 * math.sin(4.3 * t + p[6])
        c, s = zoom * math.cos(yaw), zoom * math.sin(yaw)
        turn = np.array([[c, -s], [s, c]])
        middle = np.array((self.info.width / 2, self.info.height / 2))
        return np.concatenate([turn, (middle - turn @ (x, y))[:, None]], axis=1)

    def _draw(self, scene: Floats, camera: NDArray[np.float64], hot: HotObject, t: float) -> None:
        outline = cv2.transform(hot.outline(t)[None], camera)[0]
        fixed = np.round(outline * 16).astype(np.int32)
        if hot.kind == "vehicle":
            cv2.fillPoly(scene, [fixed], hot.heat, cv2.LINE_8, shift=4)
            front, back = outline[1:3].mean(0), outline[[0, 3]].mean(0)
            engine = np.round((0.76 * front + 0.24 * back) * 16).astype(int).tolist()
            radius = 0.3 * float(np.hypot(*(outline[1] - outline[2])))
            cv2.circle(scene, engine, round(radius * 16), hot.heat + 22, -1, cv2.LINE_8, shift=4)
            return
        middle: list[int] = np.round(outline.mean(0) * 16).astype(int).tolist()
        sides = outline[1] - outline[0], outline[3] - outline[0]
        axes = tuple(max(8, round(8 * float(np.hypot(*side)))) for side in sides)
        angle = math.degrees(math.atan2(sides[0][1], sides[0][0]))
        heat = hot.heat
        if hot.kind == "fire":
            flicker = 0.8 + 0.2 * math.sin(17 * t + hot.phase) * math.sin(7.3 * t)
            heat *= flicker
            rim = 0.5 * heat + 8 * math.sin(9 * t + hot.phase)
            cv2.ellipse(scene, middle, axes, angle, 0, 360, rim, -1, cv2.LINE_8, shift=4)
            axes = tuple(max(8, round(0.6 * flicker * axis)) for axis in axes)
        cv2.ellipse(scene, middle, axes, angle, 0, 360, heat, -1, cv2.LINE_8, shift=4)
