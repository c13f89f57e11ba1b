"""Codec 1's lowest step: within its budget, true pixels of what the eyes saw, nothing sent twice."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gvc_edge.codecs import av1
from gvc_edge.codecs.gvc import GvcEncoder
from gvc_edge.codecs.gvc_patches import Lowest, Slide
from gvc_protocol.codec import SourceFrame
from gvc_protocol.gvc1 import Patch
from gvc_protocol.motion_path import UNITS_PER_PX, ControlPoint, MotionPath
from gvc_protocol.objects import ObjectClass, Track, TrackPoint

WIDTH, HEIGHT, FRAMES, SPEED = 256, 160, 24, 2
U8 = NDArray[np.uint8]


def ground() -> U8:
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 255, (HEIGHT // 16, WIDTH // 8, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (WIDTH * 2, HEIGHT), interpolation=cv2.INTER_CUBIC))


def shown(count: int = FRAMES, speed: int = SPEED) -> list[U8]:
    """A camera that glides to the right over the ground, and a red box that stands still in view."""
    whole, out = ground(), []
    for i in range(count):
        picture = np.ascontiguousarray(whole[:, i * speed : i * speed + WIDTH])
        picture[40:64, 100:132] = (20, 20, 230)
        picture[46:50, 104:128] = (240, 240, 240)
        out.append(picture)
    return out


def track(number: int = 7, x: int = 100, y: int = 40) -> Track:
    points = tuple(TrackPoint(offset=i, x=x, y=y, width=32, height=24) for i in (0, FRAMES - 1))
    return Track(track_id=number, class_id=ObjectClass.VEHICLE, score_pct=80, points=points)


def glide(speed: int = SPEED) -> MotionPath:
    """What the eyes tell of `shown`: the corners of the first frame move to the left."""
    offsets = (FRAMES // 2, FRAMES)
    return MotionPath(
        points=tuple(
            ControlPoint(offset=i, corners=(-speed * i * UNITS_PER_PX, 0) * 4) for i in offsets
        )
    )


def make(
    lowest: Lowest, budget: int, tracks: tuple[Track, ...] = (), path: MotionPath | None = None
) -> Slide | None:
    for i, picture in enumerate(shown()):
        lowest.push(picture, i, FRAMES, sampled=i % 8 == 0)
    lowest.look(tracks, path)
    return lowest.make(budget)


def unit(lowest: Lowest, number: int, budget: int, *tracks: Track) -> tuple[Patch, ...]:
    lowest.begin(number)
    slide = make(lowest, budget, tracks)
    assert slide is not None
    lowest.sent()
    return slide.unit.patches


@settings(max_examples=12, deadline=None)
@given(budget=st.integers(60, 2000), tracks=st.integers(0, 3))
def test_the_budget_holds(budget: int, tracks: int) -> None:
    lowest = Lowest(WIDTH, HEIGHT)
    lowest.begin(0)
    slide = make(lowest, budget, tuple(track(i + 1, x=20 + 60 * i) for i in range(tracks)))
    if slide is not None:
        assert sum(map(len, slide.unit.pack())) <= budget


def test_a_chip_holds_the_true_pixels_of_its_box() -> None:
    (patch,) = unit(Lowest(WIDTH, HEIGHT), 0, 900, track())
    assert patch.x <= 100 and patch.y <= 40
    assert patch.x + patch.width >= 132 and patch.y + patch.height >= 64
    (picture,) = av1.decode([patch.obus])
    true = shown()[patch.offset][patch.y : patch.y + patch.height, patch.x : patch.x + patch.width]
    picture = picture[: patch.height, : patch.width]
    error = np.mean((picture.astype(float) - true) ** 2)
    assert 10 * np.log10(255**2 / error) > 24


def test_a_chip_is_not_sent_again_until_it_has_aged() -> None:
    lowest = Lowest(WIDTH, HEIGHT)
    counts = [len(unit(lowest, number, 900, track())) for number in range(6)]
    assert counts == [1, 0, 0, 0, 1, 0]


def test_an_object_that_was_gone_is_sent_anew() -> None:
    lowest = Lowest(WIDTH, HEIGHT)
    assert len(unit(lowest, 0, 900, track())) == 1
    assert len(unit(lowest, 1, 900)) == 0
    assert len(unit(lowest, 2, 900, track())) == 1


def test_what_was_made_but_not_sent_is_not_taken_for_known() -> None:
    lowest = Lowest(WIDTH, HEIGHT)
    for number in range(2):
        lowest.begin(number)
        slide = make(lowest, 900, (track(),))
        assert slide is not None and len(slide.unit.patches) == 1


def test_the_carried_still_wins_where_the_path_is_right() -> None:
    lowest = Lowest(WIDTH, HEIGHT)
    lowest.begin(0)
    right = make(lowest, 900, (), glide())
    assert right is not None
    offsets = [0, 8, 16, 23]
    grey = [np.full((HEIGHT, WIDTH, 3), 128, np.uint8)] * 4
    assert lowest.wins(right, grey, offsets)
    lowest.look((), glide(-3 * SPEED))
    true = [shown()[i] for i in offsets]
    assert not lowest.wins(right, true, offsets)


@pytest.mark.parametrize("told", [True, False])
def test_the_encoder_says_when_it_stands_on_the_lowest_step(told: bool) -> None:
    encoder = GvcEncoder(
        width=WIDTH, height=HEIGHT, fps=Fraction(10), frames_per_unit=FRAMES, live=True
    )
    share = encoder.records_share(150)
    assert share is not None and 0 < share < 1
    assert encoder.records_share(20_000) is None
    encoder.begin(0, 150)
    for i, picture in enumerate(shown()):
        encoder.push(SourceFrame(frame_no=i, capture_us=i, pixels=picture))
    encoder.look((track(),), glide() if told else glide(-3 * SPEED))
    keyframe, features = encoder.close()
    assert 0 < len(keyframe) + len(features) <= 150
    if told:
        assert encoder.ladder == 3
