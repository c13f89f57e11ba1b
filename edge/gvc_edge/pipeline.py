"""From the operator's choices to what encodes a source: unit length, codec, eyes; checked together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gvc_edge.codecs import BudgetedEncoder, make_encoder
from gvc_edge.eyes import Eyes
from gvc_edge.rate import minimum_bps
from gvc_edge.sources import FrameSource
from gvc_edge.units import frames_per_unit
from gvc_edge.verify import Verifier
from gvc_profiles.sight.detector import load_detector
from gvc_protocol.codec import CodecId
from gvc_protocol.errors import UserError
from gvc_protocol.params import SECOND, LinkParams

__all__ = ["CODECS", "USUAL_LATENCY_S", "Pipeline", "long_units_line", "make_pipeline"]

MIN_LATENCY_S, MAX_LATENCY_S, LONG_LATENCY_S = 0.5, 8.0, 60.0
"Longer than the second only where the link is too slow for it, up to the third."

USUAL_LATENCY_S = 2.0
_CHOICES_S = (USUAL_LATENCY_S, 4.0, 8.0, 15.0, 30.0, 60.0)
_EASE = 1.5
"A unit of more than 2 s is chosen so that it carries half as much again as the least."
_QUEUE_UNITS = 2
"Units that may wait at the sender: the one that is sent, and the next."

CODECS = {"gvc": CodecId.GVC, "classical": CodecId.CLASSICAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What `build_units` needs beside the source and the link."""

    unit_frames: int
    unit_s: float
    params: LinkParams
    "As given, but that units of this length may wait in the sender's queue."
    encoder: BudgetedEncoder
    eyes: Eyes | None
    verifier: Verifier | None = None


def make_pipeline(
    source: FrameSource, profile_name: str, params: LinkParams, *, latency: float | None, codec: str,
    objects: str, live: bool, verify: bool = True,
) -> Pipeline:  # fmt: skip
    """Make everything for one source.

    Args:
        latency: seconds a unit covers; None for what the link's rate needs.
        codec: a key of `CODECS`.
        live: keep up with a camera.
        objects: who looks for objects: movers, people, a model's path, or none.
        verify: compare what is sent with the source, and tell the base where it is wrong.

    Raises:
        UserError: an option is out of range, the rate cannot carry the codec, or a part is missing.
    """
    if codec not in CODECS:
        raise UserError(f"unknown codec {codec!r}; choose {', '.join(CODECS)}")
    info = source.info

    def made(seconds: float) -> tuple[int, BudgetedEncoder, int]:
        """Frames a unit, encoder, least bit/s."""
        frames = frames_per_unit(info, seconds)
        encoder = make_encoder(
            CODECS[codec], width=info.width, height=info.height, fps=info.fps,
            frames_per_unit=frames, live=live,
        )  # fmt: skip
        return (
            frames,
            encoder,
            minimum_bps(params, float(frames / info.fps), encoder.minimum_payload),
        )

    slow = params.rate_bps < _EASE * made(MAX_LATENCY_S)[2]
    longest = LONG_LATENCY_S if slow else MAX_LATENCY_S
    if latency is None:
        latency = _fitting(params.rate_bps, lambda seconds: made(seconds)[2])
    if not MIN_LATENCY_S <= latency <= longest:
        raise UserError(
            f"--latency {latency:g} is out of range; give {MIN_LATENCY_S:g} to {longest:g} s"
        )
    unit_frames, encoder, least = made(latency)
    unit_s = float(unit_frames / info.fps)
    if params.rate_bps < least:
        raise UserError(
            f"{params.rate_bps:.0f} bit/s is too small for profile {profile_name} with --latency "
            f"{latency:g}: at least {least} bit/s are needed; raise --bps or --latency (up to "
            f"{longest:g}), or lower --fec"
        )
    eyes = None
    if objects != "none":
        eyes = Eyes(
            width=info.width, height=info.height, fps=info.fps, thermal=info.mono,
            detector=load_detector(objects),
        )  # fmt: skip
    queue_ns = max(params.queue_ns, round(_QUEUE_UNITS * unit_s * SECOND))
    return Pipeline(
        unit_frames=unit_frames, unit_s=unit_s, encoder=encoder, eyes=eyes,
        verifier=Verifier(info.width, info.height) if verify else None,
        params=replace(params, queue_ns=queue_ns),
    )  # fmt: skip


def long_units_line(pipeline: Pipeline, asked: float | None, rate_bps: float) -> str:
    """What the operator should know of units longer than usual, empty otherwise."""
    if asked is not None or pipeline.unit_s <= USUAL_LATENCY_S:
        return ""
    return (
        f"a picture every {pipeline.unit_s:g} s: {rate_bps:.0f} bit/s carry none with ease in "
        "shorter units; what is shown is that old, or older"
    )


def _fitting(rate_bps: float, least_bps: Callable[[float], int]) -> float:
    """Seconds a unit: 2 where that works, else the shortest that carries more than the least."""
    if rate_bps >= least_bps(USUAL_LATENCY_S):
        return USUAL_LATENCY_S
    for seconds in _CHOICES_S:
        if rate_bps >= _EASE * least_bps(seconds):
            return seconds
    return _CHOICES_S[-1]
