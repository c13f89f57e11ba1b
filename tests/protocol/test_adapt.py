"""Adaptation on a simulated link: how fast it settles, that it does not swing, and what losses do."""

from __future__ import annotations

from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_profiles import load
from gvc_protocol.adapt import LinkController
from gvc_protocol.link_gauge import LinkGauge
from gvc_protocol.params import SECOND
from gvc_protocol.reports import REPORT_SHARE, TICK_NS, Arrivals, Report, report_period_ns
from tests.protocol.simlink import Air, fly, limits
from tests.protocol.simradio import fly_radio

FULL, HALF = 25_600, 12_800
BAND, LIMIT_S = 0.15, 10.0
SEEDS = (1, 2, 3)
U8, U16 = st.integers(0, 255), st.integers(0, 0xFFFF)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_settles_within_ten_seconds_when_the_link_halves_and_doubles(seed: int) -> None:
    air = Air(rate_bps=lambda t: HALF if 20 <= t < 60 else FULL)
    run = fly(air, seconds=90, seed=seed)
    assert run.settled_after(20, HALF, BAND, 60) <= LIMIT_S
    assert run.settled_after(60, FULL, BAND, 90) <= LIMIT_S


@pytest.mark.parametrize(("seed", "loss"), [(7, 0.05), (11, 0.1), (12, 0.2)])
def test_a_whole_radio_link_settles_and_does_not_swing(seed: int, loss: float) -> None:
    """SiK radio, half duplex, its short queue full as soon as it halves; a loss hits two datagrams."""
    run = fly_radio(
        load("sik-64"), seconds=100, loss=loss, seed=seed,
        air_bps=lambda t: HALF if 20 <= t < 60 else FULL,
    )  # fmt: skip
    # Less the turns of the air and the reports, a second each.
    half, full = ((bps * 0.98 - 440) for bps in (HALF, FULL))
    assert run.settled_after(20, half, BAND, 60) <= LIMIT_S
    assert run.settled_after(60, full, BAND, 100) <= LIMIT_S
    assert run.swings(35, 60, BAND * half) <= 1 and run.swings(75, 100, BAND * full) <= 1


def test_a_link_with_windows_settles_and_its_bursts_do_not_overflow_the_radio() -> None:
    """Reports come with a window only; each tells of several arrivals."""
    run = fly_radio(
        load("ebyte-e22-us915"),
        seconds=80,
        seed=2,
        air_bps=lambda t: HALF if 20 <= t < 50 else FULL,
    )
    half, full = (bps * 240 / 280 for bps in (HALF, FULL))
    assert run.settled_after(20, half, BAND, 50) <= LIMIT_S
    assert run.settled_after(50, full, BAND, 80) <= LIMIT_S
    assert run.setting(79).fec_percent <= 25


