"""Stills of received pixels with their place, for photogrammetry and reports: one pass, signed last.

ShownFrame -> the best of each unit -> JPEG with EXIF and XMP + mask -> content credentials
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from gvc_base.decode_pass import DecodePass, DecodeSettings
from gvc_base.export.facts import UnitFacts, place_at, unit_of
from gvc_base.export.files import whole_file
from gvc_base.export.geotag import GEO_TXT_HEAD, Geotag, geo_txt_line, tagged_jpeg
from gvc_base.exports import sign_files
from gvc_base.provenance import MarkLedger
from gvc_base.received import Still, Stills
from gvc_base.recording import Recording
from gvc_base.station.objects import ObjectRows
from gvc_protocol.errors import UserError

__all__ = ["StillsMade", "write_stills"]


@dataclass(slots=True, kw_only=True)
class StillsMade:
    """What lies in the folder."""

    number: int = 0
    placed: int = 0
    "Of them with a position."
    notes: list[str] = field(default_factory=list)


def write_stills(
    recording: Recording, settings: DecodeSettings, folder: Path, *, sign: bool = True,
    state: Path | None = None, on_frame: Callable[[int, int], None] = lambda _done, _total: None,
) -> StillsMade:  # fmt: skip
    """A still a unit, of received pixels alone, with a mask beside it.

    Args:
        sign: put content credentials into each, in the name of the identity in `state`.

    Raises:
        UserError: nothing can be decoded, or a file cannot be written.
    """
    run = DecodePass(recording, settings)
    units: list[UnitFacts] = []
    made, lines = StillsMade(), [GEO_TXT_HEAD]
    written: list[tuple[Path, MarkLedger, bool, bool]] = []

    def encode(still: Still) -> bytes:
        return tagged_jpeg(still.pixels, _tag(still, units))

    def note(path: Path, still: Still) -> None:
        lines.append(geo_txt_line(path.name, _tag(still, units)))
        ledger = MarkLedger(units[-1].fps)
        ledger.take(still.as_frame())
        written.append((path, ledger, False, False))

    stills = Stills(folder, note, encode, ".jpg")
    objects, done, job = ObjectRows(), 0, None
    for done, shown in enumerate(run.frames(), 1):
        if shown.job is not job:
            job = shown.job
            units = [*units[-1:], unit_of(job, shown.received_ns, objects)]
        stills.take(shown.frame)
        on_frame(done, run.mission.total_frames)
    if not done:
        raise UserError(run.nothing())
    stills.finish()
    made.number, made.placed = stills.count, sum(map(bool, lines[1:]))
    if made.placed:
        with whole_file(folder / "geo.txt") as file:
            file.write("".join(lines).encode())
    run.mission.fill_report(run.report)
    made.notes += [*run.notes(), *run.report.notes]
    if sign:
        made.notes += sign_files(written, run.mission.label, state)
    return made


def _tag(still: Still, units: list[UnitFacts]) -> Geotag:
    """A still is written when the next unit has come, so that its place between both is known."""
    at = next(i for i, unit in enumerate(units) if unit.unit_no == still.unit_no)
    unit, following = units[at], units[at + 1] if at + 1 < len(units) else None
    offset = still.frame_no - unit.first_frame
    size = "full size" if still.scale <= 1 else f"1/{still.scale:g} of the camera's size"
    time_ns = 0
    if unit.capture_us:
        time_ns = unit.capture_us * 1000 + round(offset / unit.fps * 10**9)
    return Geotag(
        telemetry=None if unit.telemetry is None else place_at(unit, following, offset),
        time_ns=time_ns, software=f"gvc-field {metadata.version('gvc-field')}",
        text=f"Received pixels only, {size}; black where its mask is black: nothing was received",
    )  # fmt: skip
