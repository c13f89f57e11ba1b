"""KISS and AX.25 UI frames, written here a second time: the peer must not share code with the link.

KISS: http://www.ax25.net/kiss.aspx. AX.25 2.2, sections 3.12 (addresses) and 4.3.3.6 (UI frames).
"""

from __future__ import annotations

__all__ = ["KissReader", "kiss", "ui_frame", "ui_payload"]

_FEND, _FESC, _TFEND, _TFESC = 0xC0, 0xDB, 0xDC, 0xDD
_UI, _NO_LAYER_3 = 0x03, 0xF0
_HEADER_BYTES = 16


def _address(call: str, ssid: int, *, last: bool) -> bytes:
    return bytes(ord(c) << 1 for c in call.ljust(6)) + bytes([0x60 | ssid << 1 | last])


def ui_frame(payload: bytes) -> bytes:
    """An unnumbered information frame, without its FCS: the modem adds that."""
    head = _address("GVC", 0, last=False) + _address("N0CALL", 1, last=True)
    return head + bytes([_UI, _NO_LAYER_3]) + payload


def ui_payload(frame: bytes) -> bytes | None:
    """The information field of a UI frame of ours, or None."""
    if frame[:_HEADER_BYTES] != ui_frame(b""):
        return None
    return frame[_HEADER_BYTES:]


def kiss(frame: bytes) -> bytes:
    """One frame for port 0, command 0 (data)."""
    escaped = frame.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
    return bytes([_FEND, 0]) + escaped + bytes([_FEND])


class KissReader:
    """KISS bytes in, data frames out."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        *whole, self._buffer = (self._buffer + data).split(bytes([_FEND]))
        frames = [f.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb") for f in whole]
        return [f[1:] for f in frames if f[:1] == b"\0" and len(f) > 1]
