"""Where the camera goes while nothing arrives: on as it moved last. A guess; nobody told of it.

    coded pictures of the last second, a quarter of a second apart -> flow both ways, where it closes
    -> one similarity for most of the picture, or no guess -> the mean of those rates, the older ones
    less -> carried on for a while

A camera shakes: the rate of the last moment alone leads astray before long. One that stands, or a
picture in which no one motion holds for most of it, is left alone.
"""

from __future__ import annotations

import cmath
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.fusion import grey
from gvc_base.decoders.motion import FlowEngine, agreement, pixel_grid
from gvc_protocol.marks import TILE_PX

__all__ = ["Camera", "Drift", "of_tiles"]

U8 = NDArray[np.uint8]

_BACK_S = (0.25, 1.6)
"""Two pictures are at least this far apart, and at most: less is noise, more is another motion. Nothing
older is looked at, either."""
_STEPS, _HALF_S = 4, 0.25
"Motions that are looked at, at most, and the age at which a moment's rate counts half."
_TRUSTED, _EVERY_PX, _LEAST_POINTS = 0.5, 6, 40
_CLOSES, _AGREES, _WITHIN = 0.4, 0.6, 0.004
"""Share of the picture where flow closes; share of that which one similarity explains to so many
widths of the picture."""
_LEAST_SPEED = 0.01
"Widths a second: a slower camera stands, as far as one can tell."
_MOST_S = 3.0
"Nobody knows how long a camera goes on; from then on the picture is shown as it came."


@dataclass(frozen=True, slots=True)
class Drift:
    """A similarity p -> turn * p + shift of points x + iy, in widths of the picture, and its rate."""

    turn: complex
    shift: complex
    seconds: float
    "That it took."

    @staticmethod
    def at_rate(turn: complex, speed: complex, middle: complex) -> Drift:
        """By the logarithm of `turn` and what the middle of the picture moves, both a second."""
        turned = cmath.exp(turn * _BACK_S[0])
        return Drift(turned, middle + speed * _BACK_S[0] - turned * middle, _BACK_S[0])

    def rate(self, middle: complex) -> tuple[complex, complex]:
        """What `at_rate` takes."""
        moved = self.turn * middle + self.shift - middle
        return cmath.log(self.turn) / self.seconds, moved / self.seconds

    def over(self, seconds: float, width: int) -> NDArray[np.float64]:
        """The same rate for so long: float64[3, 3], from pixels before to pixels after."""
        share = seconds / self.seconds
        turn = self.turn**share
        still = abs(self.turn - 1) < 1e-9
        shift = self.shift * (share if still else (turn - 1) / (self.turn - 1)) * width
        a, b = turn.real, turn.imag
        return np.array([[a, -b, shift.real], [b, a, shift.imag], [0, 0, 1]])

    def speed(self, height: int, width: int) -> float:
        """Widths a second, of the middle of the picture or its corners, whichever is the faster."""
        tall = height / width
        points = (complex(0.5, tall / 2), 0j, complex(1, 0), complex(0, tall), complex(1, tall))
        return max(abs(self.turn * p + self.shift - p) for p in points) / self.seconds


class Camera:
    """Sees the coded pictures of one stream.

    Args:
        engine: None: nothing moves, whatever the pictures show.
        flow_width_px: width of the pictures that motion is found on.
    """

    def __init__(self, engine: FlowEngine | None, flow_width_px: int) -> None:
        self._engine, self._width = engine, flow_width_px
        self._seen: deque[tuple[float, U8]] = deque()
        self._drift: Drift | None = None
        self._asked = False

    def saw(self, picture: U8, now_s: float) -> None:
        """A coded picture of this moment, BGR, or grey of the width that motion is found on."""
        small = picture if picture.ndim == 2 else grey(picture, self._width)
        seen = self._seen
        if seen and (seen[-1][1].shape != small.shape or now_s < seen[-1][0]):
            seen.clear()
        seen.append((now_s, small))
        while now_s - seen[0][0] > _BACK_S[1]:
            seen.popleft()
        self._asked = False

    def on(self, start_s: float, end_s: float, width: int) -> NDArray[np.float64] | None:
        """Motion of the picture between two moments after the last one that was seen, or just before it.

        Returns:
            float64[3, 3], from pixels at `start_s` to pixels at `end_s`; None: it does not move, or
            nobody can tell how, or not so long after.
        """
        if not self._asked:
            self._drift, self._asked = self._find(), True
        last = self._seen[-1][0] if self._seen else 0.0
        if self._drift is None or not -_BACK_S[1] < end_s - last <= _MOST_S:
            return None
        return self._drift.over(end_s - start_s, width)

    def _find(self) -> Drift | None:
        newest = len(self._seen) - 1
        rates: list[tuple[float, complex, complex]] = []
        if self._engine is None or newest < 1:
            return None
        height, width = self._seen[-1][1].shape
        middle = complex(0.5, height / width / 2)
        last_s = self._seen[-1][0]
        while len(rates) < _STEPS:
            now_s = self._seen[newest][0]
            older = [i for i in range(newest) if now_s - self._seen[i][0] >= _BACK_S[0]]
            step = self._step(older[-1], newest) if older else None
            if step is None:
                break
            newest = older[-1]
            counts = _remembered(last_s - now_s) - _remembered(last_s - self._seen[newest][0])
            rates.append((counts, *step.rate(middle)))
        if not rates:
            return None
        whole = sum(counts for counts, _, _ in rates)
        drift = Drift.at_rate(
            sum(counts * turn for counts, turn, _ in rates) / whole,
            sum(counts * speed for counts, _, speed in rates) / whole, middle,
        )  # fmt: skip
        return drift if drift.speed(height, width) >= _LEAST_SPEED else None

    def _step(self, then: int, now: int) -> Drift | None:
        """Motion between two pictures that were seen; None: no one motion holds for most of them."""
        assert self._engine is not None
        (then_s, a), (now_s, b) = self._seen[then], self._seen[now]
        there = self._engine.flow(a, b)
        trust = agreement(there, self._engine.flow(b, a))
        every = np.s_[_EVERY_PX // 2 :: _EVERY_PX, _EVERY_PX // 2 :: _EVERY_PX]
        closes = trust[every] > _TRUSTED
        if closes.sum() < _LEAST_POINTS or closes.mean() < _CLOSES:
            return None
        start = pixel_grid(*a.shape)[every][closes]
        end = start + there[every][closes]
        matrix, within = cv2.estimateAffinePartial2D(
            start, end, ransacReprojThreshold=max(0.5, _WITHIN * a.shape[1])
        )
        if matrix is None or within.mean() < _AGREES:
            return None
        return Drift(
            complex(matrix[0, 0], matrix[1, 0]),
            complex(matrix[0, 2], matrix[1, 2]) / a.shape[1], now_s - then_s,
        )  # fmt: skip


def _remembered(age_s: float) -> float:
    return float(0.5 ** (age_s / _HALF_S))


def of_tiles(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """A homography of pixels as one of tiles."""
    scale = np.diag([1 / TILE_PX, 1 / TILE_PX, 1.0])
    out: NDArray[np.float64] = scale @ matrix @ np.linalg.inv(scale)
    return out
