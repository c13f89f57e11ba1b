"""Other sizes and frame rates beside the ladder's step: what is tried, and what wins."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from gvc_edge.codecs import vvc
from gvc_edge.codecs.av1 import i420
from gvc_edge.codecs.gvc import GvcEncoder
from gvc_edge.codecs.gvc_trial import Trial
from gvc_protocol.codec import PartData, SourceFrame
from gvc_protocol.gvc1 import read_unit

WIDTH, HEIGHT, FPS, COUNT = 192, 128, Fraction(30), 12


def boiling(count: int) -> list[np.ndarray]:
    """Soft blobs, others in every frame: no frame can be told from its neighbours."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(60, 200, (count, 4, 6, 3), np.uint8)
    return [cv2.resize(c, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) for c in coarse]


def test_a_trial_holds_each_form_s_own_frames_and_the_last() -> None:
    trial = Trial((WIDTH, HEIGHT), FPS, COUNT)
    trial.enter(1.5, 2)
    frames = boiling(COUNT)
    for i, pixels in enumerate(frames):
        trial.push(pixels, i)
    forms = trial.forms()
    assert {(f.width, f.spacing) for f, _ in forms} == {(96, 1), (96, 3)}
    for form, pictures in forms:
        last = (COUNT - 1) % form.spacing != 0
        assert len(pictures) == -(-COUNT // form.spacing) + last
        assert all(p.shape == (form.height, form.width, 3) for p in pictures)


def test_its_error_counts_the_frames_between() -> None:
    trial = Trial((WIDTH, HEIGHT), FPS, COUNT)
    frames = boiling(COUNT)
    for i, pixels in enumerate(frames):
        trial.push(pixels, i)
    offsets = list(range(COUNT))
    assert max(trial.error(offsets, frames)) < 0.1
    plain, at_coded = trial.error(offsets[::2], frames[::2])
    assert plain > 100 and plain / 4 < at_coded < plain, (
        "right at coded pictures, wrong between them"
    )
    assert trial.error([], []) == (float("inf"), float("inf"))


def test_a_source_too_large_to_hold_has_no_rivals() -> None:
    trial = Trial((7680, 4320), FPS, 600)
    trial.enter(1.5, 2)
    assert trial.forms() == []


def test_a_file_s_unit_takes_the_form_that_shows_all_its_frames() -> None:
    spacings = {}
    for live in (True, False):
        encoder = GvcEncoder(width=WIDTH, height=HEIGHT, fps=FPS, frames_per_unit=COUNT, live=live)
        encoder.begin(0, 1500)
        for i, pixels in enumerate(boiling(COUNT)):
            encoder.push(SourceFrame(frame_no=i, capture_us=i, pixels=pixels))
        parts = encoder.close()
        assert sum(map(len, parts)) <= 1500
        unit = read_unit(*(PartData(ranges=((0, part),), complete=True) for part in parts))
        assert unit is not None
        spacings[live] = unit.step
    assert spacings[True] > 1 and spacings[False] == 1


def test_pictures_that_vvenc_swallows_are_coded_in_groups_of_another_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, asked = vvc._run, []

    def swallows(command: list[str], pictures: list[np.ndarray]) -> bytes:
        params = command[command.index("-vvenc-params") + 1]
        asked.append(params.rsplit("=", 1)[1])
        return b"" if len(asked) == 1 else run(command, pictures)

    monkeypatch.setattr(vvc, "_run", swallows)
    planes = [i420(p) for p in boiling(4)]
    stream = vvc.encode(planes, qp=38, fps=FPS, preset="faster")
    assert len(stream.units) == 4 and asked == ["16", "32"]

    monkeypatch.setattr(vvc, "_run", lambda *_: b"")
    with pytest.raises(vvc.VvcError, match="0 pictures of 4"):
        vvc.encode(planes, qp=38, fps=FPS, preset="faster")
