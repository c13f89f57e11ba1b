"""Where each per cent of a profile's usable rate goes at 0 % loss, FEC off, with a key: `--only budget`.

Units of the size that the rate carries (`link_profiles`), the sender as flown, its packets taken apart.
Shares are of all bytes on the air: payload (D, K, F), block heads (offset and padding), datagram headers
(sync, ids, numbers, CRC), tags, framing (Reed-Solomon or segments), padding of bursts of one length.

Full packets: the payload share of a packet that is full, with our header and tag. Ceiling: the same with
the smallest header that tells the datagrams of a session apart (4 bytes: flags, two of the sequence,
symbol) and the tag: what no header of ours could pass on this MTU. Left over: of the rate, by an encoder
that fills its budget to the last byte. Silence: of the time, listening windows at their longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gvc_edge.rate import RateControl
from gvc_edge.windows import window_times
from gvc_profiles.load import load, names
from gvc_profiles.params import link_params
from gvc_protocol.auth import LinkKey
from gvc_protocol.framing import Deframer
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import OVERHEAD_BYTES, TAG_BYTES, Datagram
from tests.bench.link_profiles import units_for

__all__ = ["GOAL", "BudgetRow", "budget_row", "budget_rows", "budget_table", "full_share"]

GOAL = 0.85
_SMALLEST_HEADER_BYTES = 4
_KEY = LinkKey(bytes(32))
_UNIT_S, _UNITS = 60.0, 20


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
    for unit in units_for(params):
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
        full_packets=full_share(params, OVERHEAD_BYTES), left_over=_left_over(params),
        ceiling=full_share(params, _SMALLEST_HEADER_BYTES), silence=silence,
    )  # fmt: skip


def full_share(params: LinkParams, header_bytes: int) -> float:
    """Payload share of a full packet (or of a full datagram in segments) with a tag and this header."""
    full = params.framing.max_datagram_bytes
    return (full - header_bytes - TAG_BYTES) / params.air_bytes(full)


def _left_over(params: LinkParams) -> float:
    """Share of the rate that whole packets leave, to an encoder that fills its budget."""
    rate, used = RateControl(params), 0
    for _ in range(_UNITS):
        payload = rate.payload_budget(_UNIT_S, 0)
        keyframe = int(0.38 * payload)
        used += rate.spent(28, keyframe, payload - keyframe)
    return max(0.0, 1 - used / (params.rate_bps * _UNIT_S / 8 * _UNITS))


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
