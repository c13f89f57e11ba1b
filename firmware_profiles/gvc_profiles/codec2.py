"""HF data modes of FreeDV by ctypes on libcodec2: packets to 8 kHz audio and back. No I/O.

A burst is preamble, one frame, postamble; each frame ends in the modem's own CRC-16, which our CRC-32
does not rely on. libcodec2 is LGPL and stays a library of its own: nothing of it is copied here.
API: https://github.com/drowe67/codec2, src/freedv_api.h (version 1.0).
"""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gvc_protocol.errors import UserError

__all__ = ["MODES", "SAMPLE_RATE_HZ", "DataModem", "find_codec2"]

SAMPLE_RATE_HZ = 8000
MODES = {"datac0": 14, "datac1": 10, "datac3": 12}
"FREEDV_MODE_* of freedv_api.h."
_CRC_BYTES = 2
_SYNC_BITS = 0x02 | 0x04
"FREEDV_RX_SYNC and FREEDV_RX_BITS of the receiver's status."
_HINT = "install it (Debian, Ubuntu: apt-get install libcodec2-1.0) and try again"

Samples = NDArray[np.int16]


def find_codec2() -> str | None:
    """The library's name on this system, or None."""
    for name in ("libcodec2.so.1.2", "libcodec2.so.1.1", "libcodec2.so.1.0"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return name
    return ctypes.util.find_library("codec2")


def _load() -> Any:
    name = find_codec2()
    if name is None:
        raise UserError(f"the FreeDV link needs libcodec2, which is not on this system; {_HINT}")
    lib = ctypes.CDLL(name)
    try:
        lib.freedv_open.restype = ctypes.c_void_p
        lib.freedv_gen_crc16.restype = ctypes.c_ushort
        for call in ("freedv_close", "freedv_nin", "freedv_get_bits_per_modem_frame",
                     "freedv_get_n_tx_modem_samples", "freedv_get_n_max_modem_samples",
                     "freedv_get_rx_status"):  # fmt: skip
            getattr(lib, call).argtypes = [ctypes.c_void_p]
        lib.freedv_set_frames_per_burst.argtypes = [ctypes.c_void_p, ctypes.c_int]
        for call in ("freedv_rawdatapreambletx", "freedv_rawdatapostambletx"):
            getattr(lib, call).argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        for call in ("freedv_rawdatatx", "freedv_rawdatarx"):
            getattr(lib, call).argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    except AttributeError as error:
        raise UserError(f"{name} is too old for the FreeDV data modes ({error}); {_HINT}") from None
    return lib


class DataModem:
    """One end: sends and hears bursts of one mode.

    Raises:
        UserError: libcodec2 is missing or too old, or it does not know the mode.
    """

    def __init__(self, mode: str) -> None:
        if mode not in MODES:
            raise UserError(f"unknown FreeDV mode {mode!r}; choose one of {', '.join(MODES)}")
        self._lib = _load()
        self._modem = ctypes.c_void_p(self._lib.freedv_open(MODES[mode]))
        if not self._modem:
            raise UserError(f"this libcodec2 does not know the mode {mode}; {_HINT}")
        self._lib.freedv_set_frames_per_burst(self._modem, 1)
        self._frame_bytes = self._lib.freedv_get_bits_per_modem_frame(self._modem) // 8
        self._heard: Samples = np.zeros(0, np.int16)

    @property
    def payload_bytes(self) -> int:
        """Bytes of ours in each frame; shorter packets are filled up with zeros."""
        return int(self._frame_bytes) - _CRC_BYTES

    @property
    def hearing(self) -> bool:
        """True while a burst is being received: a polite station does not key up now."""
        return bool(self._lib.freedv_get_rx_status(self._modem) & _SYNC_BITS)

    def modulate(self, packet: bytes) -> Samples:
        """Audio of one burst, int16 at 8 kHz.

        Raises:
            ValueError: the packet is longer than a frame.
        """
        if len(packet) > self.payload_bytes:
            raise ValueError(f"{len(packet)} bytes exceed a frame of {self.payload_bytes}")
        body = packet.ljust(self.payload_bytes, b"\0")
        crc = self._lib.freedv_gen_crc16(body, len(body))
        frame = body + int(crc).to_bytes(2, "big")
        size = self._lib.freedv_get_n_tx_modem_samples(self._modem)
        # Pre- and postamble are at most as long as a frame.
        buffer = (ctypes.c_short * (2 * size + SAMPLE_RATE_HZ))()
        pieces = []
        for call, more in (
            (self._lib.freedv_rawdatapreambletx, ()), (self._lib.freedv_rawdatatx, (frame,)),
            (self._lib.freedv_rawdatapostambletx, ()),
        ):  # fmt: skip
            made = call(self._modem, buffer, *more)
            made = size if more else made  # the frame call returns nothing
            pieces.append(np.ctypeslib.as_array(buffer)[:made].astype(np.int16))
        return np.concatenate(pieces)

    def demodulate(self, samples: Samples) -> list[bytes]:
        """Packets whose frames end in these samples, each filled up to the frame's size."""
        self._heard = np.concatenate([self._heard, samples])
        frame = ctypes.create_string_buffer(self._frame_bytes)
        out, at = [], 0
        while at + (need := self._lib.freedv_nin(self._modem)) <= len(self._heard):
            piece = np.ascontiguousarray(self._heard[at : at + need])
            got = self._lib.freedv_rawdatarx(self._modem, frame, piece.ctypes.data)
            at += need
            if got:
                out.append(frame.raw[: self.payload_bytes])
        self._heard = self._heard[at:]
        return out

    def close(self) -> None:
        """Free the modem; safe to call twice."""
        if self._modem:
            self._lib.freedv_close(self._modem)
            self._modem = ctypes.c_void_p(None)
