"""The byte port below a framing: a serial device, a TCP connection or a UDP peer, by the link's URL."""

from __future__ import annotations

import select
import socket
from typing import Any, Protocol

from gvc_profiles.links.uart import serial_port
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile

__all__ = ["Port", "open_port"]

_READ_BYTES = 4096


class Port(Protocol):
    """Bytes both ways. All raise OSError when the other side is gone."""

    name: str

    def read(self, timeout_s: float) -> bytes:
        """What is there; waits up to the timeout for the first byte."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class SerialPort:
    """A serial device."""

    def __init__(self, device: str, profile: LinkProfile) -> None:
        self.name = device
        self._port: Any = serial_port(device, profile)

    def read(self, timeout_s: float) -> bytes:
        ready, _, _ = select.select([self._port.fileno()], [], [], timeout_s)
        if not ready:
            return b""
        data = bytes(self._port.read(_READ_BYTES))
        if not data:
            raise OSError(f"{self.name} was unplugged")
        return data

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._port.write(view) or 0 :]

    def close(self) -> None:
        self._port.close()


class SocketPort:
    """A TCP connection, or a UDP socket whose peer is named or, at the base, the last heard."""

    def __init__(self, host: str, port: int, *, udp: bool, listen: bool) -> None:
        self.name = f"{host}:{port}"
        self._udp, self._peer = udp, None if listen else (host, port)
        if udp:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            if listen:
                self._socket.bind((host, port))
        else:
            self._socket = socket.create_connection((host, port), timeout=5)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, timeout_s: float) -> bytes:
        ready, _, _ = select.select([self._socket], [], [], timeout_s)
        if not ready:
            return b""
        if self._udp:
            try:
                data, peer = self._socket.recvfrom(65_535)
            except ConnectionRefusedError:
                return b""
            self._peer = (str(peer[0]), int(peer[1]))
            return data
        data = self._socket.recv(_READ_BYTES)
        if not data:
            raise OSError(f"{self.name} closed the connection")
        return data

    def write(self, data: bytes) -> None:
        if not self._udp:
            self._socket.sendall(data)
        elif self._peer is not None and data:
            self._socket.sendto(data, self._peer)

    def close(self) -> None:
        self._socket.close()


def open_port(url: LinkUrl, profile: LinkProfile, *, listen: bool) -> Port:
    """Open what the URL names. Raises OSError, or UserError for a URL that names nothing."""
    if url.carrier:
        host, port = url.address()
        return SocketPort(host, port, udp=url.carrier == "udp", listen=listen)
    return SerialPort(url.target(), profile)
