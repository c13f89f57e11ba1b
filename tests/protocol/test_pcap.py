"""Captures: what is written comes back, from either byte order, and damage is told in one line."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.errors import UserError
from gvc_protocol.pcap import (
    LINKTYPE_USER0,
    MAX_RECORD_BYTES,
    Record,
    pack_file_header,
    pack_record,
    read_records,
)

records = st.lists(
    st.builds(
        Record,
        time_ns=st.integers(0, (1 << 32) * 10**6 - 1).map(lambda us: us * 1000),
        data=st.binary(max_size=60),
    ),
    max_size=8,
)
laws = settings(max_examples=80, deadline=None)


def read(raw: bytes) -> list[Record]:
    return list(read_records(io.BytesIO(raw), name="x.pcap"))


def written(of: list[Record]) -> bytes:
    return pack_file_header() + b"".join(map(pack_record, of))


@given(records)
@laws
def test_round_trip(of: list[Record]) -> None:
    assert read(written(of)) == of


@given(records, st.sampled_from("<>"), st.booleans())
@laws
def test_either_byte_order_and_nanoseconds_are_read(
    of: list[Record], order: str, nano: bool
) -> None:
    magic, tick = (0xA1B23C4D, 1) if nano else (0xA1B2C3D4, 1000)
    raw = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, LINKTYPE_USER0)
    for record in of:
        seconds, rest = divmod(record.time_ns, 10**9)
        size = len(record.data)
        raw += struct.pack(order + "IIII", seconds, rest // tick, size, size) + record.data
    assert read(raw) == of


@given(records, st.data())
@laws
def test_a_cut_file_gives_its_whole_records(of: list[Record], data: st.DataObject) -> None:
    raw = written(of)
    got = read(raw[: data.draw(st.integers(24, len(raw)))])
    assert got == of[: len(got)]


@given(st.binary(max_size=200))
@laws
def test_any_bytes_after_the_header_never_raise(tail: bytes) -> None:
    assert all(len(r.data) <= len(tail) for r in read(pack_file_header() + tail))


def test_times_are_cut_to_the_microsecond() -> None:
    raw = written([Record(time_ns=1_999_999_999, data=b"x")])
    assert read(raw)[0].time_ns == 1_999_999_000


def test_a_damaged_length_ends_the_file() -> None:
    good = pack_record(Record(time_ns=0, data=b"good"))
    bad = struct.pack("<IIII", 0, 0, MAX_RECORD_BYTES + 1, 0)
    assert len(read(pack_file_header() + good + bad + good * 9)) == 1


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not a capture"), (b"\xd4\xc3\xb2\xa1", "not a capture"), (b"GIF89a" * 9, "not a"),
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "editcap -F pcap"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1), "link type 1,"),
    ],
)  # fmt: skip
def test_another_file_is_refused_in_one_line(raw: bytes, says: str) -> None:
    with pytest.raises(UserError) as caught:
        read(raw)
    text = str(caught.value)
    assert says in text and "x.pcap" in text and "\n" not in text
