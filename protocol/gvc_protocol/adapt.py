"""The sender's setting from the base's reports: rate, redundancy, interleave, ladder. Sans-IO.

    reports -> LinkGauge: bounds of what the link carries, its queue, its losses
            -> LinkController: rate, pace -> LinkSetting
            -> Protection: redundancy, interleave, ladder

**Rate.** One number is kept: what the link is known to carry. It stays as long as the gauge's bounds
have it between them, so on a steady link it does not move at all; above them it comes down into them,
below them it rises to the lower one. The encoder runs a little below it, so that the radio's queue is
empty most of the time: then every loss is the air's, and the path's own delay is seen again and again.

**Pace.** Packets of a unit leave closer together than the encoder's rate would have them: a link that
carries more shows it by not queueing them, and one that does not has worked the queue off before the
next unit comes. A queue that is too long is let drain, by the pace alone; the encoder need not see it.

No report for a while: the open-loop setting, see `_open_loop`.
"""

from __future__ import annotations

import math

from gvc_protocol.link_gauge import LinkGauge
from gvc_protocol.link_setting import AdaptLimits, LinkSetting
from gvc_protocol.params import SECOND
from gvc_protocol.protection import Protection
from gvc_protocol.reports import Arrivals, Report

__all__ = ["AdaptLimits", "LinkController", "LinkSetting"]

_USED = 0.95
"Of what the link is known to carry, for the encoder."
_DRAIN = 0.55
"Of it, while a queue drains."
_PROBE, _PROBE_BOLD = 1.4, 1.7
"The pace over the rate; and after the link was seen to carry more than was known."
_PROBE_RARE, _BURST = 2.0, 2.0
"Where reports are rare: each unit begins at this pace, until so many packets wait in the radio."
_OFTEN_NS, _NO_WAIT = 1_200_000_000, 0.25
"Reports that come less often must tell more, where the newest packet waited for so little of one."
_TOWARDS = 0.3
"Of the way to the middle of the bounds, each report, where they are close enough to say."
_TELLING = 1.6
_WIDE = 1.15
"The lower bound counts for so much below the upper one, where the rate comes down."
_CREEP, _CREEP_FROM = 1.03, 0.9
"Where the limit leaves no room for a faster pace, the rate itself is tried."
_BOLDLY = (1.0, 1.2, 1.4)
"Times what the link was seen to carry, report after report that finds it faster without a queue."
_BOLDLY_RARE = 1.3
"The same where reports are rare and none of their packets waited behind another."
_CLEARLY = 1.1
"Times what is known: so much faster it must be, where reports are rare, for a bold step."
_SHOWN_STEP = 0.05
"Smaller changes of the rate are not worth an encoder's while."
_RARE_NS = 3 * SECOND
"Reports that come no more often are believed at once: each tells of a long time."
_CHANGED, _EAGER_NS = 0.08, 12 * SECOND
"A change of what is known from which on the next reports are wanted soon, and for how long."
_PROBED_REPORTS = 4
_HOPELESS_LOSS = 0.5
_SILENCE_NS = 5 * SECOND
_FORGIVEN_NS = 60 * SECOND


