"""Byte links by URL, for both ends: `serial:/dev/ttyUSB0`, `udp://HOST:PORT`, `file:x.pcap` (edge only).

A link moves bytes and knows when it is down; it parses nothing. `receive` gives exactly what the
system gave: one packet, or one read of a byte stream.
"""

from __future__ import annotations

import select
import socket
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import UserError

__all__ = ["ByteLink", "Received", "SerialLink", "UdpLink", "open_link"]

_READ_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Received:
    """What one read gave. `source` names the peer or the port, for the archive."""

    data: bytes
    source: str


class ByteLink(Protocol):
    """One radio. `send` and `receive` raise OSError when the link is gone; `reopen` tries again."""

    def send(self, data: bytes) -> None: ...

    def receive(self, timeout_s: float) -> list[Received]:
        """Everything that is there; waits up to the timeout for the first byte."""

    def reopen(self) -> None:
        """Close what is left and open anew. Raises OSError while the radio is still away."""

    def close(self) -> None: ...


class UdpLink:
    """Datagrams over UDP. The edge connects to the base's address; the base binds its own."""

    def __init__(self, host: str, port: int, *, listen: bool) -> None:
        self._address = (host, port)
        self._listen = listen
        self._socket: socket.socket | None = None
        self._peer: tuple[str, int] | None = None
        self._open()

    def _open(self) -> None:
        family = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
        made = socket.socket(family[0], socket.SOCK_DGRAM)
        try:
            if self._listen:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                made.bind(family[4])
        except OSError:
            made.close()
            raise
        self._peer = None if self._listen else (str(family[4][0]), int(family[4][1]))
        made.setblocking(False)
        self._socket = made

    @property
    def port(self) -> int:
        """The local port: the bound one when listening on port 0."""
        return int(self._sock.getsockname()[1])

    @property
    def _sock(self) -> socket.socket:
        if self._socket is None:
            raise OSError("link is closed")
        return self._socket

    def send(self, data: bytes) -> None:
        if self._peer is not None:
            self._sock.sendto(data, self._peer)

    def receive(self, timeout_s: float) -> list[Received]:
        sock = self._sock
        ready, _, _ = select.select([sock], [], [], timeout_s)
        out: list[Received] = []
        while ready and len(out) < 1024:
            try:
                data, peer = sock.recvfrom(65_535)
            except BlockingIOError:
                break
            except ConnectionRefusedError:
                continue  # an ICMP answer to something we sent: nobody listens yet
            except OSError:
                if out:
                    break  # hand over what came first; the error is there at the next call, too
                raise
            if self._listen:
                self._peer = (str(peer[0]), int(peer[1]))
            out.append(Received(data, f"{peer[0]}:{peer[1]}"))
        return out

    def reopen(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class SerialLink:
    """A radio on a serial port, raw bytes."""

    def __init__(self, device: str, profile: LinkProfile) -> None:
        self._device = device
        self._profile = profile
        self._port: Any = None
        self._open()

    def _open(self) -> None:
        import serial  # here, so that a UDP-only base needs no serial stack at start

        settings = self._profile.serial
        baud = settings.baud if settings is not None else 57_600
        rtscts = settings.rtscts if settings is not None else False
        # exclusive: two programs that read one port each get half of every packet.
        self._port = serial.Serial(
            self._device, baud, timeout=0, write_timeout=5, rtscts=rtscts, exclusive=True
        )

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


def open_link(url: str, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """Open a link for one end.

    Args:
        url: `serial:DEVICE` or `udp://HOST:PORT`.
        listen: True at the base (UDP binds), False at the edge (UDP sends there).

    Raises:
        UserError: the URL is none of these, does not fit the profile, or cannot be opened now.
    """
    scheme, _, rest = url.partition(":")
    try:
        if scheme == "serial" and rest:
            _expect_serial(profile, url)
            return SerialLink(rest, profile)
        if scheme == "udp":
            # A serial profile over UDP is allowed: packets kept whole, as a radio bridge does.
            parts = urlsplit(url)
            if parts.hostname and parts.port is not None:
                return UdpLink(parts.hostname, parts.port, listen=listen)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "choose another port, or stop the program that holds it"
        if isinstance(error, ValueError):
            hint = "a port is 1..65535"
        raise UserError(f"cannot open link {url}: {reason}; {hint}") from None
    raise UserError(
        f"unknown link {url!r}; use serial:/dev/ttyUSB0 or udp://HOST:PORT"
        + ("" if listen else " or file:NAME.pcap")
    )


def _expect_serial(profile: LinkProfile, url: str) -> None:
    if profile.serial is None:
        raise UserError(
            f"profile {profile.id} has no serial settings, so it cannot use {url}; "
            "choose the profile of the radio on that port"
        )
