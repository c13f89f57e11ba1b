"""Pictures made from an archive that lie beside it, and whether they still show what it holds.

`gvc-base redecode` leaves a note (JSON) with each: from which rows, by which quality and weights. Of
other files beside an archive only the name is known, and the time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from gvc_base.archive_read import ArchiveReads
from gvc_base.archive_schema import connect_reader
from gvc_base.missions.facts import ArchiveFacts, is_archive
from gvc_protocol.errors import UserError

__all__ = ["MadeFrom", "Media", "file_facts", "media_of", "note_path", "read_note", "write_note"]

_FORMAT = "gvc-field derived media 1"
_CHUNK = 1 << 20
State = Literal["current", "stale", "untold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFrom:
    """What a set of files was made from, and how; stands beside them as JSON."""

    archive_id: str
    sessions: tuple[int, ...]
    last_id: int
    "The last datagram of these sessions."
    chain: str
    "Hash of that row in the archive's chain, hexadecimal: of it and all before it."
    quality: str
    decoder: str
    "Codec, quality, weights and backend."
    model: str
    "Name and short hash of the weights; empty where no network ran."
    weights_sha256: str
    key: str
    "Fingerprint of the key that was used; empty without one."
    made_us: int
    software: str
    files: dict[str, tuple[int, str]]
    "Name: bytes and SHA-256."


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """Files that belong together."""

    paths: tuple[Path, ...]
    what: str
    state: State
    why: str = ""

    @property
    def size_bytes(self) -> int:
        """Of all files in it."""
        files = (f for p in self.paths for f in (p.rglob("*") if p.is_dir() else (p,)))
        return sum(f.stat().st_size for f in files if f.is_file())


def note_path(video: Path) -> Path:
    """Where the note of a video lies."""
    return video.with_suffix(".json")


def write_note(path: Path, made: MadeFrom) -> None:
    """Whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps({"format": _FORMAT, **asdict(made)}, indent=1) + "\n")
        part.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def read_note(path: Path) -> MadeFrom | None:
    """The note in a file; None where it is none."""
    try:
        if path.stat().st_size > _CHUNK:
            return None
        told = json.loads(path.read_text())
        if not isinstance(told, dict) or told.pop("format", None) != _FORMAT:
            return None
        files = {str(n): (int(size), str(sha)) for n, (size, sha) in told.pop("files").items()}
        sessions = tuple(int(number) for number in told.pop("sessions"))
        return MadeFrom(files=files, sessions=sessions, **told)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def file_facts(path: Path) -> tuple[int, str]:
    """(bytes, SHA-256) of a file.

    Raises:
        OSError: it cannot be read.
    """
    made, size = sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            made.update(chunk)
            size += len(chunk)
    return size, made.hexdigest()


def media_of(facts: ArchiveFacts) -> list[Media]:
    """What lies beside an archive and was made from it, by name."""
    beside = _beside(facts.path)
    found: list[Media] = []
    taken: set[Path] = set()
    for path in [p for p in beside if p.suffix == ".json" and p.is_file()]:
        made = read_note(path)
        if made is None:
            continue
        files = tuple(p for name in made.files if (p := path.with_name(name)).exists())
        state, why = _state(facts, made, path.parent)
        what = f"quality {made.quality}, {made.model or 'no network'}"
        found.append(Media(paths=(*files, path), what=what, state=state, why=why))
        taken |= {*files, path}
    found += [media for media in _untold(facts, beside) if not taken & set(media.paths)]
    return sorted(found, key=lambda media: media.paths[0].name)


def _beside(archive: Path) -> list[Path]:
    """Files named after the archive, and not after another one whose name is longer."""
    stem = f"{archive.stem}."
    near = [p for p in archive.parent.iterdir() if p.name.startswith(stem) and p != archive]
    own = {f"{archive.name}{end}" for end in ("", "-wal", "-shm", "-journal", ".lock")}
    others = [f"{p.stem}." for p in near if p.is_file() and is_archive(p)]
    return sorted(
        p for p in near
        if p.name not in own and not any(p.name.startswith(o) for o in others)
    )  # fmt: skip


def _untold(facts: ArchiveFacts, beside: list[Path]) -> Iterator[Media]:
    """Files of this base that have no note."""
    names = {p.name: p for p in beside}
    last_ns = max((m.last_ns for m in facts.missions), default=0)
    for path in beside:
        group: tuple[Path, ...] = ()
        if path.name.endswith(".marks.npz"):
            video = names.get(f"{path.name.removesuffix('.marks.npz')}.mp4")
            group, what = tuple(p for p in (video, path) if p is not None), "decode"
        elif path.name == f"{facts.path.stem}.png":
            group, what = (path,), "the newest picture of a live mission"
        elif path.is_dir() and path.name == f"{facts.path.stem}.regions":
            group, what = (path,), "pixels that were asked for"
        if not group:
            continue
        stale = what == "decode" and min(p.stat().st_mtime_ns for p in group) < last_ns
        why = "older than the last datagram" if stale else "nothing tells what it was made from"
        yield Media(paths=group, what=what, state="stale" if stale else "untold", why=why)


def _state(facts: ArchiveFacts, made: MadeFrom, folder: Path) -> tuple[State, str]:
    for name, known in made.files.items():
        try:
            if (folder / name).stat().st_size != known[0] or file_facts(folder / name) != known:
                return "stale", f"{name} was changed since"
        except OSError:
            return "stale", f"{name} is missing"
    if made.archive_id != facts.archive_id:
        return "stale", "made from another archive"
    db = connect_reader(facts.path)
    with closing(db.conn):
        reads = ArchiveReads(db, facts.path)
        marks = ", ".join("?" * len(made.sessions))
        newer = reads.fetch(
            f"SELECT count(*) FROM datagrams WHERE id > ? AND session_id IN ({marks})",
            (made.last_id, *made.sessions),
        )[0][0]
        if newer:
            return "stale", f"{newer} datagrams came after it"
        if facts.version >= 3:
            row = reads.fetch("SELECT chain FROM datagrams WHERE id = ?", (made.last_id,))
            if not row or bytes(row[0][0]).hex() != made.chain:
                return "stale", "the record is not the one that it was made from"
    return "current", ""
