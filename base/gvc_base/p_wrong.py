"""How likely a tile is materially wrong: a PLACEHOLDER from the bookkeeping, not calibrated.

It orders tiles (a lost one above a regenerated one above ...; older above younger) and no more: the
numbers were chosen, not measured. Calibration on held-out scenes replaces this function.
"""

from __future__ import annotations

import numpy as np
from gvc_protocol.marks import Mark
from numpy.typing import NDArray

__all__ = ["p_wrong_from_marks"]

_AT_AGE_0 = {
    Mark.RECEIVED: 0.02, Mark.CARRIED: 0.05, Mark.ENHANCED: 0.20, Mark.REGENERATED: 0.60,
    Mark.LOST: 0.90,
}  # fmt: skip
_RISE_PER_S = {Mark.CARRIED: 0.05, Mark.LOST: 0.01}
_AT_MOST = {Mark.CARRIED: 0.18, Mark.LOST: 0.98}


def p_wrong_from_marks(mark: NDArray[np.uint8], age_ms: NDArray[np.uint16]) -> NDArray[np.float16]:
    """Placeholder probability for each tile.

    Args:
        mark: uint8[R, C] of `Mark`.
        age_ms: uint16[R, C].

    Returns:
        float16[R, C] in 0..1, rising with the mark's number and, where age matters, with age.
    """
    base = np.array([_AT_AGE_0[m] for m in Mark], np.float32)
    rise = np.array([_RISE_PER_S.get(m, 0.0) for m in Mark], np.float32)
    most = np.array([_AT_MOST.get(m, 1.0) for m in Mark], np.float32)
    p = np.minimum(base[mark] + rise[mark] * (age_ms.astype(np.float32) / 1000), most[mark])
    return p.astype(np.float16)
