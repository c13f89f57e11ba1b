"""AV1 for the edge: closed SVT-AV1 streams without container, and dav1d to see what they became.

BGR -> reduce -> i420 -> encode (one encoder per stream) -> temporal units -> decode -> BGR
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# SVT-AV1 reads its log level when it is loaded: errors only, a user never asked for its banner.
os.environ.setdefault("SVT_LOG", "1")

import av

__all__ = [
    "MAX_CRF",
    "MIN_CRF",
    "Picture",
    "cores",
    "decode",
    "encode",
    "even_size",
    "give_back",
    "i420",
    "open_svt",
    "preset_for",
    "reduce",
    "to_bgr",
]

Picture = NDArray[np.uint8]

MIN_CRF = 4.0
MAX_CRF = 63.0
"SVT-AV1's last step before its size curve jumps (63 to 70 are coarse, and no longer monotonic)."

_STILL_PRESET = 6
"A 854x480 still in about 20 ms; 0.3 dB above preset 8 for 4 % more bytes (one picture)."

_STREAM_PRESETS = ((70_000, 6), (300_000, 8))
_STREAM_PRESET_ABOVE = 10
"Preset by pixels a picture: 6 saved 9 % of the bytes against 8 on one clip, at 2.5 times its time."

_PRESETS = ((900_000, 3), (1_400_000, 4), (2_500_000, 6))
_PRESET_ABOVE, _LIVE_PRESET = 8, 6
"By pixels a second, for an encoder that tries several qualities of each unit."

_THREADS = 2
"At most; they do not change the bytes. A second one on one core takes memory and saves no time."


def cores() -> int:
    """Processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def preset_for(pixels_per_s: float, *, live: bool) -> int:
    """Preset for a stream that is coded several times over; `live`: keep up with a camera."""
    preset = next((p for most, p in _PRESETS if pixels_per_s <= most), _PRESET_ABOVE)
    return max(preset, _LIVE_PRESET) if live else preset


def give_back() -> None:
    """Hand memory that a codec has freed back to the system, where its C library can.

    SVT-AV1 and the decoders allocate in threads of their own; the C library kept 35 to 110 MB of that
    for later, beside which VVenC's own process then had to fit.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        found = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        # Not glibc: musl and macOS give back by themselves or not at all.
        return None
    found.argtypes, found.restype = [ctypes.c_size_t], ctypes.c_int
    return found


def even_size(width: int, height: int, scale: float) -> tuple[int, int]:
    """Size of a picture reduced `scale` times, both sides even and at least 16."""
    return max(16, round(width / scale / 2) * 2), max(16, round(height / scale / 2) * 2)


def reduce(picture: Picture, width: int, height: int) -> Picture:
    """The picture at another size, each pixel the mean of those it covers; a copy in any case."""
    if picture.shape[:2] == (height, width):
        return picture.copy()
    bigger = width > picture.shape[1] or height > picture.shape[0]
    how = cv2.INTER_CUBIC if bigger else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)


def i420(picture: Picture) -> Picture:
    """BGR to planar 4:2:0, BT.601 limited range: uint8[h * 3 / 2, w]."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)


def to_bgr(planes: Picture) -> Picture:
    """Inverse of `i420`."""
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)


def encode(
    pictures: Sequence[Picture],
    *,
    crf: float,
    fps: Fraction,
    still: bool,
    preset: int | None = None,
) -> list[bytes]:
    """Code pictures as one closed stream.

    Args:
        pictures: planar 4:2:0 of one size, as `i420` gives them; exactly one for a still.
        crf: 4..63 in quarters; lower is better and larger.
        fps: coded frames a second; it only tunes the encoder.
        preset: of SVT-AV1; None for one by the picture's size.

    Returns:
        One temporal unit a picture, in decoding order; each shows the picture of its place.
    """
    height, width = pictures[0].shape[0] * 2 // 3, pictures[0].shape[1]
    context: Any = av.CodecContext.create("libsvtav1", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.framerate, context.time_base = fps, 1 / fps
    # Three layers (8 frames) did better than four over 20 frames of one clip, and a cut tail
    # loses less.
    if preset is None:
        preset = _STILL_PRESET if still else _stream_preset(width * height)
    shape = "avif=1" if still else "keyint=-1:hierarchical-levels=3"
    context.options = {
        "preset": str(preset),
        "svtav1-params": f"crf={crf:.2f}:lp={min(_THREADS, cores())}:{shape}",
    }
    open_svt(context)
    units: list[bytes] = []
    for index, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = index
        units += [bytes(packet) for packet in context.encode(frame)]
    units += [bytes(packet) for packet in context.encode(None)]
    del context
    give_back()
    return units


def open_svt(context: Any) -> None:
    """Open an SVT-AV1 encoder that is ready to be opened, and leave all priorities as they were.

    Opened by root, SVT-AV1 puts the thread that calls it into SCHED_FIFO at priority 99 and leaves it
    there; its own threads inherit that, and so does each process started later, VVenC among them. On
    two cores everything else was left with the 5 % that Linux keeps back for it.
    """
    try:
        policy = os.sched_getscheduler(0)
    except (AttributeError, OSError):
        # No such thing on macOS and Windows, and SVT-AV1 does nothing of the kind there.
        context.open()
        return
    try:
        context.open()
    finally:
        if policy not in (os.SCHED_FIFO, os.SCHED_RR):
            _calm(policy)


def _calm(policy: int) -> None:
    """Give every thread of this process that became real-time its policy back."""
    for thread in _threads():
        # A thread may have ended since it was listed.
        with suppress(OSError):
            if os.sched_getscheduler(thread) == os.SCHED_FIFO:
                os.sched_setscheduler(thread, policy, os.sched_param(0))


def _threads() -> list[int]:
    """Numbers of this process's threads; 0, the caller alone, where they cannot be listed."""
    try:
        return [int(entry.name) for entry in Path("/proc/self/task").iterdir()]
    except OSError:
        return [0]


def _stream_preset(pixels: int) -> int:
    for most, preset in _STREAM_PRESETS:
        if pixels <= most:
            return preset
    return _STREAM_PRESET_ABOVE


def decode(units: Sequence[bytes]) -> list[Picture]:
    """BGR pictures of temporal units that `encode` made."""
    context: Any = av.CodecContext.create("libdav1d", "r")
    context.thread_count = min(_THREADS, cores())
    context.options = {"max_frame_delay": "1"}
    # Each frame is turned at once, so that not all of them wait in memory twice.
    pictures = [
        to_bgr(frame.to_ndarray(format="yuv420p"))
        for packet in (*(av.Packet(unit) for unit in units), None)
        for frame in context.decode(packet)
    ]
    del context
    give_back()
    return pictures
