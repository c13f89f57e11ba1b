"""Maps of a mission, as the programs and libraries that read them see them."""

from __future__ import annotations

import io
import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import gpxpy
import pytest
import shapely
from fastkml import KML
from fastkml.features import Placemark
from fastkml.gx import Track
from shapely.geometry import shape

from gvc_base.decode_pass import DecodePass, DecodeSettings
from gvc_base.export.areas import Areas, on_earth
from gvc_base.export.facts import MissionFacts, collect
from gvc_base.export.geojson import write_geojson
from gvc_base.export.gpx import write_gpx
from gvc_base.export.kml import write_kml
from gvc_base.recording import open_recording
from gvc_base.station import DEFAULT_FOV_DEG
from tests.export.conftest import GROUND_M, Program
from tests.export.planted import straight_down

OGRINFO = shutil.which("ogrinfo")
WRITERS = {"geojson": write_geojson, "kml": write_kml, "gpx": write_gpx}
METRE_DEG = 360 / (2 * math.pi * 6_371_008.8)


@pytest.fixture(scope="module")
def facts(mission: Path) -> MissionFacts:
    run = DecodePass(open_recording(mission, None), DecodeSettings(quality="preview"))
    return collect(run, "flight.db")


def written(kind: str, facts: MissionFacts, ground_m: float | None = GROUND_M) -> bytes:
    file = io.BytesIO()
    WRITERS[kind](facts, Areas(facts, fov_deg=DEFAULT_FOV_DEG, ground_m=ground_m), file)
    return file.getvalue()


def by_kind(facts: MissionFacts, ground_m: float | None = GROUND_M) -> dict[str, list[Any]]:
    """Features of the GeoJSON by kind, after what RFC 7946 asks of all was checked."""
    read = json.loads(written("geojson", facts, ground_m))
    assert read["type"] == "FeatureCollection" and "crs" not in read
    kinds: dict[str, list[Any]] = {}
    for feature in read["features"]:
        made = shape(feature["geometry"])
        assert made.is_valid and not made.is_empty
        west, south, east, north = made.bounds
        assert -180 <= west <= east <= 180 and -90 <= south <= north <= 90
        for part in shapely.get_parts(made):
            if part.geom_type == "Polygon":
                assert part.exterior.is_ccw and not any(r.is_ccw for r in part.interiors)
        kinds.setdefault(feature["properties"]["kind"], []).append(feature)
    return kinds


def test_geojson_of_a_flight_tells_what_came_and_what_did_not(facts: MissionFacts) -> None:
    kinds = by_kind(facts)
    assert {k: len(v) for k, v in kinds.items() if k != "coverage"} == {
        "footprint": 5, "lost": 1, "gap": 1, "track": 1, "detection": 1,
    }  # fmt: skip
    [track], [lost], [gap] = kinds["track"], kinds["lost"], kinds["gap"]
    assert len(track["geometry"]["coordinates"]) == 5
    assert track["geometry"]["coordinates"][0] == [8.04, 46.31, 600.0]
    assert "flat ground at 540 m" in track["properties"]["about"]
    assert lost["properties"]["name"] == "lost: 100 % of the picture of unit 1"
    assert lost["properties"]["lost_share"] == 0.875 and "unit 3" in gap["properties"]["name"]
    ages = [f["properties"]["age_s"] for f in kinds["coverage"]]
    assert ages == sorted(ages) and ages[0] == 0 and ages[-1] > 2
    # Every place once, by the newest picture of it.
    seen = [shape(f["geometry"]) for f in kinds["coverage"]]
    assert sum(s.area for s in seen) == pytest.approx(shapely.union_all(seen).area, rel=1e-4)


def test_regenerated_ground_has_its_own_area_and_name() -> None:
    kinds = by_kind(straight_down(), 500.0)
    assert len(kinds["regenerated"]) == 3
    first = kinds["regenerated"][0]
    picture = kinds["footprint"][0]
    assert first["properties"]["name"] == "regenerated: 22 % of the picture of unit 0"
    area = shape(first["geometry"])
    assert len(area.interiors) == 1  # the received tiles in its middle are not in it
    share = first["properties"]["share"]
    assert area.area / shape(picture["geometry"]).area == pytest.approx(share, rel=1e-3)
    # Straight down the picture is as wide as the angle says, and its middle is under the camera.
    west, south, east, _ = shape(picture["geometry"]).bounds
    metres = (east - west) * math.cos(math.radians(46.3)) / METRE_DEG
    assert metres == pytest.approx(2 * 100 * math.tan(math.radians(35)), rel=1e-3)
    [found] = kinds["detection"]
    assert found["geometry"]["coordinates"] == pytest.approx([8.0005, 46.3], abs=1e-7)
    assert south < 46.3


