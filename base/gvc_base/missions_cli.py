"""`gvc-base missions`: which missions there are, what is in one, and what may go. Thin."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gvc_profiles.boots import default_state_dir
from gvc_profiles.keys import link_key
from gvc_profiles.keys_cli import KeyOption
from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.archive_verify import Verification
    from gvc_base.missions.facts import ArchiveFacts

__all__ = ["missions_app"]

missions_app = typer.Typer(
    name="missions", no_args_is_help=True, help="Recorded missions: list, show, merge, prune."
)

FolderArgument = Annotated[
    Path, typer.Argument(help="Folder of archives, or one archive; default: here.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
QuickOption = Annotated[
    bool, typer.Option("--quick", help="Do not verify the records: nothing is read through.")
]


@missions_app.command("list")
def list_missions(
    folder: FolderArgument = Path(),
    quick: QuickOption = False,
    as_json: JsonOption = False,
) -> None:
    """One line a mission: start, duration, drones, units, size, whether the record is whole, key.

    Example: gvc-base missions list /media/stick
    """
    from gvc_base.missions.told import HEADINGS, columns, lines_of

    lines = []
    for facts in _all_facts(folder):
        verified, why = _verified(facts, quick=quick)
        lines += lines_of(facts, verified, why)
    lines.sort(key=lambda line: (line.start_us, line.archive))
    if as_json:
        print(json.dumps({"missions": [asdict(line) for line in lines]}))
    elif not lines:
        print(f"no mission archive in {folder} or the folders in it")
    else:
        print("\n".join(columns([HEADINGS, *(line.cells(folder) for line in lines)])))


@missions_app.command("show")
def show_mission(
    archive: Annotated[Path, typer.Argument(help="Mission archive (.db).")],
    quick: QuickOption = False,
) -> None:
    """All of one archive: sessions, drones, losses, links, events, and what was made from it.

    Example: gvc-base missions show flood.db
    """
    from gvc_base.missions.facts import read_facts
    from gvc_base.missions.media import media_of
    from gvc_base.missions.told import show_lines

    facts = read_facts(archive)
    verified, why = _verified(facts, quick=quick)
    print("\n".join(show_lines(facts, verified, why, media_of(facts))))


@missions_app.command("merge")
def merge(
    archives: Annotated[
        list[Path],
        typer.Argument(help="Archives of one flight; times are told by the first's clock."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Archive to make (.db).")],
    key: KeyOption = None,
    state: Annotated[
        Path | None, typer.Option("--state", help="Folder of this base's signing key.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Join what several base stations heard of one flight: units that each had in part become whole.

    Every datagram of every original is kept, with where it came from; the originals' chains and
    signatures can be checked in the merged archive: gvc-base verify BOTH.db

    Example: gvc-base missions merge north.db south.db --out both.db
    """
    from gvc_base.archive_seal import signer_or_say
    from gvc_base.missions.merge import merge_archives
    from gvc_base.missions.told import merge_lines
    from gvc_base.progress import progress

    signer = signer_or_say(state or default_state_dir("gvc-base"), _say)
    with progress("merging", quiet=as_json) as step:
        report = merge_archives(archives, out, key=link_key(key), signer=signer, on_step=step)
    if as_json:
        print(json.dumps({**asdict(report), "out": str(out)}))
    else:
        print("\n".join(merge_lines(report, out)))


@missions_app.command("prune")
def prune(
    folder: FolderArgument = Path(),
    stale: Annotated[
        bool, typer.Option("--stale", help="Only media that no longer show what the archive holds.")
    ] = False,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="WHOLE MISSIONS older than this: 30d, 8w.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", help="WHOLE MISSIONS, all but the newest so many.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete what is shown.")] = False,
) -> None:
    """Throw away what was made from archives; with --older-than or --keep, whole missions.

    Without --yes nothing is deleted: it says what would go. Records go by --older-than and --keep only.

    Examples: gvc-base missions prune; gvc-base missions prune --older-than 30d --keep 10 --yes
    """
    from gvc_base.missions.prune import age_ns, carry_out, plan_media, plan_missions
    from gvc_base.missions.told import size_text

    if keep is not None and keep < 0:
        raise UserError(f"--keep {keep}: give how many of the newest missions stay, 0 or more")
    older_ns = None if older_than is None else age_ns(older_than)
    archives = list(_all_facts(folder))
    if older_ns is None and keep is None:
        victims = plan_media(archives, stale=stale)
    else:
        if stale:
            raise UserError("--stale is about media; leave it out with --older-than and --keep")
        victims = plan_missions(archives, now_ns=time.time_ns(), older_ns=older_ns, keep=keep)
    if not victims:
        print("nothing to throw away")
        return
    for victim in victims:
        what = "RECORD " if victim.record else ""
        print(f"{what}{size_text(victim.size_bytes)}, {victim.why}:")
        print("\n".join(f"  {path}" for path in victim.paths))
    total = size_text(sum(victim.size_bytes for victim in victims))
    if not yes:
        print(f"{total} would go; nothing was deleted. The same with --yes deletes it")
        return
    for path in carry_out(victims):
        print(f"deleted {path}")
    print(f"{total} are free")


def _all_facts(folder: Path) -> Iterator[ArchiveFacts]:
    """Of each archive that can be read; the others are named on stderr and left alone."""
    from gvc_base.missions.facts import archives_in, read_facts

    for path in archives_in(folder):
        try:
            yield read_facts(path)
        except UserError as error:
            print(f"gvc-base: {error}", file=sys.stderr)


def _say(line: str) -> None:
    print(f"gvc-base: {line}", file=sys.stderr)


def _verified(facts: ArchiveFacts, *, quick: bool) -> tuple[Verification | None, str]:
    if quick:
        return None, "not looked at"
    if facts.version < 3:
        return None, "no hash chain"
    from gvc_base.archive_verify import verify_archive

    return verify_archive(facts.path), ""
