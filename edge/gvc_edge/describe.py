"""What of the eyes' findings fits into part D: tracks by score, then the camera's path, then nothing.

D is the best protected part of a unit and costs as much on the air as its bytes and four times the
parity, so it gets a small share of the unit and no more. Where the picture is a still that the base
moves by the camera's path, the path comes first and the tracks keep fewer points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gvc_edge.eyes import Seen
from gvc_protocol.motion_path import MAX_CONTROL_POINTS, MotionPath
from gvc_protocol.objects import Track, pack_tracks

__all__ = ["Told", "descriptor_room", "tell"]

_SHARE = 0.04
_MOST_BYTES = 240
_LEAST_BYTES = 24
_RECORD_HEAD_BYTES = 3
_PATH_SHARE, _FEW_POINTS = 0.6, 3
"Of the room where the path comes first; points of a track there."


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What goes into D."""

    tracks: tuple[Track, ...] = ()
    motion_path: MotionPath | None = None


def descriptor_room(payload_bytes: int, share: float = _SHARE) -> int:
    """Bytes of D set aside for records, of what the unit may take; 0 where there is no room."""
    room = min(_MOST_BYTES, int(payload_bytes * share))
    return room if room >= _LEAST_BYTES else 0


def tell(seen: Seen, room: int, width: int, height: int, *, path_first: bool = False) -> Told:
    """The findings that fit.

    Args:
        room: bytes, as `descriptor_room` gave them.
        width, height: size of the source in pixels.
        path_first: the path may take most of the room, and tracks are thinned to fit the rest.
    """
    by_score = sorted(seen.tracks, key=lambda t: (-t.score_pct, t.track_id))
    if path_first:
        path = _path(seen.motion_path, int(room * _PATH_SHARE) if by_score else room, width, height)
        left = room - (len(path.pack(width, height)) + _RECORD_HEAD_BYTES if path else 0)
        return Told(tracks=_thinned(by_score, left), motion_path=path)
    tracks = tuple(by_score)
    while tracks and len(pack_tracks(tracks)) + _RECORD_HEAD_BYTES > room:
        tracks = tracks[:-1]
    left = room - (len(pack_tracks(tracks)) + _RECORD_HEAD_BYTES if tracks else 0)
    return Told(tracks=tracks, motion_path=_path(seen.motion_path, left, width, height))


def _thinned(tracks: Sequence[Track], room: int) -> tuple[Track, ...]:
    """The first tracks, each with as few points as it takes to get it in, but with its ends."""
    out: tuple[Track, ...] = ()
    for track in tracks:
        points = track.points
        if len(points) > _FEW_POINTS:
            step = (len(points) - 1) / (_FEW_POINTS - 1)
            points = tuple(points[round(i * step)] for i in range(_FEW_POINTS))
        more = (*out, replace(track, points=points))
        if len(pack_tracks(more)) + _RECORD_HEAD_BYTES <= room:
            out = more
    return out


def _path(path: MotionPath | None, room: int, width: int, height: int) -> MotionPath | None:
    """The path, with every other control point left out until it fits; None when none does."""
    while path is not None:
        few = len(path.points) <= MAX_CONTROL_POINTS
        if few and len(path.pack(width, height)) + _RECORD_HEAD_BYTES <= room:
            return path
        if len(path.points) == 1:
            return None
        # The last point stays: it says where the unit ends.
        path = MotionPath(points=path.points[::-1][::2][::-1])
    return None
