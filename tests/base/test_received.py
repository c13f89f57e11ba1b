"""The view without the generator, stills of received pixels, how far a picture was from the truth."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gvc_base.decoders.gvc_parts import PlacedPatch
from gvc_base.received import Stills, received_only, received_still
from gvc_base.truth_score import EVENT, RunningScore, cut, read_scores, score_region, settled
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.errors import UserError
from gvc_protocol.marks import Mark
from gvc_protocol.truth import Alarm, AlarmKind, Truth

U8 = NDArray[np.uint8]


def picture(seed: int, height: int = 64, width: int = 96) -> U8:
    rough = np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return np.asarray(cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def frame(pixels: U8, *, received: bool = False, number: int = 0, unit: int = 0,
          plain: U8 | None = None, age: int = 0) -> DecodedFrame:  # fmt: skip
    mark = np.full((8, 12), Mark.REGENERATED, np.uint8)
    if received:
        mark[2:4, 3:6] = Mark.RECEIVED
    return DecodedFrame(
        frame_no=number, unit_no=unit, pixels=pixels, mark=mark, plain=plain, plain_age_ms=age,
        age_ms=np.zeros((8, 12), np.uint16), p_wrong=np.full((8, 12), 0.25, np.float16),
        truth=np.full((8, 12), Truth.VERIFIED, np.uint8),
    )  # fmt: skip


def test_no_made_up_pixel_is_in_the_received_only_view() -> None:
    made_up, low = np.full((64, 96, 3), 255, np.uint8), np.full((16, 24, 3), 40, np.uint8)
    told = np.full((8, 12), 7, np.int32)
    seen = received_only(replace(frame(made_up, received=True, plain=low), source_unit=told))
    area = np.zeros((64, 96), np.bool_)
    area[16:32, 24:48] = True
    assert (seen.pixels[area] == 255).all() and (seen.pixels[~area] == 40).all()
    assert set(np.unique(seen.mark)) == {Mark.RECEIVED, Mark.ENHANCED}
    assert seen.truth is None and not seen.alarms
    assert ((seen.source_unit == 7) == (seen.mark == Mark.RECEIVED)).all()
    assert (seen.source_unit[seen.mark != Mark.RECEIVED] == -1).all()


def test_an_old_coded_picture_counts_as_lost_and_none_is_grey() -> None:
    low = np.full((16, 24, 3), 40, np.uint8)
    old = received_only(frame(picture(1), plain=low, age=900))
    assert (old.mark == Mark.LOST).all() and (old.age_ms == 900).all()
    bare = received_only(frame(picture(1)))
    assert (bare.mark == Mark.LOST).all() and len(np.unique(bare.pixels)) == 1


def test_stills_hold_received_pixels_and_a_mask(tmp_path: Path) -> None:
    written: list[Path] = []
    stills = Stills(tmp_path / "stills", lambda path, _: written.append(path))
    low = picture(3, 32, 48)
    stills.take(frame(picture(1), number=0, unit=0, plain=low))
    stills.take(frame(picture(2), number=1, unit=0, received=True, plain=low))
    stills.take(frame(picture(2), number=2, unit=1, plain=low, age=40))
    stills.take(frame(picture(2), number=3, unit=1, plain=low))
    stills.finish()
    assert [p.name for p in written] == ["frame-000001.png", "frame-000003.png"]
    full = cv2.imread(str(written[0]))
    mask = cv2.imread(str(written[0].with_name("frame-000001_mask.png")), cv2.IMREAD_GRAYSCALE)
    assert full is not None and mask is not None and int((mask == 255).sum()) == 16 * 24
    assert not full[mask == 0].any() and np.array_equal(full[mask > 0], picture(2)[mask > 0])
    assert np.array_equal(cv2.imread(str(written[1])), low)
    assert received_still(frame(picture(1), plain=low, age=40)) is None


def test_the_truth_says_how_far_the_picture_had_been() -> None:
    true = picture(1)
    patch = PlacedPatch(offset=0, x=16, y=16, pixels=true[16:48, 16:64], full_size=True)
    same = score_region(frame(true), patch, 1, 0)
    other = score_region(frame(picture(2)), patch, 1, 0)
    assert same is not None and other is not None
    assert same.tiles == other.tiles == 24 and same.wrong == 0 and same.levels == 0
    assert other.wrong > 18 and other.levels > 10
    assert other.unmarked == other.wrong, "it had been called verified"
    assert same.expected == pytest.approx(6)
    low = PlacedPatch(offset=0, x=16, y=16, pixels=true[16:48, 16:64], full_size=False)
    assert score_region(frame(true), low, 1, 0) is None, "enlarged pixels are no truth"


def test_the_archive_keeps_the_running_score(tmp_path: Path) -> None:
    true = picture(1)
    patch = PlacedPatch(offset=0, x=16, y=16, pixels=true[16:48, 16:64], full_size=True)
    running, path = RunningScore(), tmp_path / "m.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE events (session_id, time_ns, kind, detail)")
        for seed in (1, 2, 3):
            score = score_region(frame(picture(seed)), patch, 1, seed)
            assert score is not None
            running.add(score)
            detail = json.dumps(score.as_json())
            db.execute("INSERT INTO events VALUES (1, 2, ?, ?)", (EVENT, detail))
            # Finer pixels of the same box: they take the place of the ones before.
            running.add(score)
            db.execute("INSERT INTO events VALUES (1, 3, ?, ?)", (EVENT, detail))
    assert running.figures()["regions"] == 3 and running.figures()["tiles"] == 72
    assert read_scores(path).figures() == running.figures() and "for 3 regions" in running.text()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE events SET detail = '{}'")
    with pytest.raises(UserError, match="cannot read"):
        read_scores(path)
    with pytest.raises(UserError, match="cannot read"):
        read_scores(tmp_path / "none.db")


def test_a_cut_has_the_marks_of_its_tiles() -> None:
    whole = replace(frame(picture(1), received=True), pixels=picture(4))
    made = cut(whole, (21, 18, 10, 10))
    assert made is not None
    part, x, y = made
    assert (x, y) == (16, 16) and np.array_equal(part.pixels, whole.pixels[16:32, 16:32])
    assert (part.mark[:, 0] == Mark.REGENERATED).all() and (part.mark[:, 1] == Mark.RECEIVED).all()
    assert cut(whole, (96, 0, 8, 8)) is None


def test_an_alarm_is_settled_by_the_truth() -> None:
    alarm = Alarm(kind=AlarmKind.UNCONFIRMED, x=20, y=20, width=8, height=8, why="", strength=1)
    away = replace(alarm, x=70)
    patch = PlacedPatch(offset=0, x=16, y=16, pixels=picture(1)[16:48, 16:64], full_size=True)
    before = replace(frame(picture(2)), alarms=(alarm, away))
    after = settled(before, [patch], 0)
    assert after.alarms == (away,) and after.truth is not None
    assert after.truth[3, 3] == Truth.UNTOLD and after.truth[0, 0] == Truth.VERIFIED
    assert settled(before, [patch], 1) is before
