"""Laws of framing: cuts change nothing, noise hides nothing, and nothing raises."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.framing import RS_SYNC, Deframer, Framing, Rejected
from gvc_protocol.wire import SYNC, Datagram, RejectReason
from tests.protocol.helpers import datagrams, repair_crc

laws = settings(max_examples=80, deadline=None)
STREAM = Framing(mtu_bytes=120, stream=True)
RS_STREAM = Framing(mtu_bytes=120, stream=True, inner_rs=True)
RS_PACKETS = Framing(mtu_bytes=120, inner_rs=True)
framings = st.sampled_from([STREAM, RS_STREAM])
small = datagrams(55).filter(lambda d: not d.tag)
# Noise that is full of sync words, whole and in part.
noise = st.lists(
    st.binary(max_size=12) | st.sampled_from([SYNC, RS_SYNC, b"\xeb", b"\x14", b"\x14\x6e"]),
    max_size=8,
).map(b"".join)


def found(items: list[Datagram | Rejected]) -> list[Datagram]:
    return [item for item in items if isinstance(item, Datagram)]


def cut(data: bytes, at: list[int]) -> list[bytes]:
    ends = [0, *sorted(a % (len(data) + 1) for a in at), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(ends)]


@given(framings, st.lists(small, max_size=4), st.lists(noise, min_size=5, max_size=5), st.data())
@laws
def test_cuts_of_a_stream_change_nothing(
    framing: Framing, sent: list[Datagram], between: list[bytes], data: st.DataObject
) -> None:
    stream = bytearray(between[0])
    for i, datagram in enumerate(sent):
        stream += b"".join(framing.frame(datagram.pack(), i)) + between[i + 1]
    for _ in range(data.draw(st.integers(0, 3))):
        if stream:
            stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    whole, pieces = Deframer(framing), Deframer(framing)
    wanted = whole.feed(bytes(stream))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    got = [item for piece in cut(bytes(stream), cuts) for item in pieces.feed(piece)]
    assert got == wanted
    assert pieces.flush() == whole.flush()
    assert pieces.skipped_bytes == whole.skipped_bytes
    assert not whole.pending


@pytest.mark.parametrize("framing", [STREAM, RS_STREAM])
def test_byte_by_byte_is_the_same_as_whole(framing: Framing) -> None:
    dice = random.Random(5)
    stream = b"".join(
        b"".join(framing.frame(datagram_no(i).pack(), i)) + dice.randbytes(dice.randrange(30))
        for i in range(30)
    )
    whole, single = Deframer(framing), Deframer(framing)
    wanted = whole.feed(stream)
    assert [item for b in stream for item in single.feed(bytes([b]))] == wanted
    assert len(found(wanted)) >= 29


def datagram_no(seq: int, payload: bytes = b"some payload") -> Datagram:
    return Datagram(
        part=2, last=False, k_sent=True, f_sent=True, stream_id=1, boot_id=2, seq=seq, unit_no=3,
        block_no=0, symbol=seq % 256, k=20, payload=payload,
    )  # fmt: skip


@given(
    st.sampled_from([STREAM, RS_STREAM, Framing(mtu_bytes=300, stream=True, inner_rs=True)]),
    st.lists(st.tuples(small, noise), min_size=1, max_size=3), noise, st.booleans(),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_every_whole_datagram_in_noise_is_found(
    framing: Framing, sent: list[tuple[Datagram, bytes]], first: bytes, maul: bool
) -> None:
    stream = first
    for i, (datagram, after) in enumerate(sent):
        stream += b"".join(framing.frame(datagram.pack(), i)) + after
        # Between the whole ones, one that lost a byte and one that gained one.
        raw = b"".join(framing.frame(datagram_no(i).pack(), i))
        stream += raw[:40] + raw[41:] if maul else b""
        stream += raw[:9] + b"\xeb" + raw[9:] if maul and not framing.inner_rs else b""
    deframer = Deframer(framing)
    got = found(deframer.feed(stream) + deframer.flush())
    wanted = [datagram for datagram, _ in sent]
    mauled = [datagram_no(i) for i in range(len(sent))]
    assert [d for d in got if d not in mauled or d in wanted] == wanted


@pytest.mark.parametrize("slip", range(1, 17))
def test_bytes_lost_in_an_rs_frame_do_not_cost_the_next(slip: int) -> None:
    sent = [datagram_no(i) for i in range(3)]
    first, second, third = (RS_STREAM.frame(d.pack(), 0)[0] for d in sent)
    for at in (50, 100, len(first) - slip):
        deframer = Deframer(RS_STREAM)
        got = deframer.feed(first[:at] + first[at + slip :] + second + third)
        assert found(got + deframer.flush()) == sent


@given(
    st.sampled_from([Framing(mtu_bytes=120), RS_PACKETS, Framing(mtu_bytes=14), STREAM, RS_STREAM]),
    st.lists(
        st.binary(max_size=150)
        | st.tuples(st.sampled_from([SYNC, RS_SYNC, b"\x15\x6f"]), st.binary(max_size=300)).map(
            b"".join
        ),
        max_size=6,
    ),
)  # fmt: skip
@laws
def test_nothing_raises(framing: Framing, packets: list[bytes]) -> None:
    deframer = Deframer(framing)
    for packet in packets:
        assert not found(deframer.feed(packet))
    assert not found(deframer.flush()) and not deframer.pending


@pytest.mark.parametrize("length", [0, 1, 2, 3, 33, 34, 35, 255, 257, 258, 259, 289, 290, 1400])
def test_an_rs_packet_of_any_length_is_a_reason(length: int) -> None:
    for framing in (Framing(mtu_bytes=1400), Framing(mtu_bytes=1400, inner_rs=True)):
        items = Deframer(framing).feed((RS_SYNC + bytes([7]) * 1400)[:length])
        assert len(items) == min(length, 1) and not found(items)


@given(small, st.data())
@laws
def test_a_packet_that_is_damaged_is_told_once(datagram: Datagram, data: st.DataObject) -> None:
    raw = bytearray(datagram.pack())
    raw[data.draw(st.integers(2, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    items = Deframer(Framing(mtu_bytes=120)).feed(bytes(raw))
    assert len(items) == 1 and isinstance(items[0], Rejected)


def test_a_datagram_longer_than_the_mtu_is_noise() -> None:
    long = datagram_no(1, bytes(100)).pack()
    for framing in (Framing(mtu_bytes=120), STREAM):
        items = Deframer(framing).feed(long)
        assert [i.reason for i in items if isinstance(i, Rejected)] == [RejectReason.TOO_LONG]
        assert not found(items)
    rs = Framing(mtu_bytes=200, inner_rs=True).frame(long, 0)[0]
    items = Deframer(Framing(mtu_bytes=120)).feed(rs)
    assert items == [Rejected(reason=RejectReason.TOO_LONG, raw=rs)]


# --- RS frames --------------------------------------------------------------------------------


@pytest.mark.parametrize("mtu", [64, 118, 254, 256, 257, 258, 270, 288, 289, 290, 512, 1400])
@pytest.mark.parametrize("stream", [True, False])
def test_rs_frames_survive_16_wrong_bytes_a_codeword(mtu: int, stream: bool) -> None:
    framing = Framing(mtu_bytes=mtu, stream=stream, inner_rs=True)
    dice = random.Random(mtu)
    size = framing.max_datagram_bytes - 21
    sent = [datagram_no(i, dice.randbytes(dice.choice((1, size)))) for i in range(4)]
    raw = b""
    deframer, got = Deframer(framing), []
    for i, datagram in enumerate(sent):
        (frame,) = framing.frame(datagram.pack(), i)
        assert len(frame) == framing.rs_frame_bytes == framing.framed_bytes(1) <= mtu
        raw = bytearray(frame)
        for start in range(2, len(raw), 255):
            word = range(start, min(start + 255, len(raw)))
            for at in dice.sample(word, 16):
                raw[at] ^= dice.randrange(1, 256)
        for bit in dice.sample(range(16), 1 if stream else 3):
            raw[bit // 8] ^= 1 << bit % 8
        got += deframer.feed(bytes(raw))
    assert got == sent


def test_more_wrong_bytes_than_the_code_mends_are_a_reason() -> None:
    (frame,) = RS_PACKETS.frame(datagram_no(1).pack(), 0)
    raw = bytes(frame[:2]) + bytes(b ^ 0x55 for b in frame[2:42]) + frame[42:]
    assert Deframer(RS_PACKETS).feed(raw) == [Rejected(reason=RejectReason.BAD_CRC, raw=raw)]


def test_an_rs_frame_of_a_later_version_is_refused_by_name() -> None:
    raw = bytearray(datagram_no(1).pack())
    raw[2] = 0x20
    (frame,) = RS_PACKETS.frame(repair_crc(bytes(raw)), 0)
    for wrong in (0, 1):
        damaged = frame[:20] + bytes([frame[20] ^ wrong]) + frame[21:]
        (item,) = Deframer(RS_PACKETS).feed(damaged)
        assert isinstance(item, Rejected) and item.reason is RejectReason.BAD_VERSION


def test_an_rs_link_still_reads_plain_datagrams() -> None:
    for framing in (RS_STREAM, RS_PACKETS):
        assert Deframer(framing).feed(datagram_no(1).pack()) == [datagram_no(1)]


def test_a_plain_link_reads_rs_frames_of_any_mtu() -> None:
    for mtu in (64, 118, 300, 1400):
        (frame,) = Framing(mtu_bytes=mtu, inner_rs=True).frame(datagram_no(1, b"x").pack(), 0)
        assert Deframer(Framing(mtu_bytes=1400)).feed(frame) == [datagram_no(1, b"x")]


@pytest.mark.parametrize("inner_rs", [False, True])
def test_a_cut_stream_gives_up_on_flush(inner_rs: bool) -> None:
    framing = replace(STREAM, inner_rs=inner_rs)
    first, second = (b"".join(framing.frame(datagram_no(i).pack(), i)) for i in (1, 2))
    deframer = Deframer(framing)
    assert deframer.feed(first[:-20] + second[:3]) == [] or inner_rs
    assert deframer.pending
    deframer.flush()
    assert not deframer.pending
    assert found(deframer.feed(second)) == [datagram_no(2)]


# --- segments ---------------------------------------------------------------------------------


@given(st.integers(14, 63), st.lists(datagrams(62), min_size=1, max_size=20))
@laws
def test_segments_come_together(mtu: int, sent: list[Datagram]) -> None:
    framing = Framing(mtu_bytes=mtu)
    deframer, got = Deframer(framing), []
    for i, datagram in enumerate(sent):
        raw = datagram.pack()
        packets = framing.frame(raw, i)
        assert len(packets) == framing.packets(len(raw)) <= 8
        assert all(len(p) <= mtu for p in packets)
        assert sum(map(len, packets)) == framing.framed_bytes(len(raw))
        for packet in packets:
            got += deframer.feed(packet)
    assert got == sent


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(0, 2**32))
@laws
def test_a_lost_piece_loses_one_datagram_and_a_repeated_one_none(
    copies: list[int], seed: int
) -> None:
    framing = Framing(mtu_bytes=14)
    dice = random.Random(seed)
    deframer, got, whole = Deframer(framing), [], []
    at = 0
    for i in range(12):
        sent = datagram_no(i, dice.randbytes(30))
        counts = []
        for packet in framing.frame(sent.pack(), i):
            count = (copies[at % len(copies)] if copies else 1) % 3
            at += 1
            counts.append(count)
            for _ in range(count):
                got += deframer.feed(packet)
        whole += [sent] if all(counts) else []
    # A repeated first piece after the whole may start again, but never gives another datagram.
    assert [d for i, d in enumerate(found(got)) if d not in found(got)[:i]] == whole
    assert all(isinstance(item, Datagram) for item in got)


def test_joined_pieces_that_are_no_datagram_are_told() -> None:
    framing = Framing(mtu_bytes=14)
    raw = bytearray(datagram_no(1).pack())
    raw[20] ^= 1
    items = [i for p in framing.frame(bytes(raw), 0) for i in Deframer(framing).feed(p)]
    assert items == []  # one deframer a piece: nothing comes together
    deframer = Deframer(framing)
    items = [i for p in framing.frame(bytes(raw), 0) for i in deframer.feed(p)]
    assert items == [Rejected(reason=RejectReason.BAD_CRC, raw=bytes(raw))]


# --- our own side -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        {"mtu_bytes": 13}, {"mtu_bytes": 1401}, {"mtu_bytes": 63, "stream": True},
        {"mtu_bytes": 20, "inner_rs": True},
    ],
)  # fmt: skip
def test_impossible_framings_are_our_own_error(bad: dict[str, int]) -> None:
    with pytest.raises(LocalProtocolError):
        Framing(**bad)


@pytest.mark.parametrize("framing", [STREAM, RS_PACKETS, Framing(mtu_bytes=14)])
def test_a_datagram_too_large_is_our_own_error(framing: Framing) -> None:
    room = framing.max_datagram_bytes - 21
    assert framing.frame(datagram_no(1, bytes(room)).pack(), 0)
    with pytest.raises(LocalProtocolError):
        framing.frame(datagram_no(1, bytes(room + 1)).pack(), 0)
