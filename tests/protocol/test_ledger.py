"""The airtime ledger: in no rolling hour more than the law allows, whatever the pattern of sends."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.framing import Framing
from gvc_protocol.ledger import HOUR_NS, AirtimeExhausted, AirtimeLedger, AirtimeLimit
from gvc_protocol.params import MS, SECOND, LinkParams
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import WirePart


def ledger(duty: float, dwell_ms: int = 0, ms_per_byte: float = 10) -> AirtimeLedger:
    limit = AirtimeLimit(subband="868.0-868.6 MHz", duty_cycle=duty, dwell_ns=dwell_ms * MS)
    return AirtimeLedger(limit, lambda size: round(size * ms_per_byte * MS))


def worst_hour(sent: list[tuple[int, int]]) -> int:
    """Most air time that any window of an hour holds; it is at a packet's start or end."""
    edges = [t for start, end in sent for t in (start, end, start - HOUR_NS, end - HOUR_NS)]
    return max(
        sum(max(0, min(end, w + HOUR_NS) - max(start, w)) for start, end in sent) for w in edges
    )


@given(
    sends=st.lists(
        st.tuples(st.integers(0, 900 * SECOND), st.integers(1, 250), st.booleans()), max_size=60
    ),
    duty=st.sampled_from([0.001, 0.01, 0.1]),
    restart_at=st.integers(0, 60),
)
@settings(max_examples=200, deadline=None)
def test_no_rolling_hour_exceeds_the_limit(
    sends: list[tuple[int, int, bool]], duty: float, restart_at: int
) -> None:
    """Packets come whenever they like and go when the ledger lets them; a restart forgets nothing."""
    book, now, sent = ledger(duty, ms_per_byte=10), 10 * HOUR_NS, [(0, 0)]
    for i, (wait, size, patient) in enumerate(sends):
        now = max(now, sent[-1][1]) + wait
        if i == restart_at:
            kept, book = book.export(), ledger(duty, ms_per_byte=10)
            book.restore(kept, now)
        at = book.ready_at(size, now)
        assert at >= now
        if at > now and not patient:
            continue
        now = at
        book.spend(size, now)
        sent.append((now, now + size * 10 * MS))
    assert worst_hour(sent) <= duty * HOUR_NS


def test_it_goes_on_as_soon_as_the_law_lets_it() -> None:
    book = ledger(0.01, ms_per_byte=10)  # 36 s an hour; 100 bytes take 1 s
    for i in range(36):
        assert book.ready_at(100, i * 10 * SECOND) == i * 10 * SECOND
        book.spend(100, i * 10 * SECOND)
    assert book.used_share(360 * SECOND) == 1
    assert book.ready_at(100, 360 * SECOND) == HOUR_NS + 1 * SECOND
    assert book.ready_at(200, 360 * SECOND) == HOUR_NS + 11 * SECOND


def test_memory_is_bounded() -> None:
    book = ledger(1.0, ms_per_byte=0.001)
    for i in range(20_000):
        book.spend(1, i * HOUR_NS // 10_000)
    assert len(book.export()) <= 1202


def test_dwell_and_never() -> None:
    with pytest.raises(LocalProtocolError, match="400 ms"):
        ledger(1, dwell_ms=400).check(41)
    ledger(1, dwell_ms=400).check(40)
    with pytest.raises(LocalProtocolError, match="hour"):
        ledger(0.001).check(361)


def test_times_of_a_wrong_clock_count_from_now() -> None:
    book = ledger(0.01)
    book.restore([(10**20, 36 * SECOND), (-5, 0)], now=5 * HOUR_NS)
    assert book.ready_at(100, 5 * HOUR_NS) == 6 * HOUR_NS


def test_the_sender_waits_and_says_so_once() -> None:
    params = LinkParams(framing=Framing(mtu_bytes=100), rate_bps=800, fec_percent=0)
    sender = LinkSender(params, stream_id=1, boot_id=1, ledger=ledger(0.001))  # 3.6 s an hour
    sender.open_unit(0, keyframe=True, features=False, now=0)
    sender.write(WirePart.KEYFRAME, b"x" * 700, 0, last=True)
    sent: list[tuple[int, int]] = []
    events = []
    while (due := sender.next_timer()) is not None:
        sent += [(due, due + len(p) * 10 * MS) for p in sender.datagrams_to_send(due)]
        while (event := sender.next_event()) is not None:
            events.append(event)
    assert worst_hour(sent) <= 3600 * MS and sent[-1][0] > HOUR_NS
    held = [e for e in events if isinstance(e, AirtimeExhausted)]
    # One line each time it comes to a stand, and it is true.
    assert 1 <= len(held) <= 4 and any(start == held[0].until for start, _ in sent)
    wait = (held[0].until - held[0].now) / SECOND
    line = f"868.0-868.6 MHz: 0.1 % used up, next packet in {math.ceil(wait)} s"
    assert held[0].as_text() == line and 3500 < wait <= 3610
