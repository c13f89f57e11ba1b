"""Attacks on a link with a key: nothing of them is believed, all true units arrive, all is counted.

A mission of 12 units over a 24 kbit/s link, no loss, seeded. The attacker hears everything, sends what
it likes (with right CRCs), and does not have the key.
"""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import EncodedUnit
from gvc_protocol.events import (
    DatagramRejected,
    DatagramsRejected,
    MessageReady,
    ReceiverEvent,
    SessionStarted,
    UnitReady,
)
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.replay import ReplayGuard
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import Datagram, RejectReason
from tests.protocol.helpers import Timed, check_units, events, link, repair_crc, unit

KEY, OTHER = LinkKey(b"k" * 32), LinkKey(b"o" * 32)
RATE = 24_000
UNITS = 12
MESSAGES = (b"first message", b"second message")


def params(encrypt: bool) -> LinkParams:
    return link(200, rate_bps=RATE, fec=30, tagged=True, encrypted=encrypt, queue_ns=1 << 45)


def fly(key: LinkKey, boot_id: int, encrypt: bool = False, stream_id: int = 1) -> Flight:
    """One mission as it leaves, at the link's own pace."""
    sender = LinkSender(params(encrypt), stream_id=stream_id, boot_id=boot_id, key=key)
    dice, out, now = random.Random(boot_id), Flight(), 0
    for n in range(UNITS):
        made = unit(n, dice.randbytes(1200), dice.randbytes(2500))
        out.units.append(made)
        sender.submit(made, now)
        if n in (2, 7):
            sender.send_message(MESSAGES[n > 2], now)
        while (due := sender.next_timer()) is not None:
            now = max(now, due)
            out.packets += [(now, p) for p in sender.datagrams_to_send(now)]
    return out


@dataclass
class Flight:
    units: list[EncodedUnit] = field(default_factory=list)
    packets: list[Timed] = field(default_factory=list)


def sealed(packet: bytes) -> Datagram:
    read = Datagram.unpack(packet)
    assert isinstance(read, Datagram)
    return read


Attack = Callable[[bytes, random.Random], Iterator[bytes]]
EARLIER = fly(KEY, 4).packets
STRANGE = fly(OTHER, 5).packets
OTHER_STREAM = fly(OTHER, 5, stream_id=9).packets


def forged(packet: bytes, dice: random.Random) -> Iterator[bytes]:
    d = sealed(packet)
    yield replace(d, payload=dice.randbytes(len(d.payload))).pack()
    yield replace(d, seq=d.seq + 1, tag=dice.randbytes(8)).pack()
    yield replace(d, boot_id=dice.randrange(6, 65536), unit_no=dice.randrange(65536)).pack()
    yield replace(d, over=True).pack()


def untagged(packet: bytes, dice: random.Random) -> Iterator[bytes]:
    d = sealed(packet)
    for part in (0, 1, 2, 3):
        yield replace(d, part=part, tag=b"", encrypted=False, seq=d.seq + 7).pack()


def replayed(packet: bytes, dice: random.Random) -> Iterator[bytes]:
    yield packet
    yield dice.choice(EARLIER)[1]


def truncated(packet: bytes, dice: random.Random) -> Iterator[bytes]:
    yield packet[: dice.randrange(1, len(packet))]
    d = sealed(packet)
    if len(d.payload) > 1:
        yield replace(d, payload=d.payload[: dice.randrange(1, len(d.payload))]).pack()


