"""Laws of the pacer: never above the rate over any window, and never stuck."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.pacing import Pacer

SECOND = 1_000_000_000
WINDOW = 10 * SECOND
laws = settings(max_examples=150, deadline=None)
waits = st.integers(0, 10**7) | st.integers(0, 15 * SECOND)


def fullest(sent: list[tuple[int, int]], window: int) -> int:
    """Most bytes that start in any half-open window; one that begins at a packet is enough."""
    return max(
        (sum(size for t, size in sent if start <= t < start + window) for start, _ in sent),
        default=0,
    )


@given(
    st.integers(300, 2_000_000),
    st.lists(st.tuples(st.integers(1, 250), waits), max_size=80),
    st.sampled_from((WINDOW, SECOND * 7)),
)
@laws
def test_no_window_holds_more_than_the_rate(
    rate: int, packets: list[tuple[int, int]], window: int
) -> None:
    pacer, now, sent = Pacer(rate, window), 0, []
    allowed = rate * window / 8 / SECOND
    for size, wait in packets:
        if size > allowed:
            continue
        now = pacer.ready_at(size, now + wait)
        assert pacer.ready_at(size, now) == now
        pacer.spend(size, now)
        sent.append((now, size))
    assert fullest(sent, window) <= allowed


@given(st.integers(2_000, 10**6), st.lists(st.integers(1, 250), min_size=1, max_size=100))
@laws
def test_a_waiting_packet_goes_within_a_window(rate: int, sizes: list[int]) -> None:
    pacer, now = Pacer(rate, WINDOW), 0
    for size in sizes:
        at = pacer.ready_at(size, now)
        assert now <= at <= now + WINDOW
        pacer.spend(size, at)
        now = at


@given(st.integers(2_000, 10**6), st.integers(1, 250), st.integers(1, 250))
@laws
def test_packets_are_spaced_by_their_air_time(rate: int, first: int, second: int) -> None:
    pacer = Pacer(rate, WINDOW)
    pacer.spend(first, 5)
    assert pacer.ready_at(second, 5) >= 5 + int(first * 8 * SECOND / rate)


def test_the_rate_is_used_up_when_there_is_enough_to_send() -> None:
    pacer, now, total = Pacer(64_000, WINDOW), 0, 0
    while (now := pacer.ready_at(200, now)) < 60 * SECOND:
        pacer.spend(200, now)
        total += 200
    assert total >= 0.999 * 60 * 8000


def test_a_lower_rate_spaces_what_follows_and_silences_nobody() -> None:
    pacer = Pacer(80_000, WINDOW)
    now = 0
    for _ in range(100):
        now = pacer.ready_at(1000, now)
        pacer.spend(1000, now)
    pacer.set_rate(8_000)
    now = pacer.ready_at(1000, now)
    assert now == 10 * SECOND
    pacer.spend(1000, now)
    assert pacer.ready_at(1000, now) == now + SECOND


def test_the_highest_rate_stays_the_limit_of_the_window() -> None:
    pacer, now, sent = Pacer(80_000, WINDOW), 0, []
    for turn in range(600):
        pacer.set_rate(8_000 if turn % 7 else 80_000)
        now = pacer.ready_at(1000, now)
        pacer.spend(1000, now)
        sent.append((now, 1000))
    assert fullest(sent, WINDOW) <= 80_000 * 10 / 8
