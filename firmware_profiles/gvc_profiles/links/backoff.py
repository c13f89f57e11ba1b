"""How long to wait before a radio that went away is tried again."""

from __future__ import annotations

__all__ = ["Backoff"]


class Backoff:
    """Doubling waits: soon at first, as most cables are put back at once, then every few seconds."""

    def __init__(self, first_s: float = 0.25, most_s: float = 4.0) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._next_s = first_s

    def wait_s(self) -> float:
        """Seconds to wait now; the next wait is longer."""
        now, self._next_s = self._next_s, min(self._most_s, 2 * self._next_s)
        return now

    def reset(self) -> None:
        """It worked: start anew next time."""
        self._next_s = self._first_s
