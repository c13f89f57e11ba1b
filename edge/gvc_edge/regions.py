"""Answers to region requests: true pixels of a box as AV1 stills, coarse first, then finer.

    request -> kept picture -> layers: 1/4, 1/2, full size, full size again and finer -> messages

A layer is coded in a thread of its own, one at a time, and only when the link has room for the one
before: a request for the whole picture costs neither the mission's D nor the encoder's time at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.codecs import av1
from gvc_edge.pictures import PictureSpool
from gvc_protocol.gvc1 import Patch
from gvc_protocol.messages import RegionAnswer, RegionRequest, RegionStatus

__all__ = ["LAYERS", "RegionAnswers", "encode_layer"]

LAYERS = ((4, 44.0), (2, 38.0), (1, 34.0), (1, 20.0), (1, 6.0))
"Scale and CRF of each layer; the last is hard to tell from the source."

_TILE_PX = 8
_LEAST_STILL_PX = 64
_PRESET = 6
_MOST_PENDING = 8
_COARSER_CRFS = (6.0, 14.0)


@dataclass(slots=True)
class _Job:
    request: RegionRequest
    layers: Iterator[RegionAnswer]


class RegionAnswers:
    """Takes requests, gives answers one layer at a time. Used from the sending thread."""

    def __init__(self, pictures: PictureSpool) -> None:
        self._pictures = pictures
        self._jobs: deque[_Job] = deque()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="region")
        self._coding: Future[RegionAnswer | None] | None = None
        self.most_bytes = 1 << 16
        "Largest layer that the link can take in reasonable time."

    @property
    def busy(self) -> bool:
        """True while an answer is being made or waits."""
        return bool(self._jobs)

    def add(self, request: RegionRequest) -> bool:
        """Take a request; False when too many wait."""
        if len(self._jobs) >= _MOST_PENDING:
            return False
        if all(job.request.command_id != request.command_id for job in self._jobs):
            self._jobs.append(_Job(request, self._layers(request)))
        return True

    def is_pending(self, command_id: int) -> bool:
        """Whether this request waits for more layers."""
        return any(job.request.command_id == command_id for job in self._jobs)

    def poll(self) -> RegionAnswer | None:
        """The next layer if one is ready. Starts the coding of one if none is."""
        if self._coding is None and self._jobs:
            layers = self._jobs[0].layers
            self._coding = self._worker.submit(lambda: next(layers, None))
        if self._coding is None or not self._coding.done():
            return None
        answer, self._coding = self._coding.result(), None
        if answer is None or answer.last:
            self._jobs.popleft()
        elif len(self._jobs) > 1:
            self._jobs.rotate(-1)  # everybody's coarse layer before anybody's fine one
        return answer

    def close(self) -> None:
        """Give up what is not made yet."""
        self._jobs.clear()
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _layers(self, request: RegionRequest) -> Iterator[RegionAnswer]:
        kept = self._pictures.find(request.boot_id, request.unit_no, request.offset)
        picture = None if kept is None else self._pictures.load(kept)
        box = None if picture is None else _whole_tiles(request, picture)
        if kept is None or picture is None or box is None:
            yield RegionAnswer(
                command_id=request.command_id, boot_id=request.boot_id, unit_no=request.unit_no,
                status=RegionStatus.NO_PICTURE,
            )  # fmt: skip
            return
        wanted = [row for row in LAYERS if min(box[2:]) >= 8 * row[0] or row[0] == 1]
        for number, (scale, crf) in enumerate(wanted):
            patch = encode_layer(
                picture, box, offset=kept.offset, scale=scale, crf=crf, most_bytes=self.most_bytes
            )
            last = number + 1 == len(wanted)
            if patch is None and not last:
                continue
            yield RegionAnswer(
                command_id=request.command_id, boot_id=request.boot_id, unit_no=request.unit_no,
                layer=number, last=last, patch=b"" if patch is None else patch.pack(),
            )  # fmt: skip


def encode_layer(
    picture: NDArray[np.uint8], box: tuple[int, int, int, int], *, offset: int, scale: int,
    crf: float, most_bytes: int,
) -> Patch | None:  # fmt: skip
    """One layer of a box of whole tiles, a little coarser if it must be; None where it cannot be
    made in `most_bytes`."""
    x, y, width, height = box
    pixels = picture[y : y + height, x : x + width]
    below, right = height - pixels.shape[0], width - pixels.shape[1]
    whole = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE)
    small = av1.reduce(np.asarray(whole, np.uint8), width // scale, height // scale)
    below, right = (max(side % 2, _LEAST_STILL_PX - side) for side in small.shape[:2])
    padded = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_REPLICATE)
    plane = av1.i420(np.asarray(padded, np.uint8))
    for more in (0.0, *_COARSER_CRFS):
        (obus,) = av1.encode(
            [plane], crf=min(av1.MAX_CRF, crf + more), fps=Fraction(1), still=True, preset=_PRESET
        )
        patch = Patch(offset=offset, x=x, y=y, width=width, height=height, scale=scale, obus=obus)
        if len(obus) <= most_bytes:
            return patch
    return None


def _whole_tiles(
    request: RegionRequest, picture: NDArray[np.uint8]
) -> tuple[int, int, int, int] | None:
    """x, y, width, height in whole tiles, inside the picture; None where nothing of it is."""
    high, wide = picture.shape[:2]
    x, y = request.x // _TILE_PX * _TILE_PX, request.y // _TILE_PX * _TILE_PX
    right, below = min(wide, request.x + request.width), min(high, request.y + request.height)
    if right <= x or below <= y:
        return None
    width, height = (-(-side // _TILE_PX) * _TILE_PX for side in (right - x, below - y))
    return x, y, width, height
