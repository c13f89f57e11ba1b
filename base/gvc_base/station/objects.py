"""Objects that the edge told of: boxes in each frame, a row for each new one, its chip."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from gvc_base.decoders.gvc_parts import place_patch
from gvc_base.patterns import paint
from gvc_base.timeline import DecodeJob
from gvc_protocol.codec import CodecId
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.gvc1 import Patch, read_unit
from gvc_protocol.marks import TILE_PX, Mark, tile_grid
from gvc_protocol.objects import ObjectClass, Track, TrackPoint

__all__ = ["Box", "NewObject", "ObjectRows", "boxes_at", "meet", "object_text"]

Box = tuple[int, int, int, int]
"x, y, width, height."

_MOST_KNOWN = 4096
_HOLD_FRAMES = 1


def _class_name(class_id: int) -> str:
    """`mover`, `person`, ...; `class 12` for one of a later version."""
    try:
        return ObjectClass(class_id).name.lower().replace("_", " ")
    except ValueError:
        return f"class {class_id}"


def object_text(class_id: int, score_pct: int, track_id: int | None = None) -> str:
    """An object in the operator's list: `mover 9, 84 % sure`."""
    number = "" if track_id is None else f" {track_id}"
    return f"{_class_name(class_id)}{number}, {score_pct} % sure"


def boxes_at(d: Descriptors | None, offset: int) -> tuple[dict[str, Any], ...]:
    """The edge's objects in the frame at `offset`, as `view.Shown.boxes`."""
    if d is None:
        return ()
    rows: list[dict[str, Any]] = []
    for track in d.tracks:
        if (at := track.box_at(offset, hold=_HOLD_FRAMES)) is not None:
            rows.append(_row(track.track_id, track.class_id, track.score_pct, at.box))
    if not d.tracks:
        for number, found in enumerate(d.detections):
            box = (found.x, found.y, found.width, found.height)
            rows.append(_row(number, found.class_id, found.score_pct, box))
    return tuple(rows)


def _row(number: int, class_id: int, score_pct: int, box: Box) -> dict[str, Any]:
    x, y, width, height = box
    return {
        "id": number, "kind": _class_name(class_id), "x": x, "y": y, "width": width,
        "height": height, "state": "confirmed", "score": score_pct / 100,
    }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """An object to be listed."""

    text: str
    box: Box
    chip: bytes | None
    "PNG of received pixels; where they came smaller than what they show, its marks are burned in."


class ObjectRows:
    """Each object once when it is first told of, and once more when its first chip comes later."""

    def __init__(self) -> None:
        # (boot, track) -> whether its chip came
        self._known: dict[tuple[int, int], bool] = {}
        self._loose: deque[tuple[int, Box]] = deque(maxlen=64)

    def of(self, job: DecodeJob) -> Iterator[NewObject]:
        """Rows that this unit makes."""
        d = job.unit.descriptors
        if d is None:
            return
        patches = _patches(job)
        for track in d.tracks:
            key = (job.boot_id, track.track_id)
            if self._known.get(key):
                continue
            chip = _chip(patches, track)
            if key in self._known and chip is None:
                continue
            again = "picture of " if key in self._known else ""
            self._known[key] = chip is not None
            text = again + object_text(track.class_id, track.score_pct, track.track_id)
            yield NewObject(text=text, box=track.points[0].box, chip=chip)
        while len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        if not d.tracks:
            yield from self._untracked(d)

    def _untracked(self, d: Descriptors) -> Iterator[NewObject]:
        before, self._loose = self._loose, deque(maxlen=64)
        for found in d.detections:
            box = (found.x, found.y, found.width, found.height)
            self._loose.append((found.class_id, box))
            if not any(c == found.class_id and meet(b, box) for c, b in before):
                text = object_text(found.class_id, found.score_pct)
                yield NewObject(text=text, box=box, chip=None)


def meet(a: Box, b: Box) -> bool:
    """Whether two boxes share a pixel."""
    across = min(a[0] + a[2], b[0] + b[2]) > max(a[0], b[0])
    return across and min(a[1] + a[3], b[1] + b[3]) > max(a[1], b[1])


def _patches(job: DecodeJob) -> list[Patch]:
    if job.spec.codec_id != CodecId.GVC:
        return []
    parsed = read_unit(job.unit.keyframe, job.unit.features)
    return [] if parsed is None else sorted(parsed.patches, key=lambda p: p.scale)


def _chip(patches: list[Patch], track: Track) -> bytes | None:
    for patch in patches:
        box = track.box_at(patch.offset)
        if box is None or not _covers(patch, box):
            continue
        placed = place_patch(patch)
        if placed is not None:
            pixels = placed.pixels
            if not placed.full_size:
                pixels = paint(
                    pixels, np.full(tile_grid(*pixels.shape[:2]), Mark.ENHANCED, np.uint8)
                )
            done, png = cv2.imencode(".png", pixels)
            return png.tobytes() if done else None
    return None


def _covers(patch: Patch, box: TrackPoint) -> bool:
    """Whether the patch shows the box, give or take a tile, and not a whole landscape around it."""
    return (
        patch.x <= box.x + TILE_PX
        and patch.y <= box.y + TILE_PX
        and patch.x + patch.width >= box.x + box.width - TILE_PX
        and patch.y + patch.height >= box.y + box.height - TILE_PX
        and patch.width * patch.height <= 9 * max(64, box.width * box.height)
    )
