"""Radio framings: golden vectors, round trips through rubbish, and any bytes without an exception."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.framings import ebyte, imt, mavlink, meshtastic, rn2483, sbd, xbee
from gvc_protocol.framings.ax25 import Callsign, UiFrame
from gvc_protocol.framings.kiss import KissReader, kiss_pack
from gvc_protocol.framings.lines import LineReader

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "framings.json").read_text())
payloads = st.binary(min_size=1, max_size=128)
noise = st.binary(max_size=400)


def in_pieces(feed: Callable[[bytes], list[Any]], raw: bytes, step: int) -> list[Any]:
    return [item for i in range(0, len(raw), step) for item in feed(raw[i : i + step])]


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("kiss", "c054455354c0".replace("c0", "c000", 1)),
        ("xbee_at_nd", "7e000408014e4464"),
        ("xbee_tx", "7e001610010013a200400a0127fffe00005478446174613041 13".replace(" ", "")),
        ("sbd_hello", "68656c6c6f0214"),
        ("imt_crc_123456789", "313233343536373839" + "31c3"),
        ("ebyte_e22_write", "c0000700000062001200"),
    ],
)
def test_vectors_are_those_of_the_manuals(name: str, printed: str) -> None:
    assert VECTORS[name]["hex"] == printed


def test_ax25_vector() -> None:
    frame = UiFrame.unpack(
        KissReader().feed(bytes.fromhex(VECTORS["ax25_ui_in_kiss"]["hex"]))[0].data
    )
    assert frame is not None and str(frame.source) == "N0CALL-7" and frame.info == b"\xc0\xdb\0"


@given(data=st.lists(payloads, min_size=1, max_size=4), junk=noise, step=st.integers(1, 9))
@settings(deadline=None)
def test_kiss_and_ax25_round_trip(data: list[bytes], junk: bytes, step: int) -> None:
    me, to = Callsign("N0CALL", 15), Callsign("GVC")
    raw = junk.replace(b"\xc0", b"") + b"".join(
        kiss_pack(UiFrame(destination=to, source=me, info=d, via=(me,)).pack()) for d in data
    )
    frames = [UiFrame.unpack(f.data) for f in in_pieces(KissReader().feed, raw, step)]
    assert [f.info for f in frames if f and f.source == me] == data


@given(data=st.lists(payloads, min_size=1, max_size=4), junk=noise, step=st.integers(1, 9))
@settings(deadline=None)
def test_xbee_round_trip_after_rubbish(data: list[bytes], junk: bytes, step: int) -> None:
    """In escaped mode a delimiter always begins a frame, so rubbish costs nothing behind it."""
    head = b"\x90" + (7).to_bytes(8, "big") + b"\xff\xfe\x02"
    raw = junk + b"".join(xbee.xbee_pack(head + d, escaped=True) for d in data)
    got = in_pieces(xbee.XbeeReader(escaped=True).feed, raw, step)
    found = [f.data for f in got if isinstance(f, xbee.Received) and f.source == 7]
    assert found[-len(data) :] == data


@given(data=st.lists(payloads, max_size=5))
def test_bundles(data: list[bytes]) -> None:
    message, count = sbd.bundle(data, 270)
    assert len(message) <= 270 and sbd.unbundle(message) == data[:count]


@given(data=st.binary(max_size=270), junk=st.binary(max_size=20))
def test_sbd_hop(data: bytes, junk: bytes) -> None:
    raw = len(data).to_bytes(2, "big") + sbd.sbd_write(data)
    assert sbd.sbd_read(raw + junk) == (len(raw), data)
    assert sbd.sbd_read(raw[:-1])[0] == 0


@given(data=st.binary(max_size=2000), at=st.integers(0, 10**6))
def test_imt_crc_finds_damage(data: bytes, at: int) -> None:
    message = imt.join_crc(data)
    assert imt.split_crc(message) == data
    wrong = bytearray(message)
    wrong[at % len(wrong)] ^= 0x10
    assert imt.split_crc(bytes(wrong)) is None


@given(data=st.binary(min_size=1, max_size=255))
def test_rn2483_round_trip(data: bytes) -> None:
    sent = rn2483.rn_transmit(data).decode().strip().removeprefix("radio tx ")
    assert rn2483.rn_parse("radio_rx  " + sent) == rn2483.RnPacket(data)


@given(
    registers=st.binary(min_size=7, max_size=7), name=st.text(max_size=9), value=st.text(max_size=6)
)
def test_ebyte_registers(registers: bytes, name: str, value: str) -> None:
    """Writing back what was read changes nothing; any name and value are refused or kept."""
    for size, decode, encode in (
        (7, ebyte.e22_decode, ebyte.e22_encode),
        (5, ebyte.e32_decode, ebyte.e32_encode),
    ):
        for key, found in decode(registers[:size]).items():
            again = encode(registers[:size], key, found)
            if again is not None:
                assert decode(again) == decode(registers[:size])
        encode(registers[:size], name, value)


@given(raw=st.binary(max_size=2000), step=st.integers(1, 50))
@settings(deadline=None, max_examples=200)
def test_any_bytes_in_no_exception_out(raw: bytes, step: int) -> None:
    for feed in (
        KissReader().feed, xbee.XbeeReader(escaped=True).feed, xbee.XbeeReader(escaped=False).feed,
        meshtastic.StreamReader().feed,
    ):  # fmt: skip
        in_pieces(feed, raw, step)
    for line in in_pieces(LineReader(100).feed, raw, step):
        rn2483.rn_parse(line), sbd.parse_session(line), imt.jspr_parse(line)
    UiFrame.unpack(raw), sbd.sbd_read(raw), sbd.unbundle(raw), imt.split_crc(raw)


@given(text=st.text(max_size=200))
def test_any_text_in_no_exception_out(text: str) -> None:
    said = imt.jspr_parse("200 constellationState " + text)
    if said is not None:
        said.number("a"), said.text("data"), imt.segment_data(said)
    rn2483.rn_parse("radio_rx  " + text), sbd.parse_session("+SBDIX: " + text)
    try:
        assert str(Callsign.parse(text))
    except UserError as error:
        assert str(error).isprintable()


def test_readers_keep_a_bounded_buffer() -> None:
    kiss, lines = KissReader(), LineReader(1000)
    mesh, api = meshtastic.StreamReader(), xbee.XbeeReader(escaped=False)
    for _ in range(200):
        for feed in (kiss.feed, lines.feed, mesh.feed, api.feed):
            feed(b"\xc0" + b"\x7e\x02\x00\x94\xc3\x01\xff" * 500)
    assert len(kiss._buffer) < 20_000 and len(lines.pending) <= 1000
    assert len(mesh._buffer) < 1000 and len(api._buffer) < 1000


@given(data=st.lists(payloads, min_size=1, max_size=3), junk=st.binary(max_size=60))
@settings(deadline=None, max_examples=50)
def test_mavlink_tunnel_beside_telemetry(data: list[bytes], junk: bytes) -> None:
    pytest.importorskip("pymavlink")
    a = mavlink.MavCodec(system=1, component=191)
    b = mavlink.MavCodec(system=255, component=191)
    raw = b"".join(a.heartbeat() + a.pack(d) for d in data)
    got = b.feed(junk + bytes(300)) + b.feed(raw)
    assert [m.data for m in got if isinstance(m, mavlink.TunnelData)] == data


def test_mavlink_limits() -> None:
    pytest.importorskip("pymavlink")
    with pytest.raises(UserError, match="32768 to 65535"):
        mavlink.MavCodec(system=1, component=1, payload_type=7)
    codec = mavlink.MavCodec(system=1, component=191)
    assert len(codec.pack(b"\x55" * 128)) == 145
    with pytest.raises(LocalProtocolError):
        codec.pack(bytes(129))


@given(raw=st.binary(max_size=300))
@settings(deadline=None, max_examples=100)
def test_libraries_raise_nothing(raw: bytes) -> None:
    pytest.importorskip("pymavlink")
    pytest.importorskip("meshtastic")
    mavlink.MavCodec(system=1, component=1).feed(b"\xfd" + raw + b"\xfe" + raw)
    meshtastic.MeshCodec().parse(raw)


def test_meshtastic_packet_round_trip() -> None:
    pytest.importorskip("meshtastic")
    from meshtastic.protobuf import mesh_pb2

    codec = meshtastic.MeshCodec()
    raw = meshtastic.StreamReader().feed(b"debug text" + codec.packet(b"hello", 9))[0]
    sent = mesh_pb2.ToRadio.FromString(raw).packet
    sent.rx_rssi, sent.rx_snr = -71, 5.5
    got = codec.parse(mesh_pb2.FromRadio(packet=sent).SerializeToString())
    assert got is not None and got.data == b"hello" and got.rssi_dbm == -71
    queue = mesh_pb2.FromRadio()
    queue.queueStatus.free, queue.queueStatus.maxlen = 3, 16
    status = codec.parse(queue.SerializeToString())
    assert status is not None and status.queue_free == 3
