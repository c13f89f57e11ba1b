"""Cameras: V4L2 through OpenCV, RTSP through PyAV. Numbered by time: a dropped frame shows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.base import SourceInfo, even_size
from gvc_protocol.codec import SourceFrame
from gvc_protocol.errors import UserError

__all__ = ["RtspSource", "V4l2Source"]

_log = logging.getLogger(__name__)
_RTSP_TIMEOUT_S = 10.0
_RETRY_S = 1.0
_MAX_FPS = 120


class _LiveSource:
    """Common to cameras: a wall-clock stamp, and a number that says how many frame times have passed."""

    def __init__(self, name: str, width: int, height: int, fps: Fraction, *, seconds: float | None,
                 crop_even: bool) -> None:  # fmt: skip
        size = even_size(name, width, height, crop_even=crop_even)
        self.info = SourceInfo(
            name=name, width=size[0], height=size[1], fps=fps, total_frames=0, live=True
        )
        self._limit = None if seconds is None else max(1, round(seconds * fps))
        self._closed = False

    def frames(self) -> Iterator[SourceFrame]:
        """Frames as they come. A camera that stutters repeats a picture rather than shift the clock."""
        began, number = time.monotonic(), 0
        start_us = time.time_ns() // 1000
        for pixels in self._pictures():
            due = max(number + 1, int((time.monotonic() - began) * self.info.fps) + 1)
            # A stall is bridged by at most one second of repeats; a longer one is a new start of time.
            if due - number > self.info.fps:
                began = time.monotonic() - float(number / self.info.fps)
                due = number + 1
            while number < due:
                if self._closed or (self._limit is not None and number >= self._limit):
                    return
                at_us = start_us + round(number * 1_000_000 / self.info.fps)
                cut = pixels[: self.info.height, : self.info.width]
                yield SourceFrame(frame_no=number, capture_us=at_us, pixels=cut)
                number += 1

    def close(self) -> None:
        """End `frames` at the next picture."""
        self._closed = True

    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        raise AssertionError("a camera must say how it is read")


class V4l2Source(_LiveSource):
    """A local camera. Raises UserError when there is none or it gives no picture."""

    def __init__(self, device: str, *, seconds: float | None, crop_even: bool) -> None:
        import cv2  # here: files and synthetic scenes need no camera stack

        if not Path(device).exists():
            raise UserError(f"no such camera: {device}; see `ls /dev/video*`")
        self._camera = cv2.VideoCapture(device, cv2.CAP_V4L2)
        done, first = self._camera.read() if self._camera.isOpened() else (False, None)
        if not done or first is None:
            self._camera.release()
            raise UserError(f"{device} gives no picture; is it a camera, and free?")
        rate = self._camera.get(cv2.CAP_PROP_FPS)
        fps = Fraction(rate).limit_denominator(1001) if 0 < rate <= _MAX_FPS else Fraction(30)
        height, width = first.shape[:2]
        super().__init__(device, width, height, fps, seconds=seconds, crop_even=crop_even)

    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        while not self._closed:
            done, frame = self._camera.read()
            if not done:
                _log.warning("camera %s gives no picture", self.info.name)
                return
            yield np.asarray(frame, np.uint8)

    def close(self) -> None:
        """Give the camera back."""
        super().close()
        self._camera.release()


class RtspSource(_LiveSource):
    """A network camera over RTSP/TCP; connects again by itself after a drop."""

    def __init__(
        self, url: str, *, seconds: float | None, crop_even: bool,
        on_drop: Callable[[str], None] = _log.warning,
    ) -> None:  # fmt: skip
        """Args:
        on_drop: gets one line when the camera goes away and one when it is back.
        """
        self._url, self._on_drop = url, on_drop
        try:
            with self._connect() as container:
                stream = container.streams.video[0]
                frame = next(iter(container.decode(stream)))
                rate = stream.average_rate or stream.guessed_rate or 25
        except (OSError, ValueError, IndexError, StopIteration) as error:
            reason = getattr(error, "strerror", None) or str(error) or "no picture"
            raise UserError(
                f"cannot read {url}: {reason}; check address, login and network"
            ) from None
        fps = min(Fraction(rate).limit_denominator(1001), Fraction(_MAX_FPS))
        super().__init__(url, frame.width, frame.height, fps, seconds=seconds, crop_even=crop_even)

    def _connect(self) -> Any:
        options = {"rtsp_transport": "tcp"} if self._url.startswith("rtsp") else {}
        return av.open(self._url, options=options, timeout=_RTSP_TIMEOUT_S)

    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        away = False
        while not self._closed:
            try:
                with self._connect() as container:
                    for frame in container.decode(video=0):
                        if away:
                            self._on_drop(f"camera {self._url} is back")
                            away = False
                        if frame.width < self.info.width or frame.height < self.info.height:
                            continue  # the camera was set to another size; the stream keeps its own
                        yield frame.to_ndarray(format="bgr24")
            except (OSError, ValueError):
                pass
            if not away and not self._closed:
                self._on_drop(f"camera {self._url} is away; trying again every second")
                away = True
            time.sleep(_RETRY_S)
