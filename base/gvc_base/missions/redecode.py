"""Derived media made again, beside the archive, under a name that says how.

MISSION.best-evidence-250f5934.mp4   marks burned in
MISSION.best-evidence-250f5934.marks.npz
MISSION.best-evidence-250f5934.json  what it was made from: `missions show` tells when it is stale
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gvc_base.archive import Archive
from gvc_base.decode import Outputs, decode_recording, marks_path_for
from gvc_base.decode_pass import DecodeSettings
from gvc_base.mission import Mission
from gvc_base.missions.facts import is_archive, read_facts
from gvc_base.missions.media import (
    MadeFrom,
    Media,
    file_facts,
    media_of,
    note_path,
    read_note,
    write_note,
)
from gvc_base.missions.models import Weights, how_of
from gvc_base.neural.weights import FOLDER
from gvc_base.recording import Recording, open_recording
from gvc_base.report import DecodeReport
from gvc_protocol.errors import UserError
from gvc_protocol.replay import ReplayGuard

__all__ = ["Redecoded", "codec_of", "note_decode", "redecode", "tag_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redecoded:
    """What lies beside the archive now."""

    video: Path
    weights: Weights | None
    report: DecodeReport | None
    "None: it was there already, and still shows what the archive holds."


def redecode(
    archive: Path, settings: DecodeSettings, *, model: str | None = None,
    session: int | None = None, clean: bool = False, again: bool = False, sign: bool = True,
    state: Path | None = None, on_frame: Callable[[int, int], None] = lambda _done, _total: None,
) -> Redecoded:  # fmt: skip
    """Decode a mission to files beside its archive; nothing of another quality or model is touched.

    Args:
        model: weights (`find_model`); None: the package's.
        clean: also a copy without marks burned in, for a comparison.
        again: even if it is there and not stale.

    Raises:
        UserError: no archive, an unknown model, nothing that can be decoded, or a full disk.
    """
    if not is_archive(archive):
        raise UserError(f"{archive} is no mission archive (.db); `decode` takes captures")
    archive = archive.resolve()
    recording = open_recording(archive, None, session)
    weights = how_of(settings.quality, model, codec_of(recording, settings))
    settings = replace(settings, weights=FOLDER if weights is None else weights.folder)
    tag = tag_of(recording, settings, weights, session)
    video = archive.with_name(f"{archive.stem}.{tag}.mp4")
    if not again and _current(archive, video, clean=clean):
        return Redecoded(video=video, weights=weights, report=None)
    fresh = archive.with_name(f".{video.stem}.part")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        report = _decode(recording, settings, fresh / video.name, clean, sign, state, on_frame)
        made = _made_from(archive, recording, settings, weights, report, fresh.iterdir())
        before = read_note(note_path(video))
        for name in set() if before is None else set(before.files) - set(made.files):
            archive.with_name(name).unlink(missing_ok=True)  # of the old decode, and not made again
        for path in sorted(fresh.iterdir()):
            path.replace(archive.with_name(path.name))
        write_note(note_path(video), made)
    except OSError as error:
        raise UserError(f"cannot write beside {archive}: {error.strerror}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    if weights is not None and weights.folder != FOLDER:
        report.notes.append("p_wrong is calibrated for the package's weights, not for these")
    report.out = str(video)
    return Redecoded(video=video, weights=weights, report=report)


def note_decode(
    archive: Path, recording: Recording, settings: DecodeSettings, outputs: Outputs,
    report: DecodeReport, out: Path,
) -> None:  # fmt: skip
    """Leave a note beside the video that `decode` made of an archive, as `redecode` does.

    Another file of that name stays, and the report says so.

    Raises:
        UserError: it cannot be written.
    """
    if not is_archive(archive):
        return
    note = note_path(out)
    if note.exists() and read_note(note) is None:
        report.notes.append(f"{note} is another file: nothing tells what {out.name} was made from")
        return
    files = [p for p in outputs.all() if p is not None and p.parent.samefile(out.parent)]
    try:
        weights = how_of(settings.quality, None, codec_of(recording, settings))
        write_note(note, _made_from(archive, recording, settings, weights, report, files))
    except OSError as error:
        raise UserError(f"cannot write {note}: {error.strerror}") from None


def tag_of(
    recording: Recording, settings: DecodeSettings, weights: Weights | None, session: int | None
) -> str:
    """What tells this decode from any other one of the archive."""
    parts = [settings.quality + ("" if weights is None else f"-{weights.label}")]
    chosen = {"session": session, "stream": settings.stream_id, "boot": settings.boot_id}
    for name, value in chosen.items():
        parts += [] if value is None else [f"{name}-{value}"]
    if recording.key_fingerprint and settings.key is None:
        parts.append("unauthenticated")
    return ".".join(parts)


def codec_of(recording: Recording, settings: DecodeSettings) -> int | None:
    """Codec of the first unit that tells; None where none does."""
    guard = ReplayGuard()
    mission = Mission(
        recording.params, stream_id=settings.stream_id, boot_id=settings.boot_id,
        key=settings.key, replay=guard,
    )  # fmt: skip
    now = 0
    for now, data in recording.packets(guard.merge):
        for job in mission.receive(data, now):
            return job.spec.codec_id
    jobs = mission.close(now, to_total=False)
    return jobs[0].spec.codec_id if jobs else None


def _decode(
    recording: Recording, settings: DecodeSettings, video: Path, clean: bool, sign: bool,
    state: Path | None, on_frame: Callable[[int, int], None],
) -> DecodeReport:  # fmt: skip
    outputs = Outputs(
        plain=video.with_name(f"{video.stem}.clean.mp4") if clean else None, marked=video,
        marks=marks_path_for(video), sign=sign, state=state,
    )  # fmt: skip
    return decode_recording(
        recording, outputs, quality=settings.quality, backend=settings.backend,
        stream_id=settings.stream_id, boot_id=settings.boot_id, key=settings.key,
        detector=settings.detector, weights=settings.weights, on_frame=on_frame,
    )  # fmt: skip


def _current(archive: Path, video: Path, *, clean: bool) -> bool:
    def is_it(media: Media) -> bool:
        names = {path.name for path in media.paths}
        wanted = {video.name, *([f"{video.stem}.clean.mp4"] if clean else [])}
        return media.state == "current" and wanted <= names

    return any(is_it(media) for media in media_of(read_facts(archive)))


def _made_from(
    archive: Path, recording: Recording, settings: DecodeSettings, weights: Weights | None,
    report: DecodeReport, files: Iterable[Path],
) -> MadeFrom:  # fmt: skip
    with closing(Archive.open_readonly(archive)) as opened:
        ends = [e for s in recording.session_ids if (e := opened.ends(s)) is not None]
        last = max(end[1] for end in ends)
        chained = opened.version >= 3
        chain = opened.fetch("SELECT chain FROM datagrams WHERE id = ?", (last,)) if chained else []
        ids = opened.fetch("SELECT value FROM meta WHERE key = 'archive_id'")
    return MadeFrom(
        archive_id=ids[0][0] if ids else "", sessions=recording.session_ids, last_id=last,
        chain=bytes(chain[0][0]).hex() if chain else "", quality=settings.quality,
        decoder=report.decoder, model="" if weights is None else weights.label,
        weights_sha256="" if weights is None else weights.sha256(report.decoder),
        key=report.key, made_us=time.time_ns() // 1000, software=_software(),
        files={path.name: file_facts(path) for path in sorted(files)},
    )  # fmt: skip


def _software() -> str:
    try:
        return f"gvc-field {version('gvc-field')}"
    except PackageNotFoundError:
        return "gvc-field from source"
