"""MP4 in and out, frame by frame: H.264 through PyAV, exact frame rate, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from gvc_protocol.errors import LocalProtocolError, UserError
from numpy.typing import NDArray

__all__ = ["Mp4Writer", "VideoInfo", "probe", "read_video"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What a container says of its first video stream."""

    width: int
    height: int
    fps: Fraction
    frames: int
    comment: str


class Mp4Writer:
    """Context manager; the file appears under its name only when it is complete.

    With `fragmented` it is written in place, a fragment a second, and can be played up to the last
    fragment after a power cut.

    Raises:
        LocalProtocolError: odd size, or a frame of another size.
        UserError: the file cannot be written.
    """

    def __init__(
        self, path: Path, *, width: int, height: int, fps: Fraction, comment: str,
        fragmented: bool = False,
    ) -> None:  # fmt: skip
        if width % 2 or height % 2:
            raise LocalProtocolError(f"4:2:0 video needs an even size, not {width}x{height}")
        self._path = path
        self._target = path if fragmented else path.with_name(f".{path.name}.part")
        self._size = (height, width, 3)
        flags = "frag_keyframe+empty_moov+default_base_moof" if fragmented else "faststart"
        try:
            if path.is_dir():
                raise IsADirectoryError(21, "it is a folder")
            self._file = self._target.open("wb")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from None
        self._container: Any = av.open(self._file, "w", format="mp4", options={"movflags": flags})
        self._container.metadata["comment"] = comment
        self._stream: Any = self._container.add_stream("libx264", rate=fps)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"crf": "17", "preset": "veryfast", "threads": "2"}
        if fragmented:
            self._stream.options |= {"g": str(max(1, round(fps))), "tune": "zerolatency"}
        self._stream.time_base = 1 / fps
        self._stream.codec_context.time_base = 1 / fps
        self._count = 0

    def write(self, bgr: NDArray[np.uint8]) -> None:
        """Add one frame, uint8[H, W, 3] BGR."""
        if bgr.shape != self._size:
            raise LocalProtocolError(f"frame is {bgr.shape}, the video {self._size}")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(bgr), format="bgr24")
        frame.pts = self._count
        self._count += 1
        try:
            self._container.mux(self._stream.encode(frame))
        except OSError as error:
            raise UserError(f"cannot write {self._path}: {error.strerror}") from None

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        try:
            if kind is None or self._target == self._path:
                self._container.mux(self._stream.encode(None))
                self._container.close()
        except OSError as failed:
            self._drop()
            raise UserError(f"cannot write {self._path}: {failed.strerror}") from None
        self._file.close()
        if self._target != self._path:
            if kind is None:
                self._target.replace(self._path)
            else:
                self._drop()

    def _drop(self) -> None:
        self._file.close()
        self._target.unlink(missing_ok=True)


def probe(path: Path) -> VideoInfo:
    """Look at a video file. Raises UserError when it is none."""
    with _open(path) as container:
        stream = container.streams.video[0]
        fps = Fraction(stream.average_rate or stream.guessed_rate or 25)
        frames = stream.frames
        if not frames and container.duration:
            frames = round(container.duration / 1_000_000 * fps)
        return VideoInfo(
            width=stream.width, height=stream.height, fps=fps, frames=int(frames),
            comment=container.metadata.get("comment", ""),
        )  # fmt: skip


def read_video(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Frames of a video file in order, uint8[H, W, 3] BGR. Raises UserError when it is none."""
    with _open(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="bgr24")


def _open(path: Path) -> Any:
    try:
        container = av.open(str(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot read video {path}: {reason}") from None
    if not container.streams.video:
        container.close()
        raise UserError(f"{path} has no video in it; give a video file")
    return container
