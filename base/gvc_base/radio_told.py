"""What the base's own radio tells: for the report to the edge, and for the archive."""

from __future__ import annotations

from typing import Any

from gvc_profiles.links import LinkState

__all__ = ["levels_of", "radio_detail"]

_FIELDS = ("rssi_dbm", "noise_dbm", "snr_db", "signal_bars", "queue_free_percent")


def radio_detail(state: LinkState) -> dict[str, Any]:
    """Detail of an archive event `radio`; empty where the radio says nothing."""
    about = {n: value for n in _FIELDS if (value := getattr(state, n)) is not None}
    if state.waiting_packets:
        about["waiting_packets"] = state.waiting_packets
    if state.problem:
        about["problem"] = state.problem
    return about


def levels_of(state: LinkState) -> tuple[int | None, int | None]:
    """RSSI and noise in dBm for a report: both or none. Noise may follow from the SNR."""
    rssi, noise = state.rssi_dbm, state.noise_dbm
    if rssi is not None and noise is None and state.snr_db is not None:
        noise = rssi - state.snr_db
    if rssi is None or noise is None:
        return None, None
    return round(rssi), round(noise)
