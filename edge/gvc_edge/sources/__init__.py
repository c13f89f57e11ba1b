"""Where frames come from: files, cameras, synthetic scenes. `open_source` tells by the URL."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from gvc_edge.sources.base import FrameSource, SourceInfo, ThermalRange
from gvc_edge.sources.file import FileSource
from gvc_edge.sources.flood import FloodSource, TrueBox, parse_flood_query
from gvc_edge.sources.live import RtspSource, V4l2Source
from gvc_edge.sources.synthetic_thermal import ThermalBox, ThermalSource, parse_thermal_query
from gvc_edge.sources.thermal import TiffSource, is_tiff
from gvc_protocol.errors import UserError

__all__ = [
    "FloodSource", "FrameSource", "SourceInfo", "ThermalBox", "ThermalRange", "ThermalSource",
    "TrueBox", "open_source",
]  # fmt: skip

_log = logging.getLogger(__name__)


def open_source(
    url: str, *, start_us: int, seconds: float | None = None, crop_even: bool = False,
    on_drop: Callable[[str], None] = _log.warning,
) -> FrameSource:  # fmt: skip
    """Open a source.

    Args:
        url: a video file, `v4l2:/dev/video0`, `rtsp://...`, `synthetic:flood[?seed=1&...]` or
            `synthetic:thermal[?seed=1&...]`.
        start_us: Unix time of the first frame, microseconds; cameras stamp their own.
        seconds: stop after this long; None for the whole.
        crop_even: drop the last row or column of an odd size instead of refusing it.
        on_drop: gets one line when a camera goes away and one when it is back.

    Raises:
        UserError: what is wrong with the source, and what to do.
        AwayError: a camera that is not there, or gives no picture.
    """
    if url.startswith("synthetic:"):
        scene, _, query = url.removeprefix("synthetic:").partition("?")
        if scene == "thermal":
            return ThermalSource(
                parse_thermal_query(query), start_us=start_us, seconds=seconds, crop_even=crop_even
            )
        if scene != "flood":
            raise UserError(
                f"unknown synthetic scene {scene!r}; there are synthetic:flood and synthetic:thermal"
            )
        return FloodSource(
            parse_flood_query(query), start_us=start_us, seconds=seconds, crop_even=crop_even
        )
    if url.startswith("v4l2:"):
        return V4l2Source(
            url.removeprefix("v4l2:"), seconds=seconds, crop_even=crop_even, on_drop=on_drop
        )
    if url.startswith(("rtsp://", "rtsps://")):
        return RtspSource(url, seconds=seconds, crop_even=crop_even, on_drop=on_drop)
    if is_tiff(Path(url)):
        return TiffSource(Path(url), start_us=start_us, seconds=seconds, crop_even=crop_even)
    return FileSource(Path(url), start_us=start_us, seconds=seconds, crop_even=crop_even)
