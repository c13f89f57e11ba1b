"""Interleave over units and windows for the other side, from sender to receiver."""

from __future__ import annotations

from dataclasses import replace

from gvc_protocol.codec import ReceivedUnit
from gvc_protocol.events import TurnGiven, UnitReady
from gvc_protocol.order import ListenWindows
from gvc_protocol.params import MS, SECOND
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.reports import TICK_NS
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import Datagram
from tests.protocol.helpers import link, unit

UNIT_NS = 2 * SECOND
UNITS = 12


def send(depth: int, *, fec: float = 60) -> list[tuple[int, bytes]]:
    """A stream of units of 2 s at four fifths of the rate: (time, datagram)."""
    sender, out = LinkSender(link(fec=fec), stream_id=1, boot_id=1), []
    sender.set_link(rate_bps=25_600, fec_percent=fec, interleave=depth)
    for number in range(UNITS):
        now = number * UNIT_NS
        made = unit(number, bytes(900), bytes(range(256)) * 6)
        last = number == UNITS - 1
        made = replace(made, descriptors=replace(made.descriptors, end_of_stream=last))
        sender.submit(made, now)
        until = None if last else now + UNIT_NS
        while (due := sender.next_timer()) is not None and (until is None or due < until):
            now = max(now, due)
            out += [(now, packet) for packet in sender.datagrams_to_send(now)]
    assert sender.idle
    return out


def receive(packets: list[tuple[int, bytes]]) -> list[ReceivedUnit]:
    receiver, units = LinkReceiver(link()), []
    for now, packet in packets:
        receiver.receive(packet, now)
    receiver.close(packets[-1][0])
    while (event := receiver.next_event()) is not None:
        if isinstance(event, UnitReady):
            units.append(event.unit)
    return units


def test_interleaved_units_arrive_whole_and_in_order() -> None:
    for depth in (0, 1, 2, 3):
        units = receive(send(depth))
        assert [u.unit_no for u in units] == list(range(UNITS))
        assert all(u.whole for u in units)


def test_interleave_spreads_a_unit_over_the_next_ones() -> None:
    def stretch(depth: int) -> int:
        times = [t for t, p in send(depth) if _unit(p) == 4]
        return max(times) - min(times)

    assert stretch(0) < UNIT_NS < stretch(1) < 2 * UNIT_NS < stretch(2) < 3 * UNIT_NS


def test_a_long_burst_costs_no_unit_where_they_are_interleaved() -> None:
    def whole(depth: int) -> int:
        packets = send(depth)
        start = next(t for t, p in packets if _unit(p) == 5)
        # 1.2 s of nothing: more than half of a unit's air time. D's first symbols are spared, as
        # the base bridges those anyhow.
        lost = (start + 200 * MS, start + 1_100 * MS)
        return sum(u.whole for u in receive([r for r in packets if not lost[0] <= r[0] < lost[1]]))

    assert whole(0) < UNITS and whole(1) == UNITS


def _unit(packet: bytes) -> int:
    d = Datagram.unpack(packet)
    assert isinstance(d, Datagram)
    return d.unit_no


def test_windows_give_the_turn_and_keep_it() -> None:
    sender = LinkSender(link(), stream_id=1, boot_id=1)
    sender.listen_each(2 * SECOND, 300 * MS)
    packets, now = [], 0
    for number in range(10):
        sender.submit(unit(number, bytes(900), bytes(3000)), number * UNIT_NS)
        while (due := sender.next_timer()) is not None and due < (number + 1) * UNIT_NS:
            now = max(now, due)
            packets += [(now, p) for p in sender.datagrams_to_send(now)]
    said = [i for i, (_, p) in enumerate(packets) if _over(p)]
    assert len(said) >= 5
    for i in said[:-1]:
        assert packets[i + 1][0] - packets[i][0] >= 300 * MS
    receiver = LinkReceiver(link())
    turns = 0
    for at, packet in packets:
        receiver.receive(packet, at)
        while (event := receiver.next_event()) is not None:
            turns += isinstance(event, TurnGiven)
    assert turns == len(said)


