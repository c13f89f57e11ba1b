"""What a mission archive holds, in numbers: read from its own rows, nothing is decoded.

archive -> sessions -> missions (sessions of one time) -> cameras, losses, links, events, models
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from gvc_base.archive_merged import OriginFacts, origins_of
from gvc_base.archive_read import ArchiveReads, SessionRow
from gvc_base.archive_schema import APPLICATION_ID, connect_reader, real_path
from gvc_protocol.errors import UserError
from gvc_protocol.params import SECOND

__all__ = [
    "ArchiveFacts", "Camera", "LinkTotals", "Loss", "Mission", "SessionFacts", "archives_in",
    "is_archive", "is_written", "read_facts",
]  # fmt: skip

PAUSE_NS = 6 * 3600 * SECOND
"A longer pause between two sessions makes two missions, as in a replay."
_MAGIC = b"SQLite format 3\0"
_HEAD_BYTES, _APPLICATION_ID_AT = 100, 68
_COUNTS = (
    "SELECT session_id, count(*), total(length(data)), min(received_ns), max(received_ns)"
    " FROM datagrams GROUP BY session_id"
)
_COPIED = (
    "SELECT s.session_id, f.name || ', session ' || s.original_id FROM merged_sessions AS s"
    " JOIN merged_from AS f ON f.part = s.part"
)
_FED = (
    "SELECT m.feed, count(*), sum(length(coalesce(m.fed, d.data))), min(m.fed_ns), max(m.fed_ns)"
    " FROM merged_rows AS m JOIN datagrams AS d ON d.id = m.id WHERE m.feed IS NOT NULL GROUP BY m.feed"
)
_ENDED = "SELECT session_id, max(time_ns) FROM events WHERE kind = 'session_ended' GROUP BY 1"
_UNITS = (
    "SELECT stream_id, boot_id, unit_no, whole, closed_ns FROM units WHERE session_id = ?"
    " ORDER BY rowid"
)
_EVENTS = "SELECT kind, count(*) FROM events WHERE session_id = ? GROUP BY kind ORDER BY kind"
_SAMPLES = (
    "SELECT count(*), avg(bit_s), avg(loss), max(loss), max(burst), min(rssi_dbm)"
    " FROM link_samples WHERE session_id = ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A stretch without a whole unit."""

    stream_id: int
    boot_id: int
    first_unit: int
    units: int
    missing: int
    "Of them, those of which nothing came."
    from_ns: int
    "When the last unit before it was closed."
    to_ns: int
    "When the next whole unit was closed, or the last of all."


@dataclass(slots=True, kw_only=True)
class Camera:
    """One stream in one session."""

    session_id: int
    stream_id: int
    boots: list[int] = field(default_factory=list)
    whole: int = 0
    degraded: int = 0
    missing: int = 0
    "Units between others of which nothing came."
    losses: list[Loss] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTotals:
    """The samples that the base kept, one a second."""

    samples: int
    bit_s: float
    loss: float
    "Mean share of datagrams lost before repair."
    worst_loss: float
    longest_burst: float
    weakest_dbm: int | None


@dataclass(slots=True, kw_only=True)
class SessionFacts:
    """One run of the base on one link."""

    row: SessionRow
    datagrams: int = 0
    bytes: int = 0
    first_ns: int = 0
    last_ns: int = 0
    ended_ns: int | None = None
    "None: the base was killed, or still runs."
    cameras: list[Camera] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)
    link: LinkTotals | None = None
    models: list[tuple[str, str]] = field(default_factory=list)
    "(label, SHA-256 of the weights or empty) of what decoded live."
    copied_from: str = ""
    "In a merged archive: the original that it was copied from; what is fed on all of them has none."


@dataclass(slots=True, kw_only=True)
class Mission:
    """Sessions of one time."""

    sessions: list[SessionFacts]

    @property
    def first_ns(self) -> int:
        """Arrival of its first datagram, Unix time, ns."""
        return min(one.first_ns for one in self._shown())

    @property
    def last_ns(self) -> int:
        """Arrival of its last datagram."""
        return max(one.last_ns for one in self._shown())

    @property
    def cameras(self) -> set[tuple[str, int]]:
        """(link, stream) of each camera that was heard; of a merged one, each once."""
        return {(one.row.link_url, c.stream_id) for one in self._shown() for c in one.cameras}

    def units(self) -> tuple[int, int, int]:
        """(whole, degraded, missing)."""
        cameras = [c for one in self._shown() for c in one.cameras]
        return (
            sum(c.whole for c in cameras), sum(c.degraded for c in cameras),
            sum(c.missing for c in cameras),
        )  # fmt: skip

    def _shown(self) -> list[SessionFacts]:
        return [one for one in self.sessions if not one.copied_from]

    @property
    def keys(self) -> list[str]:
        """Fingerprints of the keys that it was received with."""
        return sorted({s.row.key_fingerprint for s in self.sessions if s.row.key_fingerprint})


@dataclass(slots=True, kw_only=True)
class ArchiveFacts:
    """One file."""

    path: Path
    version: int
    archive_id: str
    software: str
    size_bytes: int
    "With the log beside it."
    written: bool
    "A base writes it now."
    missions: list[Mission]
    "Oldest first; empty where nothing was ever received."
    last_id: int = 0
    "How many datagrams it holds."
    origins: list[OriginFacts] = field(default_factory=list)
    "What it was merged from."


