"""MP4 in and out, frame by frame: H.264 through PyAV, exact frame rate, written whole or not at all.

Colours are converted with the BT.709 matrix and tagged so, which is what players assume of MP4. The
frame rate is kept as a fraction: frame n of a decode is frame n of its source.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from gvc_protocol.errors import LocalProtocolError, UserError

__all__ = ["Mp4Writer", "VideoInfo", "probe", "read_video"]

_CRF = "17"
"Thin patterns and small text must outlive the coder; the files are for screens, not for the radio."

_BT709 = 1
"Primaries and transfer function in the H.264 numbering."

_SYNC_S = 5
"How much of a live recording a power cut may take, beside the fragment in the making."


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What a container says of its first video stream."""

    width: int
    height: int
    fps: Fraction
    frames: int
    "Counted by the container, or estimated from its duration where it does not count; 0 unknown."
    comment: str


class Mp4Writer:
    """Context manager; the file appears under its name only when it is complete.

    Where anything fails, what was under the name before stays as it was. With `fragmented` the file is
    written in place instead, a fragment a second, and plays up to the last fragment after a crash or a
    power cut.

    Args:
        width, height: pixels, even.
        fps: exact, e.g. Fraction(30000, 1001).
        comment: goes to the container's metadata.

    Raises:
        LocalProtocolError: odd size, or a frame of another size.
        UserError: the file cannot be written, or no frame was.
    """

    def __init__(
        self, path: Path, *, width: int, height: int, fps: Fraction, comment: str,
        fragmented: bool = False,
    ) -> None:  # fmt: skip
        if width % 2 or height % 2 or min(width, height) < 2:
            raise LocalProtocolError(f"4:2:0 video needs an even size, not {width}x{height}")
        self._path, self._fragmented = path, fragmented
        self._target = path if fragmented else path.with_name(f".{path.name}.part")
        self._size = (height, width, 3)
        self._sync_every = max(1, round(fps * _SYNC_S)) if fragmented else 0
        self._count = 0
        try:
            if path.is_dir():
                raise IsADirectoryError(21, "it is a folder")
            # Opened here first: the system's reason is clearer than the muxer's.
            self._fd = os.open(self._target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from None
        options = {"movflags": "faststart"}
        if fragmented:
            # Without flush_packets the muxer keeps 256 KiB to itself: minutes of a still scene.
            flags = "frag_keyframe+empty_moov+default_base_moof"
            options = {"movflags": flags, "flush_packets": "1"}
        try:
            # An absolute name, or the part before a colon would be taken for a protocol.
            self._container: Any = av.open(
                str(self._target.absolute()), "w", format="mp4", options=options
            )
            self._container.metadata["comment"] = comment
            self._stream: Any = self._add_stream(width, height, fps)
        except (OSError, ValueError) as error:
            self._drop()
            raise UserError(f"cannot write {path}: {_reason(error)}") from None

    def _add_stream(self, width: int, height: int, fps: Fraction) -> Any:
        # With macroblock-tree on, the bundled x264 writes other bits from run to run for the same
        # frames; a fresh decode of an archive has to give the same file.
        options = {"crf": _CRF, "preset": "superfast", "threads": "2", "x264-params": "mbtree=0"}
        if self._fragmented:
            # A fragment ends at a key frame: one a second, and nothing held back by look-ahead.
            options |= {"g": str(max(1, round(fps))), "tune": "zerolatency"}
        stream: Any = self._container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = 1 / fps
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries = context.color_trc = _BT709
        return stream

    def write(self, bgr: NDArray[np.uint8]) -> None:
        """Add one frame, uint8[H, W, 3] BGR."""
        if bgr.shape != self._size or bgr.dtype != np.uint8:
            raise LocalProtocolError(f"frame is {bgr.dtype}{bgr.shape}, the video {self._size}")
        # Not copied: copying would keep Python's lock from the thread that decodes.
        frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(bgr), format="bgr24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = self._count, self._stream.codec_context.time_base
        self._count += 1
        try:
            self._container.mux(self._stream.encode(frame))
            if self._sync_every and self._count % self._sync_every == 0:
                os.fsync(self._fd)
        except OSError as error:
            raise UserError(f"cannot write {self._path}: {_reason(error)}") from None

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._count == 0:
            self._drop()
            if self._target.is_file():  # not a device
                self._target.unlink()  # an empty file would be taken for a video
            if kind is None:
                raise UserError(f"no frame came for {self._path}; nothing was written")
            return
        if kind is not None and not self._fragmented:
            self._drop()
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            os.fsync(self._fd)
            if not self._fragmented:
                self._target.replace(self._path)
            os.close(self._fd)
        except OSError as failed:
            self._drop()
            if kind is None:
                raise UserError(f"cannot write {self._path}: {_reason(failed)}") from None

    def _drop(self) -> None:
        """Let go of everything; a live recording keeps what it has, another file goes."""
        if hasattr(self, "_container"):
            with suppress(OSError, ValueError):
                self._container.close()
        with suppress(OSError):
            os.close(self._fd)
        if not self._fragmented:
            self._target.unlink(missing_ok=True)


def probe(path: Path) -> VideoInfo:
    """Look at a video file. Raises UserError when it is none."""
    with _open(path) as container:
        stream = container.streams.video[0]
        fps = Fraction(stream.average_rate or stream.guessed_rate or 25)
        frames = int(stream.frames)
        if not frames and container.duration:
            frames = round(container.duration * fps / 1_000_000)
        return VideoInfo(
            width=stream.width, height=stream.height, fps=fps, frames=frames,
            comment=container.metadata.get("comment", ""),
        )  # fmt: skip


def read_video(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Frames of a video file in order, uint8[H, W, 3] BGR.

    Raises:
        UserError: no video; or a damaged one, after the frames before the damage have been given. A
            recording that breaks off between two fragments cannot be told from a shorter one.
    """
    with _open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        given = 0
        try:
            for packet in container.demux(stream):
                # A threaded decoder keeps quiet about a broken packet; the container knows.
                for frame in stream.decode(None if packet.is_corrupt else packet):
                    yield frame.to_ndarray(format="bgr24")
                    given += 1
                if packet.is_corrupt:
                    raise UserError(_damaged(path, given, "the file breaks off"))
        except av.FFmpegError as error:
            raise UserError(_damaged(path, given, _reason(error))) from None


def _damaged(path: Path, given: int, reason: str) -> str:
    return f"video {path} is damaged after frame {given}: {reason}; cut it there"


def _open(path: Path) -> Any:
    try:
        container = av.open(str(path.absolute()))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read video {path}: {_reason(error)}") from None
    if not container.streams.video:
        container.close()
        raise UserError(f"{path} has no video in it; give a video file")
    return container


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
