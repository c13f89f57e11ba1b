"""GPX 1.1 of a mission: the camera's track, a segment without gaps each, and objects as waypoints.

GPX knows no areas: how much of a picture was regenerated or lost stands in each track point's comment.
It takes heights as above sea level, telemetry tells them above the ellipsoid; the file says so.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import IO

from shapely import Point

from gvc_base.export.areas import Areas, on_earth
from gvc_base.export.facts import MissionFacts, UnitFacts
from gvc_base.export.geojson import about_text
from gvc_base.export.words import picture_name, utc, xml_text

__all__ = ["write_gpx"]

_GPX = "http://www.topografix.com/GPX/1/1"


def write_gpx(facts: MissionFacts, areas: Areas, file: IO[bytes]) -> int:
    """Write it; returns the number of track points and waypoints."""
    ET.register_namespace("", _GPX)
    root = ET.Element(f"{{{_GPX}}}gpx", version="1.1", creator="gvc-base")
    about = _add(root, "metadata")
    _add(about, "name", facts.name)
    _add(about, "desc", about_text(facts, areas) + " Heights are above the WGS 84 ellipsoid.")
    _add(about, "time", utc(facts.placed[0].time_ns))
    number = 0
    for unit, found, (lon, lat) in areas.objects():
        point = _point(root, "wpt", lon, lat)
        _add(point, "time", utc(unit.time_ns))
        _add(point, "name", found.text)
        _add(point, "cmt", "found by the edge on true pixels; placed on flat ground")
        number += 1
    track = _add(root, "trk")
    _add(track, "name", f"camera track of {facts.name}")
    for segment in _segments(facts.placed):
        made = _add(track, "trkseg")
        for unit in segment:
            point = _point(made, "trkpt", *areas.lon_lat(unit))
            _add(point, "ele", f"{areas.above_m(unit) + areas.ground_m:.2f}")
            _add(point, "time", utc(unit.time_ns))
            _add(point, "cmt", picture_name(unit))
            number += 1
    ET.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    return number


def _segments(units: list[UnitFacts]) -> list[list[UnitFacts]]:
    """Units that follow each other without a gap."""
    segments = [[units[0]]]
    for before, unit in pairwise(units):
        if (unit.boot_id, unit.unit_no) != (before.boot_id, before.unit_no + 1):
            segments.append([])
        segments[-1].append(unit)
    return segments


def _point(parent: ET.Element, name: str, lon: float, lat: float) -> ET.Element:
    place = on_earth(Point(lon, lat))
    return _add(parent, name, lat=f"{place.y:.7f}", lon=f"{place.x:.7f}")


def _add(parent: ET.Element, name: str, text: str | None = None, /, **about: str) -> ET.Element:
    made = ET.SubElement(parent, f"{{{_GPX}}}{name}", about)
    if text is not None:
        made.text = xml_text(text)
    return made
