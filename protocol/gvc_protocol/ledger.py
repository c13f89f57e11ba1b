"""Airtime ledger: what one sub-band still allows, over a rolling hour. Radios on a UART do not count.

A packet may start when all air time that still overlaps the hour before its start, and its own, stay at
or below the duty cycle. Since every earlier packet that a later hour can hold was counted then, no
rolling hour of any phase exceeds the limit (ETSI EN 300 220-2 defines the duty cycle so).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.params import SECOND

__all__ = ["AirtimeExhausted", "AirtimeLedger", "AirtimeLimit"]

HOUR_NS = 3600 * SECOND
_BUCKETS = 1200
"Entries kept at most: what starts within the same 3 s is one entry that counts until its last end."


@dataclass(frozen=True, slots=True, kw_only=True)
class AirtimeLimit:
    """The law of one sub-band."""

    subband: str
    duty_cycle: float
    "Share of the window, above 0 and at most 1."
    dwell_ns: int = 0
    "Longest single packet; 0 = no limit."
    window_ns: int = HOUR_NS

    def __post_init__(self) -> None:
        if not 0 < self.duty_cycle <= 1 or self.dwell_ns < 0 or self.window_ns <= 0:
            raise LocalProtocolError("a duty cycle is above 0 and at most 1, times are positive")

    @property
    def budget_ns(self) -> int:
        """Air time that any window may hold."""
        return int(self.window_ns * self.duty_cycle)


@dataclass(frozen=True, slots=True, kw_only=True)
class AirtimeExhausted:
    """The ledger holds the next packet back; said once each time the sender comes to a stand."""

    limit: AirtimeLimit
    until: int
    "When that packet may start."
    now: int

    def as_text(self) -> str:
        """One line for the operator."""
        wait = -(-(self.until - self.now) // SECOND)
        return (
            f"{self.limit.subband}: {100 * self.limit.duty_cycle:g} % used up, "
            f"next packet in {wait} s"
        )


class AirtimeLedger:
    """All sending in one sub-band. Times are integer nanoseconds given by the caller."""

    def __init__(self, limit: AirtimeLimit, airtime_ns: Callable[[int], int]) -> None:
        """`airtime_ns` gives the air time of a packet of so many bytes, as the host hands it over."""
        self.limit = limit
        self.airtime_ns = airtime_ns
        # (first start, last end, air time), oldest first
        self._spent: deque[tuple[int, int, int]] = deque()
        self._sum = 0

    def check(self, packet_bytes: int) -> None:
        """Refuse a packet size that this sub-band never allows.

        Raises:
            LocalProtocolError: it is longer than the dwell limit, or than the whole budget.
        """
        air = self.airtime_ns(packet_bytes)
        if self.limit.dwell_ns and air > self.limit.dwell_ns:
            raise LocalProtocolError(
                f"{self.limit.subband}: {packet_bytes} bytes take {air / 1e6:.0f} ms on the air, "
                f"more than the {self.limit.dwell_ns / 1e6:g} ms that one channel may be used"
            )
        if air > self.limit.budget_ns:
            raise LocalProtocolError(
                f"{self.limit.subband}: {packet_bytes} bytes take more than the hour's air time"
            )

    def ready_at(self, packet_bytes: int, now: int) -> int:
        """Earliest time, `now` or later, at which such a packet may start.

        Raises:
            LocalProtocolError: it may never start (see `check`).
        """
        self.check(packet_bytes)
        self._expire(now)
        total, at = self._sum + self.airtime_ns(packet_bytes), now
        for _, end, air in self._spent:
            if total <= self.limit.budget_ns:
                break
            total, at = total - air, max(at, end + self.limit.window_ns)
        return at

    def spend(self, packet_bytes: int, now: int) -> None:
        """Such a packet starts now."""
        self._add(now, now + self.airtime_ns(packet_bytes), self.airtime_ns(packet_bytes))
        self._expire(now)

    def used_share(self, now: int) -> float:
        """Part of the budget that is spent, 0..1."""
        self._expire(now)
        return self._sum / self.limit.budget_ns

    def export(self) -> list[tuple[int, int]]:
        """(end, air time) of what still counts: plain values for the disk."""
        return [(end, air) for _, end, air in self._spent]

    def restore(self, spent: Iterable[tuple[int, int]], now: int) -> None:
        """Take back what an earlier run exported.

        A clock that was wrong then gives times in the future: they count as if they ended now.
        """
        for end, air in sorted((min(end, now), air) for end, air in spent):
            if air > 0:
                self._add(end - air, end, min(air, self.limit.window_ns))
        self._expire(now)

    def _add(self, start: int, end: int, air: int) -> None:
        self._sum += air
        span = self.limit.window_ns // _BUCKETS
        if self._spent and start - self._spent[-1][0] < span:
            first, last, so_far = self._spent[-1]
            self._spent[-1] = (first, max(last, end), so_far + air)
        else:
            self._spent.append((start, end, air))

    def _expire(self, now: int) -> None:
        while self._spent and self._spent[0][1] + self.limit.window_ns <= now:
            self._sum -= self._spent.popleft()[2]
