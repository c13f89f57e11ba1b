"""`gvc-base run`: several links, one archive, a picture of each camera.

    LinkRun (thread, one a link) -> archive, StreamRun (one a camera: decoder thread, screen)
    the calling thread: once a second link samples, map, snapshots, disk

Everything that is lost in here is a picture of this moment only: the archive has every byte, and
`gvc-base decode MISSION.db` gives the same pictures again, all of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from gvc_base.ask_state import why_not_asked
from gvc_base.asks import AskServer
from gvc_base.backchannel import BaseBackChannel
from gvc_base.refusals import RefusalTeller
from gvc_base.report import DecodeReport
from gvc_base.station.link import LinkRun
from gvc_base.station.shared import LinkSetup, Shared
from gvc_base.station.storage import Storage
from gvc_base.station.stream import StreamRun
from gvc_profiles.replay_store import ReplayStore
from gvc_protocol.errors import UserError
from gvc_protocol.params import SECOND
from gvc_protocol.wire import RejectReason

__all__ = ["LiveBase"]

_TICK_S = 0.25
_FLUSH_NS = 10 * SECOND
_FINISH_S = 60.0


class LiveBase:
    """One run of the base, from `run` until `stop`."""

    def __init__(
        self, shared: Shared, setups: Sequence[LinkSetup], *, replay: ReplayStore | None = None,
        on_ack: Callable[[int, int], None] = lambda _row, _count: None,
    ) -> None:  # fmt: skip
        """Args:
        replay: what was believed before, kept on disk; its guard is `shared.guard`.
        on_ack: called with (last archive row, rows) after each commit.
        """
        self.shared = shared
        self._replay = replay
        self._stop = threading.Event()
        self.links = tuple(LinkRun(shared, setup, self._stop, on_ack=on_ack) for setup in setups)
        record = shared.options.record
        self.storage = Storage(shared.archive, () if record is None else (record,))
        self._teller = RefusalTeller(shared.say)
        self._second = self._flushed = 0
        self._healthy = True
        self._looks: list[Callable[[], str]] = []
        self._door = AskServer(shared.archive.path, self._backs, shared.now, shared.say)

    @property
    def streams(self) -> tuple[StreamRun, ...]:
        """All cameras that were heard, link by link."""
        return tuple(stream for link in self.links for stream in link.streams)

    def stop(self) -> None:
        """End the mission: close open units, finish the pictures, return from `run`."""
        self._stop.set()

    def run(self, *, seconds: float | None = None) -> DecodeReport:
        """Receive until `stop` or for so many seconds."""
        until = None if seconds is None else time.monotonic() + seconds
        for link in self.links:
            link.start()
        try:
            while not self._stop.is_set() and (until is None or time.monotonic() < until):
                self._tick(self.shared.now())
                self._stop.wait(_TICK_S)
                if all(link.error is not None for link in self.links):
                    break
        finally:
            self._stop.set()
            self.shared.say("ending: the last units are decoded and the archive is closed")
            self._door.close()
            for link in self.links:
                link.join()
            self._save_replay()
            for stream in self.streams:
                stream.finish(_FINISH_S)
            self.shared.archive.flush()
        errors = [link.error for link in self.links if link.error is not None]
        if errors and len(errors) == len(self.links):
            raise errors[0]
        return self._report()

    def warnings(self) -> tuple[str, ...]:
        """What the operator has to know now, a line each."""
        health = self.shared.archive.health
        lines = [
            health.line,
            self.storage.warning(),
            "" if self._replay is None else self._replay.problem,
            "" if self.shared.workers is None else self.shared.workers.problem,
        ]
        lines += [
            f"{link.setup.url}: {link.problem}" if link.problem else "" for link in self.links
        ]
        if health.ok and health.dropped_rows:
            lines.append(f"{health.dropped_rows} datagrams were lost while the disk was full")
        lines += [stream.slow() for stream in self.streams]
        lines += [look() for look in self._looks]
        return tuple(line for line in lines if line)

    def add_warning(self, look: Callable[[], str]) -> None:
        """One more that may have a line for `warnings`, or an empty one; called from any thread."""
        self._looks.append(look)

    def _backs(self) -> list[tuple[str, BaseBackChannel]]:
        found = [(stream.drone_id, stream.back) for stream in self.streams]
        if not found:
            keyed = self.shared.key is not None
            whys = [why_not_asked(k.setup.profile.backchannel, keyed=keyed) for k in self.links]
            raise UserError(whys[0] or "no camera was heard yet, so there is nobody to ask")
        return found

    def _tick(self, now: int) -> None:
        self.storage.tick(now)
        healthy = self.shared.archive.health.ok
        if healthy != self._healthy:
            self._healthy = healthy
            line = "the archive is written again" if healthy else self.shared.archive.health.line
            self.shared.events.add("storage", line, time_ns=now)
        if now - self._second >= SECOND:
            self._second = now
            for stream in self.streams:
                stream.tick(now)
            self._save_replay(now)
        if now - self._flushed >= _FLUSH_NS:
            self._flushed = now
            self.shared.archive.flush()

    def _save_replay(self, now: int | None = None) -> None:
        if self._replay is None:
            return
        with self.shared.believing:
            if now is None:
                self._replay.save()
            else:
                self._replay.tick(now)
        self._teller.problem(self._replay.problem)

    def _report(self) -> DecodeReport:
        options, key = self.shared.options, self.shared.key
        total = DecodeReport(
            quality=options.quality, key="" if key is None else key.fingerprint,
            authenticated=key is not None,
        )  # fmt: skip
        for link in self.links:
            _add_link(total, link)
            for stream in link.streams:
                name = "" if self.shared.alone and len(link.streams) == 1 else stream.drone_id
                _add_stream(total, stream.report, name)
        total.packets_sent = total.packets_received + total.packets_lost
        total.air_bps = total.air_bytes * 8 / total.seconds if total.seconds else 0.0
        return total


def _add_link(total: DecodeReport, link: LinkRun) -> None:
    counters = link.counters
    total.air_bytes += counters.bytes_received
    total.packets_received += counters.received
    total.packets_lost += link.lost_datagrams
    total.packets_repaired += counters.repaired_symbols
    total.packets_late += counters.late
    total.packets_duplicate += counters.duplicates
    for reason, number in counters.rejected.items():
        name = reason.name.lower()
        total.packets_rejected[name] = total.packets_rejected.get(name, 0) + number
    if hidden := counters.rejected.get(RejectReason.ENCRYPTED, 0):
        total.notes.append(f"{hidden} datagrams are encrypted; --key FILE reads them")


def _add_stream(total: DecodeReport, one: DecodeReport, name: str) -> None:
    for field in ("payload_bytes", "units_sent", "units_decoded", "units_whole", "units_degraded",
                  "units_lost", "frames"):  # fmt: skip
        setattr(total, field, getattr(total, field) + getattr(one, field))
    total.seconds = max(total.seconds, one.seconds)
    total.frames_per_s += one.frames_per_s
    total.decoder = one.decoder or total.decoder
    total.notes += [f"{name}: {note}" if name else note for note in one.notes]
