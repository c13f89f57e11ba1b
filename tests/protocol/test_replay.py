"""The window: every number once, in any order within reach, and over restarts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.auth import LinkKey, Sealer
from gvc_protocol.events import MessageReady, SessionStarted, UnitReady
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.replay import REPLAY_WINDOW, Freshness, ReplayGuard
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import Datagram, RejectReason, WirePart
from tests.protocol.channel import shuffle_within
from tests.protocol.helpers import Timed, drain, events, link, symbols, unit

KEY = LinkKey(bytes(32))
PARAMS = link(tagged=True, queue_ns=1 << 45)
BAD_ROWS = (
    [1, False, 70_000, 5, "1"], [1, 0, 7, 5, "1"], [1, False, 7, 5, "2"], [1, False, 7, -5, "1"],
    [1, False, 7, 5, "z"], [1, False, 7, 1 << 64, "1"],
)  # fmt: skip
laws = settings(max_examples=60, deadline=None)
NEW, SEEN, OLD = Freshness.NEW, Freshness.SEEN, Freshness.OLD


def mission(boot_id: int, units: int = 3, key: LinkKey = KEY) -> list[Timed]:
    sender = LinkSender(PARAMS, stream_id=1, boot_id=boot_id, key=key)
    dice = random.Random(boot_id)
    for n in range(units):
        sender.submit(unit(n, dice.randbytes(700), dice.randbytes(900)), 0)
    return drain(sender)


def listen(guard: ReplayGuard, *captures: list[Timed]) -> LinkReceiver:
    receiver, now = LinkReceiver(PARAMS, key=KEY, replay=guard), 0
    for capture in captures:
        for _, packet in capture:
            now += 10_000_000
            receiver.receive(packet, now)
    return receiver


@given(st.integers(0, 1 << 40), st.lists(st.integers(0, 3000), max_size=200))
@laws
def test_the_window_is_exact(start: int, offsets: list[int]) -> None:
    guard, believed, highest = ReplayGuard(), {start}, start
    assert guard.accept(1, False, 1, start) is NEW
    for offset in offsets:
        seq = max(0, highest + offset - 1500)
        expected = OLD if seq <= highest - REPLAY_WINDOW else SEEN if seq in believed else NEW
        assert guard.accept(1, False, 1, seq) is expected
        if expected is NEW:
            believed.add(seq)
            highest = max(highest, seq)


@given(st.integers(0, 1 << 26), st.lists(st.integers(0, 1100), max_size=60), st.integers(0, 9))
@laws
def test_state_goes_out_and_comes_back(start: int, steps: list[int], boot_id: int) -> None:
    guard, seq = ReplayGuard(), start
    for step in steps:
        seq += step
        guard.accept(step % 3, bool(step % 2), boot_id, seq)
    again = ReplayGuard.restore(json.loads(json.dumps(guard.export())))
    assert again.export() == guard.export()
    for step in range(3):
        for from_base in (False, True):
            for number in range(max(0, seq - 5), seq + 5):
                assert again.accept(step, from_base, boot_id, number) is guard.accept(
                    step, from_base, boot_id, number
                )


@pytest.mark.parametrize(
    "change",
    [
        lambda s: None, lambda s: [], lambda s: {}, lambda s: {**s, "format": 2},
        lambda s: {**s, "window": 64}, lambda s: {**s, "heard": 3}, lambda s: {**s, "heard": [[]]},
        *(lambda s, row=row: {**s, "heard": [row]} for row in BAD_ROWS),
    ],
)  # fmt: skip
def test_damaged_state_is_refused(change: Callable[[dict[str, object]], object]) -> None:
    with pytest.raises(ValueError):
        ReplayGuard.restore(change(ReplayGuard().export()))


@given(st.integers(0, 900))
@settings(max_examples=10, deadline=None)
def test_reordering_within_the_window_costs_nothing(seed: int) -> None:
    packets = mission(1, units=6)
    receiver = listen(ReplayGuard(), shuffle_within(packets, 1000, seed))
    assert receiver.counters.received == len(packets) and receiver.counters.rejected == {}


def test_a_replay_at_once_is_a_repeat_and_a_later_one_is_refused() -> None:
    packets = mission(1, units=2)
    receiver = listen(ReplayGuard(), packets, packets)
    assert receiver.counters.duplicates == len(packets)
    assert receiver.counters.received == len(packets)
    long = mission(2, units=260)
    assert len(long) > 2 * REPLAY_WINDOW
    receiver = listen(ReplayGuard(), long, long[:100])
    assert receiver.counters.rejected == {RejectReason.REPLAY: 100}
    assert receiver.counters.received == len(long)


def test_an_earlier_boot_is_not_believed_again_not_even_after_a_restart() -> None:
    first, second = mission(7), mission(8)
    guard = ReplayGuard()
    receiver = listen(guard, first, second, first)
    assert receiver.counters.rejected == {RejectReason.REPLAY: len(first)}
    kept = ReplayGuard.restore(json.loads(json.dumps(guard.export())))
    after = listen(kept, first, second)
    assert after.counters.rejected == {RejectReason.REPLAY: len(first)}
    assert after.counters.duplicates == len(second) and after.counters.received == 0
    got = events(after)
    assert not any(isinstance(e, SessionStarted | UnitReady) for e in got)
    third = mission(9)
    for i, (_, packet) in enumerate(third):
        after.receive(packet, 10**10 + i)
    assert after.counters.received == len(third)


def test_a_forger_moves_no_window_and_makes_no_session() -> None:
    """Numbers far ahead and later boots, without the key: the true stream goes on as if alone."""
    guard, dice = ReplayGuard(), random.Random(4)
    truth = mission(3)
    receiver = listen(guard, truth[:10])
    before = guard.export()
    made = symbols(WirePart.FEATURES, b"forged", unit_no=0)[0]
    for i in range(2000):
        d = replace(made, boot_id=dice.choice((3, 4, 0xFFFF)), seq=dice.randrange(1 << 24))
        d = replace(d, tag=dice.randbytes(8) if i % 3 else b"", stream_id=dice.choice((1, 2)))
        receiver.receive(d.pack(), 10**9 + i)
    assert guard.export() == before and len(receiver._sessions) == 1
    assert sum(receiver.counters.rejected.values()) == 2000
    for i, (_, packet) in enumerate(truth[10:]):
        receiver.receive(packet, 2 * 10**9 + i)
    assert receiver.counters.received == len(truth)


def test_numbers_go_on_over_24_bits() -> None:
    sealer, receiver = Sealer(KEY, encrypt=False), LinkReceiver(PARAMS, key=KEY)
    made = symbols(WirePart.MESSAGE, b"x", unit_no=0)[0]
    first = 3 * (1 << 24) - 40  # heard for the first time after two wraps
    for i in range(80):
        d = sealer.seal(replace(made, seq=first + i, unit_no=i))
        receiver.receive(d.pack(), i)
    got = [e for e in events(receiver) if isinstance(e, MessageReady)]
    assert [e.message_no for e in got] == list(range(80)) and all(e.authenticated for e in got)


def test_directions_are_apart() -> None:
    """What the camera sent, thrown back at it as if from the base, is refused."""
    guard = ReplayGuard()
    edge_end = LinkReceiver(PARAMS, from_base=True, key=KEY, replay=guard)
    for i, (_, packet) in enumerate(mission(1)):
        read = Datagram.unpack(packet)
        assert isinstance(read, Datagram)
        edge_end.receive(packet, i)
        edge_end.receive(replace(read, from_base=True).pack(), i)
    assert set(edge_end.counters.rejected) == {RejectReason.WRONG_DIRECTION, RejectReason.BAD_TAG}
    assert edge_end.counters.received == 0 and guard.export()["heard"] == []
