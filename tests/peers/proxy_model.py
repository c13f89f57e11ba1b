"""The link proxy's channel set to what was measured on a modem, so that the two can be compared."""

from __future__ import annotations

from gvc_base.channel import Channel, ChannelSpec
from tests.peers.flight import Modem
from tests.peers.minimodem_air import compare_bytes

__all__ = ["Recorder", "byte_channel", "packet_channel"]


class Recorder:
    """A modem that also keeps what went in and came out."""

    def __init__(self, modem: Modem) -> None:
        self._modem = modem
        self.sent: list[bytes] = []
        self.got: list[bytes] = []

    def __call__(self, packets: list[bytes]) -> list[bytes]:
        self.sent, self.got = packets, self._modem(packets)
        return self.got

    @property
    def fates(self) -> list[bool]:
        """For each packet sent, whether it was lost. Frames may come back filled up with zeros."""
        out, at = [], 0
        for packet in self.sent:
            found = next(
                (i for i in range(at, len(self.got)) if self.got[i].startswith(packet)), None
            )
            out.append(found is None)
            at = at if found is None else found + 1
        return out


def packet_channel(fates: list[bool], seed: int) -> tuple[ChannelSpec, Modem]:
    """A channel with the loss share and mean burst of these fates, and the modem that it makes."""
    loss = min(0.9, sum(fates) / max(1, len(fates)))
    runs = sum(1 for i, lost in enumerate(fates) if lost and not (i and fates[i - 1]))
    burst = max(1.0, sum(fates) / max(1, runs), loss / (1 - loss))
    spec = ChannelSpec(loss=loss, burst=burst, seed=seed)

    def through(packets: list[bytes]) -> list[bytes]:
        channel = Channel(spec)
        return [data for packet in packets for data in channel.pass_datagram(packet)]

    return spec, through


def byte_channel(sent: bytes, got: bytes, seed: int) -> tuple[ChannelSpec, Modem]:
    """A channel with the bit errors and lost bytes of this stream."""
    measured = compare_bytes(sent, got)
    spec = ChannelSpec(ber=measured.ber, slip=measured.slip, seed=seed)

    def through(packets: list[bytes]) -> list[bytes]:
        channel, stream = Channel(spec), b"".join(packets)
        pieces = [stream[i : i + 64] for i in range(0, len(stream), 64)]
        return [data for piece in pieces for data in channel.pass_datagram(piece)]

    return spec, through
