"""The golden vectors, both ways. They change only by `python -m tests.vectors.regenerate`."""

from __future__ import annotations

import json
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gvc_protocol.blocks import BlockAssembly, make_block
from gvc_protocol.codec import PartData
from gvc_protocol.descriptors import Descriptors, Detection, GlobalMotion, Telemetry, Thermal
from gvc_protocol.erasure import parity, restore
from gvc_protocol.framing import Deframer, Framing
from gvc_protocol.gvc1 import GvcUnit, Patch, Picture, Tool, read_unit
from gvc_protocol.motion_path import ControlPoint, MotionPath
from gvc_protocol.objects import Track, TrackPoint
from gvc_protocol.vvc_sets import pack_sets, unpack_sets
from gvc_protocol.wire import Datagram, RejectReason
from tests.protocol.test_erasure import independent_parity
from tests.vectors import regenerate

FOLDER = Path(regenerate.__file__).parent


def table(file: str, name: str) -> list[Any]:
    cases = json.loads((FOLDER / file).read_text())[name]
    return [pytest.param(case, id=case["name"]) for case in cases]


def unhex(text: list[str]) -> list[bytes]:
    return [bytes.fromhex(t) for t in text]


@pytest.mark.parametrize("case", table("datagrams.json", "datagrams"))
def test_datagram(case: dict[str, Any]) -> None:
    fields = case["fields"]
    for name in ("payload", "tag"):
        fields[name] = bytes.fromhex(fields[name])
    datagram, raw = Datagram(**fields), bytes.fromhex(case["hex"])
    assert datagram.pack() == raw and Datagram.unpack(raw) == datagram


@pytest.mark.parametrize("case", table("datagrams.json", "refused"))
def test_refused_datagram(case: dict[str, Any]) -> None:
    assert Datagram.unpack(bytes.fromhex(case["hex"])) is RejectReason[case["reason"]]


@pytest.mark.parametrize("case", table("descriptors.json", "descriptors"))
def test_descriptors(case: dict[str, Any]) -> None:
    fields = case["fields"]
    fields["fps"] = Fraction(*fields["fps"])
    fields["weights_prefix"] = bytes.fromhex(fields["weights_prefix"])
    fields["unknown"] = tuple((kind, bytes.fromhex(data)) for kind, data in fields["unknown"])
    fields["detections"] = tuple(Detection(**d) for d in fields["detections"])
    if fields["telemetry"]:
        fields["telemetry"] = Telemetry(**fields["telemetry"])
    if fields["global_motion"]:
        numbers = fields["global_motion"]["coefficients"]
        fields["global_motion"] = GlobalMotion(coefficients=tuple(numbers))
    fields["tracks"] = tuple(
        Track(**{**t, "points": tuple(TrackPoint(**p) for p in t["points"])})
        for t in fields["tracks"]
    )
    if fields["motion_path"]:
        points = fields["motion_path"]["points"]
        fields["motion_path"] = MotionPath(
            points=tuple(ControlPoint(**{**p, "corners": tuple(p["corners"])}) for p in points)
        )
    if fields["thermal"]:
        fields["thermal"] = Thermal(**fields["thermal"])
    described, raw = Descriptors(**fields), bytes.fromhex(case["hex"])
    assert described.pack() == raw and Descriptors.unpack(raw) == described


@pytest.mark.parametrize("case", table("descriptors.json", "refused"))
def test_refused_descriptors(case: dict[str, Any]) -> None:
    assert Descriptors.unpack(bytes.fromhex(case["hex"])) is None


@pytest.mark.parametrize("case", table("erasure.json", "erasure"))
def test_erasure(case: dict[str, Any]) -> None:
    data, extra = unhex(case["data"]), unhex(case["parity"])
    k, count = len(data), len(extra)
    assert parity(data, count) == extra
    assert restore(dict(enumerate([*data, *extra][count:], count)), k) == data
    if k <= 16:
        assert independent_parity(data, count) == extra
    for name in ("zfec", "zfex"):
        if find_spec(name) is None:
            continue  # one of the two is always there: the sender needs it
        made = import_module(name).Encoder(k, 256).encode(data, tuple(range(k, k + count)))
        assert [bytes(s) for s in made] == extra


@pytest.mark.slow
def test_the_largest_erasure_vectors_are_the_document_s() -> None:
    cases = [p.values[0] for p in table("erasure.json", "erasure")]
    for case in (c for c in cases if 16 < len(c["data"]) <= 128):
        data, extra = unhex(case["data"]), unhex(case["parity"])
        assert independent_parity(data, 4) == extra[:4]


