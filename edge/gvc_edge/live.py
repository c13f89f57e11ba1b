"""`gvc-edge run`: encode in one thread, send in another, keep going whatever the radio does.

camera -> build_units (worker thread) -> queue -> LinkSender -> ByteLink
                                                      \\-> Spool
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from gvc_edge.offline import fill_report
from gvc_edge.pipeline import Pipeline
from gvc_edge.rate import RateControl
from gvc_edge.report import SendReport
from gvc_edge.sources import FrameSource
from gvc_edge.state import PcapFile, Spool
from gvc_edge.units import BuiltUnit, build_units
from gvc_profiles.clock import steady_clock
from gvc_profiles.links import ByteLink, can_send, state_of
from gvc_profiles.links.backoff import Backoff
from gvc_protocol.codec import SourceFrame
from gvc_protocol.events import SenderDropped
from gvc_protocol.ledger import AirtimeLedger
from gvc_protocol.params import LinkParams
from gvc_protocol.sender import LinkSender

__all__ = ["LiveRun", "PcapLink"]

_IDLE_WAIT_S = 0.05


class PcapLink:
    """`file:x.pcap`: a link that only records, with true send times."""

    def __init__(self, file: PcapFile, now: Callable[[], int]) -> None:
        self._file, self._now = file, now

    def send(self, data: bytes) -> None:
        self._file.write(data, self._now())

    def reopen(self) -> None:
        raise OSError("a capture file cannot be reopened")

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class _Failure:
    error: BaseException


class LiveRun:
    """One mission from one source over one link. `run` returns when the source ends or on `stop`."""

    def __init__(
        self, source: FrameSource, pipeline: Pipeline, params: LinkParams,
        link: ByteLink | PcapLink, spool: Spool | None, *, stream_id: int, boot_id: int,
        say: Callable[[str], None], on_status: Callable[[SendReport], None],
        ledger: AirtimeLedger | None = None,
    ) -> None:  # fmt: skip
        self._source, self._pipeline, self._params = source, pipeline, params
        self._link, self._spool = link, spool
        self._sender = LinkSender(params, stream_id=stream_id, boot_id=boot_id, ledger=ledger)
        self._say, self._on_status = say, on_status
        self._units: queue.Queue[BuiltUnit | _Failure | None] = queue.Queue(maxsize=2)
        self._stop = threading.Event()
        self._now = steady_clock()
        self._usual = params.rate_bps * float(pipeline.unit_frames / source.info.fps) / 8
        self._report = SendReport(rate_bps=params.rate_bps, fec_percent=params.fec_percent)
        self._pending: list[bytes] = []
        self._down_since: float | None = None
        self._backoff = Backoff()
        self._excess = 0  # air bytes beyond the usual one unit; written here, read by the worker

    def stop(self) -> None:
        """Finish the open unit, send what is queued, then return."""
        self._stop.set()
        # A camera that is away gives no frame at which the stop could be seen.
        self._source.close()

    def run(self) -> SendReport:
        """Send until the source ends. Re-raises what the source or the encoder raised."""
        worker = threading.Thread(target=self._encode, name="encode", daemon=True)
        worker.start()
        ended = False
        while not (ended and self._sender.idle and not self._pending and self._radio_idle()):
            ended = self._take_unit() or ended
            self._send_due()
            if ended and self._stop.is_set() and self._down_since is not None:
                self._say("stopped while the link is down; what waited in the queue was not sent")
                break
        worker.join(timeout=5)
        if self._spool is not None:
            self._spool.close()
        self._update()
        return self._report

    def _encode(self) -> None:
        """Worker thread: pace a file to its own clock, encode, hand over."""
        try:
            units = build_units(
                _Paced(self._source, self._stop), self._pipeline.encoder,
                RateControl(self._params), unit_frames=self._pipeline.unit_frames,
                eyes=self._pipeline.eyes, backlog=lambda: self._excess,
            )  # fmt: skip
            for built in units:
                self._units.put(built)
            self._units.put(None)
        except BaseException as error:
            self._units.put(_Failure(error))

    def _take_unit(self) -> bool:
        """Wait for a unit or the next packet's time; True when the source has ended."""
        due = self._sender.next_timer()
        wait = _IDLE_WAIT_S if due is None else (due - self._now()) / 1e9
        try:
            built = self._units.get(timeout=max(0.0005, min(_IDLE_WAIT_S, wait)))
        except queue.Empty:
            return False
        if isinstance(built, _Failure):
            raise built.error
        if built is None:
            return True
        self._sender.submit(built.unit, self._now())
        self._excess = max(0, self._sender.backlog_air_bytes - int(self._usual))
        self._report.frames += built.unit.descriptors.frames
        self._tell()
        if self._spool is not None:
            self._spool.sync()
        self._update()
        return False

    def _tell(self) -> None:
        """What the sender met, as lines for the operator."""
        while (event := self._sender.next_event()) is not None:
            if isinstance(event, SenderDropped):
                self._say(
                    f"link too slow: dropped {event.symbols} packets of unit {event.unit_no} "
                    f"(part {'DKF'[event.part]})"
                )
            else:
                self._say(event.as_text())

    def _radio_takes(self) -> bool:
        """Whether the radio has room; a full one keeps the packets here, where they drop by class."""
        try:
            return can_send(self._link)
        except OSError as error:
            self._reconnect(error)
            return False

    def _radio_idle(self) -> bool:
        """Whether the link holds nothing of ours any more (message links wait for their session)."""
        if self._stop.is_set():
            return True
        try:
            state = state_of(self._link)
        except OSError as error:
            self._reconnect(error)
            return False
        return state is None or not state.waiting_packets

    def _send_due(self) -> None:
        if not self._pending and self._radio_takes():
            # While the link is down the sender keeps the queue: it alone paces, and drops by class.
            self._pending = self._sender.datagrams_to_send(self._now())
            self._tell()
        while self._pending:
            try:
                self._link.send(self._pending[0])
            except OSError as error:
                self._reconnect(error)
                return
            packet = self._pending.pop(0)
            if self._down_since is not None:
                self._say(f"link is back after {time.monotonic() - self._down_since:.1f} s")
                self._down_since = None
                self._backoff.reset()
            if self._spool is not None:
                self._spool.write(packet, self._now())
                if self._spool.problem:
                    self._say(self._spool.problem)
                    self._spool = None

    def _reconnect(self, error: OSError) -> None:
        """The radio is away: keep what is queued, try again, tell the operator once."""
        if isinstance(self._link, PcapLink):
            raise error
        if self._down_since is None:
            self._down_since = time.monotonic()
            self._say(f"link is down ({error}); nothing is lost, trying again")
        time.sleep(self._backoff.wait_s())
        with suppress(OSError):
            self._link.reopen()

    def _update(self) -> None:
        seconds = self._report.frames / float(self._source.info.fps)
        fill_report(self._report, self._sender, self._params, seconds)
        self._report.frames_per_s = self._report.frames / max(1e-9, seconds)
        self._on_status(self._report)


class _Paced:
    """A source that gives its frames no earlier than a camera would, and ends on `stop`."""

    def __init__(self, source: FrameSource, stop: threading.Event) -> None:
        self._source, self._stop = source, stop
        self.info = source.info

    def frames(self) -> Iterator[SourceFrame]:
        began = time.monotonic()
        for count, frame in enumerate(self._source.frames()):
            if not self.info.live:
                ahead = began + float(count / self.info.fps) - time.monotonic()
                if ahead > 0:
                    self._stop.wait(ahead)
            if self._stop.is_set():
                return
            yield frame

    def close(self) -> None:
        self._source.close()
