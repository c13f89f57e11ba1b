"""Help that is good enough to stand alone: examples below each command, commands in groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import typer
from typer.models import CommandInfo

__all__ = ["add_examples", "commands", "examples_text", "group_commands"]


def examples_text(lines: Sequence[str]) -> str:
    """An epilog of examples, a line each: `command  # what it does`."""
    return "\n\n".join(["Examples:", *lines])


def commands(app: typer.Typer, path: str = "") -> Iterator[tuple[str, CommandInfo]]:
    """Every command with its words: `run`, `keys new`."""
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__ if command.callback else "")
        yield f"{path} {name.replace('_', '-')}".strip(), command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            name = str(group.typer_instance.info.name)
            yield from commands(group.typer_instance, f"{path} {name}".strip())


def add_examples(app: typer.Typer, examples: Mapping[str, Sequence[str]]) -> None:
    """Put examples below the commands that they name. Do so once all commands are there.

    Raises:
        KeyError: no such command.
    """
    known = dict(commands(app))
    for name, lines in examples.items():
        known[name].epilog = examples_text(lines)


def group_commands(app: typer.Typer, panels: Mapping[str, Sequence[str]]) -> None:
    """Show the commands in panels, in this order.

    Raises:
        KeyError: a command or group that is not there.
    """
    known = {name: info for name, info in commands(app) if " " not in name}
    groups = {str(g.typer_instance.info.name): g for g in app.registered_groups
              if g.typer_instance is not None}  # fmt: skip
    for title, names in panels.items():
        for name in names:
            if name in groups:
                groups[name].rich_help_panel = title
            else:
                known[name].rich_help_panel = title
