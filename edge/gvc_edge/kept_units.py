"""Units that were sent, on disk, so that what the base lost can be sent again: also after a restart.

Segments of about 1 MiB, `boot-00003-000000.units`, the oldest deleted over the limit. A record is length
(4), CRC-32 (4), then the value of `UnitAnswer`. A power cut costs the record that was being written.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from gvc_protocol.codec import EncodedUnit
from gvc_protocol.errors import UserError
from gvc_protocol.messages import UnitAnswer
from gvc_protocol.varint import VarintError

__all__ = ["KeptUnits"]

_HEAD = struct.Struct(">II")
_SEGMENT_BYTES = 1 << 20
_MOST_BYTES = 240 << 10
"Larger units do not fit in a message."
_NAME = re.compile(r"boot-(\d{5})-(\d{6})\.units")


@dataclass(frozen=True, slots=True)
class _Place:
    path: Path
    offset: int
    size: int


class KeptUnits:
    """Used from the sending thread only. A full disk ends the keeping and not the mission: `problem`."""

    def __init__(self, folder: Path, boot_id: int, *, limit_bytes: int) -> None:
        """Go on in a folder that earlier boots left.

        Raises:
            UserError: the folder cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot keep units in {folder}: {error.strerror}") from None
        self._folder, self._boot_id, self._limit = folder, boot_id, limit_bytes
        self._places: dict[tuple[int, int], _Place] = {}
        self._segments = sorted(p for p in folder.glob("boot-*.units") if _NAME.fullmatch(p.name))
        for path in self._segments:
            self._scan(path)
        self._count, self._size = 0, 0
        self.problem = ""

    def keep(self, unit: EncodedUnit) -> None:
        """Put a unit on disk."""
        answer = UnitAnswer(
            boot_id=self._boot_id, unit_no=unit.unit_no, descriptors=unit.descriptors.pack(),
            keyframe=unit.keyframe, features=unit.features,
        )  # fmt: skip
        data = answer.pack()
        if self.problem or len(data) > _MOST_BYTES:
            return
        try:
            if not self._count or self._size > _SEGMENT_BYTES:
                self._next_segment()
            path = self._segments[-1]
            with path.open("ab") as file:
                at = file.tell()
                file.write(_HEAD.pack(len(data), zlib.crc32(data)) + data)
        except OSError as error:
            self.problem = f"units are not kept: {error.strerror}; what is lost stays lost"
            return
        self._size = at + _HEAD.size + len(data)
        key = (self._boot_id, unit.unit_no)
        self._places[key] = _Place(path, at + _HEAD.size, len(data))

    def numbers(self, boot_id: int, first: int) -> list[int]:
        """Kept units of a boot from this number on, rising."""
        return sorted(unit for boot, unit in self._places if boot == boot_id and unit >= first)

    def find(self, boot_id: int, unit_no: int) -> UnitAnswer | None:
        """A unit as it was sent; None where it is not kept any more."""
        place = self._places.get((boot_id, unit_no))
        if place is None:
            return None
        try:
            with place.path.open("rb") as file:
                file.seek(place.offset)
                return UnitAnswer.unpack(file.read(place.size))
        except (OSError, VarintError, struct.error):
            return None

    def _next_segment(self) -> None:
        used = sum(p.stat().st_size for p in self._segments)
        while self._segments and used > self._limit - _SEGMENT_BYTES:
            oldest = self._segments.pop(0)
            used -= oldest.stat().st_size
            oldest.unlink(missing_ok=True)
            self._places = {k: p for k, p in self._places.items() if p.path != oldest}
        name = f"boot-{self._boot_id:05d}-{self._count:06d}.units"
        self._count += 1
        (self._folder / name).write_bytes(b"")
        self._segments.append(self._folder / name)

    def _scan(self, path: Path) -> None:
        """Index a segment up to its first damage."""
        try:
            data = path.read_bytes()
        except OSError:
            return
        at = 0
        while at + _HEAD.size <= len(data):
            size, crc = _HEAD.unpack_from(data, at)
            value = data[at + _HEAD.size : at + _HEAD.size + size]
            if len(value) < size or zlib.crc32(value) != crc:
                return
            try:
                answer = UnitAnswer.unpack(value)
            except (VarintError, struct.error):
                return
            place = _Place(path, at + _HEAD.size, size)
            self._places[answer.boot_id, answer.unit_no] = place
            at += _HEAD.size + size
