"""The marks as a person gets them, held against the source: shown `p_wrong`, wrong or not, and the cost.

Only clips that nothing was trained or calibrated on. They are decoded once, which takes hours; any
calibration is judged on the log of that (`replay`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders import fusion, gvc, gvc_fuse
from gvc_base.marks import disagreement, facts
from gvc_base.marks.model import load_model
from gvc_base.marks.sources import Sources
from gvc_base.marks.texture import detail
from gvc_protocol.codec import DecodedFrame
from tests.bench.marks.captures import lossy, make_capture, sendings
from tests.bench.marks.harvest import Take, decoded, square_error
from tests.bench.marks.replay import TRUE, Log, Logged, Seen, again
from tests.bench.marks.scenes import FRESH, TEST, make_clip, read_clip

__all__ = ["Judged", "judge", "log_of", "logged", "test_takes"]

_EVERY, _FIRST = 7, 3
"Frames that are judged: coded moments and what lies between them, as they come."


@dataclass(frozen=True, slots=True)
class Judged:
    """Judged frames of one take; grids are [n, R, C]."""

    frame: NDArray[np.int32]
    mark: NDArray[np.uint8]
    p: NDArray[np.float16]
    wrong: NDArray[np.bool_]
    error: NDArray[np.float32]
    "Mean square of the difference to the source, levels of 255."
    apart: NDArray[np.float32]
    "Disagreement of structure, above 1 where it is wrong."
    expected: NDArray[np.float32]
    "Mean square of the difference, as it is expected."
    decode_s: float
    "Processor seconds that decoding took, marks included."
    marks_s: float
    "Of these, for facts, score, p_wrong and sources."
    frames: int


def test_takes() -> list[Take]:
    """The clips at three rates of codec 1 and one of codec 0, without and with loss; fresh ones last."""
    out = []
    for scene in (*TEST, *FRESH):
        chosen = [s for s in sendings(scene) if s.latency_s == 2.0]
        for seed in (0, 1):
            out += [Take(sending=s, quality="standard", loss_seed=seed) for s in chosen]
    return out


def judge(take: Take, data: Path, work: Path) -> Judged:
    """One take with the package's calibration."""
    log = log_of(take, data, work)
    model = load_model()
    seen, p, spent = zip(*again(log, model), strict=True)
    expected = [
        model.expected_square(s.detail, s.mark, q).reshape(s.mark.shape)
        for s, q in zip(seen, p, strict=True)
    ]
    return Judged(
        frame=np.array([s.frame for s in seen], np.int32), p=np.stack(p),
        mark=np.stack([s.mark for s in seen]), wrong=np.stack([s.wrong for s in seen]),
        error=np.stack([s.error for s in seen]), apart=np.stack([s.apart for s in seen]),
        expected=np.stack(expected),
        # The log's doubt had a model that says nothing, in next to no time.
        decode_s=log.decode_s + spent[-1], marks_s=log.facts_s + spent[-1], frames=log.frames,
    )  # fmt: skip


def log_of(take: Take, data: Path, work: Path) -> Log:
    """What the decoder asked its doubt and the truth of the judged frames; made once."""
    path = work / f"{take.name}.log"
    if not path.exists():
        capture = make_capture(take.sending, data, work)
        if take.loss_seed:
            capture = lossy(capture, take.loss_seed)
        clip = read_clip(make_clip(take.sending.scene, data, work))
        logged(capture, take, clip).save(path)
    return Log.load(path)


def logged(capture: Path, take: Take, clip: NDArray[np.uint8]) -> Log:
    """The log of a capture, decoded now.

    Args:
        clip: uint8[n, H, W, 3], the source's frames.
    """
    log = Log()
    doubt = Logged(log)
    with _watched() as spent:
        frames = decoded(capture, take.quality, doubt)
        while True:
            began = time.process_time()
            frame = next(frames, None)
            log.decode_s += time.process_time() - began
            if frame is None:
                break
            log.frames += 1
            if frame.frame_no % _EVERY == _FIRST and frame.frame_no < len(clip):
                log.seen.append(_seen(frame, clip[frame.frame_no], doubt.asks))
    log.facts_s = spent[0]
    return log


def _seen(frame: DecodedFrame, true: NDArray[np.uint8], ask: int) -> Seen:
    apart = disagreement(true, frame.pixels)
    return Seen(
        frame=frame.frame_no, ask=ask, mark=frame.mark, true=frame.p_wrong == TRUE,
        wrong=apart > 1, apart=apart,
        error=square_error(true, frame.pixels, frame.mark.shape), detail=detail(frame.pixels),
    )  # fmt: skip


@contextmanager
def _watched() -> Iterator[list[float]]:
    """Processor seconds spent on facts and sources while this is open, in a list of one."""
    spent, depth = [0.0], [0]

    def timed(inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(*args: Any, **more: Any) -> Any:
            depth[0] += 1
            began = time.process_time()
            try:
                return inner(*args, **more)
            finally:
                depth[0] -= 1
                if not depth[0]:
                    spent[0] += time.process_time() - began

        return outer

    places = [
        (gvc.facts, "moment", facts.moment), (gvc_fuse, "pair_facts", facts.pair_facts),
        (fusion, "pair_facts", facts.pair_facts), (Sources, "grids", Sources.grids),
    ]  # fmt: skip
    patches = [patch.object(where, name, timed(what)) for where, name, what in places]
    for one in patches:
        one.start()
    try:
        yield spent
    finally:
        for one in patches:
            one.stop()
