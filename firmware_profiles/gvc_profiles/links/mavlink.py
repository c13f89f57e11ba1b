"""`mavlink:DEVICE` and `mavlink+udp://HOST:PORT`: TUNNEL beside flight telemetry.

Telemetry goes first. Two brakes: while the radio's transmit buffer is below half free
(RADIO_STATUS.txbuf) nothing of ours goes, and never more than our share
of the radio's rate goes in any five seconds.
"""

from __future__ import annotations

from collections import deque

from gvc_profiles.links.base import ByteLink, LinkState
from gvc_profiles.links.framed import FramedLink
from gvc_profiles.links.port import open_port
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import UserError
from gvc_protocol.framings.mavlink import MavCodec, RadioStatus, TunnelData, dbm_of_sik

__all__ = ["MavDriver", "open_mavlink"]

_TXBUF_LOW, _TXBUF_OK = 50, 70
_WINDOW_S = 5.0
_HEARTBEAT_S = 1.0
_STALE_S = 5.0


class MavDriver:
    """Sends only what telemetry leaves free."""

    def __init__(self, codec: MavCodec, *, share_bps: float) -> None:
        self._codec, self._share_bps = codec, share_bps
        self.start(0.0)

    def start(self, now: float) -> None:
        self._out = bytearray()
        self._sent: deque[tuple[float, int]] = deque()
        self._status: RadioStatus | None = None
        self._status_at, self._yielding, self._beat = now, False, now - _HEARTBEAT_S

    def send(self, data: bytes, now: float) -> None:
        raw = self._codec.pack(data)
        self._sent.append((now, len(raw)))
        self._out += raw

    def feed(self, raw: bytes, now: float) -> list[bytes]:
        out = []
        for message in self._codec.feed(raw):
            if isinstance(message, TunnelData):
                out.append(message.data)
            elif isinstance(message, RadioStatus):
                self._status, self._status_at = message, now
                low = _TXBUF_OK if self._yielding else _TXBUF_LOW
                self._yielding = message.txbuf < low
        return out

    def output(self, now: float) -> bytes:
        if now - self._beat >= _HEARTBEAT_S:
            self._beat = now
            self._out += self._codec.heartbeat()
        out = bytes(self._out)
        self._out.clear()
        return out

    def state(self, now: float) -> LinkState:
        while self._sent and self._sent[0][0] <= now - _WINDOW_S:
            self._sent.popleft()
        over = sum(size for _, size in self._sent) * 8 >= self._share_bps * _WINDOW_S
        status = self._status
        if status is None or now - self._status_at > _STALE_S:
            self._yielding = False  # the radio is silent: the share alone decides
            return LinkState(can_send=not over)
        return LinkState(
            can_send=not over and not self._yielding, rssi_dbm=dbm_of_sik(status.rssi),
            noise_dbm=dbm_of_sik(status.noise), queue_free_percent=float(status.txbuf),
            problem="yields to flight telemetry" if self._yielding else "",
        )  # fmt: skip


def open_mavlink(url: LinkUrl, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """Open a MAVLink channel. At the base the usual system id is 255, in the air 1."""
    ids = url.options({
        "sysid": "255" if listen else "1", "compid": "191", "target": "0",
        "payload_type": "33000", "share": "0.33",
    })  # fmt: skip
    share = float(ids.pop("share"))  # ValueError becomes one line in open_link
    numbers = {name: int(text) for name, text in ids.items()}
    if not 0 < share <= 1 or not all(0 <= numbers[n] <= 255 for n in ("sysid", "compid", "target")):
        raise UserError(f"link {url.text!r}: share must be above 0 to 1, ids 0 to 255")
    codec = MavCodec(
        system=numbers["sysid"], component=numbers["compid"], target=numbers["target"],
        payload_type=numbers["payload_type"],
    )  # fmt: skip
    driver = MavDriver(codec, share_bps=share * profile.rate.nominal_bps)
    return FramedLink(lambda: open_port(url, profile, listen=listen), driver)
