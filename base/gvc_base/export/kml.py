"""KML 2.2 of a mission, for Google Earth and whatever else opens it: the features of the GeoJSON.

Regenerated and lost areas are filled orange with a thick outline and are drawn above everything else;
what was seen is green. The track has its times, footprints their spans. KML takes heights as above sea
level, telemetry tells them above the ellipsoid: the track may hang up to 100 m too high or low.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from itertools import groupby
from typing import IO, Any

from shapely import Geometry, LineString, Point, Polygon, get_parts

from gvc_base.export.areas import Areas, on_earth
from gvc_base.export.facts import MissionFacts
from gvc_base.export.geojson import Properties, about_text, features
from gvc_base.export.words import utc, xml_text

__all__ = ["write_kml"]

_KML, _GX = "http://www.opengis.net/kml/2.2", "http://www.google.com/kml/ext/2.2"
_MADE_UP = "made-up"
_FOLDERS = {
    "coverage": ("Seen, by age", "seen"),
    "footprint": ("Pictures: ground in each", "footprint"),
    "regenerated": ("Regenerated: nothing received stands behind it", _MADE_UP),
    "lost": ("Lost: nothing of this moment arrived", _MADE_UP),
    "gap": ("Gaps: nothing came between", "gap"),
    "detection": ("Objects found by the edge", "object"),
}
_STYLES = {
    # Colours are alpha, blue, green, red.
    "seen": ("60508000", "00508000", 1), "footprint": ("00000000", "c0ffffff", 1),
    _MADE_UP: ("a00060ff", "ff0060ff", 4), "gap": ("00000000", "ff0000ff", 3),
    "track": ("00000000", "ffff8000", 3), "object": ("00000000", "ff00d0ff", 1),
}  # fmt: skip


def write_kml(facts: MissionFacts, areas: Areas, file: IO[bytes]) -> int:
    """Write it; returns the number of features."""
    ET.register_namespace("", _KML)
    ET.register_namespace("gx", _GX)
    root = ET.Element(f"{{{_KML}}}kml")
    document = _add(root, "Document")
    _add(document, "name", f"{facts.name}: what was received and what was not")
    _add(document, "description", about_text(facts, areas))
    for name, (fill, line, width) in _STYLES.items():
        style = _add(document, "Style", id=name)
        stroke = _add(style, "LineStyle")
        _add(stroke, "color", line)
        _add(stroke, "width", str(width))
        _add(_add(style, "PolyStyle"), "color", fill)
    number = _tracks(document, facts, areas)
    rows = sorted(
        (row for row in features(facts, areas) if row[1]["kind"] in _FOLDERS),
        key=lambda row: list(_FOLDERS).index(row[1]["kind"]),
    )
    for kind, group in groupby(rows, key=lambda row: row[1]["kind"]):
        placemarks = list(group)
        _folder(document, kind, placemarks)
        number += len(placemarks)
    ET.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    return number


def _tracks(document: ET.Element, facts: MissionFacts, areas: Areas) -> int:
    folder = _add(document, "Folder")
    _add(folder, "name", "Camera track")
    number = 0
    for boot, flight in groupby(facts.placed, key=lambda unit: unit.boot_id):
        mark = _add(folder, "Placemark")
        _add(mark, "name", f"camera track, start {boot} of the edge")
        _add(mark, "styleUrl", "#track")
        track = _add(mark, "Track", space=_GX)
        _add(track, "altitudeMode", "absolute")
        units = list(flight)
        for unit in units:
            _add(track, "when", utc(unit.time_ns))
        for unit in units:
            place = on_earth(Point(*areas.lon_lat(unit)))
            height = areas.above_m(unit) + areas.ground_m
            _add(track, "coord", f"{place.x:.7f} {place.y:.7f} {height:.2f}", space=_GX)
        number += 1
    return number


def _folder(
    document: ET.Element, kind: str, rows: list[tuple[Geometry, Properties]]
) -> None:  # fmt: skip
    title, style = _FOLDERS[kind]
    folder = _add(document, "Folder")
    _add(folder, "name", title)
    for shape, told in rows:
        mark = _add(folder, "Placemark")
        _add(mark, "name", told["name"])
        if kind == "footprint":
            _add(_add(mark, "TimeStamp"), "when", told["time"])
        _add(mark, "styleUrl", f"#{style}")
        data = _add(mark, "ExtendedData")
        for key, value in told.items():
            if key != "name":
                _add(_add(data, "Data", name=key), "value", str(value))
        _shape(mark, shape, order=2 if style == _MADE_UP else 1)


def _shape(parent: ET.Element, shape: Geometry, order: int) -> None:
    parts = list(get_parts(shape))
    holder = parent if len(parts) == 1 else _add(parent, "MultiGeometry")
    for part in parts:
        if isinstance(part, Polygon):
            polygon = _add(holder, "Polygon")
            _add(polygon, "drawOrder", str(order), space=_GX)
            _add(polygon, "tessellate", "1")
            for name, rings in (
                ("outerBoundaryIs", [part.exterior]),
                ("innerBoundaryIs", part.interiors),
            ):
                for ring in rings:
                    _line(_add(polygon, name), "LinearRing", ring.coords)
        elif isinstance(part, LineString):
            _line(holder, "LineString", part.coords)
        else:
            _line(holder, "Point", part.coords)


def _line(parent: ET.Element, kind: str, points: Iterable[tuple[float, ...]]) -> None:
    made = _add(parent, kind)
    if kind == "LineString":
        _add(made, "tessellate", "1")
    _add(made, "coordinates", " ".join(f"{p[0]:.7f},{p[1]:.7f}" for p in points))


def _add(
    parent: ET.Element, name: str, text: str | None = None, /, *, space: str = _KML, **about: Any
) -> ET.Element:
    made = ET.SubElement(parent, f"{{{space}}}{name}", about)
    if text is not None:
        made.text = xml_text(text)
    return made
