"""Signed numbers and constant-velocity prediction: what moves evenly costs a byte a coordinate."""

from __future__ import annotations

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.varint import pull_varint, push_varint

__all__ = ["divide_rounded", "predict", "pull_signed", "push_signed"]


def push_signed(out: bytearray, value: int) -> None:
    """Append `value` (-2**62..2**62-1) as a zigzag varint: 0, -1, 1, -2 ... become 0, 1, 2, 3 ..."""
    if not -(1 << 62) <= value < 1 << 62:
        raise LocalProtocolError(f"signed varint out of range: {value}")
    push_varint(out, 2 * value if value >= 0 else -2 * value - 1)


def pull_signed(data: bytes, at: int) -> tuple[int, int]:
    """Read a zigzag varint at offset `at`: (value, offset after it). Raises VarintError."""
    raw, at = pull_varint(data, at)
    return (raw >> 1) ^ -(raw & 1), at


def divide_rounded(number: int, divisor: int) -> int:
    """`number / divisor` to the nearest integer, halves upwards; the divisor is above 0.

    Written out because both ends must round alike, whatever their language does with negatives.
    """
    return (2 * number + divisor) // (2 * divisor)


def predict(before: int, last: int, span: int, ahead: int) -> int:
    """Where a value stands `ahead` after `last` if it goes on as it went in the `span` before."""
    return last + divide_rounded((last - before) * ahead, span)
