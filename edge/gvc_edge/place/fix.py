"""A place and an attitude, and how a camera on a vehicle looks when the vehicle turns.

Attitude as MAVLink gives it, in degrees: yaw clockwise from true north, pitch up from the horizon, roll
to the right. A camera's own pitch is that of its optical axis, straight down is -90.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gvc_protocol.descriptors import Telemetry

__all__ = ["Attitude", "Fix", "mounted"]


@dataclass(frozen=True, slots=True)
class Attitude:
    """Degrees."""

    roll: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One position of the camera; degrees, and metres above the WGS 84 ellipsoid."""

    lat: float
    lon: float
    height_m: float
    camera: Attitude = Attitude()

    def as_telemetry(self) -> Telemetry:
        """The record of part D."""
        return Telemetry(
            lat_e7=round(self.lat * 1e7), lon_e7=round(self.lon * 1e7),
            alt_cm=_limited(self.height_m * 100, 2**31 - 1), roll_cdeg=_cdeg(self.camera.roll),
            pitch_cdeg=_cdeg(self.camera.pitch), yaw_cdeg=_cdeg(self.camera.yaw),
        )  # fmt: skip


def mounted(vehicle: Attitude, mount: Attitude) -> Attitude:
    """Attitude of a camera that is fixed to a vehicle.

    Args:
        vehicle: against the ground.
        mount: of the camera against the vehicle, the same angles: pitch -90 looks out of its belly.
    """
    turned = _matrix(vehicle) @ _matrix(mount)
    pitch = math.asin(max(-1.0, min(1.0, -float(turned[2, 0]))))
    if abs(turned[2, 0]) > 1 - 1e-6:  # straight up or down: roll and yaw are one turn, given to yaw
        yaw = math.atan2(-float(turned[0, 1]), float(turned[1, 1]))
        return Attitude(0.0, math.degrees(pitch), math.degrees(yaw))
    roll = math.atan2(float(turned[2, 1]), float(turned[2, 2]))
    yaw = math.atan2(float(turned[1, 0]), float(turned[0, 0]))
    return Attitude(math.degrees(roll), math.degrees(pitch), math.degrees(yaw))


def _matrix(a: Attitude) -> NDArray[np.float64]:
    """Body (ahead, right, down) to north, east, down: yaw, then pitch, then roll."""
    r, p, y = (math.radians(v) for v in (a.roll, a.pitch, a.yaw))
    about_x = [[1, 0, 0], [0, math.cos(r), -math.sin(r)], [0, math.sin(r), math.cos(r)]]
    about_y = [[math.cos(p), 0, math.sin(p)], [0, 1, 0], [-math.sin(p), 0, math.cos(p)]]
    about_z = [[math.cos(y), -math.sin(y), 0], [math.sin(y), math.cos(y), 0], [0, 0, 1]]
    out: NDArray[np.float64] = np.array(about_z) @ np.array(about_y) @ np.array(about_x)
    return out


def _cdeg(degrees: float) -> int:
    """Hundredths of a degree, -18000..18000."""
    return round(((degrees + 180) % 360 - 180) * 100)


def _limited(value: float, most: int) -> int:
    return max(-most, min(most, round(value)))
