"""Who tells the operator: a live screen on a terminal, single lines elsewhere.

The screen is drawn by a thread of its own. A terminal that stands still (Ctrl-S, a stalled ssh) stops
that thread alone; the mission goes on.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live

from gvc_edge.field.board import Board, View
from gvc_edge.field.screen import draw, status_line
from gvc_edge.field.verdict import State

__all__ = ["Plain", "Screen", "can_draw"]

_DRAW_EVERY_S = 1.0
_STATUS_EVERY_S = 10.0
_LINES_AFTER = 12
_PATIENCE_S = 2.0


def can_draw(stream: TextIO) -> bool:
    """Whether a screen can be drawn there: a terminal that is no dumb one."""
    console = Console(file=stream)
    return console.is_terminal and not console.is_dumb_terminal


class Plain:
    """Lines as they come, the state when it changes, and all in one line now and then."""

    def __init__(
        self, board: Board, say: Callable[[str], None], *, status: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.board, self._say, self._status, self._clock = board, say, status, clock
        self._states: tuple[State, ...] = ()
        self._next = clock() + _STATUS_EVERY_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, line: str) -> None:
        """A line for the operator."""
        self.board.say(line)
        self._say(line)

    def changed(self) -> None:
        """Something is new on the board; called in the mission's loop."""
        if not self._status:
            return
        at, view = self._clock(), self.board.view()
        if view.verdict.states != self._states:
            self._states = view.verdict.states
            self._say(_state_line(view))
        if at >= self._next:
            self._next = at + _STATUS_EVERY_S
            self._say(status_line(view))


class Screen:
    """The whole terminal, once a second and whenever something was said."""

    def __init__(self, board: Board, stream: TextIO) -> None:
        self.board = board
        self._console = Console(file=stream)
        self._wake, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._draw, name="screen", daemon=True)
        self._stderr: TextIO | None = None

    def __enter__(self) -> Self:
        self._stderr, sys.stderr = sys.stderr, _Lines(self.say)
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._ended.set()
        self._wake.set()
        self._thread.join(_PATIENCE_S)
        if self._stderr is not None:
            sys.stderr = self._stderr
        if self._thread.is_alive():
            return  # the terminal stands still: nothing more can be shown on it
        view = self.board.view()
        for said in view.log[-_LINES_AFTER:]:
            print(f"{said.clock} {said.text}", file=self._console.file)

    def say(self, line: str) -> None:
        """A line for the log on the screen."""
        self.board.say(line)
        self._wake.set()

    def changed(self) -> None:
        """Drawn at the next turn anyway."""

    def _draw(self) -> None:
        unicode = self._console.encoding.lower().startswith("utf")
        with Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False,
            redirect_stderr=False,
        ) as live:  # fmt: skip
            while not self._ended.is_set():
                width, height = self._console.size
                lines = draw(self.board.view(), width, height, unicode=unicode)
                live.update(Group(*lines), refresh=True)
                self._wake.wait(_DRAW_EVERY_S)
                self._wake.clear()


class _Lines(io.TextIOBase):
    """What other code writes to stderr, as lines of the log instead of scribbles on the screen."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._rest = say, ""

    def write(self, text: str) -> int:
        *whole, self._rest = (self._rest + text).split("\n")
        for line in whole:
            if line.strip():
                self._say(line.strip())
        return len(text)

    def writable(self) -> bool:
        return True


def _state_line(view: View) -> str:
    words = " + ".join(s.word for s in view.verdict.states)
    why = [f"{r.what} -> {r.todo}" for r in view.verdict.reasons[:2]]
    return "; ".join([f"state: {words}", *why])
