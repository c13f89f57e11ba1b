"""The datagram (WIRE.md, section 1): pack and unpack side by side, nothing else."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from gvc_protocol.errors import LocalProtocolError

__all__ = [
    "CRC_BYTES",
    "HEADER_BYTES",
    "MAX_PAYLOAD_BYTES",
    "OVERHEAD_BYTES",
    "SYNC",
    "TAG_BYTES",
    "Datagram",
    "RejectReason",
    "WirePart",
    "datagram_size",
    "nearest",
]

SYNC = b"\xeb\x90"
VERSION = 1
FLAG_TAG, FLAG_ENCRYPTED, FLAG_FROM_BASE, FLAG_OVER = 0x01, 0x02, 0x04, 0x08
TAG_BYTES = 8
CRC_BYTES = 4
MAX_PAYLOAD_BYTES = 0x7FF
SEQ_BITS = 24
UNIT_BITS = 16
_FIXED = struct.Struct(">BHHH")  # version and flags, part and length, stream, boot
_TAIL = struct.Struct(">HBBB")  # unit, block, symbol, k - 1
HEADER_BYTES = len(SYNC) + _FIXED.size + 3 + _TAIL.size
OVERHEAD_BYTES = HEADER_BYTES + CRC_BYTES
_CRC = struct.Struct(">I")


class WirePart(IntEnum):
    """Values of the part field. 0..2 equal `codec.Part`; 3 is the back-channel's."""

    DESCRIPTORS = 0
    KEYFRAME = 1
    FEATURES = 2
    MESSAGE = 3


class RejectReason(IntEnum):
    """Why bytes were not taken for a datagram. Numbers are archived; never reused."""

    NO_SYNC = 1
    TRUNCATED = 2
    BAD_CRC = 3
    BAD_VERSION = 4
    BAD_FLAGS = 5
    TOO_LONG = 6
    BAD_FIELD = 7
    CONFLICT = 8
    "Same unit, part and block as another datagram, but another k or symbol size."
    BAD_TAG = 9
    "With a key: the tag is not the one that the key gives. Forged, or of a team with another key."
    NO_TAG = 10
    "With a key: nobody vouches for it."
    ENCRYPTED = 11
    "Without a key: it cannot be read."
    REPLAY = 12
    "With a key: of an earlier boot, or older than the window of numbers that are kept."
    WRONG_DIRECTION = 13
    "Our own side's datagram: heard back, or thrown back at us."


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """One symbol on its way. `seq` and `unit_no` hold the low bits once unpacked."""

    part: int
    last: bool
    k_sent: bool
    f_sent: bool
    stream_id: int
    boot_id: int
    seq: int
    unit_no: int
    block_no: int
    symbol: int
    k: int
    payload: bytes
    tag: bytes = b""
    encrypted: bool = False
    "The payload is ciphertext; there is a tag then, too."
    from_base: bool = False
    "Sent by the base station to a camera."
    over: bool = False
    "The sender listens now: half-duplex links answer in this window."

    def pack(self) -> bytes:
        """Bytes from sync to CRC. Raises LocalProtocolError when a field does not fit."""
        if len(self.tag) not in (0, TAG_BYTES):
            raise LocalProtocolError(f"tag must be {TAG_BYTES} bytes or absent")
        body = self.header(tagged=bool(self.tag)) + self.payload + self.tag
        return SYNC + body + _CRC.pack(zlib.crc32(body))

    def header(self, *, tagged: bool) -> bytes:
        """Bytes 2..17 of the datagram: what lies between sync and payload, and what a tag covers.

        Raises:
            LocalProtocolError: a field does not fit.
        """
        size = len(self.payload)
        fits = 0 < size <= MAX_PAYLOAD_BYTES and 1 <= self.k <= 256 and 0 <= self.symbol <= 255
        ids = 0 <= self.stream_id <= 0xFFFF and 0 <= self.boot_id <= 0xFFFF
        numbers = self.seq >= 0 and self.unit_no >= 0 and 0 <= self.block_no <= 255
        if not (fits and ids and numbers and 0 <= self.part <= 3):
            raise LocalProtocolError(f"datagram field out of range: {self}")
        if self.encrypted and not tagged:
            raise LocalProtocolError("an encrypted datagram has a tag")
        kind = self.part << 14 | self.last << 13 | self.k_sent << 12 | self.f_sent << 11 | size
        flags = tagged | self.encrypted << 1 | self.from_base << 2 | self.over << 3
        body = _FIXED.pack(VERSION << 4 | flags, kind, self.stream_id, self.boot_id)
        body += (self.seq & (1 << SEQ_BITS) - 1).to_bytes(3, "big")
        unit = self.unit_no & (1 << UNIT_BITS) - 1
        return body + _TAIL.pack(unit, self.block_no, self.symbol, self.k - 1)

    @classmethod
    def unpack(cls, data: bytes) -> Datagram | RejectReason:
        """Read exactly one datagram that fills `data`. Never raises: a reason is a value."""
        if data[:2] != SYNC:
            return RejectReason.NO_SYNC
        size = datagram_size(data)
        if size is None or len(data) < size:
            return RejectReason.TRUNCATED
        if len(data) > size:
            return RejectReason.TOO_LONG
        body = data[2:-CRC_BYTES]
        if zlib.crc32(body) != _CRC.unpack(data[-CRC_BYTES:])[0]:
            return RejectReason.BAD_CRC
        return _read_body(body)


