"""A tile of a decoded picture is followed to the datagrams received, in captures and archives."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gvc_base.marks.trace import Origin, trace
from gvc_base.recording import open_recording
from gvc_protocol.framing import Deframer, Framing
from gvc_protocol.marks import SourcePart
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.pcap import read_records
from gvc_protocol.wire import Datagram, WirePart
from tests.e2e.conftest import Ran

Decoded = tuple[Path, Path, Path]


@pytest.fixture(scope="module")
def decoded(
    capture: tuple[Path, dict[str, Any]], base: Callable[..., Ran],
    tmp_path_factory: pytest.TempPathFactory,
) -> Decoded:  # fmt: skip
    """(capture through a bad link, archive of the same, marks)."""
    folder = tmp_path_factory.mktemp("trace")
    bad, archive, marks = folder / "bad.pcap", folder / "m.db", folder / "out.marks.npz"
    damage = ("--loss", 0.1, "--burst", 2, "--seed", 4)
    assert base("impair", capture[0], "--out", bad, *damage).code == 0
    done = base(
        "decode", bad, "--out", folder / "out.mp4", "--archive", archive, "--quality", "preview"
    )
    assert done.code == 0, done.err
    return bad, archive, marks


def sent(path: Path) -> list[tuple[int, Datagram]]:
    """(record, datagram) of a capture, read without the receiver."""
    deframer = Deframer(Framing(mtu_bytes=1400))
    with path.open("rb") as file:
        rows = list(read_records(file, name="x"))
    read = [(i, item) for i, row in enumerate(rows, 1) for item in deframer.feed(row.data)]
    return [(i, item) for i, item in read if isinstance(item, Datagram)]


def test_every_tile_has_its_datagrams_and_no_others(decoded: Decoded) -> None:
    bad, _, marks = decoded
    recording = open_recording(bad, None)
    every = sent(bad)
    with np.load(marks) as file:
        names = ("source_boot", "source_unit", "source_part")
        kinds = np.unique(np.stack([file[n].astype(np.int64).ravel() for n in names]), axis=1).T
    assert len(kinds) >= 4
    for boot, number, part in kinds.tolist():
        packets = trace(recording, Origin(boot_id=boot, unit_no=number, part=SourcePart(part)))
        if part == SourcePart.NONE:
            assert not packets
            continue
        wanted = {WirePart.KEYFRAME}
        if part == SourcePart.FEATURES:
            wanted.add(WirePart.FEATURES)
        true = {
            (row, d.part, d.block_no, d.symbol)
            for row, d in every
            if d.unit_no == number and d.boot_id == boot and d.part in wanted
        }
        got = {(p.rows[0], p.part, p.block_no, p.symbol) for p in packets}
        assert got and got <= true
        # What is missing came when the unit was whole already.
        late = true - got
        assert not late or min(row for row, *_ in late) > max(row for row, *_ in got)


def test_the_rows_of_an_archive_hold_those_datagrams(
    decoded: Decoded, base: Callable[..., Ran]
) -> None:
    _, archive, marks = decoded
    ran = base("trace", archive, "--frame", 15, "--at", "100,60", "--marks", marks, "--json")
    assert ran.code == 0, ran.err
    found = ran.json
    assert found["packets"]
    with closing(sqlite3.connect(archive)) as db:
        for packet in found["packets"]:
            (row,) = packet["rows"]
            (data,) = db.execute("SELECT data FROM datagrams WHERE id = ?", (row,)).fetchone()
            read = Datagram.unpack(data)
            assert isinstance(read, Datagram)
            assert read.unit_no == found["source_unit"] and read.boot_id == found["source_boot"]
            assert read.symbol == packet["symbol"] and len(data) == packet["size"]


def test_people_read_it(decoded: Decoded, base: Callable[..., Ran]) -> None:
    bad, _, marks = decoded
    ran = base("trace", bad, "--frame", 15, "--at", "100,60", "--marks", marks)
    lines = ran.out.splitlines()
    assert "frame 15, pixels 96-103,56-63: " in lines[0] and "p_wrong" in lines[0]
    assert lines[0].endswith("levels of 255") and "error expected" in lines[0]
    assert lines[1].startswith("made from: ") and "unit 1 of boot" in lines[1]
    assert any("keyframe" in line and "bytes" in line for line in lines[2:])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--frame", 4000, "--at", "1,1"), "outside"),
        (("--frame", 1, "--at", "320,1"), "outside"),
        (("--frame", 1, "--at", "middle"), "X,Y"),
    ],
)
def test_what_is_not_there_is_one_line(
    more: tuple[object, ...], says: str, decoded: Decoded, base: Callable[..., Ran]
) -> None:
    ran = base("trace", decoded[0], "--marks", decoded[2], *more)
    assert says in ran.error_line


def test_no_marks_file_is_one_line(decoded: Decoded, base: Callable[..., Ran]) -> None:
    bad = decoded[0]
    assert (
        "no marks file"
        in base("trace", bad, "--frame", 1, "--at", "1,1", "--marks", bad).error_line
    )


def test_a_datagram_over_several_reads_names_them_all(tmp_path: Path) -> None:
    """A byte stream cut anywhere: the rows hold the datagram, and no row is too many."""
    from gvc_base.archive import Archive

    params = LinkParams(framing=Framing(mtu_bytes=240, stream=True), rate_bps=1e9, fec_percent=0)
    made = [
        Datagram(
            part=WirePart.KEYFRAME, last=True, k_sent=True, f_sent=False, stream_id=1, boot_id=9,
            seq=i, unit_no=i, block_no=0, symbol=0, k=1, payload=bytes([i]) * 100,
        ).pack()
        for i in range(6)
    ]  # fmt: skip
    stream = b"".join(made)
    cuts = [0, 30, 31, 140, 150, 400, len(stream)]
    reads = [stream[a:b] for a, b in pairwise(cuts)]
    archive = Archive.create_or_open(tmp_path / "m.db")
    session = archive.start_session(
        link_url="serial:x", profile_id="sik-64", params=params, now_ns=0
    )
    archive.append(session, [(SECOND + i, "x", data) for i, data in enumerate(reads)])
    archive.close()
    recording = open_recording(tmp_path / "m.db", None)
    for number in range(6):
        start, end = number * len(made[0]), (number + 1) * len(made[0])
        holding = [i for i in range(len(reads)) if cuts[i] < end and cuts[i + 1] > start]
        (packet,) = trace(recording, Origin(boot_id=9, unit_no=number, part=SourcePart.KEYFRAME))
        assert [row - 1 for row in packet.rows] == holding


def test_a_tile_of_a_small_unit_goes_back_to_the_block_that_holds_all_of_it(
    clip: Path, tmp_path: Path, edge: Callable[..., Ran], base: Callable[..., Ran]
) -> None:
    """At 900 bit/s keyframe and features travel inside the descriptors' block."""
    slow, marks = tmp_path / "slow.pcap", tmp_path / "slow.marks.npz"
    made = edge(
        "encode", clip, "--profile", "lora-sf7-125", "--bps", 900, "--latency", 6, "--out", slow,
        "--quick",
    )  # fmt: skip
    assert made.code == 0, made.err
    profile = ("--profile", "lora-sf7-125")
    out = ("--out", tmp_path / "slow.mp4", "--quality", "preview", "--json")
    assert base("decode", slow, *profile, *out).json["units_whole"] == 1
    with np.load(marks) as file:
        made_of = set(np.unique(file["source_part"]).tolist())
    assert made_of - {SourcePart.NONE}, "something was received"
    for part in made_of - {SourcePart.NONE}:
        packets = trace(
            open_recording(slow, None), Origin(boot_id=1, unit_no=0, part=SourcePart(part))
        )
        assert packets and {p.part for p in packets} == {WirePart.DESCRIPTORS}
