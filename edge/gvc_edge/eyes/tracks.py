"""Sightings to tracks: who is who, who really moves, and under which number the base hears of it.

A track lives in the pixels of the small picture. From one looked-at frame to the next it goes where the
camera's motion and its own speed take it, and the nearest sighting continues it. What moves is told to
the base only once it has been seen three times and has left its place on the ground by more than relief
around it explains: edges of roofs and trees flicker, but they stay where they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gvc_edge.eyes.planes import Matrix, apply
from gvc_edge.eyes.surroundings import Surroundings
from gvc_protocol.objects import ObjectClass

__all__ = ["Live", "Sighting", "Tracker"]

_SIGHTINGS = 3
_LEAST_TRAVEL_PX = 2.5
_RELIEF_SHARE = 0.7
_LEAST_QUALITY_PCT = 35
_DETECTOR_PATIENCE_S = 1.5
_COMPANY = 0.2
_GIVE_UP_S = 0.75
_MOST_CANDIDATES = 60

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One object in one frame: centre and size in pixels of the small picture."""

    x: float
    y: float
    width: float
    height: float
    class_id: int = ObjectClass.MOVER
    score_pct: int | None = None
    "A detector's own score; None for what was told by motion or heat."
    strength: float = 1.0


@dataclass(slots=True, eq=False)
class Live:
    """A track that is still followed."""

    track_id: int | None
    "None until it is confirmed."
    class_id: int
    score_pct: int | None
    x: float
    y: float
    width: float
    height: float
    born: tuple[float, float]
    "Where the track began, carried along with the ground."
    speed: tuple[float, float] = (0.0, 0.0)
    "Pixels a frame over the ground."
    relief: tuple[float, float] = (0.0, 0.0)
    "How far its surroundings have strayed beside the homography by now, pixels."
    hits: int = 1
    misses: int = 0
    last_seen: int = 0
    seen: list[tuple[int, Box]] = field(default_factory=list)
    "(frame number, box as x, y of the upper left corner, width, height)."

    @property
    def travel_px(self) -> float:
        """How far it has come over the ground."""
        return math.hypot(self.x - self.born[0], self.y - self.born[1])

    @property
    def quality_pct(self) -> int:
        """A detector's score, else the share of looks at which it was found where it should be."""
        if self.score_pct is not None:
            return self.score_pct
        return round(100 * self.hits / (self.hits + self.misses + 2))


