"""FreeDV data modes over a transceiver's sound card, half duplex: `freedv:MODE?call=YOURCALL`.

    packet -> libcodec2 -> `play` command (aplay) -> transceiver, keyed by a command or by RTS
    transceiver -> `record` command (arecord) -> libcodec2 -> packet

Both commands speak raw 8 kHz, 16-bit, mono on a pipe, so sox, a network or a test can stand in for them.
The call sign goes out in clear, in a burst of its own, before the first packet, in time before the law's
ten minutes are over, and when the link is closed.
"""

from __future__ import annotations

import os
import queue
import shlex
import subprocess
import threading
import time
from contextlib import suppress
from typing import Any

import numpy as np

from gvc_profiles.codec2 import MODES, SAMPLE_RATE_HZ, DataModem
from gvc_profiles.links.base import ByteLink, LinkState, Received
from gvc_profiles.links.station import own_call
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import UserError
from gvc_protocol.framings.ax25 import Callsign
from gvc_protocol.framings.station import IdClock, id_packet, read_id

__all__ = ["FreeDvLink", "open_freedv"]

_DEFAULTS: dict[str, str] = {
    "call": "",
    "play": "aplay -q -t raw -f S16_LE -r 8000 -c 1 -",
    "record": "arecord -q -t raw -f S16_LE -r 8000 -c 1 -",
    "ptt_on": "", "ptt_off": "", "rts": "", "ptt_delay_ms": "200", "realtime": "1",
}  # fmt: skip
_READ_BYTES = 1600
"0.1 s: short enough that the channel is known to be busy soon."
_BUSY_WAIT_S = 15.0
"Longest wait for the other station's burst: noise that looks like one must not silence us for good."
_MOST_WAITING = 4
_COMMAND_S = 5.0


