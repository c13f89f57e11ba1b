"""Laws of the sender-verified map: small, total, and the same levels at both ends."""

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
from gvc_protocol.truth import KNOWN_WRONG, MAX_TRUTH_BYTES, RIGHT, SHAPES, TruthMap, levels_of
from tests.protocol.helpers import descriptors, truth_maps
from tests.vectors import regenerate

laws = settings(max_examples=150, deadline=None)
VECTORS = Path(regenerate.__file__).parent
CASES = json.loads((VECTORS / "truth.json").read_text())
BEFORE = json.loads((VECTORS / "truth_before.json").read_text())
LEVELS = json.loads((VECTORS / "truth_levels.json").read_text())


def cells(rows: list[str]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.array([[int(c) for c in row] for row in rows], np.uint8)


@pytest.mark.parametrize("case", CASES["maps"], ids=lambda c: c["name"])
def test_golden_vectors(case: dict[str, Any]) -> None:
    levels = np.stack([cells(rows) for rows in case["levels"]])
    told = TruthMap(proxy=case["proxy"], levels=levels)
    assert told.pack().hex() == case["hex"]
    assert TruthMap.unpack(bytes.fromhex(case["hex"])) == told
    described = Descriptors.unpack(bytes.fromhex(case["descriptors"]))
    assert described is not None and described.truth == told


@pytest.mark.parametrize("case", BEFORE["maps"], ids=lambda c: c["name"])
def test_maps_of_right_and_wrong_alone_are_still_read(case: dict[str, Any]) -> None:
    """An archive holds them."""
    read = TruthMap.unpack(bytes.fromhex(case["hex"]))
    wrong = cells(case["read"]) * np.uint8(KNOWN_WRONG)
    assert read == TruthMap(proxy=case["proxy"], levels=wrong[None])


@pytest.mark.parametrize("case", LEVELS["maps"], ids=lambda c: c["name"])
def test_maps_of_one_slice_are_still_read(case: dict[str, Any]) -> None:
    read = TruthMap.unpack(bytes.fromhex(case["hex"]))
    assert read == TruthMap(proxy=case["proxy"], levels=cells(case["read"])[None])
    # Written again they say the same, whatever their bytes are now.
    assert read is not None and TruthMap.unpack(read.pack()) == read


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
    assert read is None or raw[0] & 15 < 7 or len(read.pack()) <= len(raw) <= MAX_TRUTH_BYTES


@given(st.sampled_from(SHAPES), st.integers(0, 2**32), st.integers(1, 5))
@laws
def test_any_levels_come_back_however_long_their_map_is(
    shape: tuple[int, int, int], seed: int, kinds: int
) -> None:
    levels = np.random.default_rng(seed).integers(0, kinds, shape).astype(np.uint8)
    raw = TruthMap(proxy=1, levels=levels).pack()
    read = TruthMap.unpack(raw)
    if len(raw) <= MAX_TRUTH_BYTES:
        assert read is not None and np.array_equal(read.levels, levels)
    else:
        assert read is None


@given(truth_maps, st.integers(8, 700), st.integers(8, 700), st.floats(0, 1))
@laws
def test_a_tile_has_the_level_of_the_cell_that_its_middle_lies_in(
    told: TruthMap, height: int, width: int, share: float
) -> None:
    tiles = told.tiles(height, width, share)
    levels = told.levels[min(len(told.levels) - 1, int(share * len(told.levels)))]
    (r, c), (rows, columns) = tiles.shape, levels.shape
    assert (r, c) == (-(-height // 8), -(-width // 8))
    for at in (0, -1):
        y = min(8 * (at % r) + 4, height - 1) * rows // height
        x = min(8 * (at % c) + 4, width - 1) * columns // width
        assert tiles[at, at] == levels[y, x]
    # The far corner is near the last cell's, where a cell is as large as a tile.
    assert tiles[-1, -1] in levels[-2:, -2:] or height < 8 * rows or width < 8 * columns


def test_levels_are_shares_and_what_is_an_objects_size_is_known_wrong() -> None:
    shares = np.array([0, 0.029, 0.031, 0.149, 0.151, 0.449, 0.451, 1], np.float32)
    far, near = np.full(8, 0.3, np.float32), np.full(8, 0.2, np.float32)
    none, person = np.full(8, 0.001, np.float32), np.full(8, 0.0015, np.float32)
    assert levels_of(shares, far, none).tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert levels_of(shares, near, none).tolist() == [0, 0, 2, 2, 3, 3, 4, 4]
    assert levels_of(shares, near, person).tolist() == [2, 2, 2, 2, 3, 3, 4, 4]
    assert RIGHT < KNOWN_WRONG == 2


def test_a_usual_map_takes_a_few_bytes() -> None:
    levels = np.zeros((1, 9, 16), np.uint8)
    assert len(TruthMap(proxy=1, levels=levels).pack()) <= 3
    levels[0, 3:5, 4:8], levels[0, 7, 12:14] = 4, 2
    assert len(TruthMap(proxy=1, levels=levels).pack()) <= 13
    # What stays as it is costs little in a second slice.
    moment = np.kron(np.eye(3, dtype=np.uint8) * 3, np.ones((2, 4), np.uint8))[:, :10]
    once, twice = (np.stack([moment] * n) for n in (1, 2))
    more = len(TruthMap(proxy=1, levels=twice).pack()) / len(TruthMap(proxy=1, levels=once).pack())
    assert more < 1.7


def test_another_shape_or_level_is_our_own_error() -> None:
    for levels in (
        np.zeros((1, 9, 15), np.uint8),
        np.zeros((9, 16), np.uint8),
        np.zeros((1, 9, 16), bool),
        np.full((1, 9, 16), 5, np.uint8),
    ):
        with pytest.raises(LocalProtocolError):
            TruthMap(proxy=1, levels=levels)  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError):
        TruthMap(proxy=16, levels=np.zeros((1, 9, 16), np.uint8))


def test_an_older_reader_skips_it() -> None:
    truth = TruthMap(proxy=1, levels=np.full((1, 9, 16), 3, np.uint8))
    d = descriptors(truth=truth, fps=Fraction(25))
    raw = bytearray(d.pack())
    at = raw.rfind(bytes([11, len(truth.pack())]))
    raw[at] = 211
    read = Descriptors.unpack(bytes(raw))
    assert read is not None and read.truth is None and read.frames == d.frames
