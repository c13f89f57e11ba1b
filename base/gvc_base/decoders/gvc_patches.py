"""Codec 1's patches: received pixels of a rectangle, put where they belong, and moved with their object.

At its own moment a patch replaces whatever was made there. Between coded pictures it moves with the
flow as all received pixels do. Where no coded picture comes any more, the patch of a tracked object
goes where D's track says that the object is; one that leaves its place on the ground stays out of the
memory, which moves as the ground does and would show it a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.gvc_fuse import Moment
from gvc_base.decoders.gvc_parts import PlacedPatch
from gvc_base.neural.layout import CELL_PX
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.marks import TILE_PX
from gvc_protocol.motion_path import MotionPath
from gvc_protocol.objects import Track, TrackPoint

__all__ = ["Chips", "followed", "paste", "shown_by"]

U8 = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"x, y, width, height."


def paste(moment: Moment, patches: Sequence[PlacedPatch], origin: float) -> None:
    """Put received pixels into the moment of their own frame; its canvas must have the source's size.

    Args:
        origin: number of the bytes that they came in (`gvc_base.marks.sources`).
    """
    for patch in patches:
        _put(
            moment, patch.pixels, patch.x, patch.y, age_s=0.0, full_size=patch.full_size,
            origin=origin,
        )  # fmt: skip


def _put(
    moment: Moment, pixels: U8, x: int, y: int, *, age_s: float, full_size: bool, origin: float
) -> None:
    """Pixels with their upper left corner at (x, y), and what is known of them.

    Full-size ones are received in the cells that they fill; smaller ones were enlarged, so that no cell
    that they touch holds received pixels any more.
    """
    high, wide = moment.picture.shape[:2]
    left, top = max(0, -x), max(0, -y)
    pixels = pixels[top : high - y, left : wide - x]
    x, y = x + left, y + top
    h, w = pixels.shape[:2]
    if h <= 0 or w <= 0:
        return
    moment.picture, moment.shown = moment.picture.copy(), moment.shown.copy()
    moment.picture[y : y + h, x : x + w] = moment.shown[y : y + h, x : x + w] = pixels
    # Whole cells only, except at the picture's own edge.
    bottom, right = y + h, x + w
    last_row = -(-bottom // CELL_PX) if bottom == high else bottom // CELL_PX
    last_column = -(-right // CELL_PX) if right == wide else right // CELL_PX
    area = np.s_[-(-y // CELL_PX) : last_row, -(-x // CELL_PX) : last_column]
    moment.made_up[area] = 0
    if full_size:
        moment.received[area], moment.age_s[area] = 1, age_s
        moment.origin[area] = origin
        return
    touched = np.s_[y // CELL_PX : -(-bottom // CELL_PX), x // CELL_PX : -(-right // CELL_PX)]
    moment.received[touched] = 0
    moment.age_s[area], moment.origin[area] = age_s, origin


@dataclass(frozen=True, slots=True)
class _Chip:
    pixels: U8
    x: int
    y: int
    box: TrackPoint
    "Where the track was when the chip was cut."
    frame: int
    full_size: bool
    origin: float

    def put(self, moment: Moment, x: int, y: int, fps: float) -> None:
        """Into a later moment, with its upper left corner at (x, y)."""
        # Never 0: moved pixels are carried ones, not received at this place.
        age_s = max(1e-2, (moment.frame - self.frame) / fps)
        _put(
            moment, self.pixels, x, y, age_s=age_s, full_size=self.full_size, origin=self.origin
        )  # fmt: skip


class Chips:
    """The newest patch of each tracked object, by the track's number."""

    def __init__(self) -> None:
        self._chips: dict[int, _Chip] = {}
        self._moving: set[int] = set()
        "Objects that the memory does not hold."
        self._placed: dict[int, tuple[int, int]] = {}
        "Upper left corners of their chips, as shown last."

    def keep(
        self, patches: Sequence[PlacedPatch], descriptors: Descriptors | None, first_frame: int,
        origin: float,
    ) -> None:  # fmt: skip
        """Remember which patch shows which object; objects that no track tells of are forgotten."""
        if descriptors is None:  # nobody tells
            return
        known = {track.track_id for track in descriptors.tracks}
        self._chips = {number: c for number, c in self._chips.items() if number in known}
        self._moving &= known
        self._placed = {number: at for number, at in self._placed.items() if number in known}
        size = (descriptors.width, descriptors.height)
        for patch in patches:
            for track, box in shown_by(patch, descriptors):
                self._chips[track.track_id] = _Chip(
                    patch.pixels, patch.x, patch.y, box, first_frame + patch.offset,
                    patch.full_size, origin,
                )  # fmt: skip
                if _leaves(track, box, descriptors.motion_path, size):
                    self._moving.add(track.track_id)
                    self._placed[track.track_id] = (patch.x, patch.y)

    def settled(
        self, patches: Sequence[PlacedPatch], descriptors: Descriptors | None
    ) -> list[PlacedPatch]:
        """Patches that show no object which leaves its place."""
        if descriptors is None:
            return list(patches)
        return [
            patch for patch in patches
            if not any(t.track_id in self._moving for t, _ in shown_by(patch, descriptors))
        ]  # fmt: skip

    def place(
        self, moment: Moment, descriptors: Descriptors | None, first_frame: int, fps: float
    ) -> None:
        """Put each chip where its track is at the moment's frame: received pixels, moved."""
        if descriptors is None:
            return
        for track in descriptors.tracks:
            chip = self._chips.get(track.track_id)
            box = track.box_at(moment.frame - first_frame)
            if chip is None or box is None or moment.frame < chip.frame:
                continue
            x, y = followed((chip.x, chip.y), chip.box.box, box.box)
            chip.put(moment, x, y, fps)
            if track.track_id in self._moving:
                self._placed[track.track_id] = (x, y)

    def hold(self, moment: Moment, fps: float, on: NDArray[np.float64] | None) -> None:
        """Nobody tells how anything moved: what the memory does not hold stays where it was shown on its
        ground, which is taken to have moved `on`."""
        for number, (x, y) in self._placed.items():
            chip = self._chips[number]
            if moment.frame < chip.frame:
                continue
            if on is not None:
                x, y = round(float(on[0] @ (x, y, 1))), round(float(on[1] @ (x, y, 1)))
            chip.put(moment, x, y, fps)


