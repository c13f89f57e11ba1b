"""What stands up from the flood's map, drawn with its parallax: houses and tall trees."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.flood_camera import Camera
from gvc_edge.sources.flood_layout import House, Tree, corners
from gvc_edge.sources.flood_noise import Image
from gvc_edge.sources.flood_sprites import Sprite, blit

__all__ = ["darken", "draw_house", "draw_tree", "fill"]

Color = tuple[float, float, float]
Points = NDArray[np.floating]


def fill(picture: Image, points: Points, color: Color) -> None:
    """A polygon float[N, 2] with soft edges."""
    cv2.fillPoly(picture, [np.round(points * 16).astype(np.int32)], color, cv2.LINE_AA, shift=4)


def darken(picture: Image, points: Points, light: float = 0.55) -> None:
    """A shadow: keep only `light` of what is inside a polygon."""
    x0, y0 = np.maximum(np.floor(points.min(0)).astype(int), 0)
    x1, y1 = np.minimum(
        np.ceil(points.max(0)).astype(int) + 1, (picture.shape[1], picture.shape[0])
    )
    if x0 >= x1 or y0 >= y1:
        return
    keep = np.full((y1 - y0, x1 - x0, 3), 255, np.uint8)
    shade = (int(255 * light),) * 3
    inside = np.round((points - (x0, y0)) * 16).astype(np.int32)
    cv2.fillPoly(keep, [inside], shade, cv2.LINE_AA, shift=4)
    area = picture[y0:y1, x0:x1]
    area[:] = cv2.multiply(area, keep, scale=1 / 255)


def draw_tree(picture: Image, camera: Camera, tree: Tree, sprite: Sprite, t: float) -> None:
    """A crown above the ground, moving a little in the wind."""
    sway = 0.7 * np.sin(1.3 * t + tree.x)
    here = camera.local(tree.x + sway, tree.y, tree.height)
    k, side = tree.scale / sprite.px, sprite.color.shape[0] / 2
    blit(picture, sprite, here @ np.array([[k, 0, -k * side], [0, k, -k * side], [0, 0, 1]]))


def draw_house(picture: Image, camera: Camera, house: House, roof: tuple[Image, Image]) -> None:
    """The walls that are seen, two slopes of the roof, ridge and chimney."""
    base = corners(house.x, house.y, house.length, house.width, house.angle)
    foot = camera.project(base)
    eaves = camera.project(base, house.eaves)
    middle = np.array([(base[3] + base[0]) / 2, (base[1] + base[2]) / 2])
    ridge = camera.project(middle, house.ridge)
    for i in range(4):
        _draw_wall(
            picture, foot[[i, (i + 1) % 4]], eaves[[i, (i + 1) % 4]], base[[i, (i + 1) % 4]], house
        )
    for end, pair in ((0, (3, 0)), (1, (1, 2))):  # gables
        fill(picture, np.array([eaves[pair[0]], eaves[pair[1]], ridge[end]]), (128, 140, 146))
    wide = corners(house.x, house.y, house.length + 9, house.width + 9, house.angle)
    over = camera.project(wide, house.eaves - 2)
    tips = np.array([(wide[3] + wide[0]) / 2, (wide[1] + wide[2]) / 2])
    ridge = camera.project(tips, house.ridge)
    # The slope whose outward side faces the sun (upper left) is the bright one.
    first_sunlit = float((base[0] + base[1] - base[2] - base[3]) @ (-0.62, -0.44)) > 0
    # Each slope is seen from outside, its eaves below: the first one runs the other way along the ridge.
    for a, b, sunlit in ((1, 0, first_sunlit), (3, 2, not first_sunlit)):
        ends = ridge if a == 3 else ridge[::-1]
        quad = np.array([ends[0], ends[1], over[b], over[a]])
        _slope(picture, roof[0 if sunlit else 1], quad)
        _edge(picture, over[a], over[b], (70, 74, 78))
    _edge(picture, ridge[0], ridge[1], (150, 156, 164))
    _chimney(picture, camera, house)


def _draw_wall(picture: Image, foot: Points, eaves: Points, base: Points, house: House) -> None:
    along = base[1] - base[0]
    lit = float(np.array([along[1], -along[0]]) @ (-0.62, -0.44)) > 0
    tone = (176, 190, 198) if lit else (98, 108, 116)
    fill(picture, np.concatenate([foot, eaves[::-1]]), tone)
    if house.eaves < 20:
        return
    for left, right in ((0.16, 0.30), (0.62, 0.76)):
        rows = [foot * (1 - v) + eaves * v for v in (0.42, 0.74)]
        window = [row[0] * (1 - u) + row[1] * u for row, u in zip(
            (rows[0], rows[0], rows[1], rows[1]), (left, right, right, left), strict=True)]  # fmt: skip
        fill(picture, np.array(window), (52, 46, 42))


def _slope(picture: Image, texture: Image, quad: Points) -> None:
    """Warp a roof texture into a picture's quadrilateral; row 0 lies along its first side."""
    x0, y0 = np.maximum(np.floor(quad.min(0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(quad.max(0)).astype(int) + 1, (picture.shape[1], picture.shape[0]))
    if x0 >= x1 or y0 >= y1:
        return
    h, w = texture.shape[:2]
    source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, (quad - (x0, y0)).astype(np.float32))
    part = picture[y0:y1, x0:x1].copy()
    cv2.warpPerspective(
        texture, matrix, (int(x1 - x0), int(y1 - y0)), dst=part, borderMode=cv2.BORDER_TRANSPARENT
    )
    picture[y0:y1, x0:x1] = part


def _edge(picture: Image, a: Points, b: Points, color: Color) -> None:
    ends = np.round(np.array([a, b]) * 16).astype(int).tolist()
    cv2.line(picture, ends[0], ends[1], color, 1, cv2.LINE_AA, shift=4)


def _chimney(picture: Image, camera: Camera, house: House) -> None:
    along = np.array([np.cos(house.angle), np.sin(house.angle)]) * house.length * 0.22
    base = corners(house.x + along[0], house.y + along[1], 9, 9, house.angle)
    low, top = camera.project(base, house.ridge - 4), camera.project(base, house.ridge + 9)
    for i in range(4):
        j = (i + 1) % 4
        fill(picture, np.array([low[i], low[j], top[j], top[i]]), (62, 72, 98))
    fill(picture, top, (104, 112, 130))
    fill(picture, top * 0.55 + top.mean(0) * 0.45, (32, 32, 34))
