"""Between receiver and decoder: what waits, what gives way, and who may use the processor now."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

from gvc_base.timeline import DecodeJob

__all__ = ["DecodeBudget", "DecodeQueue", "DropPolicy", "Later"]

Later = Callable[[], None]
"Work that is done when no unit waits."

_MOST_LATER = 16


class DropPolicy(Enum):
    """What gives way when units come faster than they are decoded."""

    OLDEST_AS_LOST = "oldest-as-lost"
    """The oldest waiting unit is shown as lost: the operator wants the newest picture, the timeline
    stays whole, and the archive still has the unit for `decode`."""


class DecodeQueue:
    """Bounded queue of decode jobs between the receiver and the decoder thread."""

    def __init__(self, limit: int, policy: DropPolicy = DropPolicy.OLDEST_AS_LOST) -> None:
        self.policy = policy
        self.dropped = 0
        self._limit = limit
        self._jobs: deque[DecodeJob] = deque()
        self._later: deque[Later] = deque(maxlen=_MOST_LATER)
        self._wanted = threading.Condition()
        self._closed = False

    def put(self, job: DecodeJob) -> None:
        """Add a job; over the limit the oldest real one turns into a lost one. Never blocks."""
        with self._wanted:
            self._jobs.append(job)
            waiting = [i for i, j in enumerate(self._jobs) if not j.empty]
            if len(waiting) > self._limit:
                self._jobs[waiting[0]] = self._jobs[waiting[0]].as_lost()
                self.dropped += 1
            self._wanted.notify()

    def put_later(self, work: Later) -> None:
        """Add work for an idle moment; of more than 16 the oldest is not done."""
        with self._wanted:
            self._later.append(work)
            self._wanted.notify()

    @property
    def waiting(self) -> int:
        """Units that wait."""
        return len(self._jobs)

    def close(self) -> None:
        """No more jobs; `get` gives what is left, then None."""
        with self._wanted:
            self._closed = True
            self._wanted.notify_all()

    def get(self) -> DecodeJob | Later | None:
        """The next job, waiting for it; None when closed and empty."""
        with self._wanted:
            while not self._jobs:
                if self._closed:
                    return None
                if self._later:
                    return self._later.popleft()
                self._wanted.wait()
            return self._jobs.popleft()


class DecodeBudget:
    """So many decoders compute at a time, one frame each turn, first come first served.

    More would not give more frames: they would only make each other late, and the receivers with them.
    Nobody waits longer than `patience_s`: a decoder that hangs stands in its own way only.
    """

    def __init__(self, slots: int, *, patience_s: float = 2.0) -> None:
        self._slots, self._patience_s = max(1, slots), patience_s
        self._busy = 0
        self._line: deque[object] = deque()
        self._free = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a slot and hold it."""
        me = object()
        with self._free:
            self._line.append(me)
            self._free.wait_for(
                lambda: self._line[0] is me and self._busy < self._slots, self._patience_s
            )
            self._line.remove(me)
            self._busy += 1
            self._free.notify_all()
        try:
            yield
        finally:
            with self._free:
                self._busy -= 1
                self._free.notify_all()
