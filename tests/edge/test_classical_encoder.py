"""Laws of codec 0's encoder: the budget holds, the parts stand alone, little is kept in memory."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gvc_edge.codecs import make_encoder
from gvc_edge.codecs.av1 import decode
from gvc_edge.codecs.classical import MINIMUM_PAYLOAD, ClassicalEncoder
from gvc_edge.codecs.ladder import LEVELS, settle
from gvc_protocol.classical import FeaturesPart, KeyframePart, coded_offsets
from gvc_protocol.codec import SourceFrame
from gvc_protocol.errors import LocalProtocolError, UserError


def texture(width: int, height: int, *, seed: int = 1, noise: bool = False) -> NDArray[np.uint8]:
    """A seeded picture with detail at all sizes; plain noise for the worst case."""
    rng = np.random.default_rng(seed)
    if noise:
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = np.zeros((height, width, 3), np.float32)
    for cell in (4, 16, 64):
        small = rng.normal(0, 1, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        out += cell**0.5 * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 9 * out, 0, 255).astype(np.uint8)


def frames(count: int, width: int, height: int, *, noise: bool = False) -> list[SourceFrame]:
    """A camera that moves over the texture."""
    big = texture(width + 3 * count, height + count, noise=noise)
    return [
        SourceFrame(
            frame_no=i,
            capture_us=i * 33_333,
            pixels=np.ascontiguousarray(big[i : i + height, 2 * i : 2 * i + width]),
        )
        for i in range(count)
    ]


def unit(
    encoder: ClassicalEncoder, source: list[SourceFrame], budget: int, unit_no: int = 0
) -> tuple[bytes, bytes]:
    encoder.begin(unit_no, budget)
    for frame in source:
        encoder.push(frame)
    return encoder.close()


def encoder(
    width: int, height: int, count: int, *, fps: int = 30, every: int = 4
) -> ClassicalEncoder:
    return ClassicalEncoder(
        width=width, height=height, fps=Fraction(fps), frames_per_unit=count, still_every=every
    )


@pytest.fixture(scope="module")
def sd() -> list[SourceFrame]:
    return frames(30, 854, 480)


@pytest.mark.parametrize("budget", [150, 400, 1000, 3074, 7378, 15_372, 60_000])
def test_budget_is_a_hard_law_and_is_used(sd: list[SourceFrame], budget: int) -> None:
    coder = encoder(854, 480, 30)
    sizes = [sum(map(len, unit(coder, sd, budget, unit_no))) for unit_no in (0, 1)]
    assert max(sizes) <= budget
    if budget >= 1000:
        assert min(sizes) >= 0.85 * budget


@pytest.mark.parametrize("budget", [MINIMUM_PAYLOAD, 300, 2000])
def test_noise_fits_too(budget: int) -> None:
    source = frames(20, 320, 192, noise=True)
    coder = encoder(320, 192, 20)
    for unit_no in range(3):
        keyframe, features = unit(coder, source, budget, unit_no)
        assert 0 < len(keyframe) + len(features) <= budget


def test_a_budget_that_jumps_is_kept() -> None:
    source = frames(20, 320, 192)
    coder = encoder(320, 192, 20)
    for unit_no, budget in enumerate((9000, 200, 5000, 149, 0, 700, 30_000)):
        size = sum(map(len, unit(coder, source, budget, unit_no)))
        assert size <= budget
        assert (size == 0) == (budget < MINIMUM_PAYLOAD)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 19])
def test_short_units_code_their_first_and_last_frame(count: int) -> None:
    source = frames(count, 320, 192)
    _, features = unit(encoder(320, 192, 20), source, 4000)
    part = FeaturesPart.unpack(features)
    assert part is not None and part.last == count - 1
    assert part.offsets == coded_offsets(part.step, count - 1)
    assert len(decode(part.frames)) == len(part.frames)


def test_each_coded_frame_is_its_source_frame() -> None:
    """The frame number, written as a bright bar, is read back from each coded frame."""
    source = []
    for frame in frames(20, 320, 192):
        frame.pixels[:] = 40
        frame.pixels[:, frame.frame_no * 16 : frame.frame_no * 16 + 16] = 220
        source.append(frame)
    _, features = unit(encoder(320, 192, 20), source, 4000)
    part = FeaturesPart.unpack(features)
    assert part is not None
    for offset, picture in zip(part.offsets, decode(part.frames), strict=True):
        column = picture.astype(np.float32).mean(axis=(0, 2))
        bar = np.average(np.arange(column.size), weights=np.maximum(column - 100, 0)) + 0.5
        assert abs(bar * 320 / column.size / 16 - 0.5 - offset) < 0.2


def test_the_still_is_the_frame_it_says_and_decodes_alone() -> None:
    source = frames(20, 320, 192)
    keyframe, _ = unit(encoder(320, 192, 20, every=1), source, 12_000)
    part = KeyframePart.unpack(keyframe)
    assert part is not None and part.gain_low + part.gain_high > 0
    still = decode([part.obus])[0]
    errors = [float(np.mean(cv2.absdiff(still, f.pixels) ** 2.0)) for f in source]
    assert int(np.argmin(errors)) == part.offset


def test_stills_come_in_turn_and_never_where_they_are_not_wanted() -> None:
    source = frames(20, 320, 192)
    coder = encoder(320, 192, 20, every=3)
    has = [bool(unit(coder, source, 1800, unit_no)[0]) for unit_no in range(6)]
    assert has[1:3] == [False, False] and has[4:] == [False, False]
    none = encoder(320, 192, 20, every=0)
    assert unit(none, source, 1800)[0] == b""


def test_push_keeps_no_full_frames() -> None:
    coder = encoder(854, 480, 60)
    coder.begin(0, 7000)
    for frame in frames(30, 854, 480):
        coder.push(frame)
    kept = [a for v in vars(coder).values() for a in (v if isinstance(v, list) else [v])]
    held = sum(a.nbytes for a in kept if isinstance(a, np.ndarray))
    assert held < 854 * 480 * 3 * (1 + 30 / 4)
    full = [a for a in kept if isinstance(a, np.ndarray) and a.shape[0] == 480]
    assert len(full) <= 1


def test_a_calm_stream_climbs_and_a_starved_one_descends() -> None:
    assert settle(3, 30.0)[0] < 3
    assert settle(1, 55.0, bytes_before=8000, bytes_now=800)[0] > 2
    assert settle(0, 5.0) == (0, 5.0)
    assert settle(len(LEVELS) - 1, 63.0)[0] == len(LEVELS) - 1


def test_wrong_use_and_bad_input_are_told_apart() -> None:
    size = {"width": 320, "height": 192, "fps": Fraction(30), "frames_per_unit": 20}
    with pytest.raises(UserError, match="codec 77"):
        make_encoder(77, **size)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="even"):
        make_encoder(0, **{**size, "width": 321})  # type: ignore[arg-type]
    coder = make_encoder(0, **size)  # type: ignore[arg-type]
    assert coder.minimum_payload == MINIMUM_PAYLOAD
    with pytest.raises(LocalProtocolError):
        coder.push(frames(1, 320, 192)[0])
    coder.begin(0, 1000)
    with pytest.raises(LocalProtocolError):
        coder.begin(1, 1000)
    with pytest.raises(LocalProtocolError):
        coder.push(frames(1, 160, 96)[0])


def test_the_encoder_library_prints_nothing() -> None:
    code = (
        "import numpy as np; from fractions import Fraction; from gvc_edge.codecs import av1;"
        "p = av1.i420(np.zeros((64, 64, 3), np.uint8));"
        "av1.decode(av1.encode([p] * 3, crf=50, fps=Fraction(10), still=False))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
