"""A source as an MP4 of high quality; a synthetic scene with its true boxes as JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np

from gvc_edge.sources import FloodSource, FrameSource, open_source
from gvc_protocol.errors import UserError

__all__ = ["render"]


def render(
    url: str, out: Path, *, start_us: int, seconds: float | None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Path:  # fmt: skip
    """Write a source as H.264 (CRF 12); returns `out`.

    Raises:
        UserError: the source is bad or the file cannot be written.
    """
    source = open_source(url, start_us=start_us, seconds=seconds)
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("wb") as file:
            _write(source, file, on_progress)
        part.replace(out)
        if isinstance(source, FloodSource):
            out.with_suffix(".json").write_text(json.dumps(_truth(source)))
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
        source.close()
    return out


def _write(source: FrameSource, file: Any, on_progress: Callable[[int, int], None]) -> None:
    info = source.info
    with av.open(file, "w", format="mp4", options={"movflags": "faststart"}) as container:
        comment = "synthetic, drawn by a program" if info.synthetic else ""
        container.metadata["comment"] = f"{info.name} {comment}".strip()
        stream: Any = container.add_stream("libx264", rate=info.fps)
        stream.width, stream.height, stream.pix_fmt = info.width, info.height, "yuv420p"
        stream.options = {"crf": "12", "preset": "fast"}
        for frame in source.frames():
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.pixels), "bgr24")
            picture.pts = frame.frame_no
            picture.time_base = 1 / info.fps
            container.mux(stream.encode(picture))
            on_progress(frame.frame_no + 1, info.total_frames)
        container.mux(stream.encode(None))


def _truth(source: FloodSource) -> dict[str, object]:
    info = source.info
    frames = [
        [[b.kind, b.x0, b.y0, b.x1, b.y1] for b in source.boxes(number)]
        for number in range(info.total_frames)
    ]
    return {
        "synthetic": True, "scene": "flood", "name": info.name, "fps": float(info.fps),
        "size": [info.width, info.height], "movers": frames,
    }  # fmt: skip
