"""Iridium short burst data: the binary hop to the modem, session results, and messages that share one.

To the modem after AT+SBDWB=<n> and READY: n bytes and their sum (2 bytes). From it after AT+SBDRB:
length (2 bytes), bytes, sum (2 bytes). Several datagrams share a message as length (2 bytes) and bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "MO_BYTES", "MT_BYTES", "SbdSession", "bundle", "parse_session", "retry_wait_s", "sbd_read",
    "sbd_write", "unbundle",
]  # fmt: skip

MO_BYTES, MT_BYTES = 340, 270
_SESSION = re.compile(r"\+SBDI[XA]*:\s*" + r"\s*,\s*".join([r"(\d+)"] * 6))


def _sum(data: bytes) -> bytes:
    return (sum(data) & 0xFFFF).to_bytes(2, "big")


def sbd_write(data: bytes) -> bytes:
    """What follows READY: the message and its sum."""
    return data + _sum(data)


def sbd_read(raw: bytes) -> tuple[int, bytes | None]:
    """(bytes used, message) of an AT+SBDRB answer; 0 used = more must come; None = wrong sum."""
    if len(raw) < 2:
        return 0, None
    size = int.from_bytes(raw[:2], "big")
    if size > MT_BYTES:
        return 2, None
    if len(raw) < size + 4:
        return 0, None
    data = bytes(raw[2 : 2 + size])
    return size + 4, data if raw[2 + size : 4 + size] == _sum(data) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SbdSession:
    """Result of AT+SBDIX: MO status, MT status and how many messages still wait in the network."""

    mo_status: int
    mt_status: int
    mt_length: int
    mt_queued: int

    @property
    def sent(self) -> bool:
        """MO status 0..4: the message has left."""
        return self.mo_status <= 4

    @property
    def received(self) -> bool:
        """MT status 1: a message lies in the modem."""
        return self.mt_status == 1


def parse_session(line: str) -> SbdSession | None:
    """From a `+SBDIX: 0, 12, 1, 3, 40, 0` line; None for any other."""
    match = _SESSION.fullmatch(line.strip())
    if match is None or any(len(g) > 6 for g in match.groups()):
        return None
    mo, _, mt, _, length, queued = map(int, match.groups())
    return SbdSession(mo_status=mo, mt_status=mt, mt_length=length, mt_queued=queued)


def retry_wait_s(attempt: int) -> float:
    """Seconds before the next session after so many failures: Iridium's own advice, 5 s at first,
    then half a minute, then minutes, since a sky that was closed stays closed for a while."""
    return (0.0, 5.0, 5.0, 30.0, 30.0, 120.0)[min(attempt, 5)]


def bundle(waiting: Iterable[bytes], room: int) -> tuple[bytes, int]:
    """As many datagrams as fit in `room` bytes: (message, how many went in)."""
    message, count = bytearray(), 0
    for data in waiting:
        if len(message) + 2 + len(data) > room:
            break
        message += len(data).to_bytes(2, "big") + data
        count += 1
    return bytes(message), count


def unbundle(message: bytes) -> list[bytes]:
    """The datagrams of a message; a cut or foreign end is left out."""
    out, at = [], 0
    while at + 2 <= len(message):
        size = int.from_bytes(message[at : at + 2], "big")
        if size == 0 or at + 2 + size > len(message):
            break
        out.append(bytes(message[at + 2 : at + 2 + size]))
        at += 2 + size
    return out
