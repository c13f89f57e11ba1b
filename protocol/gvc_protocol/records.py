"""What all records of messages share: their numbers, their form, and readers of their fields."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import ClassVar, Protocol

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.varint import VarintError, pull_varint, push_varint

__all__ = [
    "MAX_BODY_BYTES", "Record", "RecordKind", "exactly", "pull_all", "pull_u16", "push_time",
    "push_u16", "small", "varints",
]  # fmt: skip

MAX_BODY_BYTES = 1 << 20
_U16 = struct.Struct(">H")


class RecordKind(IntEnum):
    """Record types of a message. Never reused."""

    REPORT = 1
    ACK = 2
    KEYFRAME_REQUEST = 3
    REGION_REQUEST = 4
    RATE_COMMAND = 5
    MODE_COMMAND = 6
    TIME_ASK = 7
    TIME_ANSWER = 8
    OPERATOR_TEXT = 9
    RESUME = 10
    REGION_ANSWER = 11
    SETTING = 12
    UNIT_ANSWER = 13
    ARRIVALS = 14


class Record(Protocol):
    """One record: a value with a type number."""

    kind: ClassVar[RecordKind]

    def pack(self) -> bytes:
        """The record's value. Raises LocalProtocolError when a field does not fit."""


def varints(*values: int) -> bytes:
    """Varints one after the other."""
    out = bytearray()
    for value in values:
        push_varint(out, value)
    return bytes(out)


def pull_all(data: bytes, count: int) -> list[int]:
    """Exactly `count` varints that fill `data`."""
    at, values = 0, []
    for _ in range(count):
        value, at = pull_varint(data, at)
        values.append(value)
    if at != len(data):
        raise VarintError("bytes left over")
    return values


def exactly(data: bytes, at: int, size: int) -> bytes:
    """What lies behind `at`, which must be `size` bytes."""
    if len(data) != at + size:
        raise VarintError("record of another length")
    return data[at:]


def push_u16(value: int) -> bytes:
    """Two bytes. Raises LocalProtocolError."""
    if not 0 <= value <= 0xFFFF:
        raise LocalProtocolError(f"{value} does not fit in 16 bits")
    return _U16.pack(value)


def push_time(value: int) -> bytes:
    """Microseconds since 1970, eight bytes. Raises LocalProtocolError."""
    if not 0 <= value < 1 << 64:
        raise LocalProtocolError(f"{value} is no time")
    return value.to_bytes(8, "big")


def small(value: int) -> int:
    """The value, if it fits in a byte. Raises LocalProtocolError."""
    if not 0 <= value <= 255:
        raise LocalProtocolError(f"{value} does not fit in a byte")
    return value


def pull_u16(data: bytes) -> int:
    """The first two bytes. Raises VarintError."""
    if len(data) < 2:
        raise VarintError("record of another length")
    return int(_U16.unpack_from(data)[0])
