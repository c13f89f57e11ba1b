"""How often an edge on a half-duplex link falls silent for the base."""

from __future__ import annotations

from gvc_protocol.params import MS, SECOND

__all__ = ["window_times"]

_SHARE = 0.1
"Of the time, for windows that last to their end."
_EVERY_NS = (2 * SECOND, 30 * SECOND)


def window_times(listen_ms: float) -> tuple[int, int]:
    """(sending time between two windows, longest window), ns."""
    listen_ns = int(listen_ms * MS)
    return min(_EVERY_NS[1], max(_EVERY_NS[0], int(listen_ns / _SHARE))), listen_ns
