"""The sender looks at what it sent beside what its camera saw, and tells where the two differ.

    push: small grey copies of a few frames -> close: the plain picture of what was sent at those frames
    -> places where structure is missing, invented or out of place -> their share in each cell and slice
    of time, in the mean of its frames -> truth map in D, of the shape that tells most in so few bytes

It takes no bytes that the codec could use: the map goes into what a unit leaves of its budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_profiles.sight.evidence import Evidence, small_grey, work_size
from gvc_profiles.sight.shares import SHARE_OF_LEVEL, apart_at, at_moment, log_odds
from gvc_protocol.motion_path import MotionPath
from gvc_protocol.truth import SHAPES, Proxy, TruthMap, levels_of

__all__ = ["ShowsSent", "Verifier"]

Picture = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_MOMENTS = 8
"Frames of a unit that are compared."

_APART = (0.125, 6.0)
"Nearer than the first and further than the second tell no more."
_SURELY = 1.5
"Apart from which on a place of an object's size is surely wrong, if it is so at one moment alone."


@runtime_checkable
class ShowsSent(Protocol):
    """An encoder that has decoded what it sent."""

    def take_shown(self) -> tuple[Proxy, list[tuple[int, Picture]]]:
        """(what it is, pictures as the base will have them by frame in the unit); once after `close`."""


class Verifier:
    """Makes the truth map of each unit.

    Args:
        width, height: size of the source, pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._source, self._size = (width, height), work_size(width, height)
        self._true: dict[int, Picture] = {}
        self._frames, self._wanted = 1, frozenset[int]()

    def begin(self, frames: int) -> None:
        """Open a unit of so many frames, or about so many."""
        self._true, self._frames = {}, max(1, frames)
        # Evenly, and off the unit's ends: most lie between coded pictures, as most frames do.
        self._wanted = frozenset(int((i + 0.5) * frames / _MOMENTS) for i in range(_MOMENTS))

    def push(self, pixels: Picture, offset: int) -> None:
        """Look at a frame; of a few a small copy is kept."""
        if offset in self._wanted:
            self._true[offset] = small_grey(pixels, self._size)

    def close(
        self, proxy: Proxy, shown: Sequence[tuple[int, Picture]], path: MotionPath | None
    ) -> tuple[TruthMap, ...]:
        """The unit's map in each shape, the most telling first; some may be too long to be sent. None
        where nothing can be compared."""
        true, self._true = self._true, {}
        if not shown or not true:
            return ()
        evidence = Evidence(
            [offset for offset, _ in shown], [picture for _, picture in shown], size=self._size,
            source=self._source, path=path,
        )  # fmt: skip
        at, apart = [], []
        for offset, picture in sorted(true.items()):
            plain = evidence.at(offset)
            if plain is not None:
                at.append(min(offset / self._frames, 1.0))
                apart.append(apart_at(picture, plain, self._source[0]))
        return _maps(proxy, np.array(at), np.stack(apart)) if apart else ()


def _maps(proxy: Proxy, at: F64, apart: F32) -> tuple[TruthMap, ...]:
    """Of moments at these shares of the unit, and what was apart there, float32[n, rows, columns]."""
    wrong = (apart > 1).astype(np.float32)
    found = []
    for shape in SHAPES:
        levels = _levels(shape, at, apart, wrong)
        if levels is not None:
            found.append((_loss(levels, at, wrong), TruthMap(proxy=proxy, levels=levels)))
    found.sort(key=lambda one: one[0])
    return tuple(m for _, m in found)


def _levels(
    shape: tuple[int, int, int], at: F64, apart: F32, wrong: F32
) -> NDArray[np.uint8] | None:
    """uint8 of the shape; None where a slice has no moment."""
    slices, grid = shape[0], shape[1:]
    out = np.zeros(shape, np.uint8)
    of = np.minimum((at * slices).astype(int), slices - 1)
    for one in range(slices):
        here = of == one
        if not here.any():
            return None
        # A ratio: its mean is that of its logarithm, and what is far off counts no more than that.
        far = np.log2(np.clip(apart[here], *_APART)).mean(0)
        spots = [_over((moment > _SURELY).astype(np.float32), grid) for moment in apart[here]]
        out[one] = levels_of(
            _over(wrong[here].mean(0), grid), np.exp2(_over(far, grid)),
            np.max(spots, 0) / np.float32(grid[0] * grid[1]),
        )  # fmt: skip
    return out


def _loss(levels: NDArray[np.uint8], at: F64, wrong: F32) -> float:
    """How badly a map foretells what was found, as the base reads it: log loss of a place."""
    odds, size, total = log_odds(SHARE_OF_LEVEL[levels]), wrong.shape[:0:-1], 0.0
    for moment, found in zip(at, wrong, strict=True):
        cells = at_moment(odds, float(moment))
        said = cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR)
        total += float(np.logaddexp(0, said).sum() - (said * found).sum())
    return total / wrong.size


def _over(places: F32, grid: tuple[int, int]) -> F32:
    """Mean over each cell."""
    return np.asarray(cv2.resize(places, grid[::-1], interpolation=cv2.INTER_AREA), np.float32)
