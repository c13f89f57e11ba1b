"""Codec 1's encoder: never over its budget, decodable alone, the same bytes for the same frames."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from gvc_edge.codecs import make_encoder, vvc
from gvc_edge.codecs.gvc import GvcEncoder
from gvc_edge.codecs.gvc_ladder import STEPS, first_guess, next_step
from gvc_protocol.codec import CodecId, PartData, SourceFrame
from gvc_protocol.errors import UserError
from gvc_protocol.gvc1 import ReceivedGvc, Tool, decodable, read_unit

WIDTH, HEIGHT, FPS = 160, 96, Fraction(15)


def frames(count: int, speed: float = 2.0) -> list[SourceFrame]:
    """A textured ground that glides by."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 255, (HEIGHT // 4, WIDTH // 2, 3), np.uint8)
    ground = cv2.resize(coarse, (WIDTH * 2, HEIGHT), interpolation=cv2.INTER_CUBIC)
    out = []
    for i in range(count):
        x = int(i * speed)
        pixels = np.ascontiguousarray(ground[:, x : x + WIDTH])
        out.append(SourceFrame(frame_no=i, capture_us=i, pixels=pixels))
    return out


def code(
    encoder: GvcEncoder, shown: list[SourceFrame], budget: int, unit: int = 0
) -> tuple[bytes, bytes]:
    encoder.begin(unit, budget)
    for frame in shown:
        encoder.push(frame)
    return encoder.close()


def parsed(parts: tuple[bytes, bytes]) -> ReceivedGvc:
    unit = read_unit(*(PartData(ranges=((0, part),), complete=True) for part in parts))
    assert unit is not None
    return unit


def make() -> GvcEncoder:
    return GvcEncoder(width=WIDTH, height=HEIGHT, fps=FPS, frames_per_unit=10)


def test_the_budget_is_never_broken_and_mostly_used() -> None:
    encoder = make()
    for unit, budget in enumerate((4000, 4000, 900, 300, 110, 6000)):
        keyframe, features = code(encoder, frames(10), budget, unit)
        assert len(keyframe) + len(features) <= budget
        assert keyframe, f"nothing came out of {budget} bytes"
        assert all(decodable(parsed((keyframe, features))))
    assert len(keyframe) + len(features) > 0.5 * 6000


def test_below_its_least_budget_a_unit_is_empty() -> None:
    encoder = make()
    assert code(encoder, frames(5), 69) == (b"", b"")


def test_one_frame_is_a_unit() -> None:
    unit = parsed(code(make(), frames(1), 2000))
    assert len(unit.pictures) == 1 and unit.last == 0


def test_the_same_frames_give_the_same_bytes() -> None:
    assert code(make(), frames(6), 1500) == code(make(), frames(6), 1500)


def test_a_broken_vvenc_is_stood_in_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise vvc.VvcError("gone")

    encoder = make()
    monkeypatch.setattr(vvc, "encode", fail)
    unit = parsed(code(encoder, frames(12), 2000))
    assert unit.tool == Tool.AV1 and len(unit.pictures) > 1
    assert encoder.fallbacks == 1


def test_no_vvenc_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import imageio_ffmpeg

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: "/bin/false")
    vvc.find_ffmpeg.cache_clear()
    with pytest.raises(UserError, match="imageio-ffmpeg"):
        make()
    vvc.find_ffmpeg.cache_clear()


def test_odd_and_tiny_sources_are_refused() -> None:
    for size in ((321, 200), (16, 16)):
        with pytest.raises(UserError, match="even sides"):
            make_encoder(
                CodecId.GVC, width=size[0], height=size[1], fps=FPS, frames_per_unit=10
            )  # fmt: skip


def test_the_ladder_goes_down_with_the_rate_and_does_not_swing() -> None:
    steps = [first_guess(bpp)[0] for bpp in (0.02, 0.005, 0.0024, 0.001, 0.0003, 0.00005)]
    assert steps == sorted(steps) and steps[-1] > steps[0]
    for start in range(len(STEPS)):
        for qp in range(12, 60, 3):
            index, settled = next_step(start, qp)
            again, _ = next_step(index, settled)
            assert again == index


def test_the_first_unit_of_a_file_is_looked_at_before_its_step_is_chosen() -> None:
    """A camera's first unit stands where its rate suggests, whatever it shows."""
    pixels = {}
    for live in (True, False):
        encoder = GvcEncoder(width=WIDTH, height=HEIGHT, fps=FPS, frames_per_unit=20, live=live)
        unit = parsed(code(encoder, frames(20, speed=0), 1500))
        pixels[live] = unit.width * unit.height * len(unit.pictures)
    # Noise is too much for the step that was guessed.
    assert pixels[False] < pixels[True]
