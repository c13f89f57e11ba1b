"""What moved against the ground, and what is hot: blobs in one small picture.

    this picture - earlier ones, laid over it (0.3, 0.6 and 1.2 s ago) -> all differ -> blobs

Where only one earlier picture differs, something *was* there; where all do, something *is* here (the
oldest tells a long, slow body from the ground that it has just left). The difference counts only where
no value within a pixel of the place explains it: edges of relief, which the homography lays a little
beside their place, vanish, and bodies that really moved do not.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.eyes.corners import Grey
from gvc_edge.eyes.motion import Step
from gvc_edge.eyes.planes import Matrix, apply, inverse

__all__ = ["Blob", "MoverFinder", "find_hot_spots"]

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]

_AGES_S = (0.3, 0.6, 1.2)
_MOST_BLOBS = 40
_LEAST_CONTRAST = 9
_LARGEST_SHARE = 0.1
_ROUGH_PX = 0.25
"Where relief moves things by more than this from look to look, an edge is searched farther off."
_CORE, _LEAST_CORE_PX = 0.75, 4.0
_SEARCH_PX = 4.0
_LEAST_LIKENESS = 0.6
_CLOSING = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A box in pixels of the small picture; `strength` says how far it stands out (1 = just)."""

    x: float
    y: float
    width: float
    height: float
    strength: float


@dataclass(slots=True)
class _Past:
    frame_no: int
    picture: Image
    to_now: Matrix


