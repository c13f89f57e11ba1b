"""The replay window on disk: what was believed before a restart is not believed again after it."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError
from gvc_protocol.params import SECOND
from gvc_protocol.replay import ReplayGuard

__all__ = ["ReplayStore"]

_EVERY_NS = SECOND


class ReplayStore:
    """`guard` for a receiver, kept in one file a key.

    Saved about once a second: after a crash, what came in its last second could be believed once
    more. Whoever acts on a message calls `save` first. A full disk does not end a mission: `problem`
    then holds one line for the operator.
    """

    def __init__(self, state_dir: Path, key: LinkKey) -> None:
        """Read what is there.

        Raises:
            UserError: the folder cannot be used, or the file is damaged.
        """
        self._path = state_dir / f"replay-{key.fingerprint}.json"
        self._saved_changes, self._saved_ns = 0, 0
        self.problem = ""
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
            self.guard = self._read()
        except ValueError as error:
            raise UserError(
                f"{self._path} is damaged ({error}): old recordings could be taken for new; make a "
                "new key for both ends, or delete the file if nobody can have recorded this link"
            ) from None
        except OSError as error:
            raise UserError(
                f"cannot keep the replay state in {state_dir}: {error.strerror}"
            ) from None

    def tick(self, now: int) -> None:
        """Save if something changed and the last time was a second ago."""
        if self.guard.changes != self._saved_changes and now - self._saved_ns >= _EVERY_NS:
            self._saved_ns = now
            self.save()

    def save(self) -> None:
        """Put the state on disk, synced. A failure goes to `problem`."""
        self._saved_changes = self.guard.changes
        try:
            with self._path.with_name(self._path.name + ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                # Another base with this key may have heard other streams.
                merged = self._read()
                merged.merge(self.guard)
                fresh = self._path.with_name(self._path.name + ".new")
                with fresh.open("w") as file:
                    json.dump(merged.export(), file)
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(self._path)
            self.problem = ""
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "the file was damaged meanwhile"
            self.problem = f"the replay state is not saved in {self._path}: {why}; free space there"

    def _read(self) -> ReplayGuard:
        if not self._path.exists():
            return ReplayGuard()
        try:
            return ReplayGuard.restore(json.loads(self._path.read_text()))
        except RecursionError:
            raise ValueError("nested too deep") from None
