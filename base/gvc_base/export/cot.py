"""Cursor-on-Target files of a mission, for ATAK, WinTAK and whatever listens to a TAK server.

    OUT.zip      a data package: a .cot each item and MANIFEST/manifest.xml, as ATAK and WinTAK import it
    any other    one event a line in order of time: what a live sender would have sent, to be played

A package has the track as a line, the camera's last place, each unit's footprint and each object. In
the lines the camera and its footprint keep their uid, so that they move. Nobody wants a recorded mission
to be hidden as stale at once: events hold for a year from the moment they tell of.
"""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from itertools import groupby
from typing import IO

from shapely import Geometry

from gvc_base.export.areas import Areas
from gvc_base.export.cot_events import (
    XML_DECLARATION,
    CotAbout,
    CotPlace,
    camera_event,
    detection_event,
    footprint_event,
    track_event,
)
from gvc_base.export.facts import MissionFacts, UnitFacts
from gvc_base.export.words import made_up_name, percent, picture_name
from gvc_protocol.marks import Mark

__all__ = ["write_cot_lines", "write_cot_package"]

_STALE_S = 365 * 86_400.0
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
"Of the files in a package: the same mission gives the same bytes."


def write_cot_lines(facts: MissionFacts, areas: Areas, file: IO[bytes]) -> int:
    """One event a line, in order of time; returns how many."""
    number = 0
    flown = {id(unit) for unit in areas.flown()}
    objects = list(_objects(facts, areas))
    for unit in facts.placed:
        events = [_camera(facts, areas, unit)]
        if id(unit) in flown and (outline := _footprint(facts, areas, unit, each=False)):
            events.append(outline)
        events += [event for of, _, event in objects if of is unit]
        for event in events:
            file.write(event + b"\n")
        number += len(events)
    return number


def write_cot_package(facts: MissionFacts, areas: Areas, file: IO[bytes]) -> int:
    """A data package; returns the number of its items."""
    items = list(_items(facts, areas))
    root = ET.Element("MissionPackageManifest", version="2")
    about = ET.SubElement(root, "Configuration")
    ET.SubElement(about, "Parameter", name="uid", value=_uid(facts, "package"))
    ET.SubElement(about, "Parameter", name="name", value=f"gvc-field {facts.name}")
    contents = ET.SubElement(root, "Contents")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for uid, event in items:
            name = f"{uid}/{uid}.cot"
            content = ET.SubElement(contents, "Content", ignore="false", zipEntry=name)
            ET.SubElement(content, "Parameter", name="uid", value=uid)
            package.writestr(zipfile.ZipInfo(name, _FIRST_DATE), XML_DECLARATION + event)
        manifest = ET.tostring(root, encoding="utf-8", xml_declaration=True)
        package.writestr(zipfile.ZipInfo("MANIFEST/manifest.xml", _FIRST_DATE), manifest)
    return len(items)


def _items(facts: MissionFacts, areas: Areas) -> Iterator[tuple[str, bytes]]:
    for boot, flight in groupby(facts.placed, key=lambda unit: unit.boot_id):
        units = list(flight)
        if len(units) > 1:
            uid = _uid(facts, f"track-{boot}")
            told = _about(facts, units[-1], uid, "GVC track", _whole(facts))
            yield uid, track_event(told, [areas.lon_lat(unit) for unit in units])
    yield _uid(facts, "camera"), _camera(facts, areas, facts.placed[-1])
    for unit in areas.flown():
        if outline := _footprint(facts, areas, unit, each=True):
            yield _uid(facts, f"footprint-{unit.boot_id}-{unit.unit_no}"), outline
    for _, uid, event in _objects(facts, areas):
        yield uid, event


def _camera(facts: MissionFacts, areas: Areas, unit: UnitFacts) -> bytes:
    lon, lat = areas.lon_lat(unit)
    height = areas.above_m(unit) + areas.ground_m
    place = CotPlace(lon_deg=lon, lat_deg=lat, height_m=height)
    uid = _uid(facts, "camera")
    assert unit.telemetry is not None
    told = _about(facts, unit, uid, "GVC camera", f"{picture_name(unit)}. {_sender(facts)}")
    return camera_event(told, place, course_deg=unit.telemetry.yaw_cdeg / 100)


def _footprint(facts: MissionFacts, areas: Areas, unit: UnitFacts, *, each: bool) -> bytes | None:
    """`each`: with a uid of its own."""
    corners = _ring(areas.footprint(unit))
    if corners is None:
        return None
    share = float(unit.tiles[Mark.REGENERATED :].sum() / max(1, unit.tiles.sum()))
    name = f"footprint-{unit.boot_id}-{unit.unit_no}" if each else "footprint"
    callsign, worst = f"GVC picture {unit.unit_no}", ""
    if unit.made_up is not None and unit.made_up.share > 0:
        callsign += f", {made_up_name(unit).partition(':')[0]} {percent(share)}"
        worst = f" At worst {made_up_name(unit)}."
    remarks = f"{picture_name(unit)}.{worst} {areas.about} {_sender(facts)}"
    told = _about(facts, unit, _uid(facts, name), callsign, remarks)
    return footprint_event(told, corners, made_up_share=share)


def _objects(facts: MissionFacts, areas: Areas) -> Iterator[tuple[UnitFacts, str, bytes]]:
    for number, (unit, found, (lon, lat)) in enumerate(areas.objects()):
        uid = _uid(facts, f"object-{number}")
        remarks = (
            f"{found.text}. Found by the edge on true pixels, unit {unit.unit_no}; placed on flat "
            f"ground. {_sender(facts)}"
        )
        told = _about(facts, unit, uid, found.text, remarks)
        place = CotPlace(lon_deg=lon, lat_deg=lat)
        yield unit, uid, detection_event(told, place, camera_uid=_uid(facts, "camera"))


def _about(
    facts: MissionFacts, unit: UnitFacts, uid: str, callsign: str, remarks: str
) -> CotAbout:  # fmt: skip
    return CotAbout(
        uid=uid, callsign=callsign, time_ns=unit.time_ns, stale_s=_STALE_S, remarks=remarks
    )


def _ring(shape: Geometry) -> list[tuple[float, float]] | None:
    """Corners of the largest part, few enough for a message."""
    parts = [shape] if shape.geom_type == "Polygon" else list(shape.geoms)
    if not parts:
        return None
    largest = max(parts, key=lambda part: part.area)
    ring = largest.simplify(1e-7).exterior.coords[:-1]
    return [(float(point[0]), float(point[1])) for point in ring]


def _uid(facts: MissionFacts, name: str) -> str:
    first = facts.units[0]
    told = f"{facts.name} {first.boot_id} {first.received_ns}".encode()
    return f"gvc-{hashlib.sha256(told).hexdigest()[:12]}-{name}"


def _sender(facts: MissionFacts) -> str:
    return f"Sender {facts.label}."


def _whole(facts: MissionFacts) -> str:
    return f"Camera track of {facts.name}, as the edge sent it. {_sender(facts)}"
