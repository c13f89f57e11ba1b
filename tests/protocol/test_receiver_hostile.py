"""The receiver under forged and damaged datagrams: true, bounded, never raising."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol import receiver as limits
from gvc_protocol.events import UnitReady
from gvc_protocol.framing import Framing
from gvc_protocol.params import MS, SECOND, LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import Datagram, WirePart
from tests.protocol.helpers import (
    check_units,
    datagrams,
    drain,
    events,
    link,
    repair_crc,
    small_unit,
    symbols,
    unit,
)

F = WirePart.FEATURES
PARAMS = link()
laws = settings(max_examples=60, deadline=None)


@given(st.lists(datagrams(60) | st.binary(max_size=80), max_size=40), st.booleans())
@laws
def test_valid_nonsense_never_raises(packets: list[Datagram | bytes], stream: bool) -> None:
    framing = Framing(mtu_bytes=200, stream=stream)
    receiver = LinkReceiver(LinkParams(framing=framing, rate_bps=1e5, fec_percent=0))
    for i, packet in enumerate(packets):
        receiver.receive(packet if isinstance(packet, bytes) else packet.pack(), i * 100 * MS)
    receiver.close(60 * SECOND)
    last: dict[tuple[int, int], int] = {}
    for event in events(receiver):
        if isinstance(event, UnitReady):
            key = (event.stream_id, event.boot_id)
            assert event.unit.unit_no > last.get(key, -1)
            last[key] = event.unit.unit_no
            for part in (event.unit.keyframe, event.unit.features):
                ends = [at + len(data) for at, data in part.ranges]
                assert all(e < at for e, (at, _) in zip(ends, part.ranges[1:], strict=False))


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_damage_under_a_right_crc_never_raises(seed: int) -> None:
    dice = random.Random(seed)
    params = link(90, rate_bps=1e6)
    sender = LinkSender(params, stream_id=1, boot_id=1)
    sender.submit(unit(0, dice.randbytes(600), dice.randbytes(600)), 0)
    receiver = LinkReceiver(params)
    for now, packet in drain(sender):
        raw = bytearray(packet)
        for _ in range(dice.randrange(3)):
            raw[dice.randrange(2, len(raw))] ^= 1 << dice.randrange(8)
        receiver.receive(repair_crc(bytes(raw)), now)
    receiver.close(60 * SECOND)
    assert events(receiver)


def hostile(i: int, kind: str, dice: random.Random) -> bytes:
    """The i-th of many datagrams with a right CRC that are built to fill memory."""
    fields = {
        "stream_id": i % 32, "seq": i // 32, "unit_no": i // 32 % 16,
        "block_no": i // 512 % 256, "symbol": 0, "part": 2,
    }  # fmt: skip
    if kind == "symbols":
        fields |= {"block_no": 0, "symbol": i // 512 % 256, "part": i >> 17}
    elif kind == "random":
        fields = {
            "stream_id": dice.randrange(1 << 16), "seq": dice.randrange(1 << 24),
            "unit_no": dice.randrange(1 << 16), "block_no": dice.randrange(256),
            "symbol": dice.randrange(256), "part": dice.randrange(3),
        }  # fmt: skip
    payload = b"x" if kind in ("blocks", "symbols") else bytes(1300)
    return Datagram(
        **fields, last=False, k_sent=True, f_sent=True, boot_id=0, k=256, payload=payload
    ).pack()


@pytest.mark.parametrize("kind", ["random", "blocks", "symbols", "long"])
def test_memory_stays_bounded_under_forged_datagrams(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Twice the limit must do, as the limit counts what objects cost only about. Tried at a 64th of
    # it: the real one takes long to reach.
    assert 2 * limits._MAX_HELD_BYTES <= 64 << 20
    monkeypatch.setattr(limits, "_MAX_HELD_BYTES", limits._MAX_HELD_BYTES // 64)
    dice = random.Random(3)
    params = LinkParams(framing=Framing(mtu_bytes=1400), rate_bps=1e6, fec_percent=0)
    packets = [hostile(i, kind, dice) for i in range(3000)]
    receiver = LinkReceiver(params)
    most = 0
    tracemalloc.start()
    try:
        for i, packet in enumerate(packets):
            receiver.receive(packet, i * 1000)
            while receiver.next_event() is not None:
                pass
            if i % 500 == 0:
                most = max(most, tracemalloc.get_traced_memory()[0])
            # The bound on sessions is not to be seen from outside in any other way.
            assert len(receiver._sessions) <= 32
    finally:
        tracemalloc.stop()
    assert kind == "random" or most > limits._MAX_HELD_BYTES // 2  # the limit was reached
    assert most < 2 * limits._MAX_HELD_BYTES
    receiver.close(1 << 62)


def test_forged_streams_do_not_cut_the_true_one() -> None:
    params = link(120, rate_bps=64_000)
    sender, dice = LinkSender(params, stream_id=700, boot_id=9), random.Random(8)
    sent = [unit(n, dice.randbytes(800), dice.randbytes(1500)) for n in range(5)]
    receiver = LinkReceiver(params)
    for u in sent:
        sender.submit(u, u.unit_no * SECOND)
        for now, packet in drain(sender, u.unit_no * SECOND):
            receiver.receive(packet, now)
            for _ in range(8):
                forged = replace(
                    symbols(F, b"x", unit_no=dice.randrange(9))[0], stream_id=dice.randrange(600)
                )
                receiver.receive(forged.pack(), now)
    receiver.close(60 * SECOND)
    got = events(receiver)
    true = [e.unit for e in got if isinstance(e, UnitReady) and e.stream_id == 700]
    check_units(true, sent)
    assert [u.whole for u in true] == [True] * 5


def test_a_session_long_silent_makes_room_first() -> None:
    receiver = LinkReceiver(PARAMS)
    base = Datagram.unpack(small_unit(0, 0))
    assert isinstance(base, Datagram)
    for seq in range(9):  # an old boot that was heard well, and then no more
        receiver.receive(replace(base, boot_id=1, seq=seq).pack(), 0)
    for boot_id in range(2, 33):
        receiver.receive(replace(base, boot_id=boot_id).pack(), 100 * SECOND)
    receiver.receive(replace(base, boot_id=33).pack(), 101 * SECOND)
    assert (1, 1) not in receiver._sessions and (1, 33) in receiver._sessions
