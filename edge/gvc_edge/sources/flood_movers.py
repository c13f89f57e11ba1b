"""Vehicles, people and boats of the flood: where they are at a time, how they look, their boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.flood_camera import Camera
from gvc_edge.sources.flood_draw import darken
from gvc_edge.sources.flood_layout import SUN, House, corners
from gvc_edge.sources.flood_noise import Floats, Image
from gvc_edge.sources.flood_sprites import Sprite, blit, boat_sprite, car_sprite, wake_sprite
from gvc_edge.sources.flood_world import World

__all__ = ["Kind", "Mover", "draw_mover", "make_movers", "outline"]

Kind = Literal["vehicle", "person", "boat"]
Color = tuple[int, int, int]
Pose = tuple[float, float, float]

_CLOTHES: tuple[Color, ...] = (
    (48, 48, 214), (222, 222, 226), (40, 190, 236), (186, 96, 48), (52, 140, 60), (36, 120, 246),
    (150, 70, 160),
)  # fmt: skip
_PAINTS: tuple[Color, ...] = (
    (214, 216, 216), (52, 50, 50), (44, 44, 160), (150, 104, 54), (120, 122, 122), (176, 182, 184),
    (90, 70, 46),
)  # fmt: skip
_SKIN: Color = (130, 158, 206)
_ARM = 7.0


@dataclass(frozen=True, slots=True, eq=False)
class Mover:
    """One object: swings along `path` (float32[N, 2], even steps) about `middle` by `reach` pixels."""

    kind: Kind
    path: Floats
    middle: float
    reach: float
    rate: float
    phase: float
    size: tuple[float, float]
    color: Color
    height: float = 0.0
    sprite: Sprite | None = None
    wake: Sprite | None = None
    drowned: bool = False

    def at(self, t: float) -> Pose:
        """Map x, y and heading at `t` seconds."""
        if self.kind == "boat":  # a loop, so that the bow is always ahead
            turn = self.rate * t + self.phase
            a, b = self.reach, self.size[1] * 2.1
            (x, y), heading = self.path[0], self.middle
            c, s = math.cos(heading), math.sin(heading)
            u, v = a * math.cos(turn), b * math.sin(turn)
            bow = math.atan2(b * math.cos(turn), -a * math.sin(turn))
            return float(x + c * u - s * v), float(y + s * u + c * v), heading + bow
        along = self.middle + self.reach * math.sin(self.rate * t + self.phase)
        (x0, y0), (x1, y1) = self.path[0], self.path[1]
        i = min(max(along / math.hypot(x1 - x0, y1 - y0), 0.0), len(self.path) - 1.001)
        k, part = int(i), i - int(i)
        here = self.path[k] * (1 - part) + self.path[k + 1] * part
        way = self.path[min(k + 2, len(self.path) - 1)] - self.path[max(k - 1, 0)]
        heading = math.atan2(way[1], way[0])
        if self.kind == "person" and math.cos(self.rate * t + self.phase) < 0:
            heading += math.pi
        return float(here[0]), float(here[1]), heading


def make_movers(rng: np.random.Generator, world: World) -> tuple[Mover, ...]:
    """Cars on dry road, drowned cars, boats on deep water, people in yards, on lanes and on roofs."""
    movers = [*_vehicles(rng, world), *_boats(rng, world)]
    for house in world.houses:
        movers += _people(rng, house)
    for road in world.roads[1:]:
        if rng.random() < 0.8:
            i = int(rng.integers(8, len(road) - 8))
            if world.depth_at(*road[i]) < 0.25:
                movers.append(_walker(rng, road[i - 6 : i + 7] + rng.uniform(-12, 12), 0.0))
    return tuple(movers)


def _vehicles(rng: np.random.Generator, world: World) -> list[Mover]:
    out: list[Mover] = []
    for number, road in enumerate(world.roads):
        step = 8.0
        dry = np.array([world.depth_at(x, y) for x, y in road])
        i = 4
        while i < len(road) - 24:
            span = 22 if number == 0 else 16
            worst = float(dry[i : i + span].max())
            if worst < 0.12 and rng.random() < 0.75:
                out.append(
                    _car(
                        rng, road, (i + span / 2) * step, (span / 2 - 5) * step, number == 0, False
                    )
                )
            elif 0.35 < worst < 0.95 and rng.random() < 0.5:
                out.append(_car(rng, road, (i + span / 2) * step, 0.0, number == 0, True))
            i += span + int(rng.integers(0, 8))
    return out


def _car(
    rng: np.random.Generator, road: Floats, middle: float, reach: float, wide: bool, drowned: bool
) -> Mover:
    truck = rng.random() < 0.22
    size = (56.0, 21.0) if truck else (float(rng.uniform(38, 43)), 17.5)
    paint = _PAINTS[int(rng.integers(len(_PAINTS)))]
    parked = drowned or rng.random() < 0.3
    lane = float(rng.choice((-1, 1))) * (14.0 if wide else 4.0)
    across = np.diff(road, axis=0, append=2 * road[-1:] - road[-2:-1])
    across /= np.hypot(across[:, 0], across[:, 1])[:, None]
    path = road + np.stack([-across[:, 1], across[:, 0]], -1) * lane
    if rng.random() < 0.5:
        path, middle = path[::-1], (len(path) - 1) * 8.0 - middle
    speed = float(rng.uniform(22, 46))
    return Mover(
        "vehicle", np.ascontiguousarray(path, np.float32), middle, 0.0 if parked else reach,
        speed / max(reach, 1.0), float(rng.uniform(0, 6.3)), size, paint,
        sprite=car_sprite(*size, paint, truck=truck, drowned=drowned),
        drowned=drowned,
    )  # fmt: skip


def _boats(rng: np.random.Generator, world: World) -> list[Mover]:
    """Up to five boats, each on a loop over deep water, clear of houses and of each other."""
    out: list[Mover] = []
    wake = wake_sprite(rng, 110, 46)
    size = (46.0, 19.0)
    for _ in range(120):
        i = int(rng.uniform(0.2, 0.8) * len(world.river))
        x, y = world.river[i] + (0, rng.uniform(-130, 130))
        way = world.river[i + 6] - world.river[i - 6]
        color = ((32, 96, 236), (40, 60, 200), (60, 62, 66))[int(rng.integers(3))]
        reach = float(rng.uniform(60, 170))
        boat = Mover(
            "boat", np.array([[x, y]], np.float32), math.atan2(way[1], way[0]), reach,
            float(rng.uniform(28, 44)) / reach, float(rng.uniform(0, 6.3)), size, color, wake=wake,
        )  # fmt: skip
        apart = all(abs(b.path[0, 0] - x) > 200 for b in out)
        if apart and _is_clear(world, boat):
            out.append(replace(boat, sprite=boat_sprite(*size, color)))
        if len(out) == 5:
            break
    return out


def _is_clear(world: World, boat: Mover) -> bool:
    """True when the whole loop lies on deep water, a boat's length from every house."""
    houses = np.array([(h.x, h.y) for h in world.houses if h.flooded]).reshape(-1, 2)
    for turn in np.linspace(0, 2 * np.pi, 24):
        x, y, _ = boat.at((turn - boat.phase) / boat.rate)
        if world.depth_at(x, y) < 0.4 or (np.hypot(*(houses - (x, y)).T) < 112).any():
            return False
    return True


