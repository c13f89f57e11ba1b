"""`--place`: a thread that keeps the newest position, or one that was told.

    fixed:LAT,LON,HEIGHT          the camera stands still; degrees and metres above the ellipsoid
    nmea:/dev/ttyUSB1             a GPS receiver
    mavlink:/dev/ttyACM0          an autopilot's port
    mavlink+udp://0.0.0.0:14550   an autopilot's stream, listened to

Options, all: `?pitch=-90&yaw=0&roll=0`, how the camera is mounted; serial ones `&baud=57600`.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol, cast
from urllib.parse import parse_qsl

from gvc_edge.place.fix import Attitude, Fix
from gvc_edge.place.readers import MavReader, NmeaReader, Reader
from gvc_protocol.descriptors import Telemetry
from gvc_protocol.errors import UserError

__all__ = ["PlaceWatch", "open_place"]

_STALE_S, _AGAIN_S, _READ_S = 5.0, 2.0, 0.25
_PATIENCE_S = 30.0
"A receiver that was off needs about as long for its first fix."
_NO_FIX = "no position of the camera: its receiver is heard but has no fix; give it open sky"
_NOTHING = (
    "no position of the camera: nothing is heard from its receiver; look at port and baud rate"
)
_KINDS = "fixed:LAT,LON,HEIGHT, nmea:DEVICE, mavlink:DEVICE or mavlink+udp://HOST:PORT"
_BAUD = {"nmea": 9600, "mavlink": 57_600}


class _Port(Protocol):
    def read(self) -> bytes: ...

    def close(self) -> None: ...


class _Serial:
    def __init__(self, device: str, baud: int) -> None:
        import serial

        self._port = serial.serial_for_url(device, baud, timeout=_READ_S)

    def read(self) -> bytes:
        return cast(bytes, self._port.read(max(1, self._port.in_waiting)))

    def close(self) -> None:
        self._port.close()


class _Udp:
    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(_READ_S)
        self._socket.bind((host, port))
        self.port: int = self._socket.getsockname()[1]

    def read(self) -> bytes:
        try:
            return self._socket.recv(65_535)
        except TimeoutError:
            return b""

    def close(self) -> None:
        self._socket.close()


class PlaceWatch:
    """The camera's newest position; any thread may ask.

    Args:
        fixed: a place that does not change; then nothing is read.
        open_port, reader: where bytes come from, opened anew when they end, and who reads them.
        say: told in one line when the port is away or nothing but no fix comes from it, and when the
            first position comes after that.
        patience_s: how long no position may come before that is said.
    """

    def __init__(
        self, *, fixed: Fix | None = None, open_port: Callable[[], _Port] | None = None,
        reader: Reader | None = None, say: Callable[[str], None] = lambda _: None,
        patience_s: float = _PATIENCE_S,
    ) -> None:  # fmt: skip
        self._fixed, self._say, self._patience_s = fixed, say, patience_s
        self._complaint = ""
        self._newest: tuple[Fix, float] | None = None
        self._stop, self._thread = threading.Event(), None
        if open_port is not None and reader is not None:
            self._thread = threading.Thread(
                target=self._watch, args=(open_port, reader), name="place", daemon=True
            )
            self._thread.start()

    def now(self) -> Telemetry | None:
        """The place of a frame that is taken now; None where none came for 5 s."""
        if self._fixed is not None:
            return self._fixed.as_telemetry()
        newest = self._newest
        if newest is None or time.monotonic() - newest[1] > _STALE_S:
            return None
        return newest[0].as_telemetry()

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2.0)

    def _watch(self, open_port: Callable[[], _Port], reader: Reader) -> None:
        while not self._stop.is_set():
            try:
                port = open_port()
                try:
                    self._read(port, reader)
                finally:
                    port.close()
            except OSError as error:  # serial's own exception is one
                self._complain(f"no position of the camera: {error}; trying again")
                self._stop.wait(_AGAIN_S)

    def _read(self, port: _Port, reader: Reader) -> None:
        since, heard = time.monotonic(), False
        while not self._stop.is_set():
            data = port.read()
            heard = heard or bool(data)
            if (fix := reader.feed(data)) is not None:
                if self._newest is None or self._complaint:
                    self._say("the camera's position is known")
                since, heard, self._complaint = time.monotonic(), False, ""
                self._newest = fix, since
            elif time.monotonic() - since > self._patience_s:
                self._complain(_NO_FIX if heard else _NOTHING)

    def _complain(self, line: str) -> None:
        """Say what is wrong, once while it stays the same."""
        if line != self._complaint:
            self._say(line)
            self._complaint = line


def open_place(url: str, say: Callable[[str], None]) -> PlaceWatch:
    """Open what `--place` names.

    Raises:
        UserError: it is none of the kinds, a number in it is wrong, or a package is missing.
    """
    head, _, query = url.partition("?")
    options = dict(parse_qsl(query))
    kind, _, rest = head.partition(":")
    mount, baud = (
        _mount(options, url),
        int(_number(options.pop("baud", ""), url, _BAUD.get(kind, 0))),
    )
    if options:
        raise UserError(f"place {url!r}: unknown option {next(iter(options))!r}")
    if kind == "fixed":
        parts = [_number(part, url) for part in rest.split(",")]
        if len(parts) != 3 or abs(parts[0]) > 90 or abs(parts[1]) > 180:
            raise UserError(f"place {url!r}: give fixed:LAT,LON,HEIGHT in degrees and metres")
        return PlaceWatch(
            fixed=Fix(lat=parts[0], lon=parts[1], height_m=parts[2], camera=mount), say=say
        )
    if kind == "mavlink+udp":
        host, _, port = rest.removeprefix("//").rpartition(":")
        number = int(_number(port, url))
        if not host or not 0 <= number <= 65_535:
            raise UserError(f"place {url!r}: give mavlink+udp://HOST:PORT")
        return PlaceWatch(open_port=lambda: _Udp(host, number), reader=MavReader(mount), say=say)
    if kind in _BAUD and rest:
        reader = NmeaReader(mount) if kind == "nmea" else MavReader(mount)
        return PlaceWatch(open_port=lambda: _Serial(rest, baud), reader=reader, say=say)
    raise UserError(f"place {url!r} is not known; give {_KINDS}")


def _mount(options: dict[str, str], url: str) -> Attitude:
    roll, pitch, yaw = (_number(options.pop(n, ""), url, 0.0) for n in ("roll", "pitch", "yaw"))
    if max(abs(roll), abs(pitch), abs(yaw)) > 360:
        raise UserError(f"place {url!r}: roll, pitch and yaw are degrees")
    return Attitude(roll, pitch, yaw)


def _number(text: str, url: str, otherwise: float | None = None) -> float:
    if not text and otherwise is not None:
        return otherwise
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e9:
        raise UserError(f"place {url!r}: {text!r} is no number")
    return value
