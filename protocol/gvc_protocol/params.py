"""What sender and receiver must know about a link: plain numbers, filled from a profile."""

from __future__ import annotations

from dataclasses import dataclass

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.framing import Framing
from gvc_protocol.wire import MAX_PAYLOAD_BYTES, OVERHEAD_BYTES, TAG_BYTES

__all__ = ["MS", "SECOND", "LinkParams"]

MS = 1_000_000
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkParams:
    """One direction of one link. Times are integer nanoseconds, rates bits per second on the air."""

    framing: Framing
    rate_bps: float
    "On-air rate that is never exceeded over any `window_ns`, everything counted."
    fec_percent: float
    "Redundancy P of WIRE.md, section 2."
    packet_overhead_bytes: int = 0
    "What the radio itself adds to each of our packets, counted as air time where the profile says."
    packet_least_bytes: int = 0
    "What a packet counts at least: modems whose bursts have one length send the rest as padding."
    join_bytes: int = 0
    "A unit whose parts are no larger together goes as one block where that is cheaper; 0: none does."
    tagged: bool = False
    "Every datagram carries a tag: the sender has a key."
    encrypted: bool = False
    "Payloads are encrypted, too."
    window_ns: int = 10 * SECOND
    close_after_ns: int = 250 * MS
    reorder_ns: int = 500 * MS
    hold_ns: int = 8 * SECOND
    stall_ns: int = 2 * SECOND
    "Byte streams: a datagram whose rest does not come for so long was a false sync word or a cut."
    queue_ns: int = 12 * SECOND
    "Backlog (as time at `rate_bps`) at which the sender starts to drop, oldest F first."

    def __post_init__(self) -> None:
        if self.rate_bps <= 0 or not 0 <= self.fec_percent <= 400:
            raise LocalProtocolError("rate must be positive and FEC within 0..400 %")
        if self.encrypted and not self.tagged:
            raise LocalProtocolError("what is encrypted is tagged, too")
        if self.max_symbol_bytes < 1:
            raise LocalProtocolError("this MTU leaves no room for a payload")

    @property
    def max_symbol_bytes(self) -> int:
        """Largest symbol that fits in one datagram of this link."""
        overhead = OVERHEAD_BYTES + (TAG_BYTES if self.tagged else 0)
        return min(self.framing.max_datagram_bytes - overhead, MAX_PAYLOAD_BYTES)

    def air_bytes(self, datagram_bytes: int) -> int:
        """Bytes on the air for one datagram, framing and radio overhead included."""
        packets = self.framing.packets(datagram_bytes)
        framed = max(self.framing.framed_bytes(datagram_bytes), packets * self.packet_least_bytes)
        return framed + packets * self.packet_overhead_bytes
