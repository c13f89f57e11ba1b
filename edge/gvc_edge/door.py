"""The operator's door to a running edge: `gvc-edge say TEXT` -> STATE/edge.sock -> queue -> sender."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gvc_profiles.door import RequestDoor, request
from gvc_protocol.errors import UserError
from gvc_protocol.messages import MAX_TEXT_BYTES

__all__ = ["SayServer", "say_to_edge", "socket_path"]

_MOST_WAITING = 32


def socket_path(state: Path) -> Path:
    """Where the edge that uses this state folder listens."""
    return state / "edge.sock"


class SayServer:
    """Serves one edge until `close`. A failure to open it costs the saying, not the mission."""

    def __init__(self, state: Path, say: Callable[[str], None]) -> None:
        self.texts: queue.Queue[str] = queue.Queue(maxsize=_MOST_WAITING)
        self._door = RequestDoor(socket_path(state.resolve()), self._take, name="say")
        if problem := self._door.open(alone=False):
            say(f"`gvc-edge say` cannot reach this edge: {problem}")

    def close(self) -> None:
        """Stop, and take the socket away."""
        self._door.close()

    def _take(self, wanted: dict[str, Any]) -> dict[str, Any]:
        text = str(wanted["say"])
        _check(text)
        try:
            self.texts.put_nowait(text)
        except queue.Full:
            raise UserError(f"{_MOST_WAITING} texts wait already; try again later") from None
        return {"state": "queued"}


def say_to_edge(state: Path, text: str) -> None:
    """Hand a text to the edge that runs with this state folder.

    Raises:
        UserError: no edge runs there, it has no way back, or the text is too long.
    """
    _check(text)
    nobody = (
        f"no edge with a way back runs with {state}; start it with `gvc-edge run`, or give its "
        "folder with --state"
    )
    where = socket_path(state.resolve())
    request(where, {"say": text}, nobody=nobody, whom=f"the edge of {state}")


def _check(text: str) -> None:
    size = len(text.encode("utf-8", "replace"))
    if not text.strip() or size > MAX_TEXT_BYTES:
        raise UserError(f"a text has 1 to {MAX_TEXT_BYTES} bytes; this has {size}")
