"""The view without the generator: what was received, at the size it came in, and nothing else.

DecodedFrame -> received pixels of this moment | coded picture enlarged as it is | grey
a unit's frames -> one still of received pixels, the rest masked out, for reports and photogrammetry
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.marks.level import NOTHING_DOUBTED
from gvc_base.p_wrong import p_wrong_from_marks
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.errors import UserError
from gvc_protocol.marks import TILE_PX, Mark, tile_grid

__all__ = ["Still", "Stills", "received_only", "received_still"]

U8 = NDArray[np.uint8]

_GREY = 96
_HELD_MS = 500
"A coded picture older than this is shown as lost: the camera has moved on."


def received_only(frame: DecodedFrame) -> DecodedFrame:
    """The frame from received evidence alone: no network, no motion, nothing filled in.

    Tiles of received pixels stay. Elsewhere the newest coded picture stands, enlarged in square blocks,
    not moved: enhanced by mark, as only low resolution arrived, and lost once it is over 0.5 s old.
    Where there is none, grey. Carried tiles count as the decoder's work and are not shown.

    Returns:
        A frame of the same size; claims and alarms are about the decoder's picture and left out.
    """
    height, width = frame.pixels.shape[:2]
    keep = frame.mark == Mark.RECEIVED
    mark, age = np.full_like(frame.mark, Mark.LOST), np.full_like(frame.age_ms, 0xFFFF)
    if frame.plain is None:
        pixels = np.full_like(frame.pixels, _GREY)
    else:
        size = (width, height)
        pixels = np.asarray(
            cv2.resize(frame.plain, size, interpolation=cv2.INTER_NEAREST), np.uint8
        )
        mark[:] = Mark.ENHANCED if frame.plain_age_ms <= _HELD_MS else Mark.LOST
        age[:] = frame.plain_age_ms
    mark[keep], age[keep] = Mark.RECEIVED, 0
    keep_px = _to_pixels(keep, height, width)
    pixels[keep_px] = frame.pixels[keep_px]
    # The books tell what the decoder's own tiles were made from, and only the received ones are shown.
    return replace(
        frame, pixels=pixels, mark=mark, age_ms=age, p_wrong=p_wrong_from_marks(mark, age),
        doubt_from=NOTHING_DOUBTED, truth=None, alarms=(),
        source_unit=np.where(keep, frame.source_unit, -1).astype(np.int32),
        source_boot=np.where(keep, frame.source_boot, 0).astype(np.uint16),
        source_part=np.where(keep, frame.source_part, 0).astype(np.uint8),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """Received pixels of one moment."""

    frame_no: int
    unit_no: int
    pixels: U8
    "uint8[h, w, 3]: zero where `mask` is."
    mask: U8
    "uint8[h, w]: 255 where the pixel was received, else 0."
    scale: float
    "Width of the source over that of the picture."

    def as_frame(self) -> DecodedFrame:
        """The still with its marks, to be summed up like any picture."""
        height, width = self.mask.shape
        rows, columns = tile_grid(height, width)
        here = self.mask[::TILE_PX, ::TILE_PX] > 0
        mark = np.where(here, Mark.RECEIVED, Mark.LOST).astype(np.uint8)
        age = np.zeros((rows, columns), np.uint16)
        return DecodedFrame(
            frame_no=self.frame_no, unit_no=self.unit_no, pixels=self.pixels, mark=mark, age_ms=age,
            p_wrong=p_wrong_from_marks(mark, age), doubt_from=NOTHING_DOUBTED,
        )  # fmt: skip


def received_still(frame: DecodedFrame) -> Still | None:
    """What was received of this moment: full-size pixels, or else the coded picture at its own size.

    Returns:
        None where nothing of this very moment arrived.
    """
    height, width = frame.pixels.shape[:2]
    keep = frame.mark == Mark.RECEIVED
    if keep.any():
        mask = _to_pixels(keep, height, width).astype(np.uint8) * 255
        pixels = frame.pixels * (mask[..., None] > 0)
        scale = 1.0
    elif frame.plain is not None and frame.plain_age_ms == 0:
        pixels, mask = frame.plain, np.full(frame.plain.shape[:2], 255, np.uint8)
        scale = width / frame.plain.shape[1]
    else:
        return None
    return Still(
        frame_no=frame.frame_no, unit_no=frame.unit_no, pixels=pixels.astype(np.uint8), mask=mask,
        scale=scale,
    )  # fmt: skip


class Stills:
    """Writes one still a unit, `frame-NNNNNN.png` and its `frame-NNNNNN_mask.png`, into a folder; each
    file appears when it is complete.

    The mask is white where a pixel was received, as OpenDroneMap and others take it. Of a unit's frames
    the one with the most received pixels is kept.

    Args:
        on_written: called with each finished picture, to sign it.
        encode: a still to what its file holds; None for PNG. suffix: of that file.

    Raises:
        UserError: the folder or a file cannot be written.
    """

    def __init__(
        self, folder: Path, on_written: Callable[[Path, Still], None],
        encode: Callable[[Still], bytes] | None = None, suffix: str = ".png",
    ) -> None:  # fmt: skip
        self._folder, self._on_written = folder, on_written
        self._encode, self._suffix = encode or (lambda still: _png(still.pixels)), suffix
        self._best: Still | None = None
        self.count = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror}") from None

    def take(self, frame: DecodedFrame) -> None:
        """Look at a frame."""
        if self._best is not None and frame.unit_no != self._best.unit_no:
            self.finish()
        still = received_still(frame)
        if still is not None and (self._best is None or _worth(still) > _worth(self._best)):
            self._best = still

    def finish(self) -> None:
        """Write what is kept."""
        still, self._best = self._best, None
        if still is None:
            return
        path = self._folder / f"frame-{still.frame_no:06d}{self._suffix}"
        # The mask first: no picture lies there without it.
        for name, data in (
            (path.with_name(path.stem + "_mask.png"), _png(still.mask)),
            (path, self._encode(still)),
        ):
            part = name.with_name(f".{name.name}.part")
            try:
                part.write_bytes(data)
                part.replace(name)
            except OSError as error:
                part.unlink(missing_ok=True)
                raise UserError(f"cannot write {name}: {error.strerror}") from None
        self._on_written(path, still)
        self.count += 1


def _png(pixels: U8) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def _worth(still: Still) -> tuple[bool, int]:
    """Full size first, then by the number of received pixels."""
    return still.scale <= 1, int(np.count_nonzero(still.mask))


def _to_pixels(tiles: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    return tiles.repeat(TILE_PX, 0).repeat(TILE_PX, 1)[:height, :width]
