"""While nothing arrives the last picture moves on as the camera did, and only where it surely moved."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gvc_base.decoders.camera import Camera, Drift
from gvc_base.decoders.motion import FlowEngine

HEIGHT, WIDTH = 160, 256
U8 = NDArray[np.uint8]


def ground() -> U8:
    noise = np.random.default_rng(5).integers(0, 255, (700, 900), np.uint8)
    rough = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.asarray(cv2.normalize(rough, rough, 0, 255, cv2.NORM_MINMAX), np.uint8)


def seen_from(matrix: NDArray[np.float64]) -> U8:
    """What of the ground the camera sees after its picture moved by that."""
    middle = np.array([[1, 0, -300.0], [0, 1, -250], [0, 0, 1]])
    return np.asarray(cv2.warpPerspective(ground(), matrix @ middle, (WIDTH, HEIGHT)), np.uint8)


def flown(drift: Drift, at_s: list[float]) -> Camera:
    camera = Camera(FlowEngine(fine=False), WIDTH)
    for now in at_s:
        camera.saw(seen_from(drift.over(now, WIDTH)), now)
    return camera


TURNING = Drift(complex(1.01, 0.02), complex(-0.03, 0.01), 0.4)


def test_a_rate_carried_on_is_the_motion_again_and_again() -> None:
    once = TURNING.over(0.4, WIDTH)
    assert np.allclose(TURNING.over(1.2, WIDTH), once @ once @ once)
    assert np.allclose(TURNING.over(-0.4, WIDTH) @ once, np.eye(3))
    straight = Drift(complex(1, 0), complex(0.1, 0), 0.5)
    assert np.allclose(straight.over(1.0, WIDTH)[:2, 2], (0.2 * WIDTH, 0))


@pytest.mark.parametrize("drift", [TURNING, Drift(complex(1, 0), complex(0.05, -0.02), 0.4)])
def test_a_moving_camera_goes_on(drift: Drift) -> None:
    camera = flown(drift, [0.0, 0.1, 0.2, 0.3, 0.4])
    matrix = camera.on(0.4, 1.0, WIDTH)
    assert matrix is not None
    corners = np.array([[0, WIDTH, 0, WIDTH], [0, 0, HEIGHT, HEIGHT], [1, 1, 1, 1]], float)
    apart = (matrix @ corners - drift.over(0.6, WIDTH) @ corners)[:2]
    assert np.hypot(*apart).max() < 2.0
    # At the size of the source it is the same motion.
    double = camera.on(0.4, 1.0, 2 * WIDTH)
    assert double is not None and np.allclose(double[:2, 2], 2 * matrix[:2, 2])


def test_the_rate_of_a_camera_that_shakes_is_that_of_the_last_second_the_newest_most() -> None:
    def shaken(swing: float) -> Camera:
        """As far in each half of a second, now more in its first part and now in its last."""
        camera = Camera(FlowEngine(fine=False), WIDTH)
        for step in range(9):
            along = 0.02 * step + swing * (step % 2)
            camera.saw(
                seen_from(Drift(complex(1, 0), complex(along, 0), 1.0).over(1.0, WIDTH)), step / 4
            )
        return camera

    even, swung = (shaken(swing).on(2.0, 3.0, WIDTH) for swing in (0.0, 0.01))
    assert even is not None and swung is not None
    assert even[0, 2] == pytest.approx(0.08 * WIDTH, abs=1.0)
    # The last motion by itself would say half as much: back by .01, where .02 was on.
    assert swung[0, 2] == pytest.approx((1 - 1 / 6) * 0.08 * WIDTH, abs=1.5)


def test_a_scene_that_began_just_now_has_the_motion_of_its_own_pictures() -> None:
    camera = Camera(FlowEngine(fine=False), WIDTH)
    camera.saw(np.ascontiguousarray(ground()[-HEIGHT:, -WIDTH:]), 0.0)
    for now in (0.3, 0.6):
        camera.saw(seen_from(TURNING.over(now, WIDTH)), now)
    own = flown(TURNING, [0.3, 0.6]).on(0.6, 1.0, WIDTH)
    both = camera.on(0.6, 1.0, WIDTH)
    assert own is not None and both is not None and np.allclose(own, both)


def test_a_rate_is_the_drift_that_it_was_taken_of() -> None:
    middle = complex(0.5, 0.3)
    again = Drift.at_rate(*Drift.at_rate(0.02 + 0.1j, 0.2 - 0.1j, middle).rate(middle), middle)
    assert again.rate(middle) == pytest.approx((0.02 + 0.1j, 0.2 - 0.1j))


def test_nobody_knows_how_long_a_camera_goes_on() -> None:
    camera = flown(TURNING, [0.0, 0.4])
    assert camera.on(0.4, 3.0, WIDTH) is not None
    assert camera.on(0.4, 4.0, WIDTH) is None and camera.on(60.0, 90.0, WIDTH) is None
    # The edge began anew, and its time with it.
    assert flown(TURNING, [50.0, 50.4]).on(50.4, 0.1, WIDTH) is None


def test_only_what_is_needed_is_kept() -> None:
    camera = flown(TURNING, [i / 30 for i in range(60)])
    now, then = camera._seen[-1][0], camera._seen[0][0]
    assert now == 59 / 30 and now - then <= 1.6 and len(camera._seen) <= 49
    # One picture a second is enough, one in two is not.
    slow = Drift(complex(1, 0), complex(0.02, -0.01), 1.0)
    assert flown(slow, [0.0, 1.0]).on(1.0, 1.5, WIDTH) is not None
    assert flown(slow, [0.0, 2.0]).on(2.0, 2.5, WIDTH) is None


def test_a_camera_that_stands_and_one_that_nothing_is_known_of_are_left_alone() -> None:
    still = Drift(complex(1, 0), 0j, 1.0)
    assert flown(still, [0.0, 0.3, 0.6]).on(0.6, 1.0, WIDTH) is None
    assert flown(TURNING, [0.4]).on(0.4, 1.0, WIDTH) is None
    assert flown(TURNING, [0.0, 0.1]).on(0.1, 1.0, WIDTH) is None
    assert Camera(FlowEngine(fine=False), WIDTH).on(0.0, 1.0, WIDTH) is None
    nothing_moves = Camera(None, WIDTH)
    for now in (0.0, 0.4):
        nothing_moves.saw(seen_from(TURNING.over(now, WIDTH)), now)
    assert nothing_moves.on(0.4, 1.0, WIDTH) is None


def test_two_scenes_have_no_motion_between_them() -> None:
    camera = Camera(FlowEngine(fine=False), WIDTH)
    camera.saw(seen_from(np.eye(3)), 0.0)
    camera.saw(np.ascontiguousarray(ground()[-HEIGHT:, -WIDTH:]), 0.4)
    assert camera.on(0.4, 1.0, WIDTH) is None


def test_a_picture_of_another_size_and_an_earlier_moment_begin_anew() -> None:
    larger = flown(TURNING, [0.0, 0.4])
    larger.saw(np.asarray(cv2.resize(seen_from(TURNING.over(0.8, WIDTH)), None, fx=2, fy=2)), 0.8)
    assert larger.on(0.8, 1.2, WIDTH) is None
    again = flown(TURNING, [0.0, 0.4])
    again.saw(seen_from(TURNING.over(0.1, WIDTH)), 0.1)
    assert again.on(0.1, 0.5, WIDTH) is None
