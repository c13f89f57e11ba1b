"""What a sender may do on its link, and what it runs on: the bounds and the outcome of adaptation."""

from __future__ import annotations

from dataclasses import dataclass

from gvc_protocol.params import SECOND

__all__ = ["AdaptLimits", "LinkSetting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptLimits:
    """What the operator, the profile and the codec allow."""

    ceiling_bps: float
    "On-air rate that is never exceeded: the operator's, or the profile's usable one."
    floor_bps: float
    "Below it the codec makes nothing."
    fec_percent: float
    "Open-loop redundancy; 0 switches adaptation of it off."
    unit_ns: int
    packet_bytes: int
    "Air bytes of the largest packet."
    report_ns: int = 2 * SECOND
    "About how often a report should come."
    turns_ns: int = 0
    """Of a half-duplex air, there and back, where the base talks in windows only: its talk beside our
    packets takes the air from them, and is no slower link. 0: what it takes is the link's own."""
    max_interleave: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSetting:
    """What the sender runs on."""

    rate_bps: float
    "For the encoder: changes only when it is worth an encoder's while."
    pace_bps: float
    "For the packets as they leave, a little above at times: that is how a faster link is noticed."
    fec_percent: float
    interleave: int = 0
    "Units after its own over whose air time a unit's symbols are spread."
    finest: int = 0
    "Finest step of the ladder that makes sense now."
    closed_loop: bool = False
    eager: bool = False
    "The link seems to have changed: where a report costs silence, the next ones are worth more of it."
