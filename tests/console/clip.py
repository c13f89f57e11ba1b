"""The clip of the console's tests: the synthetic flood through codec 0, the quick one, with holes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders import make_decoder
from gvc_edge.codecs.classical import ClassicalEncoder
from gvc_edge.sources.flood import FloodSource, parse_flood_query
from gvc_protocol.codec import DecodedFrame, PartData, ReceivedUnit, UnitSpan

__all__ = ["Clip", "make_clip"]

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """What the base shows, what was filmed, and where its movers are."""

    fps: int
    shown: tuple[DecodedFrame, ...]
    true: tuple[Image, ...]
    boxes: tuple[tuple[dict[str, Any], ...], ...]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.true[0].shape[1], self.true[0].shape[0]


def make_clip(
    *, size: str = "320x192", fps: int = 2, unit_s: int = 2, unit_bytes: int = 8000
) -> Clip:
    """Four units of the flood: whole, with a hole, lost, whole again."""
    query = parse_flood_query(f"seed=3&seconds={4 * unit_s}&size={size}&fps={fps}")
    source = FloodSource(query, start_us=0, seconds=None, crop_even=False)
    frames, per_unit = list(source.frames()), unit_s * fps
    info = source.info
    encoder = ClassicalEncoder(
        width=info.width,
        height=info.height,
        fps=info.fps,
        frames_per_unit=per_unit,
        still_every=1,
    )
    decoder = make_decoder(encoder.spec, "standard")
    shown: list[DecodedFrame] = []
    for number in range(4):
        encoder.begin(number, unit_bytes)
        for frame in frames[number * per_unit : (number + 1) * per_unit]:
            encoder.push(frame)
        keyframe, features = encoder.close()
        unit = ReceivedUnit(unit_no=number)
        if number != 2:
            unit = replace(
                unit, keyframe=_whole(keyframe),
                features=_holed(features) if number == 1 else _whole(features),
            )  # fmt: skip
        span = UnitSpan(
            first_frame=number * per_unit, frames=per_unit, fps=info.fps, width=info.width,
            height=info.height,
        )  # fmt: skip
        shown.extend(decoder.decode(unit, span))
    boxes = tuple(
        tuple(
            {"id": i, "kind": str(b.kind), "x": b.x0, "y": b.y0, "width": b.x1 - b.x0,
             "height": b.y1 - b.y0, "state": ("confirmed", "unconfirmed")[i % 2], "score": 0.8}
            for i, b in enumerate(source.boxes(frame.frame_no)[:3])
        )
        for frame in frames
    )  # fmt: skip
    return Clip(fps, tuple(shown), tuple(f.pixels for f in frames), boxes)


def _whole(data: bytes) -> PartData:
    return PartData(ranges=((0, data),), complete=True)


def _holed(data: bytes) -> PartData:
    third = len(data) // 3
    return PartData(ranges=((0, data[:third]), (2 * third, data[2 * third :])))
