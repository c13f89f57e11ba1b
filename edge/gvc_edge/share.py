"""The part of the rate that answers may take, so that they never starve the live units."""

from __future__ import annotations

__all__ = ["AnswerShare"]


class AnswerShare:
    """A token bucket: an answer is paid for afterwards, so a large one goes whole and the next waits."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._tokens, self._at = 0.0, 0

    def rest(self, now: int) -> None:
        """Nothing waits: begin anew with the next answer."""
        self._tokens, self._at = 0.0, now

    def may_send(self, now: int, rate_bps: float) -> bool:
        """Whether the next answer may go now; call it each time something waits."""
        share_bytes = self.share * rate_bps / 8
        passed = max(0, now - self._at) / 1e9
        self._tokens = min(share_bytes * 2, self._tokens + share_bytes * passed)
        self._at = now
        return self._tokens >= 0

    def spend(self, size: float) -> None:
        """An answer of so many air bytes goes."""
        self._tokens -= size
