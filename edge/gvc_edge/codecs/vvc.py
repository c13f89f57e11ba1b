"""VVC for the edge: VVenC inside the ffmpeg binary that the wheel `imageio-ffmpeg` brings.

i420 pictures -> pipe -> VVenC (one closed stream) -> pipe -> NAL units -> one access unit a picture,
with its temporal layer -> decoded again: display order and what the base will see

At half size and ten pictures a second VVenC needed about two thirds of SVT-AV1's bytes on flights over
detailed ground; on roads ahead it needed more. There is no Python wheel of it: the binary has one for
x86-64 and for ARM.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import IO, Any

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_edge.codecs.av1 import cores, give_back
from gvc_protocol.errors import UserError

__all__ = [
    "INTRA_OFFSET",
    "MAX_QP",
    "MIN_QP",
    "AccessUnit",
    "Stream",
    "VvcError",
    "display_order",
    "encode",
    "find_ffmpeg",
]

Picture = NDArray[np.uint8]

MIN_QP, MAX_QP = 12, 56
INTRA_OFFSET = -3
"VVenC's own QP of the intra picture against the rest's base."

_GOP, _SMALL_GOP = 32, 16
_LONG, _CENTRED = 48, 0.05
"""Pictures of VVenC's hierarchy: its default, and half. It puts the intra picture at the end of the
first group, and makes those before it from it, too: with 32 that is picture 31 of 34, far from most.
Groups of 16 it halves by itself where the content asks for it. Squared error with 16 against 32, at the
same bytes: highway 18, 26 and 46 pictures -9, -4 and -13 %, forest 34 -5 %, building site 16 -3 %.
Where 32 has the intra picture in the middle, as of 61, 16 was 0.1 JOD worse on the forest with less
squared error."""

_TIMEOUT_S, _TIMEOUT_PICTURE_S = 120.0, 5.0
"""A child that takes longer hangs; the second for each picture. A slow or busy computer is no reason for
AV1, which stands in where VVenC gives nothing."""
_PARAMETER_SETS = (15, 16)
"SPS and PPS. VPS, AUD and SEI tell a decoder nothing new."
_ADAPTATION_SETS = (17, 18)
"""Adaptation sets are sent with one picture and used by later ones: where that picture is lost, a
decoder takes an older set of the same number, and nobody knows. The loop filter that needs them (ALF)
is off; it was worth 0 to 2 % of the bytes."""
_START = b"\0\0\1"
_LAST_SLICE_NAL = 11


class VvcError(Exception):
    """The child process failed or took too long; the unit has to be coded another way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessUnit:
    """One coded picture."""

    layer: int
    "Temporal layer, 0..7."
    body: bytes
    "NAL units in Annex B without the first start code."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One closed stream in decoding order."""

    parameter_sets: bytes
    units: tuple[AccessUnit, ...]

    @property
    def size(self) -> int:
        """Bytes of everything."""
        return len(self.parameter_sets) + sum(len(unit.body) for unit in self.units)


@cache
def find_ffmpeg() -> str:
    """Path of an ffmpeg that has VVenC.

    Raises:
        UserError: there is none.
    """
    try:
        import imageio_ffmpeg

        path = str(imageio_ffmpeg.get_ffmpeg_exe())
        run = subprocess.run(
            [path, "-hide_banner", "-h", "encoder=libvvenc"], capture_output=True, timeout=30,
            check=False,
        )  # fmt: skip
        if b"libvvenc" in run.stdout and b"not recognized" not in run.stdout:
            return path
    except (ImportError, RuntimeError, OSError, subprocess.TimeoutExpired):
        pass
    raise UserError(
        "codec gvc needs an ffmpeg with VVenC; pip install 'imageio-ffmpeg>=0.8.1', or use "
        "--codec classical"
    )


def encode(
    pictures: Sequence[Picture],
    *,
    qp: int,
    fps: Fraction,
    preset: str,
    threads: int = 1,
    intra_offset: int = INTRA_OFFSET,
) -> Stream:
    """Code pictures as one closed stream.

    Args:
        pictures: planar 4:2:0 uint8[h * 3 / 2, w] of one size, sides multiples of 8.
        qp: 12..56; lower is better and larger.
        fps: coded pictures a second; it only tunes the encoder.
        preset: faster, fast, medium or slow.
        threads: at most; no more than there are cores are used, as each takes memory, and a second one
            on one core took 8 to 50 % more CPU time. They do not change the bytes.
        intra_offset: added to the QP of the intra picture, from which all others are made.

    Raises:
        VvcError: the child failed, or its output is not one stream of these pictures.
    """
    height, width = pictures[0].shape[0] * 2 // 3, pictures[0].shape[1]
    command = [
        find_ffmpeg(), "-v", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", "yuv420p",
        "-s", f"{width}x{height}", "-r", str(fps), "-i", "pipe:0",
        "-pix_fmt", "yuv420p10le", "-c:v", "libvvenc", "-preset", preset, "-qp", str(qp),
        "-qpa", "0", "-period", "9999", "-threads", str(min(threads, cores())),
    ]  # fmt: skip
    # Now and then it swallows all pictures of a number that it does not like: 46 with 32, 30 with 16.
    for gop in _gop_sizes(len(pictures)):
        params = f"ALF=0:IntraQPOffset={intra_offset}:GOPSize={gop}"
        whole = [*command, "-vvenc-params", params, "-f", "vvc", "pipe:1"]
        stream = _split(_run(whole, pictures))
        if len(stream.units) == len(pictures):
            return stream
    raise VvcError(f"VVenC gave {len(stream.units)} pictures of {len(pictures)}")


def _gop_sizes(pictures: int) -> tuple[int, int]:
    """The one that leaves the intra picture nearer to the middle, and the other."""
    end = min(_GOP, 1 << (pictures.bit_length() - 1)) - 1
    centred = abs(end / max(1, pictures - 1) - 0.5) < _CENTRED
    return (_GOP, _SMALL_GOP) if centred or pictures >= _LONG else (_SMALL_GOP, _GOP)


def _run(command: Sequence[str], pictures: Sequence[Picture]) -> bytes:
    """What a child makes of the pictures' bytes. Raises VvcError."""
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except OSError as error:
        raise VvcError(f"VVenC: {error}") from error
    # From a thread and picture by picture: one blob of them all would double a long unit's memory.
    pipe, child.stdin = child.stdin, None
    assert pipe is not None
    feeder = threading.Thread(target=_feed, args=(pipe, pictures), name="vvenc", daemon=True)
    feeder.start()
    try:
        out, err = child.communicate(timeout=_TIMEOUT_S + _TIMEOUT_PICTURE_S * len(pictures))
    except subprocess.TimeoutExpired as error:
        raise VvcError(f"VVenC: {error}") from error
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
        feeder.join()
    if child.returncode:
        raise VvcError(f"VVenC: {err.decode(errors='replace').strip()[-200:]}")
    return out


