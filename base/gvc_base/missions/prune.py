"""What may be thrown away: pictures that can be made again; whole missions only where that is asked for.

Nothing is deleted here without having been told first: `plan_*` says what would go, `carry_out` does it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gvc_base.missions.facts import ArchiveFacts, is_written
from gvc_base.missions.media import media_of
from gvc_protocol.errors import UserError
from gvc_protocol.params import SECOND

__all__ = ["Victim", "age_ns", "carry_out", "plan_media", "plan_missions"]

_UNITS_S = {"h": 3600, "d": 86_400, "w": 604_800}
_AGE = re.compile(r"(\d{1,5})([hdw])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """What would go together."""

    paths: tuple[Path, ...]
    why: str
    size_bytes: int
    record: bool = False
    "It is a mission's record, which nothing brings back."
    archive: Path | None = None


def age_ns(text: str) -> int:
    """Nanoseconds of `12h`, `30d` or `8w`.

    Raises:
        UserError: it is none of them.
    """
    found = _AGE.fullmatch(text.strip().lower())
    if found is None:
        raise UserError(f"--older-than {text!r} is no age; give hours, days or weeks: 12h, 30d, 8w")
    return int(found[1]) * _UNITS_S[found[2]] * SECOND


def plan_media(archives: Sequence[ArchiveFacts], *, stale: bool) -> list[Victim]:
    """Derived media; never a record. `stale`: only what no longer shows what the archive holds."""
    out: list[Victim] = []
    for facts in archives:
        for media in media_of(facts):
            if stale and media.state != "stale":
                continue
            why = f"{media.what}: {media.state}" + (f", {media.why}" if media.why else "")
            out.append(Victim(paths=media.paths, why=why, size_bytes=media.size_bytes))
    return out


def plan_missions(
    archives: Sequence[ArchiveFacts], *, now_ns: int, older_ns: int | None, keep: int | None
) -> list[Victim]:
    """Whole archives: those whose last sign of life is older, and not among the newest `keep`.

    A base without a clock battery may have recorded in 1970, so the file's own time counts, too. What
    a base writes now is never named.
    """
    newest_first = sorted(archives, key=_last_ns, reverse=True)
    out: list[Victim] = []
    for number, facts in enumerate(newest_first):
        old = older_ns is None or _last_ns(facts) < now_ns - older_ns
        if facts.written or not old or (keep is not None and number < keep):
            continue
        media = media_of(facts)
        paths = (*_record_files(facts.path), *(p for m in media for p in m.paths))
        size = facts.size_bytes + sum(m.size_bytes for m in media)
        why = f"the record of {facts.last_id} datagrams, and {len(media)} things made from it"
        out.append(
            Victim(paths=paths, why=why, size_bytes=size, record=True, archive=facts.path)
        )  # fmt: skip
    return out


def carry_out(victims: Sequence[Victim]) -> Iterator[Path]:
    """Delete, and name each file when it is gone.

    Raises:
        UserError: one cannot be deleted, or a base has begun to write the archive meanwhile.
    """
    for victim in victims:
        if victim.archive is not None and is_written(victim.archive):
            raise UserError(f"{victim.archive} is being written now; it and the rest stay")
        for path in victim.paths:
            try:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"cannot delete {path}: {error.strerror}") from None
            yield path


def _last_ns(facts: ArchiveFacts) -> int:
    last = max((m.last_ns for m in facts.missions), default=0)
    return max(last, facts.path.stat().st_mtime_ns)


def _record_files(path: Path) -> list[Path]:
    ends = ("", "-wal", "-shm", ".lock")
    return [one for end in ends if (one := Path(f"{path}{end}")).exists()]
