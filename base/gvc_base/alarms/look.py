"""One look at one shown frame: where it leaves the evidence, and which told objects it does not show.

    shown, reduced to the detail of what was received - the plain picture of the received bytes -> blobs
    objects that D tells of: does their box stand out from its surroundings, is it like its chip?

A network may sharpen and invent what lies between received pixels; what it shows must still be the
received picture when it is reduced again. An object pasted into the picture, or into what the decoder
remembers, is not, and one that was taken out is missed there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.gvc_parts import PlacedPatch
from gvc_profiles.sight.compare import Difference, find_blobs, unexplained
from gvc_profiles.sight.evidence import small_grey
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.marks import TILE_PX, Mark
from gvc_protocol.truth import Alarm, AlarmKind

__all__ = ["Told", "contradictions", "missed", "reduced", "standing_out", "told_at"]

Grey = NDArray[np.uint8]
Box = tuple[int, int, int, int]

_CODED_LEVELS, _BETWEEN_LEVELS = 6, 9
"""On unmodified pictures of four clips at 15 and 40 kbit/s the largest difference was 6 levels at coded
moments and mostly below 12 between them."""
_LEAST_PX, _LEAST_INVENTED_PX = 3, 6
"""What is shown and was not received: false ones between coded moments had 3, of planted people, boats
and vehicles the least had 7. What is missed may have less: its surroundings hide a part of it."""
_RIM_PX, _JOIN_PX = 4, 4
_REACH, _SMOOTH_PX = 3, 0.8
_MOST_ALARMS = 16
_OWN_STRUCTURE = 0.6
"Contrast over that of the evidence from which on a place that differs shows something of its own."
_GROWN = 0.25
"A told box may be off by this much of itself: it is told in a small picture. So much more it excuses."
_MOVED_PX, _SAME_SHARE = 12, 0.35
"""How far things move from one coded picture to the next, compared pixels, and the difference from the
received thing as a share of its contrast. On a road most of the places that were falsely called invented
had less, and no planted fake (the least 0.41)."""
_RING = 0.6
_LEAST_CONTRAST, _STRONG_CONTRAST = 6.0, 20.0
"""A told box with less is empty, unless something with more stands a quarter of it away: on a flood,
boxes that were off their objects showed 26 to 29 there, true misses at most 18."""
_LEAST_LIKENESS = 0.35
_LEAST_SIDE_PX = 6


@dataclass(frozen=True, slots=True)
class Told:
    """An object that the sender saw in this frame; box (x, y, width, height) in source pixels."""

    box: Box
    class_id: int
    track_id: int | None


def told_at(descriptors: Descriptors | None, offset: int) -> list[Told]:
    """Objects of D at a frame of the unit; detections hold for the unit's first frame."""
    if descriptors is None:
        return []
    out = [
        Told(box.box, track.class_id, track.track_id)
        for track in descriptors.tracks if (box := track.box_at(offset)) is not None
    ]  # fmt: skip
    if offset == 0:
        out += [
            Told((d.x, d.y, d.width, d.height), d.class_id, None) for d in descriptors.detections
        ]
    return out


def reduced(pixels: Grey, detail: float, size: tuple[int, int]) -> Grey:
    """The shown picture, grey, with the detail of the received one, of `size`."""
    width = round(size[0] * detail)
    if 0 < width < size[0]:
        coded = (max(2, width), max(2, round(size[1] * detail)))
        pixels = np.asarray(cv2.resize(pixels, coded, interpolation=cv2.INTER_AREA), np.uint8)
    return small_grey(pixels, size)


