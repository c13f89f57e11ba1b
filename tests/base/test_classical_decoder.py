"""Laws of codec 0's decoder: always the right count of frames, honest marks, no use of bad bytes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gvc_base.decoders import make_decoder
from gvc_base.decoders.motion import FlowEngine, PairMotion, warp
from gvc_base.marks.doubt import Doubt
from gvc_base.marks.facts import Fact
from gvc_base.marks.model import load_model
from gvc_edge.codecs.av1 import encode, i420
from gvc_edge.codecs.classical import ClassicalEncoder
from gvc_protocol.classical import FeaturesPart, KeyframePart
from gvc_protocol.codec import (
    CodecSpec,
    DecodedFrame,
    PartData,
    Quality,
    ReceivedUnit,
    SourceFrame,
    UnitSpan,
)
from gvc_protocol.errors import UserError
from gvc_protocol.marks import AGE_UNKNOWN_MS, Mark, SourcePart

SPEC = CodecSpec(codec_id=0, bitstream_version=1)
WIDTH, HEIGHT, FRAMES = 320, 192, 20
SPAN = UnitSpan(first_frame=0, frames=FRAMES, fps=Fraction(20), width=WIDTH, height=HEIGHT)
CLIPS = Path(__file__).parents[2].parent / "shared" / "clips"
Pixels = NDArray[np.uint8]


def scene(count: int, seed: int = 1) -> list[Pixels]:
    """A camera that moves two pixels a frame over a seeded texture."""
    rng = np.random.default_rng(seed)
    height, width = HEIGHT + count, WIDTH + 2 * count
    big = np.zeros((height, width, 3), np.float32)
    for cell in (4, 12, 48):
        small = rng.normal(0, 1, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        big += cell**0.5 * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    shown = np.clip(128 + 9 * big, 0, 255).astype(np.uint8)
    return [
        np.ascontiguousarray(shown[i : i + HEIGHT, 2 * i : 2 * i + WIDTH]) for i in range(count)
    ]


def coded(pictures: list[Pixels], budget: int, every: int = 1) -> tuple[bytes, bytes]:
    height, width = pictures[0].shape[:2]
    coder = ClassicalEncoder(
        width=width, height=height, fps=SPAN.fps, frames_per_unit=len(pictures), still_every=every
    )
    coder.begin(0, budget)
    for i, pixels in enumerate(pictures):
        coder.push(SourceFrame(frame_no=i, capture_us=i, pixels=pixels))
    return coder.close()


def part(data: bytes, *, whole: bool = True) -> PartData:
    return PartData(ranges=((0, data),) if data else (), complete=whole and bool(data))


def received(keyframe: bytes = b"", features: bytes = b"", *, whole: bool = True) -> ReceivedUnit:
    return ReceivedUnit(unit_no=0, keyframe=part(keyframe), features=part(features, whole=whole))


def show(
    unit: ReceivedUnit, quality: Quality = "standard", span: UnitSpan = SPAN
) -> list[DecodedFrame]:
    frames = list(make_decoder(SPEC, quality).decode(unit, span))
    assert [f.frame_no for f in frames] == list(
        range(span.first_frame, span.first_frame + span.frames)
    )
    return frames


def psnr(shown: list[DecodedFrame], truth: list[Pixels]) -> float:
    pairs = zip(shown, truth, strict=True)
    each = [np.mean((f.pixels.astype(np.float32) - t) ** 2) for f, t in pairs]
    return float(np.mean([10 * np.log10(65025 / max(1e-6, e)) for e in each]))


@pytest.fixture(scope="module")
def source() -> list[Pixels]:
    return scene(FRAMES)


@pytest.fixture(scope="module")
def parts(source: list[Pixels]) -> tuple[bytes, bytes]:
    keyframe, features = coded(source, 14_000)
    assert keyframe and features
    return keyframe, features


@pytest.mark.parametrize("quality", ["standard", "best"])
@pytest.mark.parametrize("budget", [2500, 6000, 14_000])
def test_the_still_never_makes_it_worse(
    source: list[Pixels], quality: Quality, budget: int
) -> None:
    keyframe, features = coded(source, budget)
    with_still = psnr(show(received(keyframe, features), quality), source)
    alone = psnr(show(received(b"", features), quality), source)
    assert with_still >= alone
    if keyframe:
        assert with_still > alone + 0.05


def test_filling_gaps_by_motion_beats_holding(source: list[Pixels]) -> None:
    shown = show(received(b"", _every_fourth(source)))
    held = [source[i // 4 * 4] for i in range(FRAMES)]
    held_psnr = np.mean([
        10 * np.log10(65025 / max(1e-6, np.mean((h.astype(np.float32) - s) ** 2)))
        for i, (h, s) in enumerate(zip(held, source, strict=True)) if i % 4
    ])  # fmt: skip
    between = [(f, s) for i, (f, s) in enumerate(zip(shown, source, strict=True)) if i % 4]
    assert psnr([f for f, _ in between], [s for _, s in between]) > held_psnr + 3


def _every_fourth(source: list[Pixels]) -> bytes:
    picked = [source[i] for i in (0, 4, 8, 12, 16, 19)]
    small = [i420(cv2.resize(p, (160, 96), interpolation=cv2.INTER_AREA)) for p in picked]
    units = encode(small, crf=20, fps=Fraction(5), still=False)
    return FeaturesPart(step=4, last=19, frames=tuple(units)).pack()


def test_marks_of_a_whole_unit(parts: tuple[bytes, bytes]) -> None:
    still = KeyframePart.unpack(parts[0])
    assert still is not None
    frames = show(received(*parts))
    at = frames[still.offset]
    assert (at.mark == Mark.RECEIVED).all() and not at.age_ms.any()
    carried = 0
    for frame in frames:
        if frame is not at:
            assert not (frame.mark == Mark.RECEIVED).any()
            assert not (frame.mark == Mark.LOST).any()
        away_ms = abs(frame.frame_no - still.offset) * 50
        assert (frame.age_ms[frame.mark == Mark.CARRIED] == away_ms).all()
        carried += int((frame.mark == Mark.CARRIED).sum())
        assert ((frame.p_wrong >= 0) & (frame.p_wrong <= 1)).all()
    assert carried > 0.3 * frames[0].mark.size * FRAMES


def test_features_alone_are_enhanced(parts: tuple[bytes, bytes]) -> None:
    for frame in show(received(b"", parts[1])):
        assert set(np.unique(frame.mark)) <= {Mark.ENHANCED, Mark.REGENERATED}


def test_a_scene_cut_between_coded_frames_is_a_guess(source: list[Pixels]) -> None:
    other = [255 - p for p in scene(4, seed=9)]
    mixed = source[:3] + other[:2]
    small = [
        i420(cv2.resize(p, (160, 96), interpolation=cv2.INTER_AREA)) for p in (mixed[0], mixed[4])
    ]
    units = tuple(encode(small, crf=20, fps=Fraction(5), still=False))
    span = UnitSpan(first_frame=0, frames=5, fps=SPAN.fps, width=WIDTH, height=HEIGHT)
    frames = show(received(b"", FeaturesPart(step=4, last=4, frames=units).pack()), span=span)
    assert (frames[2].mark == Mark.REGENERATED).mean() > 0.8
    assert (frames[0].mark == Mark.ENHANCED).all() and (frames[4].mark == Mark.ENHANCED).all()


def test_a_still_alone_is_shown_once_and_held_as_lost(parts: tuple[bytes, bytes]) -> None:
    still = KeyframePart.unpack(parts[0])
    assert still is not None
    for quality in ("preview", "standard"):
        frames = show(received(parts[0]), quality)  # type: ignore[arg-type]
        for frame in frames:
            wanted = Mark.RECEIVED if frame.frame_no == still.offset else Mark.LOST
            assert (frame.mark == wanted).all()
            if frame.frame_no < still.offset:
                assert (frame.pixels == 128).all() and (frame.age_ms == AGE_UNKNOWN_MS).all()
            else:
                assert (frame.age_ms == (frame.frame_no - still.offset) * 50).all()
                assert (frame.pixels == frames[still.offset].pixels).all()


def test_a_small_still_is_enhanced_not_received(source: list[Pixels]) -> None:
    small = i420(cv2.resize(source[5], (160, 96), interpolation=cv2.INTER_AREA))
    obus = encode([small], crf=30, fps=Fraction(1), still=True)[0]
    key = KeyframePart(offset=5, gain_low=255, gain_high=255, obus=obus).pack()
    assert (show(received(key))[5].mark == Mark.ENHANCED).all()


def test_a_cut_tail_holds_the_last_picture(parts: tuple[bytes, bytes]) -> None:
    full = FeaturesPart.unpack(parts[1])
    assert full is not None and len(full.frames) > 4
    cut = FeaturesPart(step=full.step, last=full.last, frames=full.frames[:3]).pack()
    frames = show(received(b"", cut + b"\x40partial", whole=False))
    end = full.offsets[2]
    for frame in frames:
        assert ((frame.mark == Mark.LOST).all()) == (frame.frame_no > end)
        if frame.frame_no > end:
            assert (frame.age_ms == (frame.frame_no - end) * 50).all()
            assert (frame.pixels == frames[end].pixels).all()


def test_memory_lasts_across_units_and_age_is_capped(parts: tuple[bytes, bytes]) -> None:
    decoder = make_decoder(SPEC, "preview")
    last = list(decoder.decode(received(*parts), SPAN))[-1]
    for first, age in ((FRAMES, 50), (100_000, AGE_UNKNOWN_MS)):
        span = UnitSpan(first_frame=first, frames=2, fps=SPAN.fps, width=WIDTH, height=HEIGHT)
        frames = list(decoder.decode(received(), span))
        assert (frames[0].age_ms == age).all() and (frames[0].mark == Mark.LOST).all()
        # At first the camera is taken to go on; then the picture stands as it came.
        same = bool((frames[1].pixels == last.pixels).all())
        assert same == (age == AGE_UNKNOWN_MS)
        frames[0].pixels[:] = 0


def test_a_lost_unit_goes_on_as_the_camera_moved() -> None:
    """Closer to the truth than what is held, marked as lost all the same; each source with its tile."""
    every = scene(2 * FRAMES)
    decoder = make_decoder(SPEC, "standard")
    before = list(decoder.decode(received(*coded(every[:FRAMES], 14_000)), SPAN))[-1]
    lost = list(decoder.decode(ReceivedUnit(unit_no=1), replace(SPAN, first_frame=FRAMES)))
    assert all((f.mark == Mark.LOST).all() for f in lost)
    assert all((f.source_unit[:-4, :-6] == 0).all() for f in lost)
    assert (lost[-1].source_unit[-2:] == -1).all() and (lost[-1].source_part[-2:] == 0).all()
    held = [before] * 10
    assert psnr(lost[:10], every[FRAMES:][:10]) > psnr(held, every[FRAMES:][:10]) + 4
    # The still's tiles went two pixels to the left and one up with each frame.
    still, there = (f.source_part == SourcePart.KEYFRAME for f in (before, lost[7]))
    assert 0 < still.mean() < 1 and (there[:-2, :-3] == still[1:-1, 2:-1]).mean() > 0.9


def test_what_is_held_is_doubted_by_how_the_scene_moved_before(source: list[Pixels]) -> None:
    """With every picture coded no frame lies between two: nobody has looked for motion until then."""
    told: dict[int, np.ndarray] = {}
    doubt = Doubt(load_model(), lambda frame, planes, _: told.update({frame: planes.copy()}))
    decoder = make_decoder(SPEC, "standard", "auto", doubt)
    _, features = coded(source, 60_000)
    offsets = FeaturesPart.unpack(features)
    assert offsets is not None and offsets.step == 1
    list(decoder.decode(received(features=features), SPAN))
    assert not any(planes[Fact.SPEED].any() for planes in told.values())
    list(decoder.decode(ReceivedUnit(unit_no=1), replace(SPAN, first_frame=FRAMES)))
    held = [planes for frame, planes in told.items() if frame >= FRAMES]
    assert len(held) >= FRAMES // 4
    speed = np.median(np.expm1(held[0][Fact.SPEED]))
    assert speed == pytest.approx(np.hypot(2, 1) * 20, rel=0.2)
    assert np.median(held[-1][Fact.DRIFT]) > np.median(held[0][Fact.DRIFT]) > 0


def test_nothing_at_all_is_grey_and_lost() -> None:
    for frame in show(received()):
        assert (frame.pixels == 128).all() and (frame.mark == Mark.LOST).all()
        assert (frame.age_ms == AGE_UNKNOWN_MS).all()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_damage_gives_the_same_count_of_frames(
    parts: tuple[bytes, bytes], data: st.DataObject
) -> None:
    blobs = [bytearray(parts[0]), bytearray(parts[1])]
    for blob in blobs:
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(blob) - 1))
            blob[at] = data.draw(st.integers(0, 255))
        kept = data.draw(st.sampled_from([len(blob), len(blob), len(blob) // 2, 9, 0]))
        del blob[kept:]
    if data.draw(st.integers(0, 5)) == 0:
        blobs[data.draw(st.integers(0, 1))][:] = b"\x01" + data.draw(st.binary(max_size=400))
    frames = data.draw(st.integers(0, 24))
    span = UnitSpan(first_frame=7, frames=frames, fps=SPAN.fps, width=WIDTH, height=HEIGHT)
    quality: Quality = data.draw(st.sampled_from(["preview", "standard"]))
    show(received(bytes(blobs[0]), bytes(blobs[1])), quality, span)


def test_pictures_larger_than_the_source_are_refused_before_they_cost_memory() -> None:
    planes = np.full((3000 * 3 // 2, 4000), 90, np.uint8)
    obus = encode([planes], crf=60, fps=Fraction(1), still=True)[0]
    key = KeyframePart(offset=0, gain_low=9, gain_high=9, obus=obus).pack()
    features = FeaturesPart(step=1, last=1, frames=(obus,)).pack()
    for frame in show(received(key, features)):
        assert (frame.mark == Mark.LOST).all()


def test_another_codec_inside_is_missing_not_fatal() -> None:
    context = av.CodecContext.create("mpeg4", "w")
    context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"  # type: ignore[attr-defined]
    context.time_base = Fraction(1, 10)
    frame = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), format="yuv420p")
    packets = [*context.encode(frame), *context.encode(None)]  # type: ignore[attr-defined]
    features = FeaturesPart(step=1, last=1, frames=(bytes(packets[0]),)).pack()
    assert all((f.mark == Mark.LOST).all() for f in show(received(b"", features)))


def test_unknown_codecs_are_one_clear_line() -> None:
    for spec in (
        CodecSpec(codec_id=9, bitstream_version=1),
        CodecSpec(codec_id=0, bitstream_version=2),
    ):
        with pytest.raises(UserError) as caught:
            make_decoder(spec, "standard")
        assert "\n" not in str(caught.value) and "update" in str(caught.value)


def test_flow_finds_a_known_shift_and_takes_any_size() -> None:
    rng = np.random.default_rng(5)
    big = cv2.resize(
        rng.integers(0, 256, (40, 60), dtype=np.uint8), (480, 320), interpolation=cv2.INTER_CUBIC
    )
    a, b = np.ascontiguousarray(big[:256, :400]), np.ascontiguousarray(big[4:260, 6:406])
    for engine in (
        FlowEngine(fine=True),
        FlowEngine(fine=False),
        FlowEngine(fine=False, ultrafast=True),
    ):
        there, back = engine.flow(a, b), engine.flow(b, a)
        inner = there[40:-40, 40:-40]
        assert abs(np.median(inner[..., 0]) + 6) < 0.3 and abs(np.median(inner[..., 1]) + 4) < 0.3
        to_a, to_b = PairMotion(there, back).at(0.5)
        apart = np.abs(warp(a, to_a).astype(int) - warp(b, to_b))[40:-40, 40:-40]
        assert apart.mean() < 3
        for height, width in ((2, 2), (2, 300), (300, 2), (16, 16), (17, 131), (90, 64)):
            tiny = rng.integers(0, 256, (2, height, width), dtype=np.uint8)
            flow = engine.flow(tiny[0], tiny[1])
            assert engine.flow(tiny[1], tiny[0], flow).shape == (height, width, 2)


@pytest.mark.parametrize("name", ["flyover_brighton.mp4", "highway_udacity_540p25.mp4"])
def test_real_clips_still_helps_and_frames_align(name: str) -> None:
    path = CLIPS / name
    if not path.exists():
        pytest.skip("the sample clips are not beside the repository")
    video = cv2.VideoCapture(str(path))
    source = [
        cv2.resize(video.read()[1], (640, 360), interpolation=cv2.INTER_AREA) for _ in range(24)
    ]
    keyframe, features = coded(source, 60_000)
    assert keyframe
    span = UnitSpan(first_frame=0, frames=24, fps=SPAN.fps, width=640, height=360)
    with_still = psnr(show(received(keyframe, features), span=span), source)
    alone = psnr(show(received(b"", features), span=span), source)
    assert with_still > alone > psnr(show(received(b"", features), span=span)[2:], source[:-2])
