"""Map files of a recording: one pass, then the file. Without a place to show nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gvc_base.archive import Archive
from gvc_base.decode_pass import DecodePass, DecodeSettings
from gvc_base.export.areas import Areas
from gvc_base.export.cot import write_cot_lines, write_cot_package
from gvc_base.export.facts import MissionFacts, collect
from gvc_base.export.files import whole_file
from gvc_base.export.geojson import write_geojson
from gvc_base.export.gpx import write_gpx
from gvc_base.export.kml import write_kml
from gvc_base.recording import Recording
from gvc_protocol.errors import UserError

__all__ = ["MAP_WRITERS", "Made", "write_map"]

_PLACES = (
    "SELECT count(*), total(json_extract(descriptors, '$.telemetry') IS NOT NULL) FROM units"
    " WHERE session_id = ?"
)

MAP_WRITERS: dict[str, Callable[[MissionFacts, Areas, IO[bytes]], int]] = {
    "geojson": write_geojson, "kml": write_kml, "gpx": write_gpx,
    "cot": write_cot_lines, "cot.zip": write_cot_package,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was written."""

    number: int
    "Of features, points or events."
    units: int
    notes: list[str]


def write_map(
    kind: str, recording: Recording, settings: DecodeSettings, out: Path, *, fov_deg: float,
    ground_m: float | None, evidence_alone: bool = False,
    on_frame: Callable[[int, int], None] = lambda _done, _total: None,
) -> Made:  # fmt: skip
    """Write a recording as `kind`, one of MAP_WRITERS; `cot` to a file that ends in .zip is a package.

    Args:
        fov_deg, ground_m: as in `Areas`. evidence_alone, on_frame: as in `collect`.

    Raises:
        UserError: nothing can be decoded, no unit tells the camera's place, or the file cannot be
            written.
    """
    if _tells_no_place(recording):
        raise UserError(_no_place(recording))
    with whole_file(out) as file:
        run = DecodePass(recording, settings)
        facts = collect(run, recording.path.name, on_frame, evidence_alone=evidence_alone)
        if not facts.placed:
            raise UserError(_no_place(recording))
        areas = Areas(facts, fov_deg=fov_deg, ground_m=ground_m)
        package = kind == "cot" and out.suffix.lower() == ".zip"
        number = MAP_WRITERS["cot.zip" if package else kind](facts, areas, file)
    notes = [*facts.notes, *filter(None, [areas.problem])]
    if ground_m is None and not areas.problem:
        notes.append(
            f"ground taken at {areas.ground_m:.0f} m above the ellipsoid, the lowest camera height "
            "that was heard; --ground METRES sets it"
        )
    without = sum(unit.telemetry is None for unit in facts.units)
    if without:
        notes.append(f"{without} of {len(facts.units)} units told no place and are not on the map")
    return Made(number=number, units=len(facts.units), notes=notes)


def _no_place(recording: Recording) -> str:
    return (
        f"{recording.path} has no telemetry: no unit tells where the camera was, so there is nothing "
        "for a map; the other formats work without"
    )


def _tells_no_place(recording: Recording) -> bool:
    """Whether the archive's own list of units says so, before an hour is decoded for nothing. A capture
    or a base that was killed may have no such list: then it is not known."""
    if not recording.session_ids:
        return False
    with closing(Archive.open_readonly(recording.path)) as archive:
        rows = [archive.fetch(_PLACES, (session,))[0] for session in recording.session_ids]
    return all(units > 0 and not places for units, places in rows)
