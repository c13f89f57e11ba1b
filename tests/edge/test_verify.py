"""The sender's map: it says how much is wrong where, in a few bytes, and costs no picture."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gvc_edge.pipeline import make_pipeline
from gvc_edge.rate import RateControl
from gvc_edge.sources import open_source
from gvc_edge.units import BuiltUnit, build_units
from gvc_edge.verify import Verifier
from gvc_profiles import load
from gvc_profiles.params import link_params
from gvc_protocol.motion_path import UNITS_PER_PX, ControlPoint, MotionPath
from gvc_protocol.truth import KNOWN_WRONG, MAX_TRUTH_BYTES, RIGHT, SHAPES, Proxy, TruthMap

U8 = NDArray[np.uint8]
WIDTH, HEIGHT = 640, 360
FLOOD = "synthetic:flood?seed=3&size=160x96&fps=5&seconds=4"


def ground() -> U8:
    rough = np.random.default_rng(2).integers(60, 150, (HEIGHT // 20, WIDTH // 20, 3), np.uint8)
    return np.asarray(cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


def judged(true: U8, sent: U8, path: MotionPath | None = None) -> NDArray[np.uint8]:
    """Levels of the finest map of one slice, where the whole unit shows the same."""
    verifier = Verifier(WIDTH, HEIGHT)
    verifier.begin(8)
    for i in range(8):
        verifier.push(true, i)
    told = _of(verifier.close(Proxy.CODED, [(0, sent)], path), SHAPES[0])
    assert told.proxy == Proxy.CODED
    return np.asarray(told.levels[0], np.uint8)


def _of(maps: tuple[TruthMap, ...], shape: tuple[int, int, int]) -> TruthMap:
    (found,) = [m for m in maps if m.levels.shape == shape]
    return found


@given(row=st.integers(0, 8), column=st.integers(0, 15), dark=st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_car_that_was_not_sent_is_wrong_where_it_stands_and_nowhere_else(
    row: int, column: int, dark: bool
) -> None:
    true = ground()
    x, y = column * WIDTH // 16 + 8, row * HEIGHT // 9 + 10
    true[y : y + 18, x : x + 24] = 10 if dark else 240
    levels = judged(true, ground())
    assert levels[row, column] >= KNOWN_WRONG
    near = np.s_[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
    levels[near] = RIGHT
    assert (levels <= RIGHT).all()


def test_noise_a_small_blur_a_shift_of_two_pixels_and_light_are_not_wrong() -> None:
    true = ground()
    noise = np.random.default_rng(3).normal(0, 4, true.shape)
    noisy = np.clip(true + noise, 0, 255).astype(np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(true, (0, 0), 1.5), np.uint8)
    moved = np.hstack([true[:, 2:], true[:, -2:]])
    for sent in (true, noisy, blurred, moved, cv2.add(true, (4, 4, 4, 0))):
        assert (judged(true, np.asarray(sent, np.uint8)) <= RIGHT).all()


def test_the_proxy_is_moved_as_the_base_will_move_it() -> None:
    """A camera that pans: the still alone is wrong in many places, moved along the path it is right."""
    wide = np.hstack([ground(), ground()[:, ::-1]])
    verifier = Verifier(WIDTH, HEIGHT)
    points = (ControlPoint(offset=8, corners=(-32 * UNITS_PER_PX, 0) * 4, residual=1),)
    moved: list[NDArray[np.uint8]] = []
    for path in (None, MotionPath(points=points)):
        verifier.begin(8)
        for i in range(8):
            verifier.push(np.ascontiguousarray(wide[:, 4 * i : 4 * i + WIDTH]), i)
        told = verifier.close(Proxy.CARRIED_STILL, [(0, wide[:, :WIDTH])], path)
        moved.append(_of(told, (1, 6, 10)).levels)
    assert moved[0].mean() > 2
    assert moved[1].mean() < 1.2


def test_what_is_wrong_for_a_while_only_is_told_with_its_time() -> None:
    """The camera's picture breaks off from what was sent in the unit's second half."""
    verifier = Verifier(WIDTH, HEIGHT)
    verifier.begin(16)
    other = ground()[::-1, ::-1]
    for i in range(16):
        verifier.push(np.ascontiguousarray(other if i >= 8 else ground()), i)
    best = verifier.close(Proxy.CODED, [(0, ground())], None)[0]
    half = len(best.levels) // 2
    assert half >= 1 and best.levels[:half].max() <= RIGHT and best.levels[half:].mean() > 3


def test_one_who_is_missing_for_a_moment_is_known_wrong_in_any_grid() -> None:
    """A person of 8 by 16 pixels, at one of the eight moments; the shares alone would hide it."""
    true = ground()
    true[100:116, 300:308] = 250
    verifier = Verifier(WIDTH, HEIGHT)
    verifier.begin(8)
    for i in range(8):
        verifier.push(true if i == 5 else ground(), i)
    maps = verifier.close(Proxy.CODED, [(0, ground())], None)
    assert {m.levels.shape for m in maps} >= {(1, 6, 10), (4, 3, 5)}
    for told in maps:
        slices, rows, columns = told.levels.shape
        cell = told.levels[5 * slices // 8, 108 * rows // HEIGHT, 304 * columns // WIDTH]
        assert cell >= KNOWN_WRONG, told.levels.shape


def test_a_short_unit_is_told_in_slices_that_have_a_moment() -> None:
    verifier = Verifier(WIDTH, HEIGHT)
    verifier.begin(1)
    verifier.push(ground(), 0)
    maps = verifier.close(Proxy.CODED, [(0, ground())], None)
    assert maps and all(len(m.levels) == 1 for m in maps)


def test_nothing_to_compare_is_no_map() -> None:
    verifier = Verifier(WIDTH, HEIGHT)
    verifier.begin(8)
    assert verifier.close(Proxy.CODED, [], None) == ()
    assert verifier.close(Proxy.CODED, [(0, ground())], None) == ()


def _built(
    profile: str, *, verify: bool, bps: float | None = None
) -> tuple[list[BuiltUnit], float]:
    params = link_params(load(profile), bps=bps, fec="auto")
    source = open_source(FLOOD, start_us=0)
    made = make_pipeline(
        source, profile, params, latency=2, codec="gvc", objects="movers", live=True, verify=verify
    )
    units = build_units(
        source, made.encoder, RateControl(made.params), unit_frames=made.unit_frames,
        eyes=made.eyes, verifier=made.verifier, backlog=lambda: 0,
    )  # fmt: skip
    out = list(units)
    source.close()
    return out, params.rate_bps * float(Fraction(4)) / 8


def test_each_unit_says_where_it_is_wrong_and_stays_within_the_rate() -> None:
    bps = 7000  # at 6000 the first unit's picture leaves no byte for it
    told, allowed = _built("sik-64", verify=True, bps=bps)
    maps = [u.unit.descriptors.truth for u in told]
    assert all(m is not None and len(m.pack()) <= MAX_TRUTH_BYTES for m in maps)
    assert sum(u.air_bytes for u in told) <= 1.1 * allowed
    bare, _ = _built("sik-64", verify=False, bps=bps)
    assert all(u.unit.descriptors.truth is None for u in bare)
    # The picture comes first: not a byte of it is given up for the map of the same unit.
    assert told[0].unit.keyframe == bare[0].unit.keyframe
    assert told[0].unit.features == bare[0].unit.features
