"""Codec 1's lowest step: one still that D's motion path carries through the unit, and chips of objects.

    keep: full-size pixels of two moments; look: the unit as told by D
    -> chips of new or aged objects, an AV1 still each -> a still of the first frame in the bytes left
    -> error of the carried still at the sampled moments, beside that of the coded stream

Above this step chips cost more than they give. Measured on two flyovers, 854x480, 4 s, movers that are
still recognisable and PSNR with 0 bytes for chips / 15 % of the bytes for chips at the first frame:
    0.0024 bpp  351/432 38.02 dB / 349/432 38.02 dB;  94/108 25.31 dB / 85/108 24.96 dB
    0.0010 bpp  296/432 36.02 dB / 280/432 35.90 dB;  61/108 23.36 dB / 53/108 23.26 dB
The coded pictures of the next second replace a chip anyhow. Here nothing does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.codecs import av1
from gvc_edge.codecs.av1 import Picture
from gvc_edge.codecs.ladder import search_crf
from gvc_protocol.gvc1 import GvcUnit, Patch, Tool
from gvc_protocol.gvc1 import Picture as CodedPicture
from gvc_protocol.motion_path import MotionPath
from gvc_protocol.objects import Track, TrackPoint

__all__ = ["RECORDS_SHARE", "Lowest", "Slide"]

RECORDS_SHARE = 0.22
"""Of the unit's bytes, for records in D: without the path the still stands where the camera looks no
longer (19.0 dB, not 28.2, on one flyover of 4 s), without its track a chip cannot follow its object."""

_TILE_PX = 8
_LEAST_STILL_PX = 64
_PRESET = 3
_HEAD_BYTES = 16

_MOMENTS = 2
"Full-size frames that are held: chips of what comes in later are cut from the second."
_MARGIN_SHARE, _LEAST_MARGIN_PX = 0.125, 3
"Margin on each side of a box: boxes are told in pictures 400 pixels wide."
_CHIP_CRFS = (46.0, 54.0)
"""A vehicle of 40 pixels takes 61 to 135 bytes at 40, 38 to 73 at 55, and its correlation with the truth
falls from 0.98 to 0.9; a person of 8 pixels takes 45 to 50 at 48 and is a mere blot at 55."""
_LARGE_PX = 96 * 96
_CHIPS_SHARE, _MOST_CHIP_BYTES = 0.40, 160
_AGED_UNITS, _GROWN = 4, 1.6

_STILL_SCALES = (4, 6, 8, 12, 16)
_SMALLER_ABOVE_CRF = 50.0
"PSNR hardly depends on the still's size (0.2 dB from 1/4 to 1/8); above this CRF a larger one is soft."
_LOOK_SCALE = 6
_BETTER_UP_TO = 1.25
"""The stream's error is measured at its coded moments, seconds apart, and between them it is larger; the
still's error is the same everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slide:
    """A unit of one still and chips."""

    unit: GvcUnit
    still: Picture
    "As the base decodes it."


@dataclass(frozen=True, slots=True)
class _Sent:
    unit_no: int
    area: int


