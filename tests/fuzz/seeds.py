"""The seed corpus, made by our own packers and kept in corpus.json: `python -m tests.fuzz.seeds`.

Kept in a file, so that inputs once found to matter can be added by hand and stay.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

from gvc_protocol.codec import CodecSpec, EncodedUnit
from gvc_protocol.descriptors import Descriptors, Thermal
from gvc_protocol.framing import Framing
from gvc_protocol.framings.mavlink import MavCodec
from gvc_protocol.framings.meshtastic import stream_pack
from gvc_protocol.objects import pack_tracks
from gvc_protocol.params import LinkParams
from gvc_protocol.sender import LinkSender

__all__ = ["CORPUS", "load_corpus"]

FOLDER = Path(__file__).resolve().parent
CORPUS = FOLDER / "corpus.json"
_LINES = (
    "radio_rx  01AB90", "invalid_param", "+SBDIX: 0, 12, 1, 3, 8, 0", "radio_tx_ok",
    '299 messageTerminateSegment {"data":"AQIDBA==","segment_length":4,"segment_start":0}',
)  # fmt: skip
_VECTORS = FOLDER.parent / "vectors"


def load_corpus() -> dict[str, list[bytes]]:
    """Seeds by the name of their kind."""
    raw = json.loads(CORPUS.read_text("utf-8"))
    return {kind: [bytes.fromhex(line) for line in lines] for kind, lines in raw.items()}


def _units(mtu: int, fec: float, sizes: list[tuple[int, int]]) -> list[bytes]:
    """Datagrams of small units, as a sender puts them on the air."""
    dice = random.Random(7)
    params = LinkParams(framing=Framing(mtu_bytes=mtu), rate_bps=1e8, fec_percent=fec)
    sender = LinkSender(params, stream_id=1, boot_id=1)
    spec, out, now = CodecSpec(codec_id=0, bitstream_version=1), [], 0
    described = _described()
    for number, (k, f) in enumerate(sizes):
        unit = EncodedUnit(
            unit_no=number, spec=spec, descriptors=replace(described, first_frame=number * 60),
            keyframe=dice.randbytes(k), features=dice.randbytes(f),
        )  # fmt: skip
        sender.submit(unit, now)
        while (due := sender.next_timer()) is not None:
            now = max(now, due)
            out += sender.datagrams_to_send(now)
    return out


def _described() -> Descriptors:
    vectors = json.loads((_VECTORS / "descriptors.json").read_text("utf-8"))
    plain = Descriptors.unpack(bytes.fromhex(vectors["descriptors"][0]["hex"]))
    assert plain is not None
    return replace(plain, thermal=Thermal(lo=2800, hi=31000, knee=9000), ladder=2)


def make() -> dict[str, list[bytes]]:
    """The corpus as our packers make it today."""
    descriptors = json.loads((_VECTORS / "descriptors.json").read_text("utf-8"))["descriptors"]
    datagrams = json.loads((_VECTORS / "datagrams.json").read_text("utf-8"))["datagrams"]
    gvc1 = json.loads((_VECTORS / "gvc1.json").read_text("utf-8"))
    streams = [
        b"".join(_units(64, 40, [(60, 90), (0, 40)])),
        b"".join(_units(118, 0, [(150, 0)])),
        b"".join(_units(250, 100, [(300, 200)])),
    ]
    rs = Framing(mtu_bytes=118, inner_rs=True)
    coded = [rs.frame(d, 0)[0] for d in _units(80, 40, [(40, 0)])]
    tracks = [
        d for d in descriptors if d["name"] in ("tracks", "motion_path", "all_that_the_edge_saw")
    ]
    framings = json.loads((_VECTORS / "framings.json").read_text("utf-8"))
    radio = {name: bytes.fromhex(f["hex"]) for name, f in framings.items() if "hex" in f}
    said = json.loads((_VECTORS / "messages.json").read_text("utf-8"))["messages"]
    segments = [
        packet
        for i, datagram in enumerate(_units(64, 0, [(0, 30)]))
        for packet in Framing(mtu_bytes=14).frame(datagram[:91], i)
    ]
    return {
        "datagram": [bytes.fromhex(d["hex"]) for d in datagrams][:8],
        "stream": streams,
        "rs": [b"".join(coded[:3]), coded[0]],
        "records": [u for d in tracks for _, u in _records(bytes.fromhex(d["hex"]))],
        "segments": [b"".join(bytes([len(p)]) + p for p in segments)],
        "descriptors": [bytes.fromhex(d["hex"]) for d in descriptors][:10],
        "gvc1": [_pair(u["keyframe"], u["features"]) for u in gvc1["units"]],
        "kiss": [radio["ax25_ui_in_kiss"] * 2, radio["ax25_ui_in_kiss"][2:-1]],
        "xbee": [radio["xbee_tx"] + radio["xbee_at_nd"], radio["xbee_tx_escaped"]],
        "text": [line.encode("ascii") for line in _LINES],
        "satellite": [radio["sbd_hello"], radio["meshtastic_stream"] * 3, b"\0\3abc\0\2de"],
        **_of_packages(),
        "messages": [bytes.fromhex(m["hex"]) for m in said],
        "classical": [
            bytes.fromhex("010a80400a0b0c0d0e"),
            bytes.fromhex("01020403aabbcc02ddee01ff"),
        ],
        "pcap": [(_VECTORS / "unit.pcap").read_bytes()[:1500]],
    }


def _of_packages() -> dict[str, list[bytes]]:
    """Frames that the radios' own packages make: the extra `radios` is needed to make the corpus."""
    from meshtastic.protobuf import mesh_pb2

    mav = MavCodec(system=1, component=191)
    packet = mesh_pb2.MeshPacket(rx_rssi=-97, rx_snr=4.5)
    packet.decoded.portnum, packet.decoded.payload = 257, bytes(range(40))
    status = mesh_pb2.QueueStatus(free=3, maxlen=16)
    said = [
        mesh_pb2.FromRadio(packet=packet), mesh_pb2.FromRadio(queueStatus=status),
        mesh_pb2.FromRadio(config_complete_id=7), mesh_pb2.FromRadio(rebooted=True),
        mesh_pb2.FromRadio(my_info=mesh_pb2.MyNodeInfo(my_node_num=0x12345678)),
    ]  # fmt: skip
    frames = [one.SerializeToString() for one in said]
    return {
        "mavlink": [mav.pack(bytes(range(60))) + mav.heartbeat(), mav.pack(bytes(range(128)))],
        "meshtastic": [*frames, b"".join(stream_pack(one) for one in frames)],
    }


def _records(described: bytes) -> list[tuple[int, bytes]]:
    """The tracks and motion path that these descriptors carry, as records."""
    d = Descriptors.unpack(described)
    assert d is not None
    out = [(6, pack_tracks(d.tracks))] if d.tracks else []
    return out + ([(7, d.motion_path.pack(d.width, d.height))] if d.motion_path else [])


def _pair(keyframe: str, features: str) -> bytes:
    """K and F in one input: length of K (2 bytes), K, F."""
    k = bytes.fromhex(keyframe)
    return len(k).to_bytes(2, "big") + k + bytes.fromhex(features)


if __name__ == "__main__":
    lines = {kind: [seed.hex() for seed in seeds] for kind, seeds in make().items()}
    CORPUS.write_text(json.dumps(lines, indent=1) + "\n", "utf-8")
    print(f"{sum(map(len, lines.values()))} seeds in {CORPUS}")
