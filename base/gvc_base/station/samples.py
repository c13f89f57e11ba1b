"""A drone's link, second by second: totals in, rates out. Sans-IO.

`LinkFacts` are running totals that the receiving thread leaves behind after each step, so that nobody
reads its working state; a link that is down or dead just leaves the same ones.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gvc_base.console.view import Health, LinkSample
from gvc_base.radio_told import levels_of
from gvc_profiles.links import LinkState
from gvc_protocol.params import SECOND
from gvc_protocol.reports import Reception

__all__ = ["LinkFacts", "LinkSamples", "UnitCount"]

_LOSS_WINDOW_NS = 10 * SECOND
_BURST_WINDOW_NS = 60 * SECOND
_REPAIR_WINDOW_NS = 60 * SECOND
_KEPT = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFacts:
    """What the link's own thread knows of one drone. Totals only grow within one boot."""

    air_bytes: int = 0
    "Bytes of this drone that the link gave, everything counted."
    heard: Reception | None = None
    rssi_dbm: int | None = None
    noise_dbm: int | None = None
    airtime_left_s: float | None = None

    @classmethod
    def of(
        cls, radio: LinkState | None, *, air_bytes: int, airtime_left_s: float | None
    ) -> LinkFacts:
        """With what the radio tells, where it does."""
        rssi = noise = None
        if radio is not None:
            rssi = None if radio.rssi_dbm is None else round(radio.rssi_dbm)
            noise = levels_of(radio)[1]
        return cls(
            air_bytes=air_bytes, rssi_dbm=rssi, noise_dbm=noise, airtime_left_s=airtime_left_s
        )


@dataclass(frozen=True, slots=True)
class UnitCount:
    """One unit that was closed, or passed over."""

    now: int
    whole: bool
    empty: bool


class LinkSamples:
    """Not thread-safe."""

    def __init__(self) -> None:
        self.rows: deque[LinkSample] = deque(maxlen=_KEPT)
        self._bytes: int | None = None
        self._last_ns = 0
        # (time, boot, received, lost, bursts)
        self._heard: deque[tuple[int, int, int, int, int]] = deque()
        self._units: deque[UnitCount] = deque()
        self._good_ns: int | None = None
        self._newest: UnitCount | None = None
        self._newest_ns = 0
        self._late = self._last_empty = False
        self.unit_s = 1.0
        "How much of the source a unit covers."
        self.ladder_step: int | None = None
        self.rate_bps: int | None = None
        self.fec_percent: int | None = None

    def unit(self, count: UnitCount) -> None:
        """A unit was closed."""
        self._units.append(count)
        self._last_empty = count.empty
        if count.empty:
            return
        # In time: no later than twice its own length after the one before.
        gap = count.now - self._newest_ns
        self._late = self._newest is not None and gap > 2 * self.unit_s * SECOND
        self._newest, self._newest_ns = count, count.now
        if count.whole:
            self._good_ns = count.now

    def health(self, now: int) -> Health:
        """By `view.Health`'s definition."""
        if self._newest is None:
            return "waiting"
        if now - self._newest_ns > 3 * self.unit_s * SECOND:
            return "lost"
        holes = not self._newest.whole or self._last_empty
        return "degraded" if holes or self._late else "good"

    def tick(self, facts: LinkFacts, now: int) -> LinkSample:
        """Once a second."""
        passed = max(1, now - self._last_ns) / SECOND if self._last_ns else 1.0
        before = facts.air_bytes if self._bytes is None else self._bytes
        self._bytes, self._last_ns = facts.air_bytes, now
        if (r := facts.heard) is not None:
            if self._heard and self._heard[-1][1] != r.boot_id:
                self._heard.clear()
            self._heard.append((now, r.boot_id, r.received, r.lost, r.bursts))
        while self._heard and self._heard[0][0] < now - _BURST_WINDOW_NS:
            self._heard.popleft()
        while self._units and self._units[0].now < now - _REPAIR_WINDOW_NS:
            self._units.popleft()
        closed = self._units
        sample = LinkSample(
            time_ns=now, bit_s=max(0, facts.air_bytes - before) * 8 / passed,
            loss=self._loss(now), burst=self._burst(),
            loss_repaired=sum(not u.whole for u in closed) / max(1, len(closed)),
            rssi_dbm=facts.rssi_dbm, noise_dbm=facts.noise_dbm,
            airtime_left_s=facts.airtime_left_s, ladder_step=self.ladder_step,
            rate_bps=self.rate_bps, fec_percent=self.fec_percent,
            since_good_s=None if self._good_ns is None else (now - self._good_ns) / SECOND,
        )  # fmt: skip
        self.rows.append(sample)
        return sample

    def _loss(self, now: int) -> float:
        """Over the last ten seconds; with slow radios a second has no packet at all."""
        recent = [row for row in self._heard if row[0] >= now - _LOSS_WINDOW_NS]
        if len(recent) < 2:
            return 0.0
        received, lost = (max(0, recent[-1][i] - recent[0][i]) for i in (2, 3))
        return lost / max(1, received + lost)

    def _burst(self) -> float:
        if len(self._heard) < 2:
            return 0.0
        first, last = self._heard[0], self._heard[-1]
        bursts = last[4] - first[4]
        return max(0, last[3] - first[3]) / bursts if bursts > 0 else 0.0
