"""The sender looks at what it sent beside what its camera saw, and tells where the two differ.

    push: small grey copies of a few frames -> close: the plain picture of what was sent at those frames
    -> cells with structure missing, invented or out of place at any of them -> truth map in D

It takes no bytes that the codec could use: the map goes into what a unit leaves of its budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gvc_profiles.sight.compare import CELLS, wrong_cells
from gvc_profiles.sight.evidence import Evidence, small_grey, work_size
from gvc_protocol.motion_path import MotionPath
from gvc_protocol.truth import Proxy, TruthMap

__all__ = ["ShowsSent", "Verifier"]

Picture = NDArray[np.uint8]

_MOMENTS = 4
"Frames of a unit that are compared; wrong at one is wrong."


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
    ) -> TruthMap | None:
        """The unit's map; None where nothing can be compared."""
        true, self._true = self._true, {}
        if not shown or not true:
            return None
        evidence = Evidence(
            [offset for offset, _ in shown], [picture for _, picture in shown], size=self._size,
            source=self._source, path=path,
        )  # fmt: skip
        wrong = np.zeros(CELLS, np.bool_)
        for offset, picture in true.items():
            plain = evidence.at(offset)
            if plain is not None:
                wrong |= wrong_cells(picture, plain)
        return TruthMap(proxy=proxy, wrong=wrong)
