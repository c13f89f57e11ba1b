"""Pictures that are made smaller, cut out or moved on their way to the console keep their marks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gvc_base.console.layers import _half
from gvc_base.decoders.gvc_parts import place_patch
from gvc_base.replay.regions import ReplayRegions
from gvc_base.station.objects import _chip
from gvc_base.station.playout import Scene
from gvc_edge.regions import encode_layer
from gvc_protocol.codec import DecodedFrame, UnitSpan
from gvc_protocol.gvc1 import Patch
from gvc_protocol.marks import Mark, SourcePart, tile_grid
from gvc_protocol.messages import RegionAnswer
from gvc_protocol.motion_path import ControlPoint, MotionPath
from gvc_protocol.objects import Track, TrackPoint
from gvc_protocol.truth import Alarm, AlarmKind, Truth

U8 = NDArray[np.uint8]
WIDTH, HEIGHT = 192, 120
BOX = (32, 32, 64, 64)
SHIFT_PX = 8


@pytest.fixture(scope="module")
def picture() -> U8:
    rough = np.random.default_rng(5).integers(0, 255, (HEIGHT // 12, WIDTH // 12, 3), np.uint8)
    return np.asarray(cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture(scope="module")
def patches(picture: U8) -> dict[int, Patch]:
    """The box at full and at half size, by scale."""
    made = {
        scale: encode_layer(picture, BOX, offset=0, scale=scale, crf=6.0, most_bytes=1 << 16)
        for scale in (1, 2)
    }
    return {scale: patch for scale, patch in made.items() if patch is not None}


def frame(pixels: U8, *, unit_no: int = 0, frame_no: int = 0) -> DecodedFrame:
    grid = tile_grid(*pixels.shape[:2])
    return DecodedFrame(
        frame_no=frame_no, unit_no=unit_no, pixels=pixels, mark=np.full(grid, Mark.ENHANCED, np.uint8),
        age_ms=np.zeros(grid, np.uint16), p_wrong=np.full(grid, 0.25, np.float16),
        truth=np.full(grid, Truth.VERIFIED, np.uint8), source_unit=np.full(grid, unit_no, np.int32),
        source_boot=np.full(grid, 3, np.uint16),
        source_part=np.full(grid, SourcePart.FEATURES, np.uint8),
    )  # fmt: skip


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (104, 184), (100, 180)])
def test_a_picture_of_half_size_is_no_more_trusted_than_its_tiles(size: tuple[int, int]) -> None:
    """Sizes of an even and of an odd number of tiles, and of cut ones."""
    rng = np.random.default_rng(2)
    whole = frame(np.zeros((*size, 3), np.uint8))
    rows, columns = grid = whole.mark.shape
    alarm = Alarm(kind=AlarmKind.MISSED, x=50, y=33, width=1, height=21, why="chip", strength=2)
    whole = replace(
        whole, mark=rng.integers(0, 5, grid, np.uint8), age_ms=rng.integers(0, 900, grid, np.uint16),
        p_wrong=rng.random(grid).astype(np.float16), alarms=(alarm,),
        truth=rng.choice(np.array([0, 1, 1, 1, 1, 1, 1, 2], np.uint8), grid),
    )  # fmt: skip
    half = _half(whole)
    assert half.truth is not None and whole.truth is not None
    claims = set()
    for row, column in np.ndindex(half.mark.shape):
        mine = np.s_[2 * row : min(rows, 2 * row + 2), 2 * column : min(columns, 2 * column + 2)]
        assert half.mark[row, column] == whole.mark[mine].max()
        assert half.age_ms[row, column] == whole.age_ms[mine].max()
        assert half.p_wrong[row, column] == whole.p_wrong[mine].max()
        said = set(whole.truth[mine].ravel().tolist())
        one = said == {Truth.VERIFIED}
        wanted = Truth.KNOWN_WRONG if Truth.KNOWN_WRONG in said else Truth(one * Truth.VERIFIED)
        assert half.truth[row, column] == wanted
        claims.add(wanted)
    assert claims == set(Truth), "the case shows nothing"
    (small,) = half.alarms
    assert (small.x, small.y, small.width, small.height) == (25, 16, 1, 10)
    assert (small.kind, small.strength) == (alarm.kind, alarm.strength)


def test_an_enlarged_chip_says_so_and_a_true_one_is_clean(
    picture: U8, patches: dict[int, Patch]
) -> None:
    x, y, w, h = BOX
    at = TrackPoint(offset=0, x=x + 4, y=y + 4, width=w - 8, height=h - 8)
    track = Track(track_id=1, class_id=1, score_pct=80, points=(at,))

    def chip(scale: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """As it is listed, and as it was decoded."""
        png, placed = _chip([patches[scale]], track), place_patch(patches[scale])
        assert png is not None and placed is not None
        shown = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert shown is not None and shown.shape == (h, w, 3)
        return shown.astype(np.int64), placed.pixels.astype(np.int64)

    assert np.array_equal(*chip(1)), "true pixels, nothing drawn on them"
    shown, decoded = chip(2)
    drawn = np.abs(shown - decoded).max(axis=2) > 30
    assert 0.02 < drawn.mean() < 0.5, "the lines of the mark: enhanced"
    assert drawn[: h // 2].any() and drawn[h // 2 :].any()
    away = replace(track, points=(replace(at, x=120),))
    assert _chip(list(patches.values()), away) is None, "pixels of another place"


def test_pixels_that_were_moved_here_say_where_they_came_from(
    picture: U8, patches: dict[int, Patch]
) -> None:
    span = UnitSpan(
        first_frame=0, frames=10, fps=Fraction(10), width=WIDTH, height=HEIGHT, boot_id=3
    )
    path = MotionPath(points=(ControlPoint(offset=9, corners=(8 * SHIFT_PX, 0) * 4),))
    changed: list[None] = []
    regions = ReplayRegions(Path("unused.db"), lambda: changed.append(None))
    regions.note_unit(3, 7, span, path)
    answer = RegionAnswer(
        command_id=1, boot_id=3, unit_no=7, layer=2, last=True, patch=patches[1].pack()
    )
    regions.write(answer)
    assert changed
    # The same place nine frames later, soft; one tile of it shows something else now.
    now = np.roll(picture, SHIFT_PX, axis=1)
    soft = np.asarray(cv2.GaussianBlur(now, (0, 0), 1.5), np.uint8)
    soft[56:64, 64:72] = 255 - soft[56:64, 64:72]
    before = frame(soft, unit_no=7, frame_no=9)
    before.mark[5, 5], before.source_unit[5, 5] = Mark.RECEIVED, 6
    scene = Scene(frame=before, boot_id=3, fps=Fraction(10), offset=9)
    made = regions.apply(scene).frame
    moved = np.s_[4:12, 5:13]  # the box, a tile to the right
    put = made.mark == Mark.CARRIED
    assert put[moved].mean() > 0.8 and put.sum() == put[moved].sum()
    assert not put[7, 8] and not put[5, 5], "what has changed, and what was received, stays"
    assert (made.age_ms[put] == 900).all() and (made.source_unit[put] == 7).all()
    assert (made.source_boot[put] == 3).all() and (made.source_part[put] == SourcePart.ANSWER).all()
    assert made.truth is not None and (made.truth[put] == Truth.UNTOLD).all()
    for name in ("mark", "age_ms", "p_wrong", "source_unit", "source_part", "truth"):
        same = getattr(made, name)[~put] == getattr(before, name)[~put]
        assert same.all(), name
    sharp = np.abs(made.pixels.astype(int) - now).mean(axis=2)[40:48, 64:72]
    assert put[5, 8] and sharp.mean() < 6, "the true pixels are there"
    # Of another start of the camera nothing is known: nothing is moved there.
    assert regions.apply(replace(scene, boot_id=4)).frame is before
