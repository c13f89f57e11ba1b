"""What a unit's pictures were made of, for the archive."""

from __future__ import annotations

import numpy as np

from gvc_base.archive import MarksRow
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.marks import Mark

__all__ = ["MarkTally"]


class MarkTally:
    """Of one unit, frame by frame."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(Mark), np.int64)
        self._p_wrong = 0.0
        self.frames = 0

    def add(self, frame: DecodedFrame) -> None:
        """A frame was shown."""
        self._counts += np.bincount(frame.mark.ravel(), minlength=len(Mark))
        self._p_wrong += float(frame.p_wrong.mean(dtype=np.float32))
        self.frames += 1

    def row(self, stream_id: int, boot_id: int, unit_no: int) -> MarksRow:
        """The totals. Call it only where there were frames."""
        share = self._counts / self._counts.sum()
        return MarksRow(
            stream_id=stream_id, boot_id=boot_id, unit_no=unit_no, frames=self.frames,
            received=float(share[Mark.RECEIVED]), carried=float(share[Mark.CARRIED]),
            enhanced=float(share[Mark.ENHANCED]), regenerated=float(share[Mark.REGENERATED]),
            lost=float(share[Mark.LOST]), p_wrong=self._p_wrong / self.frames,
        )  # fmt: skip