class FreeDvLink:
    """One station. A thread keys and plays, another records and demodulates; both stop at `close`."""

    def __init__(
        self, mode: str, options: dict[str, str], call: Callsign, station_id_s: float
    ) -> None:
        self._mode, self._options = mode, options
        self._id, self._id_clock = id_packet(call), IdClock(station_id_s)
        self._delay_s = _number(options, "ptt_delay_ms") / 1000
        self._realtime = options["realtime"] != "0"
        self._open()

    def _open(self) -> None:
        self._sending, self._hearing = DataModem(self._mode), DataModem(self._mode)
        self._outbox: queue.Queue[bytes | None] = queue.Queue()
        self._inbox: queue.Queue[Received] = queue.Queue()
        self._talking, self._busy = threading.Event(), threading.Event()
        self._stop, self._leaving, self._problem = threading.Event(), threading.Event(), ""
        self._burst_s, self._others = 0.0, ""
        self._rts: Any = _serial_rts(self._options["rts"])
        self._play = _start(self._options["play"], "play", stdin=True)
        try:
            self._record = _start(self._options["record"], "record", stdin=False)
        except OSError:
            _end(self._play)
            raise
        self._threads = [
            threading.Thread(target=work, name=f"freedv-{name}", daemon=True)
            for name, work in (("talk", self._talk), ("hear", self._hear))
        ]
        for thread in self._threads:
            thread.start()

    def send(self, data: bytes) -> None:
        """Queue one packet, at most a frame long; it is played when the channel is free."""
        self._raise_problem()
        if len(data) > self._sending.payload_bytes:
            raise OSError(f"{len(data)} bytes exceed a {self._mode} frame")
        self._outbox.put(data)

    def receive(self, timeout_s: float) -> list[Received]:
        out: list[Received] = []
        try:
            out.append(
                self._inbox.get(timeout=timeout_s) if timeout_s else self._inbox.get_nowait()
            )
            while True:
                out.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        if not out:
            self._raise_problem()
        return out

    def link_state(self) -> LinkState:
        """Whether another packet should be given, and what is wrong."""
        waiting = self._outbox.qsize() + self._talking.is_set()
        return LinkState(
            can_send=waiting < _MOST_WAITING and not self._problem, waiting_packets=waiting,
            problem=self._problem,
        )  # fmt: skip

    def reopen(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        """Say the call sign a last time, unkey, end both commands and threads. Safe to call twice."""
        if not self._stop.is_set() and not self._problem:
            self._leaving.set()
            self._outbox.put(None)
            self._threads[0].join(timeout=_BUSY_WAIT_S + _COMMAND_S)
        self._stop.set()
        self._outbox.put(None)
        for process in (self._play, self._record):
            _end(process)
        for thread in self._threads:
            thread.join(timeout=_COMMAND_S)
        if self._talking.is_set():
            self._key(on=False)
        if self._rts is not None:
            self._rts.close()
            self._rts = None
        for modem in (self._sending, self._hearing):
            modem.close()

    def _raise_problem(self) -> None:
        if self._stop.is_set():
            raise OSError("link is closed")
        if self._problem:
            raise OSError(self._problem)

    def _talk(self) -> None:
        try:
            while not self._stop.is_set() and (packet := self._outbox.get()) is not None:
                if self._leaving.is_set():
                    continue  # to the end of the queue: what still waits is not sent any more
                self._identified(packet)
            if self._leaving.is_set() and not self._stop.is_set() and self._id_clock.owed():
                self._identify()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._fail(f"play command: {error}")

    def _identified(self, packet: bytes) -> None:
        # This burst and the call sign behind it may each wait for the channel first.
        if self._id_clock.due(time.monotonic(), 2 * (_BUSY_WAIT_S + self._burst_s)):
            self._identify()
        self._burst(packet)
        self._id_clock.sent()

    def _identify(self) -> None:
        self._burst(self._id)
        self._id_clock.told(time.monotonic())

    def _burst(self, packet: bytes) -> None:
        until = time.monotonic() + _BUSY_WAIT_S
        while self._busy.is_set() and time.monotonic() < until and not self._stop.is_set():
            time.sleep(0.02)  # the other station talks: half duplex
        audio = self._sending.modulate(packet)
        self._burst_s = len(audio) / SAMPLE_RATE_HZ
        pipe = self._play.stdin
        assert pipe is not None
        self._key(on=True)
        try:
            pipe.write(audio.astype("<i2").tobytes())
            pipe.flush()
            if self._realtime:
                # A pipe takes seconds of audio at once; unkeying early would cut the burst's end.
                self._stop.wait(self._burst_s)
        finally:
            self._key(on=False)

    def _key(self, *, on: bool) -> None:
        if on:
            self._talking.set()
        command = self._options["ptt_on" if on else "ptt_off"]
        if command:
            subprocess.run(
                shlex.split(command), check=True, timeout=_COMMAND_S, capture_output=True
            )
        if self._rts is not None:
            self._rts.rts = on
        if on and self._delay_s:
            self._stop.wait(self._delay_s)
        if not on:
            self._talking.clear()

    def _hear(self) -> None:
        pipe, rest = self._record.stdout, b""
        assert pipe is not None
        try:
            while not self._stop.is_set() and (data := os.read(pipe.fileno(), _READ_BYTES)):
                rest += data
                whole = len(rest) // 2 * 2
                samples, rest = np.frombuffer(rest[:whole], "<i2"), rest[whole:]
                if self._realtime and self._talking.is_set():
                    continue  # our own burst, from the transceiver's monitor
                for packet in self._hearing.demodulate(samples.astype(np.int16)):
                    if (call := read_id(packet)) is not None:
                        self._others = call  # no datagram of ours
                        continue
                    name = f"freedv:{self._mode}" + (f" {self._others}" if self._others else "")
                    self._inbox.put(Received(packet, name))
                (self._busy.set if self._hearing.hearing else self._busy.clear)()
        except (OSError, ValueError) as error:
            self._fail(f"record command: {error}")
        else:
            self._fail("record command ended: is the sound card there, and is its name right?")

    def _fail(self, problem: str) -> None:
        if not self._stop.is_set():
            self._problem = problem


def open_freedv(url: LinkUrl, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """`freedv:datac3?call=YOURCALL&play=...&record=...&ptt_on=...&ptt_off=...&rts=/dev/ttyUSB0`.

    Raises:
        UserError: no such mode, one that is not the profile's, no call sign, libcodec2 or a command is
            missing.
    """
    mode = url.target().lower()
    if mode not in MODES:
        raise UserError(
            f"link {url.text!r}: unknown mode; write freedv:{' or freedv:'.join(MODES)}"
        )
    options = url.options(_DEFAULTS)
    call = own_call(url, options["call"])
    modem = DataModem(mode)
    size = modem.payload_bytes
    modem.close()
    if size != profile.mtu_bytes:
        raise UserError(
            f"profile {profile.id} sends packets of {profile.mtu_bytes} bytes, {mode} takes {size}; "
            f"choose the profile freedv-{mode}"
        )
    return FreeDvLink(mode, options, call, profile.station_id_s)


def _number(options: dict[str, str], name: str) -> float:
    try:
        value = float(options[name])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10_000:
        raise UserError(f"freedv link: {name} = {options[name]!r} must be a number, 0 to 10000")
    return value


def _start(command: str, role: str, *, stdin: bool) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            shlex.split(command), stderr=subprocess.DEVNULL,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if stdin else subprocess.PIPE,
        )  # fmt: skip
    except (FileNotFoundError, IndexError):
        name = command.split(" ")[0]
        raise UserError(
            f"freedv link: the {role} command {name!r} is not installed; install alsa-utils or give "
            f"another with {role}=..."
        ) from None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        # A player that hears the end plays what it still holds: the call sign comes last.
        with suppress(OSError, subprocess.TimeoutExpired):
            process.stdin.close()
            process.wait(timeout=2)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=2)
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _serial_rts(device: str) -> Any:
    if not device:
        return None
    import serial  # here: most stations key by a command or by voice

    port = serial.Serial(device, exclusive=True)
    port.rts = False
    return port
