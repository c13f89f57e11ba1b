"""Recorded time: where it stands, how fast it goes, and who waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from gvc_base.console.view import Transport
from gvc_protocol.errors import UserError
from gvc_protocol.params import SECOND

__all__ = ["FASTEST", "SLOWEST", "ReplayClock"]

SLOWEST, FASTEST = 0.25, 16.0
_LONGEST_WAIT_S = 0.5


class ReplayClock:
    """Nanoseconds of the recording. Thread-safe; `changed` is told of every seek, stop and speed."""

    def __init__(
        self, first_ns: int, last_ns: int, *, steady: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """`steady` is the real clock behind it, nanoseconds."""
        self.first_ns, self.last_ns = first_ns, max(first_ns, last_ns)
        self._steady = steady
        self.changed = threading.Condition()
        self._at, self._since = first_ns, steady()
        self._speed, self._playing = 1.0, False
        self._seeks = 0

    def now(self) -> int:
        """Where recorded time stands."""
        return self.read()[1]

    def read(self) -> tuple[int, int]:
        """(number of seeks so far, where recorded time stands)."""
        with self.changed:
            return self._seeks, self._now()

    def transport(self) -> Transport:
        """For the console; at the end it has stopped."""
        with self.changed:
            now = self._now()
            if now >= self.last_ns:
                self._hold(now)
                self._playing = False
            return Transport(
                first_ns=self.first_ns, last_ns=self.last_ns, now_ns=now, speed=self._speed,
                playing=self._playing,
            )  # fmt: skip

    @property
    def rate(self) -> float:
        """Recorded seconds a second now, 0 while it stands."""
        with self.changed:
            return self._speed if self._playing else 0.0

    def play(self, *, playing: bool | None = None, speed: float | None = None) -> None:
        """Go, stop, or change speed.

        Raises:
            UserError: the speed is out of range.
        """
        if speed is not None and not SLOWEST <= speed <= FASTEST:
            raise UserError(f"speed {speed:g} is out of range; choose {SLOWEST:g} to {FASTEST:g}")
        with self.changed:
            self._hold(self._now())
            if speed is not None:
                self._speed = speed
            if playing is not None:
                self._playing = playing
            self.changed.notify_all()

    def seek(self, to_ns: int) -> None:
        """Go there; what lies outside of the recording is its nearest end."""
        with self.changed:
            self._hold(min(max(to_ns, self.first_ns), self.last_ns))
            self._seeks += 1
            self.changed.notify_all()

    def wait_until(self, time_ns: int, *, seeks: int) -> bool:
        """Wait a while for recorded time to come there; False when it has not, or somebody sought."""
        with self.changed:
            if self._seeks == seeks and (left := time_ns - self._now()) > 0:
                rate = self._speed if self._playing else 0.0
                real_s = left / SECOND / rate if rate else _LONGEST_WAIT_S
                self.changed.wait(min(real_s, _LONGEST_WAIT_S))
            return self._seeks == seeks and self._now() >= time_ns

    def _hold(self, at: int) -> None:
        self._at, self._since = at, self._steady()

    def _now(self) -> int:
        if not self._playing:
            return self._at
        passed = int((self._steady() - self._since) * self._speed)
        return min(self._at + passed, self.last_ns)
