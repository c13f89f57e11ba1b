"""A source as an MP4 of high quality; a synthetic scene with its true boxes as JSON beside it.

Both are written under hidden temporary names and renamed when whole, the MP4 last: where it lies, its
JSON lies too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from gvc_edge.sources import FloodSource, FrameSource, open_source
from gvc_protocol.errors import UserError

__all__ = ["render"]

Progress = Callable[[int, int], None]


def render(
    url: str, out_mp4: Path, *, start_us: int, seconds: float | None,
    on_progress: Progress | None = None, crop_even: bool = False,
) -> Path:  # fmt: skip
    """Write a source as H.264 (CRF 12, yuv420p); returns `out_mp4`.

    Args:
        on_progress: called with (frames written, frames in all; 0 for a camera).

    Raises:
        UserError: the source is bad, the file cannot be written, or it would replace the source.
    """
    if out_mp4.exists() and Path(url).exists() and out_mp4.samefile(url):
        raise UserError(f"{out_mp4} is the input itself; give another name to write to")
    source = open_source(url, start_us=start_us, seconds=seconds, crop_even=crop_even)
    part = out_mp4.with_name(f".{out_mp4.name}.part")
    side = part.with_suffix(".json-part")
    try:
        with part.open("wb") as file:
            _write(source, file, on_progress)
        if isinstance(source, FloodSource):
            side.write_text(json.dumps(_truth(source)), encoding="utf-8")
            side.replace(out_mp4.with_suffix(".json"))
        part.replace(out_mp4)
    except (OSError, FFmpegError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot write {out_mp4}: {reason}; check folder and space") from None
    finally:
        source.close()
        part.unlink(missing_ok=True)
        side.unlink(missing_ok=True)
    return out_mp4


def _write(source: FrameSource, file: Any, on_progress: Progress | None) -> None:
    info = source.info
    with av.open(file, "w", format="mp4", options={"movflags": "faststart"}) as container:
        note = ", synthetic: drawn by a program" if info.synthetic else ""
        container.metadata["comment"] = f"{info.name}{note}"
        stream: Any = container.add_stream("libx264", rate=info.fps)
        stream.width, stream.height, stream.pix_fmt = info.width, info.height, "yuv420p"
        stream.options = {"crf": "12", "preset": "fast"}
        for frame in source.frames():
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.pixels), "bgr24")
            picture.pts, picture.time_base = frame.frame_no, 1 / info.fps
            container.mux(stream.encode(picture))
            if on_progress is not None:
                on_progress(frame.frame_no + 1, info.total_frames)
        container.mux(stream.encode(None))


def _truth(source: FloodSource) -> dict[str, object]:
    info = source.info
    frames = [
        [[b.kind, b.x0, b.y0, b.x1, b.y1] for b in source.boxes(number)]
        for number in range(info.total_frames)
    ]
    return {
        "synthetic": True, "scene": "flood", "seed": source.seed, "fps": float(info.fps),
        "size": [info.width, info.height], "movers": frames,
    }  # fmt: skip
