"""VVC pictures under loss: what comes out is exact, nothing raises, nothing large is allocated."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_base.decoders.av1 import decode_units
from gvc_base.decoders.vvc import decode_access_units
from gvc_edge.codecs import av1, vvc

WIDTH, HEIGHT, COUNT = 128, 64, 70


def scene() -> list[np.ndarray]:
    """A textured ground that glides by, with noise: every picture has a residual of its own."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 255, (HEIGHT // 4, WIDTH, 3), np.uint8)
    ground = cv2.resize(coarse, (WIDTH * 3, HEIGHT), interpolation=cv2.INTER_CUBIC)
    shown = [ground[:, 2 * i : 2 * i + WIDTH].astype(int) for i in range(COUNT)]
    noisy = [s + rng.normal(0, 6, s.shape) for s in shown]
    return [np.ascontiguousarray(n.clip(0, 255), np.uint8) for n in noisy]


@pytest.fixture(scope="module", params=[22, 38])
def stream(request: pytest.FixtureRequest) -> vvc.Stream:
    """Three groups of pictures, so that the later ones refer across a border."""
    planes = [av1.i420(p) for p in scene()]
    return vvc.encode(planes, qp=request.param, fps=Fraction(10), preset="faster")


def decode(
    stream: vvc.Stream, lost: frozenset[int] = frozenset(), side: int = 256
) -> dict[int, np.ndarray]:
    places, _ = vvc.display_order(stream)
    units = [(p, u.body) for p, u in zip(places, stream.units, strict=True)]
    kept = [unit for i, unit in enumerate(units) if i not in lost]
    pictures = decode_access_units(stream.parameter_sets, kept, width=side, height=side)
    assert [place for place, _ in pictures] == sorted({place for place, _ in pictures})
    return dict(pictures)


def test_all_come_out_in_their_places(stream: vvc.Stream) -> None:
    got = decode(stream)
    assert sorted(got) == list(range(COUNT))
    for place, true in enumerate(scene()):
        errors = [np.abs(got[i].astype(int) - true).mean() for i in (max(0, place - 3), place)]
        assert errors[1] <= errors[0]


def test_any_loss_leaves_exact_pictures_only(stream: vvc.Stream) -> None:
    exact = decode(stream)
    rng = np.random.default_rng(6)
    for share in (0.02, 0.1, 0.3):
        for _ in range(6):
            lost = frozenset(int(i) for i in np.flatnonzero(rng.random(COUNT) < share))
            for place, picture in decode(stream, lost).items():
                assert np.array_equal(picture, exact[place])


def test_the_highest_layer_can_be_lost_alone(stream: vvc.Stream) -> None:
    top = max(u.layer for u in stream.units)
    lost = frozenset(i for i, u in enumerate(stream.units) if u.layer == top)
    assert len(decode(stream, lost)) == COUNT - len(lost)


def test_one_lost_picture_costs_those_above_it_and_no_more(stream: vvc.Stream) -> None:
    layers = [u.layer for u in stream.units]
    middle = next(i for i, layer in enumerate(layers) if layer == max(layers) - 1)
    assert len(decode(stream, frozenset({middle}))) >= COUNT - 1 - 2


def test_no_adaptation_sets_travel(stream: vvc.Stream) -> None:
    """They are what a decoder cannot know to be lost."""
    assert all(unit.body[1] >> 3 <= 11 for unit in stream.units)


def test_without_the_first_picture_or_the_sets_there_is_nothing(stream: vvc.Stream) -> None:
    assert decode(stream, frozenset({0})) == {}
    bodies = [(i, u.body) for i, u in enumerate(stream.units)]
    assert decode_access_units(b"", bodies, width=256, height=256) == []


def test_a_larger_picture_than_allowed_is_refused(stream: vvc.Stream) -> None:
    assert decode(stream, side=WIDTH - 8) == {}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2**32), st.integers(1, 255))
def test_damage_never_raises(stream: vvc.Stream, unit: int, at: int, flip: int) -> None:
    places, _ = vvc.display_order(stream)
    units = [(p, bytearray(u.body)) for p, u in zip(places, stream.units, strict=True)]
    body = units[unit % COUNT][1]
    body[at % len(body)] ^= flip
    sets = bytearray(stream.parameter_sets)
    sets[at % len(sets)] ^= flip
    for head in (stream.parameter_sets, bytes(sets)):
        whole = [(p, bytes(b)) for p, b in units[:8]]
        pictures = decode_access_units(head, whole, width=256, height=256)
        assert all(p.shape[0] <= 256 and p.shape[1] <= 256 for _, p in pictures)


@pytest.mark.parametrize(("width", "height"), [(856, 480), (136, 72), (640, 512)])
def test_a_picture_of_the_largest_size_that_is_accepted_comes_out(width: int, height: int) -> None:
    """The decoder allots more than the picture: its limit must not be taken for the picture's."""
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[height // 4 : height // 2, width // 4 : width // 2] = 200
    stream = vvc.encode([av1.i420(picture)] * 2, qp=32, fps=Fraction(10), preset="faster")
    places, _ = vvc.display_order(stream)
    units = [(p, u.body) for p, u in zip(places, stream.units, strict=True)]
    shown = decode_access_units(stream.parameter_sets, units, width=width, height=height)
    assert [p.shape for _, p in shown] == [picture.shape] * 2
    assert np.abs(shown[0][1].astype(int) - picture).mean() < 4
    coded = av1.encode([av1.i420(picture)], crf=40, fps=Fraction(1), still=True, preset=8)
    assert [p.shape for p in decode_units(coded, width=width, height=height)] == [picture.shape]
