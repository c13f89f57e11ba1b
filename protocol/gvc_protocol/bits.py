"""Bits, most significant first: for indexes in which whole bytes would cost too much."""

from __future__ import annotations

from gvc_protocol.errors import LocalProtocolError

__all__ = ["BitReader", "BitWriter", "BitsError"]


class BitsError(ValueError):
    """The bits end before the value does."""


class BitWriter:
    """Collects bits; the last byte is filled with zeros."""

    def __init__(self) -> None:
        self._value, self._count = 0, 0

    def put(self, value: int, bits: int) -> None:
        """Append `value` in so many bits. Raises LocalProtocolError when it does not fit."""
        if not 0 <= value < 1 << bits:
            raise LocalProtocolError(f"{value} does not fit in {bits} bits")
        self._value, self._count = self._value << bits | value, self._count + bits

    def put_sized(self, value: int, size_bits: int) -> None:
        """Append a number above 0: how many bits it has, then those after its leading one."""
        length = value.bit_length()
        self.put(length - 1, size_bits)
        self.put(value - (1 << (length - 1)), length - 1)

    def bytes(self) -> bytes:
        """Everything so far."""
        pad = -self._count % 8
        return (self._value << pad).to_bytes((self._count + pad) // 8, "big")


class BitReader:
    """Reads what `BitWriter` wrote, from a byte on."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._at = data, start * 8

    def take(self, bits: int) -> int:
        """The next number. Raises BitsError at the end of the data."""
        end = self._at + bits
        if end > len(self._data) * 8:
            raise BitsError("out of bits")
        first, last = self._at // 8, -(-end // 8)
        window = int.from_bytes(self._data[first:last], "big")
        self._at = end
        return window >> (last * 8 - end) & ((1 << bits) - 1)

    def take_sized(self, size_bits: int) -> int:
        """Inverse of `BitWriter.put_sized`."""
        length = self.take(size_bits)
        return 1 << length | self.take(length)

    @property
    def end(self) -> int:
        """The byte after the last one touched."""
        return -(-self._at // 8)
