"""XBee API frames (Digi 90002173), plain (AP=1) or escaped (AP=2).

    7E  length (2)  frame data  checksum = FF - sum(frame data)

In escaped mode 7E, 7D, 11 and 13 behind the delimiter are sent as 7D, byte XOR 20.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BROADCAST", "AtReply", "ModemStatus", "Received", "TxStatus", "XbeeFrame", "XbeeReader",
    "at_command", "tx_request", "xbee_pack",
]  # fmt: skip

BROADCAST = 0xFFFF
_SPECIAL = (0x7E, 0x7D, 0x11, 0x13)
_MAX_FRAME_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """RX packet (90): `source` is the sender's 64 bit address."""

    source: int
    data: bytes
    broadcast: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TxStatus:
    """Transmit status (8B). Status 0 = sent; 01 no ACK, 02 CCA failure, 74 payload too large."""

    frame_id: int
    retries: int
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AtReply:
    """Answer to a local AT command (88). Status 0 = OK."""

    frame_id: int
    name: str
    status: int
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ModemStatus:
    """Modem status (8A): 0 = hardware reset, 1 = watchdog reset."""

    status: int


XbeeFrame = Received | TxStatus | AtReply | ModemStatus


def xbee_pack(frame_data: bytes, *, escaped: bool) -> bytes:
    """Delimiter, length and checksum around frame data."""
    body = len(frame_data).to_bytes(2, "big") + frame_data
    body += bytes([0xFF - (sum(frame_data) & 0xFF)])
    if escaped:
        body = b"".join(bytes([0x7D, b ^ 0x20]) if b in _SPECIAL else bytes([b]) for b in body)
    return b"\x7e" + body


def tx_request(
    data: bytes, *, frame_id: int, address: int = BROADCAST, no_ack: bool = True
) -> bytes:
    """Frame data of a TX request (10) to a 64 bit address; broadcast reaches all of the network."""
    head = bytes([0x10, frame_id & 0xFF]) + (address & (1 << 64) - 1).to_bytes(8, "big")
    return head + b"\xff\xfe\x00" + bytes([0x01 if no_ack else 0x00]) + data


def at_command(name: str, value: bytes = b"", *, frame_id: int) -> bytes:
    """Frame data of a local AT command (08), two letters; without a value it asks."""
    return bytes([0x08, frame_id & 0xFF]) + name.encode("ascii", "replace")[:2] + value


def _parse(body: bytes) -> XbeeFrame | None:
    """Frame data to a value; None for kinds that nobody here needs, and for short ones."""
    kind, size = body[0], len(body)
    if kind == 0x90 and size >= 12:
        source = int.from_bytes(body[1:9], "big")
        return Received(source=source, data=body[12:], broadcast=bool(body[11] & 0x02))
    if kind == 0x8B and size >= 7:
        return TxStatus(frame_id=body[1], retries=body[4], status=body[5])
    if kind == 0x88 and size >= 5:
        name = body[2:4].decode("ascii", "replace")
        return AtReply(frame_id=body[1], name=name, status=body[4], value=body[5:])
    if kind == 0x8A and size >= 2:
        return ModemStatus(status=body[1])
    return None


class XbeeReader:
    """Bytes of the radio in, frames out."""

    def __init__(self, *, escaped: bool) -> None:
        self._escaped = escaped
        self._buffer = bytearray()
        self.dropped = 0
        "Frames whose checksum or length was wrong."

    def feed(self, data: bytes) -> list[XbeeFrame]:
        """Whole frames so far."""
        self._buffer += data
        out: list[XbeeFrame] = []
        while (start := self._buffer.find(b"\x7e")) >= 0:
            del self._buffer[:start]
            used, body = self._frame()
            if used == 0:
                return out
            del self._buffer[:used]
            if body is None:
                self.dropped += 1
            elif (frame := _parse(body)) is not None:
                out.append(frame)
        self._buffer.clear()
        return out

    def _frame(self) -> tuple[int, bytes | None]:
        """(bytes used, frame data) of the frame at the buffer's start; 0 used = wait for more."""
        if not self._escaped:
            return self._plain_frame()
        plain = bytearray()
        at, need = 1, 2
        while len(plain) < need:
            if at >= len(self._buffer):
                return 0, None
            byte = self._buffer[at]
            at += 1
            if byte == 0x7E:
                return at - 1, None  # a new frame begins: this one lost bytes
            if byte == 0x7D:
                if at >= len(self._buffer):
                    return 0, None
                byte = self._buffer[at] ^ 0x20
                at += 1
            plain.append(byte)
            if len(plain) == 2:
                length = int.from_bytes(plain, "big")
                if not 1 <= length <= _MAX_FRAME_BYTES:
                    return 1, None
                need = length + 3
        return self._checked(at, bytes(plain[2:]))

    def _plain_frame(self) -> tuple[int, bytes | None]:
        # In slices: noise is full of delimiters, and byte by byte each of them cost a frame's length.
        if len(self._buffer) < 3:
            return 0, None
        length = int.from_bytes(self._buffer[1:3], "big")
        if not 1 <= length <= _MAX_FRAME_BYTES:
            return 1, None
        end = length + 4
        if len(self._buffer) < end:
            return 0, None
        return self._checked(end, bytes(self._buffer[3:end]))

    @staticmethod
    def _checked(used: int, body: bytes) -> tuple[int, bytes | None]:
        # A wrong frame may have swallowed the start of a good one: look again behind its delimiter.
        return (used, body[:-1]) if sum(body) & 0xFF == 0xFF else (1, None)
