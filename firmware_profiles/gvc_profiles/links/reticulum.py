"""`rns:DESTINATION_HASH` at the edge, `rns:listen` at the base: a link of the Reticulum stack.

The base prints its destination's hash; the edge asks the network for a path to it and opens a link.
Options: `config=FOLDER` of Reticulum's own configuration, `identity=FILE` at the base.
"""

from __future__ import annotations

import queue
import time
from pathlib import Path
from typing import Any

from gvc_profiles.links.base import ByteLink, LinkState, Received
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import UserError

__all__ = ["ReticulumLink", "open_reticulum"]

_PATH_S = 10.0


class ReticulumLink:
    """Packets over one RNS.Link; the stack has its own threads, this only keeps a bounded inbox."""

    def __init__(self, rns: Any, target: str, config: str, identity: str) -> None:
        self._rns = rns
        self._inbox: queue.Queue[bytes] = queue.Queue(maxsize=4096)
        self._link: Any = None
        self._stack = rns.Reticulum.get_instance() or rns.Reticulum(config or None, loglevel=1)
        self._hash = b"" if target == "listen" else bytes.fromhex(target)
        self.destination_hash = target
        if not self._hash:
            self._listen(identity)

    def _listen(self, identity: str) -> None:
        rns = self._rns
        path = Path(identity) if identity else None
        me = rns.Identity.from_file(str(path)) if path and path.exists() else rns.Identity()
        if path and not path.exists():
            me.to_file(str(path))
        self._destination = rns.Destination(
            me, rns.Destination.IN, rns.Destination.SINGLE, "gvc", "field"
        )
        self._destination.set_link_established_callback(self._established)
        self._destination.announce()
        self.destination_hash = self._destination.hash.hex()

    def _established(self, link: Any) -> None:
        link.set_packet_callback(self._packet)
        self._link = link

    def _packet(self, data: bytes, _packet: Any) -> None:
        try:
            self._inbox.put_nowait(bytes(data))
        except queue.Full:
            return  # the oldest are not yet read; FEC makes good for the newest

    def _connect(self) -> None:
        rns, transport = self._rns, self._rns.Transport
        until = time.monotonic() + _PATH_S
        if not transport.has_path(self._hash):
            transport.request_path(self._hash)
        while not transport.has_path(self._hash):
            if time.monotonic() > until:
                raise OSError(f"no path to {self._hash.hex()} yet; is the base running?")
            time.sleep(0.05)
        there = rns.Destination(
            rns.Identity.recall(self._hash), rns.Destination.OUT, rns.Destination.SINGLE,
            "gvc", "field",
        )  # fmt: skip
        link = rns.Link(there)
        link.set_packet_callback(self._packet)
        while link.status != rns.Link.ACTIVE:
            if time.monotonic() > until + _PATH_S or link.status == rns.Link.CLOSED:
                raise OSError(f"no link to {self._hash.hex()}")
            time.sleep(0.05)
        self._link = link

    def send(self, data: bytes) -> None:
        if self._hash and (self._link is None or self._link.status == self._rns.Link.CLOSED):
            self._connect()
        if self._link is not None and self._rns.Packet(self._link, data).send() is False:
            raise OSError("Reticulum did not take the packet")

    def receive(self, timeout_s: float) -> list[Received]:
        out: list[Received] = []
        try:
            out.append(Received(self._inbox.get(timeout=timeout_s), "rns"))
            while True:
                out.append(Received(self._inbox.get_nowait(), "rns"))
        except queue.Empty:
            return out

    def link_state(self) -> LinkState:
        link = self._link
        if link is None:
            return LinkState()
        return LinkState(rssi_dbm=link.get_rssi(), snr_db=link.get_snr())

    def reopen(self) -> None:
        if self._hash:
            self._link = None
            self._connect()

    def close(self) -> None:
        if self._link is not None:
            self._link.teardown()
            self._link = None


def open_reticulum(url: LinkUrl, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """Open the stack and, at the base, a destination."""
    try:
        import RNS
    except ImportError:
        raise UserError(
            "this link needs the rns package; run: pip install 'gvc-field[radios]'"
        ) from None
    target = url.target()
    if (target == "listen") is not listen:
        raise UserError("the base's link is rns:listen, the edge's rns:HASH as the base shows it")
    if not listen and (len(target) != 32 or not all(c in "0123456789abcdefABCDEF" for c in target)):
        raise UserError(f"{target!r} is no Reticulum destination; give its 32 hexadecimal digits")
    options = url.options({"config": "", "identity": ""})
    return ReticulumLink(RNS, target, options["config"], options["identity"])
