"""Unsigned LEB128 integers, at most 63 bits: small numbers cost one byte on a slow radio."""

from __future__ import annotations

from gvc_protocol.errors import LocalProtocolError

__all__ = ["VarintError", "pull_varint", "push_varint"]

_MAX_BYTES = 9


class VarintError(ValueError):
    """The bytes at this place are not a varint. Caught inside this package, never seen outside."""


def push_varint(out: bytearray, value: int) -> None:
    """Append `value` (0..2**63-1), seven bits a byte, low bits first, top bit = more follows."""
    if not 0 <= value < 1 << 63:
        raise LocalProtocolError(f"varint out of range: {value}")
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def pull_varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a varint at offset `at`: (value, offset after it). Raises VarintError on cut or overlong."""
    value = 0
    for count in range(_MAX_BYTES):
        if at + count >= len(data):
            break
        byte = data[at + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if byte == 0 and count:
                break  # overlong: one number, one encoding
            return value, at + count + 1
    raise VarintError(f"no varint at offset {at}")
