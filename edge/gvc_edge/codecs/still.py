"""Codec 0's still: one AV1 picture at the size its bytes are good for.

Measured on three clips: down to a CRF of about 50 full size is as good as half size or better, above
it half size wins by up to 2 dB. For a quarter the same rule is assumed, not measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.codecs import av1
from gvc_edge.codecs.av1 import Picture
from gvc_edge.codecs.ladder import search_crf

__all__ = ["StillCoder", "still_gains"]

_SCALES = (1, 2, 4)
_TOO_COARSE_CRF = 50.0
_USELESS_CRF = 56.0
_CRF_STEP_PER_SCALE = 12.0
_MIN_BUDGET = 200
_BETTER_BY = 10**0.05
"A still must beat the stream by half a decibel to be worth sending."


class StillCoder:
    """Codes stills one after another, starting each search where the last ended."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._index, self._crf = 0, 44.0

    def code(self, picture: Picture, budget: int) -> bytes:
        """One temporal unit of at most `budget` bytes; empty when no useful still fits.

        Args:
            picture: uint8[H, W, 3], BGR, full size.
        """
        if budget < _MIN_BUDGET:
            return b""
        if self._index > 0 and self._crf < _TOO_COARSE_CRF - _CRF_STEP_PER_SCALE:
            self._index, self._crf = self._index - 1, self._crf + _CRF_STEP_PER_SCALE
        for index in range(self._index, len(_SCALES)):
            size = av1.even_size(self._width, self._height, _SCALES[index])
            plane = av1.i420(av1.reduce(picture, *size))

            def encode(crf: float, plane: Picture = plane) -> Sequence[bytes]:
                return av1.encode([plane], crf=crf, fps=Fraction(1), still=True)

            found = search_crf(encode, lambda units: len(units[0]), budget, self._crf, tries=5)
            last = index + 1 == len(_SCALES)
            if found is not None and found.crf <= (_USELESS_CRF if last else _TOO_COARSE_CRF):
                self._index, self._crf = index, found.crf
                return found.units[0]
            self._crf = max(
                av1.MIN_CRF, (found.crf if found else av1.MAX_CRF) - _CRF_STEP_PER_SCALE
            )
        self._index, self._crf = len(_SCALES) - 1, 50.0
        return b""


def still_gains(source: Picture, still: Picture, shown: Picture) -> tuple[int, int] | None:
    """How much of the still's difference from the stream is true, in two bands.

    Args:
        source: the true frame, uint8[H, W, 3].
        still: the same frame as K's decoder sees it, any size.
        shown: the same frame as F's decoder sees it, reduced.

    Returns:
        (gain_low, gain_high) in 0..255, the least-squares shares; None when the still is farther
        from the source than the stream is.
    """
    height, width = source.shape[:2]
    small = (shown.shape[1], shown.shape[0])
    still = av1.reduce(still, width, height)
    up = av1.reduce(shown, width, height)
    if _error(source, still) * _BETTER_BY > _error(source, up):
        return None
    still_low, source_low = av1.reduce(still, *small), av1.reduce(source, *small)
    low = _share(still_low.astype(np.float32) - shown, source_low.astype(np.float32) - shown)
    high = _share(_detail(still, still_low), _detail(source, source_low))
    return low, high


def _detail(picture: Picture, low: Picture) -> NDArray[np.float32]:
    up = cv2.resize(low, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(picture.astype(np.float32) - up, np.float32)


def _share(part: NDArray[np.float32], whole: NDArray[np.float32]) -> int:
    power = float(np.sum(part * part))
    share = float(np.sum(part * whole)) / power if power > 0 else 0.0
    return math.floor(255 * min(1.0, max(0.0, share)))


def _error(a: Picture, b: Picture) -> float:
    return float(np.mean(cv2.absdiff(a, b).astype(np.float32) ** 2)) + 1e-3
