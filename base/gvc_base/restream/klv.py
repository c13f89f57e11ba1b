"""Where the camera was, as a MISB ST 0601 local set: what map players read out of a transport stream.

    16-byte key, BER length, then items of (tag, length, value): time first, checksum last

Only what is known is written. Heights are above the ellipsoid (75, 78), so the items for heights above
the sea stay out. The camera's attitude has only items that need the aircraft's too, so what it looks at
is told by the corners and the centre, and these only where all of the picture meets the ground.

ST 0601.16, items 1-3, 10-14, 16, 23, 24, 65, 75, 78 and 82-89; big-endian throughout.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from gvc_base.console.view import CameraPlace
from gvc_base.export.cot_events import wrapped_lon

__all__ = ["UAS_LOCAL_SET", "local_set"]

UAS_LOCAL_SET = bytes.fromhex("060e2b34020b01010e01030101000000")
_VERSION = 16
_TEXT_BYTES = 127
_HEIGHTS_M = (-900.0, 19_000.0)
_SOURCE = "GVC decoded, marked; not for piloting"


def local_set(
    place: CameraPlace, corners: Sequence[tuple[float, float]], *, mission: str, drone: str
) -> bytes:
    """One set.

    Args:
        corners: (lon, lat) in degrees of the picture's corners, upper left first, clockwise; left out
            where `place.cut`, and where they are not four.
        mission, drone: names; at most 127 bytes of each are written.

    Returns:
        Key, length and items. An item whose value its field cannot hold is left out.
    """
    items = [
        (2, struct.pack(">Q", max(0, place.time_ns) // 1000)),
        (3, _text(mission)), (10, _text(drone)), (11, _text(_SOURCE)),
        (12, _text("Geodetic WGS84")), (13, _signed(place.lat, 90)), (14, _signed(place.lon, 180)),
        (16, _unsigned(place.fov_deg, 0.0, 180.0)),
    ]  # fmt: skip
    if not place.cut:
        lon, lat = place.centre
        items += [(23, _signed(lat, 90)), (24, _signed(wrapped_lon(lon), 180))]
    items += [(65, bytes((_VERSION,))), (75, _unsigned(place.height_m, *_HEIGHTS_M))]
    if not place.cut:
        items.append((78, _unsigned(place.ground_m, *_HEIGHTS_M)))
        if len(corners) == 4:
            for tag, (lon, lat) in zip((82, 84, 86, 88), corners, strict=True):
                items += [(tag, _signed(lat, 90)), (tag + 1, _signed(wrapped_lon(lon), 180))]
    body = b"".join(bytes((tag, len(value))) + value for tag, value in items if value)
    # The checksum is of everything before its own value, its tag and length with it.
    length = len(body) + 4
    head = UAS_LOCAL_SET + _ber(length) + body + b"\x01\x02"
    return head + struct.pack(">H", _checksum(head))


def _checksum(data: bytes) -> int:
    """Sum of 16-bit words, as ST 0601 defines it; an odd last byte is a high one."""
    return (sum(data[0::2]) * 256 + sum(data[1::2])) & 0xFFFF


def _ber(length: int) -> bytes:
    if length < 128:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def _text(text: str) -> bytes:
    return text.encode()[:_TEXT_BYTES].decode(errors="ignore").encode()


def _signed(value: float, limit: int) -> bytes:
    """-limit..limit on the 32-bit numbers but the most negative one, which means an error."""
    if not -limit <= value <= limit:  # NaN, too
        return b""
    return struct.pack(">i", round(value / limit * 0x7FFF_FFFF))


def _unsigned(value: float, low: float, high: float) -> bytes:
    if not (math.isfinite(value) and low <= value <= high):
        return b""
    return struct.pack(">H", round((value - low) / (high - low) * 0xFFFF))
