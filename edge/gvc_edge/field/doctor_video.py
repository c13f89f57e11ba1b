"""The doctor's checks that need pictures: is the camera there, and does the processor keep up?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from gvc_edge.address import without_login
from gvc_edge.field.doctor import Check
from gvc_edge.field.settings import RunSettings
from gvc_edge.pipeline import make_pipeline
from gvc_edge.rate import RateControl
from gvc_edge.sources import FrameSource, SourceInfo, open_source
from gvc_edge.units import build_units
from gvc_profiles.load import load
from gvc_profiles.params import link_params
from gvc_protocol.codec import SourceFrame

__all__ = ["Panning", "check_camera", "check_speed", "speed_of"]

_DARK = 6.0
"Mean grey level, 0..255: a lens cap is below it, a moonless night is not."
_FLAT = 1.0
"Standard deviation: one colour all over is no scene."
_FAST, _FAST_ENOUGH = 1.3, 1.0
_MEASURED_S, _MEASURED_BPS = 1.0, 20_000.0


def check_camera(s: RunSettings, *, running: bool) -> Check:
    """The camera gives a picture, and not a black one."""
    if running:
        return Check("camera", "ok", "in use by the gvc-edge that runs now")
    if not s.source:
        return Check("camera", "fail", "no camera is named", "gvc-edge config init")
    with closing(_opened(s)) as source:
        info, frame = source.info, next(iter(source.frames()))
    found = f"{without_login(s.source)}: {info.width}x{info.height}, {float(info.fps):g} frames/s"
    if float(frame.pixels.mean()) < _DARK:
        return Check("camera", "warn", f"{found}, but the picture is black", "lens cap? aperture?")
    if float(frame.pixels.std()) < _FLAT:
        return Check("camera", "warn", f"{found}, but the picture is one flat colour", "look at it")
    return Check("camera", "ok", found)


def check_speed(s: RunSettings, *, running: bool, root: Path = Path("/")) -> Check:
    """The processor encodes this camera's pictures faster than they come."""
    if running or not (s.source and s.profile):
        return Check("speed", "ok", "not measured" + (": gvc-edge runs now" if running else ""))
    with closing(_opened(s)) as source:
        info, frame = source.info, next(iter(source.frames()))
    times = speed_of(s, info, frame)
    what = f"{info.width}x{info.height} at {float(info.fps):g} frames/s with {s.codec}"
    found = f"{times:.1f} times as fast as needed for {what}{_governor(root)}"
    if times >= _FAST:
        return Check("speed", "ok", found)
    todo = 'a smaller picture or fewer frames/s at the camera, objects = "none", verify = false'
    return Check("speed", "warn" if times >= _FAST_ENOUGH else "fail", found, todo)


def speed_of(s: RunSettings, info: SourceInfo, frame: SourceFrame) -> float:
    """Seconds of video encoded in a second: of a panned picture, the second unit; the first warms up."""
    rate = link_params(load(s.profile), bps=s.bps, fec=s.fec).rate_bps
    # Slow links take units of up to a minute; what a second of video costs is much the same.
    params = link_params(load("udp"), bps=max(rate, _MEASURED_BPS), fec="off")
    source = Panning(info, frame)
    pipeline = make_pipeline(
        source, "udp", params, latency=_MEASURED_S, codec=s.codec, objects=s.objects, live=True,
        verify=s.verify,
    )  # fmt: skip
    source.count = 2 * pipeline.unit_frames
    began, took = time.perf_counter(), 0.0
    for _ in build_units(
        source, pipeline.encoder, RateControl(pipeline.params), unit_frames=pipeline.unit_frames,
        backlog=lambda: 0, eyes=pipeline.eyes, verifier=pipeline.verifier,
    ):  # fmt: skip
        took, began = time.perf_counter() - began, time.perf_counter()
    return float(pipeline.unit_frames / info.fps) / max(took, 1e-9)


class Panning:
    """One picture moved sideways, as a source: motion without a second of pictures in memory."""

    def __init__(self, info: SourceInfo, frame: SourceFrame) -> None:
        self._frame, self.count = frame, 2
        self.info = replace(info, total_frames=0, live=False, mono=False)

    def frames(self) -> Iterator[SourceFrame]:
        """See `FrameSource`."""
        for number in range(self.count):
            at = self._frame.capture_us + round(number * 1_000_000 / self.info.fps)
            pixels = np.roll(self._frame.pixels, 2 * number, axis=1)
            yield SourceFrame(frame_no=number, capture_us=at, pixels=pixels)

    def close(self) -> None:
        """Nothing is held."""


def _opened(s: RunSettings) -> FrameSource:
    return open_source(s.source, start_us=0, crop_even=s.crop_even)


def _governor(root: Path) -> str:
    path = root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    try:
        name = path.read_text().strip()
    except OSError:
        return ""
    return " (governor powersave: it can be faster)" if name == "powersave" else ""
