"""Cursor-on-Target events of what a mission knows: camera, ground in the picture, objects.

    CotAbout (who, when, how long it holds) + CotPlace -> one <event> of CoT 2.0 as bytes

The file export and a live sender build the same events here; nothing is sent or written. An event is
one line without an XML declaration: `XML_DECLARATION` goes before it where a receiver wants one. The
same `uid` again moves a thing, another one makes a new thing.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gvc_base.export.words import xml_text
from gvc_protocol.errors import LocalProtocolError

__all__ = [
    "CAMERA_TYPE",
    "DETECTION_TYPE",
    "FOOTPRINT_TYPE",
    "XML_DECLARATION",
    "CotAbout",
    "CotPlace",
    "CotSensor",
    "camera_event",
    "detection_event",
    "footprint_event",
    "track_event",
    "wrapped_lon",
]

CAMERA_TYPE, FOOTPRINT_TYPE, DETECTION_TYPE = "a-f-A-C", "u-d-f", "b-m-p-s-m"
XML_DECLARATION = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

_UNKNOWN_M = 9_999_999.0
"CoT's own word for an error or a height that nobody knows."
_SEEN, _MADE_UP, _OBJECT, _TRACK = 0xFF00A050, 0xFFE06000, 0xFFFFD000, 0xFF0080FF
"Green: mostly received. Orange: mostly regenerated or lost. Yellow: an object. Blue: the track."
_FILL = 0x40FFFFFF
"A quarter of the stroke's opacity, so that the map can be read through it."


@dataclass(frozen=True, slots=True, kw_only=True)
class CotAbout:
    """What every event says of itself."""

    uid: str
    "Same thing, same uid; unique in the world, so put the mission or the edge into it."
    callsign: str
    "The name on the map. That of regenerated content has the word in it."
    time_ns: int
    "Unix time, nanoseconds."
    stale_s: float
    "Seconds from then on for which it holds; maps grey it out after them."
    remarks: str = ""
    "Free text; characters that XML cannot carry become spaces."


@dataclass(frozen=True, slots=True, kw_only=True)
class CotPlace:
    """A point, WGS 84."""

    lon_deg: float
    lat_deg: float
    height_m: float | None = None
    "Above the ellipsoid; None unknown."
    error_m: float | None = None
    "Radius in which it really is; None unknown."


@dataclass(frozen=True, slots=True, kw_only=True)
class CotSensor:
    """Where a camera looks; maps draw it as a wedge."""

    azimuth_deg: float
    "Clockwise from true north."
    elevation_deg: float
    "From the horizon; straight down is -90."
    roll_deg: float
    fov_deg: float
    "Across the picture's width, edge to edge."
    range_m: float | None = None
    "To what the middle of the picture shows; None unknown."


def wrapped_lon(lon_deg: float) -> float:
    """The same meridian within -180..180."""
    return lon_deg if -180.0 <= lon_deg <= 180.0 else (lon_deg + 180.0) % 360.0 - 180.0


def camera_event(
    about: CotAbout, place: CotPlace, *, course_deg: float | None = None,
    speed_m_s: float | None = None, sensor: CotSensor | None = None,
) -> bytes:  # fmt: skip
    """The camera in the air, type a-f-A-C.

    Args:
        course_deg: where it flies to or looks to, clockwise from true north.
        speed_m_s: over ground. Both None where unknown.
        sensor: where it looks, where that is known.

    Raises:
        LocalProtocolError: a number is not finite, or no place on earth.
    """
    event, detail = _event(about, place, CAMERA_TYPE, how="m-g")
    ET.SubElement(detail, "precisionlocation", geopointsrc="GPS", altsrc="GPS")
    if course_deg is not None:
        speed = 0.0 if speed_m_s is None else speed_m_s
        course = _finite("course", course_deg) % 360.0
        ET.SubElement(detail, "track", course=f"{course:.1f}", speed=f"{speed:.1f}")
    if sensor is not None:
        node = ET.SubElement(
            detail, "sensor", azimuth=f"{_finite('azimuth', sensor.azimuth_deg) % 360.0:.1f}",
            elevation=f"{_finite('elevation', sensor.elevation_deg):.1f}",
            roll=f"{_finite('roll', sensor.roll_deg):.1f}",
            fov=f"{_finite('field of view', sensor.fov_deg):.1f}", model="GVC",
        )  # fmt: skip
        if sensor.range_m is not None:
            node.set("range", f"{_finite('range', sensor.range_m):.1f}")
    return _bytes(event)


def footprint_event(
    about: CotAbout, corners: Sequence[tuple[float, float]], *, made_up_share: float
) -> bytes:
    """Ground in the picture as a closed outline, type u-d-f.

    Args:
        corners: (lon, lat) in degrees in order around, at least 3, not closed.
        made_up_share: share of it whose picture is regenerated or lost, 0..1. From a half on the outline
            is orange and dashed, and else green; the share itself belongs into the remarks.

    Raises:
        LocalProtocolError: fewer than 3 corners, or a number that is no place on earth.
    """
    if len(corners) < 3:
        raise LocalProtocolError(f"a footprint needs 3 corners, not {len(corners)}")
    base = corners[0][0]
    # Unwrapped around the first corner: a mean over the date line would be far off it.
    lons = [base + (lon - base + 180.0) % 360.0 - 180.0 for lon, _ in corners]
    middle = CotPlace(
        lon_deg=sum(lons) / len(lons), lat_deg=sum(lat for _, lat in corners) / len(corners)
    )
    event, detail = _event(about, middle, FOOTPRINT_TYPE, how="m-g")
    for lon, lat in (*corners, corners[0]):
        lon_text, lat_text = _degrees(lon, lat)
        ET.SubElement(detail, "link", point=f"{lat_text},{lon_text}")
    made_up = made_up_share >= 0.5
    colour = _MADE_UP if made_up else _SEEN
    ET.SubElement(detail, "strokeColor", value=_argb(colour))
    ET.SubElement(detail, "strokeWeight", value="3.0")
    ET.SubElement(detail, "strokeStyle", value="dashed" if made_up else "solid")
    ET.SubElement(detail, "fillColor", value=_argb(colour & _FILL))
    ET.SubElement(detail, "labels_on", value="true")
    return _bytes(event)


def track_event(about: CotAbout, points: Sequence[tuple[float, float]]) -> bytes:
    """Where a camera was, as an open line, type u-d-f.

    Args:
        points: (lon, lat) in degrees in order, at least 2.

    Raises:
        LocalProtocolError: fewer than 2 points, or a number that is no place on earth.
    """
    if len(points) < 2:
        raise LocalProtocolError(f"a track needs 2 points, not {len(points)}")
    last = CotPlace(lon_deg=points[-1][0], lat_deg=points[-1][1])
    event, detail = _event(about, last, FOOTPRINT_TYPE, how="m-g")
    for lon, lat in points:
        lon_text, lat_text = _degrees(lon, lat)
        ET.SubElement(detail, "link", point=f"{lat_text},{lon_text}")
    ET.SubElement(detail, "strokeColor", value=_argb(_TRACK))
    ET.SubElement(detail, "strokeWeight", value="3.0")
    ET.SubElement(detail, "strokeStyle", value="solid")
    return _bytes(event)


def detection_event(about: CotAbout, place: CotPlace, *, camera_uid: str = "") -> bytes:
    """An object on the ground as a spot marker, type b-m-p-s-m.

    Args:
        camera_uid: of the camera that saw it; empty leaves the link out.

    Raises:
        LocalProtocolError: a number is not finite, or no place on earth.
    """
    event, detail = _event(about, place, DETECTION_TYPE, how="m-g")
    ET.SubElement(detail, "status", readiness="true")
    ET.SubElement(detail, "archive")
    if camera_uid:
        ET.SubElement(
            detail, "link", uid=xml_text(camera_uid), type=CAMERA_TYPE, relation="p-p",
            production_time=_time(about.time_ns),
        )  # fmt: skip
    colour = _argb(_OBJECT)
    # ATAK takes the colour of a spot from the icon's path, not from <color> alone.
    ET.SubElement(detail, "color", argb=colour)
    ET.SubElement(detail, "usericon", iconsetpath=f"COT_MAPPING_SPOTMAP/{DETECTION_TYPE}/{colour}")
    return _bytes(event)


def _event(
    about: CotAbout, place: CotPlace, kind: str, *, how: str
) -> tuple[ET.Element, ET.Element]:
    if not xml_text(about.uid):
        raise LocalProtocolError("a CoT event needs a uid")
    start, stale = about.time_ns, about.time_ns + round(about.stale_s * 1e9)
    event = ET.Element(
        "event", version="2.0", uid=xml_text(about.uid), type=kind, time=_time(start),
        start=_time(start), stale=_time(stale), how=how,
    )  # fmt: skip
    lon, lat = _degrees(place.lon_deg, place.lat_deg)
    height = _UNKNOWN_M if place.height_m is None else _finite("height", place.height_m)
    error = _UNKNOWN_M if place.error_m is None else _finite("error", place.error_m)
    ET.SubElement(
        event, "point", lat=lat, lon=lon, hae=f"{height:.1f}", ce=f"{error:.1f}",
        le=f"{_UNKNOWN_M:.1f}",
    )  # fmt: skip
    detail = ET.SubElement(event, "detail")
    ET.SubElement(detail, "contact", callsign=xml_text(about.callsign))
    remarks = ET.SubElement(detail, "remarks")
    remarks.text = xml_text(about.remarks)
    return event, detail


def _degrees(lon: float, lat: float) -> tuple[str, str]:
    if not -90.0 <= _finite("latitude", lat) <= 90.0:
        raise LocalProtocolError(f"latitude {lat} is no place on earth")
    return f"{wrapped_lon(_finite('longitude', lon)):.7f}", f"{lat:.7f}"


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise LocalProtocolError(f"{name} {value} is no number for a map")
    return value


def _time(time_ns: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _argb(colour: int) -> str:
    """Alpha, red, green, blue as the signed 32-bit number that CoT writes."""
    return str(colour - (1 << 32) if colour >= 1 << 31 else colour)


def _bytes(event: ET.Element) -> bytes:
    return bytes(ET.tostring(event, encoding="unicode").encode())
