"""Commands of a message: what has an id, is repeated until it is acknowledged, and acted on once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.records import RecordKind, exactly, pull_all, pull_u16, push_u16, varints
from gvc_protocol.varint import VarintError, pull_varint

__all__ = [
    "COMMAND_TYPES", "MAX_RANGES", "MAX_TEXT_BYTES", "Command", "KeyframeRequest", "ModeCommand",
    "OperatorText", "RateCommand", "RegionRequest", "Resume",
]  # fmt: skip

MAX_TEXT_BYTES = 1000
MAX_RANGES = 32
_MAX_SIDE_PX = 16_384
_MAX_OFFSET = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyframeRequest:
    """The next unit shall start with a fresh keyframe."""

    kind: ClassVar[RecordKind] = RecordKind.KEYFRAME_REQUEST
    command_id: int

    def pack(self) -> bytes:
        return varints(self.command_id)

    @classmethod
    def unpack(cls, data: bytes) -> KeyframeRequest:
        (command_id,) = pull_all(data, 1)
        return cls(command_id=command_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRequest:
    """The real pixels of a box of one frame, please. Source pixels."""

    kind: ClassVar[RecordKind] = RecordKind.REGION_REQUEST
    command_id: int
    boot_id: int
    unit_no: int
    offset: int
    "Source frame, counted from the unit's first."
    x: int
    y: int
    width: int
    height: int

    def pack(self) -> bytes:
        sides = (self.x, self.y, self.width, self.height)
        if not (_is_box(*sides) and 0 <= self.offset <= _MAX_OFFSET):
            raise LocalProtocolError(f"region out of range: {sides} at {self.offset}")
        return push_u16(self.boot_id) + varints(self.command_id, self.unit_no, self.offset, *sides)

    @classmethod
    def unpack(cls, data: bytes) -> RegionRequest:
        boot_id = pull_u16(data)
        command_id, unit_no, offset, x, y, width, height = pull_all(data[2:], 7)
        if not _is_box(x, y, width, height) or offset > _MAX_OFFSET:
            raise VarintError("region out of range")
        return cls(
            command_id=command_id, boot_id=boot_id, unit_no=unit_no, offset=offset, x=x, y=y,
            width=width, height=height,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCommand:
    """Hold this rate; 0 gives it back to the controller. Never above the edge's own limit."""

    kind: ClassVar[RecordKind] = RecordKind.RATE_COMMAND
    command_id: int
    rate_bps: int

    def pack(self) -> bytes:
        return varints(self.command_id, self.rate_bps)

    @classmethod
    def unpack(cls, data: bytes) -> RateCommand:
        command_id, rate_bps = pull_all(data, 2)
        return cls(command_id=command_id, rate_bps=rate_bps)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeCommand:
    """Bounds of the ladder: no step finer than `finest`, none coarser than `coarsest`, 0..3."""

    kind: ClassVar[RecordKind] = RecordKind.MODE_COMMAND
    command_id: int
    finest: int
    coarsest: int

    def pack(self) -> bytes:
        if not 0 <= self.finest <= self.coarsest <= 3:
            raise LocalProtocolError(f"no such bounds: {self.finest} to {self.coarsest}")
        return varints(self.command_id) + bytes((self.finest << 4 | self.coarsest,))

    @classmethod
    def unpack(cls, data: bytes) -> ModeCommand:
        command_id, at = pull_varint(data, 0)
        (both,) = exactly(data, at, 1)
        finest, coarsest = both >> 4, both & 15
        if not finest <= coarsest <= 3:
            raise VarintError("no such bounds")
        return cls(command_id=command_id, finest=finest, coarsest=coarsest)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorText:
    """A line for the person at the other end, either way."""

    kind: ClassVar[RecordKind] = RecordKind.OPERATOR_TEXT
    command_id: int
    text: str

    def pack(self) -> bytes:
        data = self.text.encode("utf-8", "replace")
        if len(data) > MAX_TEXT_BYTES:
            raise LocalProtocolError(f"a text of {len(data)} bytes is too long")
        return varints(self.command_id) + data

    @classmethod
    def unpack(cls, data: bytes) -> OperatorText:
        command_id, at = pull_varint(data, 0)
        if len(data) - at > MAX_TEXT_BYTES:
            raise VarintError("text too long")
        text = data[at:].decode("utf-8", "replace")
        # It is shown on a terminal: what could move the cursor there is left out.
        return cls(command_id=command_id, text="".join(c if c.isprintable() else " " for c in text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """What the base holds of one boot, and which units it would like again when there is room."""

    kind: ClassVar[RecordKind] = RecordKind.RESUME
    command_id: int
    boot_id: int
    next_unit: int
    "Every unit below is settled, except those in `wanted`."
    wanted: tuple[tuple[int, int], ...] = ()
    "(first unit, number of units), rising, not overlapping."

    def pack(self) -> bytes:
        if len(self.wanted) > MAX_RANGES:
            raise LocalProtocolError(f"{len(self.wanted)} ranges are too many")
        out = push_u16(self.boot_id) + varints(self.command_id, self.next_unit, len(self.wanted))
        end = 0
        for first, count in self.wanted:
            if first < end or count < 1:
                raise LocalProtocolError("ranges of units must rise")
            out, end = out + varints(first - end, count), first + count
        return out

    @classmethod
    def unpack(cls, data: bytes) -> Resume:
        boot_id = pull_u16(data)
        at, head = 2, []
        for _ in range(3):
            value, at = pull_varint(data, at)
            head.append(value)
        command_id, next_unit, count = head
        if count > MAX_RANGES:
            raise VarintError("too many ranges")
        numbers = pull_all(data[at:], 2 * count)
        wanted, end = [], 0
        for skipped, units in zip(numbers[::2], numbers[1::2], strict=True):
            if units < 1 or end + skipped + units >= 1 << 63:
                raise VarintError("no such range of units")
            wanted.append((end + skipped, units))
            end += skipped + units
        return cls(
            command_id=command_id, boot_id=boot_id, next_unit=next_unit, wanted=tuple(wanted)
        )


Command = KeyframeRequest | RegionRequest | RateCommand | ModeCommand | OperatorText | Resume

COMMAND_TYPES = (
    KeyframeRequest, RegionRequest, RateCommand, ModeCommand, OperatorText, Resume,
)  # fmt: skip


def _is_box(x: int, y: int, width: int, height: int) -> bool:
    inside = 0 <= x <= _MAX_SIDE_PX and 0 <= y <= _MAX_SIDE_PX
    return inside and 0 < width <= _MAX_SIDE_PX and 0 < height <= _MAX_SIDE_PX
