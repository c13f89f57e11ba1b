"""`udp://HOST:PORT`: one datagram of ours a UDP datagram, to a network or to a radio's bridge."""

from __future__ import annotations

import select
import socket

from gvc_profiles.links.base import ByteLink, Received
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile

__all__ = ["UdpLink", "open_udp"]


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


def open_udp(url: LinkUrl, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """Any profile may run over UDP: packets are kept whole, as a radio bridge does."""
    host, port = url.address()
    url.options({})
    return UdpLink(host, port, listen=listen)
