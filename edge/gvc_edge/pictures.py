"""True source pictures of the last minutes on disk, so that the base can ask for real pixels of them.

About one picture a second, lossless, named by unit and frame, oldest deleted over the limit. A full disk
ends the keeping and not the mission: `problem` then holds one line for the operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_protocol.errors import UserError

__all__ = ["KeptPicture", "PictureSpool"]

_NAME = "boot-{boot:05d}-unit-{unit:08d}-frame-{offset:06d}.png"
_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """One picture on disk."""

    boot_id: int
    unit_no: int
    offset: int
    path: Path
    size: int


class PictureSpool:
    """Written by the encoding thread, read by the sending one; a file is there whole or not at all."""

    def __init__(self, folder: Path, boot_id: int, *, limit_bytes: int) -> None:
        """Go on in a folder that an earlier boot left.

        Raises:
            UserError: the folder cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot keep pictures in {folder}: {error.strerror}") from None
        self._folder, self._boot_id, self._limit = folder, boot_id, limit_bytes
        self._kept = sorted(
            (k for p in folder.glob("boot-*-unit-*-frame-*.png") if (k := _read_name(p))),
            key=lambda k: (k.path.stat().st_mtime_ns, k.boot_id, k.unit_no, k.offset),
        )
        self.problem = ""

    def keep(self, unit_no: int, offset: int, pixels: NDArray[np.uint8]) -> None:
        """Put one picture on disk, uint8[H, W, 3]."""
        if self.problem:
            return
        done, png = cv2.imencode(".png", pixels, _FAST_PNG)
        if not done:
            return
        name = _NAME.format(boot=self._boot_id, unit=unit_no, offset=offset)
        path = self._folder / name
        part = path.with_suffix(".part")
        try:
            self._make_room(len(png))
            part.write_bytes(png.tobytes())
            part.replace(path)
        except OSError as error:
            self.problem = f"source pictures are not kept: {error.strerror}; the mission goes on"
            return
        kept = KeptPicture(self._boot_id, unit_no, offset, path, len(png))
        self._kept = [
            *self._kept,
            kept,
        ]  # a new list: the other thread may be looking at the old one

    def find(self, boot_id: int, unit_no: int, offset: int) -> KeptPicture | None:
        """The picture of that unit nearest to a frame, or None."""
        found = [k for k in self._kept if (k.boot_id, k.unit_no) == (boot_id, unit_no)]
        return min(found, key=lambda k: abs(k.offset - offset), default=None)

    def newest(self) -> KeptPicture | None:
        """The newest picture, or None."""
        kept = self._kept
        return kept[-1] if kept else None

    @staticmethod
    def load(kept: KeptPicture) -> NDArray[np.uint8] | None:
        """Its pixels, or None where it was deleted meanwhile."""
        picture = cv2.imread(str(kept.path), cv2.IMREAD_COLOR)
        return None if picture is None else np.asarray(picture, np.uint8)

    def _make_room(self, size: int) -> None:
        used = sum(k.size for k in self._kept) + size
        while self._kept and used > self._limit:
            used -= self._kept[0].size
            self._kept[0].path.unlink(missing_ok=True)
            self._kept = self._kept[1:]


def _read_name(path: Path) -> KeptPicture | None:
    words = path.stem.split("-")
    try:
        return KeptPicture(int(words[1]), int(words[3]), int(words[5]), path, path.stat().st_size)
    except (ValueError, IndexError, OSError):
        return None
