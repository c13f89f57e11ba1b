"""`meshtastic:DEVICE?port=257` and `meshtastic+tcp://HOST:4403`: our packets on a private port."""

from __future__ import annotations

from gvc_profiles.links.base import ByteLink, LinkState
from gvc_profiles.links.framed import FramedLink
from gvc_profiles.links.port import open_port
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile
from gvc_protocol.framings.meshtastic import MeshCodec, StreamReader

__all__ = ["MeshDriver", "open_meshtastic"]

_QUEUE = 16
_KEEP_FREE = 2
"Room left for the mesh's own packets."
_STALE_S = 20.0


class MeshDriver:
    """Obeys QueueStatus: the node's queue of 16 drops without a word when it is overfed."""

    def __init__(self, codec: MeshCodec, seed: int) -> None:
        self._codec = codec
        self._packet_id = seed
        self.start(0.0)

    def start(self, now: float) -> None:
        self._reader = StreamReader()
        # 32 bytes of C3 wake a sleeping serial module, as the official client does.
        self._out = bytearray(b"\xc3" * 32 + self._codec.want_config(0x47564301))
        self._free, self._most, self._heard = _QUEUE, _QUEUE, now
        self._rssi: float | None = None
        self._snr: float | None = None

    def send(self, data: bytes, now: float) -> None:
        self._packet_id = (self._packet_id + 1) & 0xFFFFFFFF or 1
        self._free -= 1  # until the node says what is true
        self._heard = max(self._heard, now - _STALE_S / 2)
        self._out += self._codec.packet(data, self._packet_id)

    def feed(self, raw: bytes, now: float) -> list[bytes]:
        out = []
        for message in self._reader.feed(raw):
            frame = self._codec.parse(message)
            if frame is None:
                continue
            if frame.data is not None:
                out.append(frame.data)
                self._rssi, self._snr = frame.rssi_dbm, frame.snr_db
            if frame.queue_free is not None:
                self._free, self._heard = frame.queue_free, now
                self._most = max(1, frame.queue_max or _QUEUE)
            if frame.rebooted:
                self.start(now)
                return out
        return out

    def output(self, now: float) -> bytes:
        out = bytes(self._out)
        self._out.clear()
        return out

    def state(self, now: float) -> LinkState:
        if self._free <= _KEEP_FREE and now - self._heard > _STALE_S:
            self._free, self._heard = _KEEP_FREE + 1, now  # no word for long: try one
        return LinkState(
            can_send=self._free > _KEEP_FREE, rssi_dbm=self._rssi, snr_db=self._snr,
            queue_free_percent=100 * max(0, self._free) / self._most,
        )  # fmt: skip


def open_meshtastic(url: LinkUrl, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """Open a node. Packet ids begin at a random number, so that a restart repeats none."""
    import secrets

    codec = MeshCodec(url.options({"port": 257})["port"])
    driver = MeshDriver(codec, secrets.randbits(32))
    return FramedLink(lambda: open_port(url, profile, listen=False), driver)
