"""A byte stream through minimodem (1200 Bd Bell 202, 8N1): wrong bytes, and bytes that are gone.

It stands for every radio that is a bare UART over FSK: no packets, no CRC, nothing dropped.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np

from tests.peers.air import add_noise
from tests.peers.flight import Modem

__all__ = ["BAUD", "ByteStatistics", "compare_bytes", "minimodem", "minimodem_missing"]

BAUD = 1200
_RATE_HZ = 48_000
_BAND_HZ = 24_000.0
_IDLE = b"\x55" * 4
"Before the first byte: the demodulator needs some signal to find its carrier."
_READ_BYTES = 64
"The receiving host reads the port in pieces of about this size."


def minimodem_missing() -> str:
    """Why the tests must skip, or an empty text."""
    return "" if shutil.which("minimodem") else "minimodem is not installed (.ci/run installs it)"


def through_air(stream: bytes, snr_db: float, seed: int) -> bytes:
    """What comes out for these bytes; SNR in 24 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        clean, noisy = Path(folder, "clean.wav"), Path(folder, "noisy.wav")
        _run(["minimodem", "--tx", "-f", str(clean), "-8", str(BAUD)], _IDLE + stream)
        with wave.open(str(clean)) as file:
            audio = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float64)
            rate = file.getframerate()
        power = float(np.mean(audio**2))
        heard = add_noise(audio, snr_db, seed, power=power, rate_hz=rate, band_hz=_BAND_HZ) / 8
        with wave.open(str(noisy), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(np.clip(heard, -32768, 32767).astype(np.int16).tobytes())
        command = ["minimodem", "--rx", "-f", str(noisy), "-8", "-q", str(BAUD)]
        return _run(command, b"")


def minimodem(snr_db: float, seed: int) -> Modem:
    """A modem for `fly` over a stream framing."""

    def through(packets: list[bytes]) -> list[bytes]:
        got = through_air(b"".join(packets), snr_db, seed)
        return [got[i : i + _READ_BYTES] for i in range(0, len(got), _READ_BYTES)]

    return through


def _run(command: list[str], data: bytes) -> bytes:
    done = subprocess.run(command, input=data, capture_output=True, timeout=120, check=True)
    return done.stdout


class ByteStatistics:
    """How a byte stream was hurt: what the link proxy needs to hurt another one alike."""

    def __init__(self, *, sent: int, wrong: int, deleted: int, wrong_bits: int) -> None:
        self.sent, self.wrong, self.deleted, self.wrong_bits = sent, wrong, deleted, wrong_bits

    @property
    def ber(self) -> float:
        """Share of bits turned over."""
        return self.wrong_bits / max(1, 8 * self.sent)

    @property
    def slip(self) -> float:
        """Share of bytes that are gone (or came besides)."""
        return self.deleted / max(1, self.sent)


def compare_bytes(sent: bytes, got: bytes, window: int = 24) -> ByteStatistics:
    """Line the two streams up greedily: at a mismatch, whichever small shift fits best."""
    wrong = bits = slips = i = j = 0
    while i < len(sent) and j < len(got):
        if sent[i] == got[j]:
            i, j = i + 1, j + 1
            continue
        shift = _best_shift(sent[i : i + 2 * window], got[j : j + 2 * window], window)
        if shift == 0:
            wrong, bits = wrong + 1, bits + (sent[i] ^ got[j]).bit_count()
            i, j = i + 1, j + 1
        else:
            slips += abs(shift)
            i, j = i + max(0, shift), j + max(0, -shift)
    return ByteStatistics(
        sent=len(sent), wrong=wrong, deleted=slips + max(0, len(sent) - i), wrong_bits=bits
    )


def _best_shift(sent: bytes, got: bytes, window: int) -> int:
    def score(shift: int) -> int:
        a, b = sent[max(0, shift) :][:window], got[max(0, -shift) :][:window]
        return sum(x == y for x, y in zip(a, b, strict=False)) - 2 * abs(shift)

    return max(range(-4, 5), key=lambda s: (score(s), -abs(s)))
