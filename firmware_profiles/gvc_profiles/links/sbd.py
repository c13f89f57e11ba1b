"""`sbd:DEVICE`: Iridium short burst data, several packets in one message.

Write the message (AT+SBDWB), run a session (AT+SBDIX), on failure wait longer each time; a
message that the session brought is read (AT+SBDRB). Nothing leaves the queue before
a session has taken it.
"""

from __future__ import annotations

import re
from collections import deque

from gvc_profiles.links.base import ByteLink, LinkState
from gvc_profiles.links.framed import FramedLink
from gvc_profiles.links.port import open_port
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile
from gvc_protocol.framings.lines import LineReader
from gvc_protocol.framings.sbd import (
    bundle,
    parse_session,
    retry_wait_s,
    sbd_read,
    sbd_write,
    unbundle,
)

__all__ = ["SbdDriver", "open_sbd"]

_ANSWER_S, _SESSION_S, _LISTEN_S = 5.0, 90.0, 60.0
_QUEUE = 8


class SbdDriver:
    """One command at a time. `mail_s`: seconds between sessions that only ask for mail."""

    def __init__(self, message_bytes: int, mail_s: float) -> None:
        self._room, self._mail_s = message_bytes, mail_s
        self._packets: deque[bytes] = deque()
        self._failures = 0
        self._bars: int | None = None
        self.start(0.0)

    def start(self, now: float) -> None:
        self._reader = LineReader(512)
        self._binary: bytearray | None = None
        self._todo: deque[bytes] = deque([b"ATE0\r", b"AT&K0\r", b"AT+SBDMTA=1\r", b"AT+SBDD0\r"])
        self._asked, self._deadline, self._in_message = b"", 0.0, 0
        self._try_at, self._mail_at = now, now + self._mail_s
        self._problem = ""

    def send(self, data: bytes, now: float) -> None:
        self._packets.append(data)

    def feed(self, raw: bytes, now: float) -> list[bytes]:
        if self._binary is not None:
            self._binary += raw
            return self._read_binary(now)
        out: list[bytes] = []
        for line in self._reader.feed(raw):
            self._line(line, now)
        return out

    def _read_binary(self, now: float) -> list[bytes]:
        assert self._binary is not None
        # A modem that still echoes gives the command back before the length.
        if self._binary.startswith(b"AT+SBDRB\r"):
            del self._binary[: len(b"AT+SBDRB\r")]
        used, message = sbd_read(bytes(self._binary))
        if used == 0:
            return []
        rest, self._binary = bytes(self._binary[used:]), None
        for line in self._reader.feed(rest):
            self._line(line, now)
        return [] if message is None else unbundle(message)

    def _line(self, line: str, now: float) -> None:
        asked = self._asked
        if line == "SBDRING":
            self._mail_at = now
        elif line == "READY" and asked.startswith(b"AT+SBDWB"):
            message, self._in_message = bundle(self._packets, self._room)
            self._todo.appendleft(sbd_write(message))
            self._asked = b""
        elif (session := parse_session(line)) is not None:
            self._mail_at = now + (0 if session.mt_queued else self._mail_s)
            if session.received:
                self._todo.append(b"AT+SBDRB\r")
            if self._in_message and session.sent:
                for _ in range(min(self._in_message, len(self._packets))):
                    self._packets.popleft()
                self._failures, self._problem = 0, ""
            elif not session.sent:
                self._failed(now, f"session failed (code {session.mo_status})")
            self._in_message = 0
        elif (match := re.fullmatch(r"\+CSQF?:\s*(\d)", line)) is not None:
            self._bars = int(match[1])
        elif line in ("OK", "ERROR") and asked:
            self._asked = b""
            if line == "ERROR" and asked.startswith((b"AT+SBDWB", b"AT+SBDIX")):
                self._failed(now, f"the modem refused {asked.decode().strip()}")

    def _failed(self, now: float, why: str) -> None:
        self._failures += 1
        wait = retry_wait_s(self._failures)
        self._try_at, self._in_message = now + wait, 0
        self._problem = f"{why}; next try in {wait:.0f} s"

    def output(self, now: float) -> bytes:
        if self._asked:
            if now <= self._deadline:
                return b""
            self.start(now)
            self._failed(now, "the modem does not answer")
        if not self._todo and now >= self._try_at:
            if self._packets:
                size = len(bundle(self._packets, self._room)[0])
                self._todo += [b"AT+CSQF\r", f"AT+SBDWB={size}\r".encode(), b"AT+SBDIX\r"]
            elif now >= self._mail_at:
                self._todo += [b"AT+SBDD0\r", b"AT+SBDIX\r"]
                self._mail_at = now + _LISTEN_S
        if not self._todo:
            return b""
        self._asked = self._todo.popleft()
        if self._asked == b"AT+SBDRB\r":
            self._binary = bytearray()
        slow = self._asked.startswith(b"AT+SBDIX")
        self._deadline = now + (_SESSION_S if slow else _ANSWER_S)
        return self._asked

    def state(self, now: float) -> LinkState:
        waiting = len(self._packets)
        return LinkState(
            can_send=waiting < _QUEUE, waiting_packets=waiting, problem=self._problem,
            signal_bars=self._bars, queue_free_percent=100 * max(0, 1 - waiting / _QUEUE),
        )  # fmt: skip


def open_sbd(url: LinkUrl, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """Open a modem. Option `mail`: seconds between sessions that only ask for mail (they cost)."""
    mail_s = url.options({"mail": 60.0 if listen else 600.0})["mail"]
    driver = SbdDriver(profile.radio_packet_bytes, mail_s)
    return FramedLink(lambda: open_port(url, profile, listen=False), driver)
