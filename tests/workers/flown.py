"""Units long enough for a worker to be lost in the middle, and what one process makes of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cache

import numpy as np

from gvc_base.workers.session import DecoderPlan, DecodeSession
from gvc_edge.codecs.classical import ClassicalEncoder
from gvc_edge.sources.flood import FloodSource, parse_flood_query
from gvc_protocol.codec import CodecSpec, DecodedFrame, PartData, ReceivedUnit, UnitSpan

__all__ = ["PLAN", "Sent", "alone", "same", "units"]

UNITS, UNIT_FRAMES, FPS, WIDTH, HEIGHT = 3, 36, 18, 96, 64
"More than two batches: the next is decoded while one is shown, the third is asked for after that."
LOST = 1
PLAN = DecoderPlan(spec=CodecSpec(codec_id=0, bitstream_version=1), quality="standard")


@dataclass(frozen=True)
class Sent:
    """A unit as it was received."""

    unit: ReceivedUnit
    span: UnitSpan


@cache
def units() -> tuple[Sent, ...]:
    """Three units; nothing of the second came, so that its frames hang on what was kept."""
    query = parse_flood_query(
        f"seed=3&seconds={UNITS * UNIT_FRAMES // FPS}&size={WIDTH}x{HEIGHT}&fps={FPS}"
    )
    frames = list(FloodSource(query, start_us=0, seconds=None, crop_even=False).frames())
    encoder = ClassicalEncoder(
        width=WIDTH, height=HEIGHT, fps=Fraction(FPS), frames_per_unit=UNIT_FRAMES, still_every=1
    )
    made = []
    for number in range(UNITS):
        encoder.begin(number, 4000)
        for frame in frames[number * UNIT_FRAMES : (number + 1) * UNIT_FRAMES]:
            encoder.push(frame)
        keyframe, features = (
            PartData(ranges=((0, data),), complete=True) for data in encoder.close()
        )
        unit = ReceivedUnit(unit_no=number, keyframe=keyframe, features=features)
        span = UnitSpan(
            first_frame=number * UNIT_FRAMES, frames=UNIT_FRAMES, fps=Fraction(FPS), width=WIDTH,
            height=HEIGHT, boot_id=1,
        )  # fmt: skip
        made.append(Sent(ReceivedUnit(unit_no=number) if number == LOST else unit, span))
    return tuple(made)


@cache
def alone() -> tuple[DecodedFrame, ...]:
    """All their frames, decoded by one process."""
    session = DecodeSession(PLAN)
    return tuple(f for sent in units() for f in session.frames(sent.unit, sent.span, skip=0))


def same(got: list[DecodedFrame]) -> None:
    """Fails unless these are the first of those frames, bit for bit, with all that is known of them."""
    for mine, true in zip(got, alone()[: len(got)], strict=True):
        for field in fields(DecodedFrame):
            a, b = getattr(mine, field.name), getattr(true, field.name)
            equal = np.array_equal(a, b) if isinstance(b, np.ndarray) else a == b
            assert equal, f"frame {true.frame_no}: {field.name}"
