"""Eyes on scenes whose truth is known: the camera's path, movers and heat, cuts, and bad input."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gvc_edge.eyes import Eyes, Found, Seen
from gvc_edge.eyes.thin import thin
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.objects import MAX_POINTS, ObjectClass, Track, TrackPoint

Image = NDArray[np.uint8]
W, H, FPS = 480, 320, Fraction(30)


def ground(seed: int = 3) -> Image:
    """A map with detail of many sizes, much larger than the picture."""
    rng = np.random.default_rng(seed)
    out = np.full((900, 1200, 3), 110, np.float32)
    for cell, weight in ((64, 22), (20, 16), (6, 14)):
        small = rng.standard_normal((900 // cell + 1, 1200 // cell + 1, 3)).astype(np.float32)
        out += weight * cv2.resize(small, (1200, 900), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(out, 0, 255), np.uint8)


def camera(i: int) -> NDArray[np.float64]:
    """float64[3, 3]: map to picture at frame i: a drift, a slow turn, some tilt, a little shake."""
    angle, shake = 0.0015 * i, 0.6 * np.sin(1.1 * i)
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s, 0], [s, c, 0], [1e-6 * i, 5e-7 * i, 1]])
    shift = np.array([[1, 0, -300 - 1.3 * i + shake], [0, 1, -250 + 0.7 * i], [0, 0, 1.0]])
    return np.asarray(turn @ shift, np.float64)


def mover(i: int) -> tuple[int, int]:
    """Map position of a small car at frame i."""
    return 420 + 3 * i, 400 - i


def scene(i: int, base: Image, *, moving: bool = False) -> Image:
    picture = base
    if moving:
        picture = base.copy()
        x, y = mover(i)
        cv2.rectangle(picture, (x - 9, y - 5), (x + 9, y + 5), (235, 240, 240), -1)
        cv2.rectangle(picture, (x - 3, y - 4), (x + 4, y + 4), (30, 30, 40), -1)
    out = cv2.warpPerspective(picture, camera(i), (W, H), flags=cv2.INTER_LINEAR)
    noise = np.random.default_rng(i).normal(0, 2, out.shape)
    return np.asarray(np.clip(out + noise, 0, 255), np.uint8)


def watch(eyes: Eyes, frames: list[Image]) -> Seen:
    eyes.begin()
    for offset, pixels in enumerate(frames):
        eyes.push(pixels, offset)
    return eyes.close()


def new_eyes(**more: object) -> Eyes:
    return Eyes(width=W, height=H, fps=FPS, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def base() -> Image:
    return ground()


@pytest.fixture(scope="module")
def two_units(base: Image) -> tuple[Seen, Seen]:
    frames = [scene(i, base, moving=True) for i in range(120)]
    eyes = new_eyes()
    return watch(eyes, frames[:60]), watch(eyes, frames[60:])


def test_the_path_is_the_cameras(two_units: tuple[Seen, Seen]) -> None:
    corners = np.array([(0, 0, 1), (W, 0, 1), (W, H, 1), (0, H, 1)], float)
    for first, seen in zip((0, 60), two_units, strict=True):
        path = seen.motion_path
        assert path is not None and path.end == 59 and 3 <= len(path.points) <= 6
        for offset in (15, 30, 44, 59):
            true = camera(first + offset) @ np.linalg.inv(camera(first))
            found = path.homography(offset, W, H)
            assert found is not None
            gap = [(m @ corners.T)[:2] / (m @ corners.T)[2:] for m in (true, found)]
            # At control points it is a fit; between them the shake is left out.
            assert np.abs(gap[0] - gap[1]).max() < 2.0
        assert all(point.residual <= 8 for point in path.points)
        assert 0 < seen.shake_px < 6


def test_a_mover_is_followed_under_one_number(two_units: tuple[Seen, Seen]) -> None:
    numbers = set()
    for first, seen in zip((0, 60), two_units, strict=True):
        (track,) = seen.tracks
        numbers.add(track.track_id)
        assert track.class_id == ObjectClass.MOVER and track.score_pct >= 60
        for offset in range(60):
            x, y, depth = camera(first + offset) @ (*mover(first + offset), 1.0)
            box = track.box_at(offset, hold=15)
            assert box is not None
            assert box.x - 3 <= x / depth <= box.x + box.width + 3
            assert box.y - 3 <= y / depth <= box.y + box.height + 3
            assert box.width * box.height < 1600
    assert len(numbers) == 1


def test_nothing_moves_where_nothing_moves(base: Image) -> None:
    seen = watch(new_eyes(), [scene(i, base) for i in range(60)])
    assert seen.tracks == () and seen.motion_path is not None


def test_what_was_seen_fits_in_part_d(two_units: tuple[Seen, Seen]) -> None:
    for seen in two_units:
        plain = Descriptors(
            codec_id=0, bitstream_version=1, capture_us=0, width=W, height=H, fps=FPS,
            first_frame=0, frames=60,
        )  # fmt: skip
        full = Descriptors(
            codec_id=0, bitstream_version=1, capture_us=0, width=W, height=H, fps=FPS,
            first_frame=0, frames=60, tracks=seen.tracks, motion_path=seen.motion_path,
        )  # fmt: skip
        assert Descriptors.unpack(full.pack()) == full
        assert len(full.pack()) - len(plain.pack()) < 160


def test_a_cut_ends_the_path_and_the_tracks(base: Image) -> None:
    other = ground(9)
    frames = [scene(i, base, moving=True) for i in range(40)]
    frames += [scene(i, other) for i in range(40, 60)]
    seen = watch(new_eyes(), frames)
    assert seen.motion_path is not None and 30 <= seen.motion_path.end < 40
    assert all(track.points[-1].offset < 44 for track in seen.tracks)


@pytest.mark.parametrize("frames", [0, 1, 2, 9])
def test_short_units(base: Image, frames: int) -> None:
    seen = watch(new_eyes(), [scene(i, base) for i in range(frames)])
    assert seen.tracks == () and seen.shake_px >= 0
    assert (seen.motion_path is None) == (frames < 2)


def test_a_picture_without_texture_has_no_path_and_comes_back(base: Image) -> None:
    eyes = new_eyes()
    black = [np.zeros((H, W, 3), np.uint8)] * 10
    assert watch(eyes, black) == Seen(motion_path=None, tracks=(), shake_px=0.0)
    assert watch(eyes, [scene(i, base) for i in range(20)]).motion_path is not None


@pytest.mark.parametrize("size", [(16, 16), (30, 200), (256, 192), (1922, 40)])
def test_any_size_of_picture(size: tuple[int, int]) -> None:
    width, height = size
    eyes = Eyes(width=width, height=height, fps=Fraction(10), thermal=True)
    rng = np.random.default_rng(1)
    still = rng.integers(0, 255, (height, width, 3), np.uint8)
    seen = watch(eyes, [still] * 8)
    path = seen.motion_path
    assert path is None or path.fits(width, height)


def test_heat_is_told_though_it_stands_still(base: Image) -> None:
    frames = []
    for i in range(45):
        grey = (cv2.cvtColor(scene(i, base), cv2.COLOR_BGR2GRAY) * 0.5).astype(np.uint8)
        x, y, depth = camera(i) @ (520.0, 380.0, 1.0)
        cv2.circle(grey, (round(x / depth), round(y / depth)), 5, 250, -1, cv2.LINE_AA)
        frames.append(np.repeat(grey[..., None], 3, axis=2))
    seen = watch(new_eyes(thermal=True), frames)
    (spot,) = [t for t in seen.tracks if t.class_id == ObjectClass.HOT_SPOT]
    box = spot.box_at(30)
    x, y, depth = camera(30) @ (520.0, 380.0, 1.0)
    assert box is not None and box.x <= x / depth <= box.x + box.width
    assert box.y <= y / depth <= box.y + box.height and box.width <= 24
    assert len(watch(new_eyes(), frames).tracks) == 0


class Names:
    """A detector that always says the same."""

    def __init__(self, *found: Found) -> None:
        self.found, self.asked = list(found), 0

    def detect(self, bgr: Image) -> list[Found]:
        self.asked += 1
        assert bgr.shape == (H, W, 3)
        return self.found


def test_a_detector_names_what_stands_still_and_is_asked_seldom(base: Image) -> None:
    person = Found(class_id=ObjectClass.PERSON, score_pct=80, x=100, y=90, width=12, height=30)
    unsure = Found(class_id=ObjectClass.ANIMAL, score_pct=40, x=300, y=40, width=20, height=20)
    names = Names(person, unsure)
    still = scene(0, base)
    seen = watch(new_eyes(detector=names), [still] * 60)
    (track,) = seen.tracks
    assert track.class_id == ObjectClass.PERSON and track.score_pct == 80
    box = track.box_at(45)
    assert box is not None and abs(box.x - 100) <= 2 and abs(box.height - 30) <= 2
    assert 2 <= names.asked <= 3


def test_the_surest_tracks_are_told_first(base: Image) -> None:
    rows = [
        Found(class_id=ObjectClass.BOAT, score_pct=60 + i, x=40 * i, y=100, width=20, height=20)
        for i in range(10)
    ]
    seen = watch(new_eyes(detector=Names(*rows), max_tracks=3), [scene(0, base)] * 10)
    assert [t.score_pct for t in seen.tracks] == [69, 68, 67]


boxes = st.tuples(*[st.integers(0, 500)] * 4)


@given(st.lists(boxes, min_size=1, max_size=60), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_thin_keeps_the_ends_and_stays_close(rows: list[tuple[int, ...]], every: int) -> None:
    points = [
        TrackPoint(offset=every * i, x=x, y=y, width=w, height=h)
        for i, (x, y, w, h) in enumerate(rows)
    ]
    kept = thin(points)
    assert kept[0] == points[0] and kept[-1] == points[-1] and len(kept) <= MAX_POINTS
    assert set(kept) <= set(points)
    if len(points) <= 2 * MAX_POINTS // 3:
        track = Track(track_id=0, class_id=0, score_pct=0, points=kept)
        for point in points:
            box = track.box_at(point.offset)
            assert box is not None
            allowed = max(2.0, 0.12 * max(point.width, point.height)) + 0.5
            assert max(abs(a - b) for a, b in zip(box.box, point.box, strict=True)) <= allowed


def test_thin_leaves_two_points_of_an_even_motion() -> None:
    points = [TrackPoint(offset=3 * i, x=5 * i, y=90 - i, width=20, height=10) for i in range(20)]
    assert len(thin(points)) == 2
