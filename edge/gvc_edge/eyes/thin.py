"""Fewer points for the same path: what even motion between two kept points tells is left out."""

from __future__ import annotations

from collections.abc import Sequence

from gvc_protocol.objects import MAX_POINTS, TrackPoint

__all__ = ["thin"]

_TOLERANCE_PX = 2.0
_TOLERANCE_SHARE = 0.12


def thin(points: Sequence[TrackPoint]) -> tuple[TrackPoint, ...]:
    """The first and last point and as few between as keep every box within a small error.

    A box may be off by 2 pixels or 12 % of its size, whichever is more; by more where 32 points
    would not do.

    Args:
        points: at least one, with rising offsets.
    """
    factor = 1.0
    while True:
        kept = _split(points, 0, len(points) - 1, factor)
        chosen = sorted({0, *kept, len(points) - 1})
        if len(chosen) <= MAX_POINTS:
            return tuple(points[i] for i in chosen)
        factor *= 1.5


def _split(points: Sequence[TrackPoint], start: int, stop: int, factor: float) -> list[int]:
    """Inner points that must stay (Douglas and Peucker)."""
    worst, at = 1.0, -1
    a, b = points[start], points[stop]
    for i in range(start + 1, stop):
        point = points[i]
        part = (point.offset - a.offset) / (b.offset - a.offset)
        allowed = factor * max(_TOLERANCE_PX, _TOLERANCE_SHARE * max(point.width, point.height))
        off = max(
            abs(p - (u + (v - u) * part)) for p, u, v in zip(point.box, a.box, b.box, strict=True)
        )
        if off / allowed > worst:
            worst, at = off / allowed, i
    if at < 0:
        return []
    return [*_split(points, start, at, factor), at, *_split(points, at, stop, factor)]
