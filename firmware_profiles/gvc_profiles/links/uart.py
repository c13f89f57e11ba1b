"""`serial:DEVICE`: a radio on a serial port whose data mode is transparent, raw bytes."""

from __future__ import annotations

import select
from typing import Any

from gvc_profiles.links.base import ByteLink, Received
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import UserError

__all__ = ["SerialLink", "open_serial", "serial_port"]

_READ_BYTES = 4096


def serial_port(device: str, profile: LinkProfile) -> Any:
    """Open a port as the profile says: a `serial.Serial` that never blocks on reading.

    Raises:
        OSError: it is not there, or another program holds it.
    """
    import serial  # here, so that a UDP-only base needs no serial stack at start

    settings = profile.serial
    baud = settings.baud if settings is not None else 57_600
    rtscts = settings.rtscts if settings is not None else False
    # exclusive: two programs that read one port each get half of every packet.
    return serial.Serial(device, baud, timeout=0, write_timeout=5, rtscts=rtscts, exclusive=True)


class SerialLink:
    """A radio on a serial port, raw bytes."""

    def __init__(self, device: str, profile: LinkProfile) -> None:
        self._device = device
        self._profile = profile
        self._port: Any = None
        self._open()

    def _open(self) -> None:
        self._port = serial_port(self._device, self._profile)

    @property
    def _open_port(self) -> Any:
        if self._port is None:
            raise OSError("port is closed")
        return self._port

    def send(self, data: bytes) -> None:
        port = self._open_port
        view = memoryview(data)
        while view:
            written = port.write(view)
            view = view[written or 0 :]

    def receive(self, timeout_s: float) -> list[Received]:
        port = self._open_port
        ready, _, _ = select.select([port.fileno()], [], [], timeout_s)
        if not ready:
            return []
        data = bytes(port.read(_READ_BYTES))
        if not data:
            raise OSError(f"{self._device} was unplugged")
        return [Received(data, self._device)]

    def reopen(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None


def open_serial(url: LinkUrl, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """A transparent serial radio; both ends open their own."""
    url.options({})
    if profile.serial is None:
        raise UserError(
            f"profile {profile.id} has no serial settings, so it cannot use {url.text}; "
            "choose the profile of the radio on that port"
        )
    return SerialLink(url.target(), profile)
