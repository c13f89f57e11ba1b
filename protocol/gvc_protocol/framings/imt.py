"""Iridium IMT over JSPR: text requests with JSON, messages in base64 segments, CRC-16 behind each.

    PUT messageOriginate {"topic_id":244,"message_length":102,"request_reference":1}\\r
    200 messageOriginate {"topic_id":244,"request_reference":1,"message_id":5,...}\\r

Read in the source of Ground Control's rock7/RockBLOCK-9704, commit 5949bb6 (no code of it is here).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

__all__ = [
    "MAX_MESSAGE_BYTES", "JsprMessage", "join_crc", "jspr_pack", "jspr_parse", "segment_data",
    "split_crc",
]  # fmt: skip

MAX_MESSAGE_BYTES = 100_000
UNSOLICITED = 299
_MAX_SEGMENT_BYTES = 1446


@dataclass(frozen=True, slots=True, kw_only=True)
class JsprMessage:
    """One line of the modem: 200 = done, 299 = it speaks by itself, 4xx = refused."""

    code: int
    target: str
    fields: dict[str, Any]

    def number(self, name: str) -> int:
        """A field that should be a whole number; -1 when it is none."""
        value = self.fields.get(name)
        return value if type(value) is int and 0 <= value < 1 << 31 else -1

    def text(self, name: str) -> str:
        """A field that should be a text; empty when it is none."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""


def jspr_pack(verb: str, target: str, fields: dict[str, Any]) -> bytes:
    """One request, `GET` or `PUT`."""
    return f"{verb} {target} {json.dumps(fields, separators=(',', ':'))}\r".encode("ascii")


def jspr_parse(line: str) -> JsprMessage | None:
    """None for anything that is no answer of a modem."""
    code, _, rest = line.strip().partition(" ")
    target, _, text = rest.partition(" ")
    if len(code) != 3 or not (code.isascii() and code.isdigit()) or not target.isalnum():
        return None
    try:
        fields = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    return JsprMessage(code=int(code), target=target, fields=fields)


def join_crc(data: bytes) -> bytes:
    """A message with its CRC-16 (polynomial 1021, start 0, high byte first)."""
    return data + binascii.crc_hqx(data, 0).to_bytes(2, "big")


def split_crc(message: bytes) -> bytes | None:
    """The message without its CRC; None when that is wrong."""
    if len(message) < 2 or binascii.crc_hqx(message[:-2], 0) != int.from_bytes(message[-2:], "big"):
        return None
    return message[:-2]


def segment_data(message: JsprMessage) -> bytes | None:
    """The bytes of a messageTerminateSegment; None when they are damaged."""
    try:
        data = base64.b64decode(message.text("data"), validate=True)
    except (ValueError, binascii.Error):
        return None
    return data if len(data) <= _MAX_SEGMENT_BYTES else None