class Tracker:
    """Follows objects through frames, whatever unit they belong to.

    Args:
        fps: source frames a second; frame numbers count these.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._live: list[Live] = []
        self._ended: list[Live] = []
        self._next_id = 0
        self._frame_no: int | None = None

    @property
    def confirmed(self) -> list[Live]:
        """Tracks that the base may hear of, ended ones too until `drop_before`."""
        every = [t for t in (*self._ended, *self._live) if t.track_id is not None]
        # What was found thrice and then never again was rather leaves in the wind.
        return [t for t in every if t.quality_pct >= _LEAST_QUALITY_PCT]

    def forget(self) -> None:
        """After a cut: all tracks end."""
        self._end(self._live)

    def drop_before(self, frame_no: int) -> None:
        """Forget sightings of frames before this one, and ended tracks: their unit is closed."""
        self._ended = []
        for track in self._live:
            track.seen = [(at, box) for at, box in track.seen if at >= frame_no]

    def see(
        self,
        sightings: Sequence[Sighting],
        step: Matrix,
        frame_no: int,
        surroundings: Surroundings,
    ) -> list[Live]:
        """Take the sightings of one frame.

        Returns:
            Tracks that were confirmed by it.

        Args:
            step: float64[3, 3], the frame looked at before to this one.
            surroundings: what the ground around each track does in this step.
        """
        frames = 1 if self._frame_no is None else max(1, frame_no - self._frame_no)
        self._frame_no = frame_no
        grounds = self._advance(step, frames, surroundings)
        sightings = self._united(sightings)
        taken = self._match(sightings)
        for i, track in enumerate(self._live):
            if i in taken:
                self._continue(track, sightings[taken[i]], grounds[i], frames, frame_no)
            else:
                track.misses += 1
                if track.score_pct is not None:
                    # Named by a detector, which looks seldom: until then the ground carries it.
                    track.seen.append((frame_no, _box(track)))
        used = set(taken.values())
        gone = [track for track in self._live if self._is_gone(track, frame_no)]
        self._end(gone)
        for i, sighting in enumerate(sightings):
            if i not in used and len(self._live) < _MOST_CANDIDATES:
                self._live.append(_begin(sighting, frame_no))
        fresh = [track for track in self._live if self._confirm(track, frames, surroundings)]
        self._merge()
        return [track for track in fresh if track in self._live]

    def _end(self, tracks: list[Live]) -> None:
        self._ended += [t for t in tracks if t.track_id is not None]
        self._live = [t for t in self._live if not any(t is other for other in tracks)]

    def _united(self, sightings: Sequence[Sighting]) -> list[Sighting]:
        """Parts of one object made one: a body of one colour differs from the past at its ends only."""
        left = list(sightings)
        for track in self.confirmed:
            width, height = 0.6 * track.width + 1, 0.6 * track.height + 1
            parts = [s for s in left if abs(s.x - track.x) < width and abs(s.y - track.y) < height]
            if len(parts) < 2:
                continue
            whole = _union(parts)
            if whole.width * whole.height < 1.7 * (track.width * track.height + 4):
                left = [s for s in left if s not in parts] + [whole]
        return left

    def _merge(self) -> None:
        """Tracks side by side that go the same way at the same speed are one object."""
        moving = [t for t in self._live if t.track_id is not None and t.hits >= 4]
        moving.sort(key=lambda t: -t.hits)
        for i, a in enumerate(moving):
            for b in moving[i + 1 :]:
                if _is_part(b, a) and any(b is t for t in self._live):
                    _absorb(a, b)
                    # Its sightings are the other's now: it never was.
                    self._live = [t for t in self._live if t is not b]

    def _advance(
        self, step: Matrix, frames: int, surroundings: Surroundings
    ) -> list[tuple[float, float]]:
        """Move all tracks to the new frame; where each would be if it stood still on the ground."""
        points = np.array([(t.x, t.y, *t.born) for t in self._live], np.float32).reshape(-1, 4)
        here, born = apply(step, points[:, :2]).tolist(), apply(step, points[:, 2:]).tolist()
        grounds = []
        for track, (x, y), (bx, by) in zip(self._live, here, born, strict=True):
            dx, dy = surroundings.drift((x, y, track.width, track.height))
            track.relief = (track.relief[0] + dx, track.relief[1] + dy)
            # The ground around it, not the whole picture's plane, is what it stands still on.
            grounds.append((x + dx, y + dy))
            track.born = (bx + dx, by + dy)
            track.x, track.y = x + dx + track.speed[0] * frames, y + dy + track.speed[1] * frames
        return grounds

    def _match(self, sightings: Sequence[Sighting]) -> dict[int, int]:
        """Track index to sighting index, nearest pairs first, confirmed tracks before the others."""
        pairs = []
        for i, track in enumerate(self._live):
            reach = 3.0 + 0.5 * max(track.width, track.height) + min(4.0, 1.5 * track.misses)
            reach += 8.0 if track.hits == 1 else 0.0
            for k, s in enumerate(sightings):
                gap = math.hypot(s.x - track.x, s.y - track.y)
                sizes = (track.width * track.height + 4) / (s.width * s.height + 4)
                if gap <= reach and 0.12 < sizes < 8:
                    rank = track.track_id is None
                    pairs.append((rank, gap + 2 * abs(math.log(sizes)), i, k))
        taken: dict[int, int] = {}
        used: set[int] = set()
        for _, _, i, k in sorted(pairs):
            if i not in taken and k not in used:
                taken[i] = k
                used.add(k)
        return taken

    def _continue(
        self, track: Live, s: Sighting, ground: tuple[float, float], frames: int, frame_no: int
    ) -> None:
        gone = max(frames, frame_no - track.last_seen)
        # `ground` already has the speed of the steps that were missed in it.
        speed = ((s.x - ground[0]) / frames, (s.y - ground[1]) / frames)
        part = max(0.35, 1 / track.hits)  # the mean of the first ones, then a slow follow-up
        if gone > frames:
            part *= 0.6
        track.speed = (
            track.speed[0] + part * (speed[0] - track.speed[0]),
            track.speed[1] + part * (speed[1] - track.speed[1]),
        )
        track.x, track.y = s.x, s.y
        track.width += 0.4 * (s.width - track.width)
        track.height += 0.4 * (s.height - track.height)
        track.hits, track.last_seen = track.hits + 1, frame_no
        if s.class_id != ObjectClass.MOVER:
            track.class_id, track.score_pct = s.class_id, s.score_pct
        track.seen.append((frame_no, _box(track)))

    def _is_gone(self, track: Live, frame_no: int) -> bool:
        patience = _GIVE_UP_S * self._fps * (1.0 if track.track_id is not None else 0.5)
        if track.score_pct is not None:
            patience = _DETECTOR_PATIENCE_S * self._fps
        return frame_no - track.last_seen > patience

    def _confirm(self, track: Live, frames: int, surroundings: Surroundings) -> bool:
        if track.track_id is not None or track.last_seen != self._frame_no:
            return False
        if track.class_id == ObjectClass.MOVER:
            relief = _RELIEF_SHARE * math.hypot(*track.relief)
            least = max(_LEAST_TRAVEL_PX, 0.25 * min(track.width, track.height), relief)
            steady = track.hits >= _SIGHTINGS and track.hits > track.misses
            sure = steady and track.travel_px > least
            sure = sure and not _floats(track, frames, surroundings)
        else:
            sure = track.hits >= _SIGHTINGS or (track.score_pct or 0) >= 60
        if sure:
            track.track_id = self._next_id
            self._next_id = (self._next_id + 1) & 0xFFFF
        return sure


def _floats(track: Live, frames: int, surroundings: Surroundings) -> bool:
    """Whether it goes where much around it goes: foam and rubbish on running water."""
    box = (track.x, track.y, track.width, track.height)
    dx, dy = surroundings.drift(box)
    motion = (dx + track.speed[0] * frames, dy + track.speed[1] * frames)
    return surroundings.share(box, motion) >= _COMPANY


def _begin(s: Sighting, frame_no: int) -> Live:
    track = Live(
        track_id=None, class_id=s.class_id, score_pct=s.score_pct, x=s.x, y=s.y,
        width=s.width, height=s.height, born=(s.x, s.y), last_seen=frame_no,
    )  # fmt: skip
    track.seen.append((frame_no, _box(track)))
    return track


def _box(track: Live) -> Box:
    return (track.x - track.width / 2, track.y - track.height / 2, track.width, track.height)


def _union(parts: Sequence[Sighting]) -> Sighting:
    x0 = min(s.x - s.width / 2 for s in parts)
    x1 = max(s.x + s.width / 2 for s in parts)
    y0 = min(s.y - s.height / 2 for s in parts)
    y1 = max(s.y + s.height / 2 for s in parts)
    named = max(parts, key=lambda s: (s.class_id != ObjectClass.MOVER, s.strength))
    return replace(named, x=(x0 + x1) / 2, y=(y0 + y1) / 2, width=x1 - x0, height=y1 - y0)


def _is_part(b: Live, a: Live) -> bool:
    """Whether two moving tracks touch and move as one."""
    if ObjectClass.MOVER not in (a.class_id, b.class_id):
        return False
    gap_x = abs(a.x - b.x) - (a.width + b.width) / 2
    gap_y = abs(a.y - b.y) - (a.height + b.height) / 2
    apart = math.hypot(a.speed[0] - b.speed[0], a.speed[1] - b.speed[1])
    return max(gap_x, gap_y) < 3 and apart < 0.08 + 0.2 * math.hypot(*a.speed)


def _absorb(a: Live, b: Live) -> None:
    """Grow `a` by what was `b`, backwards too."""
    boxes = dict(b.seen)
    a.seen = [(at, _around(box, boxes[at]) if at in boxes else box) for at, box in a.seen]
    x, y, a.width, a.height = _around(_box(a), _box(b))
    a.x, a.y = x + a.width / 2, y + a.height / 2


def _around(a: Box, b: Box) -> Box:
    x0, y0 = min(a[0], b[0]), min(a[1], b[1])
    x1, y1 = max(a[0] + a[2], b[0] + b[2]), max(a[1] + a[3], b[1] + b[3])
    return (x0, y0, x1 - x0, y1 - y0)