def test_one_report_with_arrivals_tells_what_a_changed_link_carries() -> None:
    """The newest number found the queue empty; the ones before it tell how fast it was served."""
    gauge, free, heard, seq = LinkGauge(250, 5 * SECOND), 0.0, [0.0] * 60, 0
    for seq in range(60):
        bps = FULL if seq < 20 else HALF
        gauge.packet_ns = 250 * 8e9 / FULL
        sent = seq * 120e6 + (2 * SECOND if seq == 59 else 0)
        gauge.note_sent(seq, 250, int(sent))
        free = max(free, sent) + 250 * 8e9 / bps
        heard[seq] = free
        if seq == 19:
            gauge.take(_heard(seq, heard), int(free))
    places = (59, 58, 55, 50, 44, 38)
    ticks = [int(heard[i]) // TICK_NS for i in places]
    steps = tuple(
        (a - b, s - t, 0) for a, b, s, t in zip(places, places[1:], ticks, ticks[1:], strict=False)
    )
    gauge.take(_heard(59, heard), int(free), Arrivals(steps))
    least, most = gauge.bounds_bps
    assert 0.85 * HALF <= least <= HALF <= most <= 1.15 * HALF


def test_what_the_base_says_beside_our_packets_is_no_slower_link() -> None:
    """The air was the base's for 0.4 s, twice: told of it, the gauge keeps what the link carries."""
    most = {}
    for told in (False, True):
        gauge, free, heard = LinkGauge(250, 5 * SECOND), 0.0, [0.0] * 16
        gauge.packet_ns = 250 * 8e9 / HALF
        for seq in range(16):
            sent = seq * 130e6
            gauge.note_sent(seq, 250, int(sent))
            free = max(free, sent)
            if seq in (3, 5):
                free += 0.4e9
                if told:
                    gauge.note_talk(400_000_000, int(sent + 0.1e9))
            free += 250 * 8e9 / HALF
            heard[seq] = free
            if seq in (0, 6):
                gauge.take(_heard(seq, heard), int(free))
        most[told] = gauge.bounds_bps[1]
    assert most[False] < 0.9 * HALF and most[True] >= HALF


def test_a_report_said_again_while_the_radio_is_full_does_not_bring_the_rate_down_too_far() -> None:
    """A full radio cuts datagrams, so the base says its report twice, the window being over by then."""
    run = fly_radio(
        load("ebyte-e22-us915"), seconds=60, seed=20,
        air_bps=lambda t: 24_000 if t < 31.4 else 12_000,
    )  # fmt: skip
    assert run.settled_after(31.4, 12_000 * 240 / 280, BAND, 60) <= LIMIT_S


def _heard(seq: int, heard: list[float]) -> Report:
    return Report(
        boot_id=1, seq=seq, heard_at=int(heard[seq]) // TICK_NS & 0xFFFF, age=0, received=seq + 1,
        lost=0, bursts=0, repaired=0, whole=0, degraded=0,
    )  # fmt: skip


def test_losses_on_the_air_are_not_taken_for_a_full_radio() -> None:
    """A long queue at the start, then a short one: what is lost beside the short one is the air's."""
    air = Air(
        rate_bps=lambda t: FULL if t < 10 else HALF, loss=lambda t: 0.3 if t >= 40 else 0.0,
        queue_bytes=2048,
    )  # fmt: skip
    run = fly(air, seconds=100, seed=3)
    assert min(run.rate(45, 100)) >= 0.8 * HALF and max(run.rate(45, 100)) <= 1.15 * HALF


@pytest.mark.parametrize("seed", SEEDS)
def test_a_full_radio_is_not_taken_for_losses_on_the_air(seed: int) -> None:
    air = Air(rate_bps=lambda t: FULL if t < 20 else HALF, queue_bytes=925)
    run = fly(air, seconds=60, seed=seed)
    assert run.settled_after(20, HALF, BAND, 60) <= LIMIT_S
    assert run.setting(59).fec_percent <= 50


@given(st.floats(3_000, 60_000), st.lists(st.integers(20, 250), min_size=40, max_size=80))
def test_the_gauge_bounds_what_a_queue_without_losses_carries(bps: float, sizes: list[int]) -> None:
    """The first datagram is as small as any, so that what the way takes by itself is known."""
    _bounded(bps, [20, *sizes])


@pytest.mark.xfail(
    strict=True, reason="a large first datagram's own air time is taken for the way's"
)
@pytest.mark.parametrize("first", [184, 250])
def test_the_gauge_bounds_it_after_a_large_first_datagram_too(first: int) -> None:
    """Found by Hypothesis: `least` is up to 1.3 of what the queue carries, until one found it empty."""
    _bounded(3000.0, [first, *[20] * 8, 21, *[20] * 30])


def _bounded(bps: float, sizes: list[int]) -> None:
    """Packets at a steady pace into a queue that serves `bps`, a report after every tenth."""
    gauge, free, sent = LinkGauge(250, SECOND), 0.0, 0.0
    gauge.packet_ns = 250 * 8e9 / bps
    for seq, size in enumerate(sizes):
        gauge.note_sent(seq, size, int(sent))
        free = max(free, sent) + size * 8e9 / bps
        if seq % 10 == 0:
            report = Report(
                boot_id=1, seq=seq, heard_at=int(free) // TICK_NS & 0xFFFF, age=0,
                received=seq + 1, lost=0, bursts=0, repaired=0, whole=0, degraded=0,
            )  # fmt: skip
            gauge.take(report, int(free))
            least, most = gauge.bounds_bps
            assert least <= 1.1 * bps and most >= 0.9 * bps
        sent += 125 * 8e9 / 20_000


@pytest.mark.parametrize("seed", SEEDS)
def test_it_follows_beside_random_loss_too(seed: int) -> None:
    """One packet and one report in ten lost: a try that goes too far is taken back a report later."""
    air = Air(rate_bps=lambda t: HALF if 20 <= t < 60 else FULL, loss=lambda _: 0.1)
    run = fly(air, seconds=90, seed=seed)
    for start, end, ideal in ((32, 60, HALF), (72, 90, FULL)):
        rates = run.rate(start, end)
        assert sum(abs(r / ideal - 1) > 0.25 for r in rates) <= 0.12 * len(rates)
        assert abs(mean(rates) / ideal - 1) <= 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_steady_link_gives_a_steady_rate(seed: int) -> None:
    run = fly(Air(rate_bps=lambda _: HALF), seconds=100, seed=seed)
    assert run.turns(20, 80) <= 4
    rates = run.rate(20, 80)
    assert min(rates) >= 0.85 * HALF and max(rates) <= 1.15 * HALF
    queues = [q for t, _, q in run.rows if t > 20]
    assert mean(queues) < 0.6 and max(queues) < 1.5


def test_the_rate_goes_down_when_the_path_is_slow_for_hours() -> None:
    """The delay that is held must not be taken for the path's own after a while."""
    run = fly(Air(rate_bps=lambda _: HALF, queue_bytes=1 << 20), seconds=600)
    queues = [q for t, _, q in run.rows if t > 500]
    assert mean(queues) < 1.0


@pytest.mark.parametrize("seed", SEEDS)
def test_random_loss_raises_redundancy_and_not_the_white_flag(seed: int) -> None:
    air = Air(rate_bps=lambda _: FULL, loss=lambda t: 0.2 if t >= 30 else 0.0)
    run = fly(air, seconds=90, seed=seed)
    assert min(run.rate(10, 90)) >= 0.95 * FULL
    before, after = run.setting(29).fec_percent, run.setting(45).fec_percent
    assert before <= 25 and 50 <= after <= 100


@pytest.mark.parametrize("seed", SEEDS)
def test_bursts_raise_the_interleave(seed: int) -> None:
    single = fly(Air(rate_bps=lambda _: FULL, loss=lambda _: 0.1), seconds=60, seed=seed)
    bursts = fly(Air(rate_bps=lambda _: FULL, loss=lambda _: 0.1, burst=8), seconds=60, seed=seed)
    assert max(s.interleave for _, s, _ in single.rows) == 0
    assert bursts.setting(59).interleave >= 1
    assert min(bursts.rate(10, 60)) >= 0.9 * FULL


def test_without_a_report_the_operators_setting_stays() -> None:
    run = fly(Air(rate_bps=lambda _: HALF, reports=lambda _: False), seconds=30)
    assert {(s.rate_bps, s.fec_percent, s.closed_loop) for _, s, _ in run.rows} == {
        (FULL, 40, False)
    }


def test_when_reports_end_the_setting_is_safe() -> None:
    air = Air(rate_bps=lambda _: 9_000, reports=lambda t: t < 30)
    run = fly(air, seconds=120)
    assert run.setting(29).closed_loop and not run.setting(40).closed_loop
    # Not more than the link carried, and the profile's redundancy; later half of the limit at least.
    assert run.setting(40).rate_bps <= 1.15 * 9_000 and run.setting(40).fec_percent >= 40
    assert run.setting(110).rate_bps == FULL / 2


def test_the_loop_closes_again() -> None:
    air = Air(rate_bps=lambda _: HALF, reports=lambda t: not 30 <= t < 60)
    run = fly(air, seconds=90)
    assert not run.setting(50).closed_loop and run.setting(63).closed_loop
    assert abs(run.setting(75).rate_bps / HALF - 1) < BAND


def test_the_operators_rate_is_held_within_the_limits() -> None:
    control = LinkController(limits())
    control.hold_rate(8_000)
    assert control.setting(0).rate_bps == 8_000
    control.hold_rate(10**9)
    assert control.setting(0).rate_bps == FULL
    control.hold_rate(1)
    assert control.setting(0).rate_bps == 1_000
    control.hold_rate(None)
    assert control.setting(0).rate_bps == FULL


REPORTS = st.builds(
    Report, boot_id=st.just(1), seq=st.integers(0, (1 << 24) - 1), heard_at=U16, age=U16,
    received=U16, lost=U16, bursts=U16, repaired=U16, whole=U8, degraded=U8, queue=U8,
)  # fmt: skip
EARLIER = st.none() | st.lists(
    st.tuples(st.integers(1, 300), st.integers(0, 500), st.just(0)), min_size=1, max_size=8
).map(lambda steps: Arrivals(tuple(steps)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(REPORTS, EARLIER, st.integers(0, 200), st.integers(0, 20)), max_size=30),
    st.sampled_from((0.0, 40.0)),
)
def test_no_report_takes_it_out_of_its_limits(
    steps: list[tuple[Report, Arrivals | None, int, int]], fec: float
) -> None:
    control, now, seq = LinkController(limits(fec_percent=fec)), 0, 0
    for report, earlier, packets, wait in steps:
        for _ in range(packets):
            control.note_sent(seq, 250, now)
            seq, now = seq + 1, now + 78_000_000
        now += wait * SECOND
        # Half of them name a number that was really sent.
        control.report(report, now, earlier)
        setting = control.setting(now)
        assert 1_000 <= setting.rate_bps <= FULL and setting.rate_bps <= setting.pace_bps <= FULL
        assert 0 <= setting.fec_percent <= 400 and (fec > 0 or setting.fec_percent == 0)
        assert 0 <= setting.interleave <= 2 and 0 <= setting.finest <= 2


@given(st.integers(100, 10**6), st.integers(20, 400))
def test_reports_take_their_share_and_no_more(rate: int, size: int) -> None:
    period = report_period_ns(rate, size)
    assert SECOND <= period <= 30 * SECOND
    if SECOND < period < 30 * SECOND:
        assert size * 8e9 / period <= 1.001 * REPORT_SHARE * rate
