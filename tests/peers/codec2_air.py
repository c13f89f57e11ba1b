"""Packets through libcodec2 at both ends, with the air between them in numpy."""

from __future__ import annotations

import numpy as np

from gvc_profiles.codec2 import SAMPLE_RATE_HZ, DataModem
from tests.peers.air import add_noise, fade_two_paths
from tests.peers.flight import Modem

__all__ = ["SNR_BAND_HZ", "codec2_modem"]

SNR_BAND_HZ = 3000.0
"HF practice states SNR in 3 kHz."
_GAP_S = 0.15


def codec2_modem(mode: str, snr_db: float, seed: int, *, fading: bool) -> Modem:
    """A modem for `fly`. Signal power is taken before fading: what was sent, not what came."""

    def through(packets: list[bytes]) -> list[bytes]:
        send, hear = DataModem(mode), DataModem(mode)
        gap = np.zeros(round(_GAP_S * SAMPLE_RATE_HZ))
        bursts = [send.modulate(packet).astype(np.float64) for packet in packets]
        power = float(np.mean(bursts[0] ** 2))
        audio = np.concatenate(
            [gap] + [piece for burst in bursts for piece in (burst, gap)] + [gap]
        )
        if fading:
            audio = fade_two_paths(audio, seed + 1000, rate_hz=SAMPLE_RATE_HZ)
        audio = add_noise(
            audio, snr_db, seed, power=power, rate_hz=SAMPLE_RATE_HZ, band_hz=SNR_BAND_HZ
        )
        got = hear.demodulate(np.clip(audio, -32768, 32767).astype(np.int16))
        send.close()
        hear.close()
        return got

    return through
