"""Laws of the varint: one number, one encoding, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.varint import VarintError, pull_varint, push_varint
from tests.protocol.helpers import u63


def packed(value: int) -> bytes:
    out = bytearray()
    push_varint(out, value)
    return bytes(out)


@given(u63, st.binary(max_size=4), st.binary(max_size=4))
@settings(deadline=None)
def test_round_trip_between_other_bytes(value: int, before: bytes, after: bytes) -> None:
    data = before + packed(value) + after
    assert pull_varint(data, len(before)) == (value, len(data) - len(after))


@given(u63, st.data())
@settings(deadline=None)
def test_a_cut_number_is_none(value: int, data: st.DataObject) -> None:
    raw = packed(value)
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(VarintError):
        pull_varint(raw[:cut], 0)


@given(st.binary(max_size=12))
@settings(deadline=None)
def test_what_is_read_is_the_only_encoding(raw: bytes) -> None:
    try:
        value, end = pull_varint(raw, 0)
    except VarintError:
        return
    assert packed(value) == raw[:end] and value < 1 << 63


@pytest.mark.parametrize(
    ("raw", "value"),
    [("00", 0), ("7f", 127), ("8001", 128), ("e807", 1000), ("ff" * 8 + "7f", (1 << 63) - 1)],
)
def test_known_numbers(raw: str, value: int) -> None:
    assert packed(value).hex() == raw
    assert pull_varint(bytes.fromhex(raw), 0) == (value, len(raw) // 2)


@pytest.mark.parametrize("raw", ["", "80", "8000", "ff00", "ff" * 9, "80" * 9 + "01"])
def test_overlong_cut_or_too_large_is_refused(raw: str) -> None:
    with pytest.raises(VarintError):
        pull_varint(bytes.fromhex(raw), 0)


@pytest.mark.parametrize("value", [-1, 1 << 63])
def test_our_own_mistake_is_an_error(value: int) -> None:
    with pytest.raises(LocalProtocolError):
        push_varint(bytearray(), value)
