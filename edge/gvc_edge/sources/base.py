"""What a source of frames is, whatever it reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

from gvc_protocol.codec import SourceFrame
from gvc_protocol.errors import UserError

__all__ = [
    "MAX_SIDE_PX",
    "MIN_SIDE_PX",
    "FrameSource",
    "MayBeAway",
    "SourceInfo",
    "ThermalRange",
    "check_seconds",
    "even_size",
]

MIN_SIDE_PX, MAX_SIDE_PX = 16, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """A source's constant properties."""

    name: str
    width: int
    height: int
    fps: Fraction
    total_frames: int
    "Exactly what `frames` will give, or 0 when nobody can know (a camera)."
    live: bool
    "True when frames come by themselves; False when they must be paced to real time."
    synthetic: bool = False
    mono: bool = False
    "Frames are grey (B = G = R), made of sensor counts; see `ThermalRange`."


class FrameSource(Protocol):
    """Frames in order, numbered from 0 on a constant-rate timeline."""

    @property
    def info(self) -> SourceInfo: ...

    def frames(self) -> Iterator[SourceFrame]:
        """Every frame once. Holds one frame at a time."""

    def close(self) -> None:
        """End `frames` and give back what is held; may be called from another thread."""


@runtime_checkable
class MayBeAway(Protocol):
    """What a camera has besides: it can be unplugged while `frames` goes on."""

    away: bool
    "True from the first failure until it gives pictures again."


@runtime_checkable
class ThermalRange(Protocol):
    """What a source of which `info.mono` holds has besides."""

    def thermal_range(self) -> tuple[int, int] | None:
        """Sensor counts of grey levels 0 and 255 in the frame that `frames` gave last.

        None when the frames are no counts: most files are in colour.
        """

    def thermal_knee(self) -> int | None:
        """Counts of grey level 224 where levels above it are wider; None when all steps are even."""


def check_seconds(seconds: float | None) -> None:
    """Refuse a length that is no length. Raises UserError."""
    if seconds is not None and not seconds > 0:
        raise UserError(f"--seconds {seconds:g} is out of range; give a time above 0")


def even_size(name: str, width: int, height: int, *, crop_even: bool) -> tuple[int, int]:
    """The size that will be sent.

    Raises:
        UserError: too small, too large, or odd without `crop_even`.
    """
    size = f"{name} is {width}x{height}"
    if width < MIN_SIDE_PX or height < MIN_SIDE_PX:
        raise UserError(f"{size}: too small, the least is {MIN_SIDE_PX}x{MIN_SIDE_PX}")
    if width > MAX_SIDE_PX or height > MAX_SIDE_PX:
        raise UserError(f"{size}: too large, scale it to at most {MAX_SIDE_PX} pixels a side")
    if (width % 2 or height % 2) and not crop_even:
        raise UserError(
            f"{size}: width and height must be even; add --crop-even to drop the last row/column"
        )
    return width & ~1, height & ~1
