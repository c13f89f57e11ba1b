"""`gvc-edge`: the field operator's command line. Thin: it reads options, calls, prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gvc_edge.cli_parts import ConfigOption, StateOption
from gvc_edge.config_cli import config_app
from gvc_edge.doctor_cli import doctor
from gvc_edge.encode_cli import encode, render
from gvc_edge.examples import EXAMPLES, FIRST, PANELS
from gvc_edge.field.settings import effective
from gvc_edge.run_cli import run
from gvc_edge.service_cli import install_service
from gvc_profiles.boots import default_state_dir
from gvc_profiles.check_cli import check
from gvc_profiles.cli_help import add_examples, examples_text, group_commands
from gvc_profiles.completion import completion
from gvc_profiles.keys_cli import keys_app
from gvc_profiles.listing import print_profiles
from gvc_protocol.errors import UserError

__all__ = ["app", "main"]

app = typer.Typer(
    name="gvc-edge", no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False,
    help="Edge encoder: camera or video in, datagrams for a slow radio out.",
    epilog=examples_text(FIRST),
)  # fmt: skip

app.command()(run)
app.command()(doctor)
app.add_typer(config_app)
app.command()(install_service)
app.command()(check)
app.add_typer(keys_app)


@app.command()
def say(
    text: Annotated[str, typer.Argument(help="Shown and archived at the base.")],
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Say something to whoever is at the base, through the edge that runs now."""
    from gvc_edge.door import say_to_edge

    folder = state or effective({}, config).settings.state
    say_to_edge(Path(folder) if folder else default_state_dir("gvc-edge"), text)
    print("queued: the running edge says when the base has it")


app.command()(encode)
app.command()(render)


@app.command()
def profiles() -> None:
    """List the radio profiles."""
    print_profiles()


app.command()(completion)
add_examples(app, EXAMPLES)
group_commands(app, PANELS)


def main() -> None:
    """Entry point: a UserError is one line and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"gvc-edge: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
