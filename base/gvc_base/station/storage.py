"""How long the disk lasts: what is free, against how fast this mission fills it. Not thread-safe."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from gvc_base.archive import Archive
from gvc_protocol.errors import UserError
from gvc_protocol.params import SECOND

__all__ = ["Storage"]

_EVERY_NS = 5 * SECOND
_WINDOW_NS = 600 * SECOND
_LEAST_NS = 60 * SECOND
"Below it the rate is not known: a new archive writes its tables first."
_LOW_BYTES = 512 << 20
_LOW_HOURS = 2.0


class Storage:
    """Looks every five seconds."""

    def __init__(
        self, archive: Archive, others: Sequence[Path] = (),
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:  # fmt: skip
        """Args:
        others: files that grow with the mission, too. free: bytes that a folder's disk has left.
        """
        self._archive, self._others, self._free = archive, others, free
        self._sizes: deque[tuple[int, int]] = deque()
        self._due = 0
        self.free_bytes = 0
        self.hours: float | None = None
        "How long the free space lasts at the rate of the last ten minutes; None while not known."

    def tick(self, now: int) -> None:
        """Look, if it is time."""
        if now < self._due:
            return
        self._due = now + _EVERY_NS
        with suppress(OSError):  # a disk that is gone: the archive says so
            self.free_bytes = self._free(self._archive.path.parent)
        with suppress(UserError):
            self._sizes.append((now, self._size()))
        while len(self._sizes) > 2 and self._sizes[0][0] < now - _WINDOW_NS:
            self._sizes.popleft()
        first, last = self._sizes[0], self._sizes[-1]
        grown, passed = last[1] - first[1], last[0] - first[0]
        if passed >= _LEAST_NS:
            self.hours = self.free_bytes / grown * passed / SECOND / 3600 if grown > 0 else None

    def _size(self) -> int:
        """Bytes: the archive's pages (those in its log, too) and the other files."""
        pages, size = (int(self._archive.fetch(f"PRAGMA {n}")[0][0]) for n in _PRAGMAS)
        total = pages * size
        for path in self._others:
            with suppress(OSError):
                total += path.stat().st_size
        return total

    def warning(self) -> str:
        """One line while the disk is nearly full, else empty."""
        short = self.hours is not None and self.hours < _LOW_HOURS
        if not self._sizes or (self.free_bytes >= _LOW_BYTES and not short):
            return ""
        lasts = "" if self.hours is None else f", enough for {self.hours:.1f} h at this rate"
        return (
            f"{self.free_bytes / 1e6:.0f} MB left on the disk of {self._archive.path}{lasts}; free "
            "space there"
        )


_PRAGMAS = ("page_count", "page_size")
