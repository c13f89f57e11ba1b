"""The sender's setting from the base's reports: rate, redundancy, interleave, ladder. Sans-IO.

    note_sent (seq, bytes, when) --+
                                   +-> report -> queue delay, service rate, loss, bursts -> setting
    Report (seq, when heard, ...) -+

**Rate.** The base stamps the highest sequence number with its own clock; this end knows when that
number left. The difference, less the least one seen, is the queue in the radio, whatever the two clocks
say. Congestion grows it, random loss does not: the two are told apart, and only a queue lowers the rate.
With a queue the link is busy, so what left between two stamped numbers over the time between them is the
link's own rate S, and the next rate is S (1 + (q* - q) / T): a small standing queue q* is held, and at
q = q* the rate is S itself, so there is nothing to swing about. Without a queue the rate grows, gently
near the last S and boldly past it, up to the operator's limit, never far beyond what was really sent.

**Redundancy.** Enough that most blocks of F survive the loss of the last seconds (normal bound of a
binomial, widened by the mean burst); it rises at once and falls slowly.

No report for a while: the open-loop setting, see `_open_loop`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from gvc_protocol.params import SECOND
from gvc_protocol.reports import TICK_NS, Report
from gvc_protocol.wire import SEQ_BITS, nearest

__all__ = ["AdaptLimits", "LinkController", "LinkSetting"]

_WRAP_NS = (1 << 16) * TICK_NS
_LOG_LENGTH = 8192
_LEAST_QUEUE_NS = SECOND // 4
_QUEUE_PACKETS = 2
"The standing queue that is held, in air times of the largest packet."
_DRAIN_NS = 2 * SECOND
"T of the rate law: in this time a queue that is too long is gone."
_SPAN_NS = (8 * SECOND // 10, 32 * SECOND // 10)
"Two stamps that far apart measure the service rate."
_STEADY_SPAN_NS = (2 * SECOND, 6 * SECOND)
_NEAR, _NOISE, _NOISE_FLOOR = 1.6, 0.08, 0.97
"Up to so many times the wanted queue, a rate that differs less from the measured one is left alone."
_GENTLY, _GENTLY_SLOW = (1.04, 1.08), (1.08, 1.12)
"""Step, and how far past what is known. With frequent reports packets that leave closer together show
what the link carries; with rare ones the units must grow themselves: more than `_SHOWN_STEP`."""
_SLOW_REPORTS_NS = 3 * SECOND // 2
_MORE_THAN_KNOWN = 1.04
_BOLDLY = (1.2, 1.4, 1.5)
"Each report that finds no queue makes the next step larger."
_CAREFULLY, _CAREFUL_NS = 1.07, 20 * SECOND
"After a queue was far too long, what is known may be a little low, but not by much: no bold steps."
_CROWDED = 1.6
"Times the wanted queue, above which losses are the queue's fault."
_BEYOND_SENT = 1.5
"A rate that nobody uses proves nothing: it may be so many times what was sent."
_LEAST_FACTOR = 0.4
_SHOWN_STEP = 0.09
"Smaller changes of the rate are not worth an encoder's while."
_PATH_NS = 60 * SECOND
"So long a standing queue may hide a shorter path; then it is let run dry once."
_DRY_FACTOR = 0.87
_SILENCE_NS = 5 * SECOND
_FORGIVEN_NS = 60 * SECOND
_FAST_NS, _SLOW_NS = 5 * SECOND, 20 * SECOND
_FEC_STEPS = (10, 15, 25, 35, 50, 70, 100, 140)
_FEC_FALLS_NS = 8 * SECOND
_MOST_BURST = 3.0
"Against longer bursts a block's own parity is dear, and interleave is not."
_Z = 1.3
"One block of F in ten may fail at this many standard deviations; K has twice the parity."
_HOPELESS_LOSS = 0.5
_BURSTS = ((10.0, 2), (4.0, 1))
"Mean burst in packets, and the units that a unit's symbols are spread over besides its own."
_BURSTY_LOSS = 0.03
_CALM_NS = 30 * SECOND
_DEGRADED = ((0.8, 2), (0.5, 1))
_BAD_LOSS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptLimits:
    """What the operator, the profile and the codec allow."""

    ceiling_bps: float
    "On-air rate that is never exceeded: the operator's, or the profile's usable one."
    floor_bps: float
    "Below it the codec makes nothing."
    fec_percent: float
    "Open-loop redundancy; 0 switches adaptation of it off."
    unit_ns: int
    packet_bytes: int
    "Air bytes of the largest packet."
    report_ns: int = 2 * SECOND
    "About how often a report should come."
    max_interleave: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSetting:
    """What the sender runs on."""

    rate_bps: float
    "For the encoder: changes only when it is worth an encoder's while."
    pace_bps: float
    "For the packets as they leave, a little above at times: that is how a faster link is noticed."
    fec_percent: float
    interleave: int = 0
    "Units after its own over whose air time a unit's symbols are spread."
    finest: int = 0
    "Finest step of the ladder that makes sense now."
    closed_loop: bool = False


@dataclass(frozen=True, slots=True)
class _Stamp:
    heard_ns: int
    sent_bytes: int
    "Air bytes sent up to and with this number."
    received: int
    lost: int
    "Datagrams up to it, as the report counts them."


@dataclass(frozen=True, slots=True)
class _Sample:
    at: int
    received: int
    lost: int
    bursts: int
    congested: bool


class LinkController:
    """One sender's controller. Feed it what leaves and what the base reports; ask for the setting."""

    def __init__(self, limits: AdaptLimits) -> None:
        self._limits = limits
        self._rate = limits.ceiling_bps
        self._shown = limits.ceiling_bps
        self._fec = limits.fec_percent
        self._interleave = self._finest = 0
        self._held_bps: float | None = None
        self._known_bps: float | None = None  # what a busy link was last seen to carry
        self._sent: deque[tuple[int, int]] = deque(maxlen=_LOG_LENGTH)  # (time, bytes up to it)
        self._next_seq = 0
        self._total = 0
        self._last: Report | None = None
        self._heard_at: int | None = None
        self._reference: int | None = None
        self._heard_ns = 0
        self._stamps: deque[_Stamp] = deque(maxlen=64)
        self._delays: deque[tuple[int, int]] = deque(maxlen=256)
        self._queues: deque[tuple[int, int]] = deque(maxlen=64)
        self._samples: deque[_Sample] = deque(maxlen=256)
        self._units: deque[tuple[int, int, int]] = deque(maxlen=256)
        self._dry_from = self._steps = self._careful_until = 0
        self._calm_since: dict[str, int] = {}
        self.queue_ns = 0
        "Newest measure of what waits in the radio."
        self.loss = 0.0
        "Share lost that redundancy has to make good."
        self.mean_burst = 1.0
        self._usual_loss = 0.0

    def note_sent(self, seq: int, air_bytes: int, now: int) -> None:
        """A datagram left. Sequence numbers rise by one."""
        if seq != self._next_seq:
            self._sent.clear()
        self._next_seq = seq + 1
        self._total += air_bytes
        self._sent.append((now, self._total))

    def hold_rate(self, rate_bps: float | None) -> None:
        """The operator's rate, within the limits; None lets the controller choose."""
        self._held_bps = rate_bps

    def report(self, report: Report, now: int) -> None:
        """Take a report on this boot's datagrams. Repeats and old ones change nothing."""
        found = self._look_up(report)
        if found is None:
            return
        sent_ns, sent_bytes = found
        if self._last is not None and _wrapped(report.received - self._last.received, 16) < 0:
            return  # of two reports that overtook each other, the older
        heard_ns = self._unwrap(report.heard_at * TICK_NS - sent_ns) + sent_ns
        fresh = not self._stamps or heard_ns > self._stamps[-1].heard_ns
        self._heard_at = now
        if fresh:
            self._measure_queue(heard_ns - sent_ns, now)
            stamp = _Stamp(heard_ns, sent_bytes, report.received, report.lost)
            self._stamps.append(stamp)
        self._count(report, now)
        self._last = report
        if fresh:
            self._set_rate(now)
        self._set_protection(now)

    def setting(self, now: int) -> LinkSetting:
        """What to run on now."""
        limit = self._limits
        if self._heard_at is None or now - self._heard_at > max(_SILENCE_NS, 4 * limit.report_ns):
            return self._open_loop(now)
        return LinkSetting(
            rate_bps=self._bounded(self._shown), fec_percent=self._fec,
            pace_bps=max(self._bounded(self._shown), self._bounded(self._rate)),
            interleave=self._interleave, finest=self._finest, closed_loop=True,
        )  # fmt: skip

    # --- open loop

    def _open_loop(self, now: int) -> LinkSetting:
        """Never heard a report: the operator's rate and the profile's redundancy. Lost it: not more than
        the link carried last; after a minute not less than half of the operator's rate, either, for a
        base that only went away must not leave the sender crawling."""
        limit, rate, fec = self._limits, self._limits.ceiling_bps, self._limits.fec_percent
        if self._heard_at is not None:
            rate, fec = self._shown, max(self._fec, fec)
            if now - self._heard_at > _FORGIVEN_NS:
                rate = max(rate, limit.ceiling_bps / 2)
        rate = self._bounded(rate)
        return LinkSetting(rate_bps=rate, pace_bps=rate, fec_percent=fec)

    def _bounded(self, rate: float) -> float:
        limit = self._limits
        if self._held_bps is not None:
            rate = self._held_bps
        return min(limit.ceiling_bps, max(limit.floor_bps, rate))

    # --- what a report says

    def _look_up(self, report: Report) -> tuple[int, int] | None:
        """When the reported number left and the bytes up to it; None where that is not known."""
        seq = nearest(report.seq, SEQ_BITS, self._next_seq)
        back = self._next_seq - seq
        return self._sent[-back] if 1 <= back <= len(self._sent) else None

    def _unwrap(self, difference: int) -> int:
        """Base's clock less ours, from its low bits: nearest to the last one known."""
        if self._reference is None:
            self._reference = difference
        off = (difference - self._reference + _WRAP_NS // 2) % _WRAP_NS - _WRAP_NS // 2
        return self._reference + off

    def _measure_queue(self, delay: int, now: int) -> None:
        self._delays.append((now, delay))
        while self._delays[0][0] + 3 * _PATH_NS < now:
            self._delays.popleft()
        self.queue_ns = delay - min(d for _, d in self._delays)
        self._queues.append((now, self.queue_ns))

    def _count(self, report: Report, now: int) -> None:
        last = self._last
        if last is None or last.boot_id != report.boot_id:
            return
        # What is told now was lost a while ago: the queue of then counts, too.
        congested = max(q for _, q in list(self._queues)[-2:]) > _CROWDED * self._wanted_queue()
        self._samples.append(
            _Sample(
                now, _wrapped(report.received - last.received, 16),
                max(0, _wrapped(report.lost - last.lost, 16)),
                max(0, _wrapped(report.bursts - last.bursts, 16)), congested,
            )
        )  # fmt: skip
        whole, degraded = report.whole - last.whole & 0xFF, report.degraded - last.degraded & 0xFF
        self._units.append((now, whole, degraded))
        fast, slow = self._share(now - _FAST_NS), self._share(now - _SLOW_NS)
        self.loss, self._usual_loss = max(fast, slow), slow
        recent = [s for s in self._samples if s.at > now - _SLOW_NS]
        bursts = sum(s.bursts for s in recent)
        self.mean_burst = sum(s.lost for s in recent) / bursts if bursts >= 3 else 1.0

    def _share(self, since: int) -> float:
        """Share lost since then, where the queue was not to blame."""
        recent = [s for s in self._samples if s.at > since and not s.congested]
        lost, received = sum(s.lost for s in recent), sum(s.received for s in recent)
        return lost / (lost + received) if lost + received >= 8 else 0.0

    # --- rate

    def _wanted_queue(self) -> float:
        # Not the rate of the moment alone: while a queue is drained, that is far below the link's.
        rate = max(self._rate, self._known_bps or 0.0, 1.0)
        packet_ns = self._limits.packet_bytes * 8e9 / rate
        return max(_LEAST_QUEUE_NS, _QUEUE_PACKETS * packet_ns)

    def _service_bps(self, spans: tuple[int, int] = _SPAN_NS) -> float | None:
        """Bits a second between two stamps; the best of several, as an idle link measures low."""
        newest, best = self._stamps[-1], None
        for stamp in self._stamps:
            span = newest.heard_ns - stamp.heard_ns
            if spans[0] <= span <= max(spans[1], 9 * self._limits.report_ns // 4):
                rate = (newest.sent_bytes - stamp.sent_bytes) * 8e9 / span
                rate *= 1 - self._overflow(stamp, newest)
                best = rate if best is None else max(best, rate)
        return best

    def _overflow(self, first: _Stamp, last: _Stamp) -> float:
        """Share that never got into the air between two stamps: what was lost beyond the usual loss,
        while a queue was too long."""
        lost = max(0, _wrapped(last.lost - first.lost, 16))
        received = max(0, _wrapped(last.received - first.received, 16))
        if not lost or max(q for _, q in list(self._queues)[-4:]) < _CROWDED * self._wanted_queue():
            return 0.0
        return max(0.0, lost / (lost + received) - self._usual_loss)

    def _set_rate(self, now: int) -> None:
        service = self._service_bps()
        if service is None or service <= 0:
            return
        wanted = self._wanted_queue()
        drain = max(_DRAIN_NS, 4 * wanted, 2 * self._limits.report_ns)
        if self.queue_ns < 2 * wanted:
            drain *= 2  # not worth a dip that is seen in the picture
        factor = 1 + (wanted - self.queue_ns) / drain
        if self.queue_ns < wanted / 2:
            self._dry_from = now
        if max(self._recent_queues(now)) < wanted / 2:
            rate = max(self._rate, min(self._grown(service, now), _BEYOND_SENT * service))
        elif self.queue_ns < _NEAR * wanted and now - self._dry_from < _PATH_NS:
            # About right. With less than the wanted queue the link may have been idle at times, and
            # measures low; with more it was busy, and a rate well above what it carries comes down.
            rate, steady = self._rate, self._service_bps(_STEADY_SPAN_NS) or service
            if self.queue_ns >= wanted:
                self._known_bps = max(steady, _NOISE_FLOOR * (self._known_bps or 0.0))
                rate = rate if rate < (1 + _NOISE) * steady else steady
            # What was held back to let a queue run dry is given again as soon as it has.
            rate = max(rate, self._known_bps or 0.0)
        else:
            if now - self._dry_from > _PATH_NS:
                factor = min(factor, _DRY_FACTOR)
            self._known_bps = service
            if self.queue_ns > 2 * wanted:
                self._careful_until = now + _CAREFUL_NS
            rate = service * max(_LEAST_FACTOR, factor)
        if self.loss >= _HOPELESS_LOSS:
            # No redundancy makes this good; perhaps something on the way counts our bytes.
            rate = min(rate, 0.8 * self._rate)
        limit = self._limits
        self._rate = min(limit.ceiling_bps, max(limit.floor_bps, rate))
        at_limit = self._rate == limit.ceiling_bps
        if at_limit or abs(self._rate - self._shown) > _SHOWN_STEP * self._shown:
            self._shown = self._rate

    def _grown(self, service: float, now: int) -> float:
        """A higher rate to try: a little past what the link was last seen to carry, and in large steps
        only when it is seen to carry more than that."""
        known = self._known_bps
        if known is not None and not self._carries_more_than(known):
            self._steps = 0
            slow = self._limits.report_ns > _SLOW_REPORTS_NS
            step, most = _GENTLY_SLOW if slow else _GENTLY
            return min(most * known, max(known, self._rate * step))
        if now < self._careful_until and self._known_bps is not None:
            self._known_bps = max(self._known_bps, service)
            return max(self._rate, _CAREFULLY * self._known_bps)
        self._known_bps = None
        self._steps += 1
        return self._rate * _BOLDLY[min(self._steps, len(_BOLDLY)) - 1]

    def _carries_more_than(self, known: float) -> bool:
        """Whether the link was seen to, and could have been: a packet more or less in a short time is a
        large share, and proves nothing at a rate that was not above what is known."""
        service = self._service_bps()
        return service is not None and min(service, self._rate) >= _MORE_THAN_KNOWN * known

    def _recent_queues(self, now: int) -> list[int]:
        """Of the last unit's time: a unit's first packets meet an emptier radio than its last ones."""
        since = now - self._limits.unit_ns - self._limits.report_ns // 2
        return [q for at, q in self._queues if at >= since] or [self.queue_ns]

    # --- protection

    def _set_protection(self, now: int) -> None:
        if self._limits.fec_percent > 0:
            self._set_fec(now)
        bursty = self.loss >= _BURSTY_LOSS
        depth = next((d for b, d in _BURSTS if bursty and self.mean_burst >= b), 0)
        most = self._limits.max_interleave if self._limits.fec_percent > 0 else 0
        self._interleave = self._calmly("interleave", self._interleave, min(depth, most), now)
        recent = [(w, d) for at, w, d in self._units if at > now - _SLOW_NS]
        units, degraded = sum(w + d for w, d in recent), sum(d for _, d in recent)
        share = degraded / units if units >= 3 and self.loss >= _BAD_LOSS else 0.0
        finest = next((level for least, level in _DEGRADED if share >= least), 0)
        self._finest = self._calmly("finest", self._finest, finest, now)

    def _set_fec(self, now: int) -> None:
        """Up at once, down a step at a time."""
        needed = self._needed_fec()
        if needed >= self._fec or self._calm_since.setdefault("fec", now) + _FEC_FALLS_NS <= now:
            lower = [step for step in _FEC_STEPS if step < self._fec]
            self._fec = max(needed, float(lower[-1]) if lower else self._fec)
            self._calm_since["fec"] = now

    def _needed_fec(self) -> float:
        """Smallest step at which a block of F survives nine times in ten."""
        limit, p = self._limits, min(0.9, self.loss)
        unit_packets = self._rate * limit.unit_ns / 8e9 / max(1, limit.packet_bytes)
        burst = min(_MOST_BURST, max(1.0, self.mean_burst / (1 + self._interleave)))
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


def _wrapped(difference: int, bits: int) -> int:
    """A difference of two wrapping counters, as a signed number."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
