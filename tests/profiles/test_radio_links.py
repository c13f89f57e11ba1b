"""Links of radios with a framing, against fakes: whole packets, queues, restarts, fair shares."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from gvc_profiles import load
from gvc_profiles.links import can_send, open_link, state_of
from gvc_profiles.links.imt import ImtDriver
from gvc_profiles.links.kiss import KissDriver
from gvc_profiles.links.mavlink import MavDriver
from gvc_profiles.links.meshtastic import MeshDriver
from gvc_profiles.links.sbd import SbdDriver
from gvc_profiles.links.xbee import XbeeDriver
from gvc_protocol.errors import UserError
from gvc_protocol.framings import imt, mavlink, meshtastic, sbd, xbee
from gvc_protocol.framings.ax25 import Callsign
from tests.profiles.fakes import Rn2483, Sbd


def until(done: Callable[[], object], limit_s: float = 10) -> None:
    end = time.monotonic() + limit_s
    while not done() and time.monotonic() < end:
        time.sleep(0.02)
    assert done()


def all_of(driver: Any, now: float) -> bytes:
    out = b""
    while piece := driver.output(now):
        out += piece
    return out


def test_kiss_gives_only_what_is_ours() -> None:
    a, b = (KissDriver(Callsign(c), Callsign("GVC"), 0) for c in ("N0CALL", "N1CALL"))
    other = KissDriver(Callsign("N2CALL"), Callsign("APRS"), 0)
    a.send(b"\xc0mine", 0), other.send(b"beacon", 0)
    assert b.feed(all_of(other, 0) + all_of(a, 0), 0) == [b"\xc0mine"]


def test_xbee_waits_for_the_tx_status() -> None:
    driver = XbeeDriver(xbee.BROADCAST)
    for _ in range(4):
        assert driver.state(0).can_send
        driver.send(b"x", 0)
    assert not driver.state(0).can_send
    driver.feed(xbee.xbee_pack(b"\x8b\x01\xff\xfe\x00\x00\x00", escaped=True), 0)
    assert driver.state(0).can_send
    driver.feed(xbee.xbee_pack(b"\x8b\x02\xff\xfe\x00\x74\x00", escaped=True), 0)
    assert "0x74" in driver.state(0).problem
    driver.feed(xbee.xbee_pack(b"\x88\xffDB\x00\x47", escaped=True), 0)
    assert driver.state(0).rssi_dbm == -71
    assert driver.state(99).can_send, "statuses that never come do not stop the link"


def test_meshtastic_obeys_the_queue() -> None:
    pytest.importorskip("meshtastic")
    from meshtastic.protobuf import mesh_pb2

    def said(**fields: Any) -> bytes:
        message = mesh_pb2.FromRadio()
        for name, value in fields.items():
            setattr(message.queueStatus, name, value)
        return meshtastic.stream_pack(message.SerializeToString())

    driver = MeshDriver(meshtastic.MeshCodec(), 1)
    driver.feed(said(free=3, maxlen=16), 0)
    assert driver.state(0).can_send
    driver.send(b"x", 0)
    assert not driver.state(0).can_send
    driver.feed(said(free=16, maxlen=16), 1)
    assert driver.state(1).can_send and driver.state(1).queue_free_percent == 100


def test_mavlink_yields_to_flight_telemetry() -> None:
    pytest.importorskip("pymavlink")
    from pymavlink.dialects.v20 import common

    radio = common.MAVLink(None, srcSystem=51, srcComponent=68)

    def status(txbuf: int) -> bytes:
        message = radio.radio_status_encode(180, 170, txbuf, 60, 50, 0, 0)
        return bytes(message.pack(radio))

    driver = MavDriver(mavlink.MavCodec(system=1, component=191), share_bps=8000)
    driver.feed(status(95), 0)
    assert driver.state(0).can_send and driver.state(0).rssi_dbm == pytest.approx(180 / 1.9 - 127)
    driver.feed(status(40), 1)
    assert not driver.state(1).can_send and "telemetry" in driver.state(1).problem
    driver.feed(status(60), 2)
    assert not driver.state(2).can_send, "hysteresis: it waits for 70 %"
    driver.feed(status(75), 3)
    assert driver.state(3).can_send
    # Whatever the sender wants, our share is never exceeded by more than a frame in five seconds.
    sent, now = [], 10.0
    while now < 40:
        if driver.state(now).can_send:
            driver.send(b"\x55" * 128, now)
            sent.append(now)
        now += 0.01
    for start in sent:
        inside = sum(1 for t in sent if start <= t < start + 5)
        assert inside * 145 * 8 <= 8000 * 5 + 145 * 8
    assert len(sent) * 145 * 8 > 0.9 * 8000 * 30


def test_rn2483_sets_only_what_differs_and_survives_a_restart() -> None:
    with closing(Rn2483()) as fake:
        link = open_link(f"rn2483:{fake.device}", load("rn2483-eu868"), listen=False)
        until(lambda: link.receive(0.05) == [] and fake.listening)
        assert fake.settings["sf"] == "sf7" and b"set mod" not in fake.heard
        assert can_send(link)
        link.send(b"one")
        assert not can_send(link) or fake.sent == [b"one"]
        until(lambda: can_send(link) and fake.sent == [b"one"])
        fake.restart()
        until(lambda: can_send(link) and fake.settings["sf"] == "sf7")
        link.send(b"two")
        until(lambda: can_send(link) and fake.sent == [b"one", b"two"])
        fake.say(b"radio_rx  48656C6C6F\r\n")
        got: list[bytes] = []
        until(lambda: got.extend(r.data for r in link.receive(0.05)) or got)  # type: ignore[func-returns-value]
        assert got == [b"Hello"]
        link.close()


def test_sbd_shares_messages_retries_and_reads_mail() -> None:
    mail = sbd.bundle([b"keyframe please"], 270)[0]
    with closing(Sbd(bad_skies=1, mail=mail)) as fake:
        link = open_link(f"sbd:{fake.device}", load("iridium-sbd"), listen=False)
        for i in range(3):
            link.send(b"datagram %d" % i)
        until(lambda: "next try in 5 s" in state_of(link).problem)  # type: ignore[union-attr]
        assert state_of(link).waiting_packets == 3  # type: ignore[union-attr]
        got: list[bytes] = []
        until(lambda: got.extend(r.data for r in link.receive(0.1)) or got, 15)  # type: ignore[func-returns-value]
        assert got == [b"keyframe please"]
        sent = [d for m in fake.messages for d in sbd.unbundle(m)]
        assert sent == [b"datagram 0", b"datagram 1", b"datagram 2"]
        assert len(fake.messages) <= 2 and state_of(link).waiting_packets == 0  # type: ignore[union-attr]
        link.close()


def test_sbd_queue_outlives_a_modem_that_stops_answering() -> None:
    driver = SbdDriver(270, 600)
    driver.send(b"x", 0)
    now = 0.0
    for _ in range(50):
        driver.output(now)
        now += 10
    assert driver.state(now).waiting_packets == 1 and "does not answer" in driver.state(now).problem


def test_imt_sends_what_waits_as_one_message_and_reads() -> None:
    driver = ImtDriver(244)
    for i in range(5):
        driver.send(b"d%d" % i, 0)

    def said(code: int, target: str, text: str) -> list[bytes]:
        return driver.feed(f"{code} {target} {text}\r".encode(), 0)

    assert all_of(driver, 0) == b"GET apiVersion {}\r"
    said(200, "apiVersion", '{"supported_versions":[{"major":1,"minor":6,"patch":0}]}')
    assert b'PUT apiVersion {"active_version":{"major":1' in all_of(driver, 0)
    said(200, "simConfig", '{"interface":"internal"}')
    assert b"GET operationalState" in all_of(driver, 0)
    said(200, "operationalState", '{"state":"inactive"}')
    assert b'{"state":"active"}' in all_of(driver, 0)
    said(200, "operationalState", '{"state":"active"}')
    message = imt.join_crc(sbd.bundle([b"d%d" % i for i in range(5)], 1000)[0])
    assert f'"message_length":{len(message)}'.encode() in all_of(driver, 0)
    said(200, "messageOriginate", '{"message_id":7,"message_response":"message_accepted"}')
    said(299, "messageOriginateSegment", '{"message_id":7,"segment_length":30,"segment_start":0}')
    assert b'"data":"' in all_of(driver, 0)
    assert driver.state(0).waiting_packets == 5
    said(299, "messageOriginateStatus", '{"message_id":7,"final_mo_status":"mo_ack_received"}')
    assert driver.state(0).waiting_packets == 0
    import base64

    data = base64.b64encode(imt.join_crc(sbd.bundle([b"answer"], 100)[0])).decode()
    said(299, "messageTerminate", '{"message_id":3,"message_length_max":100}')
    said(299, "messageTerminateSegment", f'{{"message_id":3,"segment_start":0,"data":"{data}"}}')
    assert said(299, "messageTerminateStatus", '{"message_id":3}') == [b"answer"]


@pytest.mark.parametrize(
    ("url", "profile", "words"),
    [
        ("kiss:/dev/x", "kiss-ax25-1200", "call sign"),
        ("kiss:/dev/x?call=TOOLONGCALL", "kiss-ax25-1200", "TOOLONGCALL"),
        ("kiss:/dev/x?call=N0CALL-1", "kiss-ax25-1200", "YOURCALL"),
        ("kiss:/dev/x?call=VIDEO", "kiss-ax25-9600", "no station's call sign"),
        ("kiss+tcp://localhost:8001", "direwolf-1200", "kiss+tcp://localhost:8001?call=YOURCALL"),
        ("kiss+tcp://localhost?call=W1AW-3", "direwolf-1200", "HOST:PORT"),
        ("xbee:/dev/x", "sik-64", "serial:DEVICE"),
        ("serial:/dev/x", "xbee-900hp-10k", "xbee:DEVICE"),
        ("xbee:/dev/x?speed=1", "xbee-900hp-10k", "speed"),
        ("meshtastic:/dev/x?port=7", "meshtastic-long-fast", "256 to 511"),
        ("mavlink:/dev/x?share=2", "mavlink-tunnel", "share"),
        ("rns:abc", "reticulum", "32 hexadecimal"),
        ("sbd:/dev/none-here", "iridium-sbd", "cannot open"),
        ("nothing", "udp", "unknown link"),
    ],
)
def test_wrong_links_are_one_line(url: str, profile: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        open_link(url, load(profile), listen=False)
    assert words in str(caught.value) and str(caught.value).isprintable()
