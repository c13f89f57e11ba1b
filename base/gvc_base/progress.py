"""A progress bar for commands that take a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["progress"]


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """A progress bar on stderr; nothing where it is no terminal or JSON was asked for."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _what, _share: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        # Never quite full: a finished bar stops its clock, and another step may follow.
        yield lambda text, share: bar.update(task, description=text, completed=min(share, 0.999))