def _feed(pipe: IO[bytes], pictures: Sequence[Picture]) -> None:
    # A child that died takes no more; its exit status tells why.
    with suppress(BrokenPipeError), pipe:
        for picture in pictures:
            pipe.write(np.ascontiguousarray(picture).data)


def display_order(stream: Stream) -> tuple[list[int], list[Picture]]:
    """(place in display order of each access unit, pictures in display order).

    Found by decoding, which also shows what the base will see: BGR uint8[h, w, 3].

    Raises:
        VvcError: the stream does not give each of its pictures once.
    """
    context: Any = av.CodecContext.create("vvc", "r")
    context.thread_count = 1
    order: list[int] = []
    pictures: list[Picture] = []

    def take(frames: list[Any]) -> None:
        # At once: ten-bit frames that wait for the last one would be most of this process's memory.
        for frame in frames:
            order.append(frame.pts)
            pictures.append(_to_bgr(frame))

    try:
        for index, unit in enumerate(stream.units):
            packet = av.Packet((stream.parameter_sets if index == 0 else b"") + _START + unit.body)
            packet.pts = index
            take(context.decode(packet))
        take(context.decode(None))
    except av.error.FFmpegError as error:
        raise VvcError(f"VVenC's stream cannot be decoded: {error}") from error
    del context
    give_back()
    if sorted(order) != list(range(len(stream.units))):
        raise VvcError("VVenC's stream does not give each picture once")
    places = [0] * len(order)
    for place, index in enumerate(order):
        places[index] = place
    return places, pictures


def _to_bgr(frame: Any) -> Picture:
    """BT.601 limited range; ten bits are rounded to eight, as the base does."""
    planes = frame.to_ndarray(format="yuv420p10le").astype(np.uint16)
    eight = np.minimum((planes + 2) >> 2, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(eight, cv2.COLOR_YUV2BGR_I420), np.uint8)


def _split(data: bytes) -> Stream:
    """Annex B to access units: parameter sets once, then one slice a picture."""
    sets = b""
    units: list[AccessUnit] = []
    for nal in _nals(data):
        if len(nal) < 3:
            continue
        kind, layer = nal[1] >> 3, (nal[1] & 7) - 1
        if kind in _ADAPTATION_SETS:
            raise VvcError("VVenC sent an adaptation parameter set")
        if kind <= _LAST_SLICE_NAL:
            units.append(AccessUnit(layer=max(0, layer), body=nal))
        elif kind in _PARAMETER_SETS:
            # The short start code: a byte less for each NAL unit.
            sets += _START + nal
    return Stream(parameter_sets=sets, units=tuple(units))


def _nals(data: bytes) -> list[bytes]:
    """NAL units of an Annex B stream, without start codes."""
    out, at = [], data.find(b"\0\0\1")
    while at >= 0:
        following = data.find(b"\0\0\1", at + 3)
        end = len(data) if following < 0 else following
        out.append(data[at + 3 : end].rstrip(b"\0"))
        at = following
    return out
