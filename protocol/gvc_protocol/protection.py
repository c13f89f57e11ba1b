"""Redundancy, interleave and the ladder's finest step from what a link loses. Sans-IO.

Redundancy is enough that most blocks of F survive the loss of the last seconds (normal bound of a
binomial, widened by the mean burst). All three rise at once and fall slowly.
"""

from __future__ import annotations

import math

from gvc_protocol.link_gauge import LinkGauge
from gvc_protocol.link_setting import AdaptLimits
from gvc_protocol.params import SECOND

__all__ = ["Protection"]

_SLOW_NS = 20 * SECOND
_FEC_STEPS = (10, 15, 25, 35, 50, 70, 100, 140)
_FEC_FALLS_NS = 8 * SECOND
_MOST_BURST = 3.0
"Against longer bursts a block's own parity is dear, and interleave is not."
_Z = 1.3
"One block of F in ten may fail at this many standard deviations; K has twice the parity."
_BURSTS = ((10.0, 2), (4.0, 1))
"Mean burst in packets, and the units that a unit's symbols are spread over besides its own."
_BURSTY_LOSS = 0.03
_CALM_NS = 30 * SECOND
_DEGRADED = ((0.8, 2), (0.5, 1))
_BAD_LOSS = 0.25


class Protection:
    """What is set against losses; `update` after each report."""

    def __init__(self, limits: AdaptLimits) -> None:
        self._limits = limits
        self.fec_percent = limits.fec_percent
        self.interleave = self.finest = 0
        self._calm_since: dict[str, int] = {}

    def update(self, gauge: LinkGauge, rate_bps: float, now: int) -> None:
        """Follow what the gauge counted, for units at this rate."""
        if self._limits.fec_percent > 0:
            self._set_fec(self._needed_fec(gauge, rate_bps), now)
        bursty = gauge.loss >= _BURSTY_LOSS
        depth = next((d for b, d in _BURSTS if bursty and gauge.mean_burst >= b), 0)
        most = self._limits.max_interleave if self._limits.fec_percent > 0 else 0
        self.interleave = self._calmly("interleave", self.interleave, min(depth, most), now)
        recent = [(w, d) for at, w, d in gauge.units if at > now - _SLOW_NS]
        units, degraded = sum(w + d for w, d in recent), sum(d for _, d in recent)
        share = degraded / units if units >= 3 and gauge.loss >= _BAD_LOSS else 0.0
        finest = next((level for least, level in _DEGRADED if share >= least), 0)
        self.finest = self._calmly("finest", self.finest, finest, now)

    def _set_fec(self, needed: float, now: int) -> None:
        """Up at once, down a step at a time."""
        since = self._calm_since.setdefault("fec", now)
        if needed >= self.fec_percent or since + _FEC_FALLS_NS <= now:
            lower = [step for step in _FEC_STEPS if step < self.fec_percent]
            self.fec_percent = max(needed, float(lower[-1]) if lower else self.fec_percent)
            self._calm_since["fec"] = now

    def _needed_fec(self, gauge: LinkGauge, rate_bps: float) -> float:
        """Smallest step at which a block of F survives nine times in ten."""
        limit, p = self._limits, min(0.9, gauge.loss)
        unit_packets = rate_bps * limit.unit_ns / 8e9 / max(1, limit.packet_bytes)
        burst = min(_MOST_BURST, max(1.0, gauge.mean_burst / (1 + self.interleave)))
        for percent in _FEC_STEPS:
            k = max(4.0, min(128.0, 0.6 * unit_packets / (1 + percent / 100)))
            n = k + math.ceil(k * percent / 100)
            # Bursts of mean length b widen the count's spread as 2b - 1 does (Gilbert's channel).
            spread = math.sqrt(n * p * (1 - p) * (2 * burst - 1))
            if n * p + _Z * spread <= n - k:
                return float(percent)
        return float(_FEC_STEPS[-1])

    def _calmly(self, name: str, now_at: int, wanted: int, now: int) -> int:
        """Up at once; down after a time in which nothing asked for more."""
        if wanted >= now_at:
            self._calm_since[name] = now
            return wanted
        if now - self._calm_since.setdefault(name, now) >= _CALM_NS:
            self._calm_since[name] = now
            return wanted
        return now_at
