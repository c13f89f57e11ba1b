"""`kiss:DEVICE?call=YOURCALL-1` and `kiss+tcp://HOST:8001?call=YOURCALL-1`: AX.25 UI frames on a TNC."""

from __future__ import annotations

from gvc_profiles.links.base import ByteLink, LinkState
from gvc_profiles.links.framed import FramedLink
from gvc_profiles.links.port import open_port
from gvc_profiles.links.station import own_call
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import UserError
from gvc_protocol.framings.ax25 import Callsign, UiFrame
from gvc_protocol.framings.kiss import KissReader, kiss_pack

__all__ = ["KissDriver", "open_kiss"]


class KissDriver:
    """One datagram a UI frame; frames to another destination are not ours."""

    def __init__(self, source: Callsign, destination: Callsign, port: int) -> None:
        self._source, self._destination, self._kiss_port = source, destination, port
        self._out = bytearray()
        self._reader = KissReader()

    def start(self, now: float) -> None:
        self._reader = KissReader()
        self._out.clear()

    def send(self, data: bytes, now: float) -> None:
        frame = UiFrame(destination=self._destination, source=self._source, info=data)
        self._out += kiss_pack(frame.pack(), port=self._kiss_port)

    def feed(self, raw: bytes, now: float) -> list[bytes]:
        frames = (UiFrame.unpack(f.data) for f in self._reader.feed(raw) if f.command == 0)
        return [f.info for f in frames if f is not None and f.destination == self._destination]

    def output(self, now: float) -> bytes:
        out = bytes(self._out)
        self._out.clear()
        return out

    def state(self, now: float) -> LinkState:
        return LinkState()  # KISS tells nothing


def open_kiss(url: LinkUrl, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """Open a TNC. The call sign is the operator's duty: without one nothing is sent."""
    chosen = url.options({"call": "", "to": "GVC", "port": "0"})
    call = own_call(url, chosen["call"])
    if not chosen["port"].isdigit() or int(chosen["port"]) > 15:
        raise UserError(f"link {url.text!r}: port must be 0 to 15")
    driver = KissDriver(call, Callsign.parse(chosen["to"]), int(chosen["port"]))
    return FramedLink(lambda: open_port(url, profile, listen=False), driver)
