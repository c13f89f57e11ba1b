"""Station identification of amateur radio: the call sign in clear, where the framing carries none.

    "DE " CALL, filled up with zeros     plain ASCII in a packet of its own

47 CFR 97.119(a): at the end of each communication and at least every 10 minutes during one.
"""

from __future__ import annotations

import re

from gvc_protocol.framings.ax25 import Callsign

__all__ = ["IdClock", "id_packet", "read_id"]

_PREFIX = b"DE "
_ID = re.compile(rb"DE ([A-Z0-9]{1,6}(?:-\d{1,2})?)\0*", re.S)


def id_packet(call: Callsign) -> bytes:
    """At most 12 bytes, so that it fits the smallest frame (FreeDV DATAC0, 14 bytes)."""
    return _PREFIX + str(call).encode("ascii")


def read_id(packet: bytes) -> str | None:
    """The call sign of an identification; None for anything else."""
    match = _ID.fullmatch(packet)
    return match[1].decode("ascii") if match else None


class IdClock:
    """When the call sign is due. Times are seconds of one rising clock."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._told: float | None = None
        self._sent_since = False

    def due(self, now: float, until_next_s: float) -> bool:
        """Before a burst: whether the call sign goes first. `until_next_s`: how long the burst and a
        call sign behind it may take."""
        return self._told is None or now + until_next_s > self._told + self._every_s

    def owed(self) -> bool:
        """At the end: whether something was sent since the call sign was."""
        return self._sent_since

    def told(self, now: float) -> None:
        """The call sign begins to go out now."""
        self._told, self._sent_since = now, False

    def sent(self) -> None:
        """Something else went out."""
        self._sent_since = True
