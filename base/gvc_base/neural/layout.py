"""What the network is given besides the three pictures: one plane a fact, at a quarter of the size.

All of it is bookkeeping that the decoder has anyway: how far the motion is trusted, what was received
and how long ago, how coarse and how expensive F was. Noise is no plane: the network says how much of
each band of it to add, so that what is made up stays apart from what is restored.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CELL_PX",
    "CONTEXT_PLANES",
    "PLANES",
    "RESIDUAL_SCALE",
    "TEXTURE_BANDS",
    "TEXTURE_SIGMAS_PX",
    "Plane",
    "age_value",
    "cost_value",
    "scale_value",
]

F32 = NDArray[np.float32]

CELL_PX = 4
"Side of one cell of the network's grid, pixels: it works at a quarter of the picture's size."


class Plane(IntEnum):
    """Index of each plane; part of the weights' contract, so numbers are never reused."""

    AHEAD_TRUST = 0
    "0..1: how well motion to the next coded picture is confirmed by the way back."
    MEMORY_TRUST = 1
    "0..1: the same for the memory (the last picture shown)."
    RECEIVED = 2
    "0..1: share of the memory that goes back to received full-size pixels."
    AGE = 3
    "`age_value` of those pixels."
    HOLE = 4
    "Reserved, always 0: the network looks at coded moments only."
    SCALE = 5
    "`scale_value` of F."
    COST = 6
    "`cost_value` of F."


PLANES = len(Plane)

CONTEXT_PLANES = PLANES + 1
"What the refiner is given: `Plane`, then the log-variance that EvidenceNet expects."

RESIDUAL_SCALE = 10.0
"Residuals are a few hundredths of full scale; the refiner sees them at about unit size."

TEXTURE_BANDS = 3
"Octaves of made-up texture, finest first."

TEXTURE_SIGMAS_PX = (0.8, 1.6, 3.2)
"Band k lies between Gaussians of sigma k - 1 (none for the first) and sigma k."


def age_value(age_s: F32 | float) -> F32:
    """Age in seconds to 0..about 1.5: log2(1 + age) / 4."""
    return np.asarray(np.log2(1 + np.maximum(age_s, 0)) / 4, np.float32)


def scale_value(scale: float) -> float:
    """How many times F is smaller than the picture, a side: log2(scale) / 3."""
    return math.log2(max(1.0, scale)) / 3


def cost_value(bits_per_coded_pixel: float) -> float:
    """How well F was paid for: (log2(bits a coded pixel) + 6) / 4, kept within -1..1.5."""
    return min(1.5, max(-1.0, (math.log2(max(bits_per_coded_pixel, 1e-6)) + 6) / 4))
