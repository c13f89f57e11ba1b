"""Links that store at the same time share one commit: one sync of the disk serves all that wait for it.

The first that comes writes for everybody who came meanwhile; the others find their rows on disk when
it is their turn. With four drones on a slow card that is one sync for all instead of one each.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from gvc_base.archive import Archive

__all__ = ["Datagrams", "GroupCommit"]

Datagrams = Sequence[tuple[int, str, bytes]]
"(received_ns, source, data)"


@dataclass(slots=True)
class _Batch:
    session_id: int
    items: Datagrams
    first_row: int = 0
    last_on_disk: int = 0
    done: bool = False
    error: Exception | None = None


class GroupCommit:
    """Any number of threads append; each returns when its own rows are on disk (or wait in memory)."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._mutex = threading.Lock()
        self._committing = threading.Lock()
        self._waiting: list[_Batch] = []
        self.commits = 0
        "Transactions so far."

    def append(self, session_id: int, items: Datagrams) -> tuple[int, int]:
        """Store datagrams of a session.

        Returns:
            (row of the first of them, last row on disk); the first is 0 while the disk does not take
            them.
        """
        batch = _Batch(session_id, items)
        with self._mutex:
            self._waiting.append(batch)
        with self._committing:
            if not batch.done:
                self._commit()
        if batch.error is not None:
            raise batch.error
        return batch.first_row, batch.last_on_disk

    def _commit(self) -> None:
        with self._mutex:
            batches, self._waiting = self._waiting, []
        try:
            last = self._archive.append_all([(b.session_id, b.items) for b in batches])
            self.commits += 1
            stored = not self._archive.health.waiting_rows
            row = last - sum(len(b.items) for b in batches) + 1
            for batch in batches:
                batch.first_row, batch.last_on_disk = (row if stored else 0), last
                row += len(batch.items)
        except Exception as error:  # everybody whose rows these are has to hear of it
            for batch in batches:
                batch.error = error
        finally:
            for batch in batches:
                batch.done = True
