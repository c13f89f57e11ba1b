"""What the commands of `gvc-edge` share: option types, the progress bar, how reports are printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gvc_profiles.completion import complete_link, complete_profile, complete_source

if TYPE_CHECKING:  # the commands that need no picture start without numpy and PyAV
    from gvc_edge.report import SendReport

__all__ = [
    "ConfigOption", "CropOption", "JsonOption", "LinkOption", "ProfileOption", "SecondsOption",
    "SourceOption", "StateOption", "print_report", "progress", "say_to_stderr",
]  # fmt: skip

SecondsOption = Annotated[float | None, typer.Option("--seconds", help="Stop after this long.")]
CropOption = Annotated[bool, typer.Option("--crop-even", help="Drop the last row/column if odd.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
StateOption = Annotated[
    Path | None, typer.Option("--state", help="State folder of the edge that runs.")
]
SourceOption = Annotated[
    str | None,
    typer.Option("--source", help="Camera, as for run.", autocompletion=complete_source),
]
LinkOption = Annotated[
    str | None,
    typer.Option("--link", help="The radio, as for run.", autocompletion=complete_link),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile", "-p", help="Radio profile, or a .toml file.", autocompletion=complete_profile
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Settings file; `none` for no file. Default: ~/.config/gvc-field/edge.toml, else "
        "/etc/gvc-field/edge.toml.",
    ),
]


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr: gives what to call with (frames done, frames in all or 0).

    Nothing is drawn where stderr is no terminal or JSON was asked for.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _done, _total: None
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=None), TaskProgressColumn(),
        MofNCompleteColumn(), TextColumn("frames,"), TimeElapsedColumn(), TextColumn("gone,"),
        TimeRemainingColumn(), TextColumn("left"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def say_to_stderr(line: str) -> None:
    """One line for the operator."""
    print(f"gvc-edge: {line}", file=sys.stderr, flush=True)


def print_report(report: SendReport, as_json: bool) -> None:
    """The report of an encode or a run, on stdout."""
    print(report.as_json() if as_json else f"{report.out}: {report.as_text()}")
