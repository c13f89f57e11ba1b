"""The simulated radio: laws of the model in simulated time, and one real run over each transport."""

from __future__ import annotations

import dataclasses
import os
import random
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from gvc_base.channel import Channel, ChannelSpec
from gvc_base.proxy import RadioProxy
from gvc_base.radio_model import Direction, RadioModel
from gvc_profiles import LinkProfile, load, names
from gvc_profiles.airtime import airtime_s
from gvc_profiles.links import SerialLink, UdpLink, open_link

MS = 1_000_000
SECOND = 1_000_000_000
CLEAN = ChannelSpec()
Arrival = tuple[int, Direction, bytes]


def fly(
    model: RadioModel, offers: list[tuple[int, Direction, bytes]], step: int = 0
) -> list[Arrival]:
    """Run in simulated time: event by event, or by polling every `step`. Returns timed arrivals."""
    out: list[Arrival] = []
    todo = sorted(offers, key=lambda o: o[0])
    now = 0
    for _ in range(500_000):
        while todo and todo[0][0] <= now:
            at, direction, data = todo.pop(0)
            model.offer(data, at, direction)
        out += [(now, direction, data) for direction, data in model.deliver(now)]
        timer = model.next_timer()
        nexts = ([todo[0][0]] if todo else []) + ([timer] if timer is not None else [])
        if not nexts:
            return out
        assert min(nexts) > now, "the model asks for a time that has passed"
        now = now + step if step else min(nexts)
        if step and todo:
            now = min(now, todo[0][0])
    raise AssertionError("the model never falls silent")


def traffic(
    profile: LinkProfile, share: float, seconds: float, direction: Direction = "to_base"
) -> list[tuple[int, Direction, bytes]]:
    """Packets of random sizes at `share` of the nominal rate; each byte tells its place."""
    dice, now, offers, count = random.Random(3), 0, [], 0
    while now < seconds * SECOND:
        size = dice.randint(min(30, profile.mtu_bytes), profile.mtu_bytes)
        data = bytes((count + i) % 251 for i in range(size))
        offers.append((now, direction, data))
        count += size
        now += int(size * 8 / (profile.rate.nominal_bps * share) * SECOND)
    return offers


def of(arrivals: list[Arrival], direction: Direction) -> bytes:
    return b"".join(data for _, d, data in arrivals if d == direction)


@pytest.mark.parametrize("name", names())
def test_never_faster_than_the_radio(name: str) -> None:
    """Overfed fourfold: in no 10 s more than the nominal rate, and one packet that was under way."""
    profile = load(name)
    # A few packets of queue are enough to overflow; big ones only make the test longer.
    queue = min(profile.queue_bytes, 8 * profile.radio_packet_bytes)
    profile = dataclasses.replace(profile, queue_bytes=max(256, queue))
    seconds = 12 if profile.rate.nominal_bps >= 500_000 else 40
    seconds = max(seconds, int(60 * airtime_s(profile, profile.radio_packet_bytes)))
    model = RadioModel(profile, Channel(CLEAN))
    arrivals = fly(model, traffic(profile, 4.0, seconds))
    allowed = profile.rate.nominal_bps * 10 / 8 + profile.radio_packet_bytes
    start = total = 0
    for now, _, data in arrivals:
        total += len(data)
        while arrivals[start][0] <= now - 10 * SECOND:
            total -= len(arrivals[start][2])
            start += 1
        assert total <= allowed
    stats = model.stats
    assert stats.overflow_bytes > stats.offered_bytes / 2
    assert stats.offered_bytes == stats.overflow_bytes + stats.delivered_bytes
    # It is no slower than the radio either: the air was busy nearly all the time.
    assert stats.air_s >= 0.97 * seconds


