"""The list of events and detections that the console shows, with its pictures. Bounded, thread-safe."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from gvc_base.console.view import EventRow

__all__ = ["EventList"]

_MOST_ROWS = 5000
_MOST_CHIPS = 600


class EventList:
    """Newest rows of all drones; ids rise from 1."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._mutex = threading.Lock()
        self._rows: deque[EventRow] = deque(maxlen=_MOST_ROWS)
        self._chips: OrderedDict[int, bytes] = OrderedDict()
        self._count = 0

    def add(
        self, kind: str, text: str, *, drone_id: str = "", time_ns: int | None = None,
        box: tuple[int, int, int, int] | None = None, chip: bytes | None = None,
    ) -> EventRow:  # fmt: skip
        """Append a row; `chip` is its PNG."""
        with self._mutex:
            self._count += 1
            row = EventRow(
                event_id=self._count, time_ns=self._now() if time_ns is None else time_ns,
                drone_id=drone_id, kind=kind, text=text, box=box, chip=chip is not None,
            )  # fmt: skip
            self._rows.append(row)
            if chip is not None:
                self._chips[row.event_id] = chip
                while len(self._chips) > _MOST_CHIPS:
                    self._chips.popitem(last=False)
            return row

    def after(self, event_id: int, limit: int) -> tuple[EventRow, ...]:
        """The newest `limit` rows above an id, oldest first."""
        with self._mutex:
            rows = [row for row in self._rows if row.event_id > event_id]
        return tuple(rows[-limit:]) if limit > 0 else ()

    def chip(self, event_id: int) -> bytes | None:
        """PNG of a row, None where there is none (or it is too long ago)."""
        with self._mutex:
            return self._chips.get(event_id)