@pytest.mark.parametrize("case", table("blocks.json", "blocks"))
def test_block(case: dict[str, Any]) -> None:
    fields = case["fields"]
    data = bytes.fromhex(fields["data"])
    block = make_block(
        part=fields["part"], block_no=fields["block_no"], last=fields["last"],
        offset=fields["offset"], data=data, max_symbol_bytes=fields["s_max"],
        fec_percent=fields["fec"],
    )  # fmt: skip
    symbols, extra = unhex(case["symbols"]), unhex(case["parity"])
    assert (list(block.data), list(block.parity)) == (symbols, extra)
    got = BlockAssembly(k=len(symbols), symbol_bytes=len(symbols[0]))
    for i, symbol in enumerate([*symbols, *extra][len(extra) :], len(extra)):
        got.add(i, symbol)
    assert (got.offset, got.content) == (fields["offset"], data)


@pytest.mark.parametrize("case", table("blocks.json", "salvaged"))
def test_salvaged_block(case: dict[str, Any]) -> None:
    symbols = {int(i): bytes.fromhex(text) for i, text in case["symbols"].items()}
    size = len(next(iter(symbols.values()), b"x"))
    got = BlockAssembly(k=case["k"], symbol_bytes=size)
    for i, symbol in symbols.items():
        got.add(i, symbol)
    runs = [[at, run.hex()] for at, run in got.salvage(case["block_starts_at"])]
    assert runs == case["runs"]


@pytest.mark.parametrize("case", table("rs_frames.json", "rs_frames"))
@pytest.mark.parametrize("stream", [True, False])
def test_rs_frame(case: dict[str, Any], stream: bool) -> None:
    framing = Framing(mtu_bytes=case["mtu_bytes"], inner_rs=True, stream=stream)
    raw, frame = bytes.fromhex(case["datagram"]), bytes.fromhex(case["frame"])
    assert framing.frame(raw, 0) == [frame]
    wanted = [Datagram.unpack(raw)]
    assert Deframer(framing).feed(frame) == wanted
    damaged = bytes.fromhex(case["frame_with_16_wrong_bytes_a_codeword"])
    assert Deframer(framing).feed(damaged) == wanted


@pytest.mark.parametrize("case", table("segments.json", "segments"))
def test_segments(case: dict[str, Any]) -> None:
    framing, raw = Framing(mtu_bytes=case["mtu_bytes"]), bytes.fromhex(case["datagram"])
    packets = unhex(case["packets"])
    assert framing.frame(raw, case["counter"]) == packets
    deframer = Deframer(framing)
    assert [d for p in packets for d in deframer.feed(p)] == [Datagram.unpack(raw)]


@pytest.mark.parametrize("case", table("gvc1.json", "units"))
def test_unit_of_codec_1(case: dict[str, Any]) -> None:
    fields = case["fields"]
    pictures = [Picture(**{**p, "body": bytes.fromhex(p["body"])}) for p in fields["pictures"]]
    patches = [Patch(**{**p, "obus": bytes.fromhex(p["obus"])}) for p in fields["patches"]]
    unit = GvcUnit(**{
        **fields, "tool": Tool(fields["tool"]), "pictures": tuple(pictures),
        "patches": tuple(patches), "parameter_sets": b"",
    })  # fmt: skip
    keyframe, features = bytes.fromhex(case["keyframe"]), bytes.fromhex(case["features"])
    assert unit.pack() == (keyframe, features)
    got = read_unit(
        PartData(ranges=((0, keyframe),), complete=True),
        PartData(ranges=((0, features),), complete=True),
    )
    assert got is not None and got.patches == unit.patches
    assert [(p.layer, p.display, p.body) for p in got.pictures] == [
        (p.layer, p.display, p.body) for p in unit.pictures
    ]


@pytest.mark.parametrize("case", table("gvc1.json", "parameter_sets"))
def test_parameter_sets_of_codec_1(case: dict[str, Any]) -> None:
    sets = bytes.fromhex(case["sets"])
    assert unpack_sets(bytes.fromhex(case["packed"])) == sets
    assert unpack_sets(pack_sets(sets)) == sets


@pytest.mark.parametrize("file", sorted(regenerate.build()))
def test_files_are_what_the_code_makes(file: str) -> None:
    assert (FOLDER / file).read_bytes() == regenerate.build()[file], (
        "code and golden vectors differ: a break of the wire format, or a new case. "
        "If it is meant: python tests/vectors/regenerate.py"
    )


def test_no_vector_file_is_without_a_test() -> None:
    here = {p.name for p in FOLDER.iterdir() if p.suffix in (".json", ".bin", ".pcap")}
    assert here == set(regenerate.build()) | {*regenerate.KEPT}
