"""`gvc-base export`: a recorded mission as what other programs read."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gvc_base.choices import (
    BackendOption,
    FovOption,
    GroundOption,
    QualityOption,
    backend_of,
    checked_fov,
    quality_of,
)
from gvc_base.decode_pass import DecodeSettings
from gvc_base.progress import progress
from gvc_base.recording import open_recording
from gvc_base.station.ground import DEFAULT_FOV_DEG
from gvc_profiles.keys import link_key
from gvc_profiles.keys_cli import KeyOption
from gvc_protocol.errors import UserError

__all__ = ["ExportFormat", "export"]


class ExportFormat(StrEnum):
    """What can be made of a mission; docs/interop.md says which program reads which."""

    GEOJSON = "geojson"
    KML = "kml"
    GPX = "gpx"
    CSV = "csv"


def export(
    recording: Annotated[Path, typer.Argument(help="Mission archive (.db) or capture (.pcap).")],
    kind: Annotated[ExportFormat, typer.Option("--format", "-f", help="What to make.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    received: Annotated[
        bool,
        typer.Option("--received-only", help="From received evidence alone, nothing made of it."),
    ] = False,
    quality: QualityOption = "standard",
    backend: BackendOption = "auto",
    fov: FovOption = DEFAULT_FOV_DEG,
    ground: GroundOption = None,
    stream: Annotated[
        int | None, typer.Option("--stream", help="Camera to follow; default: the first heard.")
    ] = None,
    boot: Annotated[int | None, typer.Option("--boot", help="Only this start of the edge.")] = None,
    session: Annotated[int | None, typer.Option("--session", help="Session of an archive.")] = None,
    key: KeyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a mission for maps, tables, players and other programs; what is regenerated is named so.

    geojson, kml and gpx need telemetry: where the camera was. Areas on them assume flat ground.

    Examples: gvc-base export flood.db --format geojson --out flood.geojson;
    gvc-base export flood.db --format csv --out link.csv
    """
    if out.exists() and recording.exists() and out.samefile(recording):
        raise UserError(f"{out} is the input; write the output to another file")
    settings = DecodeSettings(
        quality=quality_of(quality), backend=backend_of(backend), stream_id=stream, boot_id=boot,
        key=link_key(key),
    )  # fmt: skip
    checked_fov(fov)
    if kind is ExportFormat.CSV:
        from gvc_base.export.files import whole_file
        from gvc_base.export.link_csv import write_csv

        with whole_file(out) as file:
            rows = write_csv(recording, file, session=session, stream=stream)
        _tell(kind, out, f"{rows} rows", [], as_json)
        return
    from gvc_base.export.maps import write_map

    opened = open_recording(recording, None, session)
    with progress("decoding", quiet=as_json) as step:
        made = write_map(
            kind.value, opened, settings, out, fov_deg=fov, ground_m=ground,
            evidence_alone=received,
            on_frame=lambda done, total: step("decoding", done / total if total else 0.0),
        )  # fmt: skip
    _tell(kind, out, f"{made.number} features of {made.units} units", made.notes, as_json)


def _tell(kind: ExportFormat, out: Path, what: str, notes: list[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"format": kind.value, "out": str(out), "wrote": what, "notes": notes}))
        return
    print(f"{out}: {kind.value}, {what}")
    for note in notes:
        print(f"note: {note}")
