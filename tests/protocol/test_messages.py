"""Messages: every record both ways, and any bytes at all without an exception."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.messages import (
    MAX_RECORDS,
    Ack,
    Arrivals,
    KeyframeRequest,
    ModeCommand,
    OperatorText,
    RateCommand,
    Record,
    RegionAnswer,
    RegionRequest,
    Report,
    Resume,
    Setting,
    TimeAnswer,
    TimeAsk,
    UnitAnswer,
    pack_message,
    unpack_message,
)
from gvc_protocol.reports import MAX_ARRIVALS
from tests.vectors import message_cases
from tests.vectors.message_cases import EXAMPLES

VECTORS = json.loads(
    (Path(message_cases.__file__).parent / "messages.json").read_text(encoding="utf-8")
)
U8, U16 = st.integers(0, 255), st.integers(0, 0xFFFF)
IDS = st.integers(0, (1 << 63) - 1)
SIDE = st.integers(1, 16_384)
TIMES = st.integers(0, (1 << 64) - 1)
BODY = st.binary(max_size=300)
DBM = st.integers(-255, 0)


def reports() -> st.SearchStrategy[Report]:
    rssi = st.none() | st.tuples(DBM, DBM)
    return st.tuples(
        st.builds(
            dict, boot_id=U16, seq=st.integers(0, (1 << 24) - 1), heard_at=U16, age=U16,
            received=U16, lost=U16, bursts=U16, repaired=U16, whole=U8, degraded=U8, queue=U8,
        ),
        rssi,
    ).map(
        lambda made: Report(
            **made[0], **dict(zip(("rssi_dbm", "noise_dbm"), made[1] or (), strict=False))
        )
    )  # fmt: skip


@st.composite
def ranges(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    at, out = 0, []
    for skipped, count in draw(
        st.lists(st.tuples(st.integers(0, 999), st.integers(1, 99)), max_size=32)
    ):
        out.append((at + skipped, count))
        at += skipped + count
    return tuple(out)


@st.composite
def arrivals(draw: st.DrawFn) -> Arrivals:
    steps = st.tuples(st.integers(1, 0xFFFF), U16).flatmap(
        lambda s: st.tuples(st.just(s[0]), st.just(s[1]), st.integers(0, s[0] - 1))
    )
    return Arrivals(tuple(draw(st.lists(steps, min_size=1, max_size=MAX_ARRIVALS))))


TEXT = st.text(st.characters(exclude_categories=("C", "Z")), max_size=200)
RECORDS = st.one_of(
    reports(),
    st.builds(Ack, command_id=IDS, status=U8),
    st.builds(KeyframeRequest, command_id=IDS),
    st.builds(
        RegionRequest, command_id=IDS, boot_id=U16, unit_no=IDS, offset=st.integers(0, 100_000),
        x=SIDE, y=SIDE, width=SIDE, height=SIDE,
    ),
    st.builds(RateCommand, command_id=IDS, rate_bps=IDS),
    st.tuples(IDS, st.integers(0, 3), st.integers(0, 3)).map(
        lambda v: ModeCommand(command_id=v[0], finest=min(v[1:]), coarsest=max(v[1:]))
    ),
    st.builds(TimeAsk, sent_us=TIMES),
    st.builds(TimeAnswer, asked_us=TIMES, received_us=TIMES, answered_us=TIMES),
    st.builds(OperatorText, command_id=IDS, text=TEXT),
    st.builds(Resume, command_id=IDS, boot_id=U16, next_unit=IDS, wanted=ranges()),
    st.builds(
        RegionAnswer, command_id=IDS, boot_id=U16, unit_no=IDS, status=U8,
        layer=st.integers(0, 127), last=st.booleans(), patch=BODY,
    ),
    st.builds(
        Setting, rate_bps=IDS, fec_percent=IDS, interleave=st.integers(0, 15),
        finest=st.integers(0, 7), closed_loop=st.booleans(),
    ),
    st.builds(
        UnitAnswer, boot_id=U16, unit_no=IDS, descriptors=BODY, keyframe=BODY, features=BODY
    ),
    arrivals(),
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_what_is_packed_is_read(records: list[Record]) -> None:
    assert unpack_message(pack_message(records)) == records


@given(st.binary(max_size=400))
def test_any_bytes_give_records_that_can_be_sent(data: bytes) -> None:
    records = unpack_message(data)
    assert len(records) <= MAX_RECORDS
    if records:
        assert unpack_message(pack_message(records)) == records


@settings(max_examples=60)
@given(st.lists(RECORDS, min_size=1, max_size=3), st.data())
def test_a_damaged_message_is_no_exception(records: list[Record], data: st.DataObject) -> None:
    raw = bytearray(pack_message(records))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(U8)
    unpack_message(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


def test_the_vectors_hold() -> None:
    assert message_cases.message_table() == VECTORS
    for case in VECTORS["messages"]:
        assert unpack_message(bytes.fromhex(case["hex"])) == EXAMPLES[case["name"]]
    for case in VECTORS["skipped"]:
        assert unpack_message(bytes.fromhex(case["hex"])) == EXAMPLES["ack"]


def test_a_report_is_a_few_bytes() -> None:
    assert len(pack_message(EXAMPLES["report"])) <= 24


def test_a_text_cannot_move_the_cursor() -> None:
    raw = pack_message([OperatorText(command_id=1, text="\x1b[2Jgone\r\n")])
    (read,) = unpack_message(raw)
    assert isinstance(read, OperatorText) and read.text == " [2Jgone  "


@pytest.mark.parametrize(
    "record",
    [
        RegionRequest(command_id=1, boot_id=1, unit_no=1, offset=0, x=0, y=0, width=0, height=8),
        ModeCommand(command_id=1, finest=2, coarsest=1),
        Resume(command_id=1, boot_id=1, next_unit=9, wanted=((4, 2), (5, 1))),
        Ack(command_id=-1),
        Arrivals(()),
        Arrivals(((1, 0, 1),)),
        Arrivals(((1, 0, 0),) * (MAX_ARRIVALS + 1)),
        OperatorText(command_id=1, text="x" * 1001),
    ],
)
def test_what_does_not_fit_is_our_own_fault(record: Record) -> None:
    with pytest.raises(LocalProtocolError):
        pack_message([record])


def test_a_clock_is_compared_as_rfc_5905_does() -> None:
    answer = TimeAnswer(asked_us=1_000, received_us=51_500, answered_us=51_700)
    assert answer.offset_us(arrived_us=2_200) == 50_000
    assert answer.round_trip_us(arrived_us=2_200) == 1_000
