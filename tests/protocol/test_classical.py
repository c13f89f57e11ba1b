"""Laws of codec 0's part layouts: what is packed is read, what is damaged is refused quietly."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.classical import FeaturesPart, KeyframePart, coded_offsets
from gvc_protocol.errors import LocalProtocolError

UNITS = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=12)


@given(st.integers(1, 255), st.integers(0, 100_000))
def test_first_and_last_frame_are_coded_and_no_gap_exceeds_the_step(step: int, last: int) -> None:
    offsets = coded_offsets(step, last)
    assert offsets[0] == 0 and offsets[-1] == last
    assert all(0 < b - a <= step for a, b in pairwise(offsets))


@given(st.integers(0, 100_000), st.integers(0, 255), st.integers(0, 255), st.binary(min_size=1))
def test_keyframe_round_trip(offset: int, low: int, high: int, obus: bytes) -> None:
    part = KeyframePart(offset=offset, gain_low=low, gain_high=high, obus=obus)
    assert KeyframePart.unpack(part.pack()) == part


@given(UNITS, st.integers(1, 255), st.data())
def test_any_prefix_of_the_features_holds_its_first_frames(
    units: list[bytes], step: int, data: st.DataObject
) -> None:
    last = step * (len(units) - 1)
    packed = FeaturesPart(step=step, last=last, frames=tuple(units)).pack()
    whole = FeaturesPart.unpack(packed)
    assert whole is not None and list(whole.frames) == units
    assert whole.offsets == coded_offsets(step, last)
    cut = FeaturesPart.unpack(packed[: data.draw(st.integers(0, len(packed)))])
    if cut is not None:
        assert list(cut.frames) == units[: len(cut.frames)]
        assert cut.offsets == whole.offsets[: len(cut.frames)]


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_readers_take_any_bytes(data: bytes) -> None:
    for blob in (data, b"\x01" + data):
        key, features = KeyframePart.unpack(blob), FeaturesPart.unpack(blob)
        assert key is None or key.obus
        if features is not None:
            offsets = features.offsets
            assert offsets == sorted(set(offsets)) and len(offsets) == len(features.frames)


@pytest.mark.parametrize("blob", [b"", b"\x02\x00\x00\x00x", b"\x00", b"\x01\x80"])
def test_other_versions_and_cut_headers_are_refused(blob: bytes) -> None:
    assert KeyframePart.unpack(blob) is None
    assert FeaturesPart.unpack(blob) is None


def test_a_far_last_frame_costs_no_memory() -> None:
    part = FeaturesPart.unpack(b"\x01\x01\xa0\x8d\x06\x01x")
    assert part is not None and part.last == 100_000 and part.offsets == [0]


def test_our_own_side_may_not_pack_nonsense() -> None:
    with pytest.raises(LocalProtocolError):
        KeyframePart(offset=-1, gain_low=0, gain_high=0, obus=b"x").pack()
    with pytest.raises(LocalProtocolError):
        KeyframePart(offset=0, gain_low=256, gain_high=0, obus=b"x").pack()
    with pytest.raises(LocalProtocolError):
        FeaturesPart(step=0, last=3, frames=(b"x",)).pack()
    with pytest.raises(LocalProtocolError):
        FeaturesPart(step=2, last=3, frames=(b"x",) * 4).pack()
