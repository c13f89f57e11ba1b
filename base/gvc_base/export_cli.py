"""`gvc-base export`: a recorded mission as what other programs read."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gvc_base.choices import (
    BackendOption,
    BootOption,
    FovOption,
    GroundOption,
    QualityOption,
    SessionOption,
    SigningStateOption,
    SignOption,
    StreamOption,
    backend_of,
    checked_fov,
    quality_of,
)
from gvc_base.station import DEFAULT_FOV_DEG
from gvc_profiles.keys import link_key
from gvc_profiles.keys_cli import KeyOption
from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.decode_pass import DecodeSettings
    from gvc_base.recording import Recording

__all__ = ["ExportFormat", "export"]

OnFrame = Callable[[int, int], None]


class ExportFormat(StrEnum):
    """What can be made of a mission; docs/interop.md says which program reads which."""

    MP4 = "mp4"
    STILLS = "stills"
    GEOJSON = "geojson"
    KML = "kml"
    GPX = "gpx"
    COT = "cot"
    MCAP = "mcap"
    CSV = "csv"
    REPORT = "report"


def export(
    recording: Annotated[Path, typer.Argument(help="Mission archive (.db) or capture (.pcap).")],
    kind: Annotated[ExportFormat, typer.Option("--format", "-f", help="What to make.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write; of stills a folder.")],
    received: Annotated[
        bool,
        typer.Option("--received-only", help="From received evidence alone, nothing made of it."),
    ] = False,
    quality: QualityOption = "standard",
    backend: BackendOption = "auto",
    fov: FovOption = DEFAULT_FOV_DEG,
    ground: GroundOption = None,
    stream: StreamOption = None,
    boot: BootOption = None,
    session: SessionOption = None,
    sign: SignOption = True,
    state: SigningStateOption = None,
    key: KeyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a mission for maps, tables, players and other programs; what is regenerated is named so.

    report is one HTML file for people without these programs. geojson, kml, gpx and cot need telemetry:
    where the camera was; areas on them assume flat ground. cot is a data package for ATAK where the name
    ends in .zip, else an event a line. mp4 and stills are signed; `gvc-base verify` says what is real in
    them.

    Examples: gvc-base export flood.db --format geojson --out flood.geojson;
    gvc-base export flood.db --format csv --out link.csv
    """
    from gvc_base.decode_pass import DecodeSettings
    from gvc_base.progress import progress
    from gvc_base.recording import open_recording

    if out.exists() and recording.exists() and out.samefile(recording):
        raise UserError(f"{out} is the input; write the output to another file")
    settings = DecodeSettings(
        quality=quality_of(quality), backend=backend_of(backend), stream_id=stream, boot_id=boot,
        key=link_key(key),
    )  # fmt: skip
    checked_fov(fov)
    if kind is ExportFormat.CSV:
        _tell(kind, out, *_csv(recording, out, session, stream), as_json)
        return
    opened = open_recording(recording, None, session)
    with progress("decoding", quiet=as_json) as step:

        def on_frame(done: int, total: int) -> None:
            step("decoding", done / total if total else 0.0)

        if kind is ExportFormat.MP4:
            told = _mp4(opened, settings, out, received, sign, state, on_frame)
        elif kind is ExportFormat.STILLS:
            told = _stills(opened, settings, out, sign, state, on_frame)
        elif kind in (ExportFormat.MCAP, ExportFormat.REPORT):
            told = _whole(kind, opened, settings, out, fov, ground, received, on_frame)
        else:
            told = _map(kind, opened, settings, out, fov, ground, received, on_frame)
    _tell(kind, out, *told, as_json)


def _csv(
    recording: Path, out: Path, session: int | None, stream: int | None
) -> tuple[str, list[str]]:
    from gvc_base.export.files import whole_file
    from gvc_base.export.link_csv import write_csv

    with whole_file(out) as file:
        rows = write_csv(recording, file, session=session, stream=stream)
    return f"{rows} rows", []


def _mp4(
    opened: Recording, settings: DecodeSettings, out: Path, received: bool, sign: bool,
    state: Path | None, on_frame: OnFrame,
) -> tuple[str, list[str]]:  # fmt: skip
    from gvc_base.decode import Outputs, decode_recording, marks_path_for
    from gvc_profiles.sight.detector import load_detector

    outputs = Outputs(
        plain=None, marked=out, marks=marks_path_for(out), received_only=received, sign=sign,
        state=state,
    )  # fmt: skip
    report = decode_recording(
        opened, outputs, quality=settings.quality, backend=settings.backend,
        stream_id=settings.stream_id, boot_id=settings.boot_id, key=settings.key,
        detector=load_detector("movers"), on_frame=on_frame,
    )  # fmt: skip
    return f"{report.as_text()}\nmarks: {outputs.marks}", report.notes


def _stills(
    opened: Recording, settings: DecodeSettings, out: Path, sign: bool, state: Path | None,
    on_frame: OnFrame,
) -> tuple[str, list[str]]:  # fmt: skip
    from gvc_base.export.stills import write_stills

    made = write_stills(opened, settings, out, sign=sign, state=state, on_frame=on_frame)
    return f"{made.number} stills with masks, {made.placed} of them with a position", made.notes


def _whole(
    kind: ExportFormat, opened: Recording, settings: DecodeSettings, out: Path, fov: float,
    ground: float | None, received: bool, on_frame: OnFrame,
) -> tuple[str, list[str]]:  # fmt: skip
    if kind is ExportFormat.MCAP:
        from gvc_base.export.mcap_file import write_mcap as write

        what = "messages"
    else:
        from gvc_base.export.report import write_report as write

        what = "pictures, one HTML file"
    number, notes = write(
        opened, settings, out, fov_deg=fov, ground_m=ground, evidence_alone=received,
        on_frame=on_frame,
    )  # fmt: skip
    return f"{number} {what}", notes


def _map(
    kind: ExportFormat, opened: Recording, settings: DecodeSettings, out: Path, fov: float,
    ground: float | None, received: bool, on_frame: OnFrame,
) -> tuple[str, list[str]]:  # fmt: skip
    from gvc_base.export.maps import write_map

    made = write_map(
        kind.value, opened, settings, out, fov_deg=fov, ground_m=ground, evidence_alone=received,
        on_frame=on_frame,
    )  # fmt: skip
    return f"{made.number} features of {made.units} units", made.notes


def _tell(kind: ExportFormat, out: Path, what: str, notes: list[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"format": kind.value, "out": str(out), "wrote": what, "notes": notes}))
        return
    print(f"{out}: {kind.value}, {what}")
    for note in notes:
        print(f"note: {note}")
