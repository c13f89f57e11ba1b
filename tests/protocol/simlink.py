"""A radio with a queue on a simulated clock, one adaptive sender and one reporting base on it.

    units at the controller's rate -> Pacer -> queue (limit) -> service rate C(t) -> losses -> base
    base: a report each period, back over a way as lossy

No thread and no clock: hours run in seconds, and a seed gives the same run again.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from gvc_protocol.adapt import AdaptLimits, LinkController, LinkSetting
from gvc_protocol.pacing import Pacer
from gvc_protocol.params import MS, SECOND
from gvc_protocol.reports import Reception

STEP_NS = 5 * MS


@dataclass(kw_only=True)
class Air:
    """The link. `rate_bps(t)` is its service rate at second t; losses are Gilbert's."""

    rate_bps: Callable[[float], float]
    loss: Callable[[float], float] = lambda _t: 0.0
    burst: float = 1.0
    queue_bytes: int = 16_384
    latency_ns: int = 80 * MS
    jitter_ns: int = 30 * MS
    reports: Callable[[float], bool] = lambda _t: True
    "Whether a report sent at second t comes through at all."


@dataclass
class Run:
    """What was seen, a row each 100 ms: second, setting, queue in the radio in seconds."""

    rows: list[tuple[float, LinkSetting, float]] = field(default_factory=list)
    reports: int = 0
    silence: list[float] = field(default_factory=list)
    "Seconds of each window in which the edge was silent."

    def rate(self, start: float, end: float) -> list[float]:
        return [s.rate_bps for t, s, _ in self.rows if start <= t < end]

    def settled_after(self, at: float, ideal_bps: float, band: float, until: float) -> float:
        """Seconds from `at` until the rate stays within the band around the ideal, till `until`."""
        outside = [
            t for t, s, _ in self.rows
            if at <= t < until and abs(s.rate_bps / ideal_bps - 1) > band
        ]  # fmt: skip
        return max(outside, default=at) + 0.1 - at

    def swings(self, start: float, end: float, size_bps: float) -> int:
        """Times the rate turned back after it had moved by `size_bps` or more."""
        rates = self.rate(start, end)
        count, way, low, high = 0, 0, rates[0], rates[0]
        for rate in rates:
            low, high = min(low, rate), max(high, rate)
            if way <= 0 and rate - low >= size_bps:
                count, way, high = count + (way < 0), 1, rate
            elif way >= 0 and high - rate >= size_bps:
                count, way, low = count + (way > 0), -1, rate
        return count

    def turns(self, start: float, end: float) -> int:
        """Changes of the rate's direction."""
        rates = self.rate(start, end)
        signs = [b > a for a, b in itertools.pairwise(rates) if a != b]
        return sum(a != b for a, b in itertools.pairwise(signs))

    def setting(self, at: float) -> LinkSetting:
        return next(s for t, s, _ in reversed(self.rows) if t <= at)


@dataclass
class _Base:
    highest: int = -1
    heard_ns: int = 0
    received: int = 0
    lost: int = 0
    bursts: int = 0

    def hear(self, seq: int, now: int) -> None:
        if seq > self.highest + 1:
            self.lost += seq - self.highest - 1
            self.bursts += 1
        self.highest, self.heard_ns = seq, now
        self.received += 1

    def state(self) -> Reception:
        return Reception(
            boot_id=1, highest_seq=self.highest, heard_ns=self.heard_ns, received=self.received,
            lost=self.lost, bursts=self.bursts, repaired=0, whole=0, degraded=0,
        )  # fmt: skip


def limits(**more: float) -> AdaptLimits:
    fields: dict[str, float] = {
        "ceiling_bps": 25_600, "floor_bps": 1_000, "fec_percent": 40, "unit_ns": 2 * SECOND,
        "packet_bytes": 250, "report_ns": 1 * SECOND,
    }  # fmt: skip
    return AdaptLimits(**{**fields, **more})  # type: ignore[arg-type]


def fly(
    air: Air, *, seconds: float, limit: AdaptLimits | None = None, seed: int = 1,
    packet_bytes: int = 250, clock_offset_ns: int = 123_456_789_012, fill: float = 0.97,
) -> Run:  # fmt: skip
    """Run the loop. Units are made as the edge makes them: the bytes of a unit follow from the rate when
    it was begun, and it is sent only when it is over. `fill`: what the encoder uses of its budget."""
    limit = limit or limits()
    dice, control, run, base = Random(seed), LinkController(limit), Run(), _Base()
    pacer = Pacer(limit.ceiling_bps, 10 * SECOND)
    events: list[tuple[int, int, int]] = []  # (time, 0 datagram / 1 report, number)
    sent_reports: list[Reception] = []
    waiting = budget = 0
    queue_bytes, free_at, seq, bad = 0, 0, 0, False
    leaving: list[tuple[int, int]] = []
    next_report = limit.report_ns
    for now in range(0, int(seconds * SECOND), STEP_NS):
        t = now / SECOND
        setting = control.setting(now)
        pacer.set_rate(setting.pace_bps)
        if now % limit.unit_ns == 0:
            waiting += budget
            # As RateControl does: what waits beyond one unit is paid back from the next.
            unit = setting.rate_bps * limit.unit_ns / 8e9
            budget = int(max(0.0, fill * unit - max(0, waiting - unit) / 2))
        while waiting >= packet_bytes and pacer.ready_at(packet_bytes, now) <= now:
            waiting -= packet_bytes
            pacer.spend(packet_bytes, now)
            control.note_sent(seq, packet_bytes, now)
            bad = dice.random() >= 1 / air.burst if bad else _falls(dice, air, t)
            if queue_bytes + packet_bytes <= air.queue_bytes:
                queue_bytes += packet_bytes
                free_at = max(free_at, now) + int(packet_bytes * 8e9 / air.rate_bps(t))
                heapq.heappush(leaving, (free_at, packet_bytes))
                if not bad:
                    at = free_at + air.latency_ns + dice.randrange(air.jitter_ns + 1)
                    heapq.heappush(events, (at, 0, seq))
            seq += 1
        while leaving and leaving[0][0] <= now:
            queue_bytes -= heapq.heappop(leaving)[1]
        while events and events[0][0] <= now:
            at, kind, number = heapq.heappop(events)
            if kind == 0 and number > base.highest:
                base.hear(number, at + clock_offset_ns)
            elif kind == 1:
                report = sent_reports[number].report(at + clock_offset_ns)
                control.report(report, now)
        if now >= next_report:
            next_report += limit.report_ns
            if base.highest >= 0 and air.reports(t) and dice.random() >= air.loss(t):
                sent_reports.append(base.state())
                heapq.heappush(events, (now + air.latency_ns, 1, len(sent_reports) - 1))
                run.reports += 1
        if now % (100 * MS) == 0:
            queue_s = max(0, free_at - now) / SECOND
            run.rows.append((t, control.setting(now), queue_s))
    return run


def _falls(dice: Random, air: Air, t: float) -> bool:
    """Whether a burst begins here; Gilbert's chain with the wanted mean loss and burst length."""
    p = air.loss(t)
    return p > 0 and dice.random() < p / (air.burst * (1 - p))
