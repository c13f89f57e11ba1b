"""Laws of the sender-verified map: small, total, and the same cells at both ends."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.descriptors import Descriptors
from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.truth import MAX_TRUTH_BYTES, TruthMap, _coarser
from tests.protocol.helpers import descriptors, truth_maps
from tests.vectors import regenerate

laws = settings(max_examples=150, deadline=None)
CASES = json.loads((Path(regenerate.__file__).parent / "truth.json").read_text())


def cells(rows: list[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([[c == "1" for c in row] for row in rows])


@pytest.mark.parametrize("case", CASES["maps"], ids=lambda c: c["name"])
def test_golden_vectors(case: dict[str, Any]) -> None:
    told = TruthMap(proxy=case["proxy"], wrong=cells(case["sent"]))
    assert told.pack().hex() == case["hex"]
    read = TruthMap.unpack(bytes.fromhex(case["hex"]))
    assert read == TruthMap(proxy=case["proxy"], wrong=cells(case["read"]))
    described = Descriptors.unpack(bytes.fromhex(case["descriptors"]))
    assert described is not None and described.truth == read


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda c: c["name"])
def test_what_this_version_cannot_know_is_kept_aside(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["hex"])
    assert TruthMap.unpack(raw) is None
    read = Descriptors.unpack(descriptors().pack() + bytes([11, len(raw)]) + raw)
    assert read is not None and read.truth is None and read.unknown == ((11, raw),)


@given(truth_maps)
@laws
def test_round_trip(told: TruthMap) -> None:
    assert TruthMap.unpack(told.pack()) == told


@given(st.binary(max_size=24))
@laws
def test_any_bytes_are_read_without_an_exception(raw: bytes) -> None:
    read = TruthMap.unpack(raw)
    # The shortest form: never longer than what it was read from.
    assert read is None or (len(read.pack()) <= len(raw) <= MAX_TRUTH_BYTES)


@given(st.integers(0, 2**32), st.floats(0, 1))
@laws
def test_no_map_is_over_the_limit_and_none_hides_a_wrong_cell(seed: int, share: float) -> None:
    wrong = np.random.default_rng(seed).random((9, 16)) < share
    raw = TruthMap(proxy=1, wrong=wrong).pack()
    read = TruthMap.unpack(raw)
    assert len(raw) <= MAX_TRUTH_BYTES and read is not None
    told = read.tiles(9 * 80, 16 * 80)
    truth = np.kron(wrong, np.ones((10, 10), bool))
    # The coarser grid's borders lie elsewhere: a tile on them belongs to its middle's cell.
    assert read.wrong.shape == (6, 10) or not (truth & ~told).any()
    assert (read.wrong.any() == wrong.any()) and (told.mean() >= truth.mean() - 0.05)


@given(st.integers(0, 2**32), st.floats(0.3, 0.8))
@settings(laws, max_examples=40)
def test_a_map_that_is_too_long_keeps_more_right_than_the_coarser_grid_does(
    seed: int, share: float
) -> None:
    field = np.random.default_rng(seed).normal(size=(9, 16))
    field += np.roll(field, 1, 0) + np.roll(field, 1, 1)
    wrong = field > np.quantile(field, 1 - share)
    read = TruthMap.unpack(TruthMap(proxy=1, wrong=wrong).pack())
    assert read is not None
    assert read.wrong.mean() <= _coarser(wrong).mean() + 1e-9
    told = TruthMap(proxy=1, wrong=wrong)
    shorter = [told.within(most) for most in (16, 12, 8, 4)]
    for most, one in zip((16, 12, 8, 4), shorter, strict=True):
        assert one is not None and len(one.pack()) <= most
        assert one.wrong.shape == (6, 10) or not (wrong & ~one.wrong).any()
    assert told.within(0) is None


def test_a_usual_map_takes_a_few_bytes() -> None:
    wrong = np.zeros((9, 16), bool)
    wrong[3:5, 4:8] = wrong[7, 12:14] = True
    assert len(TruthMap(proxy=1, wrong=wrong).pack()) <= 9
    assert len(TruthMap(proxy=1, wrong=np.zeros((9, 16), bool)).pack()) == 1


def test_another_grid_is_our_own_error() -> None:
    for wrong in (np.zeros((9, 15), bool), np.zeros((9, 16), np.uint8)):
        with pytest.raises(LocalProtocolError):
            TruthMap(proxy=1, wrong=wrong)
    with pytest.raises(LocalProtocolError):
        TruthMap(proxy=16, wrong=np.zeros((9, 16), bool))


def test_an_older_reader_skips_it() -> None:
    d = descriptors(truth=TruthMap(proxy=1, wrong=np.ones((9, 16), bool)), fps=Fraction(25))
    raw = bytearray(d.pack())
    at = raw.rfind(bytes([11, len(d.truth.pack())]))
    raw[at] = 211
    read = Descriptors.unpack(bytes(raw))
    assert read is not None and read.truth is None and read.frames == d.frames
