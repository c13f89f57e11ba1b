"""Cameras: V4L2 through OpenCV, RTSP through PyAV, stamped with wall-clock time, back after a drop.

session of pictures -> clock (repeat or drop to the constant rate) -> SourceFrame
      ^ drop: one line to `on_drop`, a new session every second until `close`
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from gvc_edge.address import without_login
from gvc_edge.sources.base import SourceInfo, check_seconds, even_size
from gvc_protocol.codec import SourceFrame
from gvc_protocol.errors import AwayError, UserError

__all__ = ["RtspSource", "V4l2Source"]

_log = logging.getLogger(__name__)
_OPEN_TIMEOUT_S, _READ_TIMEOUT_S = 10.0, 5.0
_RETRY_S = 1.0
_MAX_FPS = 120
_AHEAD_S, _STALL_S = 0.25, 1.0

Image = NDArray[np.uint8]


class _LiveSource:
    """Common to cameras: the clock, and going on after a drop."""

    info: SourceInfo

    def __init__(self, seconds: float | None, on_drop: Callable[[str], None]) -> None:
        check_seconds(seconds)
        self._seconds, self._on_drop = seconds, on_drop
        self._closed = threading.Event()
        self.away = False

    def _describe(self, name: str, size: tuple[int, int], fps: Fraction, crop_even: bool) -> None:
        width, height = even_size(name, *size, crop_even=crop_even)
        self._full = size
        self.info = SourceInfo(
            name=name, width=width, height=height, fps=fps, total_frames=0, live=True
        )

    def frames(self) -> Iterator[SourceFrame]:
        """Frames as they come, stamped with wall-clock time; `frame_no` runs on without gaps.

        A stutter repeats a picture and a burst drops some, so that numbers keep pace with the clock.
        After a stall of more than a second the numbers go on and the stamps jump to the true time.
        """
        fps, number = self.info.fps, 0
        limit = None if self._seconds is None else max(1, round(self._seconds * fps))
        anchor, anchor_us, anchor_no = time.monotonic(), time.time_ns() // 1000, 0
        for pixels in self._pictures():
            elapsed = time.monotonic() - anchor
            due = anchor_no + int(elapsed * fps) + 1
            if number - due > _AHEAD_S * fps:
                continue
            if due - number > _STALL_S * fps:
                anchor, anchor_us, anchor_no = time.monotonic(), time.time_ns() // 1000, number
                due = number + 1
            cut = np.ascontiguousarray(pixels[: self.info.height, : self.info.width])
            for _ in range(max(1, due - number)):
                if self._closed.is_set() or (limit is not None and number >= limit):
                    return
                at_us = anchor_us + round((number - anchor_no) * 1_000_000 / fps)
                yield SourceFrame(frame_no=number, capture_us=at_us, pixels=cut)
                number += 1
            if limit is not None and number >= limit:
                return

    def close(self) -> None:
        """End `frames`: at the next picture, or at once while the camera is away."""
        self._closed.set()

    def _session(self) -> Iterator[Image]:
        """Pictures of one connection; ends or raises OSError or FFmpegError when it drops."""
        raise AssertionError("a camera must say how it is read")

    def _pictures(self) -> Iterator[Image]:
        while not self._closed.is_set():
            try:
                for pixels in self._session():
                    if self._closed.is_set():
                        return
                    if (pixels.shape[1], pixels.shape[0]) != self._full:
                        continue  # the camera was set to another size; the stream keeps its own
                    if self.away:
                        self.away = False
                        self._on_drop(f"camera {self.info.name} is back")
                    yield pixels
            except (OSError, FFmpegError, ValueError, IndexError):
                pass  # told below, in one line
            if not self.away and not self._closed.is_set():
                self.away = True
                self._on_drop(
                    f"camera {self.info.name} gives no picture; trying again every {_RETRY_S:.0f} s"
                )
            self._closed.wait(_RETRY_S)


class V4l2Source(_LiveSource):
    """A local camera. Raises AwayError when there is none or it gives no picture."""

    def __init__(
        self, device: str, *, seconds: float | None, crop_even: bool,
        on_drop: Callable[[str], None] = _log.warning,
    ) -> None:  # fmt: skip
        super().__init__(seconds, on_drop)
        if not Path(device).exists():
            raise AwayError(f"no such camera: {device or '(none)'}; see `ls /dev/video*`")
        if not Path(device).is_char_device():
            raise UserError(f"{device} gives no picture: it is not a camera; see `ls /dev/video*`")
        self._device, self._lock = device, threading.Lock()
        self._camera: Any = _open_camera(device)
        done, first = self._camera.read()
        if not done or first is None:
            self._camera.release()
            raise AwayError(f"{device} gives no picture; is it a camera, and free?")
        rate = self._camera.get(_cv2().CAP_PROP_FPS)
        fps = Fraction(rate).limit_denominator(1001) if 1 <= rate <= _MAX_FPS else Fraction(30)
        try:
            self._describe(device, (first.shape[1], first.shape[0]), fps, crop_even)
        except UserError:
            self._camera.release()
            raise

    def _session(self) -> Iterator[Image]:
        if not self._camera.isOpened():
            self._camera = _open_camera(self._device)
        while not self._closed.is_set():
            with self._lock:
                done, frame = self._camera.read()
                if not done:
                    self._camera.release()
                    return
            yield np.asarray(frame, np.uint8)

    def close(self) -> None:
        """End `frames` and give the camera back."""
        super().close()
        # Released under a read in another thread, the driver's buffers go away beneath it.
        with self._lock:
            self._camera.release()


class RtspSource(_LiveSource):
    """A network camera over RTSP/TCP. Raises AwayError when it cannot be reached."""

    def __init__(
        self, url: str, *, seconds: float | None, crop_even: bool,
        on_drop: Callable[[str], None] = _log.warning,
    ) -> None:  # fmt: skip
        """Args:
        on_drop: gets one line when the camera goes away and one when it is back.
        """
        super().__init__(seconds, on_drop)
        self._url, shown = url, without_login(url)
        try:
            with self._connect() as container:
                stream = container.streams.video[0]
                frame = next(iter(container.decode(stream)))
                rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        except (OSError, FFmpegError, ValueError, IndexError, StopIteration) as error:
            reason = getattr(error, "strerror", None) or "no picture"
            raise AwayError(
                f"cannot read {shown}: {reason}; check address, login and network"
            ) from None
        fps = rate.limit_denominator(1001) if 1 <= rate <= _MAX_FPS else Fraction(25)
        self._describe(shown, (frame.width, frame.height), fps, crop_even)

    def _connect(self) -> Any:
        options = {"rtsp_transport": "tcp"}
        return av.open(self._url, options=options, timeout=(_OPEN_TIMEOUT_S, _READ_TIMEOUT_S))

    def _session(self) -> Iterator[Image]:
        with self._connect() as container:
            for frame in container.decode(container.streams.video[0]):
                yield frame.to_ndarray(format="bgr24")


def _cv2() -> Any:
    # Here and not above: files and synthetic scenes need no camera stack.
    import cv2

    return cv2


def _open_camera(device: str) -> Any:
    cv2 = _cv2()
    logging_api = cv2.utils.logging
    level = logging_api.getLogLevel()
    # OpenCV prints its own warnings; the operator gets our one line instead.
    logging_api.setLogLevel(logging_api.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(device, cv2.CAP_V4L2)
    finally:
        logging_api.setLogLevel(level)
