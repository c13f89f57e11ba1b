"""What the base lost and asks again, and what came of it.

    units whole, in pieces or missing, by boot -> MissingUnits -> Resume -> UnitAnswer -> RecoveredUnits

Recovered units stay out of the live picture, which shows the newest moment; `decode` puts them in their
place in the timeline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gvc_base.archive import Archive
from gvc_protocol.codec import PartData, ReceivedUnit
from gvc_protocol.commands import MAX_RANGES
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.events import MessageReady
from gvc_protocol.messages import Resume, UnitAnswer, unpack_message
from gvc_protocol.params import SECOND

__all__ = ["MissingUnits", "RecoveredUnits", "ResumeTimes", "missing_of", "received_of"]

_MOST_MISSING = 4096
"Of one boot; older ones are given up."
_MOST_BOOTS = 8
_MOST_BYTES = 256 << 20


@dataclass(slots=True)
class _Boot:
    next_unit: int = 0
    missing: set[int] = field(default_factory=set)


class MissingUnits:
    """Which units of one stream are not whole. Sans-IO, memory bounded."""

    def __init__(self) -> None:
        self._boots: dict[int, _Boot] = {}

    def note(self, boot_id: int, unit_no: int, *, whole: bool) -> None:
        """A unit was closed; the numbers between it and the one before are missing."""
        boot = self._boot(boot_id)
        if unit_no >= boot.next_unit:
            first = max(boot.next_unit, unit_no - _MOST_MISSING)
            boot.missing.update(range(first, unit_no))
            boot.next_unit = unit_no + 1
        if whole:
            boot.missing.discard(unit_no)
        else:
            boot.missing.add(unit_no)
        if len(boot.missing) > _MOST_MISSING:
            boot.missing = set(sorted(boot.missing)[-_MOST_MISSING:])

    def settle(self, boot_id: int, unit_no: int) -> bool:
        """It came after all, or never will; True where it was missing."""
        boot = self._boot(boot_id)
        was = unit_no in boot.missing or unit_no >= boot.next_unit
        if unit_no >= boot.next_unit:
            self.note(boot_id, unit_no, whole=True)
        boot.missing.discard(unit_no)
        return was

    def boots(self) -> list[int]:
        """Boots of which anything was heard, oldest first."""
        return list(self._boots)

    def is_short(self, boot_id: int) -> bool:
        """Whether any unit of it is missing."""
        return boot_id in self._boots and bool(self._boots[boot_id].missing)

    def ask(self, boot_id: int, command_id: int) -> Resume:
        """What is to be asked of that boot; the rest, beyond 32 ranges, another time."""
        boot = self._boot(boot_id)
        ranges: list[tuple[int, int]] = []
        for number in sorted(boot.missing):
            if ranges and sum(ranges[-1]) == number:
                ranges[-1] = (ranges[-1][0], ranges[-1][1] + 1)
            elif len(ranges) == MAX_RANGES:
                break
            else:
                ranges.append((number, 1))
        return Resume(
            command_id=command_id, boot_id=boot_id, next_unit=boot.next_unit, wanted=tuple(ranges)
        )

    def _boot(self, boot_id: int) -> _Boot:
        if boot_id not in self._boots:
            while len(self._boots) >= _MOST_BOOTS:
                del self._boots[next(iter(self._boots))]
            self._boots[boot_id] = _Boot()
        return self._boots[boot_id]


def received_of(answer: UnitAnswer) -> ReceivedUnit | None:
    """The unit of an answer, whole; None where the edge has it no more or D cannot be read."""
    d = Descriptors.unpack(answer.descriptors) if answer.descriptors else None
    if d is None:
        return None
    return ReceivedUnit(
        unit_no=answer.unit_no, descriptors=d, keyframe=_part(answer.keyframe),
        features=_part(answer.features),
    )  # fmt: skip


def _part(data: bytes) -> PartData:
    if not data:
        return PartData(sent=False)
    return PartData(ranges=((0, data),), complete=True)


class RecoveredUnits:
    """Units that came later than their place in the timeline, of one record and one stream."""

    def __init__(self) -> None:
        self._units: dict[tuple[int, int], ReceivedUnit] = {}
        self._bytes = 0

    def take(self, event: MessageReady) -> None:
        """Keep the units of a message that a key vouches for."""
        if not event.authenticated:
            return
        for record in unpack_message(event.data):
            if isinstance(record, UnitAnswer) and (unit := received_of(record)) is not None:
                self._bytes += len(event.data)
                if self._bytes <= _MOST_BYTES:
                    self._units.setdefault((record.boot_id, record.unit_no), unit)

    def get(self, boot_id: int, unit_no: int) -> ReceivedUnit | None:
        """That unit, if it was recovered."""
        return self._units.get((boot_id, unit_no))

    def between(self, boot_id: int, first: int, end: int | None) -> Iterable[ReceivedUnit]:
        """Recovered units of a boot from `first` to below `end`, rising; None: to the last."""
        numbers = sorted(
            u for b, u in self._units if b == boot_id and first <= u and (end is None or u < end)
        )
        return [self._units[boot_id, number] for number in numbers]


def missing_of(archive: Archive, stream_id: int | None) -> MissingUnits:
    """What earlier runs on this archive lost of a stream, by default of the one heard last."""
    missing = MissingUnits()
    rows = archive.units_so_far()
    chosen = stream_id if stream_id is not None or not rows else rows[-1][0]
    for stream, boot, unit, whole in rows:
        if stream == chosen:
            missing.note(boot, unit, whole=whole)
    known = set(missing.boots())
    for boot, unit in sorted(archive.units_settled(chosen)):
        if boot in known:
            missing.settle(boot, unit)
    return missing


_FIRST_NS, _AGAIN_NS, _AGAIN_MOST_NS = 4 * SECOND, 40 * SECOND, 300 * SECOND
_ALIVE_NS = 10 * SECOND
"Nothing is asked of a link over which no unit came for so long."


class ResumeTimes:
    """When to ask which boot: soon after a loss, at a restart of either side, then ever less often while
    nothing comes."""

    def __init__(self, missing: MissingUnits) -> None:
        self._missing = missing
        self._at: dict[int, int] = {}
        self._wait: dict[int, int] = {}
        self._forced: set[int] = set()
        self._heard = -_ALIVE_NS

    def heard(self, now: int) -> None:
        """A unit came: the link carries."""
        self._heard = now

    def force(self) -> None:
        """A restart, or the operator: ask every boot at once, for its end, too."""
        self._forced = set(self._missing.boots())
        self._at, self._wait = {}, {}

    def progress(self, boot_id: int) -> None:
        """A lost unit came."""
        self._wait[boot_id] = _AGAIN_NS

    def due(self, now: int) -> list[int]:
        """Boots to ask now."""
        if now - self._heard > _ALIVE_NS:
            return []
        out = []
        for boot_id in self._missing.boots():
            if boot_id in self._forced:
                self._forced.discard(boot_id)
            elif not self._missing.is_short(boot_id):
                self._at.pop(boot_id, None)
                continue
            elif now < self._at.setdefault(boot_id, now + _FIRST_NS):
                continue
            wait = self._wait.get(boot_id, _AGAIN_NS)
            self._at[boot_id], self._wait[boot_id] = now + wait, min(_AGAIN_MOST_NS, 2 * wait)
            out.append(boot_id)
        return out