def contradictions(
    plain: Grey, shown: Grey, mark: NDArray[np.uint8], told: Sequence[Told],
    source: tuple[int, int], *, coded: bool, near: Sequence[Grey] = (),
) -> list[Alarm]:  # fmt: skip
    """Places where the shown picture is not what was received.

    Args:
        plain, shown: the evidence and the shown picture with its detail, uint8[h, w].
        mark: tiles of the shown picture; received ones are true pixels and excuse any difference.
        source: (width, height) of the source.
        coded: a coded picture stands at this frame; else both pictures were moved here.
        near: the coded pictures about this frame, as `plain`: what stands in one of them a little away
            was received, and moved to another place here.
    """
    least = _CODED_LEVELS if coded else _BETWEEN_LEVELS
    apart = unexplained(plain, shown, reach=_REACH, smooth=_SMOOTH_PX)
    ratio = (source[0] / plain.shape[1], source[1] / plain.shape[0])
    if not coded:
        # What moved in over the picture's edge is nobody's to compare.
        apart[:_RIM_PX], apart[-_RIM_PX:], apart[:, :_RIM_PX], apart[:, -_RIM_PX:] = 0, 0, 0, 0
    out = []
    # Sized at the lower level: what is explained by a value nearby hides most of a small figure.
    blobs = [b for b in find_blobs(apart, _CODED_LEVELS, _LEAST_PX, _JOIN_PX) if b.peak > least]
    for blob in blobs[:_MOST_ALARMS]:
        box = _scaled(blob, ratio)
        if _received(mark, box):
            continue
        had, has = _contrast(plain, blob), _contrast(shown, blob)
        inside = next((t for t in told if _covers(_grown(t.box), box)), None)
        if inside is not None and has >= had:
            continue  # a chip, or detail, of an object that the sender told of
        alarm = Alarm(
            kind=AlarmKind.UNCONFIRMED, x=box[0], y=box[1], width=box[2], height=box[3],
            why="evidence", strength=round(blob.peak / least, 2),
            class_id=inside.class_id if inside else None,
            track_id=inside.track_id if inside else None,
        )  # fmt: skip
        invented = has >= _OWN_STRUCTURE * had and blob.area >= _LEAST_INVENTED_PX
        if inside is None and invented and (coded or not _stands_in(near, shown, blob)):
            out.append(alarm)
        if has < had:
            # One thing in place of another is both.
            out.append(replace(alarm, kind=AlarmKind.MISSED))
    return out


def missed(
    shown: NDArray[np.uint8], told: Sequence[Told], chips: Sequence[tuple[Box, PlacedPatch]],
    already: Sequence[Alarm],
) -> list[Alarm]:  # fmt: skip
    """Told objects of which the shown picture, uint8[H, W, 3], has nothing in their box.

    Args:
        chips: received pixels of an object, and the box that they show now.
        already: alarms of this frame; no object is told of twice.
    """
    grey = np.asarray(cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY), np.uint8)
    known = {a.track_id for a in already if a.track_id is not None}
    out = []
    for one in told:
        x0, y0, x1, y1 = _inside(one.box, grey.shape)
        if x1 - x0 < _LEAST_SIDE_PX or y1 - y0 < _LEAST_SIDE_PX or one.track_id in known:
            continue
        chip = next((patch for box, patch in chips if box == one.box), None)
        if chip is not None:
            like = _likeness(grey[y0:y1, x0:x1], chip)
            if like < _LEAST_LIKENESS:
                out.append(_alarm(one, "chip", (1 - like) / (1 - _LEAST_LIKENESS)))
            continue
        contrast = standing_out(grey, one.box)
        if contrast < _LEAST_CONTRAST and not _stands_beside(grey, one.box):
            out.append(_alarm(one, "contrast", _LEAST_CONTRAST / max(0.1, contrast)))
    return out


def standing_out(grey: Grey, box: Box) -> float:
    """Levels by which what is in a box differs from what is around it: the larger of the difference
    of means, and what of the box's extremes the surroundings do not reach."""
    x0, y0, x1, y1 = _inside(box, grey.shape)
    w, h = x1 - x0, y1 - y0
    dx, dy = max(3, round(w * _RING)), max(3, round(h * _RING))
    a, b = max(0, y0 - dy), min(grey.shape[0], y1 + dy)
    c, d = max(0, x0 - dx), min(grey.shape[1], x1 + dx)
    smooth = cv2.GaussianBlur(grey[a:b, c:d], (0, 0), 1.0)
    ring = np.ones(smooth.shape, np.bool_)
    ring[y0 - a : y1 - a, x0 - c : x1 - c] = False
    inner, outer = smooth[~ring], smooth[ring]
    if inner.size == 0 or outer.size == 0:
        return 255.0
    low, high = np.percentile(outer, (5, 95))
    dark, light = np.percentile(inner, (3, 97))
    beyond = max(float(low - dark), float(light - high), 0.0)
    return max(beyond, abs(float(inner.mean()) - float(outer.mean())))


