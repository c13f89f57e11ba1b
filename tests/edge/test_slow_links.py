"""Links of a few hundred bit/s and less: longer units are chosen, and a picture arrives."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from gvc_edge.codecs import make_encoder
from gvc_edge.describe import tell
from gvc_edge.eyes.eyes import Seen
from gvc_edge.pipeline import Pipeline, make_pipeline
from gvc_edge.rate import RateControl
from gvc_edge.sources import open_source
from gvc_edge.units import build_units
from gvc_edge.windows import window_times
from gvc_profiles import load, names
from gvc_profiles.params import link_params
from gvc_protocol.air_bytes import unit_air_bytes
from gvc_protocol.codec import CodecId, PartData, SourceFrame
from gvc_protocol.errors import UserError
from gvc_protocol.gvc1 import read_unit
from gvc_protocol.motion_path import MAX_CONTROL_POINTS, ControlPoint, MotionPath
from gvc_protocol.params import SECOND

FLOOD = "synthetic:flood?size=96x64&fps=1&seconds={}"


def whole(data: bytes) -> PartData:
    return PartData(ranges=((0, data),), complete=True)


def pipeline_for(profile: str, latency: float | None = None, seconds: int = 10) -> Pipeline:
    source = open_source(FLOOD.format(seconds), start_us=0)
    try:
        return make_pipeline(
            source, profile, link_params(load(profile), bps=None, fec="auto"), latency=latency,
            codec="gvc", objects="none", live=True,
        )  # fmt: skip
    finally:
        source.close()


@pytest.mark.parametrize("profile", names())
def test_every_profile_has_a_unit_that_it_carries(profile: str) -> None:
    made = pipeline_for(profile)
    params = link_params(load(profile), bps=None, fec="auto")
    assert 2 <= made.unit_s <= 60 and (made.unit_s == 2 or params.rate_bps < 1800)
    granted = params.rate_bps * made.unit_s / 8
    assert granted >= unit_air_bytes(params, 28, 0, made.encoder.minimum_payload)
    assert made.params.queue_ns >= 2 * made.unit_s * SECOND, "what waits for a unit is not dropped"


@pytest.mark.parametrize(
    ("profile", "seconds"),
    [("rn2483-eu868", 15), ("ebyte-e32-eu868", 60), ("iridium-sbd", 60), ("kiss-ax25-1200", 8)],
)
def test_the_shortest_unit_that_carries_more_than_the_least(profile: str, seconds: float) -> None:
    assert pipeline_for(profile).unit_s == seconds


def test_long_units_are_for_slow_links_only() -> None:
    assert pipeline_for("rn2483-eu868", 45).unit_s == 45
    with pytest.raises(UserError, match=r"give 0\.5 to 8 s"):
        pipeline_for("sik-64", 30)
    with pytest.raises(UserError, match=r"give 0\.5 to 60 s"):
        pipeline_for("rn2483-eu868", 90)
    with pytest.raises(UserError, match=r"--latency \(up to 60\)"):
        pipeline_for("ebyte-e32-eu868", 8)


@pytest.mark.parametrize(
    ("profile", "seconds"), [("ebyte-e32-eu868", 65), ("iridium-sbd", 10), ("freedv-datac0", 10)]
)
def test_a_picture_a_unit_within_the_rate(profile: str, seconds: int) -> None:
    """Also of a source that is shorter than its only unit."""
    made = pipeline_for(profile, seconds=seconds)
    source = open_source(FLOOD.format(seconds), start_us=0)
    rate = RateControl(made.params)
    units = list(
        build_units(source, made.encoder, rate, unit_frames=made.unit_frames, backlog=lambda: 0)
    )
    source.close()
    full = [u for u in units if u.unit.descriptors.frames == made.unit_frames] or units[:1]
    for built in full:
        unit = read_unit(whole(built.unit.keyframe), whole(built.unit.features))
        assert unit is not None and unit.pictures, "a still at least"
    allowed = made.params.rate_bps / 8 * max(seconds, made.unit_s)
    assert sum(u.air_bytes for u in units) <= 1.3 * allowed


def test_a_picture_a_minute_with_tags_and_windows_too() -> None:
    """What a mission with a key leaves of 70 bit/s: tags, and the time in which the edge is silent."""
    params = link_params(load("ebyte-e32-eu868"), bps=None, fec="auto", tagged=True)
    source = open_source("synthetic:flood?size=96x64&fps=1&seconds=65", start_us=0)
    made = make_pipeline(
        source, "ebyte-e32-eu868", params, latency=None, codec="gvc", objects="none", live=True,
        verify=False,
    )  # fmt: skip
    every, listen = window_times(load("ebyte-e32-eu868").listen_ms)
    share = every / (every + listen)
    rate = RateControl(replace(made.params, rate_bps=params.rate_bps * share))
    units = list(
        build_units(
            source,
            made.encoder,
            rate,
            unit_frames=made.unit_frames,
            backlog=lambda: 0,
        )
    )
    source.close()
    unit = read_unit(whole(units[0].unit.keyframe), whole(units[0].unit.features))
    assert made.unit_s == 60 and unit is not None and unit.pictures
    assert units[0].air_bytes <= params.rate_bps * share * 60 / 8


def test_a_path_of_more_moments_than_the_record_may_have() -> None:
    points = tuple(
        ControlPoint(offset=i * 2, corners=(i, 0) * 4, residual=1) for i in range(1, 300)
    )
    told = tell(Seen(tracks=(), motion_path=MotionPath(points=points), shake_px=0), 4000, 96, 64)
    assert told.motion_path is not None and told.motion_path.end == 598
    assert 2 <= len(told.motion_path.points) <= MAX_CONTROL_POINTS


def test_a_unit_of_sixty_seconds_at_thirty_frames() -> None:
    """Longer than an index can space pictures: a few of them, or one, and never none or a fault."""
    noise = np.random.default_rng(3)
    frames = noise.integers(0, 256, (8, 64, 96, 3), np.uint8)
    for budget in (110, 160, 400, 3000):
        encoder = make_encoder(
            CodecId.GVC, width=96, height=64, fps=Fraction(30), frames_per_unit=1800, live=True
        )
        encoder.begin(0, budget)
        for i in range(1800):
            encoder.push(SourceFrame(pixels=frames[i % 8], frame_no=i, capture_us=i * 33_333))
        keyframe, features = encoder.close()
        assert len(keyframe) + len(features) <= budget
        unit = read_unit(whole(keyframe), whole(features))
        assert budget < 400 or (unit is not None and unit.pictures)
