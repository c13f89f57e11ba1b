"""Video files through PyAV, on a constant-rate timeline.

    packets (times only) -> plan: first and last picture, rate, count -> pictures at their frame numbers

The plan is made before the first frame is sent, so the base is told the true number of frames. Packet
times cost no decoding; the last group of pictures is decoded as well, because a file that was cut short
has packets that hold nothing. Where that look at the end fails, the file is decoded once to count it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from gvc_edge.sources.base import SourceInfo, check_seconds, even_size
from gvc_edge.sources.thermal import SlowGain
from gvc_protocol.codec import SourceFrame
from gvc_protocol.errors import UserError

__all__ = ["FileSource"]

_MAX_FPS = 240
_DEFAULT_FPS = Fraction(25)
# Demuxers that make "video" out of text, or open other addresses that a text file names.
_NO_VIDEO_FORMATS = {"tty", "hls", "dash", "concat", "sdp"}
# AVI stores no presentation times: with B pictures, what the demuxer calls one is the coding order.
_UNTIMED_FORMATS = {"avi"}
_ATTACHED_PIC = 0x400  # a music file's cover

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Plan:
    """Times in seconds of the first and the last picture that decode; how many stand between."""

    first: Fraction
    last: Fraction
    pictures: int


class FileSource:
    """One video file.

    Raises:
        UserError: the file is missing, empty, no video, or of a size that cannot be sent.
    """

    def __init__(
        self, path: Path, *, start_us: int, seconds: float | None, crop_even: bool
    ) -> None:
        check_seconds(seconds)
        _check_path(path)
        self._path, self._start_us, self._closed = path, start_us, False
        self._nominal = _nominal_rate(path)
        plan, opening = _make_plan(path, self._nominal)
        self._t0, bits = plan.first, _grey_bits(opening)
        height, width = _to_bgr(opening).shape[:2]
        size = even_size(path.name, width, height, crop_even=crop_even)
        fps = _frame_rate(path, plan)
        count = round((plan.last - plan.first) * fps) + 1
        if seconds is not None:
            count = min(count, max(1, round(seconds * fps)))
        self._full, self._bits = (width, height), bits
        self._gain = SlowGain(float(fps), bits) if bits else None
        self.info = SourceInfo(
            name=path.name, width=size[0], height=size[1], fps=fps, total_frames=count, live=False,
            mono=bits > 0,
        )  # fmt: skip

    def frames(self) -> Iterator[SourceFrame]:
        """See `FrameSource`. A place that cannot be decoded repeats the picture before it."""
        total, number = self.info.total_frames, 0
        held: Image | None = None
        if self._bits:
            self._gain = SlowGain(float(self.info.fps), self._bits)
        for pixels, time in _pictures(self._path, self._nominal):
            # The held picture stands until this one's time comes.
            while held is not None and number < total and self._due(number) < time:
                if self._closed:
                    return
                yield self._frame(number, held)
                number += 1
            if number >= total or self._closed:
                return
            held = self._fit(pixels)
        while held is not None and number < total and not self._closed:
            yield self._frame(number, held)
            number += 1

    def close(self) -> None:
        """End `frames` at the next picture."""
        self._closed = True

    def thermal_range(self) -> tuple[int, int] | None:
        """See `ThermalRange`."""
        return None if self._gain is None else self._gain.range

    def thermal_knee(self) -> int | None:
        """See `ThermalRange`."""
        return None if self._gain is None else self._gain.knee

    def _due(self, number: int) -> Fraction:
        # Half a frame late, so that times which a container rounded to milliseconds still count.
        return self._t0 + (number + Fraction(1, 2)) / self.info.fps

    def _frame(self, number: int, pixels: Image) -> SourceFrame:
        capture_us = self._start_us + round(number * 1_000_000 / self.info.fps)
        return SourceFrame(frame_no=number, capture_us=capture_us, pixels=pixels)

    def _fit(self, picture: Any) -> Image:
        """One size for the whole stream: a camera that changed its size in flight is scaled back."""
        if self._gain is not None and _grey_bits(picture) == self._bits:
            pixels = _turned(picture, self._gain.map(_counts(picture)))
        else:
            pixels = _to_bgr(picture)
        if (pixels.shape[1], pixels.shape[0]) != self._full:
            width, height = self._full
            pixels = np.asarray(
                av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "bgr24")
                .reformat(width=width, height=height)
                .to_ndarray(),
                np.uint8,
            )
        return np.ascontiguousarray(pixels[: self.info.height, : self.info.width])


def _to_bgr(picture: Any) -> Image:
    """uint8[H, W, 3] BGR of a decoded picture, turned the way that its metadata says."""
    return _turned(picture, picture.to_ndarray(format="bgr24"))


def _turned(picture: Any, pixels: Image) -> Image:
    return np.asarray(np.rot90(pixels, round(picture.rotation / 90) % 4), np.uint8)


def _grey_bits(picture: Any) -> int:
    """Bits of a count where the picture has one channel (a thermal camera's), else 0."""
    return int(picture.format.components[0].bits) if picture.format.name.startswith("gray") else 0


def _counts(picture: Any) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """uint8 or uint16[H, W]: what the sensor gave, in this machine's byte order."""
    raw = picture.to_ndarray()
    if raw.itemsize == 1:
        return np.asarray(raw, np.uint8)
    return np.asarray(raw, np.uint16)


def _check_path(path: Path) -> None:
    try:
        if path.is_dir():
            raise UserError(f"{path} is a folder; give a video file")
        if not path.exists():
            raise UserError(f"no such file: {path}; check the path")
        if not path.is_file():
            raise UserError(f"{path} is no regular file; give a video file, or v4l2:{path}")
        with path.open("rb") as file:
            if not file.read(1):
                raise UserError(f"{path} is empty; give a video file")
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {_reason(error)}; check name and rights") from None


def _open(path: Path) -> tuple[Any, Any]:
    """An open container and its video stream. Raises UserError."""
    try:
        # With the prefix, a colon in a name cannot be taken for a network address.
        container = av.open(f"file:{path}")
    except (FFmpegError, OSError, ValueError) as error:
        if _is_mp4(path):
            raise UserError(
                f"{path} is an MP4 without a readable index (moov): the recording was cut short; "
                "repair it, or record to MKV, which survives a cut"
            ) from None
        raise UserError(
            f"{path} is not a video that can be read ({_reason(error)}); give another file"
        ) from None
    if set(container.format.name.split(",")) & _NO_VIDEO_FORMATS:
        container.close()
        raise UserError(f"{path} is not a video (text or a playlist); give a video file")
    for stream in container.streams.video:
        if not int(stream.disposition) & _ATTACHED_PIC:
            return container, stream
    container.close()
    raise UserError(f"{path} has no video in it, only other streams; give a video file")


def _is_timed(container: Any, stream: Any) -> bool:
    untimed = container.format.name in _UNTIMED_FORMATS
    return not (untimed and stream.codec_context.has_b_frames)


def _is_mp4(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(12)[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide")


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def _nominal_rate(path: Path) -> Fraction:
    """The rate that numbers pictures of a file without time stamps."""
    container, stream = _open(path)
    with container:
        return Fraction(stream.average_rate or stream.guessed_rate or _DEFAULT_FPS)


def _pictures(path: Path, nominal: Fraction) -> Iterator[tuple[Any, Fraction]]:
    """Decoded pictures with rising times in seconds. What cannot be decoded is left out."""
    container, stream = _open(path)
    with container:
        stream.thread_type = "AUTO"
        timed = _is_timed(container, stream)
        last: Fraction | None = None
        for picture in _decode(container, stream):
            if timed and picture.pts is not None:
                time = picture.pts * Fraction(picture.time_base)
            else:
                time = Fraction(0) if last is None else last + 1 / nominal
            # A clock that jumps back (a joined recording) would hold one picture for ever.
            if last is not None and time <= last:
                continue
            last = time
            yield picture, time


def _decode(container: Any, stream: Any) -> Iterator[Any]:
    """Pictures packet by packet: a damaged packet costs itself, not the rest of the file."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError:
            # The file ends here; what the decoder still holds is good.
            packet = None
        with suppress(FFmpegError, ValueError):
            yield from stream.codec_context.decode(packet)
        if packet is None:
            return


def _make_plan(path: Path, nominal: Fraction) -> tuple[_Plan, Any]:
    """What will be yielded, and the first picture. Raises UserError when nothing decodes."""
    opening = next(_pictures(path, nominal), None)
    if opening is None:
        raise UserError(f"{path} holds no picture that can be decoded; it is damaged or cut short")
    picture, first = opening
    times = _packet_times(path)
    # Pictures before the first that decodes (a cut at the front) are never shown.
    times = [time for time in times if time >= first]
    if times and _last_decodable(path, times[-1]) == times[-1]:
        return _Plan(first, times[-1], len(times)), picture
    count, last = 0, first
    for _, time in _pictures(path, nominal):
        count, last = count + 1, time
    return _Plan(first, last, count), picture


def _packet_times(path: Path) -> list[Fraction]:
    """Rising presentation times of all packets that are to be shown; empty if any has none."""
    container, stream = _open(path)
    times: set[Fraction] = set()
    with container:
        if not _is_timed(container, stream):
            return []
        try:
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                if packet.pts is None:
                    return []
                times.add(packet.pts * Fraction(packet.time_base))
        except FFmpegError:
            pass  # cut short: what was read so far is what there is
    return sorted(times)


def _last_decodable(path: Path, near: Fraction) -> Fraction | None:
    """Time of the last picture that decodes, looked for from the key frame before `near`."""
    container, stream = _open(path)
    with container:
        try:
            container.seek(int(near / stream.time_base), stream=stream, backward=True)
            shown = [p.pts for p in _decode(container, stream) if p.pts is not None]
        except FFmpegError:
            return None
        return max(shown) * Fraction(stream.time_base) if shown else None


def _frame_rate(path: Path, plan: _Plan) -> Fraction:
    """The rate of the timeline, frames a second.

    A rate at which every picture gets exactly one frame is the true one; a file of variable rate has
    none, and takes its average.
    """
    container, stream = _open(path)
    with container:
        average = [Fraction(r) for r in (stream.average_rate, stream.guessed_rate) if r]
    span = plan.last - plan.first
    usable = [r.limit_denominator(1001) for r in average if Fraction(1, 1001) <= r <= _MAX_FPS]
    # The guess is the exact rate of a steady file; its average has the last picture's length in it.
    for rate in reversed(usable):
        if round(span * rate) + 1 == plan.pictures:
            return rate
    measured = Fraction(plan.pictures - 1) / span if span else _DEFAULT_FPS
    for rate in usable:
        # Far from what the times say, it is a clock rate or a guess, not a frame rate.
        if not span or measured / 2 < rate < measured * 2:
            return rate
    measured = measured.limit_denominator(1001)
    if not 0 < measured <= _MAX_FPS:
        raise UserError(
            f"{path} has {float(measured):.0f} frames/s; give a file of at most {_MAX_FPS}"
        )
    return measured
