"""Bytes for the next unit: what the link will carry while the unit lasts, less everything but payload.

The account is kept in air bytes. A unit that came out smaller leaves a credit for the next, one that
came out larger a debt; both are bounded, because the pacer holds the hard limit over any 10 s and a
large credit would only become a queue, i.e. delay.
"""

from __future__ import annotations

import math

from gvc_protocol.air_bytes import is_joined, unit_air_bytes
from gvc_protocol.params import LinkParams

__all__ = ["TYPICAL_DESCRIPTOR_BYTES", "RateControl", "minimum_bps"]

TYPICAL_DESCRIPTOR_BYTES = 28
"Part D without telemetry or detections is below this; only used before the real one is known."

_CARRY = 0.25
"Largest credit or debt, as a share of one unit's air bytes."

_PAID_AT_ONCE, _FAR_BEHIND = 0.5, 3.0
"""Of one unit's air bytes: what of a backlog is paid back from one unit, and the backlog beyond which
all of it is. An encoder that was late hands over several units at once; none of them may go empty."""

_KEYFRAME_SHARE = 0.38
"""Share of a unit's bytes that the keyframe is taken to have before one was seen. Its parity is twice
that of the features: guessed too low, the account is overdrawn; too high, a credit is left over."""

_SHARE_MARGIN = 0.03
_SHARES_KEPT = 8
"Units. A codec may send a keyframe in one of a few only, and the largest share is what counts."


class RateControl:
    """Budget for one stream on one link."""

    def __init__(self, params: LinkParams) -> None:
        self._params = params
        self._carry = 0.0
        self._granted = 0.0
        self._shares: list[float] = []
        self._joins = False

    def use(self, params: LinkParams) -> None:
        """Go on with another rate or redundancy, from the next unit on; safe from another thread."""
        self._params = params

    def payload_budget(self, seconds: float, backlog_air_bytes: int) -> int:
        """Bytes that keyframe and features of the next unit may take together, 0 when none.

        Args:
            seconds: how long the unit lasts.
            backlog_air_bytes: what of earlier units still waits beyond the usual one unit; it is
                paid back from this one and the next, so that delay does not build up.
        """
        self._granted = self._params.rate_bps * seconds / 8
        back: float = backlog_air_bytes
        if back < _FAR_BEHIND * self._granted:
            back = min(back, _PAID_AT_ONCE * self._granted)
        air = self._granted + self._carry - back
        low, high = 0, max(0, int(air))
        while low < high:
            middle = (low + high + 1) // 2
            if self._air(middle) <= air:
                low = middle
            else:
                high = middle - 1
        self._joins = is_joined(self._params, *self._split(low))
        return low

    def payload_for(self, records: int) -> int:
        """Payload bytes to set aside for so many bytes of records in D, which has four times F's
        parity: with any, a byte of D weighs up to two of K or F, unless all are in one block."""
        return records * (2 if self._params.fec_percent > 0 and not self._joins else 1)

    def spent(self, descriptors: int, keyframe: int, features: int) -> int:
        """Book a closed unit by the sizes of its parts; returns its air bytes."""
        used = unit_air_bytes(self._params, descriptors, keyframe, features)
        bound = _CARRY * self._granted
        self._carry = max(-bound, min(bound, self._carry + self._granted - used))
        if keyframe + features:
            self._shares = [*self._shares, keyframe / (keyframe + features)][-_SHARES_KEPT:]
        return used

    def _air(self, payload: int) -> int:
        return unit_air_bytes(self._params, *self._split(payload))

    def _split(self, payload: int) -> tuple[int, int, int]:
        """Sizes of D, K and F, as far as can be told before the unit is made."""
        share = (max(self._shares, default=0.0) or _KEYFRAME_SHARE) + _SHARE_MARGIN
        keyframe = int(payload * min(1.0, share))
        return TYPICAL_DESCRIPTOR_BYTES, keyframe, payload - keyframe


def minimum_bps(params: LinkParams, seconds: float, minimum_payload: int) -> int:
    """Smallest on-air rate at which a unit of this length carries the codec's smallest payload."""
    air = unit_air_bytes(params, TYPICAL_DESCRIPTOR_BYTES, 0, minimum_payload)
    return math.ceil(air * 8 / seconds)
