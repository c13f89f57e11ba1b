"""The picture of a replay: the live base's pacing, on recorded time."""

from __future__ import annotations

import time
from collections.abc import Callable

from gvc_base.console.view import Shown
from gvc_base.replay.clock import ReplayClock
from gvc_base.station.playout import Playout, Scene
from gvc_protocol.params import MS, SECOND

__all__ = ["ReplayScreen"]

_LONGEST_WAIT_S = 30.0
_PAUSED_WAIT_S = 0.5
_BEGIN_NS = 100 * MS
"A unit is shown this long after it came, at the latest: so far a seek looks ahead for its picture."


class ReplayScreen:
    """`Playout` on a clock that can be stopped and moved. Thread-safe; its lock is the clock's."""

    def __init__(
        self, clock: ReplayClock, finish: Callable[[Scene], Scene] = lambda scene: scene
    ) -> None:
        self._clock, self._finish = clock, finish
        self._play = Playout(finish)
        self._before = 0
        self._last: Shown | None = None
        self._ready_ns = 0
        self._sought = False

    def begin(self) -> None:
        """Recorded time was moved: the old picture stays until the first new one."""
        with self._clock.changed:
            self._before += self._play.serial + 1
            self._play, self._ready_ns, self._sought = Playout(self._finish), 0, True

    def clear(self) -> None:
        """There is no picture at this moment."""
        with self._clock.changed:
            self._last = None

    def put(self, scene: Scene, closed_ns: int) -> None:
        """A frame of a unit that was closed at `closed_ns`."""
        with self._clock.changed:
            self._play.put(scene, closed_ns)
            self._clock.changed.notify_all()

    def ready(self, time_ns: int) -> None:
        """All that was recorded up to here is decoded, or passed over: nothing is shown as lost beyond
        it just because the decoder is behind."""
        with self._clock.changed:
            self._ready_ns = max(self._ready_ns, time_ns)
            self._clock.changed.notify_all()

    def refresh(self) -> None:
        """Something came that belongs into the picture on the screen."""
        with self._clock.changed:
            self._play.refresh(self._clock.now())
            self._clock.changed.notify_all()

    def shown(self, *, after: int = -1, wait_s: float = 0.0) -> Shown | None:
        """The newest picture with a serial above `after`, waiting for it; None when none came."""
        end = time.monotonic() + min(wait_s, _LONGEST_WAIT_S)
        with self._clock.changed:
            while True:
                self._advance()
                if self._last is not None and self._last.serial > after:
                    return self._last
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self._clock.changed.wait(min(left, self._due_s()))

    def scene(self) -> Scene | None:
        """What is on the screen now; None while a new place is looked for."""
        with self._clock.changed:
            self._advance()
            return self._play.scene

    def recent(self) -> tuple[Scene, ...]:
        """See `Playout.recent`."""
        with self._clock.changed:
            return self._play.recent

    @property
    def waiting_since(self) -> bool:
        """Whether a new place was sought and its picture is not there yet."""
        with self._clock.changed:
            return self._sought

    def _advance(self) -> None:
        now = self._clock.now()
        # Twice: what is over is shown first, and then as held.
        for _ in range(2):
            self._play.advance(min(now, self._ready_ns))
        if self._play.scene is None and self._sought:
            self._play.advance(min(now, self._ready_ns) + _BEGIN_NS)
        if self._play.scene is None:
            return
        self._sought = False
        serial = self._before + self._play.serial
        if self._last is None or self._last.serial != serial:
            scene = self._play.scene
            self._last = Shown(
                frame=scene.frame, serial=serial, boot_id=scene.boot_id,
                shown_ns=self._play.shown_ns, boxes=scene.boxes,
            )  # fmt: skip

    def _due_s(self) -> float:
        now, rate = self._clock.now(), self._clock.rate
        due = self._play.next_change(now)
        if due is None or not rate:
            return _PAUSED_WAIT_S
        return min(_PAUSED_WAIT_S, max(0.002, (due - now) / SECOND / rate))
