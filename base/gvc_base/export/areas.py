"""What of a mission lies where on the ground: footprints, what is made up in them, what was seen when.

    UnitFacts + Camera (pinhole, flat ground) -> polygons in degrees -> cut at the date line

Inside, longitudes go on past 180 degrees around the mission's first place, so that areas can be joined
and taken from each other there, too; `on_earth` gives what files hold: within -180..180, cut, outer
rings counter-clockwise (RFC 7946).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from shapely import Geometry, LineString, MultiPolygon, Point, Polygon
from shapely.affinity import translate
from shapely.ops import orient

from gvc_base.export.facts import FoundObject, MissionFacts, TileMask, UnitFacts, place_at
from gvc_base.station.ground import Camera
from gvc_protocol.marks import TILE_PX

__all__ = ["Areas", "Seen", "on_earth"]

_LEAST_ABOVE_M = 2.0
"Lower than this the camera stands on the ground, and its picture's place on flat ground means nothing."
_TURN_E7 = 3_600_000_000
_SLIVER = 1e-14
"Square degrees, about a square centimetre: what is left where two outlines run side by side."


@dataclass(frozen=True, slots=True)
class Seen:
    """Ground that was last seen with one unit."""

    unit: UnitFacts
    area: Geometry


class Areas:
    """Of one mission.

    Args:
        fov_deg: across the picture's width.
        ground_m: above the WGS 84 ellipsoid; None takes the lowest height that was heard.
    """

    def __init__(self, facts: MissionFacts, *, fov_deg: float, ground_m: float | None) -> None:
        placed = facts.placed
        heights = [unit.telemetry.alt_cm / 100 for unit in placed if unit.telemetry is not None]
        why = "as given" if ground_m is not None else "the lowest camera height that was heard"
        self.ground_m = min(heights, default=0.0) if ground_m is None else ground_m
        self.about = (
            f"Areas assume flat ground at {self.ground_m:.0f} m above the WGS 84 ellipsoid ({why}) and "
            f"a camera {fov_deg:g} degrees wide; hills move them. Footprints and what was seen are of "
            "each unit's first frame; what is regenerated or lost is of its worst frame. Positions "
            "are the camera's, as the edge sent them."
        )
        if not placed:
            self.about = "No unit tells where the camera was."
        self.problem = ""
        if heights and max(heights) - self.ground_m < _LEAST_ABOVE_M:
            self.problem = (
                f"the camera was never above {self.ground_m:.0f} m, which is taken for the ground; "
                "no areas are written: give --ground METRES, its height above the ellipsoid"
            )
        self._fov_deg = fov_deg
        self._next = dict(zip(map(id, facts.units), [*facts.units[1:], None], strict=True))
        first = placed[0].telemetry if placed else None
        self._base_e7 = 0 if first is None else first.lon_e7
        self._placed = placed

    def lon_lat(self, unit: UnitFacts) -> tuple[float, float]:
        """The camera's place, degrees; longitude goes on past 180."""
        t = self._camera(unit, 0).telemetry
        return t.lon_e7 / 1e7, t.lat_e7 / 1e7

    def above_m(self, unit: UnitFacts) -> float:
        """Height of the camera above the assumed ground."""
        assert unit.telemetry is not None
        return unit.telemetry.alt_cm / 100 - self.ground_m

    def flown(self) -> Iterator[UnitFacts]:
        """Units whose picture can be laid on the ground."""
        yield from filter(self.flies, self._placed)

    def flies(self, unit: UnitFacts) -> bool:
        """Whether a placed unit's picture can be laid on the ground."""
        return not self.problem and self.above_m(unit) >= _LEAST_ABOVE_M

    def footprint(self, unit: UnitFacts) -> Geometry:
        """Ground in the first frame."""
        outline = shapely.box(0, 0, unit.width, unit.height)
        return self._laid(outline, self._camera(unit, unit.seen_offset))

    def seen(self, unit: UnitFacts) -> Geometry:
        """Ground whose picture held received content in the first frame; may be empty."""
        return self._tiles(unit, unit.seen, unit.seen_offset)

    def made_up(self, unit: UnitFacts) -> Geometry:
        """Ground whose picture was regenerated or lost in the worst frame; may be empty."""
        return self._tiles(unit, unit.made_up, unit.made_up_offset)

    def objects(self) -> Iterator[tuple[UnitFacts, FoundObject, tuple[float, float]]]:
        """Each object with where it stands: at the middle of its box's lower edge."""
        for unit in self.flown():
            camera = self._camera(unit, 0)
            for found in unit.objects:
                x, y, w, h = found.box
                yield unit, found, camera.ground(x + w / 2, y + h)

    def coverage(self) -> list[Seen]:
        """Every place that was seen, once, with the newest unit that showed it; newest first."""
        fresh = [Seen(unit, self.seen(unit)) for unit in self.flown()]
        fresh.sort(key=lambda seen: seen.unit.time_ns, reverse=True)
        fresh = [seen for seen in fresh if not seen.area.is_empty]
        if not fresh:
            return []
        tree = shapely.STRtree([seen.area for seen in fresh])
        out = []
        for number, one in enumerate(fresh):
            newer = [i for i in tree.query(one.area) if i < number]
            area = one.area
            if newer:
                area = area.difference(shapely.union_all([fresh[i].area for i in newer]))
            area = _polygons(area)
            if not area.is_empty:
                out.append(Seen(one.unit, area))
        return out

    def _camera(self, unit: UnitFacts, offset: int) -> Camera:
        told = place_at(unit, self._next.get(id(unit)), offset)
        way = (told.lon_e7 - self._base_e7 + _TURN_E7 // 2) % _TURN_E7 - _TURN_E7 // 2
        return Camera(
            telemetry=replace(told, lon_e7=self._base_e7 + way), width=unit.width,
            height=unit.height, fov_deg=self._fov_deg, ground_m=self.ground_m,
        )  # fmt: skip

    def _tiles(self, unit: UnitFacts, mask: TileMask | None, offset: int) -> Geometry:
        if mask is None:
            return MultiPolygon()
        return self._laid(_outline(mask, unit.width, unit.height), self._camera(unit, offset))

    @staticmethod
    def _laid(picture: Geometry, camera: Camera) -> Geometry:
        """A shape in pixels, laid on the ground."""
        # Straight stays straight on flat ground, but not where rays are cut short of the horizon.
        shape = shapely.segmentize(picture, 8 * TILE_PX)

        def lay(points: Any) -> Any:
            return np.array([camera.ground(float(x), float(y)) for x, y in points]).reshape(-1, 2)

        return _polygons(shapely.make_valid(shapely.transform(shape, lay)))


def _outline(mask: TileMask, width: int, height: int) -> Geometry:
    """Tiles as polygons in pixels, joined; the last row and column end with the picture."""
    tiles = np.pad(mask.unpack(), ((0, 0), (1, 1)))
    steps = np.diff(tiles.astype(np.int8), axis=1)
    rows, first = np.nonzero(steps == 1)
    last = np.nonzero(steps == -1)[1]
    if not rows.size:
        return MultiPolygon()
    runs = shapely.box(
        first * TILE_PX, rows * TILE_PX, np.minimum(last * TILE_PX, width),
        np.minimum((rows + 1) * TILE_PX, height),
    )  # fmt: skip
    return shapely.union_all(runs)


def _polygons(shape: Geometry) -> Geometry:
    """The parts of a shape that have an area."""
    parts = [p for p in shapely.get_parts(shape) if isinstance(p, Polygon) and p.area > _SLIVER]
    nested = [p for g in shapely.get_parts(shape) if not isinstance(g, Polygon)
              for p in shapely.get_parts(g) if isinstance(p, Polygon) and p.area > _SLIVER]  # fmt: skip
    whole = parts + nested
    return whole[0] if len(whole) == 1 else MultiPolygon(whole)


def on_earth(shape: Geometry) -> Geometry:
    """A shape as files hold it: longitudes within -180..180, cut at the date line, outer rings
    counter-clockwise. An empty one stays empty."""
    if isinstance(shape, Point):
        lon = shape.x if -180 <= shape.x <= 180 else (shape.x + 180) % 360 - 180
        return Point(lon, *shape.coords[0][1:])
    west, _, east, _ = shape.bounds if not shape.is_empty else (0.0, 0.0, 0.0, 0.0)
    cut = shape
    if west < -180 or east > 180:
        parts: list[Geometry] = []
        for turn in range(int((west + 180) // 360), int((east + 180) // 360) + 1):
            world = shapely.box(-180 + 360 * turn, -90, 180 + 360 * turn, 90)
            inside = translate(shape.intersection(world), xoff=-360 * turn)
            parts += [p for p in shapely.get_parts(inside) if isinstance(p, LineString | Polygon)]
        lines = [p for p in parts if isinstance(p, LineString)]
        cut = shapely.MultiLineString(lines) if lines else MultiPolygon(parts)
    return orient(cut) if isinstance(cut, Polygon | MultiPolygon) else cut
