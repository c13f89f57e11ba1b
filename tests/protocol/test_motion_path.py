"""Laws of the MOTION_PATH record: round trip, any bytes, and a geometry that keeps its word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.motion_path import (
    MAX_CONTROL_POINTS,
    RESIDUAL_UNKNOWN,
    ControlPoint,
    MotionPath,
    unpack_motion_path,
)
from tests.protocol.helpers import motion_paths

laws = settings(max_examples=100, deadline=None)
W, H = 854, 480


def pan(*steps: tuple[int, int, int], residual: int = 4) -> MotionPath:
    """Whole pixels (offset, dx, dy): the picture shifts, nothing else."""
    points = tuple(
        ControlPoint(offset=at, corners=(dx * 8, dy * 8) * 4, residual=residual)
        for at, dx, dy in steps
    )
    return MotionPath(points=points)


def moved(matrix: NDArray[np.float64] | None, points: NDArray[np.float64]) -> NDArray[np.float64]:
    assert matrix is not None
    out = np.c_[points, np.ones(len(points))] @ matrix.T
    return np.asarray(out[:, :2] / out[:, 2:])


def corners() -> NDArray[np.float64]:
    return np.array([(0, 0), (W, 0), (W, H), (0, H)], float)


@given(motion_paths(reach=20_000))
@laws
def test_round_trip(path: MotionPath) -> None:
    assert unpack_motion_path(path.pack(W, H), W, H) == path


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda raw: b"\x03\x05" + raw))
@laws
def test_any_bytes_are_read_without_an_exception(raw: bytes) -> None:
    read = unpack_motion_path(raw, W, H)
    assert read is None or read.pack(W, H) == raw


@given(motion_paths(max_points=5), st.data())
@laws
def test_a_cut_or_longer_record_is_none(path: MotionPath, data: st.DataObject) -> None:
    raw = path.pack(W, H)
    assert unpack_motion_path(raw[: data.draw(st.integers(0, len(raw) - 1))], W, H) is None
    assert unpack_motion_path(raw + b"\0", W, H) is None


def test_bounds_hold_both_ways() -> None:
    most = pan(*((i + 1, 8 * W, -8 * H) for i in range(MAX_CONTROL_POINTS)))
    raw = most.pack(W, H)
    assert unpack_motion_path(raw, W, H) == most
    assert unpack_motion_path(raw, W - 1, H) is None and unpack_motion_path(raw, W, H - 1) is None
    wrong = [
        pan(), pan((0, 0, 0)), pan((5, 0, 0), (5, 0, 0)), pan((1, 8 * W + 1, 0)),
        pan((100_001, 0, 0)), pan(*((i + 1, 0, 0) for i in range(MAX_CONTROL_POINTS + 1))),
        pan((1, 0, 0), residual=256),
        MotionPath(points=(ControlPoint(offset=1, corners=(0,) * 7),)),
    ]  # fmt: skip
    for path in wrong:
        with pytest.raises(LocalProtocolError):
            path.pack(W, H)


def test_an_even_flight_costs_ten_bytes_a_point() -> None:
    path = pan(*((15 * (i + 1), 20 * (i + 1), -3 * (i + 1)) for i in range(8)))
    assert len(path.pack(W, H)) <= 1 + 2 * 18 + 6 * 10


def test_motion_between_control_points_is_even_and_ends_where_the_path_ends() -> None:
    path = pan((10, 40, 0), (20, 40, -30))
    at = np.array([(100.0, 50.0), (853.0, 1.0)])
    for offset, shift in (
        (0, (0, 0)),
        (5, (20, 0)),
        (10, (40, 0)),
        (18, (40, -24)),
        (20, (40, -30)),
    ):
        assert np.allclose(moved(path.homography(offset, W, H), at), at + shift, atol=1e-9)
    assert np.allclose(moved(path.between(18, 5, W, H), at), at - (20, -24), atol=1e-9)
    assert path.end == 20
    assert path.homography(21, W, H) is None and path.homography(-1, W, H) is None
    assert path.between(0, 21, W, H) is None


@given(st.lists(st.integers(-600, 600), min_size=8, max_size=8), st.integers(1, 40))
@laws
def test_corners_come_where_the_point_says(eighths: list[int], at: int) -> None:
    path = MotionPath(points=(ControlPoint(offset=at, corners=tuple(eighths)),))
    matrix = path.homography(at, W, H)
    want = corners() + np.array(eighths).reshape(4, 2) / 8
    assert np.allclose(moved(matrix, corners()), want, atol=1e-6)
    back = path.between(at, 0, W, H)
    assert np.allclose(moved(back, want), corners(), atol=1e-6)
    assert matrix is not None and matrix[2, 2] == 1


@given(motion_paths(max_points=3, reach=30_000), st.integers(0, 60_000))
@laws
def test_wild_corners_give_a_finite_matrix_or_none(path: MotionPath, at: int) -> None:
    for matrix in (path.homography(at, W, H), path.between(at, path.end, W, H)):
        assert matrix is None or np.isfinite(matrix).all()


@pytest.mark.parametrize(
    "to",
    [
        [(0, 0), (0, 0), (0, 0), (0, 0)],  # a point
        [(0, 0), (100, 0), (200, 0), (300, 0)],  # a line
        [(W, 0), (0, 0), (0, H), (W, H)],  # mirrored
        [(0, 0), (W, H), (W, 0), (0, H)],  # crossed
        [(0, 0), (W, 0), (10, 10), (0, H)],  # a dent
    ],
)
def test_quads_that_are_no_picture_give_none(to: list[tuple[int, int]]) -> None:
    moves = (np.array(to) - corners()).astype(int).ravel() * 8
    path = MotionPath(points=(ControlPoint(offset=4, corners=tuple(moves.tolist())),))
    assert unpack_motion_path(path.pack(W, H), W, H) == path
    assert path.homography(4, W, H) is None and path.between(4, 0, W, H) is None


def test_the_worse_residual_of_two_points_counts() -> None:
    points = tuple(
        ControlPoint(offset=at, corners=(0,) * 8, residual=r)
        for at, r in ((10, 4), (20, 12), (30, RESIDUAL_UNKNOWN))
    )
    path = MotionPath(points=points)
    got = [path.residual_px(at) for at in (0, 1, 10, 11, 20, 21, 30, 31)]
    assert got == [0.0, 0.5, 0.5, 1.5, 1.5, None, None, None]
