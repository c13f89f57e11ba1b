"""What the base's reports say of a link: its queue, what it carries, what it loses. Sans-IO.

    note_sent (seq, bytes, when) --+
                                   +-> delays -> queue -> bounds of the rate; losses, queue's and air's
    Report (seq, when heard, ...) -+

**Queue.** The base stamps the highest number it heard with its own clock; this end knows when that
number left. The difference, less the least one seen, is the time it waited in the radio.

**Rate.** A queue that was empty or known at one stamp and is known at a later one bounds the rate C that
served it. With B_k the bytes from packet k up to the one that was stamped, and T_k the time from k's
leaving to that one's, the stamped packet waits W(C) = max over k of B_k / C - T_k (Lindley, "The theory
of queues with a single server", 1952, unrolled). It waited y, give or take e, so

    max over k of B_k / (T_k + y + e')  <=  C  <=  max over k of B_k / (T_k + y - e)

and there is no upper bound where it did not wait. What the other side of a half-duplex air took while
they waited is taken from the upper bound's time: a report said twice beside packets is no slower link.
A packet that waited already when the span began adds that wait to its T. Spans are joined from the
newest backwards while their bounds agree: a long span measures a steady link well, and one that changed
a moment ago is measured since.

**Losses.** A radio whose queue is full drops what comes, and that can be told from losses on the air
only by the queue. While it is about as long as the longest one seen, losses beyond the usual ones did
not enter the radio, so they are left out of B; the air's own loss is counted while it is shorter.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from gvc_protocol.params import MS, SECOND
from gvc_protocol.reports import TICK_NS, Arrivals, Report
from gvc_protocol.wire import SEQ_BITS, nearest

__all__ = ["LinkGauge", "LossSample"]

_WRAP_NS = (1 << 16) * TICK_NS
_LOG_LENGTH = 8192
_POINTS = 160
"Of a span's packets, so many are looked at; more are taken together."
_PATH_NS = 180 * SECOND
"The path's own delay is the least of so long."
_HORIZON_NS = 7 * SECOND
_TICKS_NS, _TICKS_PACKETS = 20 * MS, 0.5
"e' of the lower bound: clocks, and a path whose own delay was never seen without a queue."
_LEAST_NOISE_NS, _NOISE_PACKETS = 50 * MS, 1.6
"e of the upper bound: turns, and radio packets that do not end where ours do."
_CROWDED_NS, _CROWDED_PACKETS = 120 * MS, 2.0
"A wait that is more than the pace's own doing."
_FULL, _FULL_SEEN = 0.6, 0.75
"""Of the longest queue seen: from there on losses may be the queue's. The second where a report tells of
several arrivals: a queue is not seen by chance there."""
_LATELY = 4
"Arrivals of a report, of which one at least waited where each unit's packets find the radio full."
_FORGETS = 0.998
"So much of the longest queue is left a report later."
_FAST_NS, _SLOW_NS = 5 * SECOND, 20 * SECOND
_LEAST_COUNT = 8
_Z, _LEAST_USUAL, _LEAST_BURST = 2.5, 0.02, 2.0
"Standard deviations beyond the usual losses, that are the least such, in bursts of that length."


@dataclass(frozen=True, slots=True)
class LossSample:
    """What one report added to the counts."""

    at: int
    received: int
    lost: int
    bursts: int
    crowded: bool
    "Whether a queue was so long that losses may be its own."


@dataclass(frozen=True, slots=True)
class _Stamp:
    index: int
    "Of the datagram, in the order of sending."
    sent_ns: int
    heard_ns: int
    sent_bytes: int
    "Air bytes sent before this datagram."
    received: int
    lost: int


class LinkGauge:
    """Measures of one boot's link. Feed it what leaves and the base's reports."""

    def __init__(self, packet_bytes: int, report_ns: int) -> None:
        self._packet_bytes, self._report_ns = packet_bytes, report_ns
        self._sent: deque[tuple[int, int]] = deque(maxlen=_LOG_LENGTH)  # (time, bytes before it)
        self._next_seq = 0
        self._count = 0
        self._total = 0
        self._last: Report | None = None
        self._reference: int | None = None
        self._stamps: deque[_Stamp] = deque(maxlen=64)
        self._group: list[_Stamp] = []
        "Of the newest report, oldest first."
        self._changed = -1
        "Datagram before which the link was another one."
        self._delays: deque[tuple[int, int]] = deque(maxlen=256)
        self._path_ns = 0
        self._talks: deque[tuple[int, int]] = deque(maxlen=32)
        "What the other side took of the air: (time it was heard, ns)."
        self._longest = 0.0  # queue, bytes
        self.bounds_bps = (0.0, math.inf)
        "(least, most) that the link may carry by what was seen of late; (0, inf): nothing was."
        self.samples: deque[LossSample] = deque(maxlen=256)
        self.units: deque[tuple[int, int, int]] = deque(maxlen=256)
        "(time, whole, degraded) that each report added."
        self.packet_ns = 1.0
        "Air time of the largest packet at the rate known now; set by the owner."
        self.loss = self.usual_loss = 0.0
        "Share that the air loses: of late or usually, whichever is more; and usually."
        self.mean_burst = 1.0

    def note_sent(self, seq: int, air_bytes: int, now: int) -> None:
        """A datagram left. Sequence numbers rise by one."""
        if seq != self._next_seq:
            self._sent.clear()
        self._next_seq = seq + 1
        self._sent.append((now, self._total))
        self._count += 1
        self._total += air_bytes

    def note_talk(self, air_ns: int, now: int) -> None:
        """The other side was heard, and took the air so long from what waits on this one."""
        self._talks.append((now, air_ns))

    def take(self, report: Report, now: int, earlier: Arrivals | None = None) -> bool | None:
        """Take a report; True when it stamps a newer datagram, None when it is of no use: of another
        boot's numbers, or older than one that came before. `earlier`: what came with it."""
        index = self._look_up(report)
        if index is None:
            return None
        if self._last is not None and wrapped(report.received - self._last.received, 16) < 0:
            return None
        sent_ns, sent_bytes = self._sent[index - self._count]
        heard_ns = self._unwrap(report.heard_at * TICK_NS - sent_ns) + sent_ns
        fresh = not self._stamps or heard_ns > self._stamps[-1].heard_ns
        before = self._stamps[-1] if self._stamps else None
        if fresh:
            newest = _Stamp(index, sent_ns, heard_ns, sent_bytes, report.received, report.lost)
            self._group = [*self._stamped(newest, earlier), newest]
            for stamp in self._group:
                self._note_delay(stamp.heard_ns - stamp.sent_ns, now)
                self._stamps.append(stamp)
        self._count_losses(report, now, before, self._group if fresh else [])
        self._last = report
        if fresh:
            self.bounds_bps = self._measure()
        return fresh

    # --- queue

    @property
    def noise_ns(self) -> float:
        """How far a measured wait may be off."""
        return _LEAST_NOISE_NS + _NOISE_PACKETS * self.packet_ns

    @property
    def crowded_ns(self) -> float:
        """The wait from which on the queue may be full."""
        return max(_CROWDED_NS, _CROWDED_PACKETS * self.packet_ns)

    def is_full(self, wait_ns: float) -> bool:
        """Whether a queue so long may have dropped packets: not where a longer one was seen."""
        full = _FULL_SEEN if len(self._group) > 1 else _FULL
        return wait_ns >= self.crowded_ns and (
            wait_ns / self.packet_ns * self._packet_bytes >= full * self._longest
        )

    @property
    def queue_ns(self) -> int:
        """How long the newest stamped datagram waited; of several in one report, the longest wait."""
        return max(map(self._wait, self._group), default=0)

    @property
    def empty(self) -> bool:
        """Whether none of the newest report's last arrivals had waited as long as a packet takes."""
        return max(map(self._wait, self._group[-_LATELY:]), default=0) < self.packet_ns

    def waiting_ns(self, now: int, bps: float) -> float:
        """What waits in the radio now if it sends `bps`: the last measure, and what left since."""
        if not self._stamps:
            return 0.0
        last = self._stamps[-1]
        first = (
            self._wait(last) + (self._total - last.sent_bytes) * 8e9 / bps - (now - last.sent_ns)
        )
        since = range(max(last.index + 1, self._count - len(self._sent)), self._count)
        rest = (self._ahead(i, self._total) * 8e9 / bps - (now - self._time(i)) for i in since)
        return max(0.0, first, *rest)

    def _wait(self, stamp: _Stamp) -> int:
        return stamp.heard_ns - stamp.sent_ns - self._path_ns

    def _note_delay(self, delay: int, now: int) -> None:
        self._delays.append((now, delay))
        while self._delays[0][0] + _PATH_NS < now:
            self._delays.popleft()
        self._path_ns = min(d for _, d in self._delays)

    def _stamped(self, newest: _Stamp, earlier: Arrivals | None) -> list[_Stamp]:
        """Earlier datagrams of a report, oldest first; those from before the last report left out."""
        last = self._stamps[-1] if self._stamps else None
        out: list[_Stamp] = []
        after = newest
        for back, ticks, lost in earlier.steps if earlier is not None else ():
            index, heard_ns = after.index - back, after.heard_ns - ticks * TICK_NS
            too_old = last is not None and (index <= last.index or heard_ns <= last.heard_ns)
            if too_old or index < self._count - len(self._sent):
                break
            sent_ns, sent_bytes = self._sent[index - self._count]
            received = after.received - (back - lost) & 0xFFFF
            after = _Stamp(
                index, sent_ns, heard_ns, sent_bytes, received, after.lost - lost & 0xFFFF
            )
            out.append(after)
        return out[::-1]

    def _look_up(self, report: Report) -> int | None:
        """Index of the reported number; None where it is not known."""
        back = self._next_seq - nearest(report.seq, SEQ_BITS, self._next_seq)
        return self._count - back if 1 <= back <= len(self._sent) else None

    def _unwrap(self, difference: int) -> int:
        """Base's clock less ours, from its low bits: nearest to the first one known."""
        if self._reference is None:
            self._reference = difference
        off = (difference - self._reference + _WRAP_NS // 2) % _WRAP_NS - _WRAP_NS // 2
        return self._reference + off

    # --- rate

    def _measure(self) -> tuple[float, float]:
        low, high = 0.0, math.inf
        newest = self._stamps[-1]
        horizon = max(_HORIZON_NS, 7 * self._report_ns // 2)
        for stamp in list(self._stamps)[-2::-1]:
            old = newest.heard_ns - stamp.heard_ns > horizon or not self._in_log(stamp)
            if old or stamp.index <= self._changed:
                break
            # A report may name any number: the newest stamp need not be the highest.
            ends = [g for g in self._group if g.index > stamp.index] or [newest]
            spans = [self._span_bounds(stamp, end) for end in ends]
            least, most = max(low for low, _ in spans), min(high for _, high in spans)
            if least > most or least > high or most < low:
                self._changed = stamp.index  # the link has changed since
                break
            low, high = max(low, least), min(high, most)
        self._longest *= _FORGETS
        if high < math.inf:
            self._longest = max(self._longest, self.queue_ns * high / 8e9)
        return low, high

    def _span_bounds(self, first: _Stamp, last: _Stamp) -> tuple[float, float]:
        wait, noise = self._wait(last), self.noise_ns
        least = _TICKS_NS + _TICKS_PACKETS * self.packet_ns
        step = max(1, (last.index - first.index) // _POINTS)
        spans = [
            (self._ahead(i, last.sent_bytes), last.sent_ns - self._time(i))
            for i in range(first.index + 1, last.index, step)
        ]
        size, time = last.sent_bytes - first.sent_bytes, last.sent_ns - first.sent_ns
        waited = self._wait(first)
        dropped_least, dropped_most = self._dropped(first, last)
        slowest = [*spans, (size, time - max(0.0, waited - noise))]
        low = max(_rate(size, time + wait + least, 0.0) for size, time in slowest)
        if wait <= noise:
            return low * (1 - dropped_most), math.inf
        fastest = [*spans, (size, time - waited)]
        served_ns = last.sent_ns + wait
        talks = [t for t in self._talks if first.sent_ns < t[0] <= served_ns]
        high = max(
            _rate(size, time + wait - noise - _since(last.sent_ns - time, talks), math.inf)
            for size, time in fastest
        )
        return low * (1 - dropped_most), high * (1 - dropped_least)

    def _dropped(self, first: _Stamp, last: _Stamp) -> tuple[float, float]:
        """(least, most) share of what was sent that found the radio full."""
        lost = max(0, wrapped(last.lost - first.lost, 16))
        count = lost + max(0, wrapped(last.received - first.received, 16))
        within = [s for s in self._stamps if first.heard_ns <= s.heard_ns <= last.heard_ns]
        if not lost or not self.is_full(max(map(self._wait, within))):
            return 0.0, 0.0
        usual = max(_LEAST_USUAL, self.usual_loss)
        spread = _Z * math.sqrt(
            count * usual * (1 - usual) * (2 * max(_LEAST_BURST, self.mean_burst) - 1)
        )
        beyond = (lost - count * usual) / count / (1 - usual)
        spread = spread / count / (1 - usual)
        return max(0.0, beyond - spread), min(0.95, max(0.0, beyond + spread))

    def _in_log(self, stamp: _Stamp) -> bool:
        return stamp.index >= self._count - len(self._sent)

    def _time(self, index: int) -> int:
        return self._sent[index - self._count][0]

    def _ahead(self, index: int, total: int) -> int:
        """Bytes from this datagram on."""
        return total - self._sent[index - self._count][1]

    # --- losses

    def _count_losses(
        self, report: Report, now: int, before: _Stamp | None, group: list[_Stamp]
    ) -> None:
        last = self._last
        if last is None or last.boot_id != report.boot_id:
            return
        received, lost, bursts = last.received, last.lost, last.bursts
        told: list[tuple[_Stamp | None, int, int]] = [(s, s.received, s.lost) for s in group[:-1]]
        told.append((group[-1] if group else None, report.received, report.lost))
        for stamp, received_then, lost_then in told:
            # What is told now was lost since the stamp before: the queue of then counts, too.
            waits = [self._wait(s) for s in (before, stamp) if s is not None]
            self.samples.append(
                LossSample(
                    now, wrapped(received_then - received, 16),
                    max(0, wrapped(lost_then - lost, 16)),
                    max(0, wrapped(report.bursts - bursts, 16)), self.is_full(max(waits)),
                )
            )  # fmt: skip
            received, lost, bursts, before = received_then, lost_then, report.bursts, stamp
        whole, degraded = report.whole - last.whole & 0xFF, report.degraded - last.degraded & 0xFF
        self.units.append((now, whole, degraded))
        fast, slow = self._share(now - _FAST_NS), self._share(now - _SLOW_NS)
        if slow is not None:  # with a queue for so long, what was known before is the best guess
            self.usual_loss = slow
        self.loss = max(self.usual_loss, fast or 0.0)
        recent = [s for s in self.samples if s.at > now - _SLOW_NS]
        bursts = sum(s.bursts for s in recent)
        self.mean_burst = max(1.0, sum(s.lost for s in recent) / bursts) if bursts >= 3 else 1.0

    def _share(self, since: int) -> float | None:
        """Share lost since then where the queue was not to blame; None for too few."""
        recent = [s for s in self.samples if s.at > since and not s.crowded]
        lost, received = sum(s.lost for s in recent), sum(s.received for s in recent)
        return lost / (lost + received) if lost + received >= _LEAST_COUNT else None


def _rate(size: int, time_ns: float, otherwise: float) -> float:
    """Bits a second; a time that is not, within the noise, bounds nothing."""
    return size * 8e9 / time_ns if time_ns > 0 else otherwise


def _since(time: float, talks: list[tuple[int, int]]) -> int:
    """How long the other side had the air; what was heard before kept nothing back."""
    return sum(air_ns for heard, air_ns in talks if heard > time)


def wrapped(difference: int, bits: int) -> int:
    """A difference of two wrapping counters, as a signed number."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
