"""The one clock of live programs: Unix time that never steps.

A clock that is set during the mission (GNSS fix, NTP) must move neither the pacer nor the timers, so
the wall clock is read once and the monotonic one from then on.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["steady_clock"]


def steady_clock() -> Callable[[], int]:
    """A function that gives nanoseconds since 1970, rising only."""
    offset = time.time_ns() - time.monotonic_ns()
    return lambda: time.monotonic_ns() + offset