class Lowest:
    """Makes units of the lowest step; one object for a whole stream.

    Args:
        width, height: size of the source, pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._look_size = _still_size(width, height, _LOOK_SCALE)
        self._frames: dict[int, Picture] = {}
        self._looks: dict[int, Picture] = {}
        self._newest: tuple[int, Picture] | None = None
        self._tracks: tuple[Track, ...] = ()
        self._path: MotionPath | None = None
        self._sent: dict[int, _Sent] = {}
        self._unit_no = 0
        self._chosen: list[tuple[int, _Sent]] = []
        self._crf = 46.0

    def forget(self) -> None:
        """The base may have lost every chip."""
        self._sent = {}

    def begin(self, unit_no: int) -> None:
        """Open a unit."""
        self._unit_no = unit_no
        self._frames, self._looks, self._chosen = {}, {}, []
        self._newest, self._tracks, self._path = None, (), None

    def push(self, pixels: Picture, offset: int, unit_frames: int, *, sampled: bool) -> None:
        """Take a frame, uint8[H, W, 3].

        Args:
            unit_frames: frames that the unit will have, or nearly.
            sampled: the stream has a picture of this moment, so the still is judged here too.
        """
        if offset % max(1, -(-unit_frames // _MOMENTS)) == 0 and len(self._frames) < _MOMENTS:
            self._frames[offset] = pixels.copy()
        small = av1.reduce(pixels, *self._look_size)
        self._newest = (offset, small)
        if sampled:
            self._looks[offset] = small

    def look(self, tracks: Sequence[Track], path: MotionPath | None) -> None:
        """What D tells of this unit: all that the base will know."""
        self._tracks, self._path = tuple(tracks), path

    def make(self, budget: int) -> Slide | None:
        """The unit in at most `budget` bytes; None when not even a still fits."""
        first = self._frames.get(0)
        if first is None:
            return None
        patches = self._chips(int((budget - _HEAD_BYTES) * _CHIPS_SHARE))
        room = budget - _HEAD_BYTES - sum(_cost(patch) for patch in patches)
        found = self._still(first, room)
        if found is None and patches:
            patches, self._chosen = (), []
            found = self._still(first, budget - _HEAD_BYTES)
        if found is None:
            return None
        body, (width, height) = found
        unit = GvcUnit(
            tool=Tool.AV1, step=1, last=0, width=width, height=height, patches=patches,
            pictures=(CodedPicture(layer=0, display=0, body=body),),
        )  # fmt: skip
        if sum(map(len, unit.pack())) > budget:
            return None
        return Slide(unit=unit, still=av1.decode([body])[0])

    def wins(self, slide: Slide, pictures: Sequence[Picture], offsets: Sequence[int]) -> bool:
        """Whether the carried still is nearer to the source than the stream, or near enough.

        Args:
            pictures: of the stream as the base decodes them, any size; `offsets`: their frames.
        """
        size = self._look_size
        ours, theirs = 0.0, 0.0
        looks = dict([*self._looks.items(), self._newest]) if self._newest else self._looks
        for picture, offset in zip(pictures, offsets, strict=True):
            true = looks.get(offset)
            if true is None:
                continue
            ours += _error(self._carried(slide.still, offset), true)
            theirs += _error(_resized(picture, size), true)
        return ours <= _BETTER_UP_TO * theirs

    def sent(self) -> None:
        """The slide that was made last leaves: its chips are known to the base from now on."""
        self._sent.update(self._chosen)

    # --- the still

    def _still(self, picture: Picture, budget: int) -> tuple[bytes, tuple[int, int]] | None:
        """(temporal unit, its size): the largest still that is not too coarse, else the smallest."""
        best: tuple[bytes, tuple[int, int]] | None = None
        crf = self._crf
        for scale in _STILL_SCALES:
            size = _still_size(self._width, self._height, scale)
            plane = av1.i420(av1.reduce(picture, *size))

            def encode(crf: float, plane: Picture = plane) -> Sequence[bytes]:
                return av1.encode([plane], crf=crf, fps=Fraction(1), still=True, preset=_PRESET)

            found = search_crf(encode, lambda units: len(units[0]), budget, crf)
            if found is not None:
                best, crf = (found.units[0], size), found.crf
                if found.crf <= _SMALLER_ABOVE_CRF:
                    self._crf = found.crf
                    break
            crf = max(av1.MIN_CRF, min(crf, av1.MAX_CRF) - 6)
        return best

    def _carried(self, still: Picture, offset: int) -> Picture:
        """What the base makes of the still at `offset`, at the size of the looks."""
        width, height = self._look_size
        picture = _resized(still, (width, height))
        matrix = None
        if self._path is not None:
            matrix = self._path.homography(offset, self._width, self._height)
        if matrix is None:
            # Behind the path's end the base does not move it either.
            return picture
        scale = np.diag([width / self._width, height / self._height, 1.0])
        small = scale @ matrix @ np.linalg.inv(scale)
        moved = cv2.warpPerspective(
            picture, small, (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(moved, np.uint8)

    # --- chips

    def _chips(self, budget: int) -> tuple[Patch, ...]:
        """Chips of told objects that the base has no recent one of, the surest first."""
        self._chosen = []
        out: list[Patch] = []
        told = {track.track_id for track in self._tracks}
        self._sent = {number: sent for number, sent in self._sent.items() if number in told}
        for track in self._tracks:
            seen = self._best_view(track)
            if seen is None or self._is_known(track.track_id, seen[1]):
                continue
            patch = self._chip(*seen, most=min(budget, _MOST_CHIP_BYTES))
            if patch is not None:
                out.append(patch)
                budget -= _cost(patch)
                box = seen[1]
                self._chosen.append((track.track_id, _Sent(self._unit_no, box.width * box.height)))
        return tuple(out)

    def _best_view(self, track: Track) -> tuple[int, TrackPoint] | None:
        """(moment, box) of the first held frame that shows the whole object, else that shows it."""
        views = [(at, box) for at in sorted(self._frames) if (box := track.box_at(at)) is not None]
        whole = [view for view in views if self._is_inside(view[1])]
        return next(iter(whole or views), None)

    def _is_inside(self, box: TrackPoint) -> bool:
        right, below = self._width - box.x - box.width, self._height - box.y - box.height
        return min(box.x, box.y, right, below) > 0

    def _is_known(self, track_id: int, box: TrackPoint) -> bool:
        sent = self._sent.get(track_id)
        if sent is None or self._unit_no - sent.unit_no >= _AGED_UNITS:
            return False
        area = max(1, box.width * box.height)
        return 1 / _GROWN < area / max(1, sent.area) < _GROWN

    def _chip(self, offset: int, box: TrackPoint, *, most: int) -> Patch | None:
        """The box's pixels in at most `most` bytes of F and index; None when no CRF is coarse enough."""
        x0, x1 = _grown(box.x, box.width, self._width)
        y0, y1 = _grown(box.y, box.height, self._height)
        scale = 1 if (x1 - x0) * (y1 - y0) <= _LARGE_PX else 2
        pixels = self._frames[offset][y0 : min(y1, self._height), x0 : min(x1, self._width)]
        plane = _padded(pixels, x1 - x0, y1 - y0, scale)
        for crf in _CHIP_CRFS:
            (obus,) = av1.encode([plane], crf=crf, fps=Fraction(1), still=True, preset=_PRESET)
            patch = Patch(
                offset=offset, x=x0, y=y0, width=x1 - x0, height=y1 - y0, scale=scale, obus=obus
            )
            if _cost(patch) <= most:
                return patch
        return None


