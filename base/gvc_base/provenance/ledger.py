"""What is real in an export, summed up while it is written: shares by mark, per stretch of time.

DecodedFrame ... -> MarkLedger -> the assertion `org.gvc-field.marks`, regions, received pictures
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_protocol.codec import DecodedFrame
from gvc_protocol.marks import TILE_PX, Mark
from gvc_protocol.truth import AlarmKind, Truth

__all__ = ["MarkLedger", "ReceivedPicture", "Span"]

_MOST_SPANS = 64
_MOST_PICTURES = 8
_JPEG_QUALITY = 90
_MADE_UP = (Mark.REGENERATED, Mark.LOST)


@dataclass(slots=True)
class Span:
    """Tiles of a stretch of frames."""

    first: int
    frames: int = 0
    tiles: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Mark), np.int64))
    verified: int = 0
    known_wrong: int = 0
    unconfirmed: int = 0
    missed: int = 0
    made_up: tuple[int, int, int, int] | None = None
    "x0, y0, x1, y1 in pixels around every tile that nothing received stands behind."

    def take(self, frame: DecodedFrame) -> None:
        """Count a frame in."""
        self.frames += 1
        self.tiles += np.bincount(frame.mark.ravel(), minlength=len(Mark))
        if frame.truth is not None:
            self.verified += int((frame.truth == Truth.VERIFIED).sum())
            self.known_wrong += int((frame.truth == Truth.KNOWN_WRONG).sum())
        kinds = [alarm.kind for alarm in frame.alarms]
        self.unconfirmed += kinds.count(AlarmKind.UNCONFIRMED)
        self.missed += kinds.count(AlarmKind.MISSED)
        rows, columns = np.nonzero(np.isin(frame.mark, _MADE_UP))
        if rows.size:
            height, width = frame.pixels.shape[:2]
            box = (
                int(columns.min()) * TILE_PX, int(rows.min()) * TILE_PX,
                min(width, (int(columns.max()) + 1) * TILE_PX),
                min(height, (int(rows.max()) + 1) * TILE_PX),
            )  # fmt: skip
            self.made_up = _around(self.made_up, box)

    def join(self, other: Span) -> None:
        """Count a later stretch in."""
        self.frames += other.frames
        self.tiles += other.tiles
        self.verified += other.verified
        self.known_wrong += other.known_wrong
        self.unconfirmed += other.unconfirmed
        self.missed += other.missed
        if other.made_up is not None:
            self.made_up = _around(self.made_up, other.made_up)

    @property
    def shares(self) -> dict[str, float]:
        """Share of the tiles by mark, 0..1."""
        total = max(1, int(self.tiles.sum()))
        return {mark.name.lower(): round(int(self.tiles[mark]) / total, 4) for mark in Mark}

    def as_json(self, fps: Fraction) -> dict[str, Any]:
        """As it stands in the assertion; times in seconds from the start of the file."""
        total = max(1, int(self.tiles.sum()))
        return {
            "start_s": round(float(self.first / fps), 3),
            "end_s": round(float((self.first + self.frames) / fps), 3),
            "share": self.shares,
            "verified": round(self.verified / total, 4),
            "known_wrong": round(self.known_wrong / total, 4),
            "unconfirmed": self.unconfirmed, "missed": self.missed,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedPicture:
    """A picture that arrived, at its own size, as JPEG."""

    unit_no: int
    frame_no: int
    jpeg: bytes
    width: int
    height: int


class MarkLedger:
    """Sums up an export frame by frame; its size does not grow with the export's length."""

    def __init__(self, fps: Fraction) -> None:
        self.fps = fps
        self._length = max(1, round(fps))
        self._spans: list[Span] = []
        self._pictures: list[ReceivedPicture] = []
        self._every = self._offered = 0
        self.frames = 0

    def take(self, frame: DecodedFrame) -> None:
        """Count a frame in."""
        if not self._spans or self._spans[-1].frames >= self._length:
            if len(self._spans) >= _MOST_SPANS:
                self._halve()
            self._spans.append(Span(first=self.frames))
        self._spans[-1].take(frame)
        self.frames += 1

    def _halve(self) -> None:
        """Stretches of twice the length: their number stays within bounds."""
        self._length *= 2
        pairs = zip(self._spans[::2], self._spans[1::2], strict=True)
        joined = []
        for first, second in pairs:
            first.join(second)
            joined.append(first)
        self._spans = joined

    def offer(self, unit_no: int, frame_no: int, picture: NDArray[np.uint8]) -> None:
        """A picture that arrived; of many a few are kept, evenly over the export."""
        keep = self._offered % (1 << self._every) == 0
        self._offered += 1
        if not keep:
            return
        if len(self._pictures) >= _MOST_PICTURES:
            self._pictures = self._pictures[::2]
            self._every += 1
        done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if done:
            h, w = picture.shape[:2]
            self._pictures.append(
                ReceivedPicture(
                    unit_no=unit_no, frame_no=frame_no, jpeg=jpeg.tobytes(), width=w, height=h
                )
            )

    @property
    def spans(self) -> tuple[Span, ...]:
        """Stretches in order."""
        return tuple(self._spans)

    @property
    def pictures(self) -> tuple[ReceivedPicture, ...]:
        """A few of the received pictures, in order."""
        return tuple(self._pictures)

    @property
    def whole(self) -> Span:
        """All of it."""
        out = Span(first=0)
        for span in self._spans:
            out.join(span)
        return out


def _around(
    a: tuple[int, int, int, int] | None, b: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    if a is None:
        return b
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
