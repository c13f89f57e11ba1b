"""The picture on the screen, for any number of readers that wait for the next one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from gvc_base.console.view import Shown
from gvc_base.station.playout import Playout, Scene
from gvc_protocol.params import SECOND

__all__ = ["Screen"]

_LONGEST_WAIT_S = 30.0


class Screen:
    """`Playout` with a lock and a clock."""

    def __init__(
        self, now: Callable[[], int], finish: Callable[[Scene], Scene] = lambda scene: scene
    ) -> None:
        self._now = now
        self._changed = threading.Condition()
        self._play = Playout(finish)

    def put(self, scene: Scene) -> None:
        """A frame was decoded."""
        with self._changed:
            self._play.put(scene, self._now())
            self._changed.notify_all()

    def refresh(self) -> None:
        """Something came that belongs into the picture on the screen."""
        with self._changed:
            self._play.refresh(self._now())
            self._changed.notify_all()

    def shown(self, *, after: int = -1, wait_s: float = 0.0) -> Shown | None:
        """The newest picture with a serial above `after`, waiting for it; None when none came."""
        end = time.monotonic() + min(wait_s, _LONGEST_WAIT_S)
        with self._changed:
            while True:
                now = self._now()
                if self._play.advance(now):
                    self._changed.notify_all()
                if self._play.scene is not None and self._play.serial > after:
                    return self._as_shown(self._play.scene)
                left = end - time.monotonic()
                if left <= 0:
                    return None
                due = self._play.next_change(now)
                if due is not None:
                    left = min(left, max(0.0, (due - now) / SECOND))
                self._changed.wait(left)

    def scene(self) -> Scene | None:
        """What is on the screen now."""
        with self._changed:
            self._play.advance(self._now())
            return self._play.scene

    def recent(self) -> tuple[Scene, ...]:
        """See `Playout.recent`."""
        with self._changed:
            return self._play.recent

    def timing(self) -> dict[str, float]:
        """Milliseconds: the delay that pacing adds now, and how late the last picture was; frames that
        were stepped over."""
        with self._changed:
            return {
                "delay_ms": self._play.delay_ns / 1e6, "waited_ms": self._play.waited_ns / 1e6,
                "skipped": float(self._play.skipped),
            }  # fmt: skip

    def _as_shown(self, scene: Scene) -> Shown:
        return Shown(
            frame=scene.frame, serial=self._play.serial, boot_id=scene.boot_id,
            shown_ns=self._play.shown_ns, boxes=scene.boxes,
        )  # fmt: skip