def flipped(packet: bytes, dice: random.Random) -> Iterator[bytes]:
    raw = bytearray(packet)
    bit = dice.randrange(16, 8 * len(raw) - 32)
    raw[bit // 8] ^= 1 << bit % 8
    yield bytes(raw)
    yield repair_crc(bytes(raw))


def cross_mission(packet: bytes, dice: random.Random) -> Iterator[bytes]:
    yield dice.choice(STRANGE)[1]
    yield dice.choice(OTHER_STREAM)[1]
    yield replace(sealed(packet), stream_id=2).pack()


def reflected(packet: bytes, dice: random.Random) -> Iterator[bytes]:
    yield replace(sealed(packet), from_base=True).pack()


ATTACKS: dict[str, Attack] = {
    "forged": forged, "untagged": untagged, "replayed": replayed, "truncated": truncated,
    "bit-flipped": flipped, "cross-mission": cross_mission, "reflected": reflected,
}  # fmt: skip


def attacked(flight: Flight, attack: Attack, seed: int) -> tuple[list[Timed], int]:
    """The true stream with the attacker's packets before and behind each, and how many those are."""
    dice, out, count = random.Random(seed), [], 0
    for now, packet in flight.packets:
        bad = list(attack(packet, dice))
        count += len(bad)
        # A replay comes behind what it repeats; all else tries to be there first, too.
        first = [] if attack is replayed else bad[: len(bad) // 2]
        out += [(now, b) for b in first] + [(now, packet)]
        out += [(now, b) for b in bad[len(first) :]]
    return out, count


def believed(flight: Flight, got: list[ReceiverEvent]) -> None:
    """Exactly the true mission: each unit whole, each message once, one session, all vouched for."""
    ready = [e for e in got if isinstance(e, UnitReady)]
    check_units([e.unit for e in ready], flight.units)
    assert [e.unit.whole for e in ready] == [True] * UNITS
    said = [e for e in got if isinstance(e, MessageReady)]
    assert [(e.message_no, e.data) for e in said] == list(enumerate(MESSAGES))
    assert sum(isinstance(e, SessionStarted) for e in got) == 1
    vouched = [e for e in got if isinstance(e, UnitReady | MessageReady | SessionStarted)]
    assert all(e.authenticated for e in vouched)


@pytest.mark.parametrize("encrypt", [False, True])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_counted_and_the_mission_goes_on(name: str, encrypt: bool) -> None:
    if encrypt:
        pytest.importorskip("cryptography")
    flight = fly(KEY, 5, encrypt)
    packets, count = attacked(flight, ATTACKS[name], seed=1)
    receiver = LinkReceiver(params(encrypt), key=KEY)
    got: list[ReceiverEvent] = []
    for now, packet in packets:
        receiver.receive(packet, now)
        got += events(receiver)
    receiver.close(packets[-1][0] + 60 * SECOND)
    got += events(receiver)
    believed(flight, got)
    counters = receiver.counters
    assert counters.received == len(flight.packets) and receiver.lost_datagrams() == 0
    assert sum(counters.rejected.values()) + counters.duplicates == count
    told = sum(isinstance(e, DatagramRejected) for e in got)
    told += sum(sum(e.counts.values()) for e in got if isinstance(e, DatagramsRejected))
    assert told == sum(counters.rejected.values())
    assert len(receiver._sessions) == 1


def test_a_flood_at_ten_times_the_rate_costs_little_and_stops_nothing() -> None:
    """Every kind of datagram at ten times the link's rate, mixed with the true stream."""
    flight = fly(KEY, 5)
    dice, receiver, got = random.Random(2), LinkReceiver(params(False), key=KEY), []
    kinds = [forged, untagged, flipped, cross_mission, reflected]
    true_bytes = flood_bytes = floods = 0
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for now, packet in flight.packets:
            true_bytes += len(packet)
            receiver.receive(packet, now)
            while flood_bytes < 10 * true_bytes:
                for bad in dice.choice(kinds)(packet, dice):
                    flood_bytes += len(bad)
                    floods += 1
                    receiver.receive(bad, now)
            got += events(receiver)
        receiver.close(flight.packets[-1][0] + 60 * SECOND)
        got += events(receiver)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    believed(flight, got)
    assert sum(receiver.counters.rejected.values()) == floods > 9 * len(flight.packets)
    seconds = flight.packets[-1][0] / SECOND
    refused = [e for e in got if isinstance(e, DatagramRejected | DatagramsRejected)]
    assert len(refused) <= 33 * (seconds + 2)
    # The true units themselves are a share of it; a flood that was kept would be half a megabyte more.
    assert grown < 400_000


def test_a_flood_alone_leaves_nothing_in_memory() -> None:
    receiver = LinkReceiver(params(False), key=KEY)
    packets = [p for _, p in STRANGE] * 20
    for now, packet in enumerate(packets):
        receiver.receive(packet, now * 1_000_000)
        while receiver.next_event() is not None:
            pass
        if now == len(packets) // 10:
            tracemalloc.start()
            first = tracemalloc.get_traced_memory()[0]
    grown = tracemalloc.get_traced_memory()[0] - first
    tracemalloc.stop()
    assert receiver.counters.rejected == {RejectReason.BAD_TAG: len(packets)}
    assert grown < 50_000 and not receiver._sessions


def test_a_base_that_restarts_takes_no_replay_of_what_it_had_before() -> None:
    """Half the mission, a restart with the window from disk, then all of the first half again."""
    flight = fly(KEY, 5)
    half = len(flight.packets) // 2
    guard = ReplayGuard()
    first = LinkReceiver(params(False), key=KEY, replay=guard)
    for now, packet in EARLIER + flight.packets[:half]:
        first.receive(packet, now)
    kept = ReplayGuard.restore(json.loads(json.dumps(guard.export())))
    second = LinkReceiver(params(False), key=KEY, replay=kept)
    now = flight.packets[half][0]
    for _, packet in EARLIER + flight.packets[:half]:
        second.receive(packet, now)
    assert second.counters.received == 0 and events(second) and not second._sessions
    assert second.counters.rejected == {RejectReason.REPLAY: len(EARLIER)}
    assert second.counters.duplicates == half
    for now, packet in flight.packets[half:]:
        second.receive(packet, now)
    assert second.counters.received == len(flight.packets) - half


def test_without_a_key_nothing_is_called_authenticated_and_nothing_encrypted_is_shown() -> None:
    for encrypt in (False, True):
        if encrypt:
            pytest.importorskip("cryptography")
        flight = fly(KEY, 5, encrypt)
        receiver = LinkReceiver(params(encrypt))
        for now, packet in flight.packets:
            receiver.receive(packet, now)
        receiver.close(1 << 50)
        ready = [e for e in events(receiver) if isinstance(e, UnitReady | MessageReady)]
        assert not any(e.authenticated for e in ready)
        assert len(ready) == (0 if encrypt else UNITS + len(MESSAGES))