def _people(rng: np.random.Generator, house: House) -> list[Mover]:
    """On the roof of a flooded house, else in the yard."""
    out: list[Mover] = []
    c, s = math.cos(house.angle), math.sin(house.angle)
    for _ in range(int(rng.integers(1, 5) if house.flooded else rng.integers(0, 3))):
        if house.flooded:
            u, v = rng.uniform(-0.36, 0.36) * house.length, rng.uniform(-0.3, 0.3) * house.width
            lift = house.ridge - abs(v) / (house.width / 2) * (house.ridge - house.eaves)
            step = float(rng.uniform(1.5, 4))
        else:
            u, v = rng.uniform(-0.5, 0.5) * house.length, house.width * rng.choice((-0.82, 0.82))
            lift, step = 0.0, float(rng.uniform(10, 24))
        x, y = house.x + c * u - s * v, house.y + s * u + c * v
        ends = np.array([[x - c * step, y - s * step], [x + c * step, y + s * step]])
        out.append(_walker(rng, ends, lift))
    return out


def _walker(rng: np.random.Generator, path: NDArray[np.floating], height: float) -> Mover:
    length = float(np.hypot(*np.diff(path, axis=0).T).sum())
    color = _CLOTHES[int(rng.integers(len(_CLOTHES)))]
    pace = float(rng.uniform(4, 10))
    return Mover(
        "person", np.asarray(path, np.float32), length / 2, length / 2, 2 * pace / length,
        float(rng.uniform(0, 6.3)), (5.4, 8.6), color, height,
    )  # fmt: skip


def outline(camera: Camera, mover: Mover, t: float) -> NDArray[np.float64]:
    """float64[N, 2]: picture points that bound the object itself, without shadow and wake."""
    x, y, heading = mover.at(t)
    if mover.drowned:  # only the cabin is above the water, a little behind the middle
        back = 0.06 * mover.size[0]
        x, y = x - back * math.cos(heading), y - back * math.sin(heading)
    length = mover.size[0] * (0.66 if mover.drowned else 1.0)
    box = corners(x, y, length, mover.size[1], heading)
    if mover.kind != "person":
        return camera.project(box)
    arms = np.concatenate([_arms(mover, (x, y, heading), t)[:, 1], box])
    return np.concatenate(
        [camera.project(box, mover.height), camera.project(arms, mover.height + 11)]
    )


