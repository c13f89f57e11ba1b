"""`Eyes`: what the edge sees on true pixels while it encodes a unit: camera motion and objects.

    source frame -> small picture, about 10 a second -> Registration -> motion path
                                                     -> MoverFinder, heat, Detector -> Tracker -> tracks

Everything is measured in a picture about 400 pixels wide and told in source pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.eyes.motion import Fit, Registration, Step
from gvc_edge.eyes.movers import Blob, MoverFinder, find_hot_spots
from gvc_edge.eyes.planes import Matrix, apply, inverse
from gvc_edge.eyes.surroundings import Surroundings
from gvc_edge.eyes.thin import thin
from gvc_edge.eyes.tracks import Live, Sighting, Tracker
from gvc_profiles.sight.detector import Detector
from gvc_protocol.motion_path import RESIDUAL_UNKNOWN, UNITS_PER_PX, ControlPoint, MotionPath
from gvc_protocol.objects import MAX_TRACKS, ObjectClass, Track, TrackPoint

__all__ = ["Eyes", "Seen"]

Image = NDArray[np.uint8]

_LOOKS_PER_S = 10
_CONTROL_S = 0.5
_DETECT_S = 1.0
_WIDTH_PX = 400
_LEAST_SIDE_PX = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen in one unit."""

    motion_path: MotionPath | None
    "None when the unit holds a cut near its start, too little texture, or fewer than two frames."
    tracks: tuple[Track, ...]
    shake_px: float
    "RMS change of the picture's motion from one look to the next, source pixels: 0 = steady flight."


