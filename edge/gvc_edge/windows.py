"""How often an edge on a half-duplex link falls silent for the base."""

from __future__ import annotations

from gvc_protocol.params import MS, SECOND

__all__ = ["turns_ns", "usual_report_ns", "window_times"]

_SHARE = 0.1
"Of the time, for windows that last to their end."
_EVERY_NS = (2 * SECOND, 30 * SECOND)
_USED = 0.15
"Of a window: about what one report and the turns take."


def window_times(listen_ms: float) -> tuple[int, int]:
    """(sending time between two windows, longest window), ns."""
    listen_ns = int(listen_ms * MS)
    return min(_EVERY_NS[1], max(_EVERY_NS[0], int(listen_ns / _SHARE))), listen_ns


def turns_ns(mode: str, turnaround_ms: float) -> int:
    """What a talk of the base adds to its own time on the air: there and back, in windows only."""
    return int(2 * turnaround_ms * MS) if mode == "windows" else 0


def usual_report_ns(every_ns: int, listen_ns: int) -> int:
    """How often a report comes through windows that the base gives back."""
    return max(_EVERY_NS[0], int(_USED * (every_ns + listen_ns)))