def _read_body(body: bytes) -> Datagram | RejectReason:
    """Fields of a datagram whose CRC is right; `body` lies between sync and CRC."""
    first, kind, stream_id, boot_id = _FIXED.unpack_from(body, 0)
    if first >> 4 != VERSION:
        return RejectReason.BAD_VERSION
    flags = first & 0x0F
    if flags & (FLAG_TAG | FLAG_ENCRYPTED) == FLAG_ENCRYPTED:
        return RejectReason.BAD_FLAGS
    at = _FIXED.size
    seq = int.from_bytes(body[at : at + 3], "big")
    unit_no, block_no, symbol, k_less_1 = _TAIL.unpack_from(body, at + 3)
    start = at + 3 + _TAIL.size
    size = kind & MAX_PAYLOAD_BYTES
    if size == 0:
        return RejectReason.BAD_FIELD
    return Datagram(
        part=kind >> 14, last=bool(kind & 1 << 13),
        k_sent=bool(kind & 1 << 12), f_sent=bool(kind & 1 << 11),
        stream_id=stream_id, boot_id=boot_id, seq=seq, unit_no=unit_no,
        block_no=block_no, symbol=symbol, k=k_less_1 + 1,
        payload=body[start : start + size], tag=body[start + size :],
        encrypted=bool(flags & FLAG_ENCRYPTED), from_base=bool(flags & FLAG_FROM_BASE),
        over=bool(flags & FLAG_OVER),
    )  # fmt: skip


def datagram_size(data: bytes | bytearray, at: int = 0) -> int | None:
    """Length that the datagram starting at `at` claims, or None while the field is not there."""
    if len(data) < at + 5:
        return None
    tag = TAG_BYTES if data[at + 2] & FLAG_TAG else 0
    payload = (data[at + 3] << 8 | data[at + 4]) & MAX_PAYLOAD_BYTES
    return OVERHEAD_BYTES + payload + tag


def nearest(low: int, bits: int, expected: int) -> int:
    """The number with these low bits that is nearest to `expected`, never negative.

    The rule of RFC 9000, A.3, for truncated packet numbers: of two equally near, the higher.
    """
    span = 1 << bits
    base = (expected & ~(span - 1)) | low
    candidates = (base - span, base, base + span)
    return min((c for c in candidates if c >= 0), key=lambda c: (abs(c - expected), -c))
