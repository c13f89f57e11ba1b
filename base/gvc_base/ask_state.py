"""One command of the operator on its way to an edge, and how it is told of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gvc_protocol.messages import (
    Command,
    ModeCommand,
    OperatorText,
    RateCommand,
    RegionRequest,
    Resume,
)
from gvc_protocol.params import SECOND

__all__ = ["AskState", "told", "why_not_asked"]

AGAIN_NS = 3 * SECOND


@dataclass(slots=True)
class AskState:
    """One command on its way."""

    command: Command
    asked_ns: int
    next_ns: int
    wait_ns: int = AGAIN_NS
    state: str = "waiting"
    "waiting, working, done, refused, no picture, or given up."
    tries: int = 0

    @property
    def open(self) -> bool:
        """Whether it is still to be sent."""
        return self.state == "waiting"


def why_not_asked(mode: str, *, keyed: bool) -> str:
    """Why nothing can be asked over such a link, and what to do; empty where it can."""
    if mode == "none":
        return "this link has no way back to the edge; nothing can be asked over it"
    if not keyed:
        return (
            "this base runs without a key, and an edge obeys nobody without one; make a key with "
            "`gvc-edge keys new` and start both ends with --key"
        )
    return ""


def told(command: Command) -> dict[str, Any]:
    """A command as the archive notes it."""
    about: dict[str, Any] = {"id": command.command_id, "kind": command.kind.name.lower()}
    if isinstance(command, RegionRequest):
        about |= {"boot": command.boot_id, "unit": command.unit_no, "frame": command.offset,
                  "box": [command.x, command.y, command.width, command.height]}  # fmt: skip
    if isinstance(command, Resume):
        about |= {"boot": command.boot_id, "next": command.next_unit, "wanted": command.wanted}
    if isinstance(command, OperatorText):
        about["text"] = command.text
    if isinstance(command, RateCommand):
        about["bps"] = command.rate_bps
    if isinstance(command, ModeCommand):
        about |= {"finest": command.finest, "coarsest": command.coarsest}
    return about
