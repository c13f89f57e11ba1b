"""What the screen shows, collected: the newest look, rates over a while, what was said and asked.

Mission threads write, one reader draws; a lock guards the lists. `view` is a plain copy.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gvc_edge.field.health import Machine, free_bytes, machine
from gvc_edge.field.verdict import Verdict, judge
from gvc_edge.status import MissionFacts, MissionStatus
from gvc_protocol.reports import Report

__all__ = ["Board", "Said", "View"]

_RATE_OVER_S = 10.0
_BUSY_OVER_S = 5.0
_MACHINE_EVERY_S = 5.0
_LINES = 100
_LEAST_PACKETS = 8
"Fewer say nothing of the loss."


@dataclass(frozen=True, slots=True)
class Said:
    """A line with its time of day, UTC."""

    clock: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything for one picture of the screen."""

    facts: MissionFacts
    look: MissionStatus | None
    verdict: Verdict
    now: float
    clock: str
    running_s: float
    sent_bps: float
    loss: float | None
    busy: float | None
    "Share of the time that the encoder worked lately; None while nobody can say."
    machine: Machine
    free_bytes: int | None
    asked: tuple[Said, ...] = ()
    heard: tuple[Said, ...] = ()
    "Texts of the base."
    told: tuple[tuple[Said, bool], ...] = ()
    "Our texts, and whether the base has acknowledged each."
    log: tuple[Said, ...] = ()


class Board:
    """Where mission and screen meet."""

    def __init__(
        self, state: Path, *, clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time, root: Path = Path("/"),
    ) -> None:  # fmt: skip
        self._clock, self._wall, self._root, self._state = clock, wall, root, state
        self._lock = threading.Lock()
        self._began = clock()
        self._facts = MissionFacts()
        self._look: MissionStatus | None = None
        self._sent: deque[tuple[float, int]] = deque()
        self._idle: deque[tuple[float, float]] = deque()
        self._dropped_at: float | None = None
        self._loss: float | None = None
        self._counted: Report | None = None
        self._waiting: dict[str, str] = {}
        self._log: deque[Said] = deque(maxlen=_LINES)
        self._asked: deque[Said] = deque(maxlen=8)
        self._heard: deque[Said] = deque(maxlen=8)
        self._told: deque[Said] = deque(maxlen=8)
        self._delivered: deque[str] = deque(maxlen=8)
        self._machine, self._free = machine(root), _free(state)
        self._machine_at = self._began

    def facts(self, facts: MissionFacts) -> None:
        """The mission is made; from here it is timed."""
        with self._lock:
            self._facts, self._began = facts, self._clock()

    def say(self, line: str) -> None:
        """A line for the log."""
        with self._lock:
            self._log.append(Said(self._time(), line))

    def waiting(self, what: str, why: str) -> None:
        """`camera` or `radio` is waited for; empty `why`: it is there."""
        with self._lock:
            self._waiting[what] = why

    def note(self, kind: str, text: str) -> None:
        """See `Watcher.note`."""
        with self._lock:
            if kind == "asked":
                self._asked.append(Said(self._time(), text))
            elif kind == "message":
                self._heard.append(Said(self._time(), text))
            elif kind == "said":
                self._told.append(Said(self._time(), text))
            elif kind == "delivered":
                self._delivered.append(text)

    def tick(self, look: MissionStatus) -> None:
        """The newest look."""
        with self._lock:
            before, self._look = self._look, look
            self._sent.append((look.at, look.air_bytes))
            self._idle.append((look.at, look.idle_s))
            # An encoder works most when a unit ends: two of them tell more than ten seconds.
            over_s = max(_RATE_OVER_S, 2 * self._facts.unit_s)
            while len(self._idle) > 2 and look.at - self._idle[1][0] >= over_s:
                self._idle.popleft()
            while len(self._sent) > 2 and look.at - self._sent[1][0] >= _RATE_OVER_S:
                self._sent.popleft()
            if look.dropped > (before.dropped if before else 0):
                self._dropped_at = look.at
            if look.report is not None and look.report is not self._counted:
                self._count(look.report)

    def view(self) -> View:
        """A copy for the screen."""
        now = self._clock()
        if now - self._machine_at >= _MACHINE_EVERY_S:  # outside the lock: sysfs may take its time
            self._machine_at, self._machine = now, machine(self._root)
            self._free = _free(self._state)
        with self._lock:
            verdict = judge(
                self._facts, self._look, now=now, began=self._began, loss=self._loss,
                busy=self._busy(), dropped_at=self._dropped_at, waiting=self._waiting,
                machine=self._machine,
                free_bytes=self._free,
            )  # fmt: skip
            return View(
                facts=self._facts, look=self._look, verdict=verdict, now=now, clock=self._time(),
                running_s=now - self._began, sent_bps=self._sent_bps(), loss=self._loss,
                busy=self._busy(), machine=self._machine, free_bytes=self._free,
                asked=tuple(self._asked), heard=tuple(self._heard), log=tuple(self._log),
                told=tuple((said, said.text in self._delivered) for said in self._told),
            )  # fmt: skip

    def _count(self, report: Report) -> None:
        """Loss since the last report that told of enough packets. Counters are 16 bits wide."""
        if self._counted is None:
            self._counted = report
            got, lost = report.received, report.lost
        else:
            got = (report.received - self._counted.received) & 0xFFFF
            lost = (report.lost - self._counted.lost) & 0xFFFF
        if got + lost >= _LEAST_PACKETS:
            self._loss, self._counted = lost / (got + lost), report

    def _sent_bps(self) -> float:
        if len(self._sent) < 2:
            return 0.0
        (t0, a0), (t1, a1) = self._sent[0], self._sent[-1]
        return 8 * (a1 - a0) / max(t1 - t0, 1e-9)

    def _busy(self) -> float | None:
        if self._look is None or not self._look.frames:
            return None
        (t0, idle0), (t1, idle1) = self._idle[0], self._idle[-1]
        if t1 - t0 < _BUSY_OVER_S:
            return None
        return min(1.0, max(0.0, 1 - (idle1 - idle0) / (t1 - t0)))

    def _time(self) -> str:
        return f"{datetime.fromtimestamp(self._wall(), UTC):%H:%M:%S}"


def _free(folder: Path) -> int | None:
    try:
        return free_bytes(folder)
    except OSError:
        return None
