"""Two Direwolf TNCs, KISS over TCP at both ends; the audio between them is a file and numpy noise.

The first writes its modulated audio through an ALSA `file` device (no sound card is needed), the second
reads it from standard input. `-t 0` keeps its text plain; -X 1 turns on FX.25.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

from tests.peers.air import add_noise
from tests.peers.ax25 import KissReader, kiss, ui_frame, ui_payload
from tests.peers.flight import Modem

__all__ = ["direwolf", "direwolf_missing"]

_RATE_HZ = 44_100
_BAND_HZ = _RATE_HZ / 2
_WAIT_S = 60.0
_ALSA = """pcm.txout {{ type file slave.pcm "null" file "{air}" format "raw" }}
pcm.!default {{ type null }}
"""
_CONFIG = """ADEVICE {device}
ARATE {rate}
CHANNEL 0
MYCALL N0CALL-1
MODEM 1200
TXDELAY 20
SLOTTIME 1
PERSIST 255
AGWPORT 0
KISSPORT {port}
"""


def direwolf_missing() -> str:
    """Why the tests must skip, or an empty text."""
    return "" if shutil.which("direwolf") else "direwolf is not installed (.ci/run installs it)"


def direwolf(snr_db: float | None, seed: int, *, fx25: bool = False) -> Modem:
    """A modem for `fly`: datagrams ride as AX.25 UI frames. SNR over 22 kHz; None = no noise."""

    def through(packets: list[bytes]) -> list[bytes]:
        audio = _modulated(tuple(packets), fx25)
        with tempfile.TemporaryDirectory() as folder:
            if snr_db is not None:
                audio = _noisy(audio, snr_db, seed)
            return demodulate(np.clip(audio, -32768, 32767).astype(np.int16), Path(folder))

    return through


@lru_cache(maxsize=4)
def _modulated(packets: tuple[bytes, ...], fx25: bool) -> np.ndarray:
    """Sweeps send the same packets at each SNR; the transmitter's audio is the same each time."""
    with tempfile.TemporaryDirectory() as folder:
        return modulate(list(packets), Path(folder), fx25=fx25)


def modulate(packets: list[bytes], folder: Path, *, fx25: bool) -> np.ndarray:
    """Audio of all packets as the first TNC sends them, float64 at 44.1 kHz."""
    air = folder / "air.raw"
    (folder / ".asoundrc").write_text(_ALSA.format(air=air), "ascii")
    with _tnc(folder, "stdin txout", ("-X", "1") if fx25 else (), stdin="silence") as (tnc, port):
        sock = _connect(port, tnc)
        with sock:
            for packet in packets:
                sock.sendall(kiss(ui_frame(packet)))
            _wait_until_quiet(air)
    raw = air.read_bytes()
    return np.frombuffer(raw[: len(raw) // 2 * 2], "<i2").astype(np.float64)


def demodulate(audio: np.ndarray, folder: Path) -> list[bytes]:
    """Payloads of the UI frames that the second TNC hands out."""
    with _tnc(folder, "stdin null", ("-r", str(_RATE_HZ), "-"), stdin="pipe") as (tnc, port):
        sock, reader, out = _connect(port, tnc), KissReader(), []
        with sock:
            sock.settimeout(0.2)
            pipe = tnc.stdin
            assert pipe is not None
            raw = audio.astype("<i2").tobytes() + bytes(2 * _RATE_HZ)
            for at in range(0, len(raw), 1 << 16):
                pipe.write(raw[at : at + (1 << 16)])
                out += _frames(sock, reader, 0.0)
            pipe.flush()
            pipe.close()  # at the end of its input Direwolf leaves, after it has told all frames
            out += _frames(sock, reader, _WAIT_S)
    return [payload for frame in out if (payload := ui_payload(frame)) is not None]


def _noisy(audio: np.ndarray, snr_db: float, seed: int) -> np.ndarray:
    loud = np.abs(audio) > 0
    power = float(np.mean(audio[loud] ** 2))
    return add_noise(audio / 4, snr_db, seed, power=power / 16, rate_hz=_RATE_HZ, band_hz=_BAND_HZ)


@contextmanager
def _tnc(
    folder: Path, device: str, options: tuple[str, ...], *, stdin: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = _free_port()
    config = folder / f"{stdin}.conf"
    config.write_text(_CONFIG.format(device=device, rate=_RATE_HZ, port=port), "ascii")
    command = ["direwolf", "-t", "0", "-c", str(config), *options]
    with (folder / f"{stdin}.log").open("wb") as log:
        tnc = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder,
            env={**os.environ, "HOME": str(folder)}, start_new_session=True,
        )  # fmt: skip
        try:
            yield tnc, port
        finally:
            with suppress(OSError, ValueError):
                if tnc.stdin is not None:
                    tnc.stdin.close()
            with suppress(ProcessLookupError):
                os.killpg(tnc.pid, signal.SIGKILL)
            tnc.wait(timeout=10)


def _free_port() -> int:
    """Direwolf takes ports up to 49151 only, so the system must not choose."""
    for port in range(20_000 + os.getpid() % 5000, 49_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port")


def _connect(port: int, tnc: subprocess.Popen[bytes]) -> socket.socket:
    until = time.monotonic() + _WAIT_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            if tnc.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.05)


def _wait_until_quiet(air: Path) -> None:
    """Until the audio file has not grown for a while: the transmitter is not paced by a sound card."""
    until, size, since = time.monotonic() + _WAIT_S, -1, time.monotonic()
    while time.monotonic() < until:
        now = air.stat().st_size if air.exists() else -1
        if now != size:
            size, since = now, time.monotonic()
        elif size > 0 and time.monotonic() - since > 1.5:
            return
        time.sleep(0.05)


def _frames(sock: socket.socket, reader: KissReader, wait_s: float) -> list[bytes]:
    """Frames that are there; with a wait, until the peer closes or nothing comes any more."""
    out: list[bytes] = []
    sock.settimeout(max(wait_s, 0.001))
    while True:
        try:
            data = sock.recv(1 << 16)
        except OSError:
            return out
        if not data:
            return out
        out += reader.feed(data)
