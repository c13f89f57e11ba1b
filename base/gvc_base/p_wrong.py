"""How likely a tile is wrong where nothing but its mark and age is known: an order, not calibrated.

What a decoder gives is calibrated (`gvc_base.marks`). This is for pictures that no decoder made: at one
age a less trustworthy mark never gets less, and for one mark an older tile never gets less than a
younger one. The numbers were chosen, not measured.

    received .02    carried .05 to .50    enhanced .20 to .55    regenerated .60    lost .90 to .98
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gvc_protocol.marks import Mark

__all__ = ["p_wrong_from_marks"]

_AT_AGE_0 = {
    Mark.RECEIVED: 0.02, Mark.CARRIED: 0.05, Mark.ENHANCED: 0.20, Mark.REGENERATED: 0.60,
    Mark.LOST: 0.90,
}  # fmt: skip
_RISE_PER_S = {Mark.CARRIED: 0.10, Mark.ENHANCED: 0.10, Mark.LOST: 0.02}
_AT_MOST = {Mark.CARRIED: 0.50, Mark.ENHANCED: 0.55, Mark.LOST: 0.98}
"""Enhanced rises with carried: else an estimate from pixels seconds old would pass for better than
the carried pixels themselves."""


def p_wrong_from_marks(mark: NDArray[np.uint8], age_ms: NDArray[np.uint16]) -> NDArray[np.float16]:
    """Uncalibrated probability for each tile.

    Args:
        mark: uint8[R, C] of `Mark`.
        age_ms: uint16[R, C], milliseconds.

    Returns:
        float16[R, C] in 0..1.
    """
    base = np.array([_AT_AGE_0[m] for m in Mark], np.float32)
    rise = np.array([_RISE_PER_S.get(m, 0.0) for m in Mark], np.float32)
    most = np.array([_AT_MOST.get(m, 1.0) for m in Mark], np.float32)
    p = np.minimum(base[mark] + rise[mark] * (age_ms.astype(np.float32) / 1000), most[mark])
    return p.astype(np.float16)
