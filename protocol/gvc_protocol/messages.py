"""Messages, both directions (WIRE.md, section 10): a list of records, whole or not at all.

A record is type (1), length (varint), value. A reader skips the types that it does not know, and a known
type with a content that it cannot have.

Readers are total: any bytes give a list of records, perhaps an empty one, and never an exception.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress

from gvc_protocol.answers import (
    Ack,
    AckStatus,
    RegionAnswer,
    RegionStatus,
    Setting,
    TimeAnswer,
    TimeAsk,
    UnitAnswer,
)
from gvc_protocol.commands import (
    COMMAND_TYPES,
    MAX_TEXT_BYTES,
    Command,
    KeyframeRequest,
    ModeCommand,
    OperatorText,
    RateCommand,
    RegionRequest,
    Resume,
)
from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.records import Record, RecordKind
from gvc_protocol.reports import Arrivals, Report
from gvc_protocol.varint import VarintError, pull_varint, push_varint

__all__ = [
    "COMMAND_TYPES", "MAX_RECORDS", "MAX_TEXT_BYTES", "Ack", "AckStatus", "Arrivals", "Command",
    "KeyframeRequest", "ModeCommand", "OperatorText", "RateCommand", "Record", "RecordKind",
    "RegionAnswer", "RegionRequest", "RegionStatus", "Report", "Resume", "Setting", "TimeAnswer",
    "TimeAsk", "UnitAnswer", "pack_message", "unpack_message",
]  # fmt: skip

MAX_RECORDS = 64
_CLASSES = (
    Report, Ack, KeyframeRequest, RegionRequest, RateCommand, ModeCommand, TimeAsk, TimeAnswer,
    OperatorText, Resume, RegionAnswer, Setting, UnitAnswer, Arrivals,
)  # fmt: skip
_BY_KIND = {int(made.kind): made for made in _CLASSES}


def pack_message(records: Sequence[Record]) -> bytes:
    """Bytes of a message. Raises LocalProtocolError when a field does not fit."""
    if not 1 <= len(records) <= MAX_RECORDS:
        raise LocalProtocolError(f"a message of {len(records)} records")
    out = bytearray()
    for record in records:
        value = record.pack()
        out.append(record.kind)
        push_varint(out, len(value))
        out += value
    return bytes(out)


def unpack_message(data: bytes) -> list[Record]:
    """The records that this version can read, in order; a damaged tail is left out."""
    records: list[Record] = []
    at, count = 0, 0
    while at < len(data) and count < MAX_RECORDS:
        kind, count = data[at], count + 1
        try:
            size, at = pull_varint(data, at + 1)
        except VarintError:
            break
        if at + size > len(data):
            break
        made = _BY_KIND.get(kind)
        if made is not None:
            with suppress(VarintError, struct.error):  # a content that it cannot have
                records.append(made.unpack(bytes(data[at : at + size])))
        at += size
    return records
