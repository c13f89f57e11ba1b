"""What an operator can ask of a camera: one vocabulary for `gvc-base ask` and for the console.

gvc-base ask ... -> ARCHIVE.sock -> AskServer --+-> command_of -> BaseBackChannel -> the edge
console -> LiveView.ask ------------------------+
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gvc_base.backchannel import BaseBackChannel
from gvc_profiles.door import RequestDoor, request
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

__all__ = ["AskServer", "ask", "ask_of", "socket_path"]


def socket_path(archive: Path) -> Path:
    """Where the base that writes this archive listens."""
    return archive.with_name(archive.name + ".sock")


def ask_of(back: BaseBackChannel, wanted: dict[str, Any], now: int) -> int:
    """Put what is wanted on its way; the command's id, 0 for `resume`, which makes its own.

    Args:
        wanted: {"ask": keyframe, rate, mode, text, region or resume, ...} as `gvc-base ask` sends it.

    Raises:
        UserError: it cannot be asked: no key, no way back, no picture yet, or a field does not fit.
    """
    try:
        if wanted["ask"] == "resume":
            back.ask_resume(now)
            return 0
        command = _command(back, str(wanted["ask"]), wanted)
        pack_message([command])  # before it is promised: a field that does not fit is told here
    except (ValueError, KeyError, TypeError, LocalProtocolError) as error:
        raise UserError(f"this cannot be asked: {error}") from None
    back.ask(command, now)
    return command.command_id


def _command(back: BaseBackChannel, kind: str, wanted: dict[str, Any]) -> Command:
    if kind == "region":
        return _region(back, wanted)
    command_id = back.next_id()
    if kind == "keyframe":
        return KeyframeRequest(command_id=command_id)
    if kind == "rate":
        return RateCommand(command_id=command_id, rate_bps=int(wanted["bps"]))
    if kind == "mode":
        finest, coarsest = int(wanted["finest"]), int(wanted["coarsest"])
        return ModeCommand(command_id=command_id, finest=finest, coarsest=coarsest)
    if kind == "text":
        return OperatorText(command_id=command_id, text=str(wanted["text"]))
    raise UserError(f"nothing known as {kind!r} can be asked")


def _region(back: BaseBackChannel, wanted: dict[str, Any]) -> Command:
    newest = back.newest
    if newest is None:
        raise UserError("no unit has come yet, so there is no picture to ask a region of")
    unit = newest[1] if wanted.get("unit") is None else int(wanted["unit"])
    boot = newest[0] if wanted.get("boot") is None else int(wanted["boot"])
    x, y, width, height = (int(v) for v in wanted["box"])
    return RegionRequest(
        command_id=back.next_id(), boot_id=boot, unit_no=unit,
        offset=int(wanted.get("frame") or 0), x=x, y=y, width=width, height=height,
    )  # fmt: skip


class AskServer:
    """Serves one base until `close`. A failure to open it costs the asking, not the mission."""

    def __init__(
        self, archive: Path, backs: Callable[[], Sequence[tuple[str, BaseBackChannel]]],
        now: Callable[[], int], say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`backs` gives (drone, channel back) of each camera that was heard, the first one first."""
        self._backs, self._now = backs, now
        self._door = RequestDoor(socket_path(archive.resolve()), self._answer, name="ask")
        # The archive's lock says that no other base lives here.
        if problem := self._door.open(alone=True):
            say(f"`gvc-base ask` cannot reach this base: {problem}")

    def close(self) -> None:
        """Stop, and take the socket away."""
        self._door.close()

    def _answer(self, wanted: dict[str, Any]) -> dict[str, Any]:
        if wanted["ask"] == "state":
            number = int(wanted["id"])
            states = [back.state(number) for _, back in self._backs()]
            return {"state": next((s for s in states if s != "unknown"), "unknown")}
        return {"id": ask_of(self._chosen(wanted.get("drone")), wanted, self._now())}

    def _chosen(self, drone: object) -> BaseBackChannel:
        backs = self._backs()
        if not backs:
            raise UserError("no camera was heard yet, so there is nobody to ask")
        known = ", ".join(name for name, _ in backs)
        if drone is None:
            if len(backs) > 1:
                raise UserError(f"several cameras are heard; say which with --drone: {known}")
            return backs[0][1]
        for name, back in backs:
            if name == drone:
                return back
        raise UserError(f"no camera {drone} was heard; heard are: {known}")


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
    nobody = (
        f"no base runs on {archive}; start it with `gvc-base run --archive {archive}`, or name "
        "the archive of the one that runs"
    )
    where = socket_path(archive.resolve())
    return request(where, wanted, nobody=nobody, whom=f"the base of {archive}")
