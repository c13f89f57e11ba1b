"""Codec 0 on the wire: what lies inside the keyframe part K and the features part F.

    K = version | varint offset | gain_low | gain_high | AV1 temporal unit of one still
    F = version | varint step | varint last | { varint size | AV1 temporal unit }*

F's coded frame i stands at source frame min(i * step, last) of its unit, so the first and the last
frame are always coded and everything between lies between two coded frames. The temporal units stand
in decoding order and each shows exactly one frame: any prefix of F decodes its first frames.
The two parts need neither each other nor part D. AV1 carries 4:2:0, BT.601 limited range.

Readers are total: damaged bytes give None or a shorter list, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.varint import VarintError, pull_varint, push_varint

__all__ = ["BITSTREAM_VERSION", "MAX_OFFSET", "FeaturesPart", "KeyframePart", "coded_offsets"]

BITSTREAM_VERSION = 1
"Version of both layouts; the first byte of each part and `CodecSpec.bitstream_version`."

MAX_OFFSET = 100_000
"Largest frame offset inside a unit, as for the frame count in part D."

_MAX_STEP = 255


def coded_offsets(step: int, last: int) -> list[int]:
    """Source frames, counted from the unit's first, that F codes: 0, step, 2*step, ..., last."""
    return [*range(0, last, step), last]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyframePart:
    """One still picture and how much of it is worth carrying to other frames."""

    offset: int
    "Source frame, counted from the unit's first, that the still shows."
    gain_low: int
    "0..255: share of (still - F at the still's moment) to add in the band that F can carry."
    gain_high: int
    "0..255: share of the still's detail, which F's size cannot hold, to add."
    obus: bytes
    "One AV1 temporal unit."

    def pack(self) -> bytes:
        """Bytes of part K. Raises LocalProtocolError when a field is out of range."""
        gains = 0 <= self.gain_low <= 255 and 0 <= self.gain_high <= 255
        if not (gains and 0 <= self.offset <= MAX_OFFSET and self.obus):
            raise LocalProtocolError(f"keyframe field out of range at offset {self.offset}")
        out = bytearray([BITSTREAM_VERSION])
        push_varint(out, self.offset)
        out += bytes([self.gain_low, self.gain_high])
        return bytes(out) + self.obus

    @classmethod
    def unpack(cls, data: bytes) -> KeyframePart | None:
        """Read part K; None when it is damaged or of another version."""
        if len(data) < 1 or data[0] != BITSTREAM_VERSION:
            return None
        try:
            offset, at = pull_varint(data, 1)
        except VarintError:
            return None
        if offset > MAX_OFFSET or len(data) < at + 3:
            return None
        return cls(
            offset=offset, gain_low=data[at], gain_high=data[at + 1], obus=bytes(data[at + 2 :])
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesPart:
    """The low-resolution stream, as far as it arrived."""

    step: int
    "Source frames between two coded ones, 1..255."
    last: int
    "Offset of the last coded frame."
    frames: tuple[bytes, ...]
    "AV1 temporal units in decoding order; fewer than coded where the tail was cut."

    @property
    def offsets(self) -> list[int]:
        """Source frame of each entry of `frames`, counted from the unit's first."""
        # A damaged `last` must not unroll into a long list: only what `frames` needs is built.
        return [min(i * self.step, self.last) for i in range(len(self.frames))]

    def pack(self) -> bytes:
        """Bytes of part F. Raises LocalProtocolError when a field is out of range."""
        if not (1 <= self.step <= _MAX_STEP and 0 <= self.last <= MAX_OFFSET and all(self.frames)):
            raise LocalProtocolError(f"features field out of range: {self.step}, {self.last}")
        if len(self.frames) > _coded_count(self.step, self.last):
            raise LocalProtocolError(
                f"{len(self.frames)} coded frames are more than the step gives"
            )
        return features_header(self.step, self.last) + features_body(self.frames)

    @classmethod
    def unpack(cls, data: bytes) -> FeaturesPart | None:
        """Read part F or any prefix of it; None when not even its header is there."""
        if len(data) < 1 or data[0] != BITSTREAM_VERSION:
            return None
        try:
            step, at = pull_varint(data, 1)
            last, at = pull_varint(data, at)
        except VarintError:
            return None
        if not (1 <= step <= _MAX_STEP and last <= MAX_OFFSET):
            return None
        frames = _pull_frames(data, at, _coded_count(step, last))
        return cls(step=step, last=last, frames=frames)


def features_header(step: int, last: int) -> bytes:
    """First bytes of part F."""
    out = bytearray([BITSTREAM_VERSION])
    push_varint(out, step)
    push_varint(out, last)
    return bytes(out)


def features_body(frames: Sequence[bytes]) -> bytes:
    """The length-prefixed temporal units."""
    out = bytearray()
    for frame in frames:
        push_varint(out, len(frame))
        out += frame
    return bytes(out)


def _coded_count(step: int, last: int) -> int:
    return -(-last // step) + 1


def _pull_frames(data: bytes, at: int, most: int) -> tuple[bytes, ...]:
    frames: list[bytes] = []
    while at < len(data) and len(frames) < most:
        try:
            size, at = pull_varint(data, at)
        except VarintError:
            break
        if size == 0 or at + size > len(data):
            break
        frames.append(bytes(data[at : at + size]))
        at += size
    return tuple(frames)
