"""When the next packet may go: never above the rate, over any window, counting every byte.

Two rules together: packets are spaced by their own air time (a radio's host buffer overflows
silently otherwise), and a ledger of the last window keeps the sum of the bytes that *start* in any
window of `window_ns` at or below rate * window, which is what a log of send times can be held to.
"""

from __future__ import annotations

from collections import deque

__all__ = ["Pacer"]

_NS = 1_000_000_000


class Pacer:
    """Sans-IO pacer; all times are integer nanoseconds given by the caller."""

    def __init__(self, rate_bps: float, window_ns: int) -> None:
        self._window_ns = window_ns
        self._sent: deque[tuple[int, int]] = deque()
        self._sum = 0
        self._free_ns = 0
        self._allowed = 0
        self.set_rate(rate_bps)

    def set_rate(self, rate_bps: float) -> None:
        """Change how packets are spaced from now on. The ledger keeps the highest rate that was ever
        set: it guards the limit of the radio, and a lower rate must not silence the sender until what
        was sent before has left the window."""
        self.rate_bps = rate_bps
        self._allowed = max(self._allowed, int(rate_bps * self._window_ns / (8 * _NS)))

    def ready_at(self, size_bytes: int, now: int) -> int:
        """Earliest time, `now` or later, at which a packet of this size may start."""
        self._expire(now)
        at, total = max(now, self._free_ns), self._sum
        for sent_ns, sent_bytes in self._sent:
            if total + size_bytes <= self._allowed:
                break
            at, total = max(at, sent_ns + self._window_ns), total - sent_bytes
        return at

    def spend(self, size_bytes: int, now: int) -> None:
        """A packet of this size starts now."""
        self._expire(now)
        self._sent.append((now, size_bytes))
        self._sum += size_bytes
        self._free_ns = max(now, self._free_ns) + int(size_bytes * 8 * _NS / self.rate_bps)

    def _expire(self, now: int) -> None:
        # A packet sent exactly one window ago has left it: windows are half open.
        while self._sent and self._sent[0][0] + self._window_ns <= now:
            self._sum -= self._sent.popleft()[1]
