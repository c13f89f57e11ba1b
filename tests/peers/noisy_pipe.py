"""`python noisy_pipe.py SNR_DB SEED POWER < 16-bit audio > the same with noise`: the air for pipes.

Noise is added in 0.1 s pieces as they come, and silence with noise is put out at the end, as a receiver
that is left on would hear.
"""

from __future__ import annotations

import sys

import numpy as np

RATE_HZ = 8000


def main() -> None:
    """Copy until the input ends."""
    snr_db, seed, power = float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    sigma = np.sqrt(power / 10 ** (snr_db / 10) * (RATE_HZ / 2) / 3000)
    dice = np.random.default_rng(seed)
    while data := sys.stdin.buffer.read1(1600):
        data += sys.stdin.buffer.read(1) if len(data) % 2 else b""
        clean = np.frombuffer(data, "<i2").astype(np.float64)
        tail = np.zeros(RATE_HZ // 10)
        heard = np.concatenate([clean, tail]) if len(data) < 1600 else clean
        noisy = heard + dice.normal(0, sigma, len(heard))
        sys.stdout.buffer.write(np.clip(noisy, -32768, 32767).astype("<i2").tobytes())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
