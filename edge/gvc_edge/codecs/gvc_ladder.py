"""Codec 1's ladder: what a unit's stream looks like for the bytes it has, and which step comes next.

A step is a size and a rate of coded pictures; the base recovers the frames between. It moves by the
quantiser that the last units needed: where it is coarse, fewer and smaller pictures would do better.

Measured at 854x480, VVenC medium, units of 4 s, the frames between by optical flow, without a network:
JOD of ColorVideoVDP in the middle half, feature distance of a detector, QP.
    forest  0.0050 bpp  1/1 15 Hz 7.89 .079 39 | 1/1.5 15 Hz 8.00 .088 36 | 1/1.5 10 Hz 7.54 .087 33
                        1/1.5 30 Hz 8.00 .094 35 | 1/2 15 Hz 7.72 .106 31
            0.0024 bpp  1/1.5 15 Hz 6.62 .138 39 | 1/1.5 10 Hz 6.56 .134 39 | 1/1.5 6 Hz 6.17 .136 38
                        1/2 15 Hz 6.51 .143 36 | 1/2 30 Hz 6.30 .146 37
            0.0010 bpp  1/2 15 Hz 4.27 .204 41 | 1/2 10 Hz 4.51 .191 40 | 1/2 6 Hz 4.52 .188 40
    road    0.0050 bpp  1/1.5 25 Hz 8.30 .043 34 | 1/1.5 12 Hz 8.33 .042 31 | 1/1.5 8 Hz 8.16 .044 30
            0.0024 bpp  1/1.5 25 Hz 7.29 .065 39 | 1/1.5 12 Hz 7.52 .061 36 | 1/1.5 8 Hz 7.30 .062 34
    site    0.0024 bpp  1/1.5 30 Hz 9.02 .029 29 | 1/1.5 15 Hz 9.11 .028 27 | 1/1 10 Hz 9.04 .029 29
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

__all__ = [
    "LOG_SIZE_PER_QP",
    "STEPS",
    "Step",
    "apart",
    "coded_size",
    "first_guess",
    "next_step",
    "qp_for",
    "spacing",
    "within",
]

LOG_SIZE_PER_QP = 0.115
"A step of QP takes about a ninth of the bytes, whatever the content."

_FINER_BELOW_QP = 30.0
_STILL_SIDE_PX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the ladder."""

    scale: float
    coded_hz: float
    level: int
    "What part D says: 0 full motion, 1 fewer frames, 2 stills with carried motion."
    qp_from_finer: float
    "How much lower the QP is here than on the step before it for the same bytes; about."
    most_qp: float = 42
    "Above it the next step does better."


STEPS: tuple[Step, ...] = (
    # Twice the pixels, so a quicker preset: full size has to be fine to be worth it.
    Step(scale=1, coded_hz=15, level=0, qp_from_finer=0, most_qp=30),
    Step(scale=1.5, coded_hz=15, level=0, qp_from_finer=4),
    Step(scale=1.5, coded_hz=10, level=0, qp_from_finer=2),
    Step(scale=2, coded_hz=10, level=0, qp_from_finer=4),
    Step(scale=2, coded_hz=6, level=1, qp_from_finer=2),
    Step(scale=3, coded_hz=6, level=1, qp_from_finer=5),
    Step(scale=4, coded_hz=5, level=1, qp_from_finer=4),
    Step(scale=6, coded_hz=3, level=1, qp_from_finer=6),
    Step(scale=8, coded_hz=2, level=2, qp_from_finer=5),
    Step(scale=12, coded_hz=1, level=2, qp_from_finer=7),
    Step(scale=16, coded_hz=0.5, level=2, qp_from_finer=6),
)


def spacing(step: Step, fps: Fraction) -> int:
    """Source frames between two coded ones, 1..255."""
    return apart(step.coded_hz, fps)


def apart(hz: float, fps: Fraction) -> int:
    """The same for `hz` coded pictures a second."""
    # Half a frame up: at 25 frames a second, 10 coded pictures become 8 and not 12.
    return min(255, max(1, math.floor(float(fps) / hz + 0.5)))


def first_guess(bits_per_pixel: float) -> tuple[int, float]:
    """Step and QP for a unit about whose content nothing is known."""
    at_3 = 34 - math.log(max(bits_per_pixel, 1e-7) / 0.0024) / LOG_SIZE_PER_QP
    return next_step(3, at_3)


def qp_for(qp: float, bytes_before: int, bytes_now: int) -> float:
    """QP at which a stream that took `bytes_before` at `qp` takes `bytes_now`."""
    return qp + math.log(max(1, bytes_before) / max(1, bytes_now)) / LOG_SIZE_PER_QP


def next_step(index: int, qp: float) -> tuple[int, float]:
    """The step for a QP that this one would need, and the QP there."""
    while qp > STEPS[index].most_qp and index + 1 < len(STEPS):
        index += 1
        qp -= STEPS[index].qp_from_finer
    while index > 0 and qp < _FINER_BELOW_QP:
        # Not up where it would come straight down again: the ladder must not swing.
        if qp + STEPS[index].qp_from_finer > STEPS[index - 1].most_qp - 2:
            break
        qp += STEPS[index].qp_from_finer
        index -= 1
    return index, qp


def within(index: int, qp: float, finest: int, coarsest: int) -> tuple[int, float]:
    """The nearest step whose level lies within the bounds, and the QP there. The lowest level, stills
    carried by motion, is no step of its own: it is tried wherever level 2 is."""
    while STEPS[index].level < finest and index + 1 < len(STEPS):
        index += 1
        qp -= STEPS[index].qp_from_finer
    while STEPS[index].level > coarsest and index > 0:
        qp += STEPS[index].qp_from_finer
        index -= 1
    return index, qp


def coded_size(width: int, height: int, scale: float) -> tuple[int, int]:
    """Size of the coded pictures: whole numbers of 8 pixels, at least 64 a side where the source has
    as many."""
    return _side(width, scale), _side(height, scale)


def _side(side: int, scale: float) -> int:
    least = min(_STILL_SIDE_PX, side // 8 * 8)
    return max(least, 16, round(side / scale / 8) * 8)
