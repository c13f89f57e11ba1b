"""When each decoded picture is shown: at the source's own pace, as soon as that is steady.

A unit comes all at once and its frames are decoded in a burst. A person wants them as they were taken:
frame n is due at `anchor + n / fps`. The anchor is where the latest unit of the last half minute was in
time, so what is added is the jitter of the link and no more. A late unit pushes it back at once, up to a
limit; afterwards it creeps forward by 5 %, which nobody sees. Frames that are over when they come are
stepped over. When nothing comes the last picture stays, all of it marked lost, its age growing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from gvc_base.p_wrong import p_wrong_from_marks
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.descriptors import Telemetry
from gvc_protocol.marks import AGE_UNKNOWN_MS, Mark
from gvc_protocol.params import MS, SECOND

__all__ = ["HELD_AFTER_NS", "Playout", "Scene", "held"]

HELD_AFTER_NS = SECOND
"A picture that stands longer than this beyond its time is shown as held."
_HELD_EVERY_NS = SECOND // 2
_WINDOW_NS = 30 * SECOND
_MARGIN_NS = 40 * MS
_CREEP = 0.05
_MOST_DELAY_NS = 6 * SECOND
"What a late unit may add to the delay; beyond it frames are stepped over instead."
_MOST_RECENT = 8
_MOST_WAITING = 240
_MOST_BYTES = 128 << 20
"Frames that wait to be shown; beyond it the oldest are stepped over."


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A decoded frame and what belongs to it."""

    frame: DecodedFrame
    boot_id: int
    fps: Fraction
    offset: int
    "Frames since the unit's first."
    capture_us: int = 0
    "Unix time of the exposure by the edge's clock; 0 unknown."
    empty: bool = False
    "Nothing of its unit arrived."
    boxes: tuple[dict[str, Any], ...] = ()
    telemetry: Telemetry | None = None
    "Of its unit, where that told."


class Playout:
    """Sans-IO, not thread-safe: the caller has the lock and the clock (nanoseconds)."""

    def __init__(self, finish: Callable[[Scene], Scene] = lambda scene: scene) -> None:
        """`finish` is applied to a scene when it is shown: what came of its place meanwhile."""
        self._finish = finish
        self._waiting: deque[Scene] = deque()
        self._boot: tuple[int, Fraction, tuple[int, ...]] | None = None
        self._anchor: int | None = None
        self._period = 1
        # (time, how much later than frame 0 the unit's latest frame was there), one entry a unit
        self._offsets: deque[tuple[int, int, int]] = deque()
        self._shown: Scene | None = None
        self._due_ns = 0
        self._held_ns = 0
        self._recent: deque[Scene] = deque(maxlen=_MOST_RECENT)
        self.scene: Scene | None = None
        "What is on the screen."
        self.serial = -1
        self.shown_ns = 0
        self.waited_ns = 0
        "From its due time to `advance`, of the picture on the screen."
        self.skipped = 0
        "Frames that were over before they could be shown."

    @property
    def delay_ns(self) -> int:
        """How much later pictures are shown than the earliest of the last half minute could be."""
        if self._anchor is None or not self._offsets:
            return 0
        return self._anchor - min(offset for _, _, offset in self._offsets)

    def put(self, scene: Scene, now: int) -> None:
        """A frame was decoded."""
        start = (scene.boot_id, scene.fps, scene.frame.pixels.shape)
        if self._boot != start:
            self._boot, self._anchor = start, None
            self._waiting.clear()
            self._offsets.clear()
            self._period = int(SECOND / scene.fps)
        offset = now - scene.frame.frame_no * self._period
        if self._anchor is None:
            self._anchor = offset + _MARGIN_NS
        if not scene.empty:
            self._steady(scene.frame.unit_no, offset, now)
        self._waiting.append(scene)
        if scene.offset % max(1, round(scene.fps)) < 2:
            self._recent.append(scene)
        self.advance(now)
        size = scene.frame.pixels.nbytes
        while len(self._waiting) > min(_MOST_WAITING, max(1, _MOST_BYTES // size)):
            self._waiting.popleft()
            self.skipped += 1

    def _steady(self, unit_no: int, offset: int, now: int) -> None:
        assert self._anchor is not None
        since = now
        if self._offsets:
            since = self._offsets[-1][0]
        if self._offsets and self._offsets[-1][1] == unit_no:
            offset = max(offset, self._offsets[-1][2])
            self._offsets.pop()
        self._offsets.append((now, unit_no, offset))
        while self._offsets[0][0] < now - _WINDOW_NS:
            self._offsets.popleft()
        least = min(o for _, _, o in self._offsets)
        wanted = min(max(o for _, _, o in self._offsets), least + _MOST_DELAY_NS) + _MARGIN_NS
        if wanted > self._anchor:
            self._anchor = wanted
        else:
            self._anchor -= min(self._anchor - wanted, int((now - since) * _CREEP))

    def advance(self, now: int) -> bool:
        """Show what is due; whether the picture on the screen changed."""
        newest: Scene | None = None
        while self._waiting and self._due(self._waiting[0]) <= now:
            self.skipped += newest is not None
            newest = self._waiting.popleft()
        if newest is not None:
            self._due_ns = self._due(newest)
            self.waited_ns = now - self._due_ns
            self._shown, self._held_ns = newest, 0
            self._show(self._finish(newest), now)
            return True
        return self._hold(now)

    def refresh(self, now: int) -> None:
        """Something came that belongs into the picture on the screen."""
        if self._shown is not None and not self._held_ns:
            self._show(self._finish(self._shown), now)

    @property
    def recent(self) -> tuple[Scene, ...]:
        """Some of the last pictures: of the moments that an edge keeps, the first of a unit and about
        one a second."""
        return tuple(self._recent)

    def next_change(self, now: int) -> int | None:
        """When `advance` has something to do; None while there is no picture at all."""
        if self._waiting:
            return self._due(self._waiting[0])
        if self._shown is None:
            return None
        return max(self._due_ns + HELD_AFTER_NS, self._held_ns + _HELD_EVERY_NS)

    def _due(self, scene: Scene) -> int:
        assert self._anchor is not None
        return self._anchor + scene.frame.frame_no * self._period

    def _hold(self, now: int) -> bool:
        if self._shown is None or now < max(
            self._due_ns + HELD_AFTER_NS, self._held_ns + _HELD_EVERY_NS
        ):
            return False
        self._held_ns = now
        self._show(held(self._shown, (now - self._due_ns) // MS), now)
        return True

    def _show(self, scene: Scene, now: int) -> None:
        self.scene, self.shown_ns = scene, now
        self.serial += 1


def held(scene: Scene, for_ms: int) -> Scene:
    """The same picture `for_ms` later: nothing of that moment arrived, and the age says since when."""
    frame = scene.frame
    mark = np.full_like(frame.mark, Mark.LOST)
    age = np.minimum(frame.age_ms.astype(np.int64) + for_ms, AGE_UNKNOWN_MS).astype(np.uint16)
    # What the sender said of the picture was of its own moment; alarms stay, they call for a look.
    shown = replace(frame, mark=mark, age_ms=age, p_wrong=p_wrong_from_marks(mark, age), truth=None)
    return replace(scene, frame=shown, boxes=())
