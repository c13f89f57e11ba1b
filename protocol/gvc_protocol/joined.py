"""Small units in one block: K and F travel as records of D (WIRE.md, section 2).

A unit of a few hundred bytes would be three blocks of one or two symbols each, and parity of one symbol
is a copy of it: D three times, K twice. In one block the same parity stands for all of it.
"""

from __future__ import annotations

from dataclasses import replace

from gvc_protocol.codec import PartData
from gvc_protocol.descriptors import Descriptors, RecordType
from gvc_protocol.records import varints

__all__ = ["joined", "joined_bytes", "parted"]

_KINDS = (RecordType.KEYFRAME, RecordType.FEATURES)


def joined(d: Descriptors, keyframe: bytes, features: bytes) -> Descriptors:
    """D with K and F in it; empty ones are left out, as they would not be sent."""
    records = ((RecordType.KEYFRAME, keyframe), (RecordType.FEATURES, features))
    return replace(d, unknown=(*d.unknown, *((kind, data) for kind, data in records if data)))


def parted(d: Descriptors) -> tuple[Descriptors, PartData | None, PartData | None]:
    """D by itself, and the K and F that it held; None for what was not in it."""
    held = {kind: data for kind, data in d.unknown if kind in _KINDS}
    if not held:
        return d, None, None
    rest = tuple(row for row in d.unknown if row[0] not in _KINDS)
    keyframe, features = (
        PartData(ranges=((0, held[kind]),), complete=True) if kind in held else None
        for kind in _KINDS
    )
    return replace(d, unknown=rest), keyframe, features


def joined_bytes(descriptors: int, keyframe: int, features: int) -> int:
    """Size of such a D, from the sizes of the three parts."""
    return descriptors + _record_bytes(keyframe) + _record_bytes(features)


def _record_bytes(size: int) -> int:
    return 1 + len(varints(size)) + size if size else 0
