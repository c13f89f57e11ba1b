"""Codec 1 on the wire: an index of chunks in K, so that any subset of F's bytes is of use (WIRE.md, 8).

    K = header | index: layer, display place and size of every picture, sizes of the patches | bodies
    F = the other bodies, pictures by layer, then patches

K holds the parameter sets and the pictures of the lowest layers, which all others need; it travels with
twice F's parity. A body in F counts when all of its bytes came, whatever else was lost.

Readers are total: damaged bytes give None or fewer chunks, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from gvc_protocol.bits import BitReader, BitsError, BitWriter
from gvc_protocol.codec import PartData
from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.varint import VarintError, pull_varint, push_varint
from gvc_protocol.vvc_sets import pack_sets, unpack_sets

__all__ = [
    "BITSTREAM_VERSION",
    "MAX_LAYER",
    "MAX_PICTURES",
    "MAX_STEP",
    "GvcUnit",
    "Patch",
    "Picture",
    "ReceivedGvc",
    "ReceivedPicture",
    "Tool",
    "decodable",
    "picture_offset",
    "read_unit",
]

BITSTREAM_VERSION = 1
MAX_PICTURES = 1024
MAX_PATCHES = 256
MAX_LAYER = 7
_MAX_OFFSET = 100_000
MAX_STEP = 255
_MAX_SIDE_PX = 16384
_SIZE_BITS = 5


class Tool(IntEnum):
    """What coded the pictures. Never reused."""

    NONE = 0
    AV1 = 1
    "Temporal units in display order; each needs all before it."
    VVC = 2
    "Access units in decoding order with temporal layers."


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One coded picture."""

    layer: int
    "Temporal layer, 0..7: a picture never needs one of a higher layer."
    display: int
    "Place in display order, counted from 0."
    body: bytes
    "AV1: a temporal unit. VVC: NAL units in Annex B without the first start code."


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """True pixels of a rectangle at one frame; decodes alone."""

    offset: int
    "Source frame, counted from the unit's first."
    x: int
    y: int
    width: int
    height: int
    "Source pixels; all four are multiples of 8."
    scale: int
    "1, 2 or 4: how many times the still is smaller, a side."
    obus: bytes
    "One AV1 temporal unit."

    def pack(self) -> bytes:
        """Body of the patch. Raises LocalProtocolError when a field is out of range."""
        sides = (self.x, self.y, self.width, self.height)
        fine = all(0 <= v <= _MAX_SIDE_PX and v % 8 == 0 for v in sides)
        if not (fine and self.width and self.height and self.scale in (1, 2, 4) and self.obus):
            raise LocalProtocolError(f"patch out of range: {sides}, scale {self.scale}")
        out = bytearray()
        for value in (self.offset, *(v // 8 for v in sides)):
            push_varint(out, value)
        out.append(self.scale)
        return bytes(out) + self.obus

    @classmethod
    def unpack(cls, data: bytes) -> Patch | None:
        """Read a body; None when it is damaged."""
        values, at = [], 0
        try:
            for _ in range(5):
                value, at = pull_varint(data, at)
                values.append(value)
        except VarintError:
            return None
        offset, x, y, width, height = values
        sides = max(x, y, width, height) * 8 <= _MAX_SIDE_PX and min(width, height) > 0
        if offset > _MAX_OFFSET or not sides or len(data) < at + 2 or data[at] not in (1, 2, 4):
            return None
        return cls(
            offset=offset, x=x * 8, y=y * 8, width=width * 8, height=height * 8, scale=data[at],
            obus=bytes(data[at + 1 :]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class GvcUnit:
    """A unit before it is cut into K and F."""

    tool: Tool
    step: int
    "Source frames between two coded ones, 1..255."
    last: int
    "Offset of the last coded frame."
    width: int
    height: int
    "Size of the coded pictures in pixels."
    pictures: tuple[Picture, ...]
    "In decoding order."
    parameter_sets: bytes = b""
    "Of VVC, in Annex B."
    patches: tuple[Patch, ...] = ()
    layers_in_keyframe: int = 1
    "Pictures of the layers below this one travel in K."

    def pack(self) -> tuple[bytes, bytes]:
        """(K, F). Raises LocalProtocolError when a field is out of range."""
        self._check()
        head = bytearray([BITSTREAM_VERSION, self.tool << 4 | self.layers_in_keyframe])
        for value in (self.step, self.last, self.width, self.height, len(self.pictures)):
            push_varint(head, value)
        sets = pack_sets(self.parameter_sets) if self.parameter_sets else b""
        push_varint(head, len(sets))
        patches = [patch.pack() for patch in self.patches]
        push_varint(head, len(patches))
        for body in patches:
            push_varint(head, len(body))
        first, second = _split(self.pictures, self.layers_in_keyframe)
        keyframe = bytes(head) + self._index() + sets
        keyframe += b"".join(self.pictures[i].body for i in first)
        features = b"".join(self.pictures[i].body for i in second) + b"".join(patches)
        return keyframe, features

    def _index(self) -> bytes:
        bits = BitWriter()
        place = _place_bits(len(self.pictures))
        for picture in self.pictures:
            if self.tool == Tool.VVC:
                bits.put(picture.layer, 3)
                bits.put(picture.display, place)
            bits.put_sized(len(picture.body), _SIZE_BITS)
        return bits.bytes()

    def _check(self) -> None:
        n = len(self.pictures)
        fields = 1 <= self.step <= MAX_STEP and 0 <= self.last <= _MAX_OFFSET
        sides = 0 < self.width <= _MAX_SIDE_PX and 0 < self.height <= _MAX_SIDE_PX
        counts = n <= MAX_PICTURES and len(self.patches) <= MAX_PATCHES
        layers = 0 <= self.layers_in_keyframe <= MAX_LAYER + 1
        inside = all(
            0 <= p.layer <= MAX_LAYER and 0 <= p.display < n and p.body for p in self.pictures
        )
        if self.tool == Tool.AV1:
            wanted = [(min(i, 1), i) for i in range(n)]
            inside = inside and [(p.layer, p.display) for p in self.pictures] == wanted
        if not (fields and sides and counts and layers and inside):
            raise LocalProtocolError("unit of codec 1 out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedPicture:
    """One picture of the index, and its body if all of it came."""

    layer: int
    display: int
    size: int
    body: bytes | None
    in_keyframe: bool = False
    "Whether it travelled in K."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedGvc:
    """What arrived of a unit of which the index is known."""

    tool: Tool
    step: int
    last: int
    width: int
    height: int
    parameter_sets: bytes | None
    pictures: tuple[ReceivedPicture, ...]
    "In decoding order."
    patches: tuple[Patch, ...]
    "Those that came whole."


def picture_offset(display: int, step: int, last: int) -> int:
    """Source frame, counted from the unit's first, of a place in display order."""
    return min(display * step, last)


def decodable(unit: ReceivedGvc) -> list[bool]:
    """Which pictures, in decoding order, a decoder should be given.

    AV1: the unbroken start, for its decoder does not see that a reference is missing. VVC: all that
    came. Each names its references, and a decoder refuses those of which one is missing; streams of this
    codec have no adaptation parameter sets, the one thing whose loss it could not see.
    """
    if unit.tool == Tool.VVC:
        return [picture.body is not None for picture in unit.pictures]
    came = [picture.body is not None for picture in unit.pictures]
    return [all(came[: i + 1]) for i in range(len(came))]


def read_unit(keyframe: PartData, features: PartData) -> ReceivedGvc | None:
    """Put together what arrived; None when the index did not, or is of another version."""
    data = keyframe.prefix
    try:
        return _read(data, keyframe, features)
    except (VarintError, BitsError, ValueError):
        return None


def _read(data: bytes, keyframe: PartData, features: PartData) -> ReceivedGvc | None:
    if len(data) < 2 or data[0] != BITSTREAM_VERSION:
        return None
    tool, layers = Tool(data[1] >> 4), data[1] & 15
    at, values = 2, []
    for _ in range(7):
        value, at = pull_varint(data, at)
        values.append(value)
    step, last, width, height, count, set_size, patch_count = values
    fine = 1 <= step <= MAX_STEP and last <= _MAX_OFFSET and count <= MAX_PICTURES
    if not (fine and 0 < width <= _MAX_SIDE_PX and 0 < height <= _MAX_SIDE_PX):
        return None
    if patch_count > MAX_PATCHES or layers > MAX_LAYER + 1:
        return None
    patch_sizes = []
    for _ in range(patch_count):
        size, at = pull_varint(data, at)
        patch_sizes.append(size)
    index, at = _read_index(data, at, tool, count)
    packed = _slice(keyframe, at, set_size)
    sets = unpack_sets(packed) if packed else None
    at += set_size
    first, second = _split([Picture(layer=a, display=b, body=b"") for a, b, _ in index], layers)
    bodies: dict[int, bytes | None] = {}
    for i in first:
        bodies[i] = _slice(keyframe, at, index[i][2])
        at += index[i][2]
    at = 0
    for i in second:
        bodies[i] = _slice(features, at, index[i][2])
        at += index[i][2]
    pictures = tuple(
        ReceivedPicture(layer=a, display=b, size=c, body=bodies[i], in_keyframe=a < layers)
        for i, (a, b, c) in enumerate(index)
    )
    return ReceivedGvc(
        tool=tool, step=step, last=last, width=width, height=height, parameter_sets=sets,
        pictures=pictures, patches=_read_patches(features, at, patch_sizes),
    )  # fmt: skip


def _read_index(
    data: bytes, at: int, tool: Tool, count: int
) -> tuple[list[tuple[int, int, int]], int]:
    """(layer, display, size) of each picture, and where the index ends."""
    bits, place = BitReader(data, at), _place_bits(count)
    rows = []
    for i in range(count):
        layer, display = min(i, 1), i
        if tool == Tool.VVC:
            layer, display = bits.take(3), bits.take(place)
        rows.append((layer, display, bits.take_sized(_SIZE_BITS)))
    displays = [display for _, display, _ in rows]
    if any(d >= count for d in displays) or len(set(displays)) != count:
        raise BitsError("display places are no order")
    return rows, bits.end


def _read_patches(features: PartData, at: int, sizes: list[int]) -> tuple[Patch, ...]:
    out = []
    for size in sizes:
        body = _slice(features, at, size)
        patch = Patch.unpack(body) if body else None
        if patch is not None:
            out.append(patch)
        at += size
    return tuple(out)


def _split(pictures: Sequence[Picture], layers: int) -> tuple[list[int], list[int]]:
    """Places in decoding order of the bodies in K, and of those in F in the order they travel."""
    first = [i for i, p in enumerate(pictures) if p.layer < layers]
    rest = [i for i, p in enumerate(pictures) if p.layer >= layers]
    return first, sorted(rest, key=lambda i: pictures[i].layer)


def _place_bits(count: int) -> int:
    return max(0, count - 1).bit_length()


def _slice(part: PartData, start: int, size: int) -> bytes | None:
    """`size` bytes of a part from `start`, or None where some did not come."""
    for offset, data in part.ranges:
        if offset <= start and start + size <= offset + len(data):
            return bytes(data[start - offset : start - offset + size])
    return None
