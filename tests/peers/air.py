"""What the air does to modulated audio: white noise of a stated SNR, and two-path fading. Seeded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["add_noise", "fade_two_paths"]

Audio = NDArray[np.float64]


def add_noise(
    audio: Audio, snr_db: float, seed: int, *, power: float, rate_hz: int, band_hz: float
) -> Audio:
    """White Gaussian noise.

    Args:
        power: mean square of the signal while it is on the air (pauses left out).
        band_hz: bandwidth in which the SNR is stated; the noise fills rate_hz / 2.
    """
    noise_power = power / 10 ** (snr_db / 10) * (rate_hz / 2) / band_hz
    dice = np.random.default_rng(seed)
    return audio + dice.normal(0, np.sqrt(noise_power), len(audio))


def fade_two_paths(
    audio: Audio, seed: int, *, rate_hz: int, doppler_hz: float = 1.0, delay_s: float = 0.002
) -> Audio:
    """Watterson's HF channel: two paths of equal strength, each fading on its own (ITU-R F.1487)."""
    dice = np.random.default_rng(seed)
    analytic = _analytic(audio)
    late = np.concatenate([np.zeros(round(delay_s * rate_hz)), analytic])[: len(audio)]
    gains = [_gain(len(audio), dice, doppler_hz / 2 / rate_hz) for _ in range(2)]
    return np.real(analytic * gains[0] + late * gains[1]) / np.sqrt(2)


def _analytic(audio: Audio) -> NDArray[np.complex128]:
    """The signal without its negative frequencies (Hilbert transform by FFT)."""
    size = 1 << (len(audio) - 1).bit_length()
    spectrum = np.fft.fft(audio, size)
    spectrum[1 : size // 2] *= 2
    spectrum[size // 2 + 1 :] = 0
    return np.asarray(np.fft.ifft(spectrum)[: len(audio)])


def _gain(size: int, dice: np.random.Generator, sigma: float) -> NDArray[np.complex128]:
    """Complex Gaussian process with a Gaussian spectrum of this width (cycles a sample), power 1."""
    step = max(1, int(0.02 / sigma))  # far below the process's own time scale
    coarse = -(-size // step) + 2
    width = max(4, int(3 / (2 * np.pi * sigma * step)) + 1)
    kernel = np.exp(-2 * (np.pi * sigma * step * np.arange(-width, width + 1)) ** 2)
    raw = dice.normal(size=coarse + 2 * width) + 1j * dice.normal(size=coarse + 2 * width)
    smooth = np.convolve(raw, kernel / np.sqrt(2 * np.sum(kernel**2)), mode="valid")[:coarse]
    at = np.arange(size) / step
    grid = np.arange(len(smooth))
    return np.interp(at, grid, smooth.real) + 1j * np.interp(at, grid, smooth.imag)
