"""Pictures of the marks' bench: reliability diagrams, and the places where the marks failed most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.marks.model import load_model
from gvc_protocol.marks import TILE_PX
from tests.bench.marks.captures import lossy, make_capture
from tests.bench.marks.harvest import Take, decoded
from tests.bench.marks.judge import Judged
from tests.bench.marks.scenes import make_clip, read_clip

__all__ = ["draw_reliability", "draw_worst"]

Rows = Sequence[tuple[Take, Judged]]
U8 = NDArray[np.uint8]

_CROP = (240, 160)
_WORST = 4


def draw_reliability(rows: Rows, path: Path) -> None:
    """Said against found, one line a scene type, without and with loss; and how the p are spread."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.6), sharey=True)
    edges = np.linspace(0, 1, 11)
    for axis, lossy_ones in zip(axes, (False, True), strict=True):
        axis.plot([0, 1], [0, 1], color="0.6", lw=1)
        here = [r for r in rows if bool(r[0].loss_seed) is lossy_ones]
        for kind in dict.fromkeys(t.sending.scene.kind for t, _ in here):
            of = [j for t, j in here if t.sending.scene.kind == kind]
            p = np.concatenate([j.p.ravel() for j in of]).astype(float)
            wrong = np.concatenate([j.wrong.ravel() for j in of])
            which = np.clip(np.digitize(p, edges) - 1, 0, 9)
            count = np.bincount(which, minlength=10)
            seen = count > 0.002 * len(p)
            said = np.bincount(which, p, 10)[seen] / count[seen]
            found = np.bincount(which, wrong, 10)[seen] / count[seen]
            axis.plot(said, found, marker="o", ms=4, label=kind)
        axis.set_title("20 % loss in bursts of 3" if lossy_ones else "loss-free")
        axis.set_xlabel("p_wrong said")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("share of tiles that are wrong")
    axes[0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def draw_worst(rows: Rows, data: Path, work: Path, path: Path) -> list[str]:
    """Source and decoded picture where most tiles near each other are wrong and trusted: one place a
    take, the worst takes first. Returns a line for each row of the picture."""
    places = []
    for take, judged in rows:
        trusted = load_model().is_trusted(judged.mark, judged.p)
        false = (trusted & judged.wrong).astype(np.float32)
        tiles = (_CROP[0] // TILE_PX, _CROP[1] // TILE_PX)
        near = np.stack([cv2.blur(f, tiles, borderType=cv2.BORDER_CONSTANT) for f in false])
        at = np.unravel_index(int(near.argmax()), near.shape)
        places.append((float(near.max()), take, judged, tuple(int(i) for i in at)))
    places.sort(key=lambda row: -row[0])
    strips, lines, seen = [], [], set()
    for share, take, judged, (index, row, column) in places:
        if take.sending.name in seen or share <= 0 or len(strips) == _WORST:
            continue
        seen.add(take.sending.name)
        number = int(judged.frame[index])
        trusted = load_model().is_trusted(judged.mark[index], judged.p[index])
        strips.append(_strip(take, number, (row, column), judged.wrong[index], trusted, data, work))
        lines.append(
            f"worst {len(strips)}: {take.name}, frame {number}, around pixel "
            f"{column * TILE_PX},{row * TILE_PX}: {100 * share:.0f} % of the tiles wrong and trusted"
        )
    if strips:
        cv2.imwrite(str(path), np.vstack(strips), [cv2.IMWRITE_JPEG_QUALITY, 88])
    return lines


def _strip(
    take: Take, number: int, tile: tuple[int, int], wrong: NDArray[np.bool_],
    trusted: NDArray[np.bool_], data: Path, work: Path,
) -> U8:  # fmt: skip
    """Source, decoded, decoded with outlines: red wrong and trusted, yellow wrong and not trusted."""
    capture = make_capture(take.sending, data, work)
    capture = lossy(capture, take.loss_seed) if take.loss_seed else capture
    true = read_clip(make_clip(take.sending.scene, data, work))[number]
    shown = next(f.pixels for f in decoded(capture, take.quality, None) if f.frame_no == number)
    outlined = np.ascontiguousarray(shown).copy()
    for row, column in np.argwhere(wrong):
        corner = (int(column) * TILE_PX, int(row) * TILE_PX)
        colour = (0, 0, 255) if trusted[row, column] else (0, 220, 255)
        cv2.rectangle(
            outlined, corner, (corner[0] + TILE_PX - 1, corner[1] + TILE_PX - 1), colour, 1
        )
    high, wide = true.shape[:2]
    x = int(np.clip(tile[1] * TILE_PX - _CROP[0] // 2, 0, wide - _CROP[0]))
    y = int(np.clip(tile[0] * TILE_PX - _CROP[1] // 2, 0, high - _CROP[1]))
    crops = [p[y : y + _CROP[1], x : x + _CROP[0]] for p in (true, shown, outlined)]
    double = [cv2.resize(c, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_NEAREST) for c in crops]
    strip = np.hstack(double)
    return np.asarray(cv2.copyMakeBorder(strip, 0, 4, 0, 0, cv2.BORDER_CONSTANT), np.uint8)
