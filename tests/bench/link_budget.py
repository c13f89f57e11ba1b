"""Where each per cent of a profile's usable rate goes at 0 % loss, FEC off, with a key: `--only budget`.

Units of 2 s, or of 12 packets' time where that is longer, that fill the edge's own budget
(`RateControl`) to the last byte, 38 % of it still; the sender as flown, its packets taken apart.

Shares are of all bytes on the air: payload (D, K, F), block heads (offset and padding), datagram headers
(sync, ids, numbers, CRC), tags, framing (Reed-Solomon or segments), padding of bursts of one length.
Full packets: the payload share of a packet that is full, with our header and tag. Ceiling: the same with
the smallest header that tells the datagrams of a session apart (4 bytes: flags, two of the sequence,
symbol) and the tag: what no header of ours could pass on this MTU. Left over: of the rate. Silence: of
the time, listening windows at their longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gvc_edge.rate import RateControl
from gvc_edge.windows import window_times
from gvc_profiles.load import load, names
from gvc_profiles.params import link_params
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import CodecSpec, EncodedUnit
from gvc_protocol.framing import Deframer
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import OVERHEAD_BYTES, TAG_BYTES, Datagram
from tests.protocol.helpers import descriptors

__all__ = ["GOAL", "BudgetRow", "budget_row", "budget_rows", "budget_table", "full_share"]

GOAL = 0.85
_SMALLEST_HEADER_BYTES = 4
_KEY = LinkKey(bytes(32))
_UNITS, _LEAST_PACKETS, _STILL_SHARE = 20, 12, 0.38


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """Shares, 0..1: the first six of the air bytes, which they fill."""

    profile: str
    mtu_bytes: int
    payload: float
    heads: float
    headers: float
    tags: float
    framing: float
    padding: float
    full_packets: float
    ceiling: float
    left_over: float
    silence: float


def budget_rows() -> list[BudgetRow]:
    """All shipped profiles."""
    return [budget_row(name) for name in names()]


def budget_row(name: str) -> BudgetRow:
    """One profile."""
    profile = load(name)
    params = link_params(profile, bps=None, fec="off", packets=True, tagged=True)
    params = replace(params, queue_ns=3600 * SECOND)
    sender = LinkSender(params, stream_id=1, boot_id=1, key=_KEY)
    deframer, packet_bytes, now = Deframer(params.framing), 0, 0
    datagrams: list[Datagram] = []
    rate, unit_s, granted = RateControl(params), _unit_s(params), 0.0
    for number in range(_UNITS):
        unit = _unit(number, rate.payload_budget(unit_s, 0))
        rate.spent(len(unit.descriptors.pack()), len(unit.keyframe), len(unit.features))
        granted += params.rate_bps * unit_s / 8
        sender.submit(unit, now)
        while (due := sender.next_timer()) is not None:
            now = max(now, due)
            for packet in sender.datagrams_to_send(now):
                packet_bytes += len(packet)
                datagrams += [d for d in deframer.feed(packet) if isinstance(d, Datagram)]
        now += 1
    air, payload = sender.counters.air_bytes, sender.counters.payload_bytes
    plain = sum(len(d.payload) + OVERHEAD_BYTES + TAG_BYTES for d in datagrams)
    silence = 0.0
    if profile.backchannel == "windows":
        every, listen = window_times(profile.listen_ms)
        silence = listen / (every + listen)
    return BudgetRow(
        profile=name, mtu_bytes=params.framing.mtu_bytes, payload=payload / air,
        heads=(sum(len(d.payload) for d in datagrams) - payload) / air,
        headers=OVERHEAD_BYTES * len(datagrams) / air, tags=TAG_BYTES * len(datagrams) / air,
        framing=(packet_bytes - plain) / air, padding=(air - packet_bytes) / air,
        full_packets=full_share(params, OVERHEAD_BYTES), left_over=max(0.0, 1 - air / granted),
        ceiling=full_share(params, _SMALLEST_HEADER_BYTES), silence=silence,
    )  # fmt: skip


def full_share(params: LinkParams, header_bytes: int) -> float:
    """Payload share of a full packet (or of a full datagram in segments) with a tag and this header."""
    full = params.framing.max_datagram_bytes
    return (full - header_bytes - TAG_BYTES) / params.air_bytes(full)


def _unit_s(params: LinkParams) -> float:
    packet = max(params.framing.mtu_bytes, params.packet_least_bytes) + params.packet_overhead_bytes
    return max(2.0, _LEAST_PACKETS * packet * 8 / params.rate_bps)


def _unit(number: int, payload: int) -> EncodedUnit:
    keyframe = int(_STILL_SHARE * payload)
    return EncodedUnit(
        unit_no=number, spec=CodecSpec(codec_id=1, bitstream_version=1),
        descriptors=descriptors(number, codec_id=1), keyframe=bytes(keyframe),
        features=bytes(payload - keyframe),
    )  # fmt: skip


def budget_table(rows: Sequence[BudgetRow]) -> str:
    """The table in Markdown; what misses the goal says which way it must be missed."""
    lines = [
        "| profile | MTU | payload | block heads | headers | tags | framing | padding | full packets "
        f"| ceiling | left over | silence | {GOAL:.0%} |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        verdict = "yes" if r.payload >= GOAL else "no: header" if r.ceiling >= GOAL else "no: MTU"
        shares = (
            r.payload, r.heads, r.headers, r.tags, r.framing, r.padding, r.full_packets, r.ceiling,
            r.left_over, r.silence,
        )  # fmt: skip
        cells = " | ".join(f"{s:.1%}" for s in shares)
        lines.append(f"| {r.profile} | {r.mtu_bytes} | {cells} | {verdict} |")
    return "\n".join(lines)
