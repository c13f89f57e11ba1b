"""Laws of the receiver: true, bounded, repeatable, whatever it is fed."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.events import (
    DatagramRejected,
    DatagramsRejected,
    ReceiverEvent,
    SessionStarted,
    UnitReady,
)
from gvc_protocol.framing import Framing
from gvc_protocol.params import MS, SECOND, LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import Datagram, RejectReason, WirePart
from tests.protocol.channel import ErasureChannel, shuffle_within
from tests.protocol.helpers import (
    Timed,
    descriptors,
    drain,
    events,
    link,
    small_unit,
    symbols,
    unit,
    units,
)

laws = settings(max_examples=60, deadline=None)
D, K, F = WirePart.DESCRIPTORS, WirePart.KEYFRAME, WirePart.FEATURES
PARAMS = link()


def times_of(got: list[ReceiverEvent]) -> list[tuple[int, int]]:
    return [(e.unit.unit_no, e.now) for e in got if isinstance(e, UnitReady)]


# --- timers -----------------------------------------------------------------------------------


def test_a_whole_unit_is_handed_over_at_once_and_its_spare_parity_is_late() -> None:
    receiver = LinkReceiver(PARAMS)
    data = descriptors(0).pack()
    for d in symbols(D, data, unit_no=0, fec=100, s_max=20):
        receiver.receive(d.pack(), 5)
    assert times_of(events(receiver)) == [(0, 5)]
    assert receiver.counters.units_whole == 1 and receiver.counters.late > 0
    assert receiver.next_timer() is None


def test_a_silent_unit_is_closed_after_hold() -> None:
    receiver = LinkReceiver(PARAMS)
    first, second, *_ = symbols(F, bytes(200), unit_no=0, sent=(False, True))
    receiver.receive(first.pack(), 0)
    receiver.receive(second.pack(), 3 * SECOND)
    due = 3 * SECOND + PARAMS.hold_ns
    assert receiver.next_timer() == due
    receiver.handle_timer(due - 1)
    assert times_of(events(receiver)) == []
    receiver.handle_timer(due + 99)
    assert times_of(events(receiver)) == [(0, due)]
    assert receiver.next_timer() is None


def test_an_overtaken_unit_is_closed_after_reorder() -> None:
    receiver = LinkReceiver(PARAMS)
    early, late, *_ = symbols(F, bytes(200), unit_no=0, sent=(False, True))
    receiver.receive(early.pack(), 0)
    receiver.receive(symbols(F, bytes(200), unit_no=1, seq=50)[0].pack(), 1 * SECOND)
    receiver.receive(late.pack(), 1 * SECOND + 400 * MS)
    assert receiver.next_timer() == 1 * SECOND + PARAMS.reorder_ns
    receiver.receive(small_unit(2, 99), 2 * SECOND)
    got = events(receiver)
    assert times_of(got) == [(0, 1 * SECOND + PARAMS.reorder_ns)]
    unit_0 = units(got)[0]
    assert unit_0.features.ranges == ((0, bytes(2 * 34 - 4)),) and not unit_0.features.complete
    receiver.handle_timer(1 << 62)
    assert times_of(events(receiver)) == [(1, 2_500 * MS), (2, 2_500 * MS)]


def test_a_stalled_stream_gives_up_the_cut_datagram_and_finds_what_it_hid() -> None:
    framing = Framing(mtu_bytes=250, stream=True)
    receiver = LinkReceiver(LinkParams(framing=framing, rate_bps=1e5, fec_percent=0))
    cut = symbols(F, bytes(range(1, 150)), unit_no=1, s_max=200)[0].pack()[:40]
    receiver.receive(cut + small_unit(0, 0), 7)
    assert units(events(receiver)) == [] and receiver.next_timer() == 7 + 2 * SECOND
    receiver.handle_timer(1 << 40)
    got = events(receiver)
    assert [e.reason for e in got if isinstance(e, DatagramRejected)] == [RejectReason.TRUNCATED]
    assert times_of(got) == [(0, 7 + 2 * SECOND)]
    assert receiver.next_timer() is None and receiver.skipped_bytes == 40


def test_a_report_tells_when_a_datagram_came_that_hid_behind_a_cut_one() -> None:
    framing = Framing(mtu_bytes=250, stream=True)
    receiver = LinkReceiver(LinkParams(framing=framing, rate_bps=1e5, fec_percent=0))
    receiver.receive(symbols(F, bytes(150), unit_no=1, s_max=200)[0].pack()[:40], 1 * SECOND)
    hidden = symbols(D, bytes(30), unit_no=0, seq=5)[0]
    receiver.receive(hidden.pack()[:20], 2 * SECOND)
    receiver.receive(hidden.pack()[20:], 3 * SECOND)
    assert receiver.reception(hidden.stream_id, hidden.boot_id) is None
    receiver.handle_timer(9 * SECOND)
    told = receiver.reception(hidden.stream_id, hidden.boot_id)
    assert told is not None and told.highest_seq & 0xFFFFFF == hidden.seq
    assert told.heard_ns == 3 * SECOND


def test_a_stalled_stream_of_rs_frames_starts_anew() -> None:
    framing = Framing(mtu_bytes=120, stream=True, inner_rs=True)
    receiver = LinkReceiver(LinkParams(framing=framing, rate_bps=1e5, fec_percent=0))
    frames = [framing.frame(small_unit(n, n), n)[0] for n in (0, 1)]
    receiver.receive(frames[0][:50], 0)
    receiver.handle_timer(2 * SECOND - 1)
    assert receiver.next_timer() == 2 * SECOND
    receiver.receive(frames[1], 3 * SECOND)
    assert times_of(events(receiver)) == [(1, 3 * SECOND)]


# --- replay -----------------------------------------------------------------------------------


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_replay_gives_the_same_events_whenever_timers_were_polled(seed: int) -> None:
    dice = random.Random(seed)
    stream = dice.random() < 0.5
    framing = Framing(mtu_bytes=120, stream=stream, inner_rs=stream and dice.random() < 0.5)
    params = LinkParams(framing=framing, rate_bps=30_000, fec_percent=20)
    sender, packets = LinkSender(params, stream_id=1, boot_id=1), []
    for n in range(6):
        sender.submit(unit(n, dice.randbytes(900), dice.randbytes(1500)), n * SECOND)
        packets += drain(sender, n * SECOND, until=(n + 1) * SECOND - 1)
    kept = ErasureChannel(loss=0.3, burst=4, seed=seed).pass_on(packets)
    kept = [(t * dice.choice((1, 1, 4)), p) for t, p in kept]
    recorded = sorted(kept) if stream else shuffle_within(sorted(kept), 8, seed)
    end = recorded[-1][0] + 20 * SECOND

    def run(polls: list[int]) -> list[ReceiverEvent]:
        receiver, out = LinkReceiver(params), []
        steps: list[tuple[int, bytes | None]] = [*recorded, *((t, None) for t in polls)]
        for now, data in sorted(steps, key=lambda step: step[0]):
            if data is None:
                receiver.handle_timer(now)
            else:
                receiver.receive(data, now)
            if dice.random() < 0.3:
                out += events(receiver)
        receiver.close(end)
        return out + events(receiver)

    wanted = run([])
    assert units(wanted)
    for _ in range(2):
        assert run([dice.randrange(end) for _ in range(40)]) == wanted


# --- numbers ----------------------------------------------------------------------------------


@given(
    st.integers(0, (1 << 24) - 1), st.integers(0, 0xFFFF),
    st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(0, 30),
    st.integers(0, 999),
)  # fmt: skip
@laws
def test_lost_is_exact_over_wraps_and_outages(
    seq: int, unit_no: int, gaps: list[int], reach: int, seed: int
) -> None:
    sent: list[Timed] = []
    numbers = []
    for i, gap in enumerate(gaps):
        if gap > 900:  # an outage, up to just below half of either range
            seq, unit_no = seq + (1 << 23) - 40 - gap, unit_no + (1 << 15) - 40 - gap
        else:
            seq, unit_no = seq + 1 + gap % 4, unit_no + 1
        numbers.append(seq)
        sent.append((i, small_unit(unit_no, seq)))
    receiver = LinkReceiver(PARAMS)
    for now, packet in shuffle_within(sent, reach if max(gaps) <= 900 else 0, seed):
        receiver.receive(packet, now)
        receiver.receive(packet, now)
    receiver.close(1 << 50)
    assert receiver.lost_datagrams() == numbers[-1] - numbers[0] + 1 - len(numbers)
    assert receiver.counters.received == receiver.counters.duplicates == len(numbers)
    got = [u.unit_no for u in units(events(receiver))]
    assert got == sorted(set(got))


def test_numbers_go_on_over_the_wrap() -> None:
    receiver = LinkReceiver(PARAMS)
    for n in range(65_500, 65_600):
        receiver.receive(small_unit(n, (1 << 24) - 50 + n - 65_500), n)
    assert [u.unit_no for u in units(events(receiver))] == list(range(65_500, 65_600))
    assert receiver.lost_datagrams() == 0


def test_reordering_across_the_wrap_at_the_very_start_is_no_loss() -> None:
    receiver = LinkReceiver(PARAMS)
    for unit_no, seq in ((1, 1 << 24), (2, (1 << 24) - 1), (3, (1 << 24) + 1)):
        receiver.receive(small_unit(unit_no, seq), unit_no)
    assert receiver.lost_datagrams() == 0 and receiver.counters.duplicates == 0


def test_a_repeat_from_long_ago_is_still_a_repeat() -> None:
    receiver = LinkReceiver(PARAMS)
    for n in range(0, 3000, 2):
        receiver.receive(small_unit(n, n), n)
    for n in (0, 10, 1900, 2998):
        receiver.receive(small_unit(n, n), 3000)
    assert receiver.counters.duplicates == 4 and receiver.lost_datagrams() == 1499


def test_streams_and_boots_are_apart() -> None:
    receiver = LinkReceiver(PARAMS)
    base = Datagram.unpack(small_unit(0, 0))
    assert isinstance(base, Datagram)
    for stream_id in (1, 2):
        for boot_id in (1, 2):
            receiver.receive(replace(base, stream_id=stream_id, boot_id=boot_id).pack(), 0)
    got = events(receiver)
    assert sum(isinstance(e, SessionStarted) for e in got) == len(units(got)) == 4


# --- contradictions ---------------------------------------------------------------------------


def rejected(got: list[ReceiverEvent]) -> list[RejectReason]:
    return [e.reason for e in got if isinstance(e, DatagramRejected)]


def test_a_symbol_that_contradicts_its_block_is_told_and_left_out() -> None:
    receiver = LinkReceiver(PARAMS)
    first, second, *_ = symbols(F, bytes(range(100)), unit_no=0, sent=(False, True))
    for d in (first, replace(second, k=9), replace(second, seq=5, payload=b"short")):
        receiver.receive(d.pack(), 0)
    assert rejected(events(receiver)) == [RejectReason.CONFLICT] * 2
    assert receiver.counters.received == 1


@pytest.mark.parametrize("at_base", [True, False])
def test_our_own_side_is_not_listened_to_and_a_base_sends_no_units(at_base: bool) -> None:
    receiver = LinkReceiver(PARAMS, from_base=not at_base)
    d = symbols(F, b"x", unit_no=7)[0]
    receiver.receive(replace(d, from_base=at_base).pack(), 0)
    assert rejected(events(receiver)) == [RejectReason.WRONG_DIRECTION]
    assert not receiver._sessions and receiver.next_timer() is None
    receiver.receive(replace(d, from_base=True, seq=1).pack(), 0)
    assert rejected(events(receiver)) == [
        RejectReason.WRONG_DIRECTION if at_base else RejectReason.CONFLICT
    ]
    assert receiver.next_timer() is None


def test_what_is_encrypted_is_not_read_without_a_key() -> None:
    receiver = LinkReceiver(PARAMS)
    d = replace(symbols(F, b"x", unit_no=0)[0], tag=bytes(8), encrypted=True)
    receiver.receive(d.pack(), 0)
    assert rejected(events(receiver)) == [RejectReason.ENCRYPTED] and not receiver._sessions
    receiver.receive(replace(d, encrypted=False).pack(), 0)  # a tag alone hides nothing
    assert receiver.counters.received == 1


def test_a_flood_of_refused_datagrams_is_told_by_number() -> None:
    receiver = LinkReceiver(PARAMS)
    for i in range(5000):
        receiver.receive(b"noise %d" % i, i * MS)
    receiver.close(9 * SECOND)
    got = events(receiver)
    assert len(got) < 5 * 34
    counts = [e.counts[RejectReason.NO_SYNC] for e in got if isinstance(e, DatagramsRejected)]
    assert sum(counts) + len(rejected(got)) == receiver.counters.rejected[RejectReason.NO_SYNC]
    assert receiver.counters.rejected == {RejectReason.NO_SYNC: 5000}


@pytest.mark.parametrize("offset", [0, 50, 99, 101, 5000])
def test_blocks_that_do_not_join_are_no_whole_part(offset: int) -> None:
    receiver = LinkReceiver(PARAMS)
    data = descriptors().pack()
    sent = (False, True)
    made = symbols(D, data, unit_no=0, sent=sent)
    made += symbols(F, bytes(100), unit_no=0, seq=20, last=False, sent=sent)
    made += symbols(F, b"forged", unit_no=0, seq=40, block_no=1, offset=offset, sent=sent)
    for d in made:
        receiver.receive(d.pack(), 0)
    receiver.close(0)
    (got,) = units(events(receiver))
    assert not got.features.complete and not got.whole
    assert got.features.ranges[0] == (0, bytes(100))


def test_an_impossible_block_is_no_whole_part() -> None:
    receiver = LinkReceiver(PARAMS)
    d = symbols(F, b"data", unit_no=0, sent=(False, True))[0]
    receiver.receive(replace(d, payload=b"\0\0\0\xffdata").pack(), 0)
    made = symbols(F, bytes(30), unit_no=0, seq=9, block_no=1, offset=4, sent=(False, True))
    receiver.receive(replace(made[0], symbol=1, k=3).pack(), 0)
    receiver.close(0)
    (got,) = units(events(receiver))
    assert not got.features.complete and got.features.ranges == ()
    assert receiver.counters.blocks_failed == 2


def test_a_block_without_its_head_is_placed_after_the_one_before() -> None:
    receiver = LinkReceiver(PARAMS)
    data = bytes(range(1, 201))
    head, *tail = symbols(F, data[:100], unit_no=0, last=False, sent=(False, True))
    _, *other = symbols(
        F, data[100:], unit_no=0, seq=20, block_no=1, offset=100, sent=(False, True)
    )
    # Block 0 lacks its last symbol, block 1 its first: where block 0 ends is still known.
    for d in (head, *tail[:-1], *other):
        receiver.receive(d.pack(), 0)
    receiver.close(0)
    (got,) = units(events(receiver))
    size = len(head.payload)
    assert got.features.ranges[0] == (0, data[: size * len(tail) - 4])
    assert got.features.ranges[1] == (100 + size - 4, data[100 + size - 4 :])