def _still_size(width: int, height: int, scale: int) -> tuple[int, int]:
    return _side(width, scale), _side(height, scale)


def _side(side: int, scale: int) -> int:
    least = min(_LEAST_STILL_PX, side // _TILE_PX * _TILE_PX)
    return max(least, 16, round(side / scale / _TILE_PX) * _TILE_PX)


def _cost(patch: Patch) -> int:
    """Bytes in F, and of its size in the index."""
    size = len(patch.pack())
    return size + (1 if size < 128 else 2)


def _padded(pixels: Picture, width: int, height: int, scale: int) -> Picture:
    """Planar 4:2:0 of a chip: beyond the picture's edge, and up to the least still, the last pixels."""
    h, w = pixels.shape[:2]
    whole = cv2.copyMakeBorder(pixels, 0, height - h, 0, width - w, cv2.BORDER_REPLICATE)
    small = av1.reduce(np.asarray(whole, np.uint8), width // scale, height // scale)
    h, w = small.shape[:2]
    below, right = max(0, _LEAST_STILL_PX - h), max(0, _LEAST_STILL_PX - w)
    padded = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return av1.i420(np.asarray(padded, np.uint8))


def _grown(start: int, length: int, limit: int) -> tuple[int, int]:
    """From and to, whole tiles, of a side grown by the margin."""
    margin = max(_LEAST_MARGIN_PX, round(length * _MARGIN_SHARE))
    first = max(0, start - margin) // _TILE_PX * _TILE_PX
    last = min(limit, start + length + margin)
    return first, -(-last // _TILE_PX) * _TILE_PX


def _resized(picture: Picture, size: tuple[int, int]) -> Picture:
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    smaller = picture.shape[1] > size[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def _error(a: Picture, b: Picture) -> float:
    difference: NDArray[np.float32] = cv2.absdiff(a, b).astype(np.float32)
    return float(np.mean(difference * difference))
