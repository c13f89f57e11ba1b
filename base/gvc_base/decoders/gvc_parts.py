"""Codec 1's parts as received to pictures: what of the stream and of the patches can be decoded.

Total: a hole or damage leaves fewer pictures, never an exception, and no picture whose references are
not all there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.av1 import decode_units
from gvc_base.decoders.camera import Camera
from gvc_base.decoders.vvc import decode_access_units
from gvc_protocol.codec import ReceivedUnit, UnitSpan
from gvc_protocol.gvc1 import Patch, ReceivedGvc, Tool, decodable, picture_offset, read_unit
from gvc_protocol.marks import SourcePart

__all__ = ["CodedUnit", "PlacedPatch", "place_patch", "read_coded"]

U8 = NDArray[np.uint8]

_GREY_WITHIN = 3
"Levels that coding and the way from YUV leave between the colours of a grey picture."

_LEAST_STILL_PX = 64
"The still encoder's smallest picture: smaller patches are padded at their right and lower edge."


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPatch:
    """True pixels of a rectangle at one moment."""

    offset: int
    x: int
    y: int
    pixels: U8
    "uint8[h, w, 3] at full size."
    full_size: bool
    "False where the still was smaller than what it shows."


@dataclass(slots=True, kw_only=True)
class CodedUnit:
    """What of a unit can be shown."""

    offsets: list[int] = field(default_factory=list)
    "Source frame of each picture, counted from the unit's first; rising."
    lows: list[U8] = field(default_factory=list)
    parts: list[SourcePart] = field(default_factory=list)
    "Where the bytes of each picture travelled."
    patches: list[PlacedPatch] = field(default_factory=list)
    bits_per_coded_pixel: float = 0.0
    step: int = 1
    "Source frames from one coded picture to the next, as the edge chose them."
    camera: Camera | None = None
    "The decoder's: how it moves pictures on where nothing comes."

    @property
    def mono(self) -> bool:
        """True where no coded picture has any colour."""
        return bool(self.lows) and all(_is_grey(low) for low in self.lows)


def _is_grey(picture: U8) -> bool:
    blue, green, red = cv2.split(picture)
    apart = max(cv2.norm(blue, green, cv2.NORM_INF), cv2.norm(red, green, cv2.NORM_INF))
    return bool(apart <= _GREY_WITHIN)


def read_coded(unit: ReceivedUnit, span: UnitSpan) -> CodedUnit:
    """Decode what arrived."""
    out = CodedUnit()
    parsed = read_unit(unit.keyframe, unit.features)
    if parsed is None:
        return out
    early = {p.display for p in parsed.pictures if p.in_keyframe}
    out.step = parsed.step
    for display, picture in _pictures(parsed, span):
        offset = picture_offset(display, parsed.step, parsed.last)
        # One picture past the span still helps to fill the gap before it.
        if offset < span.frames + parsed.step and (not out.offsets or offset > out.offsets[-1]):
            out.offsets.append(offset)
            out.lows.append(picture)
            in_k = display in early
            out.parts.append(SourcePart.KEYFRAME if in_k else SourcePart.FEATURES)
    sizes = [picture.size for picture in parsed.pictures]
    pixels = parsed.width * parsed.height * max(1, len(sizes))
    out.bits_per_coded_pixel = sum(sizes) * 8 / pixels
    placed = (place_patch(patch, span) for patch in parsed.patches)
    out.patches = [patch for patch in placed if patch is not None]
    return out


def _pictures(parsed: ReceivedGvc, span: UnitSpan) -> list[tuple[int, U8]]:
    """(display place, picture), rising, of everything that can be decoded with certainty."""
    # Coded sides are multiples of 8 at most 8 above the source's.
    width, height = span.width + 8, span.height + 8
    pairs = zip(parsed.pictures, decodable(parsed), strict=True)
    bodies = [(p.display, p.body) for p, good in pairs if good and p.body is not None]
    if parsed.tool == Tool.VVC and parsed.parameter_sets is not None:
        return decode_access_units(parsed.parameter_sets, bodies, width=width, height=height)
    if parsed.tool == Tool.AV1:
        units = [body for _, body in bodies]
        return list(enumerate(decode_units(units, width=width, height=height)))
    return []


def place_patch(patch: Patch, span: UnitSpan | None = None) -> PlacedPatch | None:
    """Decode a patch and check it against the picture, if known; None when it does not fit."""
    if span is not None:
        right, below = patch.x + patch.width, patch.y + patch.height
        inside = right < span.width + 8 and below < span.height + 8
        if not inside or patch.offset >= span.frames:
            return None
    most = (max(_LEAST_STILL_PX, patch.width), max(_LEAST_STILL_PX, patch.height))
    pictures = decode_units([patch.obus], width=most[0], height=most[1])
    if not pictures:
        return None
    pixels = pictures[0][: -(-patch.height // patch.scale), : -(-patch.width // patch.scale)]
    if patch.scale > 1:
        size = (patch.width, patch.height)
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    if pixels.shape[:2] != (patch.height, patch.width):
        return None
    if span is not None:
        pixels = pixels[: span.height - patch.y, : span.width - patch.x]
    return PlacedPatch(
        offset=patch.offset, x=patch.x, y=patch.y, pixels=pixels, full_size=patch.scale == 1
    )
