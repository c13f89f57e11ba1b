"""Units kept on disk and sent again: bounded, after a restart, once for each time they are asked."""

from __future__ import annotations

from pathlib import Path

from gvc_edge.kept_units import KeptUnits
from gvc_edge.resend import UnitAnswers
from gvc_edge.share import AnswerShare
from gvc_edge.texts import TextsOut
from gvc_protocol.messages import Resume
from gvc_protocol.params import SECOND
from tests.protocol.helpers import unit


def resume(*wanted: tuple[int, int], boot: int = 1, following: int = 0) -> Resume:
    return Resume(command_id=1, boot_id=boot, next_unit=following, wanted=wanted)


def numbers(answers: UnitAnswers, now: int) -> list[int]:
    out = []
    while (answer := answers.poll(now)) is not None:
        out.append(answer.unit_no)
    return out


def test_units_outlive_a_restart_and_a_cut_record(tmp_path: Path) -> None:
    kept = KeptUnits(tmp_path, 1, limit_bytes=8 << 20)
    for number in range(5):
        kept.keep(unit(number))
    (segment,) = tmp_path.glob("boot-00001-*.units")
    segment.write_bytes(segment.read_bytes()[:-3])
    again = KeptUnits(tmp_path, 2, limit_bytes=8 << 20)
    again.keep(unit(0))
    assert again.numbers(1, 2) == [2, 3] and again.numbers(2, 0) == [0]
    found = again.find(1, 3)
    assert found is not None and found.features == unit(3).features
    assert again.find(1, 4) is None and again.find(7, 0) is None


def test_the_oldest_segments_give_way(tmp_path: Path) -> None:
    kept = KeptUnits(tmp_path, 1, limit_bytes=3 << 20)
    for number in range(40):
        kept.keep(unit(number, features=bytes(200_000)))
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 3 << 20
    assert kept.find(1, 0) is None and kept.find(1, 39) is not None


def test_a_unit_is_not_sent_again_while_it_may_be_under_way(tmp_path: Path) -> None:
    kept = KeptUnits(tmp_path, 1, limit_bytes=8 << 20)
    for number in range(6):
        kept.keep(unit(number))
    answers = UnitAnswers(kept, 1)
    answers.add(resume((1, 2), (4, 1)), 0)
    first = answers.poll(0)
    assert first is not None and first.unit_no == 1
    # The base has 2 meanwhile: what it asks now replaces what it asked before.
    answers.add(resume((1, 1), (4, 1)), SECOND)
    assert numbers(answers, SECOND) == [4]
    answers.add(resume((1, 1)), 10 * SECOND)
    assert numbers(answers, 10 * SECOND) == []
    answers.add(resume((1, 1)), 31 * SECOND)
    assert numbers(answers, 31 * SECOND) == [1]


def test_the_end_of_an_earlier_boot_is_sent_too(tmp_path: Path) -> None:
    old = KeptUnits(tmp_path, 1, limit_bytes=8 << 20)
    for number in range(6):
        old.keep(unit(number))
    answers = UnitAnswers(KeptUnits(tmp_path, 2, limit_bytes=8 << 20), 2)
    answers.add(resume((1, 1), following=4), 0)
    assert numbers(answers, 0) == [1, 4, 5]
    answers.add(resume((900, 1), boot=2, following=1), 0)
    gone = answers.poll(0)
    assert gone is not None and gone.unit_no == 900 and gone.descriptors == b""
    answers.add(resume((0, 1 << 40)), 0)
    assert len(numbers(answers, 0)) <= 4096


def test_answers_keep_to_their_share() -> None:
    share, sent = AnswerShare(0.25), 0
    share.rest(0)
    for tick in range(6000):
        if share.may_send(tick * SECOND // 100, 16_000):
            share.spend(3_000)
            sent += 3_000
    # 60 s at a quarter of 2000 bytes a second, and the one that goes ahead of its time.
    assert 0.9 * 30_000 <= sent <= 30_000 + 3_000 + 1_000


def test_texts_are_repeated_until_the_base_has_them() -> None:
    texts = TextsOut(3)
    number = texts.say("here", 0)
    due = [second for second in range(60) if texts.due(second * SECOND)]
    assert due == [0, 5, 15, 35]
    assert texts.acknowledged(number) and not texts.acknowledged(number)
    assert texts.due(100 * SECOND) == [] and texts.say("x", 0) != number
