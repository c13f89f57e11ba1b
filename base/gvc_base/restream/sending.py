"""What sends to one target: a thread of its own, and lines that the operator is told once."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

__all__ = ["Sending"]

_JOIN_S = 3.0


class Sending(ABC):
    """A class made of it says how it sends.

    Args:
        name: kind and target, `cot udp://HOST:PORT`; begins each line.
        say: takes lines for the operator.
    """

    retry_s = 2.0
    "Between two tries of a target that is away."

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self._name, self._say = name, say
        self._told: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; nothing that is wrong with the target is raised here."""
        self._thread.start()

    def close(self) -> None:
        """Stop; a target that hangs is not waited for long."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    @abstractmethod
    def _run(self) -> None:
        """Send until `_stop` is set; in the thread."""

    def _tell(self, line: str) -> None:
        line = f"{self._name}: {line}"
        if line not in self._told:
            self._told.add(line)
            self._say(line)

    def _tell_failed(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error)
        self._tell(f"{reason}; tried again every {self.retry_s:g} s, the mission goes on")
