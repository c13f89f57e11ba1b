"""The report of a mission: one HTML file with everything in it, for people without our programs.

    one pass -> MissionFacts + key pictures    archive -> link, requests, verification, models
    -> report_page

Nothing in it is fetched and nothing runs: its pictures are inside, its content policy forbids the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gvc_base.archive import Archive
from gvc_base.archive_verify import verify_archive
from gvc_base.console.view import AskRow, EventRow
from gvc_base.decode_pass import DecodePass, DecodeSettings
from gvc_base.export.areas import Areas
from gvc_base.export.events import mission_events
from gvc_base.export.facts import MissionFacts, collect
from gvc_base.export.files import whole_file
from gvc_base.export.link_csv import COLUMNS, link_rows
from gvc_base.export.report_pictures import KeyPicture, KeyPictures
from gvc_base.recording import Recording
from gvc_base.report import DecodeReport

__all__ = ["MissionReport", "write_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionReport:
    """All that the page shows."""

    facts: MissionFacts
    areas: Areas
    totals: DecodeReport
    pictures: list[KeyPicture]
    link: list[dict[str, Any]]
    "Seconds of the link by the names of the CSV's columns."
    events: tuple[EventRow, ...]
    asks: tuple[AskRow, ...]
    verified: list[str]
    "Lines on whether the archive is whole and who signed it."
    proven: bool
    "It is whole, and somebody signed it."
    models: list[tuple[str, str]]
    "(what decoded, SHA-256 of its weights or empty) as the base noted it live."
    received_only: bool
    "The pictures are received evidence alone."


def write_report(
    recording: Recording, settings: DecodeSettings, out: Path, *, fov_deg: float,
    ground_m: float | None, evidence_alone: bool = False,
    on_frame: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[int, list[str]]:  # fmt: skip
    """Write it; returns the number of pictures and notes.

    Args:
        fov_deg, ground_m: as in `Areas`. evidence_alone, on_frame: as in `collect`.

    Raises:
        UserError: nothing can be decoded, or the file cannot be written.
    """
    from gvc_base.export.report_page import page

    with whole_file(out) as file:
        run = DecodePass(recording, settings)
        pictures = KeyPictures(run.mission.label)
        facts = collect(
            run, recording.path.name, on_frame, also=[pictures.take], evidence_alone=evidence_alone
        )
        events, asks = mission_events(recording, settings.key)
        verified, proven = _verified(recording)
        run.report.seconds = round(run.report.seconds, 6)
        report = MissionReport(
            facts=facts, areas=Areas(facts, fov_deg=fov_deg, ground_m=ground_m),
            totals=run.report, pictures=pictures.pictures(),
            link=_link(recording, settings.stream_id), events=events, asks=asks,
            verified=verified, proven=proven, models=_models(recording),
            received_only=evidence_alone,
        )  # fmt: skip
        file.write(page(report).encode())
    return len(report.pictures), facts.notes


def _link(recording: Recording, stream: int | None) -> list[dict[str, Any]]:
    if not recording.session_ids:
        return []
    with closing(Archive.open_readonly(recording.path)) as archive:
        return [
            dict(zip(COLUMNS, row, strict=True))
            for session in recording.session_ids
            for row in link_rows(archive, session, stream)
        ]


def _models(recording: Recording) -> list[tuple[str, str]]:
    if not recording.session_ids:
        return []
    with closing(Archive.open_readonly(recording.path)) as archive:
        found = [model for s in recording.session_ids for model in archive.models(s)]
    return list(dict.fromkeys(found))


def _verified(recording: Recording) -> tuple[list[str], bool]:
    if not recording.session_ids:
        return [
            "a capture: nothing in it is signed, and nobody can tell whether it was changed"
        ], False
    found = verify_archive(recording.path)
    lines = list(found.problems)
    if found.whole:
        lines.append(f"whole: {found.rows} datagrams, none changed, missing or added")
    lines += [f"{found.state}, by key {name}" for name in found.fingerprints]
    return lines + found.notes, found.whole and bool(found.fingerprints)