def _over(packet: bytes) -> bool:
    d = Datagram.unpack(packet)
    assert isinstance(d, Datagram)
    return d.over


def test_what_left_is_told_with_its_numbers() -> None:
    sender = LinkSender(link(), stream_id=1, boot_id=1)
    sender.submit(unit(0, bytes(900), bytes(900)), 0)
    now, sent = 0, 0
    while (due := sender.next_timer()) is not None:
        now = max(now, due)
        sent += sum(map(len, sender.datagrams_to_send(now)))
    told = sender.take_sent()
    assert [seq for seq, _ in told] == list(range(sender.counters.datagrams))
    assert sum(size for _, size in told) == sent and sender.take_sent() == []


def test_a_reception_is_what_was_heard() -> None:
    receiver, packets = LinkReceiver(link()), send(0)
    for i, (now, packet) in enumerate(packets):
        if i % 10 not in (3, 4):
            receiver.receive(packet, now)
    state = receiver.reception(1, 1)
    assert state is not None and receiver.reception(2, 1) is None
    gaps = len(range(3, len(packets) - 1, 10))
    assert abs(state.bursts - gaps) <= 1 and abs(state.lost - 2 * gaps) <= 2
    assert state.received + state.lost == (state.highest_seq + 1) % (1 << 24)
    report = state.report(packets[-1][0] + SECOND)
    assert 100 <= report.age <= 200 and report.received == state.received


def test_a_report_tells_when_earlier_datagrams_came() -> None:
    receiver, packets = LinkReceiver(link()), send(0)
    heard = {}
    for i, (now, packet) in enumerate(packets):
        if i % 10 not in (3, 4):
            receiver.receive(packet, now)
            heard[i] = now
    state = receiver.reception(1, 1)
    assert state is not None
    told = state.earlier(100)
    assert told is not None and len(told.steps) >= 4
    seq, at, lost = state.highest_seq, state.heard_ns // TICK_NS, state.lost
    for back, ticks, between in told.steps:
        seq, at, lost = seq - back, at - ticks, lost - between
        number = seq % (1 << 24)
        assert at == heard[number] // TICK_NS
        assert lost == sum(i not in heard for i in range(number))
    # No more than there is room for.
    few = state.earlier(len(told.pack()) - 1)
    assert few is not None and few.steps == told.steps[:-1] and state.earlier(0) is None


def _answered(windows: ListenWindows, at: int, after: int) -> None:
    windows.asked(1)
    windows.sent(at, 0)
    windows.given_back(at + after)


def test_short_windows_come_more_often_and_sooner_still_after_a_change() -> None:
    windows = ListenWindows(every_ns=20 * SECOND, listen_ns=2 * SECOND)
    _answered(windows, 20 * SECOND, 500 * MS)
    at = 20 * SECOND + 500 * MS
    # Eight times the silence, or two seconds where the controller doubts what it knows; the last that
    # waits may be a little early.
    assert not windows.is_due(at + 3249 * MS) and windows.is_due(at + 3250 * MS)
    windows.eager = True
    assert not windows.is_due(at + 1249 * MS) and windows.is_due(at + 1250 * MS)


def test_a_turn_waits_a_while_for_the_last_datagram() -> None:
    windows = ListenWindows(every_ns=20 * SECOND, listen_ns=2 * SECOND)
    _answered(windows, 20 * SECOND, 500 * MS)
    due = 24 * SECOND + 500 * MS
    assert windows.is_due(due - 750 * MS) and not windows.is_due(due - 751 * MS)
    assert not windows.is_due(due, last=False) and windows.is_due(due + 750 * MS, last=False)


