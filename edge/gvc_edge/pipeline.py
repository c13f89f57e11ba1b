"""From the operator's choices to what encodes a source: unit length, codec, eyes; checked together."""

from __future__ import annotations

from dataclasses import dataclass

from gvc_edge.codecs import BudgetedEncoder, make_encoder
from gvc_edge.eyes import Eyes, load_detector
from gvc_edge.rate import minimum_bps
from gvc_edge.sources import FrameSource
from gvc_edge.units import frames_per_unit
from gvc_protocol.codec import CodecId
from gvc_protocol.errors import UserError
from gvc_protocol.params import LinkParams

__all__ = ["CODECS", "Pipeline", "make_pipeline"]

MIN_LATENCY_S, MAX_LATENCY_S = 0.5, 8.0

CODECS = {"gvc": CodecId.GVC, "classical": CodecId.CLASSICAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What `build_units` needs beside the source and the link."""

    unit_frames: int
    encoder: BudgetedEncoder
    eyes: Eyes | None


def make_pipeline(
    source: FrameSource, profile_name: str, params: LinkParams, *, latency: float, codec: str,
    objects: str, live: bool,
) -> Pipeline:  # fmt: skip
    """Make everything for one source.

    Args:
        latency: seconds a unit covers.
        codec: a key of `CODECS`.
        live: keep up with a camera.
        objects: who looks for objects: movers, people, a model's path, or none.

    Raises:
        UserError: an option is out of range, the rate cannot carry the codec, or a part is missing.
    """
    if not MIN_LATENCY_S <= latency <= MAX_LATENCY_S:
        raise UserError(
            f"--latency {latency:g} is out of range; give {MIN_LATENCY_S:g} to {MAX_LATENCY_S:g} s"
        )
    if codec not in CODECS:
        raise UserError(f"unknown codec {codec!r}; choose {', '.join(CODECS)}")
    info = source.info
    unit_frames = frames_per_unit(info, latency)
    encoder = make_encoder(
        CODECS[codec], width=info.width, height=info.height, fps=info.fps,
        frames_per_unit=unit_frames, live=live,
    )  # fmt: skip
    unit_s = float(unit_frames / info.fps)
    least = minimum_bps(params, unit_s, encoder.minimum_payload)
    if params.rate_bps < least:
        raise UserError(
            f"{params.rate_bps:.0f} bit/s is too small for profile {profile_name} with --latency "
            f"{latency:g}: at least {least} bit/s are needed; raise --bps or --latency (up to "
            f"{MAX_LATENCY_S:g}), or lower --fec"
        )
    eyes = None
    if objects != "none":
        eyes = Eyes(
            width=info.width, height=info.height, fps=info.fps, thermal=info.mono,
            detector=load_detector(objects),
        )  # fmt: skip
    return Pipeline(unit_frames=unit_frames, encoder=encoder, eyes=eyes)
