"""The operator's door to a running program: a Unix socket beside its files, one JSON line each way.

gvc-base ask, gvc-edge say -> SOCKET (mode 0600) -> RequestDoor (thread) -> the program's own answer
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gvc_protocol.errors import LocalProtocolError, UserError

__all__ = ["RequestDoor", "request"]

_LINE_BYTES = 8192
_TIMEOUT_S = 5.0
_PATH_BYTES = 100
"A Unix socket's name is at most 107 bytes on Linux, 103 elsewhere."


class RequestDoor:
    """Serves until `close`. A failure to open it costs the asking, not the mission."""

    def __init__(
        self, path: Path, answer: Callable[[dict[str, Any]], dict[str, Any]], *, name: str
    ) -> None:
        """Args:
        answer: given a request, gives the reply; a UserError or a malformed request becomes
            {"error": one line}.
        name: of the thread, and what is done here: `ask`, `say`.
        """
        self._path, self._answer, self._name = path, answer, name
        self._socket: socket.socket | None = None

    def open(self, *, alone: bool) -> str:
        """Begin to serve.

        Args:
            alone: a lock says that no other program serves here, so what lies there is a dead one's.

        Returns:
            Why it cannot be, in words that end a sentence; empty when it serves.
        """
        if len(os.fsencode(self._path)) > _PATH_BYTES:
            return f"the path {self._path} is too long for a socket"
        try:
            if not alone and _answers(self._path):
                return f"another one runs there already and answers on {self._path}"
            self._path.unlink(missing_ok=True)
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            old = os.umask(0o177)  # from the first moment, not after a chmod
            try:
                made.bind(str(self._path))
            finally:
                os.umask(old)
            made.listen(4)
        except OSError as error:
            return error.strerror or str(error)
        self._socket = made
        threading.Thread(target=self._serve, args=(made,), name=self._name, daemon=True).start()
        return ""

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
                reply = self._reply(peer.makefile("rb").readline(_LINE_BYTES))
                peer.sendall(json.dumps(reply).encode() + b"\n")

    def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            wanted = json.loads(line)
            if not isinstance(wanted, dict):
                raise TypeError("a request is a JSON object")
            return self._answer(wanted)
        except UserError as error:
            return {"error": str(error)}
        except (ValueError, KeyError, TypeError, LocalProtocolError, RecursionError) as error:
            return {"error": f"`{self._name}` cannot do this: {error}"}


def request(path: Path, wanted: dict[str, Any], *, nobody: str, whom: str) -> dict[str, Any]:
    """Ask the program that serves there, and wait for its reply.

    Args:
        nobody: what to say when no program serves there. whom: the program, in words.

    Raises:
        UserError: no program serves there, it gives no answer, or it refuses.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
            made.settimeout(_TIMEOUT_S)
            made.connect(str(path))
            made.sendall(json.dumps(wanted).encode() + b"\n")
            reply = json.loads(made.makefile("rb").readline(_LINE_BYTES))
    except (FileNotFoundError, ConnectionRefusedError):
        raise UserError(nobody) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it gave no answer"
        raise UserError(f"cannot reach {whom}: {why}") from None
    if not isinstance(reply, dict) or "error" in reply:
        raise UserError(str(reply["error"]) if isinstance(reply, dict) else "it gave no answer")
    return reply


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.settimeout(_TIMEOUT_S)
        return made.connect_ex(str(path)) == 0
