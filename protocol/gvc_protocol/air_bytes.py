"""What a unit takes on the air, everything counted, and which rate is too slow for a link at all."""

from __future__ import annotations

from gvc_protocol.blocks import plan_air_bytes
from gvc_protocol.errors import UserError
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.wire import OVERHEAD_BYTES, TAG_BYTES

__all__ = ["check_rate", "unit_air_bytes"]


def check_rate(params: LinkParams) -> None:
    """Raises UserError where one packet is more than the rate allows in the whole window."""
    packet = params.framing.mtu_bytes + params.packet_overhead_bytes
    seconds = params.window_ns / SECOND
    if packet * 8 > params.rate_bps * seconds:
        raise UserError(
            f"{params.rate_bps:g} bit/s is too slow: one packet of {packet} bytes is more than "
            f"{seconds:g} s allow; give at least {packet * 8 / max(seconds, 1e-9):.0f} bit/s"
        )


def unit_air_bytes(params: LinkParams, descriptors: int, keyframe: int, features: int) -> int:
    """Air bytes that a unit with parts of these sizes takes, everything counted."""
    total = 0
    tag = TAG_BYTES if params.tagged else 0
    sizes = ((0, descriptors), (1, keyframe), (2, features))
    for part, size in sizes:
        if size == 0:
            continue
        plan = plan_air_bytes(
            part, size, max_symbol_bytes=params.max_symbol_bytes, fec_percent=params.fec_percent
        )
        for symbols, length in plan:
            total += symbols * params.air_bytes(length + OVERHEAD_BYTES + tag)
    return total
