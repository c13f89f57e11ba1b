"""Writes the golden vectors anew: `python -m tests.vectors.regenerate`, and only on purpose.

The files hold the wire format of version 1 still; a difference is a break with every radio in the
field unless it only adds. `tests/protocol/test_vectors.py` reads them and never writes.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gvc_protocol.auth import LinkKey, Sealer
from gvc_protocol.blocks import BlockAssembly, make_block
from gvc_protocol.codec import CodecSpec, EncodedUnit
from gvc_protocol.descriptors import Descriptors, Detection, GlobalMotion, Telemetry, Thermal
from gvc_protocol.erasure import parity
from gvc_protocol.framing import Framing
from gvc_protocol.motion_path import ControlPoint, MotionPath
from gvc_protocol.objects import ObjectClass, Track, TrackPoint
from gvc_protocol.params import LinkParams
from gvc_protocol.pcap import Record, pack_file_header, pack_record
from gvc_protocol.sender import LinkSender
from gvc_protocol.truth import TruthMap
from gvc_protocol.wire import Datagram
from tests.vectors.framing_cases import framing_table
from tests.vectors.gvc1_cases import gvc1_table, pattern
from tests.vectors.message_cases import message_table

FOLDER = Path(__file__).resolve().parent
Cases = dict[str, Any]

PLAIN = Datagram(
    part=2, last=False, k_sent=True, f_sent=True, stream_id=0x0102, boot_id=0x0304, seq=0x050607,
    unit_no=0x0809, block_no=10, symbol=11, k=12, payload=bytes.fromhex("00ff eb90 146f"),
)  # fmt: skip
DESCRIBED = Descriptors(
    codec_id=0, bitstream_version=1, capture_us=1_753_000_000_123_456, width=1280, height=720,
    fps=Fraction(30000, 1001), first_frame=600, frames=60, total_frames=1800,
    weights_prefix=bytes.fromhex("c0ffee01"),
    global_motion=GlobalMotion(coefficients=(16384, 3, -20, -3, 16384, 11, 0, -1)),
    telemetry=Telemetry(
        lat_e7=506_412_345, lon_e7=-71_234_567, alt_cm=12_345,
        roll_cdeg=-120, pitch_cdeg=4_500, yaw_cdeg=-18_000,
    ),
    detections=(
        Detection(class_id=1, score_pct=87, x=100, y=200, width=30, height=60),
        Detection(class_id=3, score_pct=51, x=1200, y=7, width=80, height=44),
    ),
)  # fmt: skip


def _track(
    track_id: int, class_id: int, score: int, *rows: tuple[int, int, int, int, int]
) -> Track:
    points = tuple(
        TrackPoint(offset=at, x=x, y=y, width=w, height=h) for at, x, y, w, h in rows
    )  # fmt: skip
    return Track(track_id=track_id, class_id=class_id, score_pct=score, points=points)


TRACKS = (
    _track(7, ObjectClass.VEHICLE, 80, (0, 100, 200, 42, 20), (15, 160, 198, 42, 20),
           (30, 221, 196, 42, 21), (37, 249, 195, 42, 21)),
    _track(65535, ObjectClass.MOVER, 0, (59, 0, 0, 0, 65535)),
)  # fmt: skip
PATH = MotionPath(points=(
    ControlPoint(offset=15, corners=(-80, 3, -81, 4, -79, 3, -80, 2), residual=3),
    ControlPoint(offset=30, corners=(-161, 7, -160, 8, -163, 7, -160, 5), residual=254),
    ControlPoint(offset=59, corners=(-310, -90, -320, 15, -330, 14, -318, 11)),
))  # fmt: skip


def datagram_fields(datagram: Datagram) -> dict[str, Any]:
    fields = asdict(datagram)
    return {**fields, "payload": datagram.payload.hex(), "tag": datagram.tag.hex()}


def _datagrams() -> Cases:
    named = {
        "plain": PLAIN,
        "descriptors_last": replace(PLAIN, part=0, last=True, k=1, symbol=0, block_no=0),
        "keyframe": replace(PLAIN, part=1),
        "message": replace(PLAIN, part=3),
        "parity_symbol": replace(PLAIN, symbol=255),
        "k_256": replace(PLAIN, k=256),
        "no_keyframe_in_unit": replace(PLAIN, k_sent=False),
        "no_features_in_unit": replace(PLAIN, part=1, f_sent=False),
        "tagged": replace(PLAIN, tag=bytes.fromhex("0123456789abcdef")),
        "encrypted": replace(PLAIN, tag=bytes.fromhex("0123456789abcdef"), encrypted=True),
        "message_from_base": replace(PLAIN, part=3, from_base=True),
        "over": replace(PLAIN, over=True),
        "all_flags": replace(
            PLAIN, part=3, tag=bytes(8), encrypted=True, from_base=True, over=True
        ),
        "all_zero": Datagram(
            part=0, last=False, k_sent=False, f_sent=False, stream_id=0, boot_id=0, seq=0,
            unit_no=0, block_no=0, symbol=0, k=1, payload=b"\0",
        ),
        "all_ones": Datagram(
            part=3, last=True, k_sent=True, f_sent=True, stream_id=0xFFFF, boot_id=0xFFFF,
            seq=0xFFFFFF, unit_no=0xFFFF, block_no=255, symbol=255, k=256, payload=b"\xff" * 2047,
        ),
    }  # fmt: skip
    raw = bytearray(PLAIN.pack())
    damaged = {
        "first_sync_bit": (0, 0x80), "version": (2, 0x30), "length_shorter": (4, 0x02),
        "length_longer": (4, 0x08), "payload_bit": (18, 0x01), "crc_bit": (len(raw) - 1, 0x40),
    }  # fmt: skip
    refused = []
    for name, (at, bits) in damaged.items():
        wrong = bytearray(raw)
        wrong[at] ^= bits
        refused.append({"name": name, "hex": wrong.hex(), "reason": _reason(bytes(wrong))})
    for name, at, value in (("version_2", 2, 0x20), ("encrypted_without_tag", 2, 0x12)):
        wrong = bytearray(raw)
        wrong[at] = value
        fixed = _with_crc(bytes(wrong))
        refused.append({"name": name + "_crc_good", "hex": fixed.hex(), "reason": _reason(fixed)})
    for name, wrong_raw in (("empty", b""), ("cut", raw[:-1]), ("longer", raw + b"\0")):
        refused.append({
            "name": name, "hex": wrong_raw.hex(), "reason": _reason(bytes(wrong_raw)),
        })  # fmt: skip
    return {
        "datagrams": [
            {"name": name, "fields": datagram_fields(d), "hex": d.pack().hex()}
            for name, d in named.items()
        ],
        "refused": refused,
    }


KEPT = ("truth_before.json", "truth_levels.json")
"Vectors of what is read and no longer written: never made anew."

KEY = LinkKey(bytes(range(32)))


def _auth() -> Cases:
    """Datagrams under one fixed key; `seq` is the full number, of which 24 bits travel."""
    text = replace(PLAIN, payload=b"one symbol of a unit", seq=0x01_0000_0000_050607)
    named = {
        "edge": text,
        "one_byte": replace(text, payload=b"x", seq=0),
        "base_over": replace(text, part=3, from_base=True, over=True, seq=(1 << 64) - 1),
        "longest": replace(text, payload=pattern(2047), stream_id=0xFFFF, boot_id=0xFFFF),
    }
    cases = []
    for name, datagram in named.items():
        for encrypt in (False, True):
            sealed = Sealer(KEY, encrypt=encrypt).seal(datagram)
            cases.append({
                "name": name + ("_encrypted" if encrypt else "_tagged"), "encrypt": encrypt,
                "fields": datagram_fields(datagram), "hex": sealed.pack().hex(),
            })  # fmt: skip
    keys = {"tag_key": KEY.tag_key.hex(), "ccm_key": KEY.ccm_key.hex()}
    return {"key": KEY.secret.hex(), **keys, "fingerprint": KEY.fingerprint, "auth": cases}


def _with_crc(raw: bytes) -> bytes:
    return raw[:-4] + zlib.crc32(raw[2:-4]).to_bytes(4, "big")


def _reason(raw: bytes) -> str:
    read = Datagram.unpack(raw)
    assert not isinstance(read, Datagram)
    return read.name


def descriptor_fields(d: Descriptors) -> dict[str, Any]:
    fields = asdict(d)
    del fields["truth"]  # vectors of its own: truth.json
    fields["fps"] = [d.fps.numerator, d.fps.denominator]
    fields["weights_prefix"] = d.weights_prefix.hex()
    fields["unknown"] = [[kind, data.hex()] for kind, data in d.unknown]
    out: dict[str, Any] = json.loads(json.dumps(fields))
    return out


def _descriptors() -> Cases:
    bare = replace(
        DESCRIBED, weights_prefix=b"", global_motion=None, telemetry=None, detections=(),
        total_frames=0, fps=Fraction(25),
    )  # fmt: skip
    named = {
        "bare": bare,
        "fps_30000_1001": replace(bare, fps=Fraction(30000, 1001)),
        "weights": replace(bare, weights_prefix=bytes.fromhex("deadbeef")),
        "global_motion": replace(bare, global_motion=DESCRIBED.global_motion),
        "telemetry": replace(bare, telemetry=DESCRIBED.telemetry),
        "detections": replace(bare, detections=DESCRIBED.detections),
        "end_of_stream": replace(bare, end_of_stream=True, frames=0),
        "record_of_a_later_version": replace(bare, unknown=((99, b"later"), (255, b""))),
        "largest_numbers": replace(
            bare, width=16384, height=16384, first_frame=(1 << 63) - 1, frames=100_000,
            total_frames=(1 << 63) - 1, capture_us=(1 << 64) - 1, codec_id=255,
        ),
        "tracks": replace(bare, tracks=TRACKS),
        "motion_path": replace(bare, motion_path=PATH),
        "thermal": replace(bare, thermal=Thermal(lo=2800, hi=31000)),
        "thermal_black_hot": replace(bare, thermal=Thermal(lo=0, hi=65535, white_hot=False)),
        "thermal_knee": replace(bare, thermal=Thermal(lo=2800, hi=31000, knee=4100)),
        "ladder": replace(bare, ladder=2),
        "all_that_the_edge_saw": replace(
            DESCRIBED, tracks=TRACKS, motion_path=PATH, thermal=Thermal(lo=7, hi=7), ladder=0
        ),
        "everything": replace(DESCRIBED, end_of_stream=True),
    }  # fmt: skip
    head = bare.pack()[:10].hex()
    refused = {
        "empty": "", "cut_head": head[:-2], "width_0": head + "00d0051901d8043c00",
        "fps_denominator_0": head + "800ad0051900d8043c00",
        "overlong_varint": head + "8000d0051901d8043c00",
        "record_past_the_end": bare.pack().hex() + "0105c0ff",
    }  # fmt: skip
    return {
        "descriptors": [
            {"name": name, "fields": descriptor_fields(d), "hex": d.pack().hex()}
            for name, d in named.items()
        ],
        "refused": [{"name": name, "hex": text} for name, text in refused.items()],
    }


def _truth() -> Cases:
    """Maps in slices of time; of those that are no longer sent see `KEPT`."""
    rows, columns = np.mgrid[0:9, 0:16]
    far = np.hypot(rows - 3, columns - 10)
    maps = {
        "all_right": np.zeros((9, 16), np.uint8),
        "all_wrong": np.full((9, 16), 4, np.uint8),
        "one_wrong": np.where((rows == 4) & (columns == 7), 2, 0),
        "a_place": np.digitize(-far, (-3, -2, -1)),
        "every_level": np.add.outer(np.arange(7), np.arange(12)) // 4 % 5,
        "rising": np.minimum(4, np.add.outer(np.arange(6), np.arange(10)) // 3),
        "two_halves": np.array([np.full((5, 8), 1), np.eye(5, 8) * 3]),
        "halves_finer": np.array([np.tri(6, 10, 2) * 3, np.tri(6, 10, 3) * 3]),
        "comes_and_goes": np.arange(4)[:, None, None] * np.eye(3, 5),
        "least": np.arange(15).reshape(3, 5) * 7 % 5,
    }
    bare = replace(DESCRIBED, weights_prefix=b"", global_motion=None, telemetry=None, detections=())
    cases = []
    for proxy, (name, levels) in enumerate(maps.items()):
        shape = (1, *levels.shape)[-3:]
        told = TruthMap(proxy=1 + proxy % 2, levels=levels.astype(np.uint8).reshape(shape))
        cases.append({
            "name": name, "proxy": told.proxy,
            "levels": [["".join(str(cell) for cell in row) for row in one] for one in told.levels],
            "hex": told.pack().hex(), "descriptors": replace(bare, truth=told).pack().hex(),
        })  # fmt: skip
    return {
        "maps": cases,
        "refused": [
            {"name": "empty", "hex": ""}, {"name": "shape_of_a_later_version", "hex": "1f"},
            {"name": "17_bytes", "hex": "12" + "00" * 16},
        ],
    }  # fmt: skip


def _erasure() -> Cases:
    shapes = ((1, 3), (2, 2), (3, 5), (10, 6), (16, 16), (100, 4), (128, 128), (255, 1))
    cases = []
    for k, count in shapes:
        size = 5 if k <= 16 else 2
        data = [pattern(size, i + k) for i in range(k)]
        cases.append({
            "name": f"k{k}_parity{count}",
            "data": [s.hex() for s in data],
            "parity": [s.hex() for s in parity(data, count)],
        })  # fmt: skip
    return {"erasure": cases}


def _blocks() -> Cases:
    shapes: dict[str, dict[str, Any]] = {
        "one_symbol_d": {"part": 0, "last": True, "data": pattern(40)},
        "empty": {"part": 2, "last": True, "data": b""},
        "keyframe_no_padding": {"part": 1, "data": pattern(96), "s_max": 20},
        "features_padded": {"part": 2, "data": pattern(97), "s_max": 20},
        "second_block": {"part": 2, "block_no": 1, "offset": 7676, "last": True,
                         "data": pattern(60), "s_max": 16},
        "last_offset": {"part": 2, "block_no": 255, "offset": (1 << 24) - 9, "data": pattern(8)},
        "symbols_of_2_bytes": {"part": 2, "data": pattern(5), "s_max": 2},
        "no_protection": {"part": 0, "data": pattern(50), "s_max": 20, "fec": 0},
        "strong_protection": {"part": 1, "data": pattern(50), "s_max": 20, "fec": 150},
        "fraction_of_a_percent": {"part": 2, "data": pattern(200), "s_max": 20, "fec": 33.34},
    }  # fmt: skip
    cases = []
    for name, shape in shapes.items():
        made = {"block_no": 0, "offset": 0, "last": False, "s_max": 60, "fec": 40, **shape}
        block = make_block(
            part=made["part"], block_no=made["block_no"], last=made["last"], offset=made["offset"],
            data=made["data"], max_symbol_bytes=made["s_max"], fec_percent=made["fec"],
        )  # fmt: skip
        cases.append({
            "name": name,
            "fields": {**made, "data": made["data"].hex()},
            "symbols": [s.hex() for s in block.data],
            "parity": [s.hex() for s in block.parity],
        })  # fmt: skip
    return {"blocks": cases, "salvaged": _salvaged()}


def _salvaged() -> list[Cases]:
    """What is left of a block when symbols are lost and the parity is not enough."""
    data = pattern(90) + bytes(7)
    block = make_block(
        part=2, block_no=0, last=True, offset=0, data=data, max_symbol_bytes=20, fec_percent=0
    )
    out = []
    kept = {
        "head_and_a_gap": [0, 2, 3], "without_head": [1, 2], "only_the_padded_end": [5],
        "without_head_end_in_doubt": [4, 5], "head_alone": [0], "nothing": [],
    }  # fmt: skip
    for name, numbers in kept.items():
        got = BlockAssembly(k=len(block.data), symbol_bytes=len(block.data[0]))
        for i in numbers:
            got.add(i, block.data[i])
        runs = [[at, run.hex()] for at, run in got.salvage(0)]
        out.append({
            "name": name, "k": got.k, "block_starts_at": 0,
            "symbols": {str(i): block.data[i].hex() for i in numbers}, "runs": runs,
        })  # fmt: skip
    return out


def _rs_frames() -> Cases:
    cases = []
    for mtu, size in ((64, 10), (118, 60), (257, 60), (270, 150), (300, 200)):
        framing = Framing(mtu_bytes=mtu, inner_rs=True)
        datagram = replace(PLAIN, payload=pattern(size)).pack()
        (frame,) = framing.frame(datagram, 0)
        damaged = bytearray(frame)
        damaged[1] ^= 0x10
        for start in range(2, len(frame), 255):
            length = min(255, len(frame) - start)
            for i in range(16):
                damaged[start + (i * 13 + 5) % length] ^= 0x80 | i
        cases.append({
            "name": f"mtu{mtu}_payload{size}", "mtu_bytes": mtu, "datagram": datagram.hex(),
            "frame": frame.hex(), "frame_with_16_wrong_bytes_a_codeword": damaged.hex(),
        })  # fmt: skip
    return {"rs_frames": cases}


def _segments() -> Cases:
    cases = []
    for mtu, counter, size in ((14, 0, 1), (14, 15, 83), (14, 16, 5), (31, 7, 60), (63, 3, 300)):
        datagram = replace(PLAIN, payload=pattern(size)).pack()
        packets = Framing(mtu_bytes=mtu).frame(datagram, counter)
        cases.append({
            "name": f"mtu{mtu}_counter{counter}_payload{size}", "mtu_bytes": mtu,
            "counter": counter, "datagram": datagram.hex(), "packets": [p.hex() for p in packets],
        })  # fmt: skip
    return {"segments": cases}


def _unit_pcap() -> bytes:
    """A unit as it leaves, then one record of everything else that a capture can hold."""
    params = LinkParams(framing=Framing(mtu_bytes=120), rate_bps=64_000, fec_percent=40)
    sender = LinkSender(params, stream_id=7, boot_id=3)
    spec = CodecSpec(codec_id=0, bitstream_version=1)
    unit = EncodedUnit(
        unit_no=5, spec=spec, descriptors=DESCRIBED, keyframe=pattern(500), features=pattern(300)
    )
    end = replace(DESCRIBED, frames=0, first_frame=660, end_of_stream=True, unknown=((99, b"new"),))
    last = EncodedUnit(unit_no=6, spec=spec, descriptors=replace(end, weights_prefix=b""))
    sender.submit(unit, 0)
    sender.submit(last, 0)
    packets: list[tuple[int, bytes]] = []
    while (due := sender.next_timer()) is not None:
        packets += [(due, packet) for packet in sender.datagrams_to_send(due)]
    tagged = replace(PLAIN, tag=bytes.fromhex("0123456789abcdef")).pack()
    hidden = replace(PLAIN, tag=bytes(range(8)), encrypted=True, part=0, symbol=0, block_no=0, k=1)
    said = replace(PLAIN, part=3, from_base=True, over=True, symbol=0, k=1, last=True)
    flagged = [hidden.pack(), said.pack(), replace(PLAIN, over=True).pack()]
    d = replace(PLAIN, part=0, last=True, symbol=0, block_no=0, k=1, payload=b"\0" * 4)
    body = replace(d, payload=b"\0\0\0\0" + replace(end, weights_prefix=b"").pack()).pack()
    rs = [
        Framing(mtu_bytes=mtu, inner_rs=True).frame(raw, 0)[0]
        for mtu, raw in ((118, PLAIN.pack()), (300, body))
    ]
    broken = bytearray(rs[0])
    broken[1] ^= 0x01
    broken[19] ^= 0xFF
    wrong = bytearray(PLAIN.pack())
    wrong[18] ^= 1
    version_2 = bytearray(PLAIN.pack())
    version_2[2] = 0x20
    others = [
        tagged, *flagged, *rs, bytes(broken), bytes(wrong), bytes(version_2),
        _with_crc(bytes(version_2)),
        PLAIN.pack()[:-7], PLAIN.pack() + b"tail", b"noise, not a datagram", b"\xeb", b"\xeb\x90\x10",
        *Framing(mtu_bytes=14).frame(PLAIN.pack(), 9)[:2], replace(PLAIN, payload=b"x", k=256).pack(),
    ]  # fmt: skip
    packets += [(packets[-1][0] + (i + 1) * 1_000_000, raw) for i, raw in enumerate(others)]
    start = 1_753_000_000 * 1_000_000_000
    records = [pack_record(Record(time_ns=start + t // 1000 * 1000, data=p)) for t, p in packets]
    return pack_file_header() + b"".join(records)


def build() -> dict[str, bytes]:
    """Every vector file and its bytes."""
    tables = {
        "datagrams.json": _datagrams(), "descriptors.json": _descriptors(),
        "truth.json": _truth(),
        "erasure.json": _erasure(), "blocks.json": _blocks(), "rs_frames.json": _rs_frames(),
        "segments.json": _segments(), "gvc1.json": gvc1_table(), "framings.json": framing_table(),
        "auth.json": _auth(), "messages.json": message_table(),
    }  # fmt: skip
    files = {name: (json.dumps(table, indent=1) + "\n").encode() for name, table in tables.items()}
    return {**files, "unit.pcap": _unit_pcap()}


if __name__ == "__main__":
    for file_name, content in build().items():
        path = FOLDER / file_name
        same = path.exists() and path.read_bytes() == content
        path.write_bytes(content)
        print(f"{'same   ' if same else 'WRITTEN'} {file_name} ({len(content)} bytes)")
