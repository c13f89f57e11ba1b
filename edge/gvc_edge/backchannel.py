"""The edge's end of the back-channel: reports to a setting, commands to deeds, deeds to answers.

    bytes from the radio -> LinkReceiver (what the base sent) -> reports -> LinkController
                                                              -> commands, once each -> acks, answers

Commands are acted upon only when a key vouches for them. An id that was done is on disk: after a restart
the same command is acknowledged again and not done again.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gvc_edge.regions import RegionAnswers
from gvc_edge.resend import UnitAnswers
from gvc_edge.share import AnswerShare
from gvc_edge.texts import TextsOut
from gvc_protocol.adapt import AdaptLimits, LinkController, LinkSetting
from gvc_protocol.events import MessageReady, TurnGiven
from gvc_protocol.messages import (
    COMMAND_TYPES,
    Ack,
    AckStatus,
    Arrivals,
    Command,
    KeyframeRequest,
    ModeCommand,
    OperatorText,
    RateCommand,
    Record,
    RegionRequest,
    Report,
    Resume,
    Setting,
    TimeAnswer,
    TimeAsk,
    pack_message,
    unpack_message,
)
from gvc_protocol.receiver import LinkReceiver

__all__ = ["CommandLog", "EdgeBackChannel"]

_REMEMBERED = 512
_ANSWER_SHARE = 0.25
"Of the rate, for region answers while some wait."
_ANSWER_S = 20
"A layer takes at most so long at that share."


class CommandLog:
    """Ids of the commands that were done, on disk before the deed is acknowledged."""

    def __init__(self, path: Path | None) -> None:
        """`path` None: in memory only. A damaged file is begun anew: at worst a deed is repeated."""
        self._path = path
        self._done: dict[int, int] = {}
        if path is not None:
            with suppress(OSError, ValueError, TypeError, AttributeError):
                rows = json.loads(path.read_text())
                self._done = {int(k): int(v) for k, v in rows.items()}

    def status(self, command_id: int) -> int | None:
        """What became of a command, None while it was not done."""
        return self._done.get(command_id)

    def note(self, command_id: int, status: int) -> None:
        """Remember it. A full disk costs the memory over restarts, not the mission."""
        self._done[command_id] = status
        while len(self._done) > _REMEMBERED:
            del self._done[next(iter(self._done))]
        if self._path is None:
            return
        with suppress(OSError):
            fresh = self._path.with_suffix(".new")
            with fresh.open("w") as file:
                json.dump({str(k): v for k, v in self._done.items()}, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)


class EdgeBackChannel:
    """One boot's back-channel. Not thread-safe; all of it runs in the sending thread, but `on_keyframe`
    and `on_bounds` may hand over to another. `wall_us`: Unix time in microseconds."""

    def __init__(
        self, receiver: LinkReceiver, limits: AdaptLimits, *, stream_id: int, boot_id: int,
        log: CommandLog, regions: RegionAnswers | None,
        say: Callable[[str], None],
        wall_us: Callable[[], int], units: UnitAnswers | None = None,
        on_keyframe: Callable[[], None] = lambda: None,
        on_bounds: Callable[[int, int], None] = lambda _f, _c: None,
        on_turn: Callable[[], None] = lambda: None, adapt: bool = True,
        note: Callable[[str, str], None] = lambda _kind, _text: None,
    ) -> None:  # fmt: skip
        self._units, self._texts = units, TextsOut(boot_id)
        self._receiver, self._limits, self._log = receiver, limits, log
        self._stream_id, self._boot_id = stream_id, boot_id
        self._regions, self._say, self._wall_us = regions, say, wall_us
        self._on_keyframe, self._on_bounds, self._on_turn = on_keyframe, on_bounds, on_turn
        self._control = LinkController(limits)
        self._adapt = adapt
        self._bounds = (0, 3)
        self._out: deque[list[Record]] = deque(maxlen=64)
        self._share = AnswerShare(_ANSWER_SHARE)
        self._told_unauthenticated = False
        self._unread = 0
        "Bytes of a datagram that has not come whole."
        self.reports = 0
        "Reports on this boot that came."
        self.last_report: Report | None = None
        self.reported_at: float | None = None
        "`time.monotonic` of the last one."
        self._note, self._told_command = note, -1

    def receive(self, data: bytes, now: int) -> None:
        """Take what the radio gave."""
        counted = self._receiver.counters.received
        self._receiver.receive(data, now)
        self._note_heard(len(data), self._receiver.counters.received - counted, now)
        while (event := self._receiver.next_event()) is not None:
            if isinstance(event, TurnGiven) and event.stream_id == self._stream_id:
                self._on_turn()
            elif isinstance(event, MessageReady) and event.stream_id == self._stream_id:
                self._message(event, now)

    def _note_heard(self, size: int, believed: int, now: int) -> None:
        """Air time of the base's talk. What nobody vouches for is none of it: it would excuse any
        slow link."""
        self._unread += size
        if believed:
            most = believed * self._limits.packet_bytes
            self._control.note_heard(min(self._unread, most), now)
        if believed or not self._receiver.pending:
            self._unread = 0

    def note_sent(self, sent: list[tuple[int, int]], now: int) -> None:
        """(sequence, air bytes) of what left."""
        for seq, air_bytes in sent:
            self._control.note_sent(seq, air_bytes, now)

    def setting(self, now: int) -> LinkSetting:
        """What the sender should run on."""
        setting = self._control.setting(now)
        finest = max(setting.finest, self._bounds[0])
        self._on_bounds(min(finest, self._bounds[1]), self._bounds[1])
        return setting

    @property
    def answer_share(self) -> float:
        """Share of the rate that the encoder should leave to answers."""
        regions = self._regions is not None and self._regions.busy
        units = self._units is not None and self._units.busy
        return _ANSWER_SHARE if regions or units else 0.0

    def say_to_base(self, text: str, now: int) -> int:
        """Send the operator's text until the base has acknowledged it; returns its number.

        Raises:
            LocalProtocolError: it is too long.
        """
        return self._texts.say(text, now)

    def outgoing(self, now: int, rate_bps: float) -> list[bytes]:
        """Messages to send now: acknowledgements at once, region layers as their share allows."""
        out = [pack_message(records) for records in self._out]
        out += [pack_message([text]) for text in self._texts.due(now)]
        self._out.clear()
        if self.answer_share == 0:
            self._share.rest(now)
        if self._regions is None or not self._regions.busy:
            return out
        share_bytes = _ANSWER_SHARE * rate_bps / 8
        self._regions.most_bytes = max(400, int(share_bytes * _ANSWER_S))
        may = self._share.may_send(now, rate_bps)
        if may and (answer := self._regions.poll()) is not None:
            if answer.last:
                self._log.note(answer.command_id, AckStatus.DONE)
            data = pack_message([answer])
            self._share.spend(len(data))
            out.append(data)
        return out

    def patient(self, now: int, rate_bps: float) -> list[bytes]:
        """Units to send again now, behind everything else and within the answers' share."""
        if self._units is None or not self._units.busy or not self._share.may_send(now, rate_bps):
            return []
        answer = self._units.poll(now)
        if answer is None:
            return []
        data = pack_message([answer])
        # A message has four times F's parity.
        self._share.spend(len(data) * (1 + 4 * self._control.setting(now).fec_percent / 100))
        return [data]

    def close(self) -> None:
        """End the thread that codes answers."""
        if self._regions is not None:
            self._regions.close()

    def _message(self, event: MessageReady, now: int) -> None:
        told = unpack_message(event.data)
        earlier = next((r for r in told if isinstance(r, Arrivals)), None)
        for record in told:
            if isinstance(record, Report):
                if record.boot_id == self._boot_id:
                    self._report(record, earlier, now)
            elif isinstance(record, TimeAsk):
                received = self._wall_us()
                self._out.append(
                    [
                        TimeAnswer(
                            asked_us=record.sent_us, received_us=received,
                            answered_us=self._wall_us(),
                        )
                    ]
                )  # fmt: skip
            elif isinstance(record, Ack):
                text = self._texts.text_of(record.command_id)
                if self._texts.acknowledged(record.command_id):
                    self._say("the base has your message")
                    self._note("delivered", text)
            elif isinstance(record, COMMAND_TYPES):
                if not event.authenticated:
                    self._refuse_unauthenticated()
                else:
                    self._command(record, now)

    def _report(self, report: Report, earlier: Arrivals | None, now: int) -> None:
        self.last_report, self.reported_at = report, time.monotonic()
        if self._adapt:
            self.reports += 1
            self._control.report(report, now, earlier)

    def _refuse_unauthenticated(self) -> None:
        if not self._told_unauthenticated:
            self._told_unauthenticated = True
            self._say("a command came over the air, but there is no key to check it: not obeyed")

    def _command(self, command: Command, now: int) -> None:
        status = self._log.status(command.command_id)
        if status is None:
            status = self._obey(command, now)
            self._tell_asked(command, refused=status == AckStatus.REFUSED)
            if status != AckStatus.WORKING:
                self._log.note(command.command_id, status)
        records: list[Record] = [Ack(command_id=command.command_id, status=status)]
        if isinstance(command, RateCommand | ModeCommand):
            records.append(self._setting_record(now))
        self._out.append(records)

    def _obey(self, command: Command, now: int) -> int:
        if isinstance(command, KeyframeRequest):
            self._say("the base asks for a keyframe")
            self._on_keyframe()
        elif isinstance(command, RegionRequest):
            if self._regions is None or not self._regions.add(command):
                return AckStatus.REFUSED
            return AckStatus.WORKING
        elif isinstance(command, RateCommand):
            if command.rate_bps > self._limits.ceiling_bps:
                return AckStatus.REFUSED
            self._control.hold_rate(float(command.rate_bps) if command.rate_bps else None)
            self._say(f"the base sets the rate to {command.rate_bps or 'automatic'} bit/s")
        elif isinstance(command, ModeCommand):
            self._bounds = (command.finest, command.coarsest)
            self._say(f"the base bounds the ladder to steps {command.finest} to {command.coarsest}")
        elif isinstance(command, OperatorText):
            self._say(f"message from the base: {command.text}")
        elif isinstance(command, Resume) and self._units is not None:
            self._units.add(command, now)
        else:
            return AckStatus.REFUSED
        return AckStatus.DONE

    def _tell_asked(self, command: Command, *, refused: bool) -> None:
        if isinstance(command, OperatorText):
            self._note("message", command.text)
            return
        if command.command_id == self._told_command:
            return  # one that takes time comes again until it is done
        self._told_command = command.command_id
        words = {KeyframeRequest: "a fresh keyframe", RegionRequest: "real pixels of a region",
                 Resume: "lost units again"}.get(type(command), "another mode")  # fmt: skip
        if isinstance(command, RateCommand):
            words = f"a rate of {command.rate_bps} bit/s" if command.rate_bps else "the usual rate"
        self._note("asked", f"{words}{' (refused)' if refused else ''}")

    def _setting_record(self, now: int) -> Setting:
        s = self._control.setting(now)
        return Setting(
            rate_bps=int(s.rate_bps), fec_percent=round(s.fec_percent), interleave=s.interleave,
            finest=max(s.finest, self._bounds[0]), closed_loop=s.closed_loop,
        )  # fmt: skip