@pytest.mark.parametrize("name", names())
def test_at_its_usable_rate_everything_arrives_in_order(name: str) -> None:
    """The pace that the profile promises, in packets of its own size: nothing overflows, all comes."""
    profile = load(name)
    step = int(profile.mtu_bytes * 8 / profile.rate.usable_bps * SECOND)
    sent = [i.to_bytes(2, "big") * (profile.mtu_bytes // 2) for i in range(400)]
    model = RadioModel(profile, Channel(CLEAN))
    arrivals = fly(model, [(i * step, "to_base", data) for i, data in enumerate(sent)])
    assert of(arrivals, "to_base") == b"".join(sent)
    assert model.stats.overflow_bytes == model.stats.oversize_bytes == 0
    if not profile.stream:
        assert [data for _, _, data in arrivals] == sent
    first = arrivals[0][0]
    assert first >= profile.latency.p50_ms * MS


@pytest.mark.parametrize("name", ["sik-64", "lora-sf7-125"])
def test_a_byte_stream_is_cut_by_the_radio_not_by_us(name: str) -> None:
    profile = load(name)
    model = RadioModel(profile, Channel(CLEAN))
    sent = bytes(range(256)) * 3
    arrivals = fly(model, [(0, "to_base", sent), (10 * SECOND, "to_base", b"abc")])
    sizes = [len(data) for _, _, data in arrivals]
    limit = profile.radio_packet_bytes
    assert sizes == [limit] * (len(sent) // limit) + [len(sent) % limit, 3]
    assert of(arrivals, "to_base") == sent + b"abc"


def test_small_writes_gather_until_the_host_pauses() -> None:
    model = RadioModel(load("sik-64"), Channel(CLEAN))
    arrivals = fly(model, [(i * MS, "to_base", bytes([i])) for i in range(100)])
    assert [data for _, _, data in arrivals] == [bytes(range(100))]


def test_a_lost_radio_packet_takes_a_hole_out_of_the_stream() -> None:
    profile = load("sik-64")
    model = RadioModel(profile, Channel(ChannelSpec(loss=0.2, burst=2, seed=1)))
    offers = traffic(profile, 0.5, 20)
    whole = b"".join(data for _, _, data in offers)
    arrivals = fly(model, offers)
    stats = model.stats
    assert 0 < stats.radio_packets_lost < stats.radio_packets
    assert len(of(arrivals, "to_base")) == stats.delivered_bytes < len(whole)
    at = 0
    for _, _, data in arrivals:
        at = whole.index(data, at) + len(data)


@pytest.mark.parametrize("name", ["sik-64", "udp"])
def test_overflow_is_silent_and_counted(name: str) -> None:
    profile = dataclasses.replace(load(name), queue_bytes=4000)
    model = RadioModel(profile, Channel(CLEAN))
    sent = [bytes([i]) * 1000 for i in range(10)]
    arrivals = fly(model, [(1, "to_base", data) for data in sent])
    assert of(arrivals, "to_base") == b"".join(sent)[: model.stats.delivered_bytes]
    assert model.stats.overflow_bytes + model.stats.delivered_bytes == 10_000
    assert 4000 <= model.stats.delivered_bytes <= 5000


def test_a_packet_larger_than_the_radio_takes_is_dropped_and_counted() -> None:
    model = RadioModel(load("meshtastic-short-turbo"), Channel(CLEAN))
    arrivals = fly(model, [(0, "to_base", bytes(234)), (1, "to_base", bytes(233))])
    assert [len(data) for _, _, data in arrivals] == [233]
    assert model.stats.oversize_bytes == 234


def test_half_duplex_shares_the_air_and_full_duplex_does_not() -> None:
    """Both sides overfed: each gets its turns, and together no more than one radio carries."""
    both = {}
    for duplex in ("half", "full"):
        profile = dataclasses.replace(load("sik-64"), duplex=duplex)
        offers = traffic(profile, 3, 20) + traffic(profile, 3, 20, "to_edge")
        arrivals = fly(RadioModel(profile, Channel(CLEAN)), offers)
        both[duplex] = (len(of(arrivals, "to_base")), len(of(arrivals, "to_edge")))
    capacity = 5400 * 20
    assert sum(both["half"]) <= capacity + 2000
    assert min(both["half"]) >= 0.45 * sum(both["half"])
    assert min(both["full"]) >= 0.97 * capacity


def test_a_change_of_talker_costs_the_turnaround() -> None:
    profile = dataclasses.replace(load("sik-64"), turnaround_ms=200)
    model = RadioModel(profile, Channel(CLEAN))
    arrivals = fly(model, [(0, "to_base", bytes(250)), (1, "to_edge", bytes(250))])
    air = 250 * 8 / 43200 * SECOND
    wanted = [air + 34 * MS, 2 * air + 200 * MS + 34 * MS]
    gaps = [now - 1 for now, _, _ in arrivals]
    # Latency is 80 ms from the start, 34 ms more than the packet's 46 ms on the air.
    assert gaps == pytest.approx(wanted, abs=1 * MS)


@pytest.mark.parametrize("name", ["sik-64-ecc1", "udp"])
def test_same_seed_same_flight_however_it_is_polled(name: str) -> None:
    profile = load(name)
    spec = ChannelSpec(loss=0.2, burst=3, ber=1e-3, slip=1e-3, dup=0.1, reorder=0.2, seed=11)
    offers = traffic(profile, 1.2, 5) + traffic(profile, 0.3, 5, "to_edge")
    flights = [fly(RadioModel(profile, Channel(spec)), offers, step) for step in (0, 0, 7 * MS)]
    assert flights[0] == flights[1]
    contents = [[(d, data) for _, d, data in flight] for flight in flights]
    for direction in ("to_base", "to_edge"):
        one, other = ([data for d, data in c if d == direction] for c in contents[1:])
        assert one == other
    third = fly(RadioModel(profile, Channel(dataclasses.replace(spec, seed=12))), offers)
    assert third != flights[0]


def test_reordered_packets_arrive_at_the_right_host_even_when_they_are_the_last() -> None:
    profile = load("udp")
    model = RadioModel(profile, Channel(ChannelSpec(reorder=0.5, seed=3)))
    to_base = [(i * 10 * MS, "to_base", b"edge says" + bytes([i])) for i in range(100)]
    to_edge = [(i * 10 * MS + 5, "to_edge", b"base says" + bytes([i])) for i in range(100)]
    arrivals = fly(model, [*to_base, *to_edge])  # type: ignore[list-item]
    for direction, sent in (("to_base", to_base), ("to_edge", to_edge)):
        got = [data for _, d, data in arrivals if d == direction]
        assert sorted(got) == sorted(data for _, _, data in sent) and got != sorted(got)


@contextmanager
def flown(profile: LinkProfile, spec: ChannelSpec) -> Iterator[tuple[RadioProxy, str, str]]:
    proxy = RadioProxy(profile, Channel(spec))
    try:
        edge, base = proxy.start()
        yield proxy, edge, base
    finally:
        proxy.stop()
        proxy.stop()


def read_until(link: SerialLink | UdpLink, size: int) -> bytes:
    got = b""
    until = time.monotonic() + 3
    while len(got) < size and time.monotonic() < until:
        got += b"".join(r.data for r in link.receive(0.1))
    return got


def test_over_real_ptys_both_ways() -> None:
    """All byte values pass a raw port; a reader that is late by 12 kB loses nothing."""
    fast = dataclasses.replace(
        load("sik-64"), queue_bytes=1 << 20,
        rate=dataclasses.replace(load("sik-64").rate, nominal_bps=4_000_000),
    )  # fmt: skip
    payload = bytes(range(256)) * 100
    with flown(fast, CLEAN) as (proxy, edge_url, base_url):
        edge = open_link(edge_url, fast, listen=False)
        base = open_link(base_url, fast, listen=True)
        assert isinstance(edge, SerialLink) and isinstance(base, SerialLink)
        with closing(edge), closing(base):
            edge.send(payload)
            until = time.monotonic() + 3
            while proxy.stats.delivered_bytes < len(payload) and time.monotonic() < until:
                time.sleep(0.01)
            assert read_until(base, len(payload)) == payload
            base.send(b"\x00\x03\x11\x13\x1a\xff\r\n")
            assert read_until(edge, 8) == b"\x00\x03\x11\x13\x1a\xff\r\n"
        assert proxy.stats.overflow_bytes == proxy.stats.unread_bytes == 0


def test_ports_are_raw_for_programs_that_set_nothing() -> None:
    """No echo, no line editing, no CR/LF translation: control bytes arrive as they were sent."""
    sent = b"\x03\x04\x11\x13\x1a\r\n\x7f\x00\xff"
    with flown(load("sik-64"), CLEAN) as (_, *urls), ExitStack() as stack:
        edge, base = (os.open(u.removeprefix("serial:"), os.O_RDWR | os.O_NOCTTY) for u in urls)
        for descriptor in (edge, base):
            stack.callback(os.close, descriptor)
        os.write(edge, sent)
        got = b""
        while len(got) < len(sent) and select.select([base], [], [], 3)[0]:
            got += os.read(base, 100)
        assert got == sent
        assert not select.select([edge], [], [], 0.2)[0], "the port echoes"


def test_over_real_udp_with_losses() -> None:
    profile = load("udp")
    spec = ChannelSpec(loss=0.3, burst=2, seed=4)
    sent = [i.to_bytes(2, "big") * 20 for i in range(100)]
    judge = Channel(spec)
    wanted = [out for data in sent for out in judge.pass_datagram(data)]
    with flown(profile, spec) as (proxy, edge_url, base_url):
        base = open_link(base_url, profile, listen=True)
        edge = open_link(edge_url, profile, listen=False)
        assert isinstance(edge, UdpLink) and isinstance(base, UdpLink)
        with closing(edge), closing(base):
            for data in sent:
                edge.send(data)
            got = read_until(base, sum(map(len, wanted)))
            assert got == b"".join(wanted)
        assert proxy.stats.radio_packets == 100
        assert proxy.stats.radio_packets_lost == 100 - len(wanted)


def test_udp_answers_go_back_to_the_edge() -> None:
    profile = load("udp")
    with (
        flown(profile, CLEAN) as (_, edge_url, base_url),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as edge,
        closing(open_link(base_url, profile, listen=True)) as base,
    ):
        edge.sendto(b"up", ("127.0.0.1", int(edge_url.rsplit(":", 1)[1])))
        assert isinstance(base, UdpLink)
        assert read_until(base, 2) == b"up"
        base.send(b"down")
        ready, _, _ = select.select([edge], [], [], 3)
        assert ready and edge.recv(100) == b"down"
