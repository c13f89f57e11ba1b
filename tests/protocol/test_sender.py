"""Laws of the sender: paced, protected in order of worth, and never stuck."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gvc_protocol.air_bytes import unit_air_bytes
from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.events import SenderDropped
from gvc_protocol.framing import Framing
from gvc_protocol.params import MS, SECOND, LinkParams
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import Datagram, WirePart
from tests.protocol.helpers import Timed, drain, link, spread, unit

laws = settings(max_examples=60, deadline=None)
D, K, F = WirePart.DESCRIPTORS, WirePart.KEYFRAME, WirePart.FEATURES


def sender_for(params: LinkParams) -> LinkSender:
    return LinkSender(params, stream_id=4, boot_id=9)


def read(packets: list[Timed]) -> list[Datagram]:
    out = [Datagram.unpack(packet) for _, packet in packets]
    assert all(isinstance(d, Datagram) for d in out)
    return out  # type: ignore[return-value]


def dropped(sender: LinkSender) -> list[SenderDropped]:
    out = []
    while (event := sender.next_event()) is not None:
        out.append(event)
    return out


operations = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), spread(3000), spread(3000)),
        st.tuples(st.just("write"), st.integers(0, 2), spread(1500)),
        st.tuples(st.just("end"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("open"), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), spread(3000), st.just(0)),
    ),
    max_size=25,
).map(lambda steps: [("submit", 500, 900), *steps])
some_links = st.builds(
    LinkParams,
    framing=st.builds(Framing, mtu_bytes=st.integers(14, 400)),
    rate_bps=st.integers(4_000, 100_000), fec_percent=st.integers(0, 150),
    join_bytes=st.sampled_from((0, 512)),
    packet_overhead_bytes=st.integers(0, 20), queue_ns=st.integers(SECOND, 20 * SECOND),
)  # fmt: skip


@example(
    LinkParams(
        framing=Framing(mtu_bytes=14),
        rate_bps=4000,
        fec_percent=101,
        join_bytes=512,
        queue_ns=SECOND,
    ),
    [("submit", 500, 900), ("submit", 0, 1)],
)
@given(some_links, operations)
@laws
def test_whatever_is_submitted_is_paced_and_leaves(params: LinkParams, steps: list) -> None:
    sender, now, unit_no, ended = sender_for(params), 0, 0, {0, 1, 2}
    sent: list[Timed] = []
    lost: list[SenderDropped] = []
    for what, a, b in steps:
        if what == "wait":
            sent += drain(sender, now, until=now + a * MS)
            now += a * MS
        elif what == "submit":
            sender.submit(unit(unit_no, bytes(a), bytes(b)), now)
            unit_no, ended = unit_no + 1, {0, 1, 2}
        elif what == "open":
            sender.open_unit(unit_no, keyframe=True, features=True, now=now)
            unit_no, ended = unit_no + 1, set()
        elif a not in ended:
            sender.write(WirePart(a), bytes(b), now, last=what == "end")
            ended |= {a} if what == "end" else set()
        lost += dropped(sender)
    sent += drain(sender, now)
    assert sender.idle and sender.next_timer() is None and sender.backlog_air_bytes == 0
    lost += dropped(sender)
    assert sum(e.symbols for e in lost) == sender.counters.dropped_symbols
    # D goes only where it holds K and F of its unit, which then has no others.
    whole = {e.unit_no for e in lost if e.part not in (K, F)}
    assert not whole or params.join_bytes
    assert whole.isdisjoint(e.unit_no for e in lost if e.part in (K, F))
    sizes = [(t, len(packet) + params.packet_overhead_bytes) for t, packet in sent]
    assert sum(size for _, size in sizes) == sender.counters.air_bytes
    allowed = params.rate_bps * 10 / 8
    for start, _ in sizes:
        assert sum(s for t, s in sizes if start <= t < start + 10 * SECOND) <= allowed


@given(st.integers(14, 1400), spread(400), spread(9000), spread(9000))
@laws
def test_the_forecast_of_a_unit_is_what_it_takes(mtu: int, fec: int, k: int, f: int) -> None:
    params = link(mtu, fec=fec, rate_bps=1e9, packet_overhead_bytes=7)
    sender, u = sender_for(params), unit(0, bytes(k), bytes(f))
    sender.submit(u, 0)
    waiting = sender.backlog_air_bytes
    drain(sender)
    d = len(u.descriptors.pack())
    assert unit_air_bytes(params, d, k, f) == sender.counters.air_bytes == waiting
    assert sender.counters.payload_bytes == d + k + f


def test_symbols_leave_spread_over_the_unit_with_d_first() -> None:
    sender = sender_for(link(120, rate_bps=1e6, fec=50))
    sender.submit(unit(0, bytes(3000), bytes(9000)), 0)
    got = read(drain(sender))
    assert (got[0].part, got[0].symbol) == (D, 0)
    assert [d.seq for d in got] == list(range(len(got)))
    assert all(d.k_sent and d.f_sent and d.unit_no == 0 for d in got)
    for part in (D, K, F):
        own = [(i, d) for i, d in enumerate(got) if d.part == part]
        assert [d.symbol for _, d in own] == list(range(len(own)))
        for place, d in own:
            wanted = 0 if part == D and d.symbol == 0 else (d.symbol + 0.5) / len(own)
            assert abs(place / len(got) - wanted) < 0.02


def test_flags_tell_what_was_left_out() -> None:
    for keyframe, features in ((b"", b""), (b"k", b""), (b"", b"f")):
        sender = sender_for(link())
        sender.submit(unit(0, keyframe, features), 0)
        flags = {(d.k_sent, d.f_sent) for d in read(drain(sender))}
        assert flags == {(bool(keyframe), bool(features))}


# --- streams ----------------------------------------------------------------------------------


def test_a_slow_stream_does_not_wait_for_a_full_block() -> None:
    params = link(250, fec=0)
    sender = sender_for(params)
    sender.open_unit(0, keyframe=False, features=True, now=0)
    sender.write(F, b"first", 1 * SECOND, last=False)
    sender.write(F, b" words", 1 * SECOND + 100 * MS, last=False)
    assert sender.next_timer() == 1 * SECOND + params.close_after_ns
    assert sender.datagrams_to_send(1 * SECOND + params.close_after_ns - 1) == []
    (packet,) = sender.datagrams_to_send(1 * SECOND + params.close_after_ns)
    first = Datagram.unpack(packet)
    assert isinstance(first, Datagram)
    assert first.payload == b"\0\0\0\0first words" and not first.last and first.block_no == 0
    assert sender.next_timer() is None
    sender.write(F, b"!", 3 * SECOND, last=True)
    (last,) = read([(0, p) for p in sender.datagrams_to_send(3 * SECOND)])
    assert last.payload == b"\0\0\x0b\0!" and last.last and last.block_no == 1


def test_full_blocks_leave_at_once_and_the_rest_waits_its_own_time() -> None:
    params = link(100, fec=0, rate_bps=1e6)
    sender = sender_for(params)
    sender.open_unit(0, keyframe=False, features=True, now=0)
    sender.write(F, b"x", 0, last=False)
    sender.write(F, bytes(12_000), 200 * MS, last=False)  # more than one block of 128 * 79 bytes
    got = read(drain(sender, 200 * MS, until=400 * MS))
    assert {d.block_no for d in got} == {0} and not any(d.last for d in got)
    assert sender.next_timer() == 200 * MS + params.close_after_ns


def test_the_next_unit_closes_what_was_left_open() -> None:
    sender = sender_for(link(fec=0))
    sender.open_unit(0, keyframe=False, features=True, now=0)
    sender.write(F, b"cut short", 0, last=False)
    sender.submit(unit(1), 1)
    first, second = read(drain(sender, 1))
    assert (first.unit_no, first.f_sent, first.last) == (0, True, False)
    assert (second.unit_no, second.f_sent) == (1, False)


def test_wrong_calls_are_our_own_error() -> None:
    sender = sender_for(link())
    with pytest.raises(LocalProtocolError):
        sender.write(F, b"no unit", 0, last=False)
    sender.open_unit(5, keyframe=True, features=True, now=0)
    sender.write(F, b"all", 0, last=True)
    with pytest.raises(LocalProtocolError):
        sender.write(F, b"more", 0, last=False)
    for number in (5, 4):
        with pytest.raises(LocalProtocolError):
            sender.submit(unit(number), 0)
    sender.submit(unit(6), 0)
    with pytest.raises(LocalProtocolError):
        sender.write(K, b"after submit", 0, last=False)


def test_a_part_of_more_than_256_blocks_is_our_own_error_when_it_is_written() -> None:
    sender = sender_for(link(14, rate_bps=1e9))
    with pytest.raises(LocalProtocolError):
        sender.submit(unit(0, b"", bytes(256 * (128 * 83 - 4) + 1)), 0)


def test_a_rate_too_slow_for_one_packet_is_told_at_once() -> None:
    with pytest.raises(UserError, match=r"^150 bit/s is too slow.*at least 200 bit/s$"):
        sender_for(link(250, rate_bps=150))
    sender_for(link(250, rate_bps=200))


# --- an over-full queue -----------------------------------------------------------------------


def test_an_over_full_queue_drops_oldest_f_first_and_never_d() -> None:
    params = link(120, rate_bps=16_000, fec=40)  # 12 s of backlog: 24 kB
    sender = sender_for(params)
    for n in range(6):
        sender.submit(unit(n, bytes(1500), bytes(3000)), n)
    events = dropped(sender)
    assert events and all(e.part == F for e in events)
    assert sum(e.symbols for e in events) == sender.counters.dropped_symbols
    assert sender.backlog_air_bytes <= 24_000
    left = read(drain(sender))
    for n in range(6):
        ds = [d.symbol for d in left if d.unit_no == n and d.part == D]
        ks = [d.symbol for d in left if d.unit_no == n and d.part == K]
        assert len(ds) >= 3 and ds == list(range(len(ds))) and ks == list(range(len(ks))) and ks
    # No F of a unit goes while an older unit still has any.
    hurt = {e.unit_no for e in events}
    assert hurt == set(range(max(hurt) + 1))
    kept = {n: [d for d in left if d.unit_no == n and d.part == F] for n in range(6)}
    assert all(not kept[n] for n in range(max(hurt)))
    # Within a unit, parity goes before data.
    partly = kept[max(hurt)]
    assert not partly or min(d.symbol for d in partly) == 0


def test_parity_of_every_block_goes_before_data_of_any() -> None:
    params = link(64, rate_bps=16_000, fec=40, queue_ns=6 * SECOND)  # 12 kB
    sender = sender_for(params)
    sender.submit(unit(0, b"", bytes(7000)), 0)  # two blocks of F, each with 40 % parity
    left = [d for d in read(drain(sender)) if d.part == F]
    wanted = {(d.block_no, i) for d in left for i in range(d.k)}
    assert {b for b, _ in wanted} == {0, 1}
    assert wanted <= {(d.block_no, d.symbol) for d in left}
    assert sender.counters.dropped_symbols > 14  # more than the parity of block 1


def test_k_goes_only_when_all_f_is_gone_and_d_stays_beyond_the_limit() -> None:
    params = link(120, rate_bps=16_000, fec=40, queue_ns=1 * SECOND)  # 2 kB
    sender = sender_for(params)
    for n in range(30):
        sender.submit(unit(n, bytes(1500), bytes(100)), n)
    left = read(drain(sender))
    assert {d.unit_no for d in left if d.part == D} == set(range(30))
    assert not [d for d in left if d.part == F]
    total = sum(e.symbols for e in dropped(sender))
    assert total == sender.counters.dropped_symbols > 0


def test_a_queue_within_its_limit_drops_nothing() -> None:
    sender = sender_for(link(120, rate_bps=64_000))
    for n in range(10):
        sender.submit(unit(n, bytes(1000), bytes(3000)), n)
    assert sender.next_event() is None and sender.counters.dropped_symbols == 0
