"""What a user would pick instead: x264, x265 and SVT-AV1, each at the best of its sizes and frame rates.

Only the coded packets count, no container. Sizes are reduced by area means and enlarged cubically; at
10 frames/s every n-th frame is coded and held. One closed group of pictures every `--latency` seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("SVT_LOG", "1")

import av

from gvc_edge.codecs.av1 import open_svt
from tests.bench.codec.footage import Clip

__all__ = ["FORMS", "Form", "Made", "encode", "fill", "shown"]

_ENCODERS = {"x264": "libx264", "x265": "libx265", "svt": "libsvtav1"}
_RANGES = {"x264": (18.0, 51.0), "x265": (18.0, 51.0), "svt": (8.0, 70.0)}
_DECODERS = {"x264": "h264", "x265": "hevc", "svt": "libdav1d"}
SVT_PRESET = 5
_FINEST = 0.25
_TRIES = 9
_ENOUGH = 0.985


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A size and a frame rate."""

    scale: int
    hz: int
    "Coded frames a second; 0 = all of them."

    @property
    def label(self) -> str:
        """For tables: '1/2 10 Hz'."""
        return f"1/{self.scale} {self.hz or 'full'} Hz"

    @classmethod
    def parse(cls, label: str) -> Form:
        """Inverse of `label`."""
        scale, hz, _ = label.split()
        return cls(scale=int(scale[2:]), hz=0 if hz == "full" else int(hz))


FORMS = tuple(Form(scale=s, hz=hz) for s in (1, 2, 4) for hz in (0, 10))


@dataclass(slots=True, kw_only=True)
class Made:
    """A coded clip."""

    form: Form
    quantiser: float
    groups: list[list[bytes]]
    "Packets in decoding order, by group of pictures; fewer than were coded after a lossy link."
    counts: list[int]
    "Pictures coded a group."
    encode_s: float

    @property
    def size(self) -> int:
        """Bytes of all packets."""
        return sum(len(p) for group in self.groups for p in group)


def step_of(form: Form, fps: Fraction) -> int:
    """Source frames between two coded ones."""
    return max(1, round(fps / form.hz)) if form.hz else 1


def _planes(frames: NDArray[np.uint8], form: Form, fps: Fraction) -> list[NDArray[np.uint8]]:
    h, w = frames.shape[1:3]
    size = (round(w / form.scale / 2) * 2, round(h / form.scale / 2) * 2)
    out = []
    for frame in frames[:: step_of(form, fps)]:
        small = frame if form.scale == 1 else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        out.append(np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2YUV_I420), np.uint8))
    return out


def _options(peer: str, quantiser: float, group: int) -> dict[str, str]:
    if peer == "svt":
        rate = f"crf={quantiser:.2f}:lp=2:keyint={group}"
        return {"preset": str(SVT_PRESET), "svtav1-params": rate}
    if peer == "x265":
        rate = f"crf={quantiser:.2f}:keyint={group}:min-keyint={group}:open-gop=0:log-level=error"
        return {"preset": "medium", "x265-params": rate}
    return {"preset": "medium", "tune": "zerolatency", "crf": f"{quantiser:.2f}", "g": str(group),
            "keyint_min": str(group), "sc_threshold": "0"}  # fmt: skip


def encode(
    peer: str, planes: Sequence[NDArray[np.uint8]], form: Form, quantiser: float, fps: Fraction,
    latency: float,
) -> Made:  # fmt: skip
    """Code reduced pictures; a group of pictures every `latency` seconds."""
    rate = fps / step_of(form, fps)
    group = max(1, round(latency * rate))
    height, width = planes[0].shape[0] * 2 // 3, planes[0].shape[1]
    began = time.perf_counter()
    groups = []
    # A new encoder a group: closed for certain, as a base must be able to begin at each.
    for start in range(0, len(planes), group):
        context: Any = av.CodecContext.create(_ENCODERS[peer], "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.framerate, context.time_base, context.thread_count = rate, 1 / rate, 2
        context.options = _options(peer, quantiser, group)
        if peer == "svt":
            open_svt(context)
        packets = []
        for index, picture in enumerate(planes[start : start + group]):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts = index
            packets += [bytes(p) for p in context.encode(frame)]
        groups.append(packets + [bytes(p) for p in context.encode(None)])
    counts = [len(planes[start : start + group]) for start in range(0, len(planes), group)]
    return Made(form=form, quantiser=quantiser, groups=groups, counts=counts,
                encode_s=time.perf_counter() - began)  # fmt: skip


def fill(
    peer: str, form: Form, clip: Clip, frames: NDArray[np.uint8], budget: int, latency: float
) -> Made | None:
    """The largest coded clip of at most `budget` bytes; None where even the coarsest is larger."""
    planes = _planes(frames, form, clip.fps)
    low, high = _RANGES[peer]
    best = encode(peer, planes, form, high, clip.fps, latency)
    if best.size > budget:
        return None
    seconds = best.encode_s
    for _ in range(_TRIES):
        if high - low <= _FINEST or best.size >= _ENOUGH * budget:
            break
        middle = round((low + high) / 2 * 4) / 4
        made = encode(peer, planes, form, middle, clip.fps, latency)
        seconds = made.encode_s
        if made.size <= budget:
            high = middle
            best = made if made.size >= best.size else best
        else:
            low = middle
    best.encode_s = seconds
    return best


def shown(
    peer: str, made: Made, frames: int, size: tuple[int, int], fps: Fraction
) -> NDArray[np.uint8]:
    """uint8[frames, h, w, 3] as a viewer would see it: each picture held to the next, grey before any.

    Args:
        size: (width, height) of the source.
    """
    step = step_of(made.form, fps)
    out: list[NDArray[np.uint8]] = []
    last = np.full((size[1], size[0], 3), 128, np.uint8)
    for group, count in zip(made.groups, made.counts, strict=True):
        pictures = list(decode(peer, group))
        for index in range(count):
            if index < len(pictures):
                last = np.asarray(
                    cv2.resize(pictures[index], size, interpolation=cv2.INTER_CUBIC), np.uint8
                )
            out += [last] * step
    out += [last] * max(0, frames - len(out))
    return np.stack(out[:frames])


def decode(peer: str, packets: Sequence[bytes]) -> Iterator[NDArray[np.uint8]]:
    """BGR pictures of a group, as far as its packets go."""
    if not packets:
        return
    context: Any = av.CodecContext.create(_DECODERS[peer], "r")
    for packet in (*(av.Packet(p) for p in packets), None):
        try:
            for frame in context.decode(packet):
                planes = frame.to_ndarray(format="yuv420p")
                yield np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)
        except (av.FFmpegError, EOFError):
            return
