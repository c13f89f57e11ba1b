"""Video files through PyAV, on a constant-rate timeline.

The first pass reads packet times only (no decoding) and makes the plan: which picture stands at which
frame number. So the number of frames is known, and told to the base, before the first one is sent, and
a file of variable rate keeps its duration.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from gvc_edge.sources.base import SourceInfo, even_size
from gvc_protocol.codec import SourceFrame
from gvc_protocol.errors import UserError

__all__ = ["FileSource"]

_MAX_FPS = 240


class FileSource:
    """One video file.

    Raises:
        UserError: the file is missing, empty, no video, or of a size that cannot be sent.
    """

    def __init__(
        self, path: Path, *, start_us: int, seconds: float | None, crop_even: bool
    ) -> None:
        self._path, self._start_us = path, start_us
        _check_path(path)
        with _open(path) as container:
            stream = container.streams.video[0]
            times = _picture_times(container, stream)
            fps = _frame_rate(stream, times)
            frame = _first_frame(path)
            size = even_size(path.name, frame.width, frame.height, crop_even=crop_even)
        self._times = times
        count = max(1, round((times[-1] - times[0]) * fps) + 1)
        if seconds is not None:
            count = min(count, max(1, round(seconds * fps)))
        self.info = SourceInfo(
            name=path.name, width=size[0], height=size[1], fps=fps, total_frames=count, live=False
        )

    def frames(self) -> Iterator[SourceFrame]:
        """See `FrameSource`. A file that breaks off in the middle repeats its last good picture."""
        info, number = self.info, 0
        last: NDArray[np.uint8] | None = None
        for pixels, time in self._pictures():
            # This picture stands until the next one's time: everything before it is the last one's.
            while last is not None and number < info.total_frames and self._time(number) < time:
                yield self._frame(number, last)
                number += 1
            last = pixels
            if number >= info.total_frames:
                return
        while last is not None and number < info.total_frames:
            yield self._frame(number, last)
            number += 1

    def close(self) -> None:
        """Nothing is held open between calls."""

    def _time(self, number: int) -> Fraction:
        # A hair after the frame's nominal time, so that rounded container times count as reached.
        return self._times[0] + (number + Fraction(1, 2)) / self.info.fps

    def _frame(self, number: int, pixels: NDArray[np.uint8]) -> SourceFrame:
        capture_us = self._start_us + round(number * 1_000_000 / self.info.fps)
        return SourceFrame(frame_no=number, capture_us=capture_us, pixels=pixels)

    def _pictures(self) -> Iterator[tuple[NDArray[np.uint8], Fraction]]:
        """Decoded pictures with their times, to the end or to the first place that cannot be read."""
        height, width = self.info.height, self.info.width
        with _open(self._path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            count = 0
            try:
                for frame in container.decode(stream):
                    time = self._times[min(count, len(self._times) - 1)]
                    count += 1
                    yield frame.to_ndarray(format="bgr24")[:height, :width], time
            except OSError:
                return


def _check_path(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"{path} is a folder; give a video file")
    try:
        if path.stat().st_size == 0:
            raise UserError(f"{path} is empty; give a video file")
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def _open(path: Path) -> Any:
    try:
        container = av.open(str(path))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is not a video that can be read ({_reason(error)}); it may be cut short or "
            "of another kind"
        ) from None
    if not container.streams.video:
        container.close()
        raise UserError(f"{path} has no video in it, only other streams; give a video file")
    return container


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)


def _picture_times(container: Any, stream: Any) -> list[Fraction]:
    """Presentation times in seconds of all pictures, rising."""
    times = []
    try:
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                times.append(packet.pts * stream.time_base)
    except OSError:
        pass  # what was read so far is what there is
    if not times:
        # No time stamps at all (raw streams): number the pictures at the nominal rate.
        fps = Fraction(stream.average_rate or stream.guessed_rate or 25)
        with _open(Path(container.name)) as again:
            try:
                times = [i / fps for i, _ in enumerate(again.decode(video=0))]
            except OSError:
                times = []
    if not times:
        raise UserError(f"{container.name} holds no picture that can be decoded")
    return sorted(times)


def _frame_rate(stream: Any, times: list[Fraction]) -> Fraction:
    """The rate of the timeline: the container's average, or what the times say."""
    rate = stream.average_rate or stream.guessed_rate
    if not rate and len(times) > 1 and times[-1] > times[0]:
        rate = (len(times) - 1) / (times[-1] - times[0])
    fps = Fraction(rate or 25).limit_denominator(1001)
    if not 0 < fps <= _MAX_FPS:
        raise UserError(
            f"{stream.container.name} has {float(fps):.0f} frames/s; at most {_MAX_FPS}"
        )
    return fps


def _first_frame(path: Path) -> Any:
    with _open(path) as container:
        try:
            for frame in container.decode(video=0):
                return frame
        except OSError as error:
            raise UserError(f"{path} cannot be decoded: {_reason(error)}") from None
    raise UserError(f"{path} holds no picture that can be decoded; it may be cut short")
