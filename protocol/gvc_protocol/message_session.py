"""Messages of one stream, boot and direction: whole ones only, each handed over once.

A message travels like a part of a unit (blocks, parity), under its own number. Half a message is worth
nothing, so there is no deadline: one that does not become whole is forgotten after some silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gvc_protocol.events import LinkCounters
from gvc_protocol.params import SECOND
from gvc_protocol.parts import Filed, PartAssembly
from gvc_protocol.wire import UNIT_BITS, Datagram, nearest

__all__ = ["MAX_MESSAGE_BYTES", "MessageSession"]

MAX_MESSAGE_BYTES = 256 << 10
"Bound on send: with all its parity in the smallest symbols it still fits in what a receiver holds."

_MAX_OPEN = 8
_MAX_OPEN_BYTES = 4 << 20
_DONE_WINDOW = 1024
"Numbers that are remembered as handed over; older ones are too late."
_FORGET_NS = 120 * SECOND
"A half-duplex link may repeat a message a minute later; its symbols add up until then."
_MAX_JUMP = 1 << 15


@dataclass(slots=True)
class _OpenMessage:
    last_heard: int
    part: PartAssembly = field(default_factory=PartAssembly)


class MessageSession:
    """`add` datagrams of part MESSAGE; take (message number, bytes) from `take_ready`."""

    def __init__(self, counters: LinkCounters) -> None:
        self._counters = counters
        self._open: dict[int, _OpenMessage] = {}
        self._ready: list[tuple[int, bytes]] = []
        self._highest = -1
        self._done = 0  # bit i: message highest - i was handed over

    @property
    def held_bytes(self) -> int:
        """Memory that open messages take, about."""
        return sum(m.part.held_bytes for m in self._open.values())

    def add(self, datagram: Datagram, now: int) -> Filed:
        """File one datagram under its message."""
        number = nearest(datagram.unit_no, UNIT_BITS, max(0, self._highest))
        if self._highest >= 0 and number > self._highest + _MAX_JUMP:
            return Filed.LATE
        if number > self._highest:
            ahead = min(number - self._highest, _DONE_WINDOW)
            self._done = self._done << ahead & (1 << _DONE_WINDOW) - 1
            self._highest = number
        behind = self._highest - number
        if behind >= _DONE_WINDOW or self._done >> behind & 1:
            return Filed.LATE
        message = self._open.setdefault(number, _OpenMessage(last_heard=now))
        message.last_heard = now
        filed = message.part.add(datagram, self._counters)
        self._finish(number, message)
        self._forget(now)
        return filed

    def take_ready(self) -> list[tuple[int, bytes]]:
        """Messages that became whole since the last call, in the order in which they did."""
        ready, self._ready = self._ready, []
        return ready

    def drop_oldest(self) -> None:
        """Give up the open message that was silent longest, to free memory."""
        if self._open:
            del self._open[min(self._open, key=lambda n: self._open[n].last_heard)]
            self._counters.messages_failed += 1

    def _finish(self, number: int, message: _OpenMessage) -> None:
        if not message.part.complete:
            return
        del self._open[number]
        whole = message.part.data(sent=True).whole
        if whole is None:
            # Blocks that do not join: a bug or a forger; a repeat under this number starts anew.
            self._counters.messages_failed += 1
            return
        self._done |= 1 << self._highest - number
        self._counters.messages += 1
        self._ready.append((number, whole))

    def _forget(self, now: int) -> None:
        for number, message in list(self._open.items()):
            if message.last_heard + _FORGET_NS <= now:
                del self._open[number]
                self._counters.messages_failed += 1
        while len(self._open) > _MAX_OPEN or self.held_bytes > _MAX_OPEN_BYTES:
            self.drop_oldest()