def _stands_beside(grey: Grey, box: Box) -> bool:
    """Whether something stands out strongly where the box is if it was told a little off its object."""
    x, y, w, h = box
    dx, dy = round(w * _GROWN), round(h * _GROWN)
    moved = ((x + dx, y, w, h), (x - dx, y, w, h), (x, y + dy, w, h), (x, y - dy, w, h))
    return any(standing_out(grey, one) >= _STRONG_CONTRAST for one in moved)


def _stands_in(near: Sequence[Grey], shown: Grey, blob: Difference) -> bool:
    """Whether what is shown at a blob is in one of the coded pictures, at most `_MOVED_PX` away."""
    (h, w), m, reach = shown.shape, 2, _MOVED_PX
    y0, x0 = max(0, blob.y - m), max(0, blob.x - m)
    y1, x1 = min(h, blob.y + blob.height + m), min(w, blob.x + blob.width + m)
    piece = shown[y0:y1, x0:x1]
    most = piece.size * (_SAME_SHARE * max(1.0, float(piece.std()))) ** 2
    return any(
        float(cv2.matchTemplate(
            other[max(0, y0 - reach) : y1 + reach, max(0, x0 - reach) : x1 + reach], piece,
            cv2.TM_SQDIFF,
        ).min()) <= most
        for other in near
    )  # fmt: skip


def _likeness(shown: Grey, chip: PlacedPatch) -> float:
    """Normalised correlation of a box with received pixels of its object, best of small shifts."""
    h, w = shown.shape
    true = np.asarray(cv2.cvtColor(chip.pixels, cv2.COLOR_BGR2GRAY), np.uint8)
    th, tw = true.shape
    core = true[th // 6 : th - th // 6, tw // 6 : tw - tw // 6]
    if core.shape[0] > h or core.shape[1] > w:
        core = np.asarray(
            cv2.resize(core, (min(w, core.shape[1]), min(h, core.shape[0]))), np.uint8
        )
    if float(core.std()) < 1.0 or float(shown.std()) < 0.5:
        return 0.0
    return float(cv2.matchTemplate(shown, core, cv2.TM_CCOEFF_NORMED).max())


def _alarm(one: Told, why: str, strength: float) -> Alarm:
    x, y, width, height = one.box
    return Alarm(
        kind=AlarmKind.MISSED, x=x, y=y, width=width, height=height, why=why,
        strength=round(strength, 2), class_id=one.class_id, track_id=one.track_id,
    )  # fmt: skip


def _scaled(blob: Difference, ratio: tuple[float, float]) -> Box:
    x, y = int(blob.x * ratio[0]), int(blob.y * ratio[1])
    return x, y, max(1, round(blob.width * ratio[0])), max(1, round(blob.height * ratio[1]))


def _received(mark: NDArray[np.uint8], box: Box) -> bool:
    x, y, w, h = box
    tiles = mark[
        y // TILE_PX : (y + h - 1) // TILE_PX + 1, x // TILE_PX : (x + w - 1) // TILE_PX + 1
    ]
    return tiles.size > 0 and bool((tiles == Mark.RECEIVED).mean() > 0.5)


def _contrast(picture: Grey, blob: Difference) -> float:
    m = 3
    y0, x0 = max(0, blob.y - m), max(0, blob.x - m)
    return float(picture[y0 : blob.y + blob.height + m, x0 : blob.x + blob.width + m].std())


def _grown(box: Box) -> Box:
    x, y, w, h = box
    dx, dy = max(6, round(w * _GROWN)), max(6, round(h * _GROWN))
    return x - dx, y - dy, w + 2 * dx, h + 2 * dy


def _covers(outer: Box, inner: Box) -> bool:
    """Whether most of `inner` lies in `outer`."""
    w = min(outer[0] + outer[2], inner[0] + inner[2]) - max(outer[0], inner[0])
    h = min(outer[1] + outer[3], inner[1] + inner[3]) - max(outer[1], inner[1])
    return w > 0 and h > 0 and w * h >= 0.6 * inner[2] * inner[3]


def _inside(box: Box, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the part that lies in the picture."""
    x, y, w, h = box
    return max(0, x), max(0, y), min(shape[1], x + w), min(shape[0], y + h)
