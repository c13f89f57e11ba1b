"""MARKS.npz comes back as it was written; the order of what is told by marks alone holds."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_base.marksfile import MarksWriter
from gvc_base.p_wrong import p_wrong_from_marks
from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.marks import Mark, SourcePart, tile_grid
from gvc_protocol.truth import Alarm, AlarmKind

AGE = st.integers(0, 0xFFFF)
SOURCE_NAMES = ("source_unit", "source_boot", "source_part")


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@given(
    seed=st.integers(0, 2**32 - 1), frames=st.integers(0, 12), width=st.integers(1, 90),
    height=st.integers(1, 90), fps=st.fractions(Fraction(1, 10), 1000, max_denominator=1001),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_round_trip(seed: int, frames: int, width: int, height: int, fps: Fraction) -> None:
    rng = np.random.default_rng(seed)
    shape = (frames, *tile_grid(height, width))
    mark = rng.integers(0, len(Mark), shape, np.uint8)
    age = rng.integers(0, 1 << 16, shape, np.uint16)
    p_wrong = rng.random(shape).astype(np.float16)
    truth = rng.integers(0, 3, shape, np.uint8)
    alarm = Alarm(kind=AlarmKind.MISSED, x=1, y=2, width=3, height=4, why="chip", strength=1.5)
    sources = (
        rng.integers(-1, 1 << 31, shape, np.int32), rng.integers(0, 1 << 16, shape, np.uint16),
        rng.integers(0, len(SourcePart), shape, np.uint8),
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        path = Path(folder) / "MARKS.npz"
        with MarksWriter(path, width=width, height=height, fps=fps) as writer:
            for index, (m, p, a, t) in enumerate(zip(mark, p_wrong, age, truth, strict=True)):
                unit, boot, part = (grid[index] for grid in sources)
                writer.write(m, p, a, t, [alarm], doubt_from=index / 8, sources=(unit, boot, part))
            assert not path.exists()
        with np.load(path) as got:
            assert set(got.files) == {
                "mark", "p_wrong", "age_ms", "truth", "error", "alarms", "doubt_from", "tile_px", "fps",
                "size", "codes", "parts", "source_unit", "source_boot", "source_part",
            }  # fmt: skip
            for name, array in zip(SOURCE_NAMES, sources, strict=True):
                assert got[name].dtype == array.dtype and np.array_equal(got[name], array)
            assert got["parts"].tolist() == [p.name.lower() for p in SourcePart]
            assert got["alarms"].tolist() == [[i, 1, 1, 2, 3, 4, 150] for i in range(frames)]
            wanted = (("mark", mark), ("p_wrong", p_wrong), ("age_ms", age), ("truth", truth))
            for name, array in wanted:
                assert got[name].dtype == array.dtype and np.array_equal(got[name], array)
            assert got["error"].dtype == np.float16 and np.isnan(got["error"]).all(), "nobody told"
            assert got["doubt_from"].tolist() == [i / 8 for i in range(frames)]
            assert int(got["tile_px"]) == 8 and got["size"].tolist() == [width, height]
            assert Fraction(*got["fps"].tolist()) == fps
            assert got["codes"].tolist() == [m.name.lower() for m in Mark]
        assert names(Path(folder)) == ["MARKS.npz"]


def test_more_than_one_chunk(tmp_path: Path) -> None:
    """The copy at the end goes by pieces; grids larger than one piece survive it."""
    rng = np.random.default_rng(1)
    grid = tile_grid(1080, 1920)
    mark = rng.integers(0, 5, (60, *grid), np.uint8)
    with MarksWriter(tmp_path / "m.npz", width=1920, height=1080, fps=Fraction(30)) as writer:
        for m in mark:
            writer.write(m, m.astype(np.float16), m.astype(np.uint16) * 1000, doubt_from=0.5)
    with np.load(tmp_path / "m.npz") as got:
        assert np.array_equal(got["mark"], mark)
        assert np.array_equal(got["age_ms"], mark.astype(np.uint16) * 1000)
        assert np.array_equal(got["p_wrong"], mark.astype(np.float16))
        assert (got["source_unit"] == -1).all() and not got["source_part"].any()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), MarksWriter(path, width=16, height=16, fps=Fraction(30)):
        raise RuntimeError
    assert path.read_bytes() == b"old" and names(tmp_path) == ["m.npz"]


def test_grids_of_another_shape_or_type_are_refused(tmp_path: Path) -> None:
    shapes = [((2, 3), np.uint8), ((2, 2), np.float32), ((3, 2), np.uint16)]
    for i, (shape, dtype) in enumerate(shapes):
        grids: list[Any] = [np.zeros((2, 2), t) for t in (np.uint8, np.float16, np.uint16)]
        grids[i] = np.zeros(shape, dtype)
        with pytest.raises(LocalProtocolError), MarksWriter(
            tmp_path / "m.npz", width=16, height=16, fps=Fraction(30)
        ) as writer:  # fmt: skip
            writer.write(*grids, doubt_from=0.5)
    assert not names(tmp_path)


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("missing/m.npz", "folder"):
        with pytest.raises(UserError, match="cannot write") as caught:
            MarksWriter(tmp_path / name, width=16, height=16, fps=Fraction(30))
        assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)
    assert names(tmp_path) == ["folder"]


def p_of(mark: int, age_ms: int) -> float:
    grids = np.full((1, 1), mark, np.uint8), np.full((1, 1), age_ms, np.uint16)
    return float(p_wrong_from_marks(*grids)[0, 0])


@given(mark=st.sampled_from(Mark), younger=AGE, older=AGE)
def test_p_wrong_never_falls_with_age(mark: Mark, younger: int, older: int) -> None:
    younger, older = sorted((younger, older))
    assert 0 <= p_of(mark, younger) <= p_of(mark, older) <= 1


@given(age_ms=AGE)
def test_p_wrong_rises_with_the_mark(age_ms: int) -> None:
    by_mark = [p_of(mark, age_ms) for mark in Mark]
    assert all(a < b for a, b in pairwise(by_mark))


def test_p_wrong_keeps_shape_and_type() -> None:
    mark = np.array([[0, 1, 2], [3, 4, 4]], np.uint8)
    p = p_wrong_from_marks(mark, np.zeros((2, 3), np.uint16))
    assert p.dtype == np.float16 and p.shape == (2, 3)
    assert np.allclose(p, [[0.02, 0.05, 0.20], [0.60, 0.90, 0.90]], atol=1e-3)
