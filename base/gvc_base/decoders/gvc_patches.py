"""Codec 1's patches: received pixels of a rectangle, put where they belong, and moved with their object.

At its own moment a patch replaces whatever was made there. Between coded pictures it moves with the
flow as all received pixels do. Where no coded picture comes any more, the patch of a tracked object
goes where D's track says that the object is.
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
from gvc_protocol.objects import TrackPoint

__all__ = ["Chips", "paste"]

U8 = NDArray[np.uint8]


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


class Chips:
    """The newest patch of each tracked object, by the track's number."""

    def __init__(self) -> None:
        self._chips: dict[int, _Chip] = {}

    def keep(
        self, patches: Sequence[PlacedPatch], descriptors: Descriptors | None, first_frame: int,
        origin: float,
    ) -> None:  # fmt: skip
        """Remember which patch shows which object; objects that no track tells of are forgotten."""
        tracks = descriptors.tracks if descriptors is not None else ()
        known = {track.track_id for track in tracks}
        self._chips = {number: c for number, c in self._chips.items() if number in known}
        for patch in patches:
            high, wide = patch.pixels.shape[:2]
            for track in tracks:
                box = track.box_at(patch.offset)
                if box is None or not _covers(patch, wide, high, box):
                    continue
                self._chips[track.track_id] = _Chip(
                    patch.pixels, patch.x, patch.y, box, first_frame + patch.offset,
                    patch.full_size, origin,
                )  # fmt: skip

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
            x = chip.x + (2 * box.x + box.width - 2 * chip.box.x - chip.box.width) // 2
            y = chip.y + (2 * box.y + box.height - 2 * chip.box.y - chip.box.height) // 2
            # Never 0: moved pixels are carried ones, not received at this place.
            age_s = max(1e-2, (moment.frame - chip.frame) / fps)
            _put(
                moment, chip.pixels, x, y, age_s=age_s, full_size=chip.full_size,
                origin=chip.origin,
            )  # fmt: skip


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
