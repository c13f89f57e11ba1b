"""What a decoder shows is held against what was received: fakes are alarmed, claims are withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gvc_base.alarms import WatchedDecoder, watch
from gvc_base.alarms.look import contradictions
from gvc_base.claims import claim_notes, draw_claims
from gvc_base.decoders.gvc_parts import CodedUnit, PlacedPatch
from gvc_base.render import overlay
from gvc_profiles.sight.detector import Found
from gvc_protocol.codec import (
    CodecId,
    CodecSpec,
    DecodedFrame,
    PartData,
    ReceivedUnit,
    UnitSpan,
)
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.gvc1 import GvcUnit
from gvc_protocol.marks import Mark, SourcePart, tile_grid
from gvc_protocol.objects import ObjectClass, Track, TrackPoint
from gvc_protocol.truth import AlarmKind, Proxy, Truth, TruthMap
from tests.base import test_gvc_decoder as gvc_decoder

unit = gvc_decoder.unit

U8 = NDArray[np.uint8]
WIDTH, HEIGHT = 480, 270
GRID = tile_grid(HEIGHT, WIDTH)
SPAN = UnitSpan(first_frame=0, frames=4, fps=Fraction(10), width=WIDTH, height=HEIGHT)
SPEC = CodecSpec(codec_id=CodecId.GVC, bitstream_version=1)
CAR = (200, 120, 40, 20)


def ground() -> U8:
    """Soft texture: nothing in it looks like an object."""
    noise = np.random.default_rng(5).integers(0, 255, (HEIGHT // 30, WIDTH // 30, 3), np.uint8)
    return np.asarray(cv2.resize(noise // 8 + 90, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))


def with_car(picture: U8, box: tuple[int, int, int, int] = CAR) -> U8:
    out = picture.copy()
    x, y, w, h = box
    out[y : y + h, x : x + w] = (230, 230, 235)
    out[y + 4 : y + h - 4, x + 8 : x + 16] = (30, 25, 20)
    return out


def sent(**records: object) -> ReceivedUnit:
    """A whole unit whose D holds these records."""
    d = Descriptors(
        codec_id=1, bitstream_version=1, weights_prefix=b"\0\0\0\0", capture_us=0, width=WIDTH,
        height=HEIGHT, fps=SPAN.fps, first_frame=0, frames=4, total_frames=4, **records,  # type: ignore[arg-type]
    )  # fmt: skip
    whole = PartData(complete=True)
    return ReceivedUnit(unit_no=0, descriptors=d, keyframe=whole, features=whole)


class Shows:
    """A decoder that received one picture and shows another."""

    def __init__(self, received: U8, shown: U8, mark: Mark = Mark.ENHANCED) -> None:
        self.spec, self.label, self._shown, self._mark = SPEC, "test", shown, mark
        self.evidence = CodedUnit(offsets=[0, 2], lows=[received, received])

    def decode(self, unit: ReceivedUnit, span: UnitSpan) -> Iterator[DecodedFrame]:
        for i in range(span.frames):
            yield DecodedFrame(
                frame_no=i, unit_no=0, pixels=self._shown, mark=np.full(GRID, self._mark, np.uint8),
                age_ms=np.zeros(GRID, np.uint16), p_wrong=np.zeros(GRID, np.float16),
            )  # fmt: skip


class ShowsOnce(Shows):
    """Shows the other picture at one frame alone."""

    def __init__(self, received: U8, shown: U8, at: int) -> None:
        super().__init__(received, received)
        self._once, self._at = shown, at

    def decode(self, unit: ReceivedUnit, span: UnitSpan) -> Iterator[DecodedFrame]:
        for frame in super().decode(unit, span):
            yield replace(frame, pixels=self._once) if frame.frame_no == self._at else frame


def track(box: tuple[int, int, int, int]) -> Track:
    points = tuple(
        TrackPoint(offset=i, x=box[0], y=box[1], width=box[2], height=box[3]) for i in (0, 3)
    )
    return Track(track_id=7, class_id=ObjectClass.VEHICLE, score_pct=90, points=points)


def first(received: U8, shown: U8, unit: ReceivedUnit, mark: Mark = Mark.ENHANCED) -> DecodedFrame:
    return next(iter(watch(Shows(received, shown, mark)).decode(unit, SPAN)))


def test_the_picture_as_received_is_no_alarm_and_keeps_the_claims() -> None:
    levels = np.zeros((9, 16), np.uint8)
    levels[0, :3] = 3
    levels[0, 1] = 2  # a little is wrong there, which may be a person
    levels[0, 3:6] = 1
    unit = sent(truth=TruthMap(proxy=Proxy.CODED, levels=levels[None]))
    frame = first(ground(), ground(), unit)
    assert not frame.alarms and frame.truth is not None
    assert (frame.truth[:3, :8] == Truth.KNOWN_WRONG).all()
    assert (frame.truth[5:, :] == Truth.VERIFIED).all()
    (note,) = claim_notes(frame)
    assert note.startswith("known wrong 3%, verified 9")


def test_a_doubtful_tile_carries_a_cross_and_no_other_does() -> None:
    frame = first(ground(), ground(), sent())
    p = np.full(GRID, 0.01, np.float16)
    p[5, 7] = p[9, 3] = 0.95
    mark = frame.mark.copy()
    mark[9, 3] = Mark.LOST  # which has crosses of its own
    frame = replace(frame, p_wrong=p, mark=mark)
    drawn = ground()
    draw_claims(drawn, frame)
    changed = np.argwhere((drawn != ground()).any(2)) // 8
    assert len(changed) >= 8 and {tuple(c) for c in changed.tolist()} == {(5, 7)}
    assert claim_notes(frame)[0].startswith("x doubtful 1%")


def test_where_all_is_doubtful_the_crosses_leave_room_for_the_picture() -> None:
    frame = first(ground(), ground(), sent())
    frame = replace(frame, p_wrong=np.full(GRID, 0.9, np.float16))
    drawn = ground()
    draw_claims(drawn, frame)
    changed = (drawn != ground()).any(2)
    assert 0.005 < changed.mean() < 0.03
    rows, columns = GRID[0] // 4, GRID[1] // 4
    blocks = changed[: rows * 32, : columns * 32].reshape(rows, 32, columns, 32)
    assert blocks.any((1, 3)).all(), "no place is without one"


def test_a_fake_in_the_picture_is_unconfirmed_and_no_longer_verified() -> None:
    unit = sent(truth=TruthMap(proxy=Proxy.CODED, levels=np.zeros((1, 9, 16), np.uint8)))
    frame = first(ground(), with_car(ground()), unit)
    assert [a.kind for a in frame.alarms] == [AlarmKind.UNCONFIRMED]
    (alarm,) = frame.alarms
    assert abs(alarm.x - CAR[0]) < 8 and abs(alarm.width - CAR[2]) < 16
    assert frame.truth is not None
    inside = frame.truth[CAR[1] // 8 + 1, CAR[0] // 8 + 2]
    assert inside == Truth.UNTOLD and (frame.truth[:4] == Truth.VERIFIED).all()


def test_a_speck_is_no_alarm_and_a_small_thing_is() -> None:
    """Some compared pixels differ by themselves now and then; a person is nine by five of them."""
    for size, alarmed in (((2, 2), False), ((5, 9), True)):
        fake = ground()
        fake[100 : 100 + size[1], 60 : 60 + size[0]] += 30
        frame = first(ground(), fake, sent())
        assert [a.kind for a in frame.alarms] == [AlarmKind.UNCONFIRMED] * alarmed


@pytest.mark.parametrize(("away", "alarmed"), [(9, False), (70, True)])
def test_what_was_received_and_moved_is_not_invented(away: int, alarmed: bool) -> None:
    """Between coded pictures the decoder may put a moving thing elsewhere than the comparison does."""
    x, y, w, h = CAR
    received = with_car(ground())
    shows = Shows(received, with_car(ground(), (x + away, y, w, h)))
    shows.evidence = CodedUnit(offsets=[1, 3], lows=[received, received])
    frames = list(watch(shows).decode(sent(), SPAN))
    kinds = {a.kind for a in frames[2].alarms}
    assert (AlarmKind.UNCONFIRMED in kinds) == alarmed
    # At a coded moment it has to stand where it was received.
    shows.evidence = CodedUnit(offsets=[0, 2], lows=[received, received])
    (at_once, *_) = watch(shows).decode(sent(), SPAN)
    assert AlarmKind.UNCONFIRMED in {a.kind for a in at_once.alarms}


def test_a_told_box_that_is_a_little_off_its_object_is_not_missed() -> None:
    x, y, w, h = CAR
    shown = ground()
    shown[y + h : y + h + 12, x : x + w] = 255  # an object, and the sender's box just above it
    assert not first(shown, shown, sent(tracks=(track(CAR),))).alarms
    away = (x, y - 30, w, h)
    frame = first(shown, shown, sent(tracks=(track(away),)))
    assert [a.kind for a in frame.alarms] == [AlarmKind.MISSED]


@pytest.mark.parametrize(("coded", "looked"), [((0, 4, 8), [0, 8]), ((0,), [0, 5, 10])])
def test_coded_pictures_are_looked_at_where_they_come_soon_enough(
    coded: tuple[int, ...], looked: list[int]
) -> None:
    """What is shown between two of them is moved from both; where none comes, time alone counts."""
    received = ground()
    for fake_at in range(12):
        shows = ShowsOnce(received, with_car(received), fake_at)
        shows.evidence = CodedUnit(offsets=list(coded), lows=[received] * len(coded))
        span = replace(SPAN, frames=12, fps=Fraction(30))
        alarmed = [f.frame_no for f in watch(shows).decode(sent(), span) if f.alarms]
        assert bool(alarmed) == (fake_at in looked)
        assert not alarmed or alarmed[0] == fake_at, "it holds until the next look"


def test_what_the_sender_told_of_is_no_fake() -> None:
    unit = sent(tracks=(track(CAR),))
    assert not first(ground(), with_car(ground()), unit).alarms


def test_a_lost_unit_that_goes_on_by_guess_is_no_alarm(unit: GvcUnit) -> None:
    """What is shown is the evidence moved as the decoder moved it, and stays so from unit to unit."""
    watched = watch(gvc_decoder.preview())
    list(watched.decode(gvc_decoder.received(unit), gvc_decoder.SPAN))
    shown = []
    for number in (1, 2, 3, 4):
        span = replace(gvc_decoder.SPAN, first_frame=number * gvc_decoder.FRAMES)
        shown += list(watched.decode(ReceivedUnit(unit_no=number), span))
    assert all((f.mark == Mark.LOST).all() and not f.alarms for f in shown)
    # It did go on, and no longer than a camera can be guessed.
    pictures = [f.pixels for f in shown]
    assert not np.array_equal(pictures[30], pictures[60])
    assert np.array_equal(pictures[-1], pictures[-5])


def test_a_true_pixel_is_no_alarm() -> None:
    assert not first(ground(), with_car(ground()), sent(), Mark.RECEIVED).alarms


def test_a_mover_that_vanished_is_drawn_with_its_received_pixels() -> None:
    unit = sent(tracks=(track(CAR),))
    frame = first(with_car(ground()), ground(), unit)
    (alarm,) = frame.alarms
    assert alarm.kind == AlarmKind.MISSED and alarm.track_id == 7 and alarm.chip is not None
    bare = overlay(replace(frame, alarms=()))
    drawn = overlay(frame)
    x, y, w, h = CAR
    area = np.s_[y + 2 : y + h - 2, x + 20 : x + w - 2]
    assert float(drawn[area].mean()) > 190 > float(bare[area].mean())
    assert "1 MISSED" in claim_notes(frame)


def test_a_told_object_that_nothing_shows_is_missed_even_where_nothing_was_received_of_it() -> None:
    frame = first(ground(), ground(), sent(tracks=(track(CAR),)))
    assert [(a.kind, a.why) for a in frame.alarms] == [(AlarmKind.MISSED, "contrast")]


@pytest.mark.parametrize("lost", ["features", "keyframe"])
def test_the_claim_is_withdrawn_where_packets_were_lost(lost: str) -> None:
    unit = sent(truth=TruthMap(proxy=Proxy.CODED, levels=np.full((1, 9, 16), 4, np.uint8)))
    broken = replace(unit, **{lost: PartData()})  # type: ignore[arg-type]
    assert not broken.whole
    frame = first(ground(), ground(), broken)
    assert frame.truth is not None and not frame.truth.any()


class _Finds:
    def detect(self, bgr: U8) -> list[Found]:
        x, y, w, h = CAR
        return [
            Found(class_id=ObjectClass.VEHICLE, score_pct=80, x=x, y=y, width=w, height=h),
            Found(class_id=ObjectClass.VEHICLE, score_pct=80, x=20, y=30, width=w, height=h),
        ]


def test_what_a_detector_finds_and_the_sender_did_not_is_unconfirmed() -> None:
    picture = with_car(ground())
    watched = WatchedDecoder(Shows(picture, picture), _Finds())
    frame = next(iter(watched.decode(sent(tracks=(track(CAR),)), SPAN)))
    assert [(a.kind, a.why, a.x) for a in frame.alarms] == [(AlarmKind.UNCONFIRMED, "detector", 20)]


def test_the_coded_picture_travels_with_its_age() -> None:
    low = np.asarray(cv2.resize(ground(), (WIDTH // 4, HEIGHT // 4)), np.uint8)
    frames = list(watch(Shows(low, ground())).decode(sent(), SPAN))
    assert [f.plain_age_ms for f in frames] == [0, 100, 0, 100]
    assert all(f.plain is low for f in frames)


@pytest.mark.parametrize(("levels", "told"), [(22, True), (18, False)])
def test_a_small_figure_is_missed_by_its_peak_and_sized_at_the_lower_level(
    levels: int, told: bool
) -> None:
    empty = np.full((HEIGHT, WIDTH), 100, np.uint8)
    figure = empty.copy()
    figure[60, 80:83] += np.uint8(levels)
    mark = np.full(GRID, Mark.ENHANCED, np.uint8)
    found = contradictions(figure, empty, mark, [], (WIDTH, HEIGHT), coded=False)
    # One pixel of three stands out by more than the frames between coded pictures are asked for.
    assert [a.kind for a in found] == [AlarmKind.MISSED] * told


class ShowsChip(Shows):
    """One coded picture of the ground; after it a chip is shown where its track says."""

    def __init__(self, fake: bool) -> None:
        super().__init__(ground(), ground())
        cut = with_car(ground())[112:152, 184:256].copy()
        patch = PlacedPatch(offset=0, x=184, y=112, pixels=cut, full_size=True)
        self.evidence = CodedUnit(offsets=[0], lows=[ground()], patches=[patch])
        self._chip = np.full_like(cut, 20) if fake else cut

    def decode(self, unit: ReceivedUnit, span: UnitSpan) -> Iterator[DecodedFrame]:
        for frame in super().decode(unit, span):
            x, part = 184 + 24 * frame.frame_no, np.zeros(GRID, np.uint8)
            shown, mark = frame.pixels.copy(), frame.mark.copy()
            shown[112:152, x : x + 72] = self._chip
            part[14:19, x // 8 : x // 8 + 9] = SourcePart.PATCH
            mark[part > 0] = Mark.CARRIED
            yield replace(frame, pixels=shown, mark=mark, source_part=part)


@pytest.mark.parametrize("fake", [False, True])
def test_a_chip_on_its_way_is_held_against_the_chip_that_came(fake: bool) -> None:
    """It is no part of the picture that moves as the ground does; something else there is alarmed."""
    here = TrackPoint(offset=0, x=CAR[0], y=CAR[1], width=CAR[2], height=CAR[3])
    moves = replace(track(CAR), points=(here, replace(here, offset=3, x=CAR[0] + 72)))
    frames = list(watch(ShowsChip(fake)).decode(sent(tracks=(moves,)), SPAN))
    assert bool(frames[3].alarms) is fake
