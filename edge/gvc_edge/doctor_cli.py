"""`gvc-edge doctor`: one line a check, worst news with what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from gvc_edge.cli_parts import (
    ConfigOption,
    JsonOption,
    LinkOption,
    ProfileOption,
    SourceOption,
)
from gvc_edge.field.doctor import Check, as_json, checks, exit_code
from gvc_edge.field.settings import NO_CONFIG, effective
from gvc_protocol.errors import UserError

__all__ = ["doctor"]

_STYLES = {"ok": "green", "warn": "bold yellow", "fail": "bold red"}


def doctor(
    config: ConfigOption = None,
    source: SourceOption = None,
    link: LinkOption = None,
    profile: ProfileOption = None,
    key: Annotated[str | None, typer.Option("--key", help="Key file, as for run.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="State folder, as for run.")] = None,
    as_json_: JsonOption = False,
) -> None:
    """Look whether everything is there and set right: 0 it will fly, 1 something failed.

    Camera, radio (asked, never written to), disk, clock, temperature, key, processor, settings: one
    line each, ok, warn or fail, and what to do.
    """
    given = {"source": source, "link": link, "profile": profile, "key": key, "state": state}
    done: list[Check] = []
    console = Console(soft_wrap=True, highlight=False)
    try:
        chosen, skipped = effective(given, config), ""
    except UserError as error:  # the rest of the machine is looked at all the same
        chosen, skipped = effective(given, Path(NO_CONFIG)), "settings"
        done.append(Check("settings", "fail", str(error), "mend it, or gvc-edge config init"))
        if not as_json_:
            console.print(_line(done[-1]))
    for name, check in checks(chosen):
        if name == skipped:
            continue
        if not as_json_ and sys.stderr.isatty():
            print(f"      {name} ...", end="\r", file=sys.stderr, flush=True)
        done.append(check())
        if not as_json_:
            console.print(_line(done[-1]))
    if as_json_:
        print(as_json(done))
    else:
        failed = [c.name for c in done if c.status == "fail"]
        console.print(f"mend first: {', '.join(failed)}" if failed else "ready: gvc-edge run")
    raise typer.Exit(exit_code(done))


def _line(check: Check) -> Text:
    text = Text(check.as_text())
    text.stylize(_STYLES[check.status], 0, 5)
    return text
