"""From a profile and the operator's options to the numbers that sender and receiver run on."""

from __future__ import annotations

import math

from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import UserError
from gvc_protocol.framing import Framing
from gvc_protocol.params import MS, SECOND, LinkParams

__all__ = ["link_params"]

_PACKETS_PER_SECOND = 6
"Packets that a protected stream should have, so that a burst takes a few of them and not all."
_SMALLEST_CUT_BYTES = 256
_JOIN_BYTES = 512
"""Above it a unit is worth taking apart: a few losses then cost a part of it instead of all."""


def link_params(
    profile: LinkProfile, *, bps: float | None, fec: str, packets: bool = False,
    tagged: bool = False, encrypted: bool = False,
) -> LinkParams:  # fmt: skip
    """Link parameters for one profile.

    Args:
        bps: on-air bit/s wanted, None for the profile's usable rate.
        fec: `auto`, `off`, or redundancy in percent of the data.
        packets: True when the link keeps packets whole though the radio is a byte stream (a capture,
            a serial radio behind a UDP bridge).
        tagged: there is a key.
        encrypted: payloads are to be encrypted, too; `keys.link_key` checks that it may be.

    Raises:
        UserError: a rate or redundancy that this profile does not allow.
    """
    rate = _rate(profile, bps)
    percent = _fec_percent(profile, fec)
    inner_rs = profile.inner_rs_parity > 0
    mtu = profile.mtu_bytes
    burst = mtu if profile.airtime.model == "fixed" else 0
    if percent > 0 and not inner_rs and not burst:
        # Small packets cost headers, but one packet a second cannot be protected at all.
        mtu = min(mtu, max(_SMALLEST_CUT_BYTES, int(rate / 8 / _PACKETS_PER_SECOND)))
    framing = Framing(mtu_bytes=mtu, stream=profile.stream and not packets, inner_rs=inner_rs)
    # Defaults are made for packets a second or more often; a link whose packets take 10 s each needs
    # all its times longer, or every unit would be given up between two packets.
    packet_ns = int((max(framing.mtu_bytes, burst) * 8 / rate) * SECOND)
    # Where the other side waits for its turn, a cut datagram must not hide the OVER behind it for long.
    stall_ns = (
        min(2 * SECOND, max(500 * MS, 4 * packet_ns))
        if profile.backchannel == "windows"
        else 2 * SECOND
    )
    return LinkParams(
        framing=framing, rate_bps=rate, fec_percent=percent, packet_least_bytes=burst,
        join_bytes=_JOIN_BYTES,
        tagged=tagged, encrypted=encrypted, stall_ns=stall_ns,
        window_ns=max(10 * SECOND, 4 * packet_ns), reorder_ns=max(500 * MS, 2 * packet_ns),
        hold_ns=max(8 * SECOND, 6 * packet_ns), queue_ns=max(12 * SECOND, 12 * packet_ns),
    )  # fmt: skip


def _rate(profile: LinkProfile, bps: float | None) -> float:
    if bps is None:
        return profile.rate.usable_bps
    if not (math.isfinite(bps) and bps > 0):
        raise UserError(f"--bps {bps:g} is out of range; give bit/s above 0")
    if profile.rate.fixed and bps > profile.rate.usable_bps:
        raise UserError(
            f"--bps {bps:.0f} is more than {profile.id} carries; "
            f"give at most {profile.rate.usable_bps:.0f}, or leave it out"
        )
    return bps


def _fec_percent(profile: LinkProfile, fec: str) -> float:
    if fec == "auto":
        return profile.fec.auto_percent
    if fec == "off":
        return 0.0
    try:
        percent = float(fec.removesuffix("%"))
    except ValueError:
        percent = math.nan
    if not 0 <= percent <= 400:
        raise UserError(f"--fec {fec} is neither auto, off nor a percentage from 0 to 400")
    return percent
