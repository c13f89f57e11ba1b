"""Small units in one block: nothing lost by it, less air, and one parity for all."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvc_protocol.air_bytes import is_joined, unit_air_bytes
from gvc_protocol.codec import EncodedUnit
from gvc_protocol.descriptors import Descriptors, RecordType
from gvc_protocol.events import SenderDropped
from gvc_protocol.joined import joined, joined_bytes, parted
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import Datagram, WirePart
from tests.protocol.channel import ErasureChannel
from tests.protocol.helpers import (
    SPEC,
    Timed,
    check_units,
    descriptors,
    drain,
    link,
    receive,
    unit,
    units,
)

SLOW = link(256, rate_bps=900, join_bytes=512)
APART = link(256, rate_bps=900)
SMALL = unit(0, bytes(range(200)), b"f" * 70)


def sent(params: LinkParams, *made: EncodedUnit) -> tuple[LinkSender, list[Timed]]:
    sender = LinkSender(params, stream_id=1, boot_id=1)
    out: list[Timed] = []
    for i, one in enumerate(made):
        sender.submit(one, i * 8 * SECOND)
        out += drain(sender, i * 8 * SECOND, until=(i + 1) * 8 * SECOND)
    return sender, out + drain(sender, len(made) * 8 * SECOND)


def read(packets: list[Timed]) -> list[Datagram]:
    out = [Datagram.unpack(packet) for _, packet in packets]
    assert all(isinstance(d, Datagram) for d in out)
    return out  # type: ignore[return-value]


def test_the_bytes_of_both_records() -> None:
    bare = descriptors().pack()
    held = joined(descriptors(), b"KEY", b"F" * 130).pack()
    assert held == bare + b"\x0c\x03KEY" + b"\x0d\x82\x01" + b"F" * 130
    assert len(held) == joined_bytes(len(bare), 3, 130)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_what_is_joined_comes_apart_again(keyframe: bytes, features: bytes) -> None:
    d = descriptors(unknown=((200, b"later"),))
    read = Descriptors.unpack(joined(d, keyframe, features).pack())
    assert read is not None
    alone, k, f = parted(read)
    assert alone == d
    assert (k.whole if k else b"") == keyframe and (f.whole if f else b"") == features
    size = len(joined(d, keyframe, features).pack())
    assert size == joined_bytes(len(d.pack()), len(keyframe), len(features))


def test_of_two_keyframes_the_later_counts_and_neither_stays() -> None:
    d = descriptors(unknown=((RecordType.KEYFRAME, b"a"), (RecordType.KEYFRAME, b"b")))
    alone, keyframe, features = parted(d)
    assert alone == descriptors() and features is None
    assert keyframe is not None and keyframe.whole == b"b"


@given(
    st.integers(0, 900), st.integers(0, 900), st.integers(0, 150), st.integers(0, 600),
    st.integers(90, 400),
)  # fmt: skip
def test_the_plan_is_what_is_sent(k: int, f: int, fec: int, most: int, mtu: int) -> None:
    params = link(mtu, rate_bps=50_000, fec=fec, join_bytes=most)
    made = unit(0, bytes(k), bytes(f))
    sizes = (len(made.descriptors.pack()), k, f)
    sender, packets = sent(params, made)
    assert sender.counters.air_bytes == unit_air_bytes(params, *sizes)
    alone = link(mtu, rate_bps=50_000, fec=fec)
    assert unit_air_bytes(params, *sizes) <= unit_air_bytes(alone, *sizes)
    got = units(receive(params, packets))
    check_units(got, [made])
    assert got[0].whole
    kinds = {d.part for d in read(packets)}
    if is_joined(params, *sizes):
        assert kinds == {WirePart.DESCRIPTORS}
        assert got[0].keyframe.sent is bool(k) or not k
    else:
        assert kinds == {p for p, size in enumerate(sizes) if size}


def test_a_unit_of_a_slow_link_costs_four_fifths() -> None:
    """With what D of such a link holds: the camera's path, two tracks, a truth map."""
    d = descriptors(unknown=((200, bytes(64)),))
    told = EncodedUnit(
        unit_no=0, spec=SPEC, descriptors=d, keyframe=bytes(range(124)), features=b"f" * 54
    )
    _, one = sent(SLOW, told)
    _, three = sent(APART, told)
    on_air = [sum(len(packet) for _, packet in packets) for packets in (one, three)]
    assert on_air[0] <= 0.8 * on_air[1], on_air


def test_any_three_of_seven_may_be_lost() -> None:
    _, packets = sent(SLOW, SMALL)
    assert len(packets) == 7
    for gone in combinations(range(7), 3):
        left = [packet for i, packet in enumerate(packets) if i not in gone]
        got = units(receive(SLOW, left))
        check_units(got, [SMALL])
        assert [u.whole for u in got] == [True]
    for gone in combinations(range(7), 4):
        got = units(receive(SLOW, [p for i, p in enumerate(packets) if i not in gone]))
        check_units(got, [SMALL])
        assert [u.whole for u in got] == [False], "what is lost is not told as whole"


@pytest.mark.parametrize(("burst", "least"), [(1, 0.97), (3, 0.80)])
def test_at_a_fifth_lost_most_units_come_whole(burst: int, least: float) -> None:
    made = [unit(n, bytes([n]) * 200, b"f" * 70) for n in range(200)]
    _, packets = sent(SLOW, *made)
    came = ErasureChannel(loss=0.2, burst=burst, seed=7).pass_on(packets)
    got = units(receive(SLOW, came))
    check_units(got, made)
    assert sum(u.whole for u in got) >= least * len(made)


def test_small_units_make_way_when_the_queue_is_full_and_for_messages() -> None:
    params = link(256, rate_bps=900, join_bytes=512, queue_ns=12 * SECOND)
    sender = LinkSender(params, stream_id=1, boot_id=1)
    for number in range(20):  # the radio is away
        sender.submit(unit(number, bytes(200), bytes(70)), 0)
    dropped = []
    while (event := sender.next_event()) is not None:
        assert isinstance(event, SenderDropped)
        dropped.append(event.unit_no)
    assert sender.backlog_air_bytes * 8 <= 900 * 12
    assert 0 in dropped and 19 not in dropped, "the newest is worth most"
    number = sender.send_message(b"two people on the roof", 0)
    first = read(drain(sender, 0, until=8 * SECOND))[0]
    assert (first.part, first.unit_no) == (WirePart.MESSAGE, number)
