"""Codec 1's layout: round trip, any subset of F, any bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvc_protocol.bits import BitReader, BitsError, BitWriter
from gvc_protocol.codec import PartData
from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.gvc1 import (
    GvcUnit,
    Patch,
    Picture,
    ReceivedGvc,
    Tool,
    decodable,
    picture_offset,
    read_unit,
)
from gvc_protocol.vvc_sets import MAX_SETS_BYTES, pack_sets, unpack_sets

bodies = st.binary(min_size=1, max_size=40)
patches = st.builds(
    lambda offset, sides, scale, obus: Patch(
        offset=offset, x=sides[0] * 8, y=sides[1] * 8, width=sides[2] * 8, height=sides[3] * 8,
        scale=scale, obus=obus,
    ),
    st.integers(0, 300),
    st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(1, 20), st.integers(1, 20)),
    st.sampled_from((1, 2, 4)),
    bodies,
)  # fmt: skip


@st.composite
def units(draw: st.DrawFn) -> GvcUnit:
    tool = draw(st.sampled_from((Tool.AV1, Tool.VVC)))
    n = draw(st.integers(0, 20))
    displays = draw(st.permutations(range(n))) if tool == Tool.VVC else list(range(n))
    layers = [min(i, 1) for i in range(n)]
    if tool == Tool.VVC:
        layers = draw(st.lists(st.integers(0, 7), min_size=n, max_size=n))
    pictures = tuple(
        Picture(layer=layer, display=display, body=draw(bodies))
        for layer, display in zip(layers, displays, strict=True)
    )
    return GvcUnit(
        tool=tool, step=draw(st.integers(1, 255)), last=draw(st.integers(0, 1000)), width=424,
        height=240, pictures=pictures, patches=tuple(draw(st.lists(patches, max_size=3))),
        parameter_sets=draw(st.binary(min_size=1, max_size=300)) if tool == Tool.VVC else b"",
        layers_in_keyframe=draw(st.integers(0, 8)),
    )  # fmt: skip


def whole(data: bytes) -> PartData:
    return PartData(ranges=((0, data),), complete=True)


def read(keyframe: bytes, features: bytes) -> ReceivedGvc:
    unit = read_unit(whole(keyframe), whole(features))
    assert unit is not None
    return unit


@given(units())
def test_round_trip(unit: GvcUnit) -> None:
    back = read(*unit.pack())
    assert (back.tool, back.step, back.last) == (unit.tool, unit.step, unit.last)
    assert (back.width, back.height) == (unit.width, unit.height)
    assert [(p.layer, p.display, p.body) for p in back.pictures] == [
        (p.layer, p.display, p.body) for p in unit.pictures
    ]
    assert back.patches == unit.patches
    assert (back.parameter_sets or b"") == unit.parameter_sets
    assert all(decodable(back))


@given(units(), st.data())
def test_any_subset_of_f_gives_exactly_what_came_whole(unit: GvcUnit, data: st.DataObject) -> None:
    keyframe, features = unit.pack()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(features)), max_size=6)))
    edges = [0, *cuts, len(features)]
    kept = [(a, features[a:b]) for i, (a, b) in enumerate(pairwise(edges)) if i % 2 == 0 and b > a]
    back = read_unit(whole(keyframe), PartData(ranges=tuple(kept)))
    assert back is not None
    for sent, got in zip(unit.pictures, back.pictures, strict=True):
        assert got.body in (None, sent.body)
        if sent.layer < unit.layers_in_keyframe:
            assert got.body == sent.body
    assert set(back.patches) <= set(unit.patches)


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(keyframe: bytes, features: bytes) -> None:
    for k in (keyframe, b"\x01" + keyframe, b"\x01\x21" + keyframe):
        unit = read_unit(whole(k), whole(features))
        if unit is not None:
            assert len(decodable(unit)) == len(unit.pictures)


@given(units(), st.integers(0, 2**32), st.integers(0, 255))
def test_one_wrong_byte_never_raises(unit: GvcUnit, at: int, value: int) -> None:
    keyframe, features = unit.pack()
    damaged = bytearray(keyframe)
    damaged[at % len(damaged)] = value
    read_unit(whole(bytes(damaged)), whole(features))


def test_a_lost_picture_of_vvc_takes_no_other_with_it() -> None:
    layers = (0, 1, 2, 2, 1, 2)
    pictures = tuple(Picture(layer=a, display=i, body=b"x") for i, a in enumerate(layers))
    unit = GvcUnit(
        tool=Tool.VVC, step=3, last=15, width=64, height=64, pictures=pictures,
        parameter_sets=b"s", layers_in_keyframe=1,
    )  # fmt: skip
    keyframe, features = unit.pack()
    # F holds layer 1 (two pictures), then layer 2 (three): lose the first of layer 2.
    kept = PartData(ranges=((0, features[:2]), (3, features[3:])))
    back = read_unit(whole(keyframe), kept)
    assert back is not None
    # Which of them refer to it their decoder knows: tests/base/test_vvc_decoder.py.
    assert decodable(back) == [True, True, False, True, True, True]


def test_an_av1_stream_ends_at_the_first_hole() -> None:
    pictures = tuple(Picture(layer=min(i, 1), display=i, body=b"xy") for i in range(4))
    unit = GvcUnit(tool=Tool.AV1, step=3, last=9, width=64, height=64, pictures=pictures)
    keyframe, features = unit.pack()
    back = read_unit(whole(keyframe), PartData(ranges=((0, features[:2]), (4, features[4:]))))
    assert back is not None
    assert decodable(back) == [True, True, False, False]


def test_without_k_there_is_no_unit() -> None:
    assert read_unit(PartData(), whole(b"features")) is None


def test_out_of_range_is_refused_when_packing() -> None:
    with pytest.raises(LocalProtocolError):
        GvcUnit(tool=Tool.AV1, step=0, last=0, width=64, height=64, pictures=()).pack()
    with pytest.raises(LocalProtocolError):
        Patch(offset=0, x=4, y=0, width=8, height=8, scale=1, obus=b"x").pack()


def test_offsets_end_at_the_last_frame() -> None:
    assert [picture_offset(i, 3, 10) for i in range(5)] == [0, 3, 6, 9, 10]


@given(st.binary(max_size=MAX_SETS_BYTES))
def test_parameter_sets_round_trip(sets: bytes) -> None:
    assert unpack_sets(pack_sets(sets)) == sets


@given(st.binary(max_size=200))
def test_any_bytes_as_parameter_sets(data: bytes) -> None:
    sets = unpack_sets(data)
    assert sets is None or len(sets) <= MAX_SETS_BYTES


def test_a_bomb_is_refused() -> None:
    assert unpack_sets(pack_sets(bytes(10 * MAX_SETS_BYTES))) is None


@given(st.lists(st.tuples(st.integers(1, 2**24), st.integers(0, 7))))
def test_bits_round_trip(values: list[tuple[int, int]]) -> None:
    writer = BitWriter()
    for size, small in values:
        writer.put(small, 3)
        writer.put_sized(size, 5)
    data = writer.bytes()
    reader = BitReader(b"\xff" + data, 1)
    assert [(small, size) for size, small in values] == [
        (reader.take(3), reader.take_sized(5)) for _ in values
    ]
    assert reader.end == 1 + len(data)
    with pytest.raises(BitsError):
        reader.take(9)
