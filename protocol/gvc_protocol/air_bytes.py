"""What a unit takes on the air, everything counted, and which rate is too slow for a link at all."""

from __future__ import annotations

import math

from gvc_protocol.blocks import plan_air_bytes
from gvc_protocol.errors import UserError
from gvc_protocol.joined import joined_bytes
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.wire import OVERHEAD_BYTES, TAG_BYTES, WirePart

__all__ = ["check_rate", "is_joined", "joined_k", "unit_air_bytes"]

_JOINED_K = (2, 4)
"""With half again P of parity, and two symbols at least, both outlive losses about as well: two of four,
three of seven. The less there is to carry, the more the headers of seven weigh."""


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
    sizes = (descriptors, keyframe, features)
    return int(min(_apart(params, *sizes), _in_one(params, *sizes)))


def is_joined(params: LinkParams, descriptors: int, keyframe: int, features: int) -> bool:
    """Whether a unit with parts of these sizes goes as one block."""
    together = _in_one(params, descriptors, keyframe, features)
    return together < _apart(params, descriptors, keyframe, features)


def _apart(params: LinkParams, *sizes: int) -> float:
    return sum(_part(params, part, size) for part, size in enumerate(sizes) if size)


def _in_one(params: LinkParams, descriptors: int, keyframe: int, features: int) -> float:
    size = joined_bytes(descriptors, keyframe, features)
    if size > params.join_bytes or not keyframe + features:
        return math.inf
    return min(_joined(params, size, k) for k in _choices(params))


def joined_k(params: LinkParams, size: int) -> int:
    """Data symbols for a D of this size that holds K and F: what takes least air."""
    return min(_choices(params), key=lambda k: _joined(params, size, k))


def _choices(params: LinkParams) -> tuple[int, ...]:
    return _JOINED_K if params.fec_percent > 0 else (1,)


def _joined(params: LinkParams, size: int, k: int) -> int:
    return _part(params, WirePart.DESCRIPTORS, size, joined=True, least_k=k)


def _part(
    params: LinkParams, part: int, size: int, *, joined: bool = False, least_k: int = 1
) -> int:
    tag = TAG_BYTES if params.tagged else 0
    plan = plan_air_bytes(
        part, size, max_symbol_bytes=params.max_symbol_bytes, fec_percent=params.fec_percent,
        joined=joined, least_k=least_k,
    )  # fmt: skip
    return sum(
        symbols * params.air_bytes(length + OVERHEAD_BYTES + tag) for symbols, length in plan
    )
