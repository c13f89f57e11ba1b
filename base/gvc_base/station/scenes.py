"""Decoded frames as scenes of one camera, live or replayed, and what is told of a scene's tiles."""

from __future__ import annotations

from gvc_base.console.view import TileSource
from gvc_base.marks.model import load_model
from gvc_base.station.objects import boxes_at
from gvc_base.station.playout import Scene
from gvc_base.station.rows import RowIndex
from gvc_base.timeline import DecodeJob
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.marks import Mark

__all__ = ["SceneMaker", "tile_source", "trusted_share"]


class SceneMaker:
    """Of one camera; remembers when the last described frame of a boot was taken."""

    def __init__(self) -> None:
        self._capture: tuple[int, int, int] | None = None

    def scene(self, frame: DecodedFrame, job: DecodeJob) -> Scene:
        """The frame with what its unit tells of it."""
        offset, d = frame.frame_no - job.span.first_frame, job.unit.descriptors
        return Scene(
            frame=frame, boot_id=job.boot_id, fps=job.span.fps, offset=offset,
            capture_us=self._captured(frame.frame_no, job), empty=job.empty,
            boxes=boxes_at(d, offset), telemetry=None if d is None else d.telemetry,
        )  # fmt: skip

    def _captured(self, frame_no: int, job: DecodeJob) -> int:
        """Unix time of a frame's exposure: of D, or reckoned from the last D of this boot."""
        d = job.unit.descriptors
        if d is not None:
            self._capture = (job.boot_id, d.first_frame, d.capture_us)
        if self._capture is None or self._capture[0] != job.boot_id or not self._capture[2]:
            return 0
        _, first, at_us = self._capture
        return max(0, at_us + round((frame_no - first) * 1_000_000 / job.span.fps))


def trusted_share(frame: DecodedFrame) -> float:
    """Share of a picture's tiles that are trusted, 0..1: of all tiles so shown at most 5 % are wrong, as
    far as docs/marks.md promises it. A held picture has none."""
    return float(load_model().is_trusted(frame.mark, frame.p_wrong).mean())


def tile_source(scene: Scene | None, row: int, column: int, rows: RowIndex) -> TileSource | None:
    """Where a tile of what is on the screen comes from; None outside the picture."""
    if scene is None:
        return None
    frame = scene.frame
    if not (0 <= row < frame.mark.shape[0] and 0 <= column < frame.mark.shape[1]):
        return None
    unit_no = -1 if scene.empty else frame.unit_no
    return TileSource(
        mark=Mark(int(frame.mark[row, column])).name.lower(),
        age_ms=int(frame.age_ms[row, column]), p_wrong=float(frame.p_wrong[row, column]),
        unit_no=unit_no, part="", datagrams=rows.of(scene.boot_id, unit_no),
    )  # fmt: skip
