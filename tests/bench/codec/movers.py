"""What is left of things that move: each mover's true box, looked at in the decoded frame.

    true boxes -> same box in source and decoded frame -> normalised correlation of luma -> over 0.7?

A mover that vanished, smeared or stands elsewhere fails; a change of brightness or contrast does not
count. True boxes come from a synthetic flyover's JSON or from `synthetic:flood` itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.flood import FloodSource
from gvc_protocol.errors import UserError
from tests.bench.codec.metrics import Clip, check_pair, luma

__all__ = [
    "LEAST_CORRELATION",
    "LEAST_SIDE_PX",
    "Kept",
    "TrueMover",
    "correlation",
    "flood_movers",
    "movers_kept",
    "read_movers",
]

LEAST_CORRELATION = 0.7
LEAST_SIDE_PX = 6
_FLAT = 0.5
"Standard deviation in levels under which a box shows nothing that could be lost."


@dataclass(frozen=True, slots=True)
class TrueMover:
    """Where one mover is in one frame: pixels, upper left inclusive, lower right exclusive."""

    kind: str
    x0: int
    y0: int
    x1: int
    y1: int


@dataclass(slots=True)
class Kept:
    """Counts of (mover, frame) pairs."""

    seen: int = 0
    total: int = 0
    by_kind: dict[str, tuple[int, int]] = field(default_factory=dict)
    "Seen and total of each kind of mover."

    @property
    def share(self) -> float | None:
        """0..1, higher is better; None for a clip without movers."""
        return self.seen / self.total if self.total else None

    def add(self, kind: str, *, seen: bool) -> None:
        self.seen, self.total = self.seen + seen, self.total + 1
        before = self.by_kind.get(kind, (0, 0))
        self.by_kind[kind] = (before[0] + seen, before[1] + 1)


def movers_kept(source: Clip, decoded: Clip, truth: Sequence[Sequence[TrueMover]]) -> Kept:
    """Which movers are still recognisable in a decoded clip.

    Args:
        source, decoded: uint8[n, h, w, 3] BGR.
        truth: the movers of each of the n frames; more rows than frames are ignored.

    Boxes are cut at the picture's edge; those under 6x6 pixels then, and those where the source is
    flat, are not counted.
    """
    check_pair(source, decoded)
    if len(truth) < len(source):
        raise ValueError(f"true boxes of {len(truth)} frames for a clip of {len(source)}")
    height, width = source.shape[1:3]
    kept = Kept()
    for before, after, row in zip(source, decoded, truth, strict=False):
        for mover in row:
            x0, y0 = max(0, mover.x0), max(0, mover.y0)
            x1, y1 = min(width, mover.x1), min(height, mover.y1)
            if min(x1 - x0, y1 - y0) < LEAST_SIDE_PX:
                continue
            true = luma(before[y0:y1, x0:x1])
            if float(true.std()) < _FLAT:
                continue
            found = correlation(true, luma(after[y0:y1, x0:x1]))
            kept.add(mover.kind, seen=found > LEAST_CORRELATION)
    return kept


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Normalised correlation of two pictures float[h, w], -1..1; 0 where one of them is flat."""
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    a64, b64 = a64 - a64.mean(), b64 - b64.mean()
    size = float(np.sqrt((a64 * a64).sum() * (b64 * b64).sum()))
    return float((a64 * b64).sum() / size) if size > 1e-6 else 0.0


def read_movers(
    path: Path, *, width: int, height: int, fps: float | None = None
) -> list[list[TrueMover]]:
    """True boxes a frame out of a flyover's JSON, for the clip as it is measured.

    Args:
        width, height: the measured clip's size. It is taken to be the flyover scaled until it
            covers this size, and the middle of that.
        fps: the measured clip's frame rate; None for the flyover's own.

    Raises:
        UserError: the file is missing or is no such JSON.
    """
    try:
        told = json.loads(path.read_text())
        own_width, own_height = (int(v) for v in told["size"])
        own_fps, rows = float(told["fps"]), list(told["movers"])
        scale = max(width / own_width, height / own_height)
        left, top = (own_width * scale - width) / 2, (own_height * scale - height) / 2
        found = [[_scaled(mover, scale, left, top) for mover in row] for row in rows]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; check the path") from None
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        raise UserError(
            f"{path} does not tell a flyover's size, fps and movers; render it again"
        ) from None
    step = own_fps / (fps or own_fps)
    return [found[round(i * step)] for i in range(int((len(found) - 1) / step) + 1)]


def _scaled(mover: Sequence[object], scale: float, left: float, top: float) -> TrueMover:
    kind, *corners = mover
    x0, y0, x1, y1 = (float(str(v)) * scale for v in corners)
    return TrueMover(
        str(kind), round(x0 - left), round(y0 - top), round(x1 - left), round(y1 - top)
    )


def flood_movers(source: FloodSource, *, frames: int) -> list[list[TrueMover]]:
    """True boxes of the first `frames` frames of `synthetic:flood`, at the source's own size.

    Parked and drowned vehicles are among them: the camera moves, so they do in the picture too.
    """
    return [
        [TrueMover(b.kind, b.x0, b.y0, b.x1, b.y1) for b in source.boxes(number)]
        for number in range(frames)
    ]
