"""The operator's door to a running base: a Unix socket beside the archive, one JSON line each way.

gvc-base ask ... -> ARCHIVE.sock (mode 0600) -> AskServer (thread) -> BaseBackChannel
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gvc_base.backchannel import BaseBackChannel
from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.messages import (
    Command,
    KeyframeRequest,
    ModeCommand,
    OperatorText,
    RateCommand,
    RegionRequest,
    pack_message,
)

__all__ = ["AskServer", "ask", "socket_path"]

_LINE_BYTES = 8192
_TIMEOUT_S = 5.0
_PATH_BYTES = 100
"A Unix socket's name is at most 107 bytes on Linux, 103 elsewhere."


def socket_path(archive: Path) -> Path:
    """Where the base that writes this archive listens."""
    return archive.with_name(archive.name + ".sock")


class AskServer:
    """Serves one base until `close`. A failure to open it costs the asking, not the mission."""

    def __init__(
        self, archive: Path, back: BaseBackChannel, now: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._path, self._back, self._now = socket_path(archive.resolve()), back, now
        self._socket: socket.socket | None = None
        if len(os.fsencode(self._path)) > _PATH_BYTES:
            say(
                f"the path of {archive} is too long for a socket: `gvc-base ask` cannot reach this base"
            )
            return
        try:
            # The archive's lock says that no other base lives here: what lies there is a dead one's.
            self._path.unlink(missing_ok=True)
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            old = os.umask(0o177)  # from the first moment, not after a chmod
            try:
                made.bind(str(self._path))
            finally:
                os.umask(old)
            made.listen(4)
            self._socket = made
        except OSError as error:
            say(f"`gvc-base ask` cannot reach this base: {error.strerror}")
            return
        threading.Thread(target=self._serve, args=(made,), name="ask", daemon=True).start()

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

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            wanted = json.loads(line)
            if wanted["ask"] == "state":
                return {"state": self._back.state(int(wanted["id"]))}
            if wanted["ask"] == "resume":
                self._back.ask_resume(self._now())
                return {"id": 0}
            command = self._command(str(wanted["ask"]), wanted)
            pack_message([command])  # before it is promised: a field that does not fit is told here
            self._back.ask(command, self._now())
        except UserError as error:
            return {"error": str(error)}
        except (ValueError, KeyError, TypeError, LocalProtocolError, RecursionError) as error:
            return {"error": f"this cannot be asked: {error}"}
        return {"id": command.command_id}

    def _command(self, kind: str, wanted: dict[str, Any]) -> Command:
        command_id = self._back.next_id()
        if kind == "keyframe":
            return KeyframeRequest(command_id=command_id)
        if kind == "rate":
            return RateCommand(command_id=command_id, rate_bps=int(wanted["bps"]))
        if kind == "mode":
            finest, coarsest = int(wanted["finest"]), int(wanted["coarsest"])
            return ModeCommand(command_id=command_id, finest=finest, coarsest=coarsest)
        if kind == "text":
            return OperatorText(command_id=command_id, text=str(wanted["text"]))
        if kind == "region":
            return self._region(command_id, wanted)
        raise UserError(f"nothing known as {kind!r} can be asked")

    def _region(self, command_id: int, wanted: dict[str, Any]) -> Command:
        newest = self._back.newest
        if newest is None:
            raise UserError("no unit has come yet, so there is no picture to ask a region of")
        unit = newest[1] if wanted.get("unit") is None else int(wanted["unit"])
        boot = newest[0] if wanted.get("boot") is None else int(wanted["boot"])
        x, y, width, height = (int(v) for v in wanted["box"])
        return RegionRequest(
            command_id=command_id, boot_id=boot, unit_no=unit, offset=int(wanted.get("frame") or 0),
            x=x, y=y, width=width, height=height,
        )  # fmt: skip


def ask(archive: Path, wanted: dict[str, Any], *, wait_s: float) -> tuple[int, str]:
    """Ask the base that writes `archive`; (id, what became of it within `wait_s`).

    Raises:
        UserError: no base runs on this archive, or it refuses.
    """
    reply = _talk(archive, wanted)
    command_id, state, end = int(reply["id"]), "waiting", time.monotonic() + wait_s
    while state in ("waiting", "working") and time.monotonic() < end:
        time.sleep(0.1)
        state = str(_talk(archive, {"ask": "state", "id": command_id})["state"])
    return command_id, state


def _talk(archive: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
            made.settimeout(_TIMEOUT_S)
            made.connect(str(socket_path(archive.resolve())))
            made.sendall(json.dumps(wanted).encode() + b"\n")
            reply = json.loads(made.makefile("rb").readline(_LINE_BYTES))
    except (FileNotFoundError, ConnectionRefusedError):
        raise UserError(
            f"no base runs on {archive}; start it with `gvc-base run --archive {archive}`, or name "
            "the archive of the one that runs"
        ) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it gave no answer"
        raise UserError(f"cannot ask the base of {archive}: {why}") from None
    if "error" in reply:
        raise UserError(str(reply["error"]))
    made_reply: dict[str, Any] = reply
    return made_reply
