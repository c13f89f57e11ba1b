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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from gvc_edge.backchannel import CommandLog, EdgeBackChannel
from gvc_edge.offline import fill_report
from gvc_edge.pictures import PictureSpool
from gvc_edge.pipeline import Pipeline
from gvc_edge.rate import RateControl, minimum_bps
from gvc_edge.regions import RegionAnswers
from gvc_edge.report import SendReport
from gvc_edge.sources import FrameSource
from gvc_edge.state import PcapFile, Spool
from gvc_edge.units import BuiltUnit, build_units
from gvc_edge.windows import window_times
from gvc_profiles.clock import steady_clock
from gvc_profiles.links import ByteLink, can_send, state_of
from gvc_profiles.links.backoff import Backoff
from gvc_profiles.replay_store import ReplayStore
from gvc_protocol.adapt import AdaptLimits, LinkSetting
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import SourceFrame
from gvc_protocol.events import SenderDropped
from gvc_protocol.ledger import AirtimeLedger
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.reports import report_period_ns
from gvc_protocol.sender import LinkSender

__all__ = ["BackOptions", "LiveRun", "PcapLink"]

_IDLE_WAIT_S = 0.05
_PICTURE_EVERY_S = 0.98


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


_REPORT_AIR_BYTES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOptions:
    """What the run does with the way back from the base."""

    mode: str = "anytime"
    "none, anytime, or windows (half duplex: the edge falls silent for `listen_ms`)."
    listen_ms: float = 0.0
    adapt: bool = True
    state_dir: Path | None = None
    "Where done commands and source pictures are kept; None: no pictures, commands in memory."
    pictures_bytes: int = 256 << 20
    replay: ReplayStore | None = None
    "What was believed before, on disk; with a key."


@runtime_checkable
class _Steered(Protocol):
    """An encoder that can be asked for more than its budget."""

    def refresh(self) -> None: ...

    def bound(self, finest: int, coarsest: int) -> None: ...


@dataclass(slots=True)
class _Failure:
    error: BaseException


