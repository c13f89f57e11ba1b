"""Positions out of the bytes of a GPS receiver (NMEA 0183) or an autopilot (MAVLink). Sans-IO.

bytes -> NmeaReader | MavReader -> Fix
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Protocol

from gvc_edge.place.fix import Attitude, Fix, mounted
from gvc_protocol.errors import UserError

__all__ = ["MavReader", "NmeaReader", "Reader"]

_LONGEST_LINE = 256


class Reader(Protocol):
    """Never raises, whatever comes."""

    def feed(self, data: bytes) -> Fix | None:
        """The newest position that these bytes complete."""


class NmeaReader:
    """GGA gives the place (its height above the sea plus the geoid's), HDT the heading.

    Args:
        mount: the camera's attitude; where HDT tells the heading, its yaw counts from there.

    Raises:
        UserError: `pynmea2` is not installed.
    """

    def __init__(self, mount: Attitude) -> None:
        try:
            import pynmea2
        except ImportError:
            raise UserError(
                "a GPS receiver needs the pynmea2 package; run: pip install 'gvc-field[radios]'"
            ) from None
        self._nmea: Any = pynmea2
        self._mount, self._heading = mount, 0.0
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Fix | None:
        self._buffer += data
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest[-_LONGEST_LINE:])
        found = None
        for line in lines:
            found = self._line(line) or found
        return found

    def _line(self, line: bytes) -> Fix | None:
        try:
            said = self._nmea.parse(line.decode("ascii", "replace").strip(), check=True)
            if said.sentence_type == "HDT":
                self._heading = float(said.heading or 0)
                return None
            if said.sentence_type != "GGA" or not int(said.gps_qual or 0):
                return None
            height = float(said.altitude) + float(said.geo_sep or 0)
            place = (float(said.latitude), float(said.longitude), height)
        except (self._nmea.ParseError, ValueError, TypeError, AttributeError, IndexError):
            return None
        if not all(map(math.isfinite, place)) or abs(place[0]) > 90 or abs(place[1]) > 180:
            return None
        camera = replace(self._mount, yaw=self._mount.yaw + self._heading)
        return Fix(lat=place[0], lon=place[1], height_m=place[2], camera=camera)


class MavReader:
    """GLOBAL_POSITION_INT (33) with ATTITUDE (30), and GPS_RAW_INT (24) for the ellipsoid's height.

    A gimbal that tells where the camera looks (MOUNT_ORIENTATION, 265) is believed before the mount.
    Until GPS_RAW_INT tells both heights, the one above the sea stands for the other.

    Raises:
        UserError: `pymavlink` is not installed.
    """

    def __init__(self, mount: Attitude) -> None:
        try:
            from pymavlink.dialects.v20 import common
        except ImportError:
            raise UserError(
                "an autopilot needs the pymavlink package; run: pip install 'gvc-field[radios]'"
            ) from None
        self._mav: Any = common.MAVLink(None)
        self._mav.robust_parsing = True
        self._mount, self._vehicle = mount, Attitude()
        self._gimbal: Attitude | None = None
        self._above_sea_m = 0.0

    def feed(self, data: bytes) -> Fix | None:
        found = None
        for message in self._mav.parse_buffer(data) or []:
            found = self._take(message) or found
        return found

    def _take(self, said: Any) -> Fix | None:
        kind = said.get_type()
        if kind == "ATTITUDE":
            angles = (said.roll, said.pitch, said.yaw)
            if all(map(math.isfinite, angles)):
                self._vehicle = Attitude(*(math.degrees(v) for v in angles))
        elif kind == "MOUNT_ORIENTATION":
            angles = (said.roll, said.pitch, said.yaw_absolute)
            if all(map(math.isfinite, angles)):
                self._gimbal = Attitude(*angles)
        elif kind == "GPS_RAW_INT" and said.alt_ellipsoid:
            self._above_sea_m = (said.alt_ellipsoid - said.alt) / 1000
        elif kind == "GLOBAL_POSITION_INT" and (said.lat or said.lon):
            if abs(said.lat) > 900_000_000 or abs(said.lon) > 1_800_000_000:
                return None
            return Fix(
                lat=said.lat / 1e7, lon=said.lon / 1e7,
                height_m=said.alt / 1000 + self._above_sea_m,
                camera=self._gimbal or mounted(self._vehicle, self._mount),
            )  # fmt: skip
        return None
