"""Codec 1's decoder: every frame of the span, marked; what is decoded is exact; nothing raises."""

from __future__ import annotations

import pickle
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_base.decoders.gvc import SPEC, GvcDecoder
from gvc_base.decoders.vvc import decode_access_units
from gvc_base.neural.layout import PLANES, TEXTURE_BANDS
from gvc_base.neural.runtime import make_restorer
from gvc_base.workers.session import DecoderPlan, DecodeSession
from gvc_edge.codecs import av1, vvc
from gvc_protocol.codec import DecodedFrame, PartData, Quality, ReceivedUnit, UnitSpan
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.gvc1 import GvcUnit, Patch, Picture, Tool, decodable, read_unit
from gvc_protocol.marks import Mark
from gvc_protocol.motion_path import ControlPoint, MotionPath
from gvc_protocol.objects import Track, TrackPoint

WIDTH, HEIGHT, FRAMES, STEP = 256, 128, 25, 3
SPAN = UnitSpan(first_frame=0, frames=FRAMES, fps=Fraction(30), width=WIDTH, height=HEIGHT)


def ground(count: int = FRAMES) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    coarse = rng.integers(30, 220, (HEIGHT // 8, WIDTH // 4), np.uint8)
    grey = cv2.resize(coarse, (WIDTH * 2, HEIGHT), interpolation=cv2.INTER_CUBIC)
    wide = cv2.merge([grey] * 3)
    return [np.ascontiguousarray(wide[:, 2 * i : 2 * i + WIDTH]) for i in range(count)]


@pytest.fixture(scope="module")
def unit() -> GvcUnit:
    """Nine pictures of VVC at half size."""
    offsets = [*range(0, FRAMES - 1, STEP), FRAMES - 1]
    shown = [av1.reduce(ground()[i], WIDTH // 2, HEIGHT // 2) for i in offsets]
    stream = vvc.encode([av1.i420(p) for p in shown], qp=30, fps=Fraction(10), preset="faster")
    places, _ = vvc.display_order(stream)
    pictures = tuple(
        Picture(layer=u.layer, display=place, body=u.body)
        for u, place in zip(stream.units, places, strict=True)
    )
    return GvcUnit(
        tool=Tool.VVC, step=STEP, last=FRAMES - 1, width=WIDTH // 2, height=HEIGHT // 2,
        pictures=pictures, parameter_sets=stream.parameter_sets,
    )  # fmt: skip


def descriptors(**fields: object) -> Descriptors:
    return Descriptors(
        codec_id=1, bitstream_version=1, capture_us=0, width=WIDTH, height=HEIGHT,
        fps=Fraction(30), first_frame=0, frames=FRAMES, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def received(
    unit: GvcUnit, lost: range = range(0), d: Descriptors | None = None, number: int = 0
) -> ReceivedUnit:
    """The unit with a range of F's bytes gone."""
    keyframe, features = unit.pack()
    ranges = ((0, features[: lost.start]), (lost.stop, features[lost.stop :]))
    if not lost:
        ranges = ((0, features),)
    part = PartData(ranges=tuple(r for r in ranges if r[1]), complete=not lost)
    whole = PartData(ranges=((0, keyframe),), complete=True)
    return ReceivedUnit(unit_no=number, descriptors=d, keyframe=whole, features=part)


def preview() -> GvcDecoder:
    return GvcDecoder(SPEC, "preview", None)


class Grey:
    """A network that paints everything grey with strong texture: whatever it touches is seen."""

    label = "grey"

    def restore(
        self, current: np.ndarray, ahead: np.ndarray, memory: np.ndarray, planes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, columns = -(-current.shape[0] // 4), -(-current.shape[1] // 4)
        assert ahead.shape == memory.shape == current.shape
        assert planes.shape == (PLANES, rows, columns) and np.isfinite(planes).all()
        texture = np.full((TEXTURE_BANDS, rows, columns), 0.05, np.float32)
        return np.full_like(current, 128), np.zeros((rows, columns), np.float32), texture


class Counting(Grey):
    calls = 0

    def restore(
        self, current: np.ndarray, ahead: np.ndarray, memory: np.ndarray, planes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.calls += 1
        return super().restore(current, ahead, memory, planes)


def test_all_frames_come_close_to_the_source(unit: GvcUnit) -> None:
    shown = list(preview().decode(received(unit), SPAN))
    assert [f.frame_no for f in shown] == list(range(FRAMES))
    for frame, true in zip(shown, ground(), strict=True):
        error = np.abs(frame.pixels[:, 8:-8].astype(int) - true[:, 8:-8]).mean()
        assert error < 12, f"frame {frame.frame_no} is off by {error:.1f} levels"
        assert (frame.mark == Mark.ENHANCED).mean() > 0.7


def test_what_is_decoded_is_exact(unit: GvcUnit) -> None:
    keyframe, features = unit.pack()
    every = [(p.display, p.body) for p in unit.pictures]
    exact = dict(decode_access_units(unit.parameter_sets, every, width=WIDTH, height=HEIGHT))
    assert len(exact) == len(unit.pictures)
    rng = np.random.default_rng(4)
    for _ in range(12):
        start = int(rng.integers(0, len(features)))
        gone = range(start, min(len(features), start + int(rng.integers(1, len(features) // 2))))
        back = read_unit(
            PartData(ranges=((0, keyframe),), complete=True),
            received(unit, gone).features,
        )
        assert back is not None
        sure = decodable(back)
        kept = [
            (p.display, p.body) for p, ok in zip(back.pictures, sure, strict=True) if ok and p.body
        ]
        got = decode_access_units(unit.parameter_sets, kept, width=WIDTH, height=HEIGHT)
        assert {place for place, _ in got} <= {place for place, _ in kept}
        assert all(np.array_equal(picture, exact[place]) for place, picture in got)


def test_with_f_lost_the_lowest_layer_still_moves(unit: GvcUnit) -> None:
    _, features = unit.pack()
    shown = list(preview().decode(received(unit, range(len(features))), SPAN))
    assert len(shown) == FRAMES
    shares = [float((f.mark != Mark.LOST).mean()) for f in shown]
    assert max(shares) == 1.0


def test_nothing_at_all_is_lost_and_says_so() -> None:
    shown = list(preview().decode(ReceivedUnit(unit_no=0), SPAN))
    assert len(shown) == FRAMES
    assert all((f.mark == Mark.LOST).all() for f in shown)


def test_a_lost_unit_moves_by_the_path_that_came(unit: GvcUnit) -> None:
    decoder = preview()
    list(decoder.decode(received(unit), SPAN))
    corners = (-2 * 8 * 20, 0) * 4  # 40 px to the left over 20 frames
    path = MotionPath(points=(ControlPoint(offset=20, corners=corners, residual=4),))
    span = UnitSpan(first_frame=FRAMES, frames=20, fps=Fraction(30), width=WIDTH, height=HEIGHT)
    lost = ReceivedUnit(unit_no=1, descriptors=descriptors(motion_path=path))
    shown = list(decoder.decode(lost, span))
    truth = ground(FRAMES + 20)[FRAMES + 10]
    frame = shown[10]
    known = frame.mark != Mark.LOST
    assert 0.5 < known.mean() < 1
    assert not (frame.mark == Mark.RECEIVED).any()
    error = np.abs(frame.pixels[:, : WIDTH - 40].astype(int) - truth[:, : WIDTH - 40]).mean()
    assert error < 20


@pytest.mark.parametrize(
    ("quality", "fps", "looks"), [("standard", 15, 2), ("standard", 60, 1), ("best", 60, 18)]
)
def test_the_network_looks_at_standard_no_oftener_than_it_pays(
    unit: GvcUnit, quality: Quality, fps: int, looks: int
) -> None:
    network = Counting()
    span = replace(SPAN, fps=Fraction(fps))
    frames = list(GvcDecoder(SPEC, quality, network).decode(received(unit), span))
    assert network.calls == looks
    # What it said last moves with the scene: no moment goes without its texture, nor its mark, and what
    # was restored does not flicker. Half of what is shown is this network's grey, at each moment.
    assert all((frame.mark == Mark.REGENERATED).mean() > 0.9 for frame in frames)
    plain = preview().decode(received(unit), span)
    for frame, bare in zip(frames[::STEP], list(plain)[::STEP], strict=True):
        shown, evidence = (cv2.blur(f.pixels, (9, 9))[16:-16, 16:-60] for f in (frame, bare))
        assert 0.5 < shown.std() / evidence.std() < 0.65


def test_what_the_network_said_is_not_laid_on_a_picture_that_was_moved_since(unit: GvcUnit) -> None:
    """The motion path moves the memory through a lost unit; what was said stands where it stood."""
    network = Counting()
    path = MotionPath(points=(ControlPoint(offset=4, corners=(-320, 0) * 4, residual=4),))
    lost = replace(descriptors(motion_path=path), first_frame=FRAMES, frames=5)
    decoder = GvcDecoder(SPEC, "standard", network)
    fast = replace(SPAN, fps=Fraction(200))
    list(decoder.decode(received(unit), fast))
    calls = network.calls
    nothing = ReceivedUnit(unit_no=1, descriptors=lost)
    list(decoder.decode(nothing, replace(fast, first_frame=FRAMES, frames=5)))
    list(decoder.decode(received(unit, number=2), replace(fast, first_frame=FRAMES + 5)))
    assert calls == 1 and network.calls == 2


def test_objects_are_kept_free_of_synthesis(unit: GvcUnit) -> None:
    point = TrackPoint(offset=0, x=64, y=32, width=48, height=32)
    still = Track(
        track_id=1, class_id=2, score_pct=80, points=(point, replace(point, offset=24))
    )  # fmt: skip
    made = GvcDecoder(SPEC, "standard", Grey())
    plain = GvcDecoder(SPEC, "preview", None)
    frame = next(iter(made.decode(received(unit, d=descriptors(tracks=(still,))), SPAN)))
    evidence = next(iter(plain.decode(received(unit), SPAN)))
    box = np.s_[32:64, 64:112]
    assert np.abs(frame.pixels[box].astype(int) - evidence.pixels[box]).max() <= 2
    assert not (frame.mark[4:8, 8:14] == Mark.REGENERATED).any()
    assert (frame.mark[12:, 20:] == Mark.REGENERATED).all(), "strong texture is regenerated"


def test_a_patch_of_true_pixels_is_received(unit: GvcUnit) -> None:
    true = ground()[12]
    chip = true[32:96, 64:128]
    obus = av1.encode([av1.i420(chip)], crf=10, fps=Fraction(1), still=True)[0]
    patch = Patch(offset=12, x=64, y=32, width=64, height=64, scale=1, obus=obus)
    fields = {name: getattr(unit, name) for name in unit.__dataclass_fields__}
    with_patch = GvcUnit(**{**fields, "patches": (patch,)})
    shown = list(GvcDecoder(SPEC, "standard", Grey()).decode(received(with_patch), SPAN))
    frame = shown[12]
    assert (frame.mark[4:12, 8:16] == Mark.RECEIVED).all()
    assert np.abs(frame.pixels[32:96, 64:128].astype(int) - chip).mean() < 6
    assert not (shown[9].mark == Mark.RECEIVED).any()


def test_a_second_decode_is_the_same(unit: GvcUnit) -> None:
    a, b = (list(GvcDecoder(SPEC, "standard", Grey()).decode(received(unit), SPAN)) for _ in "ab")
    assert all(np.array_equal(x.pixels, y.pixels) for x, y in zip(a, b, strict=True))


def collect(decoder: GvcDecoder, part: ReceivedUnit) -> list[DecodedFrame]:
    shown = list(decoder.decode(part, SPAN))
    assert len(shown) == FRAMES
    return shown


@settings(max_examples=25, deadline=None)
@given(at=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.integers(0, 400))
def test_damaged_bytes_never_raise(unit: GvcUnit, at: int, value: int, cut: int) -> None:
    keyframe, features = unit.pack()
    damaged = bytearray(keyframe + features)
    damaged[at % len(damaged)] = value
    k, f = bytes(damaged[: len(keyframe)]), bytes(damaged[len(keyframe) : len(damaged) - cut])
    collect(preview(), ReceivedUnit(
        unit_no=0, keyframe=PartData(ranges=((0, k),), complete=True),
        features=PartData(ranges=((0, f),) if f else (), complete=True),
    ))  # fmt: skip


def patch_of(true: np.ndarray, offset: int, x: int, y: int) -> Patch:
    obus = av1.encode(
        [av1.i420(true[y : y + 64, x : x + 64])], crf=10, fps=Fraction(1), still=True
    )[0]
    return Patch(offset=offset, x=x, y=y, width=64, height=64, scale=1, obus=obus)


def with_patches(unit: GvcUnit, *patches: Patch) -> GvcUnit:
    return replace(unit, patches=patches)


@pytest.mark.parametrize("offset", [0, 7])
def test_a_patch_is_received_at_any_frame_even_the_very_first(unit: GvcUnit, offset: int) -> None:
    patch = patch_of(ground()[offset], offset, 64, 32)
    for decoder in (preview(), GvcDecoder(SPEC, "standard", Grey())):
        shown = list(decoder.decode(received(with_patches(unit, patch)), SPAN))
        frame = shown[offset]
        assert (frame.mark[4:12, 8:16] == Mark.RECEIVED).all()
        assert not frame.age_ms[4:12, 8:16].any()
        assert (
            np.abs(frame.pixels[32:96, 64:128].astype(int) - ground()[offset][32:96, 64:128]).mean()
            < 6
        )
        assert not (frame.mark[12:] == Mark.RECEIVED).any()


def test_patches_alone_are_shown_and_follow_their_track() -> None:
    here = TrackPoint(offset=0, x=80, y=48, width=32, height=32)
    there = replace(here, offset=20, x=120)
    track = Track(track_id=7, class_id=2, score_pct=80, points=(here, there))
    still = (0,) * 8
    path = MotionPath(points=(ControlPoint(offset=FRAMES - 1, corners=still, residual=1),))
    alone = GvcUnit(
        tool=Tool.NONE, step=1, last=0, width=64, height=64, pictures=(),
        patches=(patch_of(ground()[0], 0, 64, 32),),
    )  # fmt: skip
    told = descriptors(motion_path=path, tracks=(track,))
    decoder = preview()
    shown = list(decoder.decode(received(alone, d=told), SPAN))
    assert (shown[0].mark[4:12, 8:16] == Mark.RECEIVED).all()
    assert (shown[20].mark[4:12, 13:21] == Mark.CARRIED).all()
    moved = shown[20].pixels[32:96, 104:168].astype(int)
    assert np.abs(moved - ground()[0][32:96, 64:128]).mean() < 6
    assert (shown[20].mark[:3] != Mark.CARRIED).all()
    # It is not where it was, too: the ground there was never seen.
    assert (shown[20].mark[4:12, 8:13] == Mark.REGENERATED).all()
    assert (shown[20].pixels[32:96, 64:104] == shown[20].pixels[0, 0]).all()
    assert (shown[24].mark[4:12, 8:21] == Mark.REGENERATED).all(), "nobody followed it so far"
    # Nothing comes any more: what was shown last of it is held, and called lost.
    lost = ReceivedUnit(unit_no=1)
    held = next(iter(decoder.decode(lost, replace(SPAN, first_frame=FRAMES))))
    assert (held.mark == Mark.LOST).all()
    assert np.abs(held.pixels[32:96, 104:168].astype(int) - moved).mean() < 6


def test_a_chip_of_what_stays_on_the_ground_is_remembered() -> None:
    """The camera moves, the person on the roof does not: it outlives its track."""
    here = TrackPoint(offset=0, x=80, y=48, width=32, height=32)
    track = Track(
        track_id=7, class_id=1, score_pct=80, points=(here, replace(here, offset=20, x=40))
    )
    path = MotionPath(points=(ControlPoint(offset=FRAMES - 1, corners=(-384, 0) * 4, residual=1),))
    alone = GvcUnit(
        tool=Tool.NONE, step=1, last=0, width=64, height=64, pictures=(),
        patches=(patch_of(ground()[0], 0, 64, 32),),
    )  # fmt: skip
    decoder = preview()
    list(decoder.decode(received(alone, d=descriptors(motion_path=path, tracks=(track,))), SPAN))
    later = replace(descriptors(motion_path=path), first_frame=FRAMES)
    shown = list(
        decoder.decode(
            ReceivedUnit(unit_no=1, descriptors=later), replace(SPAN, first_frame=FRAMES)
        )
    )
    assert (shown[0].mark == Mark.CARRIED).sum() >= 16


def test_where_nothing_tells_it_goes_on_as_the_camera_moved(unit: GvcUnit) -> None:
    """Closer to the truth than what is held, and marked as lost all the same."""
    decoder = preview()
    before = list(decoder.decode(received(unit), SPAN))[-1]
    lost = list(decoder.decode(ReceivedUnit(unit_no=1), replace(SPAN, first_frame=FRAMES)))
    assert all((f.mark == Mark.LOST).all() for f in lost)
    assert all((f.source_unit[:, : -2 * FRAMES // 8 - 1] == 0).all() for f in lost)
    truth = ground(2 * FRAMES)[FRAMES:]
    for at in (3, 9, FRAMES - 1):
        moved, held = (
            np.abs(f.pixels[:, : WIDTH - 40].astype(int) - truth[at][:, : WIDTH - 40]).mean()
            for f in (lost[at], before)
        )
        assert moved < held - 2, f"frame {at}: {moved:.1f} levels off, held {held:.1f}"


def test_a_path_that_was_missed_moves_nothing(unit: GvcUnit) -> None:
    decoder = preview()
    list(decoder.decode(received(unit), SPAN))
    path = MotionPath(points=(ControlPoint(offset=20, corners=(-320, 0) * 4, residual=4),))
    later = replace(SPAN, first_frame=4 * FRAMES)
    lost = ReceivedUnit(unit_no=4, descriptors=descriptors(motion_path=path))
    shown = list(decoder.decode(lost, later))
    assert all((f.mark == Mark.LOST).all() for f in shown)


def test_it_goes_on_from_a_checkpoint(unit: GvcUnit) -> None:
    """Nothing of the second unit but its motion came: it is made of the first one's last picture."""
    path = MotionPath(points=(ControlPoint(offset=FRAMES - 1, corners=(-320, 0) * 4, residual=4),))
    sent = [
        received(unit, d=descriptors()),
        ReceivedUnit(
            unit_no=1, descriptors=replace(descriptors(motion_path=path), first_frame=FRAMES)
        ),
        received(unit, range(200, 900), number=2),
    ]
    plan = DecoderPlan(spec=SPEC, quality="preview")
    straight, stepped = DecodeSession(plan), DecodeSession(plan)
    for number, one in enumerate(sent):
        span = replace(SPAN, first_frame=number * FRAMES)
        expected = list(straight.frames(one, span, skip=0))
        got = list(stepped.frames(one, span, skip=0))
        for a, b in zip(got, expected, strict=True):
            assert np.array_equal(a.pixels, b.pixels) and np.array_equal(a.mark, b.mark)
            assert np.array_equal(a.p_wrong, b.p_wrong) and np.array_equal(a.age_ms, b.age_ms)
            assert np.array_equal(a.source_unit, b.source_unit)
        stepped = DecodeSession(plan, stepped.checkpoint())


def test_a_network_goes_by_its_name() -> None:
    restorer = make_restorer("onnx")
    data = pickle.dumps(restorer)
    assert len(data) < 500, "not its weights"
    assert pickle.loads(data).label == restorer.label