class LiveRun:
    """One mission from one source over one link. `run` returns when the source ends or on `stop`."""

    def __init__(
        self, source: FrameSource, pipeline: Pipeline, params: LinkParams,
        link: ByteLink | PcapLink, spool: Spool | None, *, stream_id: int, boot_id: int,
        say: Callable[[str], None], on_status: Callable[[SendReport], None],
        key: LinkKey | None = None, back: BackOptions | None = None,
        ledger: AirtimeLedger | None = None,
    ) -> None:  # fmt: skip
        self._source, self._pipeline, self._params = source, pipeline, params
        self._link, self._spool = link, spool
        self._sender = LinkSender(
            params, stream_id=stream_id, boot_id=boot_id, key=key, ledger=ledger
        )
        self._say, self._on_status = say, on_status
        self._units: queue.Queue[BuiltUnit | _Failure | None] = queue.Queue(maxsize=2)
        self._stop = threading.Event()
        self._now = steady_clock()
        self._usual = params.rate_bps * float(pipeline.unit_frames / source.info.fps) / 8
        self._report = SendReport(rate_bps=params.rate_bps, fec_percent=params.fec_percent)
        self._report.note_key(key, encrypted=params.encrypted)
        self._pending: list[bytes] = []
        self._down_since: float | None = None
        self._replay: ReplayStore | None = None
        self._windows = 1.0  # share of the time that is left for sending
        self._rate = RateControl(params)
        self._setting: LinkSetting | None = None
        self._keyframe, self._bounds = threading.Event(), (0, 3)
        self._pictures: PictureSpool | None = None
        self._next_picture = 0.0
        self._back = self._make_back(back or BackOptions(), key, stream_id, boot_id)
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
            self._listen()
            if ended and self._stop.is_set() and self._down_since is not None:
                self._say("stopped while the link is down; what waited in the queue was not sent")
                break
        worker.join(timeout=5)
        if self._spool is not None:
            self._spool.close()
        if self._back is not None:
            self._back.close()
        if self._replay is not None:
            self._replay.save()
        self._update()
        return self._report

    # --- the way back

    def _make_back(
        self, options: BackOptions, key: LinkKey | None, stream_id: int, boot_id: int
    ) -> EdgeBackChannel | None:
        if options.mode == "none" or isinstance(self._link, PcapLink):
            return None
        report_ns = report_period_ns(self._params.rate_bps, _REPORT_AIR_BYTES)
        if options.mode == "windows":
            every, listen_ns = window_times(options.listen_ms)
            self._sender.listen_each(every, listen_ns)
            report_ns = max(report_ns, every + listen_ns)
            # What is spent in silence cannot be promised to the encoder.
            self._windows = every / (every + listen_ns)
        regions, log = None, CommandLog(None)
        if options.state_dir is not None:
            log = CommandLog(options.state_dir / "commands.json")
            self._pictures = PictureSpool(
                options.state_dir / "pictures", boot_id, limit_bytes=options.pictures_bytes
            )
            regions = RegionAnswers(self._pictures)
        unit_s = float(self._pipeline.unit_frames / self._source.info.fps)
        least = minimum_bps(self._params, unit_s, self._pipeline.encoder.minimum_payload)
        packet = self._params.air_bytes(self._params.framing.max_datagram_bytes)
        limits = AdaptLimits(
            ceiling_bps=self._params.rate_bps, floor_bps=min(least, self._params.rate_bps),
            fec_percent=self._params.fec_percent, unit_ns=int(unit_s * SECOND), packet_bytes=packet,
            report_ns=report_ns,
            # Every unit of interleave is a unit of delay: four seconds of it at most.
            max_interleave=min(2, int(4 / unit_s)),
        )  # fmt: skip
        self._replay = options.replay
        guard = None if options.replay is None else options.replay.guard
        receiver = LinkReceiver(self._params, from_base=True, key=key, replay=guard)
        return EdgeBackChannel(
            receiver, limits,
            stream_id=stream_id, boot_id=boot_id, log=log, regions=regions, say=self._say,
            wall_us=lambda: self._now() // 1000, on_keyframe=self._keyframe.set,
            on_bounds=self._set_bounds, on_turn=lambda: self._sender.hear_over(self._now()),
            adapt=options.adapt,
        )  # fmt: skip

    def _listen(self) -> None:
        """Take what the base sent, run on the setting that follows, queue what it asked for."""
        if self._back is None or isinstance(self._link, PcapLink) or self._down_since is not None:
            return
        try:
            got = self._link.receive(0.0)
        except OSError as error:
            self._reconnect(error)
            return
        now = self._now()
        for item in got:
            self._back.receive(item.data, now)
        if self._replay is not None:
            self._replay.tick(now)
        for data in self._back.outgoing(now, self._params.rate_bps):
            self._sender.send_message(data, now)
        self._adapt(self._back.setting(now), self._back.answer_share)

    def _adapt(self, setting: LinkSetting, answer_share: float) -> None:
        before = self._setting
        for_units = setting.rate_bps * (1 - answer_share) * self._windows
        self._rate.use(replace(self._params, rate_bps=for_units, fec_percent=setting.fec_percent))
        self._usual = for_units * float(self._pipeline.unit_frames / self._source.info.fps) / 8
        if setting == before:
            return
        self._setting = setting
        self._sender.set_link(
            rate_bps=setting.rate_bps, pace_bps=setting.pace_bps, fec_percent=setting.fec_percent,
            interleave=setting.interleave,
        )  # fmt: skip
        self._report.fec_percent = setting.fec_percent
        if before is not None and setting.closed_loop != before.closed_loop:
            self._say(
                "the base reports: adapting to the link" if setting.closed_loop
                else "no reports from the base: back to the open-loop setting"
            )  # fmt: skip

    def _set_bounds(self, finest: int, coarsest: int) -> None:
        self._bounds = (finest, coarsest)

    def _begin_unit(self, _unit_no: int) -> None:
        """Worker thread: what the base asked of the encoder."""
        encoder = self._pipeline.encoder
        if isinstance(encoder, _Steered):
            encoder.bound(*self._bounds)
            if self._keyframe.is_set():
                self._keyframe.clear()
                encoder.refresh()

    def _keep_picture(self, unit_no: int, offset: int, frame: SourceFrame) -> None:
        """Worker thread: about one picture a second, and the first of every unit."""
        at = frame.capture_us / 1e6
        if self._pictures is None or (offset and at < self._next_picture):
            return
        self._next_picture = at + _PICTURE_EVERY_S
        had = self._pictures.problem
        self._pictures.keep(unit_no, offset, frame.pixels)
        if self._pictures.problem and not had:
            self._say(self._pictures.problem)

    def _encode(self) -> None:
        """Worker thread: pace a file to its own clock, encode, hand over."""
        try:
            units = build_units(
                _Paced(self._source, self._stop), self._pipeline.encoder,
                self._rate, unit_frames=self._pipeline.unit_frames,
                eyes=self._pipeline.eyes, backlog=lambda: self._excess,
                on_begin=self._begin_unit, on_picture=self._keep_picture,
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
            now = self._now()
            self._pending = self._sender.datagrams_to_send(now)
            if self._back is not None:
                self._back.note_sent(self._sender.take_sent(), now)
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
