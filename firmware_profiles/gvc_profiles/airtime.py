"""How long a packet is on the air."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gvc_profiles.model import LinkProfile

__all__ = ["airtime_s", "lora_airtime_ms"]


def lora_airtime_ms(
    payload_bytes: int, *, spreading_factor: int, bandwidth_hz: int, coding_rate: int,
    preamble_symbols: int,
) -> float:  # fmt: skip
    """Time on air of one LoRa packet, explicit header and CRC on, in milliseconds.

    Semtech AN1200.13, section 4. `coding_rate` is 5..8 for 4/5..4/8; the low data rate optimisation
    is on where a symbol is longer than 16 ms, as the data sheet demands.
    """
    symbol_ms = (1 << spreading_factor) / bandwidth_hz * 1000
    slow = 2 if symbol_ms > 16 else 0
    bits = 8 * payload_bytes - 4 * spreading_factor + 28 + 16
    symbols = 8 + max(0, math.ceil(bits / (4 * (spreading_factor - slow)))) * coding_rate
    return (preamble_symbols + 4.25 + symbols) * symbol_ms


def airtime_s(profile: LinkProfile, packet_bytes: int) -> float:
    """Seconds that one radio packet of this size occupies the channel.

    `packet_bytes` is what the host handed over; what the radio adds comes from the profile.
    """
    a = profile.airtime
    if a.model == "fixed":
        packet_bytes = max(packet_bytes, profile.radio_packet_bytes)
    size = packet_bytes + a.per_packet_overhead_bytes
    if a.model == "lora":
        return lora_airtime_ms(
            size, spreading_factor=a.spreading_factor, bandwidth_hz=a.bandwidth_hz,
            coding_rate=a.coding_rate, preamble_symbols=a.preamble_symbols,
        ) / 1000  # fmt: skip
    return size * 8 / profile.rate.nominal_bps
