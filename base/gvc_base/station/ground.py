"""Where on the ground a picture is: pinhole camera over flat ground. For a map strip, not a survey.

    telemetry (place, attitude) + field of view + height of the ground -> corners (lon, lat)

Attitude as MAVLink gives a camera's: yaw clockwise from true north, pitch up from the horizon
(straight down is -90 degrees), roll about the optical axis. Height is above the WGS 84 ellipsoid, and
so is the ground's: it is a setting, or the lowest height that was heard in this mission (where it took
off). Hills are not known. Rays that meet the ground farther than 20 heights away, or never, are cut
there.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gvc_base.console.view import CameraPlace, Footprint, MapState
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.descriptors import Telemetry
from gvc_protocol.marks import Mark

__all__ = ["Camera", "GroundMap", "received_share"]

_EARTH_M = 6_371_008.8
_FAR_HEIGHTS = 20.0
_LEAST_HEIGHT_M = 1.0
_FLIES_M = 2.0
"Below it the camera is taken to stand on the ground, and sees nothing of it that could be told."
_TRACK_KEPT = 7200
_COVER_KEPT = 2000
_REQUESTED_KEPT = 64
_DETECTIONS_KEPT = 256
_REAL = (Mark.RECEIVED, Mark.CARRIED)
"Enhanced tiles are estimated between pixels of F: too coarse to say that a person would have been seen."


def received_share(frame: DecodedFrame) -> float:
    """Share of a frame's tiles that show received pixels, of this moment or moved here."""
    return float(np.isin(frame.mark, _REAL).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """One place and attitude over flat ground."""

    telemetry: Telemetry
    width: int
    height: int
    fov_deg: float
    ground_m: float

    def ground(self, x: float, y: float) -> tuple[float, float]:
        """(lon, lat) in degrees of what pixel (x, y) shows."""
        t = self.telemetry
        above = max(_LEAST_HEIGHT_M, t.alt_cm / 100 - self.ground_m)
        ray = self._ray(x, y)
        flat = math.hypot(ray[0], ray[1])
        away = above * flat / -ray[2] if _meets(ray) else _FAR_HEIGHTS * above
        north, east = (away * ray[i] / max(flat, 1e-12) for i in (0, 1))
        lat = t.lat_e7 / 1e7
        metres = math.cos(math.radians(lat)) * _EARTH_M
        return (
            t.lon_e7 / 1e7 + math.degrees(east / max(1.0, metres)),
            lat + math.degrees(north / _EARTH_M),
        )

    def outline(self, box: tuple[float, float, float, float]) -> tuple[tuple[float, float], ...]:
        """Corners (lon, lat) of a box (x, y, width, height), in order around."""
        x, y, w, h = box
        return tuple(
            self.ground(*corner) for corner in ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
        )

    def place(self, time_ns: int) -> CameraPlace:
        """Where it was, and whether all of the picture is ground that is near enough."""
        t, width, height = self.telemetry, float(self.width), float(self.height)
        corners = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
        flies = t.alt_cm / 100 - self.ground_m >= _FLIES_M
        return CameraPlace(
            lon=t.lon_e7 / 1e7, lat=t.lat_e7 / 1e7, height_m=t.alt_cm / 100,
            roll_deg=t.roll_cdeg / 100, pitch_deg=t.pitch_cdeg / 100, yaw_deg=t.yaw_cdeg / 100,
            fov_deg=self.fov_deg, ground_m=self.ground_m, time_ns=time_ns,
            centre=self.ground(width / 2, height / 2),
            cut=not (flies and all(_meets(self._ray(*corner)) for corner in corners)),
        )  # fmt: skip

    def _ray(self, x: float, y: float) -> NDArray[np.float64]:
        """Direction (north, east, up) of a pixel."""
        t = self.telemetry
        roll, pitch, yaw = (math.radians(v / 100) for v in (t.roll_cdeg, t.pitch_cdeg, t.yaw_cdeg))
        focal = self.width / 2 / math.tan(math.radians(self.fov_deg) / 2)
        right, down = (x - self.width / 2) / focal, (y - self.height / 2) / focal
        # Roll turns the camera clockwise about its axis, so that its right goes down.
        right, down = (
            right * math.cos(roll) - down * math.sin(roll),
            right * math.sin(roll) + down * math.cos(roll),
        )
        ahead = np.array([math.cos(pitch) * math.cos(yaw), math.cos(pitch) * math.sin(yaw),
                          math.sin(pitch)])  # fmt: skip
        aside = np.array([-math.sin(yaw), math.cos(yaw), 0.0])
        below = np.array([math.sin(pitch) * math.cos(yaw), math.sin(pitch) * math.sin(yaw),
                          -math.cos(pitch)])  # fmt: skip
        return np.asarray(ahead + right * aside + down * below, np.float64)


def _meets(ray: NDArray[np.float64]) -> bool:
    """Whether a ray meets flat ground within the distance that is drawn."""
    return bool(ray[2] < 0 and math.hypot(ray[0], ray[1]) < _FAR_HEIGHTS * -ray[2])


class GroundMap:
    """What one drone's map shows. Not thread-safe."""

    def __init__(self, *, fov_deg: float, ground_m: float | None) -> None:
        self._fov_deg, self._ground_m = fov_deg, ground_m
        self._lowest_m = math.inf
        self._track: deque[tuple[float, float, int]] = deque(maxlen=_TRACK_KEPT)
        self._coverage: deque[Footprint] = deque(maxlen=_COVER_KEPT)
        self._detections: deque[tuple[float, float, str]] = deque(maxlen=_DETECTIONS_KEPT)
        self._requested: deque[Footprint] = deque(maxlen=_REQUESTED_KEPT)
        self._camera: Camera | None = None
        self._footprint: Footprint | None = None
        self._place: CameraPlace | None = None

    def seen(self, telemetry: Telemetry, frame: DecodedFrame, time_ns: int, *, moved: bool) -> None:
        """A picture was shown. `moved`: the place is that of another unit than last time."""
        height, width = frame.pixels.shape[:2]
        camera = self._at(telemetry, width, height)
        if moved:
            self._track.append((telemetry.lon_e7 / 1e7, telemetry.lat_e7 / 1e7, time_ns))
        self._place = camera.place(time_ns)
        outline = camera.outline((0.0, 0.0, float(width), float(height)))
        share = received_share(frame)
        self._footprint = Footprint(corners=outline, time_ns=time_ns, received_share=share)
        if share > 0:
            self._coverage.append(self._footprint)

    def detection(
        self, telemetry: Telemetry, size: tuple[int, int], box: tuple[int, int, int, int],
        text: str,
    ) -> None:  # fmt: skip
        """An object stands at the middle of its box's lower edge."""
        x, y, w, h = box
        ground = self._at(telemetry, *size).ground(x + w / 2, y + h)
        self._detections.append((*ground, text))

    def requested(
        self, telemetry: Telemetry, size: tuple[int, int], box: tuple[int, int, int, int],
        time_ns: int,
    ) -> None:  # fmt: skip
        """The operator asked for these pixels."""
        x, y, w, h = (float(v) for v in box)
        corners = self._at(telemetry, *size).outline((x, y, w, h))
        self._requested.append(Footprint(corners=corners, time_ns=time_ns, received_share=0.0))

    def _at(self, telemetry: Telemetry, width: int, height: int) -> Camera:
        self._lowest_m = min(self._lowest_m, telemetry.alt_cm / 100)
        ground = self._lowest_m if self._ground_m is None else self._ground_m
        self._camera = Camera(
            telemetry=telemetry, width=width, height=height, fov_deg=self._fov_deg, ground_m=ground
        )
        return self._camera

    def state(self) -> MapState:
        """A copy, to be drawn."""
        about = ""
        if self._camera is not None:
            why = "set" if self._ground_m is not None else "the lowest that was heard"
            about = (
                f"flat ground at {self._camera.ground_m:.0f} m above the ellipsoid ({why}), camera "
                f"{self._fov_deg:g} degrees wide"
            )
        return MapState(
            track=tuple(self._track), camera=self._place, footprint=self._footprint,
            coverage=tuple(self._coverage), detections=tuple(self._detections),
            requested=tuple(self._requested), about=about,
        )  # fmt: skip
