"""Capture files: classic pcap with LINKTYPE_USER0, one datagram (or RS frame) a record.

Written little-endian with microseconds, the oldest and most widely read form; read in either byte
order and with microseconds or nanoseconds. Pure bytes in and out: the caller owns the file.
Format: https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gvc_protocol.errors import UserError

__all__ = ["LINKTYPE_USER0", "Record", "pack_file_header", "pack_record", "read_records"]

LINKTYPE_USER0 = 147
MAX_RECORD_BYTES = 65_535
_HEADER = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_MICRO, _NANO = 0xA1B2C3D4, 0xA1B23C4D


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One captured packet; `time_ns` is Unix time in nanoseconds."""

    time_ns: int
    data: bytes


def pack_file_header() -> bytes:
    """The 24 bytes that open a capture file."""
    return _HEADER.pack(_MICRO, 2, 4, 0, 0, MAX_RECORD_BYTES, LINKTYPE_USER0)


def pack_record(record: Record) -> bytes:
    """One record with its 16-byte header. Times are cut, not rounded, to the microsecond."""
    seconds, rest = divmod(record.time_ns, 1_000_000_000)
    size = len(record.data)
    return _RECORD.pack(seconds, rest // 1000, size, size) + record.data


def read_records(file: BinaryIO, *, name: str) -> Iterator[Record]:
    """Records of an open capture file, in order. A cut last record ends the file quietly.

    Args:
        file: open for reading bytes, at its start.
        name: what to call it in an error.

    Raises:
        UserError: not a classic pcap, or one of another link type.
    """
    header = file.read(_HEADER.size)
    order, per_tick = _byte_order(header, name)
    link_type = struct.unpack_from(order + "I", header, 20)[0] & 0xFFFF
    if link_type != LINKTYPE_USER0:
        raise UserError(
            f"{name} is a capture of something else (link type {link_type}, a GVC capture has "
            f"{LINKTYPE_USER0}); give a file written by gvc-edge"
        )
    record = struct.Struct(order + "IIII")
    while len(head := file.read(record.size)) == record.size:
        seconds, ticks, size, _ = record.unpack(head)
        if size > MAX_RECORD_BYTES:
            return  # a damaged length: nothing after it can be found again
        data = file.read(size)
        if len(data) < size:
            return
        yield Record(time_ns=seconds * 1_000_000_000 + ticks * per_tick, data=data)


def _byte_order(header: bytes, name: str) -> tuple[str, int]:
    if len(header) == _HEADER.size:
        for order in "<>":
            magic = struct.unpack_from(order + "I", header)[0]
            if magic in (_MICRO, _NANO):
                return order, 1000 if magic == _MICRO else 1
    if header[:4] == b"\x0a\x0d\x0d\x0a":
        raise UserError(
            f"{name} is a pcapng file; save it as classic pcap (editcap -F pcap IN OUT) and try again"
        )
    raise UserError(f"{name} is not a capture file; give a .pcap written by gvc-edge")
