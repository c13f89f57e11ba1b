"""Messages: whole or not at all, each once, ahead of pictures, in bounded memory."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.events import MessageReady, ReceiverEvent
from gvc_protocol.message_session import MAX_MESSAGE_BYTES
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import Datagram, WirePart
from tests.protocol.channel import ErasureChannel, shuffle_within
from tests.protocol.helpers import Timed, drain, events, link, symbols, unit, units

PARAMS = link()


def messages(of: list[ReceiverEvent]) -> list[tuple[int, bytes]]:
    return [(e.message_no, e.data) for e in of if isinstance(e, MessageReady)]


def sent(*texts: bytes, params: LinkParams = PARAMS, from_base: bool = True) -> list[Timed]:
    sender = LinkSender(params, stream_id=1, boot_id=1, from_base=from_base)
    for number, text in enumerate(texts):
        assert sender.send_message(text, 0) == number
    return drain(sender)


def heard(packets: list[Timed], params: LinkParams = PARAMS) -> list[tuple[int, bytes]]:
    receiver = LinkReceiver(params, from_base=True)
    for now, packet in packets:
        receiver.receive(packet, now)
    return messages(events(receiver))


@given(st.lists(st.binary(max_size=4000), max_size=6), st.integers(0, 999))
@settings(max_examples=15, deadline=None)
def test_messages_come_back_once_whatever_comes_twice_or_out_of_order(
    texts: list[bytes], seed: int
) -> None:
    packets = sent(*texts)
    twice = shuffle_within(packets + packets, 12, seed)
    assert sorted(heard(twice)) == list(enumerate(texts))


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_half_a_message_is_none(seed: int) -> None:
    dice = random.Random(seed)
    texts = [dice.randbytes(dice.choice((3, 900, 9000))) for _ in range(6)]
    packets = sent(*texts, params=link(120, rate_bps=1e6))
    kept = ErasureChannel(loss=0.4, burst=3, seed=seed).pass_on(packets)
    got = heard(kept)
    assert all(data == texts[number] for number, data in got)
    assert len({number for number, _ in got}) == len(got)


def test_a_message_goes_ahead_of_pictures_and_its_parity_apart() -> None:
    sender = LinkSender(PARAMS, stream_id=1, boot_id=1)
    sender.submit(unit(0, bytes(3000), bytes(3000)), 0)
    sender.send_message(b"where are you", 0)
    parts = [Datagram.unpack(p).part for _, p in drain(sender)]  # type: ignore[union-attr]
    at = [i for i, part in enumerate(parts) if part == WirePart.MESSAGE]
    assert parts[: at[0]] in ([], [0]) and len(at) == 3
    assert min(b - a for a, b in pairwise(at)) > 3


def test_a_message_is_never_dropped_and_the_units_around_it_stay_whole() -> None:
    params = link(rate_bps=8000, queue_ns=2 * SECOND)
    sender = LinkSender(params, stream_id=1, boot_id=1)
    text = bytes(range(250)) * 8
    sender.send_message(text, 0)
    for n in range(4):
        sender.submit(unit(n, bytes(500), bytes(2500)), 0)
    receiver = LinkReceiver(params)
    for now, packet in drain(sender):
        receiver.receive(packet, now)
    receiver.close(1 << 50)
    got = events(receiver)
    assert messages(got) == [(0, text)] and sender.counters.dropped_symbols > 0
    assert [u.unit_no for u in units(got)] == [0, 1, 2, 3]
    assert receiver.lost_datagrams() == 0


def test_repeats_add_up_on_a_link_that_loses_more_than_the_parity() -> None:
    params = link(64, fec=0)
    sender = LinkSender(params, stream_id=1, boot_id=1, from_base=True)
    sender.send_message(bytes(200), 0, repeats=2)
    packets = drain(sender)
    once = len(packets) // 2
    kept = [p for i, p in enumerate(packets) if i not in (1, once + 2)]
    assert heard(kept[: once - 1], params) == [] and heard(kept, params) == [(0, bytes(200))]


def test_message_numbers_go_on_over_the_wrap_and_old_ones_are_not_told_again() -> None:
    receiver, numbers = LinkReceiver(PARAMS), [*range(65_000, 67_000)]
    made = symbols(WirePart.MESSAGE, b"x", unit_no=0)[0]
    for i, number in enumerate([*numbers, 65_990, 65_001, 66_999]):
        receiver.receive(replace(made, unit_no=number, seq=i).pack(), i)
    assert [number for number, _ in messages(events(receiver))] == numbers
    assert receiver.counters.late == 3 and receiver.counters.messages == 2000


def test_open_messages_take_bounded_memory_and_are_forgotten() -> None:
    receiver = LinkReceiver(PARAMS)
    made = symbols(WirePart.MESSAGE, bytes(200), unit_no=0)[0]
    for i in range(3000):
        receiver.receive(replace(made, unit_no=i // 4, block_no=i % 4, seq=i).pack(), i)
    (session,) = receiver._sessions.values()
    assert session.held_bytes < 64 << 10
    receiver.receive(replace(made, unit_no=2000, seq=9000).pack(), 300 * SECOND)
    assert session.held_bytes < 1000 and receiver.counters.messages_failed == 750
    assert messages(events(receiver)) == [] and receiver.next_timer() is None


def test_a_message_too_long_for_a_part_is_our_own_error() -> None:
    sender = LinkSender(link(60), stream_id=1, boot_id=1)
    with pytest.raises(LocalProtocolError):
        sender.send_message(bytes(MAX_MESSAGE_BYTES + 1), 0)


def test_the_longest_message_fits_in_what_a_receiver_holds() -> None:
    params = link(64, rate_bps=1e9)
    data = random.Random(1).randbytes(MAX_MESSAGE_BYTES // 4)  # a quarter: encoding is slow
    assert heard(sent(data, params=params), params) == [(0, data)]