def is_archive(path: Path) -> bool:
    """Whether a file says that it is a mission archive."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    at = _APPLICATION_ID_AT
    return head.startswith(_MAGIC) and head[at : at + 4] == APPLICATION_ID.to_bytes(4, "big")


def archives_in(folder: Path) -> list[Path]:
    """Archives in a folder and the folders right in it, by name; or the one that is named.

    Raises:
        UserError: there is no such folder.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}; name the folder that holds the archives")
    found: list[Path] = []
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        if path.is_file() and is_archive(path):
            found.append(path)
    return found


def is_written(path: Path) -> bool:
    """Whether a process has the writer's lock of an archive."""
    try:
        fd = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def read_facts(path: Path) -> ArchiveFacts:
    """Look at an archive, also beside the base that writes it.

    Raises:
        UserError: no archive, or one that cannot be read.
    """
    path = real_path(path)
    db = connect_reader(path)
    with closing(db.conn):
        reads = ArchiveReads(db, path)
        meta = dict(reads.fetch("SELECT key, value FROM meta"))
        sessions = [_session(reads, row) for row in reads.sessions()]
        counts = {row[0]: row[1:] for row in reads.fetch(_COUNTS)}
        ended = dict(reads.fetch(_ENDED))
        for one in sessions:
            found = counts.get(one.row.id, (0, 0, 0, 0))
            one.datagrams, one.bytes = int(found[0]), int(found[1])
            one.first_ns, one.last_ns = int(found[2]), int(found[3])
            one.ended_ns = ended.get(one.row.id)
        origins = origins_of(db.conn)
        if origins:
            _tell_merged(reads, sessions)
        return ArchiveFacts(
            path=path, version=reads.version, archive_id=str(meta.get("archive_id", "")),
            software=str(meta.get("software", "")), size_bytes=_size(path),
            written=is_written(path), missions=_missions(sessions), last_id=reads.last_id,
            origins=origins,
        )  # fmt: skip


def _tell_merged(reads: ArchiveReads, sessions: list[SessionFacts]) -> None:
    """Which sessions are copies, and what the others feed on."""
    names = dict(reads.fetch(_COPIED))
    fed = {row[0]: row[1:] for row in reads.fetch(_FED)}
    for one in sessions:
        one.copied_from = names.get(one.row.id, "")
        if one.row.id in fed:
            one.datagrams, one.bytes, one.first_ns, one.last_ns = fed[one.row.id]


def _size(path: Path) -> int:
    both = (path, Path(f"{path}-wal"))
    return sum(one.stat().st_size for one in both if one.exists())


def _missions(sessions: Sequence[SessionFacts]) -> list[Mission]:
    if any(one.copied_from for one in sessions):
        # The originals' clocks may be hours apart; it is one flight all the same.
        return [Mission(sessions=[one for one in sessions if one.datagrams])]
    made: list[Mission] = []
    for one in sorted((s for s in sessions if s.datagrams), key=lambda s: s.first_ns):
        if made and one.first_ns <= made[-1].last_ns + PAUSE_NS:
            made[-1].sessions.append(one)
        else:
            made.append(Mission(sessions=[one]))
    for mission in made:
        mission.sessions.sort(key=lambda s: s.row.id)
    return made


def _session(reads: ArchiveReads, row: SessionRow) -> SessionFacts:
    made = SessionFacts(row=row, cameras=list(_cameras(reads, row.id)))
    made.events = dict(reads.fetch(_EVENTS, (row.id,)))
    if reads.version >= 3:
        count, *values = reads.fetch(_SAMPLES, (row.id,))[0]
        if count:
            bit_s, loss, worst, burst, rssi = values
            made.link = LinkTotals(
                samples=count, bit_s=bit_s, loss=loss, worst_loss=worst, longest_burst=burst,
                weakest_dbm=rssi,
            )  # fmt: skip
    made.models = reads.models(row.id)
    return made


def _cameras(reads: ArchiveReads, session_id: int) -> Iterator[Camera]:
    rows: dict[int, dict[int, list[tuple[int, bool, int]]]] = {}
    for stream, boot, number, whole, closed in reads.fetch(_UNITS, (session_id,)):
        rows.setdefault(stream, {}).setdefault(boot, []).append((number, bool(whole), closed))
    for stream, boots in sorted(rows.items()):
        camera = Camera(session_id=session_id, stream_id=stream, boots=list(boots))
        for boot, units in boots.items():
            _count(camera, boot, units)
        yield camera


def _count(camera: Camera, boot: int, units: list[tuple[int, bool, int]]) -> None:
    """Units of one boot. They are closed out of order where one waits for more of it."""
    units = sorted(units)
    newest = units[0][0] - 1
    before_ns, bad_from, missing = units[0][2], units[0][0], 0
    for number, whole, closed in units:
        camera.whole += whole
        camera.degraded += not whole
        gap = max(0, number - newest - 1)
        camera.missing += gap
        missing += gap
        newest = max(newest, number)
        if whole:
            _lost(camera, boot, (bad_from, number, missing), (before_ns, closed))
            bad_from, before_ns, missing = number + 1, closed, 0
    _lost(camera, boot, (bad_from, newest + 1, missing), (before_ns, units[-1][2]))


def _lost(camera: Camera, boot: int, units: tuple[int, int, int], times: tuple[int, int]) -> None:
    first, end, missing = units
    if end <= first:
        return
    loss = Loss(
        stream_id=camera.stream_id, boot_id=boot, first_unit=first, units=end - first,
        missing=missing, from_ns=times[0], to_ns=max(times),
    )  # fmt: skip
    camera.losses.append(loss)