def test_a_window_without_an_answer_ends_when_one_should_have_come() -> None:
    windows = ListenWindows(every_ns=20 * SECOND, listen_ns=2 * SECOND)
    _answered(windows, 20 * SECOND, 400 * MS)
    windows.asked(2)
    windows.sent(30 * SECOND, 0)
    assert windows.until == 30 * SECOND + 800 * MS
    # Soon again, for it is often only the turn that was lost; then ever more rarely.
    assert windows.is_due(windows.until + SECOND) and not windows.is_due(windows.until + 999 * MS)
    waits = []
    for _ in range(5):
        at = windows.until
        while not windows.is_due(at):
            at += 100 * MS
        waits.append(round((at - windows.until) / SECOND, 1))
        windows.asked(3)
        windows.sent(at, 0)
    assert waits == [1.0, 1.0, 2.4, 4.8, 6.0]
    # What begins to come in a window has all the time there is.
    windows = ListenWindows(every_ns=20 * SECOND, listen_ns=2 * SECOND)
    _answered(windows, 20 * SECOND, 400 * MS)
    windows.asked(2)
    windows.sent(30 * SECOND, 0)
    windows.heard(30 * SECOND + 700 * MS)
    assert windows.until == 32 * SECOND
    windows.heard(33 * SECOND)
    assert windows.until == 32 * SECOND


def test_a_window_ends_when_it_is_given_back() -> None:
    windows = ListenWindows(every_ns=2 * SECOND, listen_ns=SECOND)
    assert not windows.is_due(0) and windows.is_due(2 * SECOND)
    windows.asked(7)
    windows.sent(2 * SECOND, 0)
    assert windows.until == 3 * SECOND
    windows.given_back(2 * SECOND + 300 * MS)
    assert windows.until == 2 * SECOND + 300 * MS
    # The next one is counted from there, less a quarter where it is the last that waits.
    # An OVER outside a window changes nothing.
    windows.given_back(3 * SECOND)
    assert windows.until == 2 * SECOND + 300 * MS
    assert not windows.is_due(3 * SECOND + 799 * MS) and windows.is_due(3 * SECOND + 800 * MS)


def test_windows_that_nobody_answers_come_ever_more_rarely() -> None:
    windows = ListenWindows(every_ns=20 * SECOND, listen_ns=2 * SECOND)
    now, waits = 0, []
    windows.is_due(0)
    for seq in range(10):
        began = now
        while not windows.is_due(now):
            now += SECOND
        waits.append((now - began) // SECOND)
        windows.asked(seq)
        windows.sent(now, 0)
        now = windows.until
    assert waits == [2, 2, 4, 6, 6, 6, 6, 6, 6, 20]
    windows.asked(9)
    windows.sent(now, 0)
    windows.given_back(now + 400 * MS)
    assert windows.is_due(now + 1650 * MS) and not windows.is_due(now + 1649 * MS)


def test_a_turn_leaves_room_for_itself() -> None:
    windows = ListenWindows(every_ns=20 * SECOND, listen_ns=2 * SECOND)
    windows.sent(5 * SECOND, 100 * MS)
    windows.asked(2)
    assert windows.turn_at(2, 100 * MS) == 5 * SECOND + 500 * MS
    assert windows.turn_at(3, 100 * MS) == 0  # says nothing


def test_once_a_minute_a_turn_finds_the_radios_queue_empty() -> None:
    windows = ListenWindows(every_ns=20 * SECOND, listen_ns=2 * SECOND)
    gaps = []
    for at in range(30, 160, 10):
        now = at * SECOND
        windows.sent(now, 100 * MS)
        assert windows.is_due(now) or at == 30
        if at == 30:
            continue
        windows.asked(at)
        gaps.append(windows.turn_at(at, 100 * MS) > now + SECOND)
        windows.sent(now + SECOND, 0)
        windows.given_back(now + SECOND + 300 * MS)
    assert [i for i, gap in enumerate(gaps) if gap] == [0, 7]
