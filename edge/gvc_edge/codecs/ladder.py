"""How coarse a unit's stream must be: size and frame rate from the bytes, and a search for the CRF.

Measured on five clips (aerial with and without movers, street, highway, fixed camera; 2 s at
854x480, the decoder filling the frames between by optical flow): within some 0.3 dB the best size is the
largest whose CRF stays below about 60, and 15 coded frames a second mostly beat 10 as long as the
CRF stays below about 50. Rungs beyond 1/6 size were not measured.
At 0.0024 bit per source pixel that is half size at 10 frames/s for most
content, a third for dense texture, as fine as half size at 15 frames/s for a calm scene. So the
level follows the CRF that the last unit needed, not a table of rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from gvc_edge.codecs.av1 import MAX_CRF, MIN_CRF

__all__ = [
    "LEVELS",
    "Level",
    "Search",
    "first_guess",
    "search_crf",
    "settle",
    "step_of",
    "strained",
]

_LOG_SIZE_PER_CRF = 0.058
"Coded size falls by this share a CRF step; 0.05 to 0.067 on two clips."

_TOO_COARSE_CRF = 59.0
_ACCEPT = 0.93
_AIM = 0.97
_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One rung: what the stream looks like and when the next unit should leave it upwards."""

    scale: float
    coded_hz: float
    finer_below_crf: float
    "A CRF below this means that the next finer rung will do better."
    crf_from_finer: float
    "How much lower the CRF is here than on the next finer rung for the same bytes."


LEVELS: tuple[Level, ...] = (
    Level(scale=2, coded_hz=15, finer_below_crf=0, crf_from_finer=0),
    Level(scale=2, coded_hz=10, finer_below_crf=47, crf_from_finer=4.5),
    Level(scale=3, coded_hz=10, finer_below_crf=45, crf_from_finer=10),
    Level(scale=4, coded_hz=10, finer_below_crf=48, crf_from_finer=8),
    Level(scale=6, coded_hz=7.5, finer_below_crf=44, crf_from_finer=12),
    Level(scale=8, coded_hz=6, finer_below_crf=44, crf_from_finer=10),
    Level(scale=12, coded_hz=4, finer_below_crf=42, crf_from_finer=12),
    Level(scale=16, coded_hz=2, finer_below_crf=40, crf_from_finer=14),
)


@dataclass(frozen=True, slots=True)
class Search:
    """What a CRF search found."""

    crf: float
    units: list[bytes]
    size: int


def step_of(level: Level, fps: Fraction) -> int:
    """Source frames between two coded ones, 1..60."""
    return min(60, max(1, round(float(fps) / level.coded_hz)))


def first_guess(bits_per_pixel: float) -> tuple[int, float]:
    """Rung and CRF for a unit about whose content nothing is known yet."""
    crf_at_1 = 50 - math.log(max(bits_per_pixel, 1e-7) / 0.0024) / _LOG_SIZE_PER_CRF
    return settle(1, crf_at_1)


def settle(
    level: int, crf: float, *, bytes_before: int = 1, bytes_now: int = 1
) -> tuple[int, float]:
    """Rung and CRF for the next unit from those of the last one and the two budgets."""
    crf += math.log(bytes_before / max(1, bytes_now)) / _LOG_SIZE_PER_CRF
    while crf > _TOO_COARSE_CRF and level + 1 < len(LEVELS):
        level += 1
        crf -= LEVELS[level].crf_from_finer
    while level > 0 and crf < LEVELS[level].finer_below_crf:
        crf += LEVELS[level].crf_from_finer
        level -= 1
    return level, min(MAX_CRF, max(MIN_CRF, crf))


def strained(found: Search, budget: int) -> bool:
    """True when the next coarser rung would use the bytes better.

    Above a CRF of about 60 SVT-AV1's size falls in jumps, by up to a half in one quarter step.
    """
    return found.crf > 60.5 or (found.crf > 56 and found.size < 0.85 * budget)


def search_crf(
    encode: Callable[[float], Sequence[bytes]], size_of: Callable[[Sequence[bytes]], int],
    budget: int, start: float, *, tries: int = _TRIES,
) -> Search | None:  # fmt: skip
    """Largest result that fits `budget`, within a few encodes.

    Args:
        encode: CRF to coded frames.
        size_of: bytes that they take in the part.
        start: CRF to try first.

    Returns:
        None when not one of the tries fitted.
    """
    best: Search | None = None
    too_good, good_enough = MIN_CRF - 0.25, MAX_CRF + 0.25
    crf = round(start * 4) / 4
    for left in range(tries - 1, -1, -1):
        units = list(encode(crf))
        size = size_of(units)
        if size <= budget:
            good_enough = crf
            if best is None or size > best.size:
                best = Search(crf, units, size)
            if size >= _ACCEPT * budget:
                break
        else:
            too_good = crf
        # The last try must fit where none did, so it aims lower.
        aim = _AIM if best is not None or left > 1 else 0.85
        crf = _next_crf(crf, math.log(max(1, size) / (aim * budget)), too_good, good_enough)
        if not too_good < crf < good_enough:
            break
    return best


def _next_crf(crf: float, log_excess: float, too_good: float, good_enough: float) -> float:
    wanted = round((crf + log_excess / _LOG_SIZE_PER_CRF) * 4) / 4
    if wanted == crf:
        wanted += math.copysign(0.25, log_excess)
    # Inside the bracket: a step that leaves it falls back to the middle.
    if not too_good < wanted < good_enough:
        wanted = round((too_good + good_enough) * 2) / 4
    return wanted
