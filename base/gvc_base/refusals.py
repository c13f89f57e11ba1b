"""Tells the operator of datagrams that were not believed: at once, then every ten seconds, by number."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gvc_protocol.params import SECOND
from gvc_protocol.wire import RejectReason

__all__ = ["RefusalTeller"]

_EVERY_NS = 10 * SECOND
_NAMES = {
    RejectReason.BAD_TAG: "with a wrong tag (forged, or another key)",
    RejectReason.NO_TAG: "without a tag",
    RejectReason.REPLAY: "recorded earlier and sent again",
    RejectReason.WRONG_DIRECTION: "of our own side",
    RejectReason.ENCRYPTED: "encrypted, and there is no key here",
}


class RefusalTeller:
    """A flood makes one line in ten seconds."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told: dict[RejectReason, int] = {}
        self._told_ns: int | None = None
        self._problem = ""

    def tick(self, refused: Mapping[RejectReason, int], now: int) -> None:
        """Say what is new in the receiver's counters, if it is time."""
        if self._told_ns is not None and now < self._told_ns + _EVERY_NS:
            return
        fresh = {r: refused.get(r, 0) - self._told.get(r, 0) for r in _NAMES}
        parts = [f"{count} {_NAMES[reason]}" for reason, count in fresh.items() if count]
        if parts:
            self._say(f"refused, and counted: {', '.join(parts)}")
            self._told, self._told_ns = dict(refused), now

    def problem(self, line: str) -> None:
        """Say a standing problem once."""
        if line and line != self._problem:
            self._say(line)
        self._problem = line
