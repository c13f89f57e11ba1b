"""What of the eyes' findings fits into part D: tracks by score, then the camera's path, then nothing.

D is the best protected part of a unit and costs as much on the air as its bytes and four times the
parity, so it gets a small share of the unit and no more.
"""

from __future__ import annotations

from dataclasses import dataclass

from gvc_edge.eyes import Seen
from gvc_protocol.motion_path import MotionPath
from gvc_protocol.objects import Track, pack_tracks

__all__ = ["Told", "descriptor_room", "tell"]

_SHARE = 0.04
_MOST_BYTES = 240
_LEAST_BYTES = 24
_RECORD_HEAD_BYTES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What goes into D."""

    tracks: tuple[Track, ...] = ()
    motion_path: MotionPath | None = None


def descriptor_room(payload_bytes: int) -> int:
    """Bytes of D set aside for records, of what the unit may take; 0 where there is no room."""
    room = min(_MOST_BYTES, int(payload_bytes * _SHARE))
    return room if room >= _LEAST_BYTES else 0


def tell(seen: Seen, room: int, width: int, height: int) -> Told:
    """The findings that fit.

    Args:
        room: bytes, as `descriptor_room` gave them.
        width, height: size of the source in pixels.
    """
    by_score = sorted(seen.tracks, key=lambda t: (-t.score_pct, t.track_id))
    tracks = tuple(by_score)
    while tracks and len(pack_tracks(tracks)) + _RECORD_HEAD_BYTES > room:
        tracks = tracks[:-1]
    left = room - (len(pack_tracks(tracks)) + _RECORD_HEAD_BYTES if tracks else 0)
    return Told(tracks=tracks, motion_path=_path(seen.motion_path, left, width, height))


def _path(path: MotionPath | None, room: int, width: int, height: int) -> MotionPath | None:
    """The path, with every other control point left out until it fits; None when none does."""
    while path is not None:
        if len(path.pack(width, height)) + _RECORD_HEAD_BYTES <= room:
            return path
        if len(path.points) == 1:
            return None
        # The last point stays: it says where the unit ends.
        path = MotionPath(points=path.points[::-1][::2][::-1])
    return None
