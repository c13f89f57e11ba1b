"""GeoJSON (RFC 7946) of a mission: one FeatureCollection, `kind` says what each feature is.

    track | gap | footprint | regenerated | lost | coverage | detection

Coordinates are WGS 84 longitude, latitude and, on the track, height above the ellipsoid. What areas
assume stands in the collection's `about` and in the track's, where programs show it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import IO, Any

from shapely import Geometry, LineString, MultiLineString, Point, get_parts

from gvc_base.export.areas import Areas, on_earth
from gvc_base.export.facts import MissionFacts, UnitFacts
from gvc_base.export.words import made_up_name, percent, picture_name, utc
from gvc_protocol.marks import Mark

__all__ = [
    "about_text",
    "features",
    "flight_lines",
    "lost_stretches",
    "unit_collection",
    "write_geojson",
]

Properties = dict[str, Any]
_ORANGE = {"color": "#ff6000", "fillColor": "#ff6000", "fillOpacity": 0.6}


def write_geojson(facts: MissionFacts, areas: Areas, file: IO[bytes]) -> int:
    """Write it; returns the number of features."""
    head = {"type": "FeatureCollection", "about": about_text(facts, areas)}
    file.write(json.dumps(head)[:-1].encode() + b', "features": [')
    number = 0
    for number, (shape, properties) in enumerate(features(facts, areas), 1):
        feature = {"type": "Feature", "geometry": _geometry(shape), "properties": properties}
        file.write((b",\n" if number > 1 else b"\n") + json.dumps(feature).encode())
    file.write(b"\n]}\n")
    return number


def features(facts: MissionFacts, areas: Areas) -> Iterator[tuple[Geometry, Properties]]:
    """(shape as files hold it, properties) of everything that a map shows; areas come before lines and
    points, as maps draw in order."""
    for seen in areas.coverage():
        unit = seen.unit
        age = (facts.end_ns - unit.received_ns) / 1e9
        yield on_earth(seen.area), {
            "kind": "coverage", "name": f"last seen {age:.0f} s before the end of the mission",
            "age_s": round(age, 3), **_of(unit),
        }  # fmt: skip
    for unit in areas.flown():
        yield _footprint(areas, unit)
    for unit in areas.flown():
        yield from _made_up(areas, unit)
    yield from lost_stretches(facts, areas)
    if (line := flight_lines(facts, areas)) is not None:
        placed = facts.placed
        yield line, {
            "kind": "track", "name": "camera track", "begin": utc(placed[0].time_ns),
            "end": utc(placed[-1].time_ns), "about": about_text(facts, areas),
        }  # fmt: skip
    for unit, found, (lon, lat) in areas.objects():
        yield on_earth(Point(lon, lat)), {
            "kind": "detection", "name": found.text, "found_by": "the edge, on true pixels",
            **_of(unit),
        }  # fmt: skip


def _footprint(areas: Areas, unit: UnitFacts) -> tuple[Geometry, Properties]:
    return on_earth(areas.footprint(unit)), {
        "kind": "footprint", "name": picture_name(unit), **_of(unit),
        "camera_height_m": round(areas.above_m(unit) + areas.ground_m, 2),
    }  # fmt: skip


def _made_up(areas: Areas, unit: UnitFacts) -> Iterator[tuple[Geometry, Properties]]:
    if unit.made_up is not None and not (shape := areas.made_up(unit)).is_empty:
        yield on_earth(shape), {
            "kind": "regenerated" if unit.tiles[Mark.REGENERATED] else "lost",
            "name": made_up_name(unit), "share": round(unit.made_up.share, 4), **_of(unit),
        }  # fmt: skip


def unit_collection(facts: MissionFacts, areas: Areas, unit: UnitFacts) -> dict[str, Any]:
    """FeatureCollection of one unit with a place: the camera, and the ground in its picture where it can
    be laid there. `style` is what Foxglove's map colours by."""
    place = on_earth(Point(*areas.lon_lat(unit)))
    rows: list[tuple[Geometry, Properties]] = [
        (place, {"kind": "camera", "name": f"camera, {utc(unit.time_ns)}", **_of(unit)})
    ]
    if areas.flies(unit):
        rows += [_footprint(areas, unit), *_made_up(areas, unit)]
    styles = {"regenerated": _ORANGE, "lost": _ORANGE, "footprint": {"fillOpacity": 0}}
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature", "geometry": _geometry(shape),
                "properties": {**told, "style": styles.get(told["kind"], {})},
            }
            for shape, told in rows
        ],
    }  # fmt: skip


def flight_lines(facts: MissionFacts, areas: Areas) -> Geometry | None:
    """The camera's track as a line for each start of the edge; None of a single place."""
    lines = []
    for _, flight in groupby(facts.placed, key=lambda unit: unit.boot_id):
        points = [(*areas.lon_lat(unit), _height(unit)) for unit in flight]
        if len(points) > 1:
            lines += list(get_parts(on_earth(LineString(points))))
    if not lines:
        return None
    return lines[0] if len(lines) == 1 else MultiLineString(lines)


def lost_stretches(facts: MissionFacts, areas: Areas) -> Iterator[tuple[Geometry, Properties]]:
    """A straight line over each stretch of which nothing came: where the camera was is unknown."""
    for before, after in pairwise(facts.placed):
        missing = after.unit_no - before.unit_no - 1
        if before.boot_id != after.boot_id or missing < 1:
            continue
        units = f"unit {before.unit_no + 1}"
        if missing > 1:
            units = f"units {before.unit_no + 1} to {after.unit_no - 1}"
        yield on_earth(LineString([areas.lon_lat(before), areas.lon_lat(after)])), {
            "kind": "gap", "units": missing,
            "name": f"lost: no place and no whole picture of {units}; a straight line between",
            "begin": utc(before.time_ns), "end": utc(after.time_ns),
        }  # fmt: skip


def _of(unit: UnitFacts) -> Properties:
    return {
        "time": utc(unit.time_ns), "received": utc(unit.received_ns), "boot": unit.boot_id,
        "unit": unit.unit_no, "whole": unit.whole,
        **{f"{name}_share": share for name, share in unit.shares.items()},
    }  # fmt: skip


def _height(unit: UnitFacts) -> float:
    assert unit.telemetry is not None
    return unit.telemetry.alt_cm / 100


def about_text(facts: MissionFacts, areas: Areas) -> str:
    """What a map made from this assumes and means."""
    return (
        f"{facts.name}, sender {facts.label}; decoded by {facts.decoder}. {areas.about} Shares are of "
        "the tiles of all frames of a unit: received, carried (received earlier), enhanced (between "
        "received low-resolution pixels), regenerated (nothing received behind it), lost. Features of "
        "kind regenerated or lost hold no received content: "
        f"{percent(_made_up_share(facts))} of all that was shown."
    )


def _made_up_share(facts: MissionFacts) -> float:
    tiles = sum((unit.tiles for unit in facts.units[1:]), facts.units[0].tiles)
    return float(tiles[Mark.REGENERATED :].sum() / max(1, tiles.sum()))


def _geometry(shape: Geometry) -> dict[str, Any]:
    """As RFC 7946 writes it; a centimetre is kept."""
    made: dict[str, Any] = shape.__geo_interface__
    return {"type": made["type"], "coordinates": _rounded(made["coordinates"])}


def _rounded(value: Any) -> Any:
    if isinstance(value, float | int):
        return round(float(value), 7)
    return [_rounded(one) for one in value]
