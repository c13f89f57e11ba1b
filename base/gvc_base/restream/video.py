"""The marked picture of one drone to one player, frame after frame, whatever the link does.

    StationView (never waited for) -> Canvas -> VideoOut (encoder, muxer, socket)

A thread of its own for each target, with a clock of its own: frames go out 15 times a second also while
nothing comes, and say so, because a player that gets nothing shows the last picture as if it were new.
What goes wrong here costs this target and nothing else: it is told once, and tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gvc_base.console.view import StationView
from gvc_base.restream.klv import local_set
from gvc_base.restream.mux import FPS, STREAM_ERRORS, VideoOut, write_sdp
from gvc_base.restream.picture import Canvas
from gvc_base.restream.sending import Sending
from gvc_base.restream.targets import VideoTarget
from gvc_base.restream.watch import Watched
from gvc_protocol.errors import UserError

__all__ = ["VideoRestream"]

_PLACE_S = 1.0


class VideoRestream(Sending):
    """Sends until `close`."""

    def __init__(
        self, view: StationView, target: VideoTarget, say: Callable[[str], None], *, sdp: Path,
        mission: str,
    ) -> None:  # fmt: skip
        """Args:
        say: takes lines for the operator. sdp: what a player of RTP opens; not written for others.
        mission: its name in the metadata.
        """
        super().__init__(f"restream {target}", say)
        self._target, self._sdp = target, sdp
        self._watch = Watched(view, target.drone_id)
        self._place = _Place(view, mission) if target.kind == "mpegts" else None
        self._canvas = Canvas()
        self._out: VideoOut | None = None
        self._retry_at = 0.0

    def _run(self) -> None:
        began, number = time.monotonic(), 0
        while not self._stop.wait(max(0.0, began + number / FPS - time.monotonic())):
            self._frame(number)
            # Where the machine cannot keep up, frames are left out; the clock goes on.
            number = max(number + 1, int((time.monotonic() - began) * FPS))
        if self._out is not None:
            self._out.close()

    def _frame(self, number: int) -> None:
        now = time.monotonic()
        if self._out is None and now < self._retry_at:
            return
        try:
            self._watch.look(now)
            klv = self._place.told(self._watch, now) if self._place is not None else b""
            self._send(self._draw(now), number, klv)
        except (*STREAM_ERRORS, UserError) as error:
            self._failed(error, now)

    def _draw(self, now: float) -> NDArray[np.uint8]:
        watch = self._watch
        return self._canvas.draw(
            None if watch.shown is None else watch.shown.frame, drone=watch.drone,
            label=watch.label, now_s=time.time(), silent_s=watch.silent_s(now),
        )  # fmt: skip

    def _send(self, image: NDArray[np.uint8], number: int, klv: bytes) -> None:
        height, width = image.shape[:2]
        if self._out is not None and self._out.size != (width, height):
            self._out.close()
            self._out = None
        if self._out is None:
            if self._target.kind == "rtp":
                write_sdp(self._target, self._sdp)
            self._out = VideoOut(self._target, width=width, height=height)
        self._out.write(image, number, klv)
        if self._watch.shown is not None:
            more = f"; players open {self._sdp}" if self._target.kind == "rtp" else ""
            self._tell(f"drone {self._watch.drone}, marks burned in{more}")

    def _failed(self, error: Exception, now: float) -> None:
        if self._out is not None:
            self._out.close()
        self._out, self._retry_at = None, now + self.retry_s
        self._tell_failed(error)


class _Place:
    """Where the camera was, once a second and only while pictures are new: an old place with a live
    picture's clock would move the map's footprint to where nothing was seen."""

    def __init__(self, view: StationView, mission: str) -> None:
        self._view, self._mission = view, mission
        self._told, self._due = 0, 0.0

    def told(self, watch: Watched, now: float) -> bytes:
        """A local set, or nothing."""
        if watch.new == self._told or now < self._due:
            return b""
        chart = self._view.map(watch.drone)
        if chart.camera is None:
            return b""
        self._told, self._due = watch.new, now + _PLACE_S
        corners = () if chart.footprint is None else chart.footprint.corners
        return local_set(chart.camera, corners, mission=self._mission, drone=watch.drone)
