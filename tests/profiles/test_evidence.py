"""The plain picture beyond what was coded: moved by what was told, else by the guess, else it stands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gvc_profiles.sight.evidence import Evidence
from gvc_protocol.motion_path import ControlPoint, MotionPath

SIZE = (64, 48)
U8 = NDArray[np.uint8]


def picture(seed: int) -> U8:
    return np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)


def right(pixels: float) -> NDArray[np.float64]:
    return np.array([[1, 0, pixels], [0, 1, 0], [0, 0, 1]])


def path(frames: int, pixels: int) -> MotionPath:
    return MotionPath(
        points=(ControlPoint(offset=frames, corners=(8 * pixels, 0) * 4, residual=4),)
    )


def evidence(**more: object) -> Evidence:
    return Evidence([0, 4], [picture(1), picture(2)], size=SIZE, source=SIZE, **more)  # type: ignore[arg-type]


def test_a_guess_moves_what_nobody_told_of() -> None:
    asked: list[tuple[int, int]] = []

    def on(start: int, end: int) -> NDArray[np.float64]:
        asked.append((start, end))
        return right(end - start)

    plain = evidence(on=on)
    here, later = plain.at(4), plain.at(10)
    assert here is not None and later is not None
    assert np.array_equal(later[:, 6:], here[:, :-6]) and asked == [(4, 10)]
    told = evidence(on=on, path=path(10, 30)).at(10)
    assert told is not None and np.array_equal(told[:, 18:], here[:, :-18])
    assert np.array_equal(evidence().at(10), here)
    assert np.array_equal(evidence(on=lambda *_: None).at(10), here)


def test_what_is_remembered_stands_where_it_was_last_known_to_be() -> None:
    # Coded up to the last frame, or moved there by what was told: there.
    for plain, frames in ((evidence(), 5), (evidence(), 3), (evidence(path=path(10, 30)), 10)):
        end = plain.end(frames)
        assert end is not None and end[1] == frames - 1
        assert np.array_equal(end[0], plain.at(frames - 1))
    # By a guess, or not at all: where it was coded.
    for plain in (evidence(), evidence(on=lambda a, b: right(b - a))):
        end = plain.end(10)
        assert end is not None and end[1] == 4 and np.array_equal(end[0], plain.at(4))
    empty = Evidence([], [], size=SIZE, source=SIZE)
    assert empty.at(3) is None and empty.end(10) is None


def test_the_picture_before_the_unit_goes_on_from_where_it_stood() -> None:
    small = np.ascontiguousarray(picture(3)[..., 0])
    plain = Evidence(
        [], [], size=SIZE, source=SIZE, before=(small, -5), on=lambda a, b: right(b - a)
    )
    later = plain.at(1)
    assert later is not None and np.array_equal(later[:, 6:], small[:, :-6])
    assert plain.end(10) == (small, -5)
    # A path begins with the unit: what was before it is not known to have moved.
    told = Evidence([], [], size=SIZE, source=SIZE, before=(small, -5), path=path(9, 18))
    end = told.end(10)
    assert end is not None and end[1] == 9 and np.array_equal(end[0][:, 18:], small[:, :-18])
