"""Marked pictures: what must hold of every one of them, whatever its size and marks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gvc_base.legend import legend_height_px, percent
from gvc_base.patterns import paint
from gvc_base.render import mark_share, overlay
from gvc_base.text import fit_text, text_width_px, wrap_text
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.marks import AGE_UNKNOWN_MS, TILE_PX, Mark, tile_grid

SIZES = [(480, 854), (192, 256), (48, 64), (720, 1280), (50, 94), (36, 20), (2, 2)]


def scene(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth blobs and some noise, uint8[H, W, 3]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = rng.integers(0, 12, smooth.shape, np.uint8)
    return np.asarray(cv2.add(smooth, noise), np.uint8)


def marks(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    grid = tile_grid(height, width)
    return np.random.default_rng(seed).integers(0, len(Mark), grid, np.uint8)


def frame(pixels: NDArray[np.uint8], mark: NDArray[np.uint8], age_ms: int = 1500) -> DecodedFrame:
    age = np.where(mark == Mark.RECEIVED, 0, age_ms).astype(np.uint16)
    p_wrong = np.zeros(mark.shape, np.float16)
    return DecodedFrame(
        frame_no=7, unit_no=1, pixels=pixels, mark=mark, age_ms=age, p_wrong=p_wrong
    )


def to_px(mark: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    return mark.repeat(TILE_PX, axis=0).repeat(TILE_PX, axis=1)[:height, :width]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_received_tiles_are_untouched_and_the_input_too(height: int, width: int) -> None:
    pixels, mark = scene(height, width), marks(height, width)
    before = pixels.copy()
    out = paint(pixels, mark)
    received = to_px(mark, height, width) == Mark.RECEIVED
    assert np.array_equal(out[received], pixels[received])
    assert np.array_equal(pixels, before)
    assert not np.shares_memory(out, pixels)


@pytest.mark.parametrize(("height", "width"), [s for s in SIZES if min(s) >= TILE_PX])
@pytest.mark.parametrize("level", [0, 40, 128, 215, 255])
def test_no_single_tile_hides_its_mark(height: int, width: int, level: int) -> None:
    """On black, grey and white: each whole tile that was not received shows a clear change."""
    pixels = np.full((height, width, 3), level, np.uint8)
    mark = marks(height, width, seed=level)
    change = np.abs(paint(pixels, mark).astype(int) - level).max(axis=2)
    rows, cols = height // TILE_PX, width // TILE_PX
    cut = change[: rows * TILE_PX, : cols * TILE_PX]
    per_tile = cut.reshape(rows, TILE_PX, cols, TILE_PX).max(axis=(1, 3))
    hidden = mark[:rows, :cols] != Mark.RECEIVED
    assert per_tile[hidden].min() >= 40


@pytest.mark.parametrize("mark", [Mark.CARRIED, Mark.ENHANCED])
@pytest.mark.parametrize(("height", "width"), [(192, 256), (480, 854), (1080, 1920)])
def test_a_picture_under_a_sparse_pattern_stays_readable(
    mark: Mark, height: int, width: int
) -> None:
    pixels = scene(height, width)
    out = paint(pixels, np.full(tile_grid(height, width), mark, np.uint8))
    untouched = np.mean(np.all(out == pixels, axis=2))
    assert untouched > 0.6
    before, after = (cv2.cvtColor(p, cv2.COLOR_BGR2GRAY) for p in (pixels, out))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.8
    before, after = (cv2.GaussianBlur(p, (0, 0), 3) for p in (before, after))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("level", [20, 128, 235])
def test_shapes_differ_without_colour(level: int) -> None:
    """In grey, with brightness and contrast taken away, no pattern looks like another."""
    shapes = []
    for mark in list(Mark)[1:]:
        pixels = np.full((96, 96, 3), level, np.uint8)
        out = paint(pixels, np.full(tile_grid(96, 96), mark, np.uint8))
        grey = cv2.cvtColor(out, cv2.COLOR_BGR2GRAY).astype(float)
        spectrum = np.abs(np.fft.fft2(grey - grey.mean()))
        shapes.append(spectrum / np.linalg.norm(spectrum))
    likeness = np.array([[np.sum(a * b) for b in shapes] for a in shapes])
    assert np.all(np.diag(likeness) > 0.999)
    assert np.max(likeness - np.eye(len(shapes))) < 0.8


def test_lost_is_dark_and_without_colour() -> None:
    pixels = scene(96, 96)
    out = paint(pixels, np.full(tile_grid(96, 96), Mark.LOST, np.uint8))
    assert np.array_equal(out[..., 0], out[..., 1]) and np.array_equal(out[..., 1], out[..., 2])
    assert np.median(out) < 0.6 * np.median(pixels)


@pytest.mark.parametrize(("height", "width"), [*SIZES, (1080, 1920), (1920, 1080), (480, 40)])
def test_overlay_fits_every_size(height: int, width: int) -> None:
    pixels, mark = scene(height, width), marks(height, width)
    out = overlay(frame(pixels, mark), status="link up, unauthenticated")
    strip = legend_height_px(height, width)
    assert out.shape == pixels.shape and out.dtype == np.uint8
    assert strip <= 0.25 * height
    above = height - strip
    assert np.array_equal(out[:above], paint(pixels, mark)[:above])
    if strip:
        assert not np.array_equal(out[above:], paint(pixels, mark)[above:])
    if height >= 192 and width >= 256:
        assert 0 < strip <= 0.17 * height


def test_the_legend_says_what_the_frame_is_made_of() -> None:
    """Other shares, ages and status give another strip; the same frame gives the same one."""
    pixels = np.zeros((480, 854, 3), np.uint8)
    grid = tile_grid(480, 854)
    carried = np.full(grid, Mark.CARRIED, np.uint8)
    some = carried.copy()
    some[0, 0] = Mark.RECEIVED
    strips = [
        overlay(frame(pixels, mark, age_ms=age), status=status)[-legend_height_px(480, 854) :]
        for mark, age, status in (
            (carried, 1500, ""), (some, 1500, ""), (carried, 9900, ""), (carried, 1500, "link down"),
            (carried, AGE_UNKNOWN_MS, ""), (np.full(grid, Mark.LOST, np.uint8), 1500, ""),
        )
    ]  # fmt: skip
    for i, a in enumerate(strips):
        for b in strips[i + 1 :]:
            assert not np.array_equal(a, b)
    again = overlay(frame(pixels, carried))[-legend_height_px(480, 854) :]
    assert np.array_equal(again, strips[0])


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 80), width=st.integers(1, 80))
@settings(max_examples=50, deadline=None)
def test_shares_sum_to_one(seed: int, height: int, width: int) -> None:
    mark = marks(height, width, seed)
    share = mark_share(frame(np.zeros((height, width, 3), np.uint8), mark))
    assert list(share) == list(Mark)
    assert abs(sum(share.values()) - 1) < 1e-9
    for m in Mark:
        assert share[m] == np.mean(mark == m)


@given(share=st.floats(0, 1))
def test_percent_never_rounds_to_none_or_all(share: float) -> None:
    text = percent(share)
    assert (text == "0%") == (share == 0)
    assert (text == "100%") == (share == 1)


@given(text=st.text(max_size=60), room=st.integers(0, 300), cap=st.integers(7, 24))
@settings(max_examples=100, deadline=None)
def test_text_fits_its_room(text: str, room: int, cap: int) -> None:
    fitted, size = fit_text(text, cap, room)
    assert not fitted or text_width_px(fitted, size) <= room
    lines = wrap_text(text, cap, max(60, room))
    assert all(text_width_px(line, cap) <= max(60, room) for line in lines)
