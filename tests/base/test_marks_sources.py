"""Which received bytes each tile was made from; low resolution never passes for received pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from gvc_base.decoders.gvc import SPEC, GvcDecoder
from gvc_base.marks.sources import Sources
from gvc_base.regions import paste
from gvc_edge.codecs import av1
from gvc_protocol.codec import DecodedFrame, PartData, ReceivedUnit
from gvc_protocol.gvc1 import GvcUnit, Patch, picture_offset, read_unit
from gvc_protocol.marks import Mark, SourcePart
from tests.base.test_gvc_decoder import (
    FRAMES,
    HEIGHT,
    SPAN,
    STEP,
    WIDTH,
    Grey,
    ground,
    patch_of,
    preview,
    received,
    unit,
    with_patches,
)

__all__ = ["unit"]

BOOT = 77
HERE = replace(SPAN, boot_id=BOOT)
PATCH = np.s_[4:12, 8:16]


def coarse_patch(true: np.ndarray, offset: int, x: int, y: int) -> Patch:
    """64 by 64 pixels at half size."""
    small = cv2.resize(true[y : y + 64, x : x + 64], (64, 64), interpolation=cv2.INTER_AREA)
    small = cv2.copyMakeBorder(
        cv2.resize(small, (32, 32), interpolation=cv2.INTER_AREA),
        0,
        32,
        0,
        32,
        cv2.BORDER_REPLICATE,
    )
    obus = av1.encode([av1.i420(small)], crf=10, fps=Fraction(1), still=True)[0]
    return Patch(offset=offset, x=x, y=y, width=64, height=64, scale=2, obus=obus)


def decoders() -> Iterator[GvcDecoder]:
    yield preview()
    yield GvcDecoder(SPEC, "standard", Grey())


def consistent(frame: DecodedFrame) -> None:
    """What holds for every frame, whatever was lost."""
    none = frame.source_part == SourcePart.NONE
    assert np.array_equal(none, frame.source_unit == -1)
    assert (frame.source_boot[~none] == BOOT).all()
    about_received = np.isin(frame.mark, (Mark.RECEIVED, Mark.CARRIED))
    assert (frame.source_part[about_received] == SourcePart.PATCH).all()
    assert (frame.source_part[frame.mark == Mark.ENHANCED] != SourcePart.PATCH).all()


def test_each_picture_names_the_part_it_travelled_in(unit: GvcUnit) -> None:
    keyframe, _ = unit.pack()
    back = read_unit(PartData(ranges=((0, keyframe),), complete=True), received(unit).features)
    assert back is not None
    in_k = {picture_offset(p.display, STEP, FRAMES - 1) for p in back.pictures if p.in_keyframe}
    for decoder in decoders():
        shown = list(decoder.decode(received(unit, number=5), HERE))
        for frame in shown:
            consistent(frame)
            assert (frame.source_unit == 5).all()
            if frame.frame_no % STEP == 0 or frame.frame_no == FRAMES - 1:
                early = frame.frame_no in in_k
                expected = SourcePart.KEYFRAME if early else SourcePart.FEATURES
                assert (frame.source_part == expected).all(), frame.frame_no
        assert in_k and len(in_k) < 9


def test_a_patch_is_named_where_its_pixels_are_and_nowhere_else(unit: GvcUnit) -> None:
    for decoder in decoders():
        parts = received(with_patches(unit, patch_of(ground()[12], 12, 64, 32)), number=3)
        shown = list(decoder.decode(parts, HERE))
        for frame in shown:
            consistent(frame)
        assert (shown[12].source_part[PATCH] == SourcePart.PATCH).all()
        outside = np.ones_like(shown[12].mark, np.bool_)
        outside[PATCH] = False
        assert not (shown[12].source_part[outside] == SourcePart.PATCH).any()
        assert (shown[14].mark == Mark.CARRIED).any(), "the patch moves on"


def test_what_is_held_still_names_its_unit_and_nothing_names_nothing(unit: GvcUnit) -> None:
    for decoder in decoders():
        first = list(decoder.decode(ReceivedUnit(unit_no=0), HERE))
        for frame in first:
            consistent(frame)
            assert (frame.source_unit == -1).all()
        later = replace(HERE, first_frame=FRAMES)
        shown = list(decoder.decode(received(unit, number=1), later))
        lost = replace(HERE, first_frame=2 * FRAMES)
        parts = np.unique(shown[-1].source_part)
        for i, frame in enumerate(decoder.decode(ReceivedUnit(unit_no=2), lost)):
            consistent(frame)
            assert (frame.mark == Mark.LOST).all()
            # The camera goes on to the right, two pixels a frame: nothing was received from there.
            nothing = frame.source_unit == -1
            assert not nothing[:, : -2 * (i + 1) // 8 - 2].any()
            assert (frame.source_unit[~nothing] == 1).all()
            assert nothing.any() or i < 9 or decoder.label.endswith("grey")
            assert np.isin(frame.source_part[~nothing], parts).all()


def test_whatever_is_lost_the_books_agree(unit: GvcUnit) -> None:
    patched = with_patches(unit, patch_of(ground()[6], 6, 64, 32), patch_of(ground()[20], 20, 8, 8))
    _, features = patched.pack()
    rng = np.random.default_rng(5)
    for _ in range(10):
        start = int(rng.integers(0, len(features)))
        gone = range(start, min(len(features), start + int(rng.integers(1, len(features)))))
        for frame in preview().decode(received(patched, gone, number=4), HERE):
            consistent(frame)


def test_a_low_resolution_patch_is_not_received_even_over_received_pixels(unit: GvcUnit) -> None:
    both = with_patches(
        unit, patch_of(ground()[12], 12, 64, 32), coarse_patch(ground()[15], 15, 64, 32)
    )
    for decoder in decoders():
        shown = list(decoder.decode(received(both), HERE))
        assert (shown[12].mark[PATCH] == Mark.RECEIVED).all()
        inner = np.s_[5:11, 9:15]
        for frame in shown[15:]:
            assert not np.isin(frame.mark[inner], (Mark.RECEIVED, Mark.CARRIED)).any(), (
                frame.frame_no
            )


@pytest.mark.parametrize("coarse", [False, True])
def test_pixels_that_were_asked_for_name_the_message(unit: GvcUnit, coarse: bool) -> None:
    from gvc_base.decoders.gvc_parts import place_patch

    frame = list(preview().decode(received(unit, number=6), HERE))[9]
    made = coarse_patch if coarse else patch_of
    placed = place_patch(made(ground()[9], 9, 64, 32), HERE)
    assert placed is not None
    shown = paste(frame, [placed], 9, BOOT)
    assert (shown.source_part[PATCH] == SourcePart.ANSWER).all()
    assert (shown.source_unit[PATCH] == 6).all() and (shown.source_boot[PATCH] == BOOT).all()
    assert (shown.mark[PATCH] == (Mark.ENHANCED if coarse else Mark.RECEIVED)).all()
    if not coarse:
        assert shown.p_wrong[PATCH].max() < 0.05
    assert not (shown.source_part[12:] == SourcePart.ANSWER).any()
    assert paste(frame, [placed], 8, BOOT) is frame


def test_the_table_grows_and_keeps_its_numbers() -> None:
    sources = Sources()
    numbers = [sources.number(1, unit_no, SourcePart.FEATURES) for unit_no in range(500)]
    assert numbers == [sources.number(1, unit_no, SourcePart.FEATURES) for unit_no in range(500)]
    assert len(set(numbers)) == 500 and 0.0 not in numbers
    origin = np.full((HEIGHT // 4, WIDTH // 4), numbers[321], np.float32)
    carried = np.zeros((HEIGHT // 8, WIDTH // 8), np.bool_)
    unit_no, boot, part = sources.grids(origin, None, carried, (WIDTH, HEIGHT))
    assert (unit_no == 321).all() and (boot == 1).all() and (part == SourcePart.FEATURES).all()
