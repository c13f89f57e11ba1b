"""Seeded mutations of byte strings, and the repair that takes them past a CRC.

Noise never gets past a CRC-32, so mutations alone would only ever test the check itself: every wire
target is fuzzed twice, as it came (below the CRC) and with each datagram's CRC made right (above it).
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence

from gvc_protocol.wire import CRC_BYTES, HEADER_BYTES, OVERHEAD_BYTES, SYNC, datagram_size

__all__ = ["Mutator", "fix_crcs"]

_EDGES = (0, 1, 2, 0x7F, 0x80, 0x81, 0xFE, 0xFF)
_VARINTS = (
    b"\x00", b"\x7f", b"\x80\x00", b"\x80\x01", b"\xff\x7f", b"\xff\xff\x03", b"\x80\x80\x80\x80\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\xff" * 10,
)  # fmt: skip
_MOST_BYTES = 6000


def fix_crcs(data: bytes) -> bytes:
    """The same bytes, where every datagram that is long enough for its CRC has the right one."""
    out, at = bytearray(data), 0
    while (at := out.find(SYNC, at)) >= 0:
        size = datagram_size(out, at)
        if size is None or at + size > len(out):
            at += 1
            continue
        end = at + size - CRC_BYTES
        out[end : end + CRC_BYTES] = zlib.crc32(out[at + 2 : end]).to_bytes(4, "big")
        at += size
    return bytes(out)


class Mutator:
    """Draws inputs from a seed corpus; the same seed gives the same inputs."""

    def __init__(self, seed: int, corpus: Sequence[bytes]) -> None:
        self._dice = random.Random(seed)
        self._corpus = [s for s in corpus if s] or [b"\0"]
        self._moves: tuple[Callable[[bytearray], None], ...] = (
            self._flip, self._flip, self._set, self._set, self._edge, self._varint, self._delete,
            self._insert, self._cut, self._repeat, self._splice, self._header, self._zeros,
        )  # fmt: skip

    def draw(self) -> bytes:
        """One input: a seed changed in one to five ways, rarely plain noise."""
        dice = self._dice
        if dice.random() < 0.02:
            return dice.randbytes(dice.randrange(200))
        data = bytearray(dice.choice(self._corpus))
        for _ in range(1 + int(dice.random() ** 2 * 5)):
            dice.choice(self._moves)(data)
            if not data:
                break
        return bytes(data[:_MOST_BYTES])

    def change(self, data: bytes) -> bytes:
        """One change of an input that somebody else drew (atheris)."""
        out = bytearray(data or b"\0")
        self._dice.choice(self._moves)(out)
        return bytes(out[:_MOST_BYTES])

    def _at(self, data: bytearray) -> int:
        # Heads matter more than bodies: half of the hits fall into the first 24 bytes.
        top = min(len(data), 24) if self._dice.random() < 0.5 else len(data)
        return int(self._dice.random() * top)

    def _flip(self, data: bytearray) -> None:
        data[self._at(data)] ^= 1 << self._dice.randrange(8)

    def _set(self, data: bytearray) -> None:
        data[self._at(data)] = self._dice.randrange(256)

    def _edge(self, data: bytearray) -> None:
        data[self._at(data)] = self._dice.choice(_EDGES)

    def _varint(self, data: bytearray) -> None:
        at = self._at(data)
        new = self._dice.choice(_VARINTS)
        data[at : at + self._dice.randrange(1, 4)] = new

    def _delete(self, data: bytearray) -> None:
        at = self._at(data)
        del data[at : at + self._dice.randrange(1, 9)]

    def _insert(self, data: bytearray) -> None:
        at = self._at(data)
        data[at:at] = self._dice.randbytes(self._dice.randrange(1, 9))

    def _cut(self, data: bytearray) -> None:
        del data[self._at(data) :]

    def _repeat(self, data: bytearray) -> None:
        at = self._at(data)
        piece = data[at : at + self._dice.randrange(1, 64)]
        data[at:at] = piece * self._dice.randrange(1, 4)

    def _splice(self, data: bytearray) -> None:
        other = self._dice.choice(self._corpus)
        data[self._at(data) :] = other[int(self._dice.random() * len(other)) :]

    def _zeros(self, data: bytearray) -> None:
        at = self._at(data)
        size = min(self._dice.randrange(1, 32), len(data) - at)
        data[at : at + size] = bytes(size)

    def _header(self, data: bytearray) -> None:
        """One header field of one datagram, where there is one: lengths and counts lie there."""
        starts = [i for i in range(len(data) - OVERHEAD_BYTES) if data[i : i + 2] == SYNC]
        if starts:
            at = self._dice.choice(starts) + self._dice.randrange(2, HEADER_BYTES)
            data[at] = self._dice.choice((*_EDGES, self._dice.randrange(256)))