def followed(corner: tuple[int, int], then: Box, now: Box) -> tuple[int, int]:
    """Upper left corner of a chip when its object, which was at `then`, is at `now`, by the centres."""
    x = corner[0] + (2 * now[0] + now[2] - 2 * then[0] - then[2]) // 2
    y = corner[1] + (2 * now[1] + now[3] - 2 * then[1] - then[3]) // 2
    return x, y


def shown_by(patch: PlacedPatch, descriptors: Descriptors) -> list[tuple[Track, TrackPoint]]:
    """Objects that a patch is the picture of, and where they were then."""
    high, wide = patch.pixels.shape[:2]
    boxes = [(track, track.box_at(patch.offset)) for track in descriptors.tracks]
    return [(t, box) for t, box in boxes if box is not None and _covers(patch, wide, high, box)]


def _leaves(track: Track, box: TrackPoint, path: MotionPath | None, size: tuple[int, int]) -> bool:
    """Whether an object leaves its place on the ground before or after it was at `box`."""
    most = max(TILE_PX, max(box.width, box.height) / 2)
    here = np.array([box.x + box.width / 2, box.y + box.height / 2, 1.0])
    for end in (track.points[0], track.points[-1]):
        matrix = path.between(box.offset, end.offset, *size) if path is not None else None
        if matrix is None:
            continue
        x, y, w = matrix @ here
        moved = (end.x + end.width / 2 - x / w, end.y + end.height / 2 - y / w)
        if np.hypot(*moved) > most:
            return True
    return False


def _covers(patch: PlacedPatch, wide: int, high: int, box: TrackPoint) -> bool:
    """Whether the patch shows the box, give or take a tile."""
    return (
        patch.x <= box.x + TILE_PX
        and patch.y <= box.y + TILE_PX
        and patch.x + wide >= box.x + box.width - TILE_PX
        and patch.y + high >= box.y + box.height - TILE_PX
        # A tile of ground that happens to hold the object is not its picture.
        and wide * high <= 9 * max(64, box.width * box.height)
    )
