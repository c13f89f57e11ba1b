"""The marks as a person gets them, held against the source: shown `p_wrong`, wrong or not, and the cost.

Only clips that nothing was trained or calibrated on. What a take gave is kept under the calibration's
label, so that a bench goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders import fusion, gvc, gvc_fuse
from gvc_base.marks import disagreement, facts
from gvc_base.marks.doubt import Doubt
from gvc_base.marks.model import load_model
from gvc_base.marks.sources import Sources
from gvc_protocol.marks import TILE_PX
from tests.bench.marks.captures import lossy, make_capture, sendings
from tests.bench.marks.harvest import Take, decoded
from tests.bench.marks.scenes import TEST, make_clip, read_clip

__all__ = ["Judged", "judge", "test_takes"]

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
    decode_s: float
    "Processor seconds that decoding took, marks included."
    marks_s: float
    "Of these, for facts, score, p_wrong and sources."
    frames: int


def test_takes() -> list[Take]:
    """The four clips at three rates of codec 1 and one of codec 0, without and with loss."""
    out = []
    for scene in TEST:
        chosen = [s for s in sendings(scene) if s.latency_s == 2.0]
        for seed in (0, 1):
            out += [Take(sending=s, quality="standard", loss_seed=seed) for s in chosen]
    return out


def judge(take: Take, data: Path, work: Path) -> Judged:
    """One take, made once for each calibration."""
    path = work / f"judged-{load_model().label}-{take.name}.npz"
    if not path.exists():
        capture = make_capture(take.sending, data, work)
        if take.loss_seed:
            capture = lossy(capture, take.loss_seed)
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, **_judged(capture, take, data, work))
        part.rename(path)
    with np.load(path) as file:
        numbers = {k: file[k].item() for k in ("decode_s", "marks_s", "frames")}
        grids = {k: file[k] for k in ("frame", "mark", "p", "wrong", "error", "apart")}
        return Judged(**grids, **numbers)


def _judged(capture: Path, take: Take, data: Path, work: Path) -> dict[str, Any]:
    clip = read_clip(make_clip(take.sending.scene, data, work))
    rows: dict[str, list[Any]] = {k: [] for k in ("frame", "mark", "p", "wrong", "error", "apart")}
    decode_s, count = 0.0, 0
    with _watched() as spent:
        frames = decoded(capture, take.quality, None)
        while True:
            began = time.process_time()
            frame = next(frames, None)
            decode_s += time.process_time() - began
            if frame is None:
                break
            count += 1
            number = frame.frame_no
            if number % _EVERY != _FIRST or number >= len(clip):
                continue
            rows["frame"].append(number)
            rows["mark"].append(frame.mark)
            rows["p"].append(frame.p_wrong)
            apart = disagreement(clip[number], frame.pixels)
            rows["wrong"].append(apart > 1)
            rows["apart"].append(apart)
            rows["error"].append(_error(clip[number], frame.pixels, frame.mark.shape))
    return {
        **{k: np.stack(v) for k, v in rows.items()}, "decode_s": decode_s, "marks_s": spent[0],
        "frames": count,
    }  # fmt: skip


def _error(true: NDArray[np.uint8], shown: NDArray[np.uint8], grid: tuple[int, ...]) -> Any:
    square = np.square(true.astype(np.float32) - shown.astype(np.float32)).mean(2)
    rows, columns = grid
    below, right = rows * TILE_PX - square.shape[0], columns * TILE_PX - square.shape[1]
    whole = cv2.copyMakeBorder(square, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)


@contextmanager
def _watched() -> Iterator[list[float]]:
    """Processor seconds spent on marks while this is open, in a list of one."""
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
    places += [
        (Doubt, name, getattr(Doubt, name))
        for name in ("coded", "between", "beyond", "moved", "p_wrong")
    ]
    patches = [patch.object(where, name, timed(what)) for where, name, what in places]
    for one in patches:
        one.start()
    try:
        yield spent
    finally:
        for one in patches:
            one.stop()
