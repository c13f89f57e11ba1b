"""AX.25 2.2 unnumbered information (UI) frames, as a KISS TNC takes and gives them (no FCS).

    destination (7) source (7) digipeaters (0..8 x 7)  control 03  PID F0  information

The source call sign is in clear in each frame, which is the station identification of amateur law.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gvc_protocol.errors import UserError

__all__ = ["Callsign", "UiFrame"]

_UI, _NO_LAYER_3 = 0x03, 0xF0
_TEXT = re.compile(r"([A-Z0-9]{1,6})(?:-(\d{1,2}))?")
_ADDRESS_BYTES = 7


@dataclass(frozen=True, slots=True)
class Callsign:
    """A call sign of at most 6 letters and digits, and a station number (SSID) 0..15."""

    call: str
    ssid: int = 0

    @classmethod
    def parse(cls, text: str) -> Callsign:
        """From `N0CALL-7`.

        Raises:
            UserError: it is no call sign.
        """
        match = _TEXT.fullmatch(text.strip().upper())
        if match is None or int(match[2] or 0) > 15:
            raise UserError(f"{text!r} is no call sign; write it like N0CALL or N0CALL-7 (0 to 15)")
        return cls(match[1], int(match[2] or 0))

    def __str__(self) -> str:
        return f"{self.call}-{self.ssid}" if self.ssid else self.call

    def pack(self, *, last: bool, command: bool) -> bytes:
        """Seven bytes: letters shifted left, then C bit, reserved bits, SSID and end bit."""
        letters = bytes(ord(c) << 1 for c in self.call.ljust(6))
        return letters + bytes([command << 7 | 0x60 | self.ssid << 1 | last])

    @classmethod
    def unpack(cls, raw: bytes) -> Callsign | None:
        """None when these seven bytes are no address."""
        if len(raw) != _ADDRESS_BYTES:
            return None
        letters = bytes(b >> 1 for b in raw[:6]).decode("latin-1").rstrip(" ")
        if any(b & 1 for b in raw[:6]) or not re.fullmatch(r"[A-Z0-9]{1,6}", letters):
            return None
        return cls(letters, raw[6] >> 1 & 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class UiFrame:
    """One UI frame without layer 3."""

    destination: Callsign
    source: Callsign
    info: bytes
    via: tuple[Callsign, ...] = ()

    def pack(self) -> bytes:
        """Bytes for KISS."""
        path = (self.destination, self.source, *self.via)
        head = b"".join(c.pack(last=i == len(path) - 1, command=i == 0) for i, c in enumerate(path))
        return head + bytes([_UI, _NO_LAYER_3]) + self.info

    @classmethod
    def unpack(cls, raw: bytes) -> UiFrame | None:
        """None for anything that is no UI frame without layer 3."""
        path: list[Callsign] = []
        at, ended = 0, False
        while not ended and len(path) < 10 and len(raw) >= at + 7:
            address = Callsign.unpack(raw[at : at + 7])
            if address is None:
                return None
            path.append(address)
            ended = bool(raw[at + 6] & 1)
            at += 7
        if not ended or len(path) < 2 or len(raw) < at + 2:
            return None
        # Bit 4 of control is poll/final, which a UI frame may carry.
        if raw[at] & ~0x10 != _UI or raw[at + 1] != _NO_LAYER_3:
            return None
        return cls(
            destination=path[0], source=path[1], via=tuple(path[2:]), info=bytes(raw[at + 2 :])
        )
