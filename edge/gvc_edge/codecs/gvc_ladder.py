"""Codec 1's ladder: what a unit's stream looks like for the bytes it has, and which step comes next.

A step is a size and a rate of coded pictures; the base recovers the frames between. It moves by the
quantiser that the last units needed: where it is coarse, fewer and smaller pictures would do better.

Measured at 854x480, 4 s, the frames between recovered by optical flow, JOD of ColorVideoVDP:
    forest  0.0024 bpp  1/1.5 10 Hz QP 40 6.18 | 1/2 10 Hz QP 36 6.15 | 1/2 6 Hz QP 34 5.99
            0.0010 bpp  1/2 10 Hz QP 42 3.96 | 1/2 6 Hz QP 40 4.28 | 1/3 6 Hz QP 36 4.09
    site    0.0024 bpp  1/1.5 10 Hz QP 26 9.13 | 1/2 6 Hz QP 21 9.06
            0.0010 bpp  1/2 10 Hz QP 32 7.75 | 1/2 6 Hz QP 29 7.90 | 1/3 6 Hz QP 26 7.90
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["LOG_SIZE_PER_QP", "STEPS", "Step", "first_guess", "next_step", "qp_for", "spacing"]

LOG_SIZE_PER_QP = 0.115
"A step of QP takes about a ninth of the bytes, whatever the content."

_FINER_BELOW_QP, _COARSER_ABOVE_QP = 30.0, 42.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the ladder."""

    scale: float
    coded_hz: float
    level: int
    "What part D says: 0 full motion, 1 fewer frames, 2 stills with carried motion."
    qp_from_finer: float
    "How much lower the QP is here than on the step before it for the same bytes; about."


STEPS: tuple[Step, ...] = (
    Step(scale=1, coded_hz=15, level=0, qp_from_finer=0),
    Step(scale=1, coded_hz=10, level=0, qp_from_finer=1),
    Step(scale=1.5, coded_hz=10, level=0, qp_from_finer=5),
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
    # Half a frame up: at 25 frames a second, 10 coded pictures become 8 and not 12.
    return min(255, max(1, math.floor(float(fps) / step.coded_hz + 0.5)))


def first_guess(bits_per_pixel: float) -> tuple[int, float]:
    """Step and QP for a unit about whose content nothing is known."""
    at_3 = 34 - math.log(max(bits_per_pixel, 1e-7) / 0.0024) / LOG_SIZE_PER_QP
    return next_step(3, at_3)


def qp_for(qp: float, bytes_before: int, bytes_now: int) -> float:
    """QP at which a stream that took `bytes_before` at `qp` takes `bytes_now`."""
    return qp + math.log(max(1, bytes_before) / max(1, bytes_now)) / LOG_SIZE_PER_QP


def next_step(index: int, qp: float) -> tuple[int, float]:
    """The step for a QP that this one would need, and the QP there."""
    while qp > _COARSER_ABOVE_QP and index + 1 < len(STEPS):
        index += 1
        qp -= STEPS[index].qp_from_finer
    while index > 0 and qp < _FINER_BELOW_QP:
        # Not up where it would come straight down again: the ladder must not swing.
        if qp + STEPS[index].qp_from_finer > _COARSER_ABOVE_QP - 2:
            break
        qp += STEPS[index].qp_from_finer
        index -= 1
    return index, qp
