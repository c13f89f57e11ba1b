"""Region answers as the base keeps them: a PNG and what it shows beside the archive, and in the video.

In a decoded video the pixels stand at their own unit and frame. A layer of full size is received pixels,
mark 0; a coarser one is estimated between the pixels that came, and is marked so.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import cv2

from gvc_base.decoders.gvc_marks import with_patches
from gvc_base.decoders.gvc_parts import PlacedPatch, place_patch
from gvc_base.marks.model import load_model
from gvc_protocol.codec import DecodedFrame, UnitSpan
from gvc_protocol.events import MessageReady
from gvc_protocol.gvc1 import Patch
from gvc_protocol.marks import SourcePart
from gvc_protocol.messages import RegionAnswer, RegionStatus, unpack_message

__all__ = ["RegionFiles", "RegionPatches", "paste"]

_MOST_KEPT = 4096


class RegionFiles:
    """Pictures of answered regions in `ARCHIVE.regions/`; the newest layer replaces the coarser one."""

    def __init__(self, archive: Path) -> None:
        self._folder = archive.with_name(archive.stem + ".regions")

    def write(self, answer: RegionAnswer) -> Path | None:
        """PNG and JSON of a layer; None where it cannot be decoded or written."""
        patch = Patch.unpack(answer.patch)
        placed = None if patch is None else place_patch(patch)
        if patch is None or placed is None:
            return None
        name = f"region-{answer.command_id}-boot-{answer.boot_id}-unit-{answer.unit_no}"
        path = self._folder / f"{name}-frame-{patch.offset}.png"
        done, png = cv2.imencode(".png", placed.pixels)
        about = {
            "id": answer.command_id, "boot": answer.boot_id, "unit": answer.unit_no,
            "frame": patch.offset, "x": patch.x, "y": patch.y, "width": placed.pixels.shape[1],
            "height": placed.pixels.shape[0], "layer": answer.layer, "scale": patch.scale,
            "last": answer.last, "pixels": "received" if patch.scale == 1 else "received, enlarged",
        }  # fmt: skip
        with suppress(OSError):  # a full disk costs the picture; the archive has its bytes
            self._folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_bytes(png.tobytes() if done else b"")
            part.replace(path)
            path.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")
            return path
        return None


class RegionPatches:
    """The best layer of each region, by boot and unit, to be put into decoded frames."""

    def __init__(self) -> None:
        self._best: dict[tuple[int, int], dict[tuple[int, ...], tuple[int, Patch]]] = defaultdict(
            dict
        )
        self._count = 0

    def take(self, event: MessageReady) -> None:
        """Keep the region answers of a message that a key vouches for."""
        if not event.authenticated:
            return
        for record in unpack_message(event.data):
            if not isinstance(record, RegionAnswer) or record.status != RegionStatus.PIXELS:
                continue
            patch = Patch.unpack(record.patch)
            if patch is None or self._count >= _MOST_KEPT:
                continue
            box = (record.command_id, patch.offset, patch.x, patch.y, patch.width, patch.height)
            unit = self._best[record.boot_id, record.unit_no]
            if box not in unit or unit[box][0] <= record.layer:
                self._count += box not in unit
                unit[box] = (record.layer, patch)

    def placed(self, boot_id: int, unit_no: int, span: UnitSpan) -> list[PlacedPatch]:
        """The patches of one unit, coarse ones first."""
        rows = self._best.get((boot_id, unit_no), {}).values()
        patches = sorted((patch for _, patch in rows), key=lambda p: -p.scale)
        return [p for patch in patches if (p := place_patch(patch, span)) is not None]


def paste(
    frame: DecodedFrame, patches: list[PlacedPatch], offset: int, boot_id: int = 0
) -> DecodedFrame:
    """The frame with the received pixels of this very moment in it, and their marks.

    Args:
        offset: the frame's place in its unit. boot_id: of the unit.
    """
    mine = [p for p in patches if p.offset == offset]
    if not mine:
        return frame
    return with_patches(frame, mine, SourcePart.ANSWER, frame.unit_no, boot_id, load_model())
