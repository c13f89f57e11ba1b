"""The command `check` of both programs."""

from __future__ import annotations

from typing import Annotated

import typer

from gvc_profiles.completion import complete_link, complete_profile
from gvc_profiles.load import load

__all__ = ["check"]


def check(
    profile: Annotated[
        str,
        typer.Option(
            "--profile",
            "-p",
            help="Radio profile, or a .toml file.",
            autocompletion=complete_profile,
        ),
    ],
    link: Annotated[
        str, typer.Option("--link", help="The radio, as for run.", autocompletion=complete_link)
    ],
    apply: Annotated[
        bool, typer.Option("--apply", help="Write what differs into the radio.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask the radio for its settings: 0 all good, 1 something differs, 2 cannot talk to it."""
    from gvc_profiles.check import check_radio

    report = check_radio(load(profile), link, apply=apply)
    print(report.as_json() if as_json else report.as_text())
    raise typer.Exit(report.exit_code)
