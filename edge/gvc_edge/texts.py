"""What the operator at the edge has to say, until the base has acknowledged it."""

from __future__ import annotations

from dataclasses import dataclass

from gvc_protocol.messages import OperatorText
from gvc_protocol.params import SECOND

__all__ = ["TextsOut"]

_AGAIN_NS, _AGAIN_MOST_NS, _GIVEN_UP_NS = 5 * SECOND, 60 * SECOND, 3600 * SECOND
_MOST = 32


@dataclass(slots=True)
class _Text:
    record: OperatorText
    said_ns: int
    next_ns: int
    wait_ns: int = _AGAIN_NS


class TextsOut:
    """Sans-IO; numbers are unique as long as the boot number is."""

    def __init__(self, boot_id: int) -> None:
        self._boot_id, self._count = boot_id, 0
        self._open: dict[int, _Text] = {}

    def say(self, text: str, now: int) -> int:
        """Queue a text; the oldest gives way when 32 wait. Returns its number."""
        self._count += 1
        number = self._boot_id << 16 | (self._count & 0xFFFF)
        record = OperatorText(command_id=number, text=text)
        record.pack()  # one that is too long is refused here
        while len(self._open) >= _MOST:
            del self._open[next(iter(self._open))]
        self._open[number] = _Text(record, now, now)
        return number

    def text_of(self, number: int) -> str:
        """A text that waits, empty when none of this number does."""
        waiting = self._open.get(number)
        return "" if waiting is None else waiting.record.text

    def acknowledged(self, number: int) -> bool:
        """The base has it. True where it was waited for."""
        return self._open.pop(number, None) is not None

    def due(self, now: int) -> list[OperatorText]:
        """What to send now."""
        out = []
        for number, text in list(self._open.items()):
            if now - text.said_ns > _GIVEN_UP_NS:
                del self._open[number]
            elif now >= text.next_ns:
                text.next_ns = now + text.wait_ns
                text.wait_ns = min(_AGAIN_MOST_NS, 2 * text.wait_ns)
                out.append(text.record)
        return out
