"""Answers and notes of a message: acknowledgements, clocks, settings, pixels and units sent again."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from gvc_protocol.records import (
    MAX_BODY_BYTES,
    RecordKind,
    exactly,
    pull_u16,
    push_time,
    push_u16,
    small,
    varints,
)
from gvc_protocol.varint import VarintError, pull_varint

__all__ = [
    "Ack", "AckStatus", "RegionAnswer", "RegionStatus", "Setting", "TimeAnswer", "TimeAsk",
    "UnitAnswer",
]  # fmt: skip

_TIME = struct.Struct(">Q")


class AckStatus(IntEnum):
    """What became of a command. Never reused."""

    DONE = 0
    REFUSED = 1
    "Understood, but impossible here: no such picture, a rate above the limit."
    WORKING = 2
    "Taken; an answer follows when the link has room."


class RegionStatus(IntEnum):
    """What a region answer holds. Never reused."""

    PIXELS = 0
    NO_PICTURE = 1
    "The edge holds no source picture of that unit any more."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """Answer to a command or text, either way."""

    kind: ClassVar[RecordKind] = RecordKind.ACK
    command_id: int
    status: int = AckStatus.DONE

    def pack(self) -> bytes:
        return varints(self.command_id) + bytes((small(self.status),))

    @classmethod
    def unpack(cls, data: bytes) -> Ack:
        command_id, at = pull_varint(data, 0)
        (status,) = exactly(data, at, 1)
        return cls(command_id=command_id, status=status)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAsk:
    """What does your clock say? Times are microseconds since 1970."""

    kind: ClassVar[RecordKind] = RecordKind.TIME_ASK
    sent_us: int

    def pack(self) -> bytes:
        return push_time(self.sent_us)

    @classmethod
    def unpack(cls, data: bytes) -> TimeAsk:
        (sent_us,) = _TIME.unpack(data)
        return cls(sent_us=sent_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAnswer:
    """The three times of RFC 5905 that the asker lacks; the fourth is its own, of arrival."""

    kind: ClassVar[RecordKind] = RecordKind.TIME_ANSWER
    asked_us: int
    "`sent_us` of the question, by the asker's clock."
    received_us: int
    answered_us: int

    def pack(self) -> bytes:
        return b"".join(map(push_time, (self.asked_us, self.received_us, self.answered_us)))

    @classmethod
    def unpack(cls, data: bytes) -> TimeAnswer:
        asked, received, answered = struct.unpack(">3Q", data)
        return cls(asked_us=asked, received_us=received, answered_us=answered)

    def offset_us(self, arrived_us: int) -> int:
        """The answerer's clock less the asker's (RFC 5905, section 8: theta)."""
        return (self.received_us - self.asked_us + self.answered_us - arrived_us) // 2

    def round_trip_us(self, arrived_us: int) -> int:
        """Time on the way, both ways together (RFC 5905, section 8: delta)."""
        return arrived_us - self.asked_us - (self.answered_us - self.received_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionAnswer:
    """Received pixels of a box, one layer of them: layer 0 is coarse, later ones are finer."""

    kind: ClassVar[RecordKind] = RecordKind.REGION_ANSWER
    command_id: int
    boot_id: int
    unit_no: int
    status: int = RegionStatus.PIXELS
    layer: int = 0
    last: bool = True
    "No finer layer of this piece follows."
    patch: bytes = b""
    "`gvc1.Patch`; empty where there are no pixels."

    def pack(self) -> bytes:
        head = push_u16(self.boot_id) + varints(self.command_id, self.unit_no)
        return head + bytes((small(self.status), small(self.layer << 1 | self.last))) + self.patch

    @classmethod
    def unpack(cls, data: bytes) -> RegionAnswer:
        boot_id = pull_u16(data)
        command_id, at = pull_varint(data, 2)
        unit_no, at = pull_varint(data, at)
        if len(data) < at + 2 or len(data) > MAX_BODY_BYTES:
            raise VarintError("no region answer")
        return cls(
            command_id=command_id, boot_id=boot_id, unit_no=unit_no, status=data[at],
            layer=data[at + 1] >> 1, last=bool(data[at + 1] & 1), patch=data[at + 2 :],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the edge runs on now."""

    kind: ClassVar[RecordKind] = RecordKind.SETTING
    rate_bps: int
    fec_percent: int
    interleave: int
    finest: int
    "Finest step of the ladder that is allowed now."
    closed_loop: bool
    "False while the edge hears no reports."

    def pack(self) -> bytes:
        flags = self.closed_loop << 7 | (self.finest & 7) << 4 | (self.interleave & 15)
        return varints(self.rate_bps, self.fec_percent) + bytes((flags,))

    @classmethod
    def unpack(cls, data: bytes) -> Setting:
        rate_bps, at = pull_varint(data, 0)
        fec_percent, at = pull_varint(data, at)
        (flags,) = exactly(data, at, 1)
        return cls(
            rate_bps=rate_bps, fec_percent=fec_percent, interleave=flags & 15,
            finest=flags >> 4 & 7, closed_loop=bool(flags >> 7),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitAnswer:
    """A unit sent once more, whole, for the record; of an earlier boot, perhaps."""

    kind: ClassVar[RecordKind] = RecordKind.UNIT_ANSWER
    boot_id: int
    unit_no: int
    descriptors: bytes
    keyframe: bytes
    features: bytes

    def pack(self) -> bytes:
        head = varints(self.unit_no, len(self.descriptors), len(self.keyframe))
        return push_u16(self.boot_id) + head + self.descriptors + self.keyframe + self.features

    @classmethod
    def unpack(cls, data: bytes) -> UnitAnswer:
        boot_id = pull_u16(data)
        at, head = 2, []
        for _ in range(3):
            value, at = pull_varint(data, at)
            head.append(value)
        unit_no, d, k = head
        if at + d + k > len(data) or len(data) > MAX_BODY_BYTES:
            raise VarintError("unit cut short")
        return cls(
            boot_id=boot_id, unit_no=unit_no, descriptors=data[at : at + d],
            keyframe=data[at + d : at + d + k], features=data[at + d + k :],
        )  # fmt: skip
