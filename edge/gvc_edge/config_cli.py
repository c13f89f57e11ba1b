"""`gvc-edge config`: make the settings file, and show what is in force."""

from __future__ import annotations

import dataclasses
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from gvc_edge.address import without_login
from gvc_edge.cli_parts import (
    ConfigOption,
    JsonOption,
    LinkOption,
    ProfileOption,
    SourceOption,
)
from gvc_edge.field.ask import Given, ask_settings
from gvc_edge.field.settings import (
    Effective,
    RunSettings,
    config_places,
    effective,
    parse_config,
    render_config,
    user_config_path,
)
from gvc_protocol.errors import UserError

__all__ = ["config_app"]

config_app = typer.Typer(
    name="config", no_args_is_help=True, pretty_exceptions_enable=False,
    help="Settings of `run`: ask for them and write them, or show what is in force.",
)  # fmt: skip


@config_app.command("init")
def init(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write; default: ~/.config/gvc-field/edge.toml."),
    ] = None,
    source: SourceOption = None,
    region: Annotated[
        str | None, typer.Option("--region", help="Offer only its radios: US, EU, amateur.")
    ] = None,
    profile: ProfileOption = None,
    link: LinkOption = None,
    call: Annotated[str, typer.Option("--call", help="Your call sign, on amateur bands.")] = "",
    stream: Annotated[int | None, typer.Option("--stream", help="Camera number.")] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Key file, or `none`; default: asks.")
    ] = None,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Encrypt, too.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing; take what is found and given.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there, without asking.")
    ] = False,
) -> None:
    """Find cameras and serial ports, ask for the rest, and write the settings file."""
    path = out or user_config_path()
    if path.exists() and not overwrite and (yes or not _may_replace(path)):
        raise UserError(
            f"{path} is there already and was left as it is; add --overwrite, or name another file "
            "with --out"
        )
    given = Given(
        source=source, region=region, profile=profile, link=link, call=call, stream=stream,
        key=key, encrypt=encrypt, yes=yes,
    )  # fmt: skip
    settings = ask_settings(given, say=lambda line: print(line))
    _write(path, settings)
    print(f"written: {path}")
    at = "" if path in config_places() else f" --config {path}"
    print(f"next: gvc-edge doctor{at}     is everything there and set right?")
    print(f"      gvc-edge run{at}        video, until Ctrl-C")
    print(f"      gvc-edge install-service{at}   video at each power-on")


@config_app.command("show")
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show each setting that `run` would use, and where it comes from."""
    chosen = effective({}, config)
    print(_as_json(chosen) if as_json else _as_text(chosen))


def _may_replace(path: Path) -> bool:
    return typer.confirm(f"{path} is there already; replace it", default=False)


def _as_json(chosen: Effective) -> str:
    return json.dumps({
        "file": None if chosen.path is None else str(chosen.path),
        "settings": {**dataclasses.asdict(chosen.settings), "source": _shown_source(chosen)},
        "origins": dict(chosen.origins),
    })  # fmt: skip


def _as_text(chosen: Effective) -> str:
    places = " or ".join(map(str, config_places()))
    lines = [f"file: {chosen.path}" if chosen.path else f"no settings file ({places})"]
    for f in dataclasses.fields(RunSettings):
        value = getattr(chosen.settings, f.name)
        if f.name == "source":
            value = _shown_source(chosen)
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        if value in (None, ""):
            shown = "-"
        lines.append(f"{f.name:13} {shown:28} {chosen.origins[f.name]}")
    return "\n".join(lines)


def _shown_source(chosen: Effective) -> str:
    """An address without its login: what is shown is read aloud and photographed."""
    return without_login(chosen.settings.source)


def _write(path: Path, settings: RunSettings) -> None:
    text = render_config(settings)
    parse_config(text, origin="these settings")  # what is written can be read
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Addresses of cameras hold passwords, so the file is its owner's alone.
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {error.strerror}; name another with --out") from None
