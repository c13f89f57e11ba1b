"""The operator's door to a running edge: a Unix socket in its state folder, one JSON line each way.

gvc-edge say TEXT -> STATE/edge.sock (mode 0600) -> SayServer (thread) -> queue -> sending thread
"""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gvc_protocol.errors import UserError
from gvc_protocol.messages import MAX_TEXT_BYTES

__all__ = ["SayServer", "say_to_edge", "socket_path"]

_LINE_BYTES = 8192
_TIMEOUT_S = 5.0
_PATH_BYTES = 100
"A Unix socket's name is at most 107 bytes on Linux, 103 elsewhere."
_MOST_WAITING = 32


def socket_path(state: Path) -> Path:
    """Where the edge that uses this state folder listens."""
    return state / "edge.sock"


class SayServer:
    """Serves one edge until `close`. A failure to open it costs the saying, not the mission."""

    def __init__(self, state: Path, say: Callable[[str], None]) -> None:
        self.texts: queue.Queue[str] = queue.Queue(maxsize=_MOST_WAITING)
        self._path = socket_path(state.resolve())
        self._socket: socket.socket | None = None
        if len(os.fsencode(self._path)) > _PATH_BYTES:
            say(f"the path of {state} is too long for a socket: `gvc-edge say` cannot be used")
            return
        try:
            if _answers(self._path):
                say("another edge runs with this state folder: `gvc-edge say` goes to that one")
                return
            self._path.unlink(missing_ok=True)
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            old = os.umask(0o177)  # from the first moment, not after a chmod
            try:
                made.bind(str(self._path))
            finally:
                os.umask(old)
            made.listen(4)
        except OSError as error:
            say(f"`gvc-edge say` cannot reach this edge: {error.strerror}")
            return
        self._socket = made
        threading.Thread(target=self._serve, args=(made,), name="say", daemon=True).start()

    def close(self) -> None:
        """Stop, and take the socket away."""
        if self._socket is not None:
            made, self._socket = self._socket, None
            # shutdown wakes the thread that waits in accept; close alone does not.
            with suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
            made.close()
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _serve(self, made: socket.socket) -> None:
        while self._socket is not None:
            try:
                peer, _ = made.accept()
            except OSError:
                return
            with peer, suppress(OSError):
                peer.settimeout(_TIMEOUT_S)
                reply = self._answer(peer.makefile("rb").readline(_LINE_BYTES))
                peer.sendall(json.dumps(reply).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, str]:
        try:
            text = str(json.loads(line)["say"])
            _check(text)
            self.texts.put_nowait(text)
        except UserError as error:
            return {"error": str(error)}
        except queue.Full:
            return {"error": f"{_MOST_WAITING} texts wait already; try again later"}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return {"error": f"this cannot be said: {error}"}
        return {"state": "queued"}


def say_to_edge(state: Path, text: str) -> None:
    """Hand a text to the edge that runs with this state folder.

    Raises:
        UserError: no edge runs there, it has no way back, or the text is too long.
    """
    _check(text)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
            made.settimeout(_TIMEOUT_S)
            made.connect(str(socket_path(state.resolve())))
            made.sendall(json.dumps({"say": text}).encode() + b"\n")
            reply = json.loads(made.makefile("rb").readline(_LINE_BYTES))
    except (FileNotFoundError, ConnectionRefusedError):
        raise UserError(
            f"no edge with a way back runs with {state}; start it with `gvc-edge run`, or give its "
            "folder with --state"
        ) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it gave no answer"
        raise UserError(f"cannot reach the edge of {state}: {why}") from None
    if "error" in reply:
        raise UserError(str(reply["error"]))


def _check(text: str) -> None:
    size = len(text.encode("utf-8", "replace"))
    if not text.strip() or size > MAX_TEXT_BYTES:
        raise UserError(f"a text has 1 to {MAX_TEXT_BYTES} bytes; this has {size}")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.settimeout(_TIMEOUT_S)
        return made.connect_ex(str(path)) == 0