def test_across_the_date_line_everything_is_cut_there() -> None:
    facts = straight_down(lon_deg=179.9994)
    kinds = by_kind(facts, 500.0)
    whole = by_kind(straight_down(lon_deg=7.9994), 500.0)
    for kind in ("footprint", "regenerated", "coverage"):
        areas, wanted = ([shape(f["geometry"]) for f in k[kind]] for k in (kinds, whole))
        assert any(a.geom_type == "MultiPolygon" for a in areas)
        total = sum(a.area for a in wanted)
        assert sum(a.area for a in areas) == pytest.approx(total, rel=1e-4), kind
    assert kinds["track"][0]["geometry"]["type"] == "MultiLineString"
    assert on_earth(shapely.Point(180.5, 1)).x == -179.5


def test_kml_shows_regenerated_ground_in_another_way(facts: MissionFacts) -> None:
    planted = KML.parse(io.BytesIO(written("kml", straight_down(), 500.0)))
    [document] = planted.features
    folders = {folder.name: folder.features for folder in document.features}
    title = "Regenerated: nothing received stands behind it"
    assert len(folders[title]) == 3 and len(folders["Pictures: ground in each"]) == 3
    mark, picture = folders[title][0], folders["Pictures: ground in each"][0]
    assert "regenerated" in mark.name and mark.style_url.url != picture.style_url.url
    assert picture.time_stamp is not None
    styles = {style.id: {type(s).__name__: s for s in style.styles} for style in document.styles}
    fills = [styles[m.style_url.url[1:]]["PolyStyle"].color for m in (mark, picture)]
    assert fills[0][:2] > "80" and fills[1][:2] == "00"
    real = KML.parse(io.BytesIO(written("kml", facts)))
    placemarks = [m for f in real.features[0].features for m in f.features]
    assert all(isinstance(m, Placemark) for m in placemarks)
    tracks = [m.kml_geometry for m in placemarks if isinstance(m.kml_geometry, Track)]
    assert [len(t.track_items) for t in tracks] == [5]
    assert tracks[0].track_items[0].coord.z == 600.0
    assert f"{tracks[0].track_items[1].when.dt:%H:%M:%S}" == "08:00:01"


def test_gpx_has_a_segment_without_gaps_each(facts: MissionFacts) -> None:
    read = gpxpy.parse(written("gpx", facts).decode())
    assert [len(s.points) for t in read.tracks for s in t.segments] == [3, 2]
    point = read.tracks[0].segments[0].points[1]
    assert (point.latitude, point.longitude, point.elevation) == (46.310008, 8.040006, 600.0)
    assert "lost 88 %" in point.comment and f"{point.time:%H:%M:%S}" == "08:00:01"
    assert read.waypoints[0].name == "person 0, 80 % sure"
    assert "flat ground" in read.description


@pytest.mark.skipif(OGRINFO is None, reason="GDAL is not installed (apt-get install gdal-bin)")
@pytest.mark.parametrize("kind", WRITERS)
def test_gdal_reads_every_map(facts: MissionFacts, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"map.{kind}"
    path.write_bytes(written(kind, facts))
    said = subprocess.run(
        [str(OGRINFO), "-ro", "-al", str(path)], capture_output=True, text=True, check=True
    )
    assert "ERROR" not in said.stderr and "Warning" not in said.stderr, said.stderr
    assert "lost" in said.stdout and "8.04" in said.stdout
    counts = [int(row.split()[-1]) for row in said.stdout.splitlines() if "Feature Count" in row]
    areas = len(by_kind(facts)["coverage"])
    # Of GPX: waypoints, routes, tracks, and the points of both; KML and GeoJSON: every feature.
    assert sum(counts) == (1 + 1 + 5 if kind == "gpx" else 9 + areas)


def test_a_camera_that_never_left_the_ground_has_no_areas(facts: MissionFacts) -> None:
    areas = Areas(facts, fov_deg=DEFAULT_FOV_DEG, ground_m=None)
    assert "--ground" in areas.problem
    assert set(by_kind(facts, None)) == {"track", "gap"}


def test_the_command_writes_a_map_or_says_in_a_line_why_not(
    mission: Path, placeless: Path, tmp_path: Path, program: Program
) -> None:
    out = tmp_path / "flight.geojson"
    code, said, _ = program(
        "export", mission, "--format", "geojson", "--out", out, "--ground", "540",
        "--quality", "preview", "--received-only",
    )  # fmt: skip
    assert code == 0 and "features of 6 units" in said and "1 of 6 units told no place" in said
    assert all(
        f["properties"].get("enhanced_share", 0) <= 1
        for f in json.loads(out.read_text())["features"]
    )
    before = out.read_bytes()
    for words, why in (
        ((placeless, "--format", "kml", "--out", out), "no telemetry"),
        ((mission, "--format", "gpx", "--out", tmp_path / "no" / "x.gpx"), "No such file"),
        ((mission, "--format", "gpx", "--out", tmp_path), "it is a folder"),
        ((mission, "--format", "gpx", "--out", mission), "is the input"),
        ((tmp_path / "none.db", "--format", "csv", "--out", out), "does not exist"),
    ):
        code, said, told = program("export", *words)
        assert (code, said) == (2, "") and why in told and len(told.splitlines()) == 1, told
    assert out.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["flight.geojson"]
