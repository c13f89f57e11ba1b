"""Objects in motion: the TRACKS record of part D (WIRE.md, "Tracks").

    count, then per track: id, class, score, points; a point is its distance in frames from the one
    before and a box, coded as what constant velocity did not foresee

A track of a few points stands for a box in every frame between them: `Track.box_at`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

from gvc_protocol.deltas import divide_rounded, predict, pull_signed, push_signed
from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.varint import VarintError, pull_varint, push_varint

__all__ = [
    "MAX_POINTS",
    "MAX_TRACKS",
    "ObjectClass",
    "Track",
    "TrackPoint",
    "pack_tracks",
    "unpack_tracks",
]

MAX_TRACKS = 64
MAX_POINTS = 32
_MAX_COORDINATE_PX = 0xFFFF
_MAX_OFFSET = 100_000

_Box = tuple[int, int, int, int]


class ObjectClass(IntEnum):
    """What an object is. Never reused; a number that this version does not know is kept as it is."""

    MOVER = 0
    "Moves against the ground; nobody knows what it is."
    PERSON = 1
    VEHICLE = 2
    HOT_SPOT = 3
    FIRE = 4
    ANIMAL = 5
    BOAT = 6
    TEXT = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPoint:
    """A box in one frame, in source pixels; x, y is its upper left corner."""

    offset: int
    "Frames from the unit's first frame."
    x: int
    y: int
    width: int
    height: int

    @property
    def box(self) -> _Box:
        """(x, y, width, height)."""
        return (self.x, self.y, self.width, self.height)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One object over (part of) a unit."""

    track_id: int
    "0..65535; one object keeps it from unit to unit for as long as the edge can follow it."
    class_id: int
    "An `ObjectClass`, or a number of a later version."
    score_pct: int
    points: tuple[TrackPoint, ...]
    "1..32 points with rising offsets."

    def box_at(self, offset: int, *, hold: int = 0) -> TrackPoint | None:
        """The box in the frame at `offset`.

        Between points the box moves evenly. Outside them it stands where the track begins or ends,
        for at most `hold` frames; None farther away, since nobody saw the object there.
        """
        first, last = self.points[0], self.points[-1]
        if not first.offset - hold <= offset <= last.offset + hold:
            return None
        inside = min(max(offset, first.offset), last.offset)
        i = bisect_right(self.points, inside, key=lambda point: point.offset) - 1
        here = self.points[i]
        if here.offset == inside:
            return _point(offset, here.box)
        after = self.points[i + 1]
        part, span = inside - here.offset, after.offset - here.offset
        pairs = zip(here.box, after.box, strict=True)
        return _point(offset, [a + divide_rounded((b - a) * part, span) for a, b in pairs])


def _point(offset: int, box: Sequence[int]) -> TrackPoint:
    x, y, width, height = box
    return TrackPoint(offset=offset, x=x, y=y, width=width, height=height)


def pack_tracks(tracks: Sequence[Track]) -> bytes:
    """Bytes of the record. Raises LocalProtocolError when a track is out of WIRE.md's range."""
    out = bytearray()
    if not 1 <= len(tracks) <= MAX_TRACKS:
        raise LocalProtocolError(f"{len(tracks)} tracks in a unit; 1 to {MAX_TRACKS} can be sent")
    push_varint(out, len(tracks))
    for track in tracks:
        if not _is_valid(track):
            raise LocalProtocolError(f"track out of range: {track}")
        push_varint(out, track.track_id)
        out += bytes((track.class_id, track.score_pct))
        push_varint(out, len(track.points))
        done: list[TrackPoint] = []
        for point in track.points:
            _push_point(out, point, done)
            done.append(point)
    return bytes(out)


def _push_point(out: bytearray, point: TrackPoint, done: Sequence[TrackPoint]) -> None:
    if not done:
        for value in (point.offset, *point.box):
            push_varint(out, value)
        return
    ahead = point.offset - done[-1].offset
    push_varint(out, ahead)
    for value, foreseen in zip(point.box, _foreseen(done, ahead), strict=True):
        push_signed(out, value - foreseen)


def _foreseen(done: Sequence[TrackPoint], ahead: int) -> list[int]:
    last = done[-1]
    if len(done) == 1:
        return list(last.box)
    before = done[-2]
    span = last.offset - before.offset
    return [predict(a, b, span, ahead) for a, b in zip(before.box, last.box, strict=True)]


def unpack_tracks(data: bytes) -> tuple[Track, ...] | None:
    """Read the record; None when the bytes are not one (damaged, hostile, of another version)."""
    try:
        count, at = pull_varint(data, 0)
        if not 1 <= count <= MAX_TRACKS:
            return None
        tracks = []
        for _ in range(count):
            track, at = _pull_track(data, at)
            tracks.append(track)
    except VarintError:
        return None
    return tuple(tracks) if at == len(data) else None


def _pull_track(data: bytes, at: int) -> tuple[Track, int]:
    track_id, at = pull_varint(data, at)
    if at + 2 > len(data):
        raise VarintError("track is cut")
    class_id, score = data[at], data[at + 1]
    count, at = pull_varint(data, at + 2)
    if not 1 <= count <= MAX_POINTS:
        raise VarintError("a track of no or too many points")
    points: list[TrackPoint] = []
    for _ in range(count):
        point, at = _pull_point(data, at, points)
        points.append(point)
        # Checked point by point: a hostile prediction must not grow without limit.
        if not _is_in_range(point):
            raise VarintError("track point out of range")
    track = Track(track_id=track_id, class_id=class_id, score_pct=score, points=tuple(points))
    if not _is_valid(track):
        raise VarintError("track out of range")
    return track, at


def _pull_point(data: bytes, at: int, done: Sequence[TrackPoint]) -> tuple[TrackPoint, int]:
    ahead, at = pull_varint(data, at)
    if not done:
        box = []
        for _ in range(4):
            value, at = pull_varint(data, at)
            box.append(value)
        return _point(ahead, box), at
    if not 1 <= ahead <= _MAX_OFFSET:
        raise VarintError("track goes back in time or beyond the unit")
    box = _foreseen(done, ahead)
    for i in range(4):
        delta, at = pull_signed(data, at)
        box[i] += delta
    return _point(done[-1].offset + ahead, box), at


def _is_in_range(point: TrackPoint) -> bool:
    inside = all(0 <= value <= _MAX_COORDINATE_PX for value in point.box)
    return inside and 0 <= point.offset <= _MAX_OFFSET


def _is_valid(track: Track) -> bool:
    offsets = [point.offset for point in track.points]
    rising = all(a < b for a, b in pairwise(offsets))
    head = 0 <= track.track_id <= 0xFFFF and 0 <= track.class_id <= 255
    counted = 0 <= track.score_pct <= 100 and 1 <= len(offsets) <= MAX_POINTS
    return head and counted and rising and all(_is_in_range(point) for point in track.points)
