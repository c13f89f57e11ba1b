"""`xbee:DEVICE?to=0013A200...`: XBee API frames, escaped (AP=2); broadcast where `to` is left out."""

from __future__ import annotations

from gvc_profiles.links.base import ByteLink, LinkState
from gvc_profiles.links.framed import FramedLink
from gvc_profiles.links.port import open_port
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile
from gvc_protocol.framings.xbee import (
    BROADCAST,
    AtReply,
    Received,
    TxStatus,
    XbeeReader,
    at_command,
    tx_request,
    xbee_pack,
)

__all__ = ["XbeeDriver", "open_xbee"]

_IN_FLIGHT = 4
"Frames handed over and not yet answered by a TX status: the radio's buffer holds a few."
_FORGET_S = 5.0
_ASK_DB_S = 2.0


class XbeeDriver:
    """TX requests with status; RSSI of the last packet by AT DB, as the frames do not carry it."""

    def __init__(self, address: int) -> None:
        self._address = address
        self.start(0.0)

    def start(self, now: float) -> None:
        self._reader = XbeeReader(escaped=True)
        self._out = bytearray()
        self._flight: dict[int, float] = {}
        self._next_id, self._asked = 1, now
        self._rssi: float | None = None
        self._problem = ""

    def send(self, data: bytes, now: float) -> None:
        number = self._next_id
        self._next_id = number % 254 + 1  # 0 would ask for no status, 255 is kept for AT
        self._flight[number] = now
        body = tx_request(
            data, frame_id=number, address=self._address, no_ack=self._address == BROADCAST
        )
        self._out += xbee_pack(body, escaped=True)

    def feed(self, raw: bytes, now: float) -> list[bytes]:
        out = []
        for frame in self._reader.feed(raw):
            if isinstance(frame, Received):
                out.append(frame.data)
            elif isinstance(frame, TxStatus):
                self._flight.pop(frame.frame_id, None)
                failed = frame.status not in (0x00, 0x01, 0x21)
                self._problem = (
                    f"the radio refused a packet ({frame.status:#04x})" if failed else ""
                )
            elif isinstance(frame, AtReply):
                if frame.name == "DB" and frame.status == 0 and frame.value:
                    self._rssi = -float(frame.value[-1]) or None
            elif frame.status in (0, 1):
                self._flight.clear()  # the radio restarted: what it held is gone
        return out

    def output(self, now: float) -> bytes:
        if now - self._asked >= _ASK_DB_S:
            self._asked = now
            self._out += xbee_pack(at_command("DB", frame_id=255), escaped=True)
        out = bytes(self._out)
        self._out.clear()
        return out

    def state(self, now: float) -> LinkState:
        self._flight = {n: t for n, t in self._flight.items() if now - t < _FORGET_S}
        return LinkState(
            can_send=len(self._flight) < _IN_FLIGHT, rssi_dbm=self._rssi, problem=self._problem,
            queue_free_percent=100 * max(0, 1 - len(self._flight) / _IN_FLIGHT),
        )  # fmt: skip


def open_xbee(url: LinkUrl, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """Open an XBee in API mode 2."""
    text = url.options({"to": "FFFF"})["to"]
    address = int(text, 16)  # ValueError becomes one line in open_link
    return FramedLink(lambda: open_port(url, profile, listen=False), XbeeDriver(address))
