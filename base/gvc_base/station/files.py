"""What a drone's pictures leave on disk while it flies: the newest as PNG, all of them as MP4.

The recording survives a power cut up to its last second. Neither is the record: that is the archive.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import cv2

from gvc_base.render import overlay
from gvc_base.station.playout import Scene
from gvc_base.video import Mp4Writer
from gvc_protocol.codec import DecodedFrame, UnitSpan
from gvc_protocol.errors import UserError

__all__ = ["LiveRecording", "write_snapshot"]


def write_snapshot(path: Path, frame: DecodedFrame, status: str) -> None:
    """Put a picture there, marks burned in; a full disk costs the snapshot, not the mission."""
    done, png = cv2.imencode(".png", overlay(frame, status=status))
    if done:
        part = path.with_name(path.name + ".part")
        with suppress(OSError):
            part.write_bytes(png.tobytes())
            part.replace(path)


class LiveRecording:
    """All decoded pictures, marks burned in; a failure ends the recording, not the mission."""

    def __init__(self, path: Path | None, status: str, say: Callable[[str], None]) -> None:
        self._path, self._status, self._say = path, status, say
        self._stack = ExitStack()
        self._writer: Mp4Writer | None = None
        self._size = (0, 0)

    def write(self, scene: Scene, span: UnitSpan) -> None:
        """Add a frame."""
        if self._path is None:
            return
        try:
            if self._writer is None:
                self._size = (span.width, span.height)
                self._writer = self._stack.enter_context(
                    Mp4Writer(
                        self._path, width=span.width, height=span.height, fps=span.fps,
                        comment=f"GVC live picture, marks burned in, {self._status}", fragmented=True,
                    )
                )  # fmt: skip
            if self._size != (span.width, span.height):
                raise UserError(
                    f"{self._path} ends here: the source changed to {span.width}x{span.height}; "
                    "`gvc-base decode` shows both"
                )
            self._writer.write(overlay(scene.frame, status=self._status))
        except UserError as error:
            self._say(str(error))
            self._path = None

    def close(self) -> None:
        """Write the last fragment."""
        with suppress(UserError):
            self._stack.close()