def _arms(mover: Mover, pose: Pose, t: float) -> NDArray[np.float64]:
    """float64[2, 2, 2]: shoulder and hand of both arms. On a roof they wave, else they swing."""
    x, y, heading = pose
    out = []
    for side in (-1, 1):
        if mover.height > 0:
            angle = heading + side * (1.25 + 0.75 * math.sin(6.0 * t + mover.phase))
            long = _ARM
        else:
            swing = math.sin(2.0 * mover.rate * mover.reach * t + mover.phase) * side
            angle, long = heading + side * 1.2 * (1 - 0.4 * swing), _ARM * 0.55
        shoulder = (x - side * math.sin(heading) * 3.2, y + side * math.cos(heading) * 3.2)
        out.append(
            [shoulder, (shoulder[0] + long * math.cos(angle), shoulder[1] + long * math.sin(angle))]
        )
    return np.array(out)


def draw_mover(picture: Image, camera: Camera, mover: Mover, t: float) -> None:
    """Shadow or wake first, then the object."""
    pose = mover.at(t)
    if mover.kind == "person":
        _person(picture, camera, mover, pose, t)
        return
    x, y, heading = pose
    length, width = mover.size
    if mover.wake is not None:
        _place(picture, camera, mover.wake, (x, y, heading), -length * 1.25)
    elif not mover.drowned:
        base = corners(x, y, length - 3, width - 3, heading)
        top = base + np.array(SUN, np.float32) * 11
        darken(
            picture,
            camera.project(
                np.asarray(cv2.convexHull(np.concatenate([base, top])), np.float64)[:, 0]
            ),
        )
    assert mover.sprite is not None, "all but people have a sprite"
    _place(picture, camera, mover.sprite, pose, 0.0)


def _place(picture: Image, camera: Camera, sprite: Sprite, pose: Pose, ahead: float) -> None:
    x, y, heading = pose
    c, s = math.cos(heading), math.sin(heading)
    k = 1 / sprite.px
    h, w = sprite.color.shape[:2]
    turn = np.array([[c * k, -s * k, 0], [s * k, c * k, 0], [0, 0, 1]])
    turn[:2, 2] = turn[:2, :2] @ (-w / 2, -h / 2) + (c * ahead, s * ahead)
    blit(picture, sprite, camera.local(x, y) @ turn)


def _person(picture: Image, camera: Camera, mover: Mover, pose: Pose, t: float) -> None:
    """Shoulders, head, arms and legs' shadow; heights of a standing adult at 9 pixels a metre."""
    x, y, heading = pose
    low = mover.height
    scale = float(np.hypot(*camera.local(x, y, low)[:, 0]))
    shadow = np.array([[x, y], [x + SUN[0] * 15, y + SUN[1] * 15]])
    _line(picture, camera.project(shadow, low), (40, 46, 50), max(1, round(3.4 * scale)))
    feet, chest = (
        camera.project(np.array([[x, y]]), low)[0],
        camera.project(np.array([[x, y]]), low + 11)[0],
    )
    trousers = (mover.color[2] // 3 + 20, mover.color[2] // 3 + 24, 48)
    _line(picture, np.array([feet, chest]), trousers, max(1, round(3.2 * scale)))
    for arm in _arms(mover, pose, t):
        _line(picture, camera.project(arm, low + 11), _SKIN, max(1, round(1.9 * scale)))
    body = camera.project(_oval(x, y, 4.6, 8.4, heading), low + 11)
    cv2.fillPoly(picture, [np.round(body * 16).astype(np.int32)], mover.color, cv2.LINE_AA, shift=4)
    head = camera.project(_oval(x, y, 4.0, 3.6, heading), low + 15)
    hair = (38, 44, 58) if mover.phase < 4 else (90, 130, 170)
    cv2.fillPoly(picture, [np.round(head * 16).astype(np.int32)], hair, cv2.LINE_AA, shift=4)


def _oval(x: float, y: float, length: float, width: float, heading: float) -> NDArray[np.float64]:
    turns = np.linspace(0, 2 * np.pi, 13)[:-1]
    c, s = math.cos(heading), math.sin(heading)
    u, v = np.cos(turns) * length / 2, np.sin(turns) * width / 2
    return np.stack([x + c * u - s * v, y + s * u + c * v], -1)


def _line(picture: Image, ends: NDArray[np.float64], color: Color, width: int) -> None:
    a, b = np.round(ends * 16).astype(int).tolist()
    cv2.line(picture, a, b, color, width, cv2.LINE_AA, shift=4)