class LinkController:
    """One sender's controller. Feed it what leaves and what the base reports; ask for the setting."""

    def __init__(self, limits: AdaptLimits) -> None:
        self._limits = limits
        self._gauge = LinkGauge(limits.packet_bytes, limits.report_ns)
        self._protection = Protection(limits)
        self._rate = self._shown = limits.ceiling_bps
        self._held_bps: float | None = None
        self._known_bps: float | None = None
        "What the link carries; None while it was never seen to carry less than the limit."
        self._heard_at: int | None = None
        self._free_at = 0
        "When the radio's queue is empty, if the link is as known."
        self._waited_at = self._steps = self._eager_until = 0
        self._drain_until = self._probe_until = self._calm_until = 0
        self._talked_at = -(1 << 62)
        self._slower_at: int | None = None
        "When a report bounded the link below what is known, last."

    def note_sent(self, seq: int, air_bytes: int, now: int) -> None:
        """A datagram left. Sequence numbers rise by one."""
        self._gauge.note_sent(seq, air_bytes, now)
        bps = self._known_bps or self._limits.ceiling_bps
        self._free_at = max(self._free_at, now) + int(air_bytes * 8e9 / bps)

    def note_heard(self, air_bytes: int, now: int) -> None:
        """So many bytes came from the base: on a half-duplex air they kept ours back."""
        turns_ns = self._limits.turns_ns
        if turns_ns:
            bps = self._known_bps or self._limits.ceiling_bps
            on = now - self._talked_at <= turns_ns  # more of the same talk: no turn between
            self._gauge.note_talk(int(air_bytes * 8e9 / bps) + (0 if on else turns_ns), now)
            self._talked_at = now

    def hold_rate(self, rate_bps: float | None) -> None:
        """The operator's rate, within the limits; None lets the controller choose."""
        self._held_bps = rate_bps

    def report(self, report: Report, now: int, earlier: Arrivals | None = None) -> None:
        """Take a report on this boot's datagrams, with what else it tells of arrivals. Repeats and old
        ones change nothing."""
        gauge = self._gauge
        gauge.packet_ns = self._limits.packet_bytes * 8e9 / (self._known_bps or self._rate)
        fresh = gauge.take(report, now, earlier)
        if fresh is None:
            return
        self._heard_at = now
        if fresh:
            before = self._known_bps or self._limits.ceiling_bps
            self._learn(now)
            change = abs((self._known_bps or self._limits.ceiling_bps) / before - 1)
            if change > _CHANGED:
                self._eager_until = now + _EAGER_NS
            self._set_rate()
            self._set_pace(now)
        self._protection.update(gauge, self._rate, now)

    def setting(self, now: int) -> LinkSetting:
        """What to run on now."""
        limit, safe = self._limits, self._protection
        if self._heard_at is None or now - self._heard_at > max(_SILENCE_NS, 4 * limit.report_ns):
            return self._open_loop(now)
        shown = self._bounded(self._shown)
        return LinkSetting(
            rate_bps=shown, pace_bps=self._pace(shown, now), fec_percent=safe.fec_percent,
            interleave=safe.interleave, finest=safe.finest, closed_loop=True,
            eager=now < self._eager_until,
        )  # fmt: skip

    # --- open loop

    def _open_loop(self, now: int) -> LinkSetting:
        """Never heard a report: the operator's rate and the profile's redundancy. Lost it: not more than
        the link carried last; after a minute not less than half of the operator's rate, either, for a
        base that only went away must not leave the sender crawling."""
        limit, rate, fec = self._limits, self._limits.ceiling_bps, self._limits.fec_percent
        if self._heard_at is not None:
            rate, fec = self._shown, max(self._protection.fec_percent, fec)
            if now - self._heard_at > _FORGIVEN_NS:
                rate = max(rate, limit.ceiling_bps / 2)
        rate = self._bounded(rate)
        return LinkSetting(rate_bps=rate, pace_bps=rate, fec_percent=fec)

    def _bounded(self, rate: float) -> float:
        limit = self._limits
        if self._held_bps is not None:
            rate = self._held_bps
        return min(limit.ceiling_bps, max(limit.floor_bps, rate))

    # --- rate and pace

    def _learn(self, now: int) -> None:
        """Move what is known into the gauge's bounds."""
        gauge, known, ceiling = self._gauge, self._known_bps, self._limits.ceiling_bps
        least, most = gauge.bounds_bps
        if gauge.queue_ns > gauge.noise_ns:
            self._waited_at, self._steps = now, 0
        recent = self._limits.unit_ns + 3 * self._limits.report_ns // 2
        slower = self._slower_at is not None and now - self._slower_at <= recent
        if most < (known or ceiling):
            # A packet that was held up for once is not yet a slower link.
            if slower or self._rare:
                if known is None:
                    self._calm_until = now + self._calm_ns
                self._known_bps = (max(least, most / _WIDE) + most) / 2
            self._slower_at = now
            return
        if known is None:
            return
        if least > known:
            known = least if most < math.inf else least * self._boldly(least / known)
            # Where it was found slower a moment ago, it is not soon twice as fast.
            self._steps = 0 if slower else min(self._steps + 1, len(_BOLDLY) - 1)
        elif most < _TELLING * least:
            known += _TOWARDS * ((least + most) / 2 - known)
        elif (
            now >= self._calm_until and least > _CREEP_FROM * known
            and now - self._waited_at > self._limits.unit_ns + self._limits.report_ns
        ):  # fmt: skip
            known *= _CREEP
        self._known_bps = None if known * _USED > ceiling else known

    def _set_rate(self) -> None:
        limit = self._limits
        known = self._known_bps
        rate = limit.ceiling_bps if known is None else _USED * known
        if self._gauge.usual_loss >= _HOPELESS_LOSS:
            # No redundancy makes this good; perhaps something on the way counts our bytes.
            rate = min(rate, 0.8 * self._rate)
        self._rate = min(limit.ceiling_bps, max(limit.floor_bps, rate))
        at_limit = self._rate == limit.ceiling_bps
        if at_limit or abs(self._rate - self._shown) > _SHOWN_STEP * self._shown:
            self._shown = self._rate

    def _set_pace(self, now: int) -> None:
        """Drain a long queue; with a short one try whether the link carries more."""
        gauge, known = self._gauge, self._known_bps
        self._drain_until = self._probe_until = now
        if known is None:
            return
        waiting = gauge.waiting_ns(now, known)
        self._free_at = now + int(waiting)
        if waiting > gauge.crowded_ns:
            self._drain_until = now + int((waiting - gauge.noise_ns) / (1 - _DRAIN))
            if now < self._calm_until:
                self._calm_until = max(self._calm_until, self._drain_until + self._calm_ns)
        elif now >= self._calm_until and gauge.queue_ns < gauge.crowded_ns:
            room = (gauge.crowded_ns + gauge.noise_ns) * (1 + self._steps) - waiting
            self._probe_until = now + int(room / (self._factor * _USED - 1))
        if self._in_bursts:
            # Each unit begins with a burst, and the next report is on one: whenever that comes.
            self._probe_until = now + _PROBED_REPORTS * self._limits.report_ns

    @property
    def _rare(self) -> bool:
        return self._limits.report_ns >= _RARE_NS

    def _boldly(self, faster: float) -> float:
        bold, clearly = _BOLDLY[self._steps], faster >= _CLEARLY
        if self._rare:
            return _BOLDLY_RARE if self._gauge.empty else bold if clearly else 1.0
        if not self._gauge.empty:
            return 1.0  # what begins to wait tells that this is about all
        return max(_BOLDLY_RARE, bold) if clearly and self._in_bursts else bold

    @property
    def _in_bursts(self) -> bool:
        """Whether each unit begins with a burst: where reports are rare, and where those that are not
        frequent find that nothing waits."""
        nothing_waits = self._gauge.queue_ns < _NO_WAIT * self._gauge.packet_ns
        return self._rare or (self._limits.report_ns > _OFTEN_NS and nothing_waits)

    @property
    def _calm_ns(self) -> int:
        """A link that was busy from the start was never seen empty, and its waits are measured too
        short: after the first queue it has so long without faster packets."""
        return 2 * (self._limits.unit_ns + self._limits.report_ns)

    @property
    def _factor(self) -> float:
        if self._in_bursts:
            return _PROBE_RARE
        return _PROBE_BOLD if self._steps else _PROBE

    def _pace(self, shown: float, now: int) -> float:
        if self._held_bps is not None or self._known_bps is None:
            return shown
        if now < self._drain_until:
            return max(self._limits.floor_bps, min(shown, _DRAIN * self._known_bps))
        if self._in_bursts and self._free_at - now > _BURST * self._gauge.packet_ns:
            return shown
        if now < self._probe_until:
            return self._bounded(self._factor * max(shown, self._rate))
        return shown
