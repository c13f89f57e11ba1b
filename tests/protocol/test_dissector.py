"""The Wireshark dissector and our own parser read the same capture the same way."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gvc_protocol.blocks import PREFIX_BYTES
from gvc_protocol.descriptors import Descriptors, Thermal
from gvc_protocol.framing import RS_SYNC, Deframer, Framing
from gvc_protocol.objects import pack_tracks
from gvc_protocol.pcap import Record, pack_file_header, pack_record, read_records
from gvc_protocol.wire import SYNC, Datagram, RejectReason
from tests.vectors import regenerate

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "protocol" / "dissector" / "gvc.lua"
CAPTURE = ROOT / "tests" / "vectors" / "unit.pcap"
HEADER = (
    "part", "last", "k_sent", "f_sent", "stream", "boot", "seq", "unit", "block", "symbol", "k",
    "length", "parity", "flags.tag", "flags.encrypted", "flags.from_base", "flags.over",
    "payload", "tag",
)  # fmt: skip
DESCRIBED = (
    "codec", "bitstream", "capture_us", "width", "height", "fps_num", "fps_den", "first_frame",
    "frames", "total_frames", "weights", "motion", "lat", "lon", "alt_cm", "roll", "pitch", "yaw",
    "record.type",
)  # fmt: skip
OTHER = ("status", "version", "crc", "crc.status", "rs.sync", "rs.codewords", "noise")
Tshark = Callable[..., str]
Row = dict[str, str]


@pytest.fixture(scope="module")
def tshark(tmp_path_factory: pytest.TempPathFactory) -> Tshark:
    """Runs tshark with one Lua script; skips where there is no tshark that takes Lua."""
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed")
    folder = tmp_path_factory.mktemp("tshark")
    # Nobody's own settings or plugins; errors in English.
    own = {"HOME": str(folder), "WIRESHARK_CONFIG_DIR": str(folder), "LC_ALL": "C", "LANGUAGE": "C"}

    def run(script: Path, *args: str) -> str:
        command = [program, "-X", f"lua_script:{script}", *args]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env={**os.environ, **own}
        )
        assert done.returncode == 0, done.stderr
        assert "Lua" not in done.stderr, done.stderr
        return done.stdout

    probe = folder / "probe.lua"
    probe.write_text('print("Lua is on")')
    try:
        said = run(probe, "-r", str(CAPTURE), "-c", "1")
    except AssertionError as error:
        pytest.skip(f"this tshark takes no Lua script: {error}")
    if "Lua is on" not in said:
        pytest.skip("this tshark runs no Lua script (built without it, or off for the superuser)")
    return run


@pytest.fixture(scope="module")
def rows(tshark: Tshark) -> list[tuple[bytes, Row]]:
    """(record, what the dissector says of it) for every packet of the capture."""
    names = [*HEADER, *OTHER, *(f"d.{name}" for name in DESCRIBED)]
    wanted = [arg for name in names for arg in ("-e", f"gvc.{name}")]
    said = tshark(
        SCRIPT, "-r", str(CAPTURE), "-T", "fields", "-E", "separator=|", "-E", "aggregator=,", *wanted
    )  # fmt: skip
    with CAPTURE.open("rb") as file:
        records = [r.data for r in read_records(file, name="unit.pcap")]
    lines = said.splitlines()
    assert len(lines) == len(records)
    return [
        (record, dict(zip(names, line.split("|"), strict=True)))
        for record, line in zip(records, lines, strict=True)
    ]


def plain(text: str) -> str:
    """Older versions write truth as 1 and bytes with colons."""
    return {"True": "1", "False": "0"}.get(text, text.replace(":", ""))


def check_header(row: Row, d: Datagram) -> None:
    said = {name: plain(row[name]) for name in HEADER}
    assert said == {
        "part": str(d.part), "last": str(int(d.last)), "k_sent": str(int(d.k_sent)),
        "f_sent": str(int(d.f_sent)), "stream": str(d.stream_id), "boot": str(d.boot_id),
        "seq": str(d.seq), "unit": str(d.unit_no), "block": str(d.block_no),
        "symbol": str(d.symbol), "k": str(d.k), "length": str(len(d.payload)),
        "parity": str(int(d.symbol >= d.k)), "flags.tag": str(int(bool(d.tag))),
        "flags.encrypted": str(int(d.encrypted)), "flags.from_base": str(int(d.from_base)),
        "flags.over": str(int(d.over)),
        "payload": d.payload.hex(), "tag": d.tag.hex(),
    }  # fmt: skip
    assert row["status"] == "DATAGRAM" and row["crc.status"] == "1" and row["version"] == "1"
    assert int(row["crc"], 0) == int.from_bytes(d.pack()[-4:], "big")


def test_every_plain_record_is_read_alike(rows: list[tuple[bytes, Row]]) -> None:
    seen = set()
    for record, row in rows:
        if record[:2] != SYNC:
            continue
        read = Datagram.unpack(record)
        if isinstance(read, Datagram):
            check_header(row, read)
            seen.add("DATAGRAM")
            continue
        assert row["status"] == read.name
        crc = {RejectReason.BAD_CRC: "0", RejectReason.BAD_VERSION: "1"}.get(read, "")
        assert row["crc.status"] == crc
        seen.add(read.name)
    assert seen == {"DATAGRAM", "BAD_CRC", "BAD_VERSION", "TRUNCATED", "TOO_LONG"}


def test_rs_frames_are_shown_as_such(rows: list[tuple[bytes, Row]]) -> None:
    frames = [(record, row) for record, row in rows if row["rs.sync"]]
    assert [len(record) for record, _ in frames] == [118, 300, 118]
    for record, row in frames:
        assert int(row["rs.sync"], 0) == int.from_bytes(record[:2], "big")
        assert int(row["rs.codewords"]) == -(-(len(record) - 2) // 255)
        (read,) = Deframer(Framing(mtu_bytes=1400)).feed(record)
        assert isinstance(read, Datagram)
        as_sent = Framing(mtu_bytes=len(record), inner_rs=True).frame(read.pack(), 0)[0]
        if record == as_sent:
            check_header(row, read)
        else:  # it takes the code to read it, which the dissector leaves alone
            assert row["status"] == "BAD_CRC" and row["crc.status"] == "0"
    assert sum(record[:2] == RS_SYNC for record, _ in frames) == 2


def test_what_is_neither_is_noise(rows: list[tuple[bytes, Row]]) -> None:
    others = [(rec, row) for rec, row in rows if rec[:2] != SYNC and not row["rs.sync"]]
    assert len(others) == 4
    for record, row in others:
        assert row["status"] == "NO_SYNC" and plain(row["noise"]) == record.hex()
        assert row["part"] == ""


def test_descriptors_are_read_alike(rows: list[tuple[bytes, Row]]) -> None:
    described = [(record, row) for record, row in rows if row["d.codec"]]
    assert len(described) == 3
    for record, row in described:
        (read,) = Deframer(Framing(mtu_bytes=1400)).feed(record)
        assert isinstance(read, Datagram)
        d = Descriptors.unpack(read.payload[PREFIX_BYTES:])
        assert d is not None and d.telemetry is not None and d.global_motion is not None
        t = d.telemetry
        numbers = (
            d.codec_id, d.bitstream_version, d.capture_us, d.width, d.height, d.fps.numerator,
            d.fps.denominator, d.first_frame, d.frames, d.total_frames,
        )  # fmt: skip
        kinds = [1] if d.weights_prefix else []
        kinds += [2, 3, 4] + ([5] if d.end_of_stream else []) + [k for k, _ in d.unknown]
        wanted = [str(n) for n in numbers]
        wanted += [d.weights_prefix.hex(), ",".join(map(str, d.global_motion.coefficients))]
        wanted += [str(n) for n in (t.lat_e7, t.lon_e7, t.alt_cm)]
        wanted += [str(n) for n in (t.roll_cdeg, t.pitch_cdeg, t.yaw_cdeg)]
        wanted += [",".join(map(str, kinds))]
        assert [plain(row[f"d.{name}"]) for name in DESCRIBED] == wanted


def test_what_the_edge_saw_is_read_alike(tshark: Tshark, tmp_path: Path) -> None:
    """Tracks, motion path, thermal and ladder; and cut or hostile forms of them raise no Lua error."""
    seen = replace(regenerate.DESCRIBED, detections=(), telemetry=None, tracks=regenerate.TRACKS)
    seen = replace(
        seen, motion_path=regenerate.PATH, thermal=Thermal(lo=2800, hi=31000, knee=9000), ladder=2
    )
    plain_d = replace(seen, tracks=(), motion_path=None, thermal=None, ladder=None, unknown=())
    wild = [b"", b"\xff" * 9, b"\x01" * 30, b"\x40" + b"\xff" * 60]
    wild += [pack_tracks(seen.tracks)[:n] for n in range(1, 40)]
    wild += [regenerate.PATH.pack(1280, 720)[:n] for n in range(1, 30)]
    wild += [b"\x02" + (b"\x01" + b"\xff" * 8 + b"\x7f") * 12]
    described = [seen] + [replace(plain_d, unknown=((k, w),)) for k in (6, 7, 8, 9) for w in wild]
    head = replace(regenerate.PLAIN, part=0, last=True, symbol=0, block_no=0, k=1)
    packets = [replace(head, payload=bytes(4) + d.pack()).pack() for d in described]
    path = tmp_path / "seen.pcap"
    path.write_bytes(
        pack_file_header() + b"".join(pack_record(Record(time_ns=0, data=p)) for p in packets)
    )
    names = ("track.id", "track.class", "track.score", "track.box", "path.offset", "path.corners",
             "path.residual", "thermal.lo", "thermal.hi", "thermal.white_hot", "thermal.knee",
             "ladder")  # fmt: skip
    wanted = [arg for name in names for arg in ("-e", f"gvc.d.{name}")]
    said = tshark(SCRIPT, "-r", str(path), "-T", "fields", "-E", "aggregator=;", *wanted)
    row = dict(zip(names, said.splitlines()[0].split("\t"), strict=True))
    points = [p for track in seen.tracks for p in track.points]
    boxes = [f"{p.offset}: {p.width} x {p.height} at {p.x}, {p.y}" for p in points]
    corners = [
        " ".join(f"{x},{y}" for x, y in zip(p.corners[::2], p.corners[1::2], strict=True))
        for p in regenerate.PATH.points
    ]
    assert {**row, "thermal.white_hot": plain(row["thermal.white_hot"])} == {
        "track.id": "7;65535", "track.class": "2;0", "track.score": "80;0",
        "track.box": ";".join(boxes), "path.offset": "15;30;59", "path.corners": ";".join(corners),
        "path.residual": "3;254;255", "thermal.lo": "2800", "thermal.hi": "31000",
        "thermal.white_hot": "1", "thermal.knee": "9000", "ladder": "2",
    }  # fmt: skip
    assert "Lua Error" not in tshark(SCRIPT, "-r", str(path), "-V")


def test_no_packet_makes_the_dissector_fail(tshark: Tshark, tmp_path: Path) -> None:
    """Every record of the capture, cut at every length: no Lua error, one line a packet."""
    with CAPTURE.open("rb") as file:
        records = [r.data for r in read_records(file, name="unit.pcap")]
    chosen = [records[0], records[-18], *(r for r in records if r[:1] == b"\x14")]
    cuts = [r[:n] for r in chosen for n in (*range(1, 60), 100, len(r) - 1)]
    path = tmp_path / "cut.pcap"
    path.write_bytes(
        pack_file_header() + b"".join(pack_record(Record(time_ns=0, data=c)) for c in cuts)
    )
    said = tshark(
        SCRIPT, "-r", str(path), "-T", "fields", "-e", "gvc.status", "-e", "_ws.malformed"
    )
    lines = [line.split("\t") for line in said.splitlines()]
    assert len(lines) == len(cuts)
    assert {status for status, _ in lines} <= {"DATAGRAM", *RejectReason.__members__}
    assert {malformed for _, malformed in lines} == {""}
    assert "Lua Error" not in tshark(SCRIPT, "-r", str(path), "-V")