class MoverFinder:
    """Keeps the last pictures and how they lie over the present one."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._past: deque[_Past] = deque()

    def forget(self) -> None:
        """After a cut: nothing seen so far can be laid over what comes."""
        self._past.clear()

    def find(self, picture: Image, step: Step | None, frame_no: int) -> list[Blob]:
        """Blobs that moved.

        Args:
            picture: uint8[H, W, C], this frame, small.
            step: the frame before to this one; None after a cut.
            frame_no: this frame's number, rising.

        Returns:
            Nothing where no plane explains the picture: then all of it moves against any plane.
        """
        smooth = np.asarray(cv2.GaussianBlur(picture, (3, 3), 0), np.uint8)
        smooth = smooth.reshape(*picture.shape[:2], -1)
        if step is None:
            self.forget()
        for past in self._past:
            past.to_now = step.matrix @ past.to_now if step is not None else past.to_now
        chosen = self._choose(frame_no)
        blobs: list[Blob] = []
        if step is not None and step.flat and len(chosen) > 1:
            blobs = self._compare(smooth, chosen, 5 if step.spread_px > _ROUGH_PX else 3)
        self._past.append(_Past(frame_no, smooth, np.eye(3)))
        while frame_no - self._past[0].frame_no > 1.1 * _AGES_S[-1] * self._fps:
            self._past.popleft()
        return blobs

    def look_back(
        self, box: Box, speed: tuple[float, float], frame_no: int, since: int
    ) -> list[tuple[int, Box]]:
        """Where an object was before it was first told from the ground.

        Args:
            box: x, y of the upper left corner, width and height now, pixels of the small picture.
            speed: its own motion over the ground, pixels a frame.
            frame_no: the present frame, the last that `find` was given.
            since: frames before this one are not looked at.

        Returns:
            (frame number, box in that frame), oldest first; it ends where nothing like it is found.
        """
        if not self._past or self._past[-1].frame_no != frame_no:
            return []
        width, height = box[2:]
        box = _core(box)
        patch = _cut(self._past[-1].picture, box, 0)
        if patch is None:
            return []
        found: list[tuple[int, Box]] = []
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        off = np.zeros(2)
        for past in reversed(self._past):
            age = frame_no - past.frame_no
            if age == 0:
                continue
            to_past = inverse(past.to_now)
            place = apply(to_past, np.array([[x - speed[0] * age, y - speed[1] * age]]))[0] + off
            hit = _find_patch(past.picture, patch, place, box) if past.frame_no >= since else None
            if hit is None:
                break
            off += hit - place
            corner = hit - (width / 2, height / 2)
            found.append((past.frame_no, (float(corner[0]), float(corner[1]), width, height)))
        return found[::-1]

    def _choose(self, frame_no: int) -> list[_Past]:
        """One past picture for each age, as far as there are any so old; the youngest first."""
        chosen: list[_Past] = []
        for seconds in _AGES_S:
            wanted = frame_no - seconds * self._fps
            best = min(self._past, key=lambda past: abs(past.frame_no - wanted), default=None)
            if best is None or frame_no - best.frame_no < 0.7 * seconds * self._fps:
                break
            if not chosen or best.frame_no < chosen[-1].frame_no:
                chosen.append(best)
        return chosen

    def _compare(self, now: Image, chosen: list[_Past], reach: int) -> list[Blob]:
        kernel = np.ones((reach, reach), np.uint8)
        change, noise = _unexplained(now, chosen[0], kernel, must_reach=True)
        for i, past in enumerate(chosen[1:]):
            more, _ = _unexplained(now, past, kernel, must_reach=i == 0)
            change = np.asarray(cv2.min(change, more), np.uint8)
        return _blobs(change, max(float(_LEAST_CONTRAST), 2.5 * noise))


def _unexplained(
    now: Image, past: _Past, kernel: NDArray[np.uint8], *, must_reach: bool
) -> tuple[Image, float]:
    """How far each pixel is outside what the past picture shows close to it.

    Args:
        kernel: uint8[K, K] of ones: what is close.
        must_reach: whether what the past picture does not show counts as explained.

    Returns:
        uint8[H, W] excess, the largest of the channels; the noise of the plain difference, grey levels.
    """
    height, width, channels = now.shape
    size = (width, height)
    over = cv2.warpPerspective(past.picture, past.to_now, size, flags=cv2.INTER_LINEAR)
    seen = _reach(past.to_now, size)
    plain: list[float] = []
    excess: Image | None = None
    for now_part, over_part in zip(cv2.split(now), cv2.split(over), strict=True):
        # Exposure drifts: both pictures to one mean.
        some = seen[::4, ::4]
        shift = cv2.mean(now_part[::4, ::4], some)[0] - cv2.mean(over_part[::4, ::4], some)[0]
        over_part = _brighter(np.asarray(over_part, np.uint8), shift)
        plain.append(float(np.median(cv2.absdiff(now_part, over_part)[::3, ::3])))
        high, low = cv2.dilate(over_part, kernel), cv2.erode(over_part, kernel)
        part = cv2.max(cv2.subtract(now_part, high), cv2.subtract(low, now_part))
        excess = np.asarray(part if excess is None else cv2.max(excess, part), np.uint8)
    assert excess is not None, f"a picture of {channels} channels"
    excess[seen < 255] = 0 if must_reach else 255
    return excess, 1.4826 * max(plain)


def _reach(to_now: Matrix, size: tuple[int, int]) -> Image:
    """uint8[H, W]: 255 where a past picture shows something, less a rim that is mixed with nothing."""
    width, height = size
    rim = 2.0
    corners = [(rim, rim), (width - 1 - rim, rim), (width - 1 - rim, height - 1 - rim),
               (rim, height - 1 - rim)]  # fmt: skip
    quad = np.clip(apply(to_now, np.array(corners)), -4.0 * width, 4.0 * width)
    seen = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(seen, np.round(quad).astype(np.int32), 255)
    return seen


def _brighter(part: Image, levels: float) -> Image:
    # OpenCV takes a number here; its type stubs do not know. It rounds, and clips at 0 and 255.
    arithmetic: Any = cv2
    if levels > 0:
        return np.asarray(arithmetic.add(part, levels), np.uint8)
    return np.asarray(arithmetic.subtract(part, -levels), np.uint8)


def _blobs(change: Image, threshold: float) -> list[Blob]:
    """Connected pixels above the threshold, strongest first."""
    mask = np.asarray(change > threshold, np.uint8)
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _CLOSING), np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    largest = _LARGEST_SHARE * mask.size
    out: list[Blob] = []
    by_size = sorted(range(1, count), key=lambda i: -int(stats[i, cv2.CC_STAT_AREA]))
    for i in by_size[:_MOST_BLOBS]:
        x, y, width, height, area = (int(v) for v in stats[i])
        if area < 3 or width * height > largest:
            continue
        part = change[y : y + height, x : x + width]
        peak = float(part[labels[y : y + height, x : x + width] == i].max())
        if peak < 1.4 * threshold:
            continue
        out.append(Blob(x=x, y=y, width=width, height=height, strength=peak / threshold))
    return out


def _core(box: Box) -> Box:
    """The middle of a box: at its rim there is ground, which was elsewhere."""
    width = max(_LEAST_CORE_PX, _CORE * box[2])
    height = max(_LEAST_CORE_PX, _CORE * box[3])
    return (box[0] + (box[2] - width) / 2, box[1] + (box[3] - height) / 2, width, height)


def _cut(picture: Image, box: Box, margin: float) -> Image | None:
    """The part of a picture under a box; None unless all of it is inside."""
    height, width = picture.shape[:2]
    x0, y0 = round(box[0] - margin), round(box[1] - margin)
    x1, y1 = round(box[0] + box[2] + margin), round(box[1] + box[3] + margin)
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height or x1 - x0 < 3 or y1 - y0 < 3:
        return None
    return picture[y0:y1, x0:x1]


def _find_patch(
    picture: Image, patch: Image, place: NDArray[np.floating], box: Box
) -> NDArray[np.float64] | None:
    """float64[2]: centre of the place near `place` that looks like `patch`."""
    x, y = float(place[0]) - box[2] / 2, float(place[1]) - box[3] / 2
    area = _cut(picture, (x, y, box[2], box[3]), _SEARCH_PX)
    if area is None or area.shape[0] <= patch.shape[0] or area.shape[1] <= patch.shape[1]:
        return None
    likeness = cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED)
    _, best, _, (column, row) = cv2.minMaxLoc(likeness)
    if best < _LEAST_LIKENESS:
        return None
    middle = ((likeness.shape[1] - 1) / 2, (likeness.shape[0] - 1) / 2)
    return np.array([place[0] + column - middle[0], place[1] + row - middle[1]], np.float64)


def find_hot_spots(grey: Grey) -> list[Blob]:
    """Small places that are much brighter than the picture and than what is around them.

    Args:
        grey: uint8[H, W] of a white-hot thermal camera, small.
    """
    values = grey[::2, ::2]
    middle, high = np.percentile(values, (50, 98))
    sigma = 1.4826 * float(np.median(np.abs(values.astype(np.int16) - round(middle)))) + 1.0
    level = max(float(high), float(middle) + 4.0 * sigma)
    around = cv2.blur(grey, (31, 31))
    contrast = cv2.subtract(grey, around)
    least = max(16.0, 3.0 * sigma)
    hot = np.where(grey > level, contrast, 0).astype(np.uint8)
    blobs = _blobs(hot, least / 1.4)
    return [b for b in blobs if b.width * b.height < 0.02 * grey.size]
