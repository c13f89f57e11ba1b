"""`python -m tests.bench.eyes`: what the edge's eyes find on clips, and what it costs.

A clip with a `.json` of true movers beside it (tools that render flyovers write one) gives recall and
false tracks; any other clip is only looked at: give --out and see the boxes.

recall: share of true boxes of at least 8x8 pixels in the picture that some track's box matches (IoU of
0.2, or the true centre inside). false: tracks of a unit that match a true box in less than half of their
frames.

usage: python -m tests.bench.eyes [CLIP ...] [--unit-s 2] [--detector movers] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.eyes import Eyes, Seen, load_detector
from gvc_edge.sources import FrameSource, open_source
from gvc_edge.units import frames_per_unit
from gvc_protocol.objects import ObjectClass

SHARED = Path(__file__).resolve().parents[3] / "shared/clips"
Box = tuple[float, float, float, float]
Truth = list[list[Box]]


@dataclass(slots=True)
class Score:
    """Sums over a clip."""

    true_boxes: int = 0
    found: int = 0
    false_tracks: int = 0
    tracks: int = 0
    units: int = 0
    frames: int = 0
    seconds: float = 0.0
    path_frames: int = 0
    ids: set[int] = field(default_factory=set)

    def line(self, name: str, *, has_truth: bool) -> str:
        said = (
            f"recall {self.found / max(1, self.true_boxes):.2f}, "
            f"false tracks a unit {self.false_tracks / max(1, self.units):.2f}, "
        )
        return (
            f"{name}: {said if has_truth else ''}tracks a unit {self.tracks / max(1, self.units):.1f}, "
            f"numbers used {len(self.ids)}, "
            f"path over {100 * self.path_frames / self.frames:.0f} % of frames, "
            f"{1000 * self.seconds / self.frames:.2f} ms of one core a frame"
        )


def read_truth(clip: Path, width: int, height: int) -> Truth | None:
    """True boxes (x0, y0, x1, y1) a frame, clipped to the picture; None without a file of them."""
    path = clip.with_suffix(".json")
    if not path.exists():
        return None
    movers = json.loads(path.read_text()).get("movers")
    if movers is None:
        return None
    return [
        [(max(0, x0), max(0, y0), min(width, x1), min(height, y1)) for _, x0, y0, x1, y1 in row]
        for row in movers
    ]


def matches(true: Box, box: Box) -> bool:
    width = min(true[2], box[2]) - max(true[0], box[0])
    height = min(true[3], box[3]) - max(true[1], box[1])
    both = max(0.0, width) * max(0.0, height)
    areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (true, box))
    x, y = (true[0] + true[2]) / 2, (true[1] + true[3]) / 2
    inside = box[0] <= x < box[2] and box[1] <= y < box[3]
    return inside or both >= 0.2 * max(1e-9, areas - both)


def boxes_at(seen: Seen, offset: int) -> list[tuple[int, Box]]:
    found = [(t.track_id, t.box_at(offset)) for t in seen.tracks]
    return [(i, (b.x, b.y, b.x + b.width, b.y + b.height)) for i, b in found if b is not None]


def count(score: Score, seen: Seen, truth: Truth) -> None:
    """Add one unit."""
    shown = {t.track_id: 0 for t in seen.tracks}
    right = dict(shown)
    for offset, true in enumerate(truth):
        boxes = boxes_at(seen, offset)
        for box in true:
            if box[2] - box[0] >= 8 and box[3] - box[1] >= 8:
                score.true_boxes += 1
                score.found += any(matches(box, b) for _, b in boxes)
        for track_id, b in boxes:
            shown[track_id] += 1
            right[track_id] += any(matches(box, b) for box in true)
    score.false_tracks += sum(right[i] < 0.5 * shown[i] for i in shown)


def draw(pixels: NDArray[np.uint8], seen: Seen, offset: int, true: list[Box], path: Path) -> None:
    picture: Any = pixels.copy()
    for x0, y0, x1, y1 in true:
        cv2.rectangle(picture, (int(x0), int(y0)), (int(x1), int(y1)), (0, 0, 255), 1)
    names = {t.track_id: t.class_id for t in seen.tracks}
    for track_id, (x0, y0, x1, y1) in boxes_at(seen, offset):
        cv2.rectangle(picture, (int(x0), int(y0)), (int(x1), int(y1)), (0, 255, 0), 1)
        kind = ObjectClass(names[track_id]).name.lower()
        cv2.putText(
            picture, f"{track_id} {kind}", (int(x0), int(y0) - 2), 0, 0.4, (0, 255, 0), 1
        )  # fmt: skip
    cv2.imwrite(str(path), picture)


def units(source: FrameSource, unit_s: float) -> Iterator[list[NDArray[np.uint8]]]:
    size, unit = frames_per_unit(source.info, unit_s), []
    for frame in source.frames():
        unit.append(frame.pixels)
        if len(unit) == size:
            yield unit
            unit = []
    if unit:
        yield unit


def look(url: str, unit_s: float, detector: str, out: Path | None) -> str:
    """One clip through the eyes; the line that tells how it went."""
    source = open_source(url, start_us=0, crop_even=True)
    info, score, first = source.info, Score(), 0
    truth = read_truth(Path(url), info.width, info.height)
    eyes = Eyes(
        width=info.width, height=info.height, fps=info.fps, detector=load_detector(detector),
        thermal=getattr(source, "thermal_range", lambda: None)() is not None,
    )  # fmt: skip
    for unit in units(source, unit_s):
        start = time.thread_time()
        eyes.begin()
        for offset, pixels in enumerate(unit):
            eyes.push(pixels, offset)
        seen = eyes.close()
        score.seconds += time.thread_time() - start
        score.units, score.frames = score.units + 1, score.frames + len(unit)
        score.tracks += len(seen.tracks)
        score.ids |= {t.track_id for t in seen.tracks}
        score.path_frames += 0 if seen.motion_path is None else seen.motion_path.end + 1
        true = [] if truth is None else truth[first : first + len(unit)]
        count(score, seen, true)
        if out is not None:
            for offset in (len(unit) // 4, len(unit) * 3 // 4):
                name = f"{Path(url.partition('?')[0]).stem}_{first + offset:04d}.png"
                shown = true[offset] if offset < len(true) else []
                draw(unit[offset], seen, offset, shown, out / name)
        first += len(unit)
    return score.line(info.name, has_truth=truth is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clips", nargs="*")
    parser.add_argument("--unit-s", type=float, default=2.0)
    parser.add_argument("--detector", default="movers")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    clips = asked.clips or [str(p) for p in sorted(SHARED.glob("flyover_*.mp4"))]
    if not clips:
        parser.error("no clips: give video files")
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)  # the edge has cores for other work
    for clip in clips:
        print(look(clip, asked.unit_s, asked.detector, asked.out), flush=True)


if __name__ == "__main__":
    main()
