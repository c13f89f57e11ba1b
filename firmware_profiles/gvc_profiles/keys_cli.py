"""`gvc-edge keys` and `gvc-base keys`: the same three commands at both ends."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from gvc_profiles.cli_help import examples_text
from gvc_profiles.completion import complete_key
from gvc_profiles.keys import (
    LINES,
    default_key_path,
    new_key,
    parse_key,
    parse_line,
    read_key,
    spoken,
    write_key,
)
from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError

__all__ = ["EncryptOption", "KeyOption", "keys_app"]

KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="Key file (`keys new`): believe and send only with it.",
        autocompletion=complete_key,
    ),
]
EncryptOption = Annotated[
    bool, typer.Option("--encrypt", help="Encrypt what is sent, too; where the law allows it.")
]
FileArgument = Annotated[
    Path | None, typer.Argument(help="Key file; default: link.key in your configuration folder.")
]

_NEW = (
    "gvc-edge keys new  # writes ~/.config/gvc-field/link.key, shows its fingerprint",
    "gvc-edge keys new team.key  # into another file; nothing is ever overwritten",
)
_SHOW = ("gvc-base keys show  # compare these words with the other end, by voice",)
_IMPORT = (
    "gvc-base keys import /media/stick/link.key  # a private copy of it",
    "gvc-base keys import  # type it in unseen; a typing error is told by its line",
)

keys_app = typer.Typer(
    name="keys", no_args_is_help=True, pretty_exceptions_enable=False,
    help="Keys of a link: make one, compare it by voice, bring it to the other end.",
)  # fmt: skip


@keys_app.command("new", epilog=examples_text(_NEW))
def new(file: FileArgument = None) -> None:
    """Make a key. It is written to the file, and shown nowhere."""
    path = file or default_key_path()
    key = new_key()
    write_key(path, key)
    _tell(path, key)
    print(f"Bring a copy of {path} to the other end, or type it there with `keys import`.")


@keys_app.command("show", epilog=examples_text(_SHOW))
def show(file: FileArgument = None) -> None:
    """Show a key's fingerprint, to compare by voice. The key itself is not shown."""
    path = file or default_key_path()
    _tell(path, read_key(path))


@keys_app.command("import", epilog=examples_text(_IMPORT))
def import_key(
    source: Annotated[
        Path | None, typer.Argument(help="Key file to copy; none: type it, or pipe it in.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Key file to write; default: the usual place.")
    ] = None,
) -> None:
    """Take a key from another place: a file, a pipe, or typed in unseen. Typing errors are found."""
    path = to or default_key_path()
    key = _typed() if source is None or str(source) == "-" else _from_file(source)
    write_key(path, key)
    _tell(path, key)
    print("Compare the fingerprint with the other end by voice before you rely on it.")


def _from_file(source: Path) -> LinkKey:
    # A memory stick knows no modes: what is read here need not be private, what is written is.
    try:
        return parse_key(source.read_bytes()[:4096].decode("ascii", "replace"))
    except FileNotFoundError:
        raise UserError(f"no such file: {source}") from None
    except OSError as error:
        raise UserError(f"cannot read {source}: {error.strerror}") from None


def _typed() -> LinkKey:
    if not sys.stdin.isatty():
        return parse_key(sys.stdin.read(4096))
    parts: list[bytes] = []
    print(f"Type the {LINES} lines of the key; what you type is not shown.", file=sys.stderr)
    while len(parts) < LINES:
        text = getpass.getpass(f"line {len(parts) + 1}: ")
        try:
            parts.append(parse_line(len(parts), text))
        except UserError as error:
            print(error, file=sys.stderr)
    return LinkKey(b"".join(parts))


def _tell(path: Path, key: LinkKey) -> None:
    print(f"{path}: key {key.fingerprint}\nread aloud: {spoken(key.fingerprint)}")
