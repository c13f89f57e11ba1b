"""Units that the base lost, sent again when there is room: each once for each time it is asked."""

from __future__ import annotations

from collections import deque

from gvc_edge.kept_units import KeptUnits
from gvc_protocol.messages import Resume, UnitAnswer
from gvc_protocol.params import SECOND

__all__ = ["UnitAnswers"]

_MOST_WAITING = 4096
_UNDER_WAY_NS = 30 * SECOND
"A unit that was sent so recently may be under way: the base could not know when it asked."


class UnitAnswers:
    """What the base wants of each boot, and which unit is next. Sans-IO but for the kept units."""

    def __init__(self, kept: KeptUnits, boot_id: int) -> None:
        self._kept, self._boot_id = kept, boot_id
        self._wanted: deque[tuple[int, int]] = deque()
        self._sent: dict[tuple[int, int], int] = {}

    @property
    def busy(self) -> bool:
        """Whether any unit waits to be sent again."""
        return bool(self._wanted)

    def add(self, resume: Resume, now: int) -> None:
        """Take what the base asks of a boot; it replaces what it asked of that boot before, so that what
        came meanwhile is not sent."""
        others = [w for w in self._wanted if w[0] != resume.boot_id]
        numbers: list[int] = []
        for first, count in resume.wanted:
            room = _MOST_WAITING - len(numbers)
            numbers += range(first, first + min(count, max(0, room)))
        if resume.boot_id != self._boot_id:
            # Of an earlier boot nothing more comes by itself: its end belongs to what was lost.
            numbers += self._kept.numbers(resume.boot_id, resume.next_unit)
        fresh = [
            (resume.boot_id, number)
            for number in numbers
            if now - self._sent.get((resume.boot_id, number), -_UNDER_WAY_NS) >= _UNDER_WAY_NS
        ]
        self._wanted = deque((others + fresh)[:_MOST_WAITING])

    def poll(self, now: int) -> UnitAnswer | None:
        """The next unit, and it counts as sent. One that is not kept is answered with empty parts."""
        if not self._wanted:
            return None
        boot_id, unit_no = key = self._wanted.popleft()
        self._sent[key] = now
        while len(self._sent) > 2 * _MOST_WAITING:
            del self._sent[next(iter(self._sent))]
        return self._kept.find(boot_id, unit_no) or UnitAnswer(
            boot_id=boot_id, unit_no=unit_no, descriptors=b"", keyframe=b"", features=b""
        )
