"""Sans-IO receiver: `(bytes, now)` in, events out. Never raises for what it is fed.

Timers run at the time they were due, not at the time somebody looked: `receive(data, now)` first runs
what was due before `now`. So a replay of the recorded `(time, bytes)` gives exactly the live events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gvc_protocol.auth import LinkKey, Opener
from gvc_protocol.codec import ReceivedUnit
from gvc_protocol.events import (
    DatagramRejected,
    DatagramsRejected,
    LinkCounters,
    MessageReady,
    ReceiverEvent,
    SessionStarted,
    TurnGiven,
    UnitReady,
)
from gvc_protocol.framing import Deframer, Rejected
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.parts import Filed
from gvc_protocol.replay import ReplayGuard
from gvc_protocol.reports import Reception
from gvc_protocol.session import UnitSession
from gvc_protocol.wire import Datagram, RejectReason

__all__ = ["LinkReceiver"]

_MAX_SESSIONS = 32
_MAX_HELD_BYTES = 32 << 20
"Memory for all open units together, about: forged streams share it with the true one."
_IDLE_NS = 60 * SECOND
_FEEDS_KEPT = 512
_TOLD_A_SECOND = 32
"Refused datagrams that are told one by one; the others of that second by number, so a flood is small."


@dataclass(slots=True)
class _Untold:
    """Refused datagrams of the running second."""

    since: int = -SECOND
    told: int = 0
    counts: dict[RejectReason, int] = field(default_factory=dict)


class LinkReceiver:
    """Everything that arrives on one link, from any number of streams and boots."""

    def __init__(
        self, params: LinkParams, *, from_base: bool = False, key: LinkKey | None = None,
        replay: ReplayGuard | None = None,
        on_datagram: Callable[[Datagram], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """Args:
        from_base: what is awaited here: False at a base station, True at a camera.
        key: with it only what it vouches for is believed; nothing else makes a session.
        replay: what was believed before, of earlier runs too; the receiver goes on in it.
        on_datagram: sees each datagram that was filed (believed, and no repeat), before any event
            that follows from it.
        """
        self._on_datagram = on_datagram
        self._opener = None if key is None else Opener(key, replay or ReplayGuard())
        self._params = params
        self._from_base = from_base
        self._untold = _Untold()
        self._deframer = Deframer(params.framing)
        self._sessions: dict[tuple[int, int], UnitSession] = {}
        self._events: deque[ReceiverEvent] = deque()
        self._stall_at: int | None = None
        self._feeds: deque[tuple[int, int]] = deque(maxlen=_FEEDS_KEPT)  # (bytes so far, time)
        self._lost_in_evicted = 0
        self.counters = LinkCounters()

    def receive(self, data: bytes, now: int) -> None:
        """Take what the radio gave: one packet, or any piece of a byte stream."""
        self.handle_timer(now)
        self.counters.bytes_received += len(data)
        self._feeds.append((self.counters.bytes_received, now))
        self._take(self._deframer.feed(data), now)
        self._stall_at = now + self._params.stall_ns if self._deframer.pending else None

    def next_event(self) -> ReceiverEvent | None:
        """The oldest event not yet taken, or None: more bytes or time are needed."""
        return self._events.popleft() if self._events else None

    def next_timer(self) -> int | None:
        """When `handle_timer` has something to do, or None."""
        times = [t for s in self._sessions.values() if (t := s.next_timer()) is not None]
        if self._stall_at is not None:
            times.append(self._stall_at)
        return min(times, default=None)

    def handle_timer(self, now: int) -> None:
        """Run every timer that is due by `now`, each at its own time, in order."""
        while (due := self.next_timer()) is not None and due <= now:
            if due == self._stall_at:
                self._stall_at = None
                self._take(self._deframer.flush(), due)
            for key, session in list(self._sessions.items()):
                self._emit(key, session.handle_timer(due), due)

    def close(self, now: int) -> None:
        """No more bytes will come: close every unit with what it has."""
        self.handle_timer(now)
        self._take(self._deframer.flush(), now)
        for key, session in self._sessions.items():
            self._emit(key, session.close(), now)
        self._tell(now)

    def lost_datagrams(self) -> int:
        """Sequence numbers that were passed over so far, all sessions together."""
        return sum(s.lost for s in self._sessions.values()) + self._lost_in_evicted

    def reception(self, stream_id: int, boot_id: int) -> Reception | None:
        """What a report on this stream and boot tells, or None while nothing of it was heard."""
        session = self._sessions.get((stream_id, boot_id))
        return None if session is None else session.reception(boot_id)

    @property
    def pending(self) -> bool:
        """Whether bytes of a datagram wait for their rest."""
        return self._stall_at is not None

    @property
    def skipped_bytes(self) -> int:
        """Bytes of a stream that belonged to no datagram."""
        return self._deframer.skipped_bytes

    @property
    def _authenticated(self) -> bool:
        return self._opener is not None

    def _take(self, items: list[Datagram | Rejected], now: int) -> None:
        for item, behind in zip(items, self._deframer.behind, strict=True):
            if isinstance(item, Rejected):
                self._reject(item.reason, item.raw, now)
            else:
                self._datagram(item, self._came_at(behind, now), now)

    def _came_at(self, behind: int, now: int) -> int:
        """When the last byte of a datagram came that has so many bytes behind it by now."""
        end, came = self.counters.bytes_received - behind, now
        for total, at in reversed(self._feeds):
            if total < end:
                break
            came = at
        return came

    def _reject(self, reason: RejectReason, raw: bytes, now: int) -> None:
        self.counters.rejected[reason] = self.counters.rejected.get(reason, 0) + 1
        if now >= self._untold.since + SECOND:
            self._tell(now)
            self._untold.since = now
        if self._untold.told < _TOLD_A_SECOND:
            self._untold.told += 1
            self._events.append(DatagramRejected(reason=reason, raw=raw, now=now))
        else:
            self._untold.counts[reason] = self._untold.counts.get(reason, 0) + 1

    def _tell(self, now: int) -> None:
        """Number the refused datagrams of the last second that were not told one by one."""
        if self._untold.counts:
            since = self._untold.since
            self._events.append(DatagramsRejected(counts=self._untold.counts, since=since, now=now))
        self._untold = _Untold(since=self._untold.since)

    def _datagram(self, datagram: Datagram, came: int, now: int) -> None:
        if datagram.from_base is not self._from_base:
            self._reject(RejectReason.WRONG_DIRECTION, datagram.payload, now)
            return
        if self._opener is not None:
            opened = self._opener.open(datagram)
            if opened is None:
                self.counters.duplicates += 1
                return
            if isinstance(opened, RejectReason):
                self._reject(opened, datagram.payload, now)
                return
            datagram = opened
        elif datagram.encrypted:
            self._reject(RejectReason.ENCRYPTED, datagram.payload, now)
            return
        key = (datagram.stream_id, datagram.boot_id)
        session = self._sessions.get(key)
        if session is None:
            session = self._start(key, now)
        outcome = session.add(datagram, now, came)
        counters = self.counters
        if outcome is Filed.CONFLICT:
            self._reject(RejectReason.CONFLICT, datagram.payload, now)
        elif outcome is Filed.DUPLICATE:
            counters.duplicates += 1
        else:
            counters.received += 1
            counters.late += outcome is Filed.LATE
            self._on_datagram(datagram)
        if datagram.over and outcome is not Filed.DUPLICATE:
            self._events.append(TurnGiven(stream_id=key[0], boot_id=key[1], now=now))
        self._emit(key, session.take_ready(now), now)
        for number, data in session.take_messages():
            self._events.append(
                MessageReady(
                    stream_id=key[0], boot_id=key[1], from_base=self._from_base,
                    message_no=number, data=data, now=now, authenticated=self._authenticated,
                )
            )  # fmt: skip
        while sum(s.held_bytes for s in self._sessions.values()) > _MAX_HELD_BYTES:
            key, session = max(self._sessions.items(), key=lambda item: item[1].held_bytes)
            self._emit(key, session.close_oldest(), now)

    def _start(self, key: tuple[int, int], now: int) -> UnitSession:
        if len(self._sessions) >= _MAX_SESSIONS:
            # Bounded: a forger who invents streams costs memory for 32 of them, not more.
            old_key = self._least_useful(now)
            old = self._sessions.pop(old_key)
            self._emit(old_key, old.close(), now)
            self._lost_in_evicted += old.lost
        session = self._sessions[key] = UnitSession(self._params, self.counters)
        self._events.append(
            SessionStarted(
                stream_id=key[0], boot_id=key[1], now=now, authenticated=self._authenticated
            )
        )
        return session

    def _least_useful(self, now: int) -> tuple[int, int]:
        """The session longest silent, if silent at all; else the one that was heard least."""
        oldest = min(self._sessions, key=lambda k: self._sessions[k].last_heard)
        if self._sessions[oldest].last_heard + _IDLE_NS <= now:
            return oldest
        return min(self._sessions, key=lambda k: self._sessions[k].heard)

    def _emit(self, key: tuple[int, int], units: list[ReceivedUnit], now: int) -> None:
        for unit in units:
            if unit.whole:
                self.counters.units_whole += 1
            else:
                self.counters.units_degraded += 1
            self._events.append(
                UnitReady(
                    stream_id=key[0], boot_id=key[1], unit=unit, now=now,
                    authenticated=self._authenticated,
                )
            )  # fmt: skip
