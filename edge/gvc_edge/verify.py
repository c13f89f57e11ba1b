"""The sender looks at what it sent beside what its camera saw, and tells where the two differ.

    push: small grey copies of a few frames -> close: the plain picture of what was sent at those frames
    -> places where structure is missing, invented or out of place -> their share in each cell, in the
    mean of those frames -> truth map in D, one of several sizes

It takes no bytes that the codec could use: the map goes into what a unit leaves of its budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_profiles.sight.evidence import Evidence, small_grey, work_size
from gvc_profiles.sight.shares import apart_at
from gvc_protocol.motion_path import MotionPath
from gvc_protocol.truth import GRIDS, MAX_TRUTH_BYTES, Proxy, TruthMap, levels_of

__all__ = ["ShowsSent", "Verifier"]

Picture = NDArray[np.uint8]

_MOMENTS = 4
"Frames of a unit that are compared."

_APART = (0.125, 6.0)
"Nearer than the first and further than the second tell no more."


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
        self._wanted: frozenset[int] = frozenset()

    def begin(self, frames: int) -> None:
        """Open a unit of so many frames, or about so many."""
        self._true = {}
        # Evenly, and off the unit's ends: most lie between coded pictures, as most frames do.
        self._wanted = frozenset(int((i + 0.5) * frames / _MOMENTS) for i in range(_MOMENTS))

    def push(self, pixels: Picture, offset: int) -> None:
        """Look at a frame; of a few a small copy is kept."""
        if offset in self._wanted:
            self._true[offset] = small_grey(pixels, self._size)

    def close(
        self, proxy: Proxy, shown: Sequence[tuple[int, Picture]], path: MotionPath | None
    ) -> tuple[TruthMap, ...]:
        """The unit's map in each grid that it can be sent in, the finest first; none where nothing can
        be compared."""
        true, self._true = self._true, {}
        if not shown or not true:
            return ()
        evidence = Evidence(
            [offset for offset, _ in shown], [picture for _, picture in shown], size=self._size,
            source=self._source, path=path,
        )  # fmt: skip
        pairs = [(picture, evidence.at(offset)) for offset, picture in true.items()]
        apart = [
            apart_at(picture, plain, self._source[0])
            for picture, plain in pairs if plain is not None
        ]  # fmt: skip
        if not apart:
            return ()
        wrong = np.mean([one > 1 for one in apart], 0)
        # A ratio: its mean is that of its logarithm, and what is far off counts no more than that.
        far = np.mean(np.log2(np.clip(apart, *_APART)), 0)
        maps = [
            TruthMap(proxy=proxy, levels=levels_of(_over(wrong, grid), np.exp2(_over(far, grid))))
            for grid in GRIDS
        ]
        return tuple(m for m in maps if len(m.pack()) <= MAX_TRUTH_BYTES)


def _over(places: NDArray[np.floating[Any]], grid: tuple[int, int]) -> NDArray[np.float32]:
    """Mean over each cell."""
    means = cv2.resize(places.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32)