class Eyes:
    """Watches one stream, unit by unit.

    Args:
        width, height: size of the frames, pixels.
        fps: frames a second.
        thermal: frames are white-hot thermal pictures: look for heat as well.
        detector: names what is seen, about once a second; None to go by motion (and heat) alone.
        max_tracks: most tracks told of in one unit, the surest first.
    """

    def __init__(
        self, *, width: int, height: int, fps: Fraction, thermal: bool = False,
        detector: Detector | None = None, max_tracks: int = 8,
    ) -> None:  # fmt: skip
        self._size, self._fps, self._thermal = (width, height), float(fps), thermal
        self._detector, self._max_tracks = detector, min(max_tracks, MAX_TRACKS)
        # A whole factor: means of k x k pixels cost a fifth of any other good way to scale down.
        self._factor = max(1, min(round(width / _WIDTH_PX), min(width, height) // _LEAST_SIDE_PX))
        self._to_small = _pixel_scaling(1 / self._factor)
        self._every = max(1, round(self._fps / _LOOKS_PER_S))
        self._registration, self._tracker = Registration(), Tracker(self._fps)
        self._finder = MoverFinder(self._fps)
        self._unit_start = self._next_start = 0
        self._detected_at: int | None = None
        self._reset()

    def _reset(self) -> None:
        self._looked: int | None = None
        self._waiting: tuple[Image, int] | None = None
        self._points: list[ControlPoint] = []
        self._path_open = True
        self._latest: tuple[int, Fit] | None = None
        self._centres: list[tuple[int, NDArray[np.float64]]] = []

    def begin(self) -> None:
        """Start a unit."""
        self._unit_start = self._next_start
        self._reset()
        self._tracker.drop_before(self._unit_start)

    def push(self, pixels: Image, offset: int) -> None:
        """Take one frame; most are only remembered until the next.

        Args:
            pixels: uint8[H, W, 3] BGR; not changed, and not to be changed before the next call.
            offset: frames from the unit's first, rising.
        """
        self._next_start = self._unit_start + offset + 1
        if self._looked is None or offset - self._looked >= self._every:
            self._look(pixels, offset)
        else:
            self._waiting = (pixels, offset)

    def close(self) -> Seen:
        """End the unit."""
        if self._waiting is not None:
            # The path and the tracks reach to the unit's last frame.
            self._look(*self._waiting)
        if self._path_open and self._latest is not None:
            self._add_control(*self._latest)
        tracks = self._tracks()
        path = MotionPath(points=tuple(self._points)) if self._points else None
        if path is not None and not path.fits(*self._size):
            path = None
        return Seen(motion_path=path, tracks=tracks, shake_px=self._shake())

    def _look(self, pixels: Image, offset: int) -> None:
        self._waiting = None
        first = self._looked is None
        frame_no = self._unit_start + offset
        small = self._shrink(pixels)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        step = self._registration.see(grey)
        if first:
            self._registration.anchor()
        else:
            self._follow_path(step, offset)
        self._looked = offset
        if step is None:
            self._tracker.forget()
            self._finder.forget()
        matrix = None if step is None else step.matrix
        seen = grey[..., None] if self._thermal else small
        blobs = self._finder.find(seen, step, frame_no)
        sightings = [_sighting(blob, ObjectClass.MOVER) for blob in blobs]
        sightings = self._with_heat(grey, sightings)
        sightings = self._with_detections(pixels, frame_no, sightings)
        still = np.eye(3) if matrix is None else matrix
        for track in self._tracker.see(sightings, still, frame_no, Surroundings(step)):
            self._look_back(track, frame_no)

    def _look_back(self, track: Live, frame_no: int) -> None:
        """Motion is told late: say also where the object was until then, as far as this unit goes."""
        known, box = track.seen[0][0], track.seen[-1][1]
        before = self._finder.look_back(box, track.speed, frame_no, self._unit_start)
        track.seen = [(at, was) for at, was in before if at < known] + track.seen

    def _shrink(self, pixels: Image) -> Image:
        k = self._factor
        width, height = self._size[0] // k, self._size[1] // k
        whole = pixels[: height * k, : width * k]
        return np.asarray(
            cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )

    def _with_heat(self, grey: Image, sightings: list[Sighting]) -> list[Sighting]:
        if not self._thermal:
            return sightings
        hot = [_sighting(blob, ObjectClass.HOT_SPOT) for blob in find_hot_spots(grey)]
        return hot + [s for s in sightings if not any(_overlaps(s, h) for h in hot)]

    def _with_detections(
        self, pixels: Image, frame_no: int, sightings: list[Sighting]
    ) -> list[Sighting]:
        if self._detector is None:
            return sightings
        if self._detected_at is not None and frame_no - self._detected_at < _DETECT_S * self._fps:
            return sightings
        self._detected_at = frame_no
        k = self._factor
        named = [
            Sighting(
                x=(f.x + f.width / 2) / k, y=(f.y + f.height / 2) / k, width=f.width / k,
                height=f.height / k, class_id=f.class_id, score_pct=f.score_pct,
            )
            for f in self._detector.detect(pixels)
        ]  # fmt: skip
        return named + [s for s in sightings if not any(_overlaps(s, n) for n in named)]

    # --- motion path

    def _follow_path(self, step: Step | None, offset: int) -> None:
        if not self._path_open:
            return
        fit = None if step is None else self._registration.fit()
        if fit is None:
            if self._latest is not None:
                self._add_control(*self._latest)
            self._path_open, self._latest = False, None
            return
        self._latest = (offset, fit)
        last = self._points[-1].offset if self._points else 0
        moved = self._corners(fit.matrix)
        self._centres.append((offset, moved.mean(0)))
        if offset - last >= _CONTROL_S * self._fps - 0.5 * self._every:
            self._add_control(offset, fit)

    def _add_control(self, offset: int, fit: Fit) -> None:
        self._latest = None
        moved = np.round(self._corners(fit.matrix) * UNITS_PER_PX).astype(int)
        rms = fit.rms_px * self._factor
        residual = min(round(rms * UNITS_PER_PX), RESIDUAL_UNKNOWN - 1)
        self._points.append(
            ControlPoint(offset=offset, corners=tuple(moved.ravel().tolist()), residual=residual)
        )

    def _corners(self, matrix: Matrix) -> NDArray[np.float64]:
        """float64[4, 2]: displacement of the picture's corners, source pixels."""
        width, height = self._size
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
        full = inverse(self._to_small) @ matrix @ self._to_small
        return np.asarray(apply(full, corners).astype(np.float64) - corners, np.float64)

    def _shake(self) -> float:
        track = [(0, np.zeros(2)), *self._centres]
        speeds = [(b - a) / (j - i) for (i, a), (j, b) in pairwise(track)]
        if len(speeds) < 2:
            return 0.0
        changes = np.diff(np.array(speeds), axis=0) * self._every
        return float(np.sqrt((changes**2).sum(1).mean()))

    # --- tracks

    def _tracks(self) -> tuple[Track, ...]:
        best = sorted(
            self._tracker.confirmed, key=lambda t: (-t.quality_pct * len(t.seen), t.track_id)
        )
        told = [track for live in best if (track := self._told(live)) is not None]
        return tuple(told[: self._max_tracks])

    def _told(self, live: Live) -> Track | None:
        points = []
        for frame_no, box in live.seen:
            if frame_no >= self._unit_start and (point := self._point(frame_no, box)) is not None:
                points.append(point)
        if not points or live.track_id is None:
            return None
        return Track(
            track_id=live.track_id, class_id=live.class_id, score_pct=live.quality_pct,
            points=thin(points),
        )  # fmt: skip

    def _point(self, frame_no: int, box: tuple[float, float, float, float]) -> TrackPoint | None:
        """The part of a box that is in the picture, source pixels."""
        k, (width, height) = self._factor, self._size
        x0, y0 = max(0, round(box[0] * k)), max(0, round(box[1] * k))
        x1 = min(width, round((box[0] + box[2]) * k))
        y1 = min(height, round((box[1] + box[3]) * k))
        if x1 - x0 < 2 or y1 - y0 < 2:
            return None
        return TrackPoint(
            offset=frame_no - self._unit_start, x=x0, y=y0, width=x1 - x0, height=y1 - y0
        )


def _pixel_scaling(scale: float) -> Matrix:
    """float64[3, 3]: source pixel centres to those of the small picture (area resampling)."""
    shift = 0.5 * scale - 0.5
    return np.array([[scale, 0, shift], [0, scale, shift], [0, 0, 1]], np.float64)


def _sighting(blob: Blob, class_id: int) -> Sighting:
    return Sighting(
        x=blob.x + blob.width / 2, y=blob.y + blob.height / 2, width=blob.width,
        height=blob.height, class_id=class_id, strength=blob.strength,
    )  # fmt: skip


def _overlaps(a: Sighting, b: Sighting) -> bool:
    return abs(a.x - b.x) < (a.width + b.width) / 2 and abs(a.y - b.y) < (a.height + b.height) / 2
