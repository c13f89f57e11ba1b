"""`gvc-edge run`: encode in one thread, send in another, keep going whatever the radio does.

camera -> build_units (worker thread) -> queue -> LinkSender -> ByteLink
                                                      \\-> Spool
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from gvc_edge.door import SayServer
from gvc_edge.offline import fill_report
from gvc_edge.paced import Paced, PcapLink
from gvc_edge.pipeline import Pipeline
from gvc_edge.place.watch import PlaceWatch
from gvc_edge.rate import RateControl
from gvc_edge.report import SendReport
from gvc_edge.sources import FrameSource
from gvc_edge.sources.base import MayBeAway
from gvc_edge.state import Spool
from gvc_edge.status import MissionStatus, Watcher
from gvc_edge.units import BuiltUnit, build_units
from gvc_edge.way_back import BackOptions, WayBack, open_way_back
from gvc_profiles.clock import steady_clock
from gvc_profiles.links import ByteLink, can_send, state_of
from gvc_profiles.links.backoff import Backoff
from gvc_protocol.adapt import LinkSetting
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import SourceFrame
from gvc_protocol.events import SenderDropped
from gvc_protocol.ledger import AirtimeLedger
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.sender import LinkSender

__all__ = ["LiveRun"]

_IDLE_WAIT_S = 0.05
_PICTURE_EVERY_S = 0.98
_LOOK_S = 0.5


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
        say: Callable[[str], None], watcher: Watcher | None = None,
        key: LinkKey | None = None, back: BackOptions | None = None,
        ledger: AirtimeLedger | None = None, place: PlaceWatch | None = None,
    ) -> None:  # fmt: skip
        self._source, self._pipeline, self._params = source, pipeline, params
        self._link, self._spool, self._place = link, spool, place
        self._sender = LinkSender(
            params, stream_id=stream_id, boot_id=boot_id, key=key, ledger=ledger
        )
        self._stop, self._hurry = threading.Event(), False
        self._say, self._watcher = say, watcher or Watcher()
        self._paced, self._next_look = Paced(source, self._stop), 0.0
        self._ladder: int | None = None
        self._airtime, self._spool_problem = ledger, ""
        self._units: queue.Queue[BuiltUnit | _Failure | None] = queue.Queue(maxsize=2)
        self._now = steady_clock()
        self._usual = params.rate_bps * float(pipeline.unit_frames / source.info.fps) / 8
        self._report = SendReport(rate_bps=params.rate_bps, fec_percent=params.fec_percent)
        self._report.note_key(key, encrypted=params.encrypted)
        self._pending: list[bytes] = []
        self._down_since: float | None = None
        self._rate = RateControl(params)
        self._setting: LinkSetting | None = None
        self._keyframe, self._bounds = threading.Event(), (0, 3)
        self._next_picture = 0.0
        self._back, self._door = self._open_back(back or BackOptions(), key, stream_id, boot_id)
        self._backoff = Backoff()
        self._excess = 0  # air bytes beyond the usual one unit; written here, read by the worker

    def stop(self) -> None:
        """Finish the open unit, send what is queued, then return; asked again, return at once."""
        self._hurry = self._stop.is_set()
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
            self._look()
            if self._hurry:
                self._say("stopped at once; what waited in the queue was not sent")
                break
            if ended and self._stop.is_set() and self._down_since is not None:
                self._say("stopped while the link is down; what waited in the queue was not sent")
                break
        worker.join(timeout=5)
        if self._spool is not None:
            self._spool.close()
        if self._back is not None:
            self._back.close()
        if self._door is not None:
            self._door.close()
        self._update()
        return self._report

    # --- the way back

    def _open_back(
        self, options: BackOptions, key: LinkKey | None, stream_id: int, boot_id: int
    ) -> tuple[WayBack | None, SayServer | None]:
        if isinstance(self._link, PcapLink):
            return None, None
        back = open_way_back(
            options, self._params, self._pipeline, self._sender,
            unit_s=float(self._pipeline.unit_frames / self._source.info.fps), key=key,
            stream_id=stream_id, boot_id=boot_id, say=self._say, now=self._now,
            on_keyframe=self._keyframe.set, on_bounds=self._set_bounds, note=self._watcher.note,
        )  # fmt: skip
        if back is None or options.state_dir is None:
            return back, None
        return back, SayServer(options.state_dir, self._say)

    def _listen(self) -> None:
        """Take what the base sent, run on the setting that follows, queue what it asked for."""
        if self._back is None or isinstance(self._link, PcapLink) or self._down_since is not None:
            return
        try:
            got = self._link.receive(0.0)
        except OSError as error:
            self._reconnect(error)
            return
        now, channel = self._now(), self._back.channel
        if got:
            self._sender.hear(now)
        for item in got:
            channel.receive(item.data, now)
        if self._back.replay is not None:
            self._back.replay.tick(now)
        while self._door is not None and not self._door.texts.empty():
            text = self._door.texts.get()
            channel.say_to_base(text, now)
            self._watcher.note("said", text)
        rate = self._params.rate_bps if self._setting is None else self._setting.rate_bps
        for data in channel.outgoing(now, rate):
            self._sender.send_message(data, now)
        for data in channel.patient(now, rate):
            self._sender.send_message(data, now, patient=True)
        left = (1 - channel.answer_share) * self._back.sending_share
        self._adapt(channel.setting(now), left)

    def _adapt(self, setting: LinkSetting, left: float) -> None:
        """Use a setting; `left` is the share of its rate that units may take."""
        before = self._setting
        for_units = setting.rate_bps * left
        self._rate.use(replace(self._params, rate_bps=for_units, fec_percent=setting.fec_percent))
        self._usual = for_units * float(self._pipeline.unit_frames / self._source.info.fps) / 8
        if setting == before:
            return
        self._setting = setting
        self._sender.set_link(
            rate_bps=setting.rate_bps, pace_bps=setting.pace_bps, fec_percent=setting.fec_percent,
            interleave=setting.interleave, eager=setting.eager,
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
        pictures = None if self._back is None else self._back.pictures
        if pictures is None or (offset and at < self._next_picture):
            return
        self._next_picture = at + _PICTURE_EVERY_S
        had = pictures.problem
        pictures.keep(unit_no, offset, frame.pixels)
        if pictures.problem and not had:
            self._say(pictures.problem)

    def _keep_unit(self, built: BuiltUnit) -> None:
        units = None if self._back is None else self._back.units
        if units is not None and not units.problem:
            units.keep(built.unit)
            if units.problem:
                self._say(units.problem)

    def _encode(self) -> None:
        """Worker thread: pace a file to its own clock, encode, hand over."""
        try:
            units = build_units(
                self._paced, self._pipeline.encoder,
                self._rate, unit_frames=self._pipeline.unit_frames,
                eyes=self._pipeline.eyes, backlog=lambda: self._excess,
                on_begin=self._begin_unit, on_picture=self._keep_picture,
                verifier=self._pipeline.verifier,
                place=(lambda: None) if self._place is None else self._place.now,
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
        self._keep_unit(built)
        self._excess = max(0, self._sender.backlog_air_bytes - int(self._usual))
        self._report.frames += built.unit.descriptors.frames
        self._ladder = built.unit.descriptors.ladder
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
                self._back.channel.note_sent(self._sender.take_sent(), now)
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
                    self._spool_problem = self._spool.problem
                    self._say(self._spool_problem)
                    self._spool = None

    def _reconnect(self, error: OSError) -> None:
        """The radio is away: keep what is queued, try again, tell the operator once."""
        if isinstance(self._link, PcapLink):
            raise error
        if self._down_since is None:
            self._down_since = time.monotonic()
            self._say(f"link is down ({error}); nothing is lost, trying again")
            self._next_look = 0.0
            self._look()
        time.sleep(self._backoff.wait_s())
        with suppress(OSError):
            self._link.reopen()

    def _update(self) -> None:
        seconds = self._report.frames / float(self._source.info.fps)
        fill_report(self._report, self._sender, self._params, seconds)
        self._report.frames_per_s = self._report.frames / max(1e-9, seconds)

    def _look(self) -> None:
        """Tell the watcher how things are, twice a second."""
        at = time.monotonic()
        if at < self._next_look:
            return
        self._next_look = at + _LOOK_S
        setting, counters, back = self._setting, self._sender.counters, self._back
        channel = None if back is None else back.channel
        used, held = self._airtime_left(at)
        self._watcher.tick(MissionStatus(
            at=at, air_bytes=counters.air_bytes, packets=counters.datagrams,
            dropped=counters.dropped_symbols,
            rate_bps=self._params.rate_bps if setting is None else setting.rate_bps,
            fec_percent=self._report.fec_percent,
            interleave=0 if setting is None else setting.interleave,
            closed_loop=setting is not None and setting.closed_loop, ladder=self._ladder,
            frames=self._report.frames,
            queue_bytes=self._sender.backlog_air_bytes + sum(map(len, self._pending)),
            down_at=self._down_since, link_problem=self._radio_says(),
            airtime_used=used, held_until=held,
            airtime_band="" if self._airtime is None else self._airtime.limit.subband,
            report=None if channel is None else channel.last_report,
            reported_at=None if channel is None else channel.reported_at,
            reports=0 if channel is None else channel.reports,
            camera_away=isinstance(self._source, MayBeAway) and self._source.away,
            waiting_for_camera_at=self._paced.waiting_since if self._source.info.live else None,
            idle_s=self._paced.idle_until(at), spool_problem=self._spool_problem,
        ))  # fmt: skip

    def _airtime_left(self, at: float) -> tuple[float | None, float | None]:
        """(share used up, monotonic time of the next packet while the law holds it back)."""
        if self._airtime is None:
            return None, None
        now = self._now()
        wait_ns = self._airtime.ready_at(self._params.framing.mtu_bytes, now) - now
        held = wait_ns > SECOND and self._sender.backlog_air_bytes > 0
        return self._airtime.used_share(now), at + wait_ns / 1e9 if held else None

    def _radio_says(self) -> str:
        if self._down_since is not None:
            return ""
        try:
            state = state_of(self._link)
        except OSError:
            return ""  # the next send meets it, and says so
        return "" if state is None else state.problem
