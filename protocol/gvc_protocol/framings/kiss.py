"""KISS (Chepponis and Karn, 1987): frames to and from a TNC, over serial or TCP.

FEND (C0)  port << 4 | command  data, with C0 -> DB DC and DB -> DB DD  FEND
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KissFrame", "KissReader", "kiss_pack"]

FEND, FESC, TFEND, TFESC = 0xC0, 0xDB, 0xDC, 0xDD
_MAX_FRAME_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class KissFrame:
    """One frame. Command 0 is data; 1 TXDELAY, 2 persistence, 3 slot time, 4 TX tail, 5 full duplex."""

    data: bytes
    port: int = 0
    command: int = 0


def kiss_pack(data: bytes, *, port: int = 0, command: int = 0) -> bytes:
    """One frame for the TNC, FEND at both ends: the first one ends whatever noise came before."""
    body = bytes([(port & 15) << 4 | (command & 15)]) + data
    escaped = body.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
    return bytes([FEND]) + escaped + bytes([FEND])


class KissReader:
    """Bytes of the TNC in, frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inside = False
        self.dropped = 0
        "Frames with a wrong escape or longer than 4096 bytes."

    def feed(self, data: bytes) -> list[KissFrame]:
        """Whole frames so far. What comes before the first FEND is no frame."""
        out: list[KissFrame] = []
        pieces = data.split(bytes([FEND]))
        for i, piece in enumerate(pieces):
            if i:
                out += self._end()
                self._inside = True
            if self._inside and len(self._buffer) <= 2 * _MAX_FRAME_BYTES:
                self._buffer += piece
        return out

    def _end(self) -> list[KissFrame]:
        raw, self._buffer = bytes(self._buffer), bytearray()
        if not raw:
            return []
        body = _unescape(raw)
        if body is None or not 1 <= len(body) <= _MAX_FRAME_BYTES:
            self.dropped += 1
            return []
        return [KissFrame(data=body[1:], port=body[0] >> 4, command=body[0] & 15)]


def _unescape(raw: bytes) -> bytes | None:
    first, *others = raw.split(bytes([FESC]))
    out = bytearray(first)
    for part in others:
        if not part or part[0] not in (TFEND, TFESC):
            return None
        out.append(FEND if part[0] == TFEND else FESC)
        out += part[1:]
    return bytes(out)
