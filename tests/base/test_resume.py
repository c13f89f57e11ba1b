"""What is missing, when it is asked, and where recovered units go."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_base.radio_told import levels_of, radio_detail
from gvc_base.resume import MissingUnits, RecoveredUnits, ResumeTimes, received_of
from gvc_profiles.links import LinkState
from gvc_protocol.events import MessageReady
from gvc_protocol.messages import Resume, UnitAnswer, pack_message
from gvc_protocol.params import SECOND
from tests.protocol.helpers import unit


def answer(number: int, boot: int = 1) -> UnitAnswer:
    made = unit(number)
    return UnitAnswer(
        boot_id=boot, unit_no=number, descriptors=made.descriptors.pack(), keyframe=made.keyframe,
        features=made.features,
    )  # fmt: skip


def test_gaps_and_pieces_are_missing_until_they_come() -> None:
    missing = MissingUnits()
    for number, whole in ((0, True), (3, True), (4, False), (6, True)):
        missing.note(1, number, whole=whole)
    assert missing.ask(1, 9) == Resume(
        command_id=9, boot_id=1, next_unit=7, wanted=((1, 2), (4, 2))
    )
    assert missing.settle(1, 4) and not missing.settle(1, 4) and not missing.settle(1, 0)
    assert missing.ask(1, 9).wanted == ((1, 2), (5, 1))
    # Of an earlier boot the end comes, too.
    assert missing.settle(1, 7) and missing.ask(1, 9).next_unit == 8


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1 << 40), st.booleans()), max_size=60))
def test_whatever_is_heard_the_question_can_be_packed(rows: list[tuple[int, int, bool]]) -> None:
    missing = MissingUnits()
    for boot, number, whole in rows:
        missing.note(boot, number, whole=whole)
    assert len(missing.boots()) <= 8
    for boot in missing.boots():
        asked = missing.ask(boot, 1)
        assert Resume.unpack(asked.pack()) == asked


def test_it_is_asked_soon_then_less_often_and_not_over_a_dead_link() -> None:
    missing = MissingUnits()
    times = ResumeTimes(missing)
    missing.note(1, 0, whole=True)
    missing.note(1, 2, whole=True)
    assert times.due(100 * SECOND) == []  # nothing was heard
    asked = []
    for second in range(100, 400):
        times.heard(second * SECOND)
        asked += [second for _ in times.due(second * SECOND)]
    assert asked[0] == 104 and asked[1] == 144 and 3 <= len(asked) <= 6
    times.force()
    assert times.due(400 * SECOND) == [1]
    missing.settle(1, 1)
    assert times.due(500 * SECOND) == []


def test_recovered_units_need_a_key_and_a_readable_unit() -> None:
    def event(number: int, *, authenticated: bool, data: bytes = b"") -> MessageReady:
        return MessageReady(
            stream_id=1, boot_id=5, from_base=False, message_no=number, now=0,
            data=data or pack_message([answer(number)]), authenticated=authenticated,
        )  # fmt: skip

    recovered = RecoveredUnits()
    recovered.take(event(3, authenticated=False))
    assert recovered.get(1, 3) is None
    for number in (3, 5, 4):
        recovered.take(event(number, authenticated=True))
    assert [u.unit_no for u in recovered.between(1, 3, 5)] == [3, 4]
    assert [u.unit_no for u in recovered.between(1, 4, None)] == [4, 5]
    found = recovered.get(1, 3)
    assert found is not None and found.whole
    gone = UnitAnswer(boot_id=1, unit_no=9, descriptors=b"", keyframe=b"", features=b"")
    assert received_of(gone) is None


def test_what_the_radio_tells() -> None:
    state = LinkState(rssi_dbm=-97.4, snr_db=6.0, queue_free_percent=80.0)
    assert levels_of(state) == (-97, -103)
    assert radio_detail(state) == {"rssi_dbm": -97.4, "snr_db": 6.0, "queue_free_percent": 80.0}
    assert levels_of(LinkState(rssi_dbm=-80)) == (None, None) and radio_detail(LinkState()) == {}
