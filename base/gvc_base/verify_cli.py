"""`gvc-base verify FILE`: is it what was recorded? Exit code 0 whole, 1 not, 2 nobody can tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gvc_profiles.boots import default_state_dir
from gvc_profiles.keys import link_key
from gvc_profiles.keys_cli import KeyOption
from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.archive_verify import Verification

__all__ = ["verify"]

_SQLITE_MAGIC = b"SQLite format 3\0"


def verify(
    file: Annotated[Path, typer.Argument(help="Mission archive (.db), or media made from one.")],
    deep: Annotated[
        bool, typer.Option("--deep", help="Derive units and events anew, and compare; slow.")
    ] = False,
    key: KeyOption = None,
    signed_by: Annotated[
        str | None, typer.Option("--signed-by", help="Fingerprint that the signature must have.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", help="Folder of this base's signing key.")
    ] = None,
) -> None:
    """Find what was changed: rows of an archive, or an exported video or still; say who signed it.

    Exit code 0 when it is whole, 1 when not (each line names what), 2 when it cannot be told.

    Examples: gvc-base verify flood.db --deep --key link.key; gvc-base verify flood.mp4
    """
    from gvc_base.archive_deep import derived_problems
    from gvc_base.archive_verify import verify_archive

    if not _is_sqlite(file):
        _verify_media(file, state)
        return
    found = verify_archive(file)
    if deep:
        problems, notes = derived_problems(file, link_key(key))
        found.problems += problems
        found.notes += notes
    if signed_by is not None and found.fingerprints != [signed_by.upper()]:
        found.problems.append(f"it is not signed by {signed_by.upper()} (alone)")
    _print(file, found, state or default_state_dir("gvc-base"), deep)
    if not found.whole:
        raise typer.Exit(1)


def _is_sqlite(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    except FileNotFoundError:
        raise UserError(f"no such file: {file}") from None
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None


def _verify_media(file: Path, state: Path | None) -> None:
    # C2PA's library takes a while to load, and an archive does without it.
    from gvc_base.provenance import AlteredError, verify_media

    try:
        lines = verify_media(file, state=state)
    except AlteredError as error:
        print("\n".join(error.lines))
        raise typer.Exit(1) from None
    print("\n".join(lines))


def _print(file: Path, found: Verification, state: Path, deep: bool) -> None:
    for line in found.problems:
        print(f"{file}: {line}")
    if found.whole:
        also = ", and the units and events that they give" if deep else ""
        print(f"{file}: whole: {found.rows} datagrams{also}")
    for name in found.fingerprints:
        print(f"{file}: {found.state}, by key {name}{_whose(name, state)}")
    for line in found.notes:
        print(f"note: {line}")


def _whose(fingerprint: str, state: Path) -> str:
    """Whether it is this base's own key. Another's is compared by voice."""
    from gvc_base.archive_seal import load_signer

    try:
        mine = load_signer(state, make=False)
    except UserError:
        mine = None
    if mine is not None and mine.fingerprint == fingerprint:
        return " (this base's own)"
    return "; compare it with the fingerprint that the recording base shows"
