"""What a lost unit shows: the last picture moved on as the camera moved, against the same one held.

Every scene is sent in units of 2 s and the link goes away in the middle; `preview`, so that it is quick.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from gvc_base.marks import disagreement
from gvc_base.marks.doubt import Doubt
from gvc_protocol.marks import Mark
from tests.bench.marks.captures import Sending, cut, make_capture, sendings
from tests.bench.marks.harvest import blank_model, decoded
from tests.bench.marks.scenes import CALIBRATION, FRESH, TEST, TRAINING, Scene, make_clip, read_clip

__all__ = ["main"]

_EVERY, _FIRST_S = 3, 1.0
_SEED = 1


def _sent(scene: Scene) -> list[Sending]:
    """Codec 1 in the middle of its rates, and codec 0."""
    one = sendings(scene)[1]
    return [replace(one, latency_s=2.0), sendings(scene)[-1]]


def _take(sending: Sending, data: Path, folder: Path) -> list[list[float]]:
    """Of each lost frame: seconds since something came; wrong share and PSNR, held and shown."""
    clip = read_clip(make_clip(sending.scene, data, folder))
    held, at, rows = None, 0, []
    for frame in decoded(
        cut(make_capture(sending, data, folder), _SEED), "preview", Doubt(blank_model())
    ):
        if frame.frame_no >= len(clip):
            break
        if not (frame.mark == Mark.LOST).all():
            held, at = frame.pixels.copy(), frame.frame_no
        elif held is not None and frame.frame_no % _EVERY == 0:
            true = clip[frame.frame_no]
            found = [(disagreement(true, p) > 1).mean() for p in (held, frame.pixels)]
            near = [cv2.PSNR(true, p) for p in (held, frame.pixels)]
            rows.append([(frame.frame_no - at) / sending.scene.fps, *map(float, found), *near])
    return rows


def _line(name: str, rows: list[list[float]]) -> str:
    all_rows = np.array(rows)
    cells = []
    for these in (all_rows[:, 0] <= _FIRST_S, all_rows[:, 0] > _FIRST_S):
        if not these.any():
            cells.append(f"{'-':>31}")
            continue
        wrong_held, wrong, held, shown = all_rows[these, 1:].mean(0)
        cells.append(f"{wrong_held:6.2f} -> {wrong:4.2f} {held:7.1f} -> {shown:4.1f}")
    return f"{name:<30} {len(rows):6d} " + "   ".join(cells)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with photos/ and clips/")
    parser.add_argument("--work", type=Path, required=True, help="clips and captures are kept here")
    args = parser.parse_args()
    print("held -> shown: share of wrong tiles, PSNR in dB; in the first second, and after it")
    for title, scenes in (
        ("scenes that train and calibrate the marks", (*TRAINING, *CALIBRATION)),
        ("clips that judge", (*TEST, *FRESH)),
    ):
        kinds: dict[str, list[list[float]]] = {}
        for scene in scenes:
            for sending in _sent(scene):
                kinds.setdefault(scene.kind, []).extend(_take(sending, args.data, args.work))
        print(f"{title}:")
        for kind, rows in kinds.items():
            if rows:
                print(_line(kind, rows))
        print(_line("all", [row for rows in kinds.values() for row in rows]))


if __name__ == "__main__":
    main()
