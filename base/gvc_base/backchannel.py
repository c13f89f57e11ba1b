"""The base's end of the back-channel: reports out, commands until they are acknowledged, answers in.

    receiver's events -> BaseBackChannel -> messages: Report, commands, acks -> LinkSender -> radio
    operator (`gvc-base ask`) --^     |-> archive events, region pictures beside the archive

On a half-duplex link with windows it talks only when the edge has said OVER, and says OVER itself when
it has told all, so that the edge need not wait for the end of the window.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from gvc_base.ask_state import AskState, told, why_not_asked
from gvc_base.radio_told import levels_of, radio_detail
from gvc_base.regions import RegionFiles
from gvc_base.resume import MissingUnits, ResumeTimes, received_of
from gvc_profiles.links import LinkState
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import ReceivedUnit
from gvc_protocol.errors import UserError
from gvc_protocol.events import MessageReady, ReceiverEvent, SessionStarted, TurnGiven, UnitReady
from gvc_protocol.ledger import AirtimeExhausted, AirtimeLedger
from gvc_protocol.messages import (
    COMMAND_TYPES,
    Ack,
    AckStatus,
    Arrivals,
    Command,
    OperatorText,
    Record,
    RegionAnswer,
    RegionStatus,
    Report,
    Resume,
    Setting,
    TimeAnswer,
    TimeAsk,
    UnitAnswer,
    pack_message,
    unpack_message,
)
from gvc_protocol.params import MS, SECOND, LinkParams
from gvc_protocol.reports import Reception, report_period_ns
from gvc_protocol.sender import LinkSender

__all__ = ["BaseBackChannel"]

_REPORT_AIR_BYTES = 60
_AGAIN_MOST_NS = 30 * SECOND
_GIVEN_UP_NS = 1800 * SECOND
_CLOCK_EVERY_NS = 60 * SECOND
_TEXTS_KEPT = 256
_LOSSY, _LOSSES_COUNTED = 0.08, 20
"""From that share lost of so many datagrams on, what is said in a window is said twice: a report costs a
tenth of the silence that is for nothing without it."""
_TALK_SHARE = 0.8
"Of a window; the edge's clock and the radio's turn-around need the rest."


class BaseBackChannel:
    """Safe between the receiving thread and the one that serves the operator's socket."""

    def __init__(
        self, params: LinkParams, *, boot_id: int, key: LinkKey | None, mode: str,
        listen_ms: float, reception: Callable[[int, int], Reception | None],
        waiting: Callable[[], int], note: Callable[[int, str, dict[str, Any]], None],
        say: Callable[[str], None], regions: RegionFiles, stream_id: int | None = None,
        pending: Path | None = None, missing: MissingUnits | None = None,
        ledger: AirtimeLedger | None = None,
        radio: Callable[[], LinkState | None] = lambda: None,
        numbers: Iterator[int] | None = None,
        on_recovered: Callable[[int, ReceivedUnit], None] = lambda _boot, _unit: None,
    ) -> None:  # fmt: skip
        """Args:
        numbers: rising from 1, shared by all channels with one `boot_id`, so that no two commands have
            one id; None for a channel alone.
        on_recovered: given (boot, unit) of each lost unit that came after all.
        mode: none, anytime or windows, of the profile.
        reception: what was heard of a stream and boot. waiting: units that wait for the decoder.
        note: archives an event (time, kind, detail).
        pending: file of the commands that are not acknowledged yet, for the next start.
        missing: what earlier runs on this archive lost. ledger: air time of this base's sub-band.
        radio: what the base's own radio tells.
        """
        # A lost report or command costs a wait, parity on each would cost three times the bytes.
        self._params = replace(params, fec_percent=0)
        self._boot_id, self._key, self._mode = boot_id, key, mode
        self._talk_ns = int(listen_ms * MS * _TALK_SHARE)
        self._reception, self._waiting, self._note = reception, waiting, note
        self._say, self._regions, self._pending_path = say, regions, pending
        self._stream_id = stream_id
        self._missing = missing or MissingUnits()
        self._resume = ResumeTimes(self._missing)
        self._resume.force()
        self._ledger, self._radio = ledger, radio
        self._texts_heard: deque[tuple[int, int]] = deque(maxlen=_TEXTS_KEPT)
        self._edge_boot: int | None = None
        self._newest_unit = 0
        self._sender: LinkSender | None = None
        self._mutex = threading.RLock()
        self._asks: dict[int, AskState] = {}
        self._on_recovered = on_recovered
        self._numbers = numbers or count(1)
        self._acks: list[Record] = []
        self._report_at, self._clock_at, self._may_talk_until = 0, 0, 0
        self._period_ns = report_period_ns(params.rate_bps, _REPORT_AIR_BYTES)
        self._again, self._lossy, self._counted = b"", False, (0, 0)
        self.reports = 0
        "Reports sent."
        self._load()

    # --- the operator's side

    @property
    def trusted(self) -> bool:
        """Whether the edge can obey: commands need a key."""
        return not self.why_not

    @property
    def newest(self) -> tuple[int, int] | None:
        """(boot, unit) that was heard last."""
        with self._mutex:
            return None if self._edge_boot is None else (self._edge_boot, self._newest_unit)

    def next_id(self) -> int:
        """An id for a command, never used before with this boot counter."""
        with self._mutex:
            return self._boot_id << 16 | (next(self._numbers) & 0xFFFF)

    def ask(self, command: Command, now: int) -> None:
        """Send a command until it is acknowledged.

        Raises:
            UserError: there is no key, or no way back on this link.
        """
        self._check_may_ask()
        with self._mutex:
            self._send_command(command, now)

    def _send_command(self, command: Command, now: int) -> None:
        self._asks[command.command_id] = AskState(command, now, now)
        self._note(now, "asked", told(command))
        self._save()

    @property
    def why_not(self) -> str:
        """Why nothing can be asked, and what to do; empty where it can."""
        return why_not_asked(self._mode, keyed=self._key is not None)

    def _check_may_ask(self) -> None:
        if self.why_not:
            raise UserError(self.why_not)

    def ask_resume(self, now: int) -> None:
        """Ask for everything that is missing, of every boot that was heard.

        Raises:
            UserError: as `ask`.
        """
        self._check_may_ask()
        with self._mutex:
            self._resume.force()
            # Even where the link is silent now: the request waits, as others do.
            self._resume.heard(now)

    def asks(self) -> list[AskState]:
        """What the operator asked, oldest first; what is missing asks for itself and is left out."""
        with self._mutex:
            mine = [a for a in self._asks.values() if not isinstance(a.command, Resume)]
            return [replace(ask) for ask in mine]

    def state(self, command_id: int) -> str:
        """What became of a command."""
        with self._mutex:
            ask = self._asks.get(command_id)
            return "unknown" if ask is None else ask.state

    # --- the receiving thread's side

    def event(self, event: ReceiverEvent) -> None:
        """Follow what the receiver tells."""
        with self._mutex:
            if isinstance(event, SessionStarted | UnitReady) and self._follows(event.stream_id):
                if isinstance(event, SessionStarted):
                    if self._edge_boot != event.boot_id:
                        self._newest_unit = 0
                        self._resume.force()
                    self._edge_boot = event.boot_id
                else:
                    self._unit(event)
            elif isinstance(event, TurnGiven) and self._follows(event.stream_id):
                self._may_talk_until = event.now + self._talk_ns
                self._report_at, self._again = 0, b""
            elif isinstance(event, MessageReady) and event.stream_id == self._stream_id:
                for record in unpack_message(event.data):
                    self._take(record, event)

    def packets(self, now: int) -> list[bytes]:
        """Radio packets to send now."""
        with self._mutex:
            if self._stream_id is None or self._edge_boot is None or self._mode == "none":
                return []
            if self._mode == "windows" and now >= self._may_talk_until:
                return []
            if self._sender is None:
                self._sender = LinkSender(
                    self._params, stream_id=self._stream_id, boot_id=self._boot_id,
                    from_base=True, key=self._key, ledger=self._ledger,
                )  # fmt: skip
            self._ask_missing(now)
            # What waits for air time already must not be followed by more of the same.
            if self._sender.idle:
                self._say_next(self._sender, now)
            if self._mode == "windows":
                self._sender.end_turn()
            packets = self._sender.datagrams_to_send(now)
            while (event := self._sender.next_event()) is not None:
                if isinstance(event, AirtimeExhausted):
                    self._say(f"what the base sends: {event.as_text()}")
            if packets and self._sender.idle and not self._again:
                # The last of them says OVER where there are windows: the edge talks again.
                self._may_talk_until = now
            return packets

    def _say_next(self, sender: LinkSender, now: int) -> None:
        """Hand over what is due; in a window on a link that loses much, once more the same."""
        again, self._again = self._again, b""
        if again:
            sender.send_message(again, now)
            return
        records = self._due(now)
        if records:
            message = pack_message(records)
            sender.send_message(message, now)
            short = len(message) <= self._room and self._ledger is None  # the law counts air time
            if self._mode == "windows" and self._lossy and short:
                self._again = message

    def _follows(self, stream_id: int) -> bool:
        if self._stream_id is None:
            self._stream_id = stream_id
        return stream_id == self._stream_id

    def _due(self, now: int) -> list[Record]:
        assert self._stream_id is not None and self._edge_boot is not None
        records: list[Record] = []
        if now >= self._report_at:
            heard = self._reception(self._stream_id, self._edge_boot)
            if heard is not None:
                records.append(self._report(heard, now))
                self._note_losses(heard)
                if self._mode == "windows" and (earlier := self._earlier(heard, records)):
                    records.append(earlier)
                self.reports += 1
            # In windows a report goes with each, whenever that is.
            self._report_at = now + (1 << 62 if self._mode == "windows" else self._period_ns)
            if self._key is not None and now >= self._clock_at:
                self._clock_at = now + _CLOCK_EVERY_NS
                records.append(TimeAsk(sent_us=now // 1000))
        records += self._acks
        self._acks = []
        for ask in self._asks.values():
            if ask.open and now - ask.asked_ns > _GIVEN_UP_NS:
                ask.state = "given up"
                self._note(now, "ask_given_up", told(ask.command))
            elif ask.open and (now >= ask.next_ns) and len(records) < 8:
                ask.tries += 1
                ask.asked_ns = min(ask.asked_ns, now)
                ask.next_ns, ask.wait_ns = now + ask.wait_ns, min(_AGAIN_MOST_NS, 2 * ask.wait_ns)
                records.append(ask.command)
        return records

    def _take(self, record: Record, event: MessageReady) -> None:
        """One record from the edge. Without a key it is noted as unauthenticated, and moves nothing."""
        now = event.now
        if isinstance(record, Ack):
            ask = self._asks.get(record.command_id)
            if ask is None or not event.authenticated:
                return
            names = {AckStatus.DONE: "done", AckStatus.REFUSED: "refused"}
            if ask.open or ask.state == "working":
                ask.state = names.get(AckStatus(record.status), "working") if (
                    record.status in tuple(AckStatus)) else "refused"  # fmt: skip
                self._note(now, "acknowledged", {"id": record.command_id, "state": ask.state})
                self._save()
        elif isinstance(record, RegionAnswer):
            self._region(record, event)
        elif isinstance(record, UnitAnswer):
            self._recovered(record, event)
        elif isinstance(record, TimeAnswer):
            arrived = now // 1000
            about = {
                "edge_less_base_us": record.offset_us(arrived),
                "round_trip_us": record.round_trip_us(arrived),
                "authenticated": event.authenticated,
            }
            self._note(now, "clock", about)
        elif isinstance(record, OperatorText):
            self._acks.append(Ack(command_id=record.command_id))
            if (event.boot_id, record.command_id) in self._texts_heard:
                return  # sent again because our acknowledgement was lost
            self._texts_heard.append((event.boot_id, record.command_id))
            trust = "" if event.authenticated else " (unauthenticated)"
            self._say(f"message from the edge{trust}: {record.text}")
            self._note(now, "text_received", {"text": record.text, "trusted": event.authenticated})
        elif isinstance(record, Setting):
            about = {
                "rate_bps": record.rate_bps, "fec_percent": record.fec_percent,
                "interleave": record.interleave, "finest": record.finest,
                "closed_loop": record.closed_loop,
            }  # fmt: skip
            self._note(now, "edge_setting", about)

    # --- what was lost

    def _unit(self, event: UnitReady) -> None:
        unit_no = event.unit.unit_no
        if event.boot_id == self._edge_boot:
            self._newest_unit = unit_no
        self._missing.note(event.boot_id, unit_no, whole=event.unit.whole)
        self._resume.heard(event.now)

    def _ask_missing(self, now: int) -> None:
        if not self.trusted:
            return
        for boot_id in self._resume.due(now):
            # What was asked of this boot before and is still on its way says less.
            for number, ask in list(self._asks.items()):
                if isinstance(ask.command, Resume) and ask.command.boot_id == boot_id:
                    del self._asks[number]
            self._send_command(self._missing.ask(boot_id, self.next_id()), now)

    def _recovered(self, answer: UnitAnswer, event: MessageReady) -> None:
        if not event.authenticated or not self._missing.settle(answer.boot_id, answer.unit_no):
            return
        unit = received_of(answer)
        whole = unit is not None
        self._resume.progress(answer.boot_id)
        about = {"boot": answer.boot_id, "unit": answer.unit_no, "whole": whole}
        self._note(event.now, "unit_recovered", about)
        what = "recovered, for the record" if whole else "lost for good: the edge has it no more"
        self._say(f"unit {answer.unit_no} of boot {answer.boot_id}: {what}")
        if unit is not None:
            self._on_recovered(answer.boot_id, unit)

    def _report(self, heard: Reception, now: int) -> Report:
        """The report, with what our radio hears; that goes into the archive, too."""
        try:
            radio = self._radio()
        except OSError:
            radio = None  # the receiving side meets the same error, and mends it
        if radio is not None and (about := radio_detail(radio)):
            self._note(now, "radio", about)
        rssi, noise = (None, None) if radio is None else levels_of(radio)
        queue = min(255, self._waiting())
        return heard.report(now, queue=queue, rssi_dbm=rssi, noise_dbm=noise)

    def _earlier(self, heard: Reception, records: list[Record]) -> Arrivals | None:
        """More arrivals with a report, where they do not make a second packet of it: the next window
        comes in seconds only."""
        return heard.earlier(self._room - len(pack_message(records)) - 2)

    @property
    def _room(self) -> int:
        """Bytes of a message that is one datagram."""
        return self._params.max_symbol_bytes

    def _note_losses(self, heard: Reception) -> None:
        """Whether the way here loses so much that an answer the other way should go twice."""
        lost, count = heard.lost - self._counted[0], heard.received - self._counted[1]
        if lost >= 0 and lost + count >= _LOSSES_COUNTED:
            self._lossy = lost > _LOSSY * (lost + count)
        if lost < 0 or lost + count >= _LOSSES_COUNTED:
            self._counted = (heard.lost, heard.received)

    def _region(self, answer: RegionAnswer, event: MessageReady) -> None:
        ask = self._asks.get(answer.command_id)
        if not event.authenticated:
            return
        if answer.status != RegionStatus.PIXELS:
            state = "no picture"
            self._say(f"region {answer.command_id}: the edge has no picture of that unit any more")
        else:
            path = self._regions.write(answer) if answer.patch else None
            state = "done" if answer.last else "working"
            if path is not None:
                self._say(f"region {answer.command_id}: layer {answer.layer} of it is in {path}")
        about = {"id": answer.command_id, "unit": answer.unit_no, "layer": answer.layer,
                 "last": answer.last, "bytes": len(answer.patch), "status": answer.status}  # fmt: skip
        self._note(event.now, "region_answer", about)
        if ask is not None and (answer.last or ask.open):
            ask.state = state
            self._save()

    # --- over restarts

    def _save(self) -> None:
        """What is not settled, for the next start; a full disk costs that, not the mission."""
        if self._pending_path is None:
            return
        open_ones = [
            a.command
            for a in self._asks.values()
            # What is missing is told anew by the archive after a restart.
            if a.state in ("waiting", "working") and not isinstance(a.command, Resume)
        ]
        with suppress(OSError):
            fresh = self._pending_path.with_name(self._pending_path.name + ".new")
            fresh.write_text(json.dumps([pack_message([c]).hex() for c in open_ones]))
            fresh.replace(self._pending_path)

    def _load(self) -> None:
        if self._pending_path is None or self._key is None:
            return
        with suppress(OSError, ValueError, TypeError):
            for text in json.loads(self._pending_path.read_text()):
                for command in unpack_message(bytes.fromhex(text)):
                    if isinstance(command, COMMAND_TYPES):
                        # Its time starts anew with the first packet that is sent.
                        self._asks[command.command_id] = AskState(command, 1 << 62, 0)
