"""Missions in words: one line each for a list, all that is known for one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gvc_base.archive_merged import OriginFacts
from gvc_base.archive_verify import Verification
from gvc_base.missions.facts import ArchiveFacts, Camera, Mission, SessionFacts
from gvc_base.missions.media import Media
from gvc_base.missions.merge_writer import MergeReport, PartReport
from gvc_protocol.auth import auth_label
from gvc_protocol.params import SECOND

__all__ = [
    "HEADINGS", "MissionLine", "clock_text", "columns", "lines_of", "merge_lines", "show_lines",
    "size_text",
]  # fmt: skip

HEADINGS = (
    "start (UTC)", "duration", "drones", "whole", "degraded", "missing", "size", "record", "key",
    "archive",
)  # fmt: skip
_MOST_LOSSES = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionLine:
    """One mission of a list. `record` says whether the record is whole and who signed it."""

    start_us: int
    seconds: float
    drones: int
    whole: int
    degraded: int
    missing: int
    noted: bool
    "False: the base noted no units; a replay derives them."
    size_bytes: int
    record: str
    signed_by: tuple[str, ...]
    keys: tuple[str, ...]
    archive: str

    def cells(self, folder: Path) -> tuple[str, ...]:
        """The values under `HEADINGS`; archives are named as seen from the folder."""
        counts = [str(n) for n in (self.whole, self.degraded, self.missing)]
        return (
            _when(self.start_us * 1000), _lasted(self.seconds), str(self.drones) if self.noted else "?",
            *(counts if self.noted else "???"), size_text(self.size_bytes), self.record,
            ", ".join(self.keys) or "none", _seen_from(folder, Path(self.archive)),
        )  # fmt: skip


def lines_of(
    facts: ArchiveFacts, verified: Verification | None, record: str = ""
) -> list[MissionLine]:
    """A line for each mission of an archive; one that says so where nothing was received.

    Args:
        verified: of the record; None where nobody looked, then `record` says why.
    """
    state = record if verified is None else verified.state
    state += ", being written" if facts.written else ""
    signed = () if verified is None else tuple(verified.fingerprints)
    missions: list[Mission | None] = [*facts.missions] or [None]
    out = []
    for mission in missions:
        whole, degraded, missing = (0, 0, 0) if mission is None else mission.units()
        first, last = (0, 0) if mission is None else (mission.first_ns, mission.last_ns)
        out.append(
            MissionLine(
                start_us=first // 1000, seconds=(last - first) / SECOND,
                drones=0 if mission is None else len(mission.cameras),
                whole=whole, degraded=degraded, missing=missing,
                noted=mission is None or bool(mission.cameras),
                size_bytes=facts.size_bytes, record=state, signed_by=signed,
                keys=() if mission is None else tuple(mission.keys), archive=str(facts.path),
            )
        )  # fmt: skip
    return out


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows under each other, each column as wide as its widest value."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def show_lines(
    facts: ArchiveFacts, verified: Verification | None, record: str, media: Sequence[Media]
) -> Iterator[str]:
    """All that is known of an archive, for people."""
    yield f"{facts.path}: {size_text(facts.size_bytes)}, version {facts.version}, {facts.software}"
    state = record if verified is None else verified.state
    signed = "" if verified is None else "".join(f", by key {n}" for n in verified.fingerprints)
    yield f"record: {state}{signed}{'; a base writes it now' if facts.written else ''}"
    if verified is not None:
        yield from (f"  {line}" for line in (*verified.problems, *verified.notes))
    for origin in facts.origins:
        yield f"merged from {origin.name} ({origin.datagrams} datagrams): {clock_text(origin)}"
    if not facts.missions:
        yield "no datagram was ever received"
    for number, mission in enumerate(facts.missions, start=1):
        yield from _mission(number, mission)
    yield f"made from it: {'nothing beside the archive' if not media else ''}".rstrip()
    for one in media:
        why = f": {one.why}" if one.why else ""
        names = ", ".join(p.name for p in one.paths)
        yield f"  {names}: {size_text(one.size_bytes)}, {one.what}, {one.state}{why}"


def _mission(number: int, mission: Mission) -> Iterator[str]:
    first, last = mission.first_ns, mission.last_ns
    yield f"mission {number}: {_when(first)} to {_when(last)} UTC, {_lasted((last - first) / SECOND)}"
    for one in mission.sessions:
        yield from _session(one)


def _session(one: SessionFacts) -> Iterator[str]:
    row = one.row
    ended = "ended in order" if one.ended_ns is not None else "without an end: killed, or still on"
    who = auth_label(row.key_fingerprint)
    copied = f", copied from {one.copied_from}" if one.copied_from else ""
    yield f"  session {row.id}: {row.link_url}, profile {row.profile_id}, {who}{copied}"
    yield (
        f"    {one.datagrams} datagrams, {size_text(one.bytes)}, from {_when(one.first_ns)}, "
        f"{_lasted((one.last_ns - one.first_ns) / SECOND)}, {ended}"
    )
    if not one.cameras:
        yield "    units: the base noted none; `gvc-base replay` derives them from the record"
    for camera in one.cameras:
        yield from _camera(camera)
    if (link := one.link) is not None:
        weakest = "" if link.weakest_dbm is None else f", weakest {link.weakest_dbm} dBm"
        yield (
            f"    link: {link.samples} samples, mean {link.bit_s / 1000:.1f} kbit/s, lost before repair "
            f"{100 * link.loss:.1f} %, at worst {100 * link.worst_loss:.0f} %, longest burst "
            f"{link.longest_burst:.0f}{weakest}"
        )
    if one.events:
        yield "    events: " + ", ".join(f"{kind} {n}" for kind, n in sorted(one.events.items()))
    for label, sha in one.models:
        weights = f", weights {sha[:16]}" if sha else ""
        yield f"    decoded live by {label}{weights}"


def _camera(camera: Camera) -> Iterator[str]:
    boots = ", ".join(map(str, camera.boots))
    yield (
        f"    drone {camera.stream_id} (start {boots}): {camera.whole} units whole, "
        f"{camera.degraded} degraded, {camera.missing} missing"
    )
    worst = sorted(camera.losses, key=lambda loss: loss.from_ns - loss.to_ns)[:_MOST_LOSSES]
    if camera.losses:
        yield f"    losses: {len(camera.losses)} stretches, the longest:"
    for loss in worst:
        span = f"{loss.first_unit}" + (
            f" to {loss.first_unit + loss.units - 1}" if loss.units > 1 else ""
        )
        yield (
            f"      {_when(loss.from_ns)}, {(loss.to_ns - loss.from_ns) / SECOND:.1f} s between whole "
            f"units: unit {span} of start {loss.boot_id}, {loss.missing} of {loss.units} missing"
        )


def clock_text(one: OriginFacts | PartReport) -> str:
    """How far its clock was ahead, and how that is known."""
    if not one.clock_ahead_ns:
        return f"its clock: {one.clock_about}"
    way = "ahead of" if one.clock_ahead_ns > 0 else "behind"
    seconds = abs(one.clock_ahead_ns) / SECOND
    return f"its clock was {seconds:.3f} s {way} the first's, {one.clock_about}"


def merge_lines(report: MergeReport, out: Path) -> Iterator[str]:
    """What was merged, and what came of it, for people."""
    for part in report.parts:
        units = f"{part.whole} units whole, {part.degraded} degraded"
        yield f"{part.name}: {part.datagrams} datagrams, {part.state}, {units}; {clock_text(part)}"
    yield (
        f"{out}: {report.datagrams} datagrams, {report.common} of them heard by another base, too; "
        f"{report.whole} units whole, {report.degraded} degraded"
    )


def size_text(size: int) -> str:
    """Bytes for people, in powers of 1000."""
    value, unit = float(size), "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, bigger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def _seen_from(folder: Path, path: Path) -> str:
    base = folder.resolve()
    return str(path.relative_to(base)) if path != base and path.is_relative_to(base) else str(path)


def _when(time_ns: int) -> str:
    if not time_ns:
        return "-"
    when = _EPOCH + timedelta(microseconds=time_ns // 1000)
    return f"{when:%Y-%m-%d %H:%M:%S}"


def _lasted(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
