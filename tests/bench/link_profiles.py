"""What each profile carries: payload share, header, FEC, time to first picture, units under loss.

Prepared units of the size that the profile's usable rate carries in a unit's time, sender and receiver
as flown, the `impair` channel. Rates are those of the profile; no radio is involved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gvc_base.channel import Channel, ChannelSpec
from gvc_profiles.load import load, names
from gvc_profiles.params import link_params
from gvc_protocol.air_bytes import unit_air_bytes
from gvc_protocol.codec import EncodedUnit
from gvc_protocol.events import UnitReady
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import OVERHEAD_BYTES
from tests.peers.flight import Flight, Modem, fly, make_units

__all__ = ["ProfileRow", "profile_rows", "profile_table", "units_for"]

_UNIT_S = 2.0
_LEAST_PACKETS = 12
"On slow radios a unit lasts longer than 2 s: it needs packets enough to be protected at all."
_UNITS = 8
_SEEDS = 10
_BURST = 3.0
_DESCRIPTORS_BYTES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRow:
    """One line of the table; shares are 0..1 of all that goes on the air."""

    profile: str
    usable_bps: float
    header_share: float
    payload_off: float
    fec_percent: float
    payload_auto: float
    first_picture_s: float
    whole_10: float
    whole_20: float
    stills_20: float
    wrong: int


def profile_rows() -> list[ProfileRow]:
    """All shipped profiles."""
    return [_row(name) for name in names()]


def _row(name: str) -> ProfileRow:
    profile = load(name)
    off = _patient(link_params(profile, bps=None, fec="off", packets=True))
    auto = _patient(link_params(profile, bps=None, fec="auto", packets=True))
    clean = fly(off, units_for(off), _nothing)
    units = units_for(auto)
    protected = fly(auto, units, _nothing)
    ten, twenty = (_lossy(auto, units, loss) for loss in (0.10, 0.20))
    full = off.framing.max_datagram_bytes
    return ProfileRow(
        profile=name, usable_bps=profile.rate.usable_bps,
        header_share=1 - (full - OVERHEAD_BYTES) / off.air_bytes(full),
        payload_off=clean.payload_bytes / clean.air_bytes, fec_percent=auto.fec_percent,
        payload_auto=protected.payload_bytes / protected.air_bytes,
        first_picture_s=_first_picture_s(auto, units[0]) + profile.latency.p50_ms / 1000,
        whole_10=ten.share(ten.whole), whole_20=twenty.share(twenty.whole),
        stills_20=twenty.share(twenty.stills),
        wrong=sum(f.wrong for f in (clean, protected, ten, twenty)),
    )  # fmt: skip


def _patient(params: LinkParams) -> LinkParams:
    return replace(params, queue_ns=3600 * SECOND)


def _nothing(packets: list[bytes]) -> list[bytes]:
    return packets


def units_for(params: LinkParams) -> list[EncodedUnit]:
    """Units that take their time's share of the rate (or 12 packets), a third of them still."""
    packet = params.framing.mtu_bytes + params.packet_overhead_bytes
    budget = max(params.rate_bps * _UNIT_S / 8, _LEAST_PACKETS * packet)
    size = int(budget)
    while size > 60 and unit_air_bytes(params, _DESCRIPTORS_BYTES, size // 3, size) > budget:
        size = int(size * 0.98) - 1
    return make_units(_UNITS, keyframe=size // 3, features=size)


def _lossy(params: LinkParams, units: Sequence[EncodedUnit], loss: float) -> Flight:
    total = Flight()
    for seed in range(1, _SEEDS + 1):
        flown = fly(params, units, _channel(loss, seed))
        total.units += flown.units
        total.whole += flown.whole
        total.stills += flown.stills
        total.wrong += flown.wrong
    return total


def _channel(loss: float, seed: int) -> Modem:
    channel = Channel(ChannelSpec(loss=loss, burst=_BURST, seed=seed))

    def through(packets: list[bytes]) -> list[bytes]:
        return [data for packet in packets for data in channel.pass_datagram(packet)]

    return through


def _first_picture_s(params: LinkParams, unit: EncodedUnit) -> float:
    """From the unit's closing at the edge to its being whole at the base, without loss."""
    sender, receiver, now = LinkSender(params, stream_id=1, boot_id=1), LinkReceiver(params), 0
    sender.submit(unit, 0)
    while (due := sender.next_timer()) is not None:
        now = max(now, due)
        for packet in sender.datagrams_to_send(now):
            arrives = now + int(params.air_bytes(len(packet)) * 8 * SECOND / params.rate_bps)
            receiver.receive(packet, arrives)
            while (event := receiver.next_event()) is not None:
                if isinstance(event, UnitReady) and event.unit.keyframe.complete:
                    return arrives / SECOND
    return float("nan")


def profile_table(rows: Sequence[ProfileRow]) -> str:
    """The table in Markdown."""
    lines = [
        "| profile | usable bit/s | header of a full packet | payload, FEC off | auto | payload, auto "
        "| first picture s | whole at 10 % | whole at 20 % | stills at 20 % |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        lines.append(
            f"| {r.profile} | {r.usable_bps:.0f} | {r.header_share:.1%} | {r.payload_off:.1%} "
            f"| {r.fec_percent:.0f} % | {r.payload_auto:.1%} | {r.first_picture_s:.1f} "
            f"| {r.whole_10:.0%} | {r.whole_20:.0%} | {r.stills_20:.0%} |"
        )
    return "\n".join(lines)
