"""Laws of the datagram: what is packed comes back, what is damaged does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.wire import (
    OVERHEAD_BYTES,
    SYNC,
    TAG_BYTES,
    Datagram,
    RejectReason,
    datagram_size,
    nearest,
)
from tests.protocol.helpers import datagrams, repair_crc

laws = settings(max_examples=150, deadline=None)
SAMPLE = Datagram(
    part=1, last=True, k_sent=True, f_sent=False, stream_id=7, boot_id=3, seq=99, unit_no=12,
    block_no=2, symbol=5, k=9, payload=b"symbol",
)  # fmt: skip


@given(datagrams(2047))
@laws
def test_round_trip(datagram: Datagram) -> None:
    raw = datagram.pack()
    assert Datagram.unpack(raw) == datagram
    assert len(raw) == OVERHEAD_BYTES + len(datagram.payload) + len(datagram.tag)
    assert datagram_size(raw) == len(raw) and datagram_size(b"x" + raw, 1) == len(raw)


@given(datagrams(40), st.integers(0, 1 << 40), st.integers(0, 1 << 40))
@laws
def test_only_the_low_bits_of_the_numbers_travel(d: Datagram, seq: int, unit_no: int) -> None:
    read = Datagram.unpack(replace(d, seq=seq, unit_no=unit_no).pack())
    assert read == replace(d, seq=seq % (1 << 24), unit_no=unit_no % (1 << 16))


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda b: SYNC + b))
@laws
def test_any_bytes_are_read_without_an_exception(raw: bytes) -> None:
    assert isinstance(Datagram.unpack(raw), RejectReason)


@given(datagrams(60), st.data())
@laws
def test_a_cut_or_longer_datagram_is_none(datagram: Datagram, data: st.DataObject) -> None:
    raw = datagram.pack()
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
    assert Datagram.unpack(cut) in (RejectReason.NO_SYNC, RejectReason.TRUNCATED)
    assert Datagram.unpack(raw + b"\0") is RejectReason.TOO_LONG


@given(datagrams(60), st.data())
@laws
def test_one_wrong_bit_is_never_another_datagram(datagram: Datagram, data: st.DataObject) -> None:
    raw = bytearray(datagram.pack())
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    assert isinstance(Datagram.unpack(bytes(raw)), RejectReason)


@given(datagrams(60), st.data())
@laws
def test_damage_under_a_right_crc_is_a_valid_datagram_or_a_reason(
    datagram: Datagram, data: st.DataObject
) -> None:
    raw = bytearray(datagram.pack())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    forged = repair_crc(bytes(raw))
    read = Datagram.unpack(forged)
    if isinstance(read, Datagram):
        assert read.pack() == forged


@pytest.mark.parametrize(
    "change",
    [
        {"part": 4}, {"part": -1}, {"stream_id": 1 << 16}, {"boot_id": -1}, {"seq": -1},
        {"unit_no": -1}, {"block_no": 256}, {"symbol": 256}, {"k": 0}, {"k": 257},
        {"payload": b""}, {"payload": bytes(2048)}, {"tag": b"short"}, {"encrypted": True},
    ],
)  # fmt: skip
def test_a_field_out_of_range_is_our_own_error(change: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        replace(SAMPLE, **change).pack()


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (2, 0x20, RejectReason.BAD_VERSION), (2, 0x12, RejectReason.BAD_FLAGS),
        (2, 0x1E, RejectReason.BAD_FLAGS), (0, 0xEA, RejectReason.NO_SYNC),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_by_name(at: int, value: int, reason: RejectReason) -> None:
    raw = bytearray(SAMPLE.pack())
    raw[at] = value
    assert Datagram.unpack(repair_crc(bytes(raw))) is reason


def test_a_datagram_without_payload_is_refused() -> None:
    raw = bytearray(replace(SAMPLE, payload=b"x").pack())
    raw[4] -= 1
    del raw[17]
    assert Datagram.unpack(repair_crc(bytes(raw))) is RejectReason.BAD_FIELD


def test_costs_are_as_the_document_says() -> None:
    assert OVERHEAD_BYTES == 21 and OVERHEAD_BYTES + TAG_BYTES == 29
    assert len(SAMPLE.pack()) == 21 + len(SAMPLE.payload)


@given(st.sampled_from((16, 24)), st.integers(0, 1 << 60), st.data())
@laws
def test_a_number_is_rebuilt_from_its_low_bits(
    bits: int, expected: int, data: st.DataObject
) -> None:
    half = 1 << bits - 1
    true = expected + data.draw(st.integers(1 - half, half))
    if true < 0:
        return
    assert nearest(true % (1 << bits), bits, expected) == true


@given(st.integers(0, 0xFFFF), st.integers(0, 1 << 20))
@laws
def test_a_rebuilt_number_keeps_its_low_bits_and_is_not_negative(low: int, expected: int) -> None:
    full = nearest(low, 16, expected)
    assert full >= 0 and full % (1 << 16) == low
