"""One link of the base, on a thread of its own: store, then parse, then talk back.

    ByteLink -> GroupCommit (on disk) -> LinkReceiver -> StreamRun (one a camera)

It waits for its radio and for the disk, never for a decoder, a browser or another link.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from itertools import count

from gvc_base.refusals import RefusalTeller
from gvc_base.station.rows import ReadRows
from gvc_base.station.samples import LinkFacts
from gvc_base.station.shared import LinkSetup, Shared
from gvc_base.station.stream import StreamRun
from gvc_profiles.links import LinkState, Received, state_of
from gvc_profiles.links.backoff import Backoff
from gvc_protocol.events import LinkCounters, ReceiverEvent, UnitReady
from gvc_protocol.params import SECOND
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.wire import Datagram

__all__ = ["LinkRun"]

_POLL_S = 0.2
_MUTE_NS = 60 * SECOND
_FACTS_NS = SECOND // 2
_MOST_STREAMS = 8
"Each has a decoder thread: whoever invents streams shall not have one for every datagram."
_MOST_FAILURES = 5
"Errors of our own in a row, after which going on is no use."


class LinkRun:
    """Runs until `stop` is set."""

    def __init__(
        self, shared: Shared, setup: LinkSetup, stop: threading.Event, *,
        on_ack: Callable[[int, int], None],
    ) -> None:  # fmt: skip
        """`on_ack` is called with (last archive row, rows) after each commit."""
        self.setup = setup
        self._shared, self._stop, self._on_ack = shared, stop, on_ack
        self._filed: list[tuple[Datagram, int, int]] = []
        self._reads = ReadRows()
        self._receiver = LinkReceiver(
            setup.params, key=shared.key, replay=shared.guard,
            on_datagram=lambda d: self._filed.append((d, *self._reads.span)),
        )  # fmt: skip
        self._streams: dict[int, StreamRun] = {}
        self._bytes: dict[int, int] = {}
        self._unclaimed = 0
        self._numbers = count(1)
        self._turned_away = self._down = False
        self._refused = RefusalTeller(self._say)
        self._backoff = Backoff()
        self._muted_until = self._facts_at = 0
        self._radio: LinkState | None = None
        self.problem = ""
        "What is wrong with this link now, in a line for the operator; empty while nothing is."
        self.error: Exception | None = None
        "What ended the thread."
        self._thread = threading.Thread(target=self._loop, name=f"link-{setup.number}", daemon=True)

    @property
    def streams(self) -> tuple[StreamRun, ...]:
        """Cameras that were heard, the first one first."""
        return tuple(self._streams.values())

    @property
    def counters(self) -> LinkCounters:
        """The receiver's totals."""
        return self._receiver.counters

    @property
    def lost_datagrams(self) -> int:
        """Sequence numbers that were passed over."""
        return self._receiver.lost_datagrams()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait until it has ended and given the last units on."""
        self._thread.join()

    def _say(self, line: str) -> None:
        self._shared.say(line if self._shared.alone else f"link {self.setup.number}: {line}")

    def _loop(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._step()
                failures = 0
            except Exception as error:  # a mistake of ours on one link must not end the others
                failures += 1
                self.problem = f"link {self.setup.number} met an error of our own: {error!r}"
                self._say(self.problem)
                if failures >= _MOST_FAILURES:
                    self.error = error
                    break
                self._stop.wait(0.2 * failures)
        try:
            self._close()
        except Exception as error:
            self.error = self.error or error

    def _step(self) -> None:
        try:
            got = self.setup.link.receive(self._wait_s())
        except OSError as error:
            self._reconnect(error)
            return
        now = self._shared.now()
        first = 0
        if got:
            # On disk first: a crash from here on loses no received byte.
            items = [(now, item.source, item.data) for item in got]
            first, last = self._shared.commits.append(self.setup.session_id, items)
            self._on_ack(last, len(got))
        with self._believing():
            self._parse(got, first, now)
        self._events()
        self._talk(now)
        self._facts(now)
        self._refused.tick(self.counters.rejected, now)

    def _believing(self) -> threading.Lock | nullcontext[None]:
        """With a key all links share what was believed so far: one at a time changes it."""
        return nullcontext() if self._shared.guard is None else self._shared.believing

    def _parse(self, got: list[Received], first_row: int, now: int) -> None:
        for number, item in enumerate(got):
            self._reads.begin(first_row + number if first_row else 0)
            before = len(self._filed)
            self._receiver.receive(item.data, now)
            self._reads.end(filed=len(self._filed) > before, pending=self._receiver.pending)
            self._unclaimed += len(item.data)
            self._claim([d for d, _, _ in self._filed[before:]])
        self._receiver.handle_timer(now)

    def _claim(self, filed: list[Datagram]) -> None:
        """Count bytes as those of the cameras whose datagrams they ended in."""
        if not filed:
            return
        share = self._unclaimed // len(filed)
        for datagram in filed:
            self._bytes[datagram.stream_id] = self._bytes.get(datagram.stream_id, 0) + share
        self._unclaimed -= share * len(filed)

    def _events(self) -> None:
        while (event := self._receiver.next_event()) is not None:
            self._shared.archive.record(self.setup.session_id, event)
            stream = self._stream_of(event)
            if stream is not None:
                stream.event(event)
        filed, self._filed = self._filed, []
        for datagram, first, last in filed:
            if (stream := self._streams.get(datagram.stream_id)) is not None:
                stream.rows.add(datagram, first, last)

    def _stream_of(self, event: ReceiverEvent) -> StreamRun | None:
        number = getattr(event, "stream_id", None)
        wanted = self._shared.options.stream_id
        if not isinstance(number, int) or (wanted is not None and number != wanted):
            return None
        if number not in self._streams:
            if not self._room(unit=isinstance(event, UnitReady)):
                return None
            self._streams[number] = StreamRun(
                self._shared, self.setup, number, first=not self._streams,
                reception=self._receiver.reception, numbers=self._numbers, radio=lambda: self._radio,
            )  # fmt: skip
        return self._streams[number]

    def _room(self, *, unit: bool) -> bool:
        """Whether one more camera has its place. One that gave a unit outdoes one that gave none."""
        if len(self._streams) < _MOST_STREAMS:
            return True
        silent = next((s for s in self._streams.values() if not s.units), None)
        if unit and silent is not None:
            del self._streams[silent.stream_id]
            silent.close()
            return True
        if not self._turned_away:
            self._turned_away = True
            self._say(
                f"more than {_MOST_STREAMS} cameras are heard here; the others are stored, not shown: "
                "--stream N follows one"
            )
        return False

    def _talk(self, now: int) -> None:
        """Send the edges what is due. A port that takes nothing must not keep us from listening."""
        if now < self._muted_until:
            return
        try:
            for stream in self.streams:
                with self.setup.air:
                    packets = stream.packets(now)
                for packet in packets:
                    self.setup.link.send(packet)
        except OSError as error:
            self._muted_until = now + _MUTE_NS
            self._say(f"cannot send to the edge ({error}); trying again in a minute")

    def _facts(self, now: int) -> None:
        if now < self._facts_at:
            return
        self._facts_at = now + _FACTS_NS
        with suppress(OSError):  # the receiving side meets the same error, and mends it
            self._radio = state_of(self.setup.link)
        self.problem = "" if self._radio is None else self._radio.problem
        left: float | None = None
        if (ledger := self.setup.ledger) is not None:
            with self.setup.air:
                left = (1 - ledger.used_share(now)) * ledger.limit.budget_ns / SECOND
        for number, stream in self._streams.items():
            # Alone on its link a camera has all of it, what could not be read, too.
            whole = self.counters.bytes_received if len(self._streams) == 1 else None
            stream.publish(
                LinkFacts.of(
                    self._radio, air_bytes=self._bytes.get(number, 0) if whole is None else whole,
                    airtime_left_s=left,
                )
            )  # fmt: skip

    def _wait_s(self) -> float:
        due = self._receiver.next_timer()
        if due is None:
            return _POLL_S
        return min(_POLL_S, max(0.001, (due - self._shared.now()) / SECOND))

    def _reconnect(self, error: OSError) -> None:
        line = f"link is down ({error}); trying again"
        if not self._down:
            self._say(line)
            self._shared.events.add("link", f"{self.setup.url}: {line}")
        self.problem, self._down = line, True
        self._stop.wait(self._backoff.wait_s())
        with suppress(OSError):
            self.setup.link.reopen()
            self.problem, self._down = "", False
            self._backoff.reset()
            self._say("link is back")
            self._shared.events.add("link", f"{self.setup.url}: link is back")

    def _close(self) -> None:
        ended = self._shared.now()
        # An exact replay needs the moment at which open units were closed.
        self._shared.archive.record_event(self.setup.session_id, ended, "session_ended", {})
        with self._believing():
            self._receiver.close(ended)
        self._events()
        for stream in self.streams:
            stream.close()
