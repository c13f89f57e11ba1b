"""Which rows of the archive hold a unit's datagrams: for whoever asks where a tile comes from.

A packet is a row; on a byte stream a datagram may lie in several reads, each a row.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from gvc_protocol.wire import UNIT_BITS, Datagram, WirePart, nearest

__all__ = ["ReadRows", "RowIndex"]

_MOST_UNITS = 256


class ReadRows:
    """Rows that hold the bytes which a receiver has not made a datagram of yet. Sans-IO."""

    def __init__(self) -> None:
        self._first = self._row = 0

    @property
    def span(self) -> tuple[int, int]:
        """(first, last) row of what is filed now; 0 while the disk does not take them."""
        return (self._first, self._row) if self._row else (0, 0)

    def begin(self, row: int) -> None:
        """The bytes of a row are parsed now; 0: it has none yet."""
        self._row = row
        self._first = self._first or row

    def end(self, *, filed: bool, pending: bool) -> None:
        """They are parsed; `pending`: a datagram waits for its rest."""
        if not pending:
            self._first = 0
        elif filed:
            self._first = self._row


class RowIndex:
    """Of one stream, its last 256 units. Thread-safe."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._rows: OrderedDict[tuple[int, int], list[int]] = OrderedDict()
        self._newest: dict[int, int] = {}

    def add(self, datagram: Datagram, first_row: int, last_row: int) -> None:
        """A datagram was filed, whose bytes are in these rows; 0 while they are not on disk."""
        if datagram.part == WirePart.MESSAGE or not first_row:
            return
        boot = datagram.boot_id
        unit_no = nearest(datagram.unit_no, UNIT_BITS, self._newest.get(boot, 0))
        with self._mutex:
            self._newest[boot] = max(unit_no, self._newest.get(boot, 0))
            rows = self._rows.setdefault((boot, unit_no), [])
            rows += [row for row in range(first_row, last_row + 1) if row not in rows[-4:]]
            while len(self._rows) > _MOST_UNITS:
                self._rows.popitem(last=False)

    def of(self, boot_id: int, unit_no: int) -> tuple[int, ...]:
        """Rows of a unit, rising; empty where they are not known any more, or not on disk yet."""
        with self._mutex:
            return tuple(sorted(set(self._rows.get((boot_id, unit_no), ()))))
