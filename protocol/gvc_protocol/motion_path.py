"""How the camera moved over a unit: the MOTION_PATH record of part D (WIRE.md, "Motion path").

A control point says where the four corners of the unit's first frame lie in a later frame. Corners, not
matrix coefficients: their error is an error in pixels, and they move evenly where the camera does.

    corners at control points -> corners at any frame (even motion between) -> homography (closed form)

The closed form uses plain arithmetic in one order, so that both ends compute the same matrix.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gvc_protocol.deltas import predict, pull_signed, push_signed
from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.varint import VarintError, pull_varint, push_varint

__all__ = [
    "MAX_CONTROL_POINTS",
    "RESIDUAL_UNKNOWN",
    "UNITS_PER_PX",
    "ControlPoint",
    "MotionPath",
    "unpack_motion_path",
]

MAX_CONTROL_POINTS = 64
UNITS_PER_PX = 8
"Displacements and residuals are whole eighths of a source pixel."
RESIDUAL_UNKNOWN = 255
_MAX_PICTURES = 8
_MAX_OFFSET = 100_000
# A corner that turns by less than this share of the picture's area is taken for a collapsed quad.
_MIN_TURN = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPoint:
    """Where the first frame's corners lie in the frame at `offset`."""

    offset: int
    "Frames from the unit's first frame, above 0."
    corners: tuple[int, ...]
    "x, y displacement of the corners (0,0), (W,0), (W,H), (0,H), eight numbers, 1/8 source pixel."
    residual: int = RESIDUAL_UNKNOWN
    "RMS distance of what was measured from what this says, 1/8 pixel, 0..254; 255 = unknown."


_START = ControlPoint(offset=0, corners=(0,) * 8, residual=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionPath:
    """1..64 control points with rising offsets. Offset 0 is the identity and is not among them."""

    points: tuple[ControlPoint, ...]

    @property
    def end(self) -> int:
        """The last offset that the path tells of; behind it the camera's motion is unknown."""
        return self.points[-1].offset

    def corners_px(self, offset: int, width: int, height: int) -> NDArray[np.float64] | None:
        """float64[4, 2]: where the first frame's corners lie in the frame at `offset`, pixels.

        Args:
            width, height: size of the source in pixels.

        Returns:
            None before the unit and behind the path's end.
        """
        if not 0 <= offset <= self.end:
            return None
        before, after = self._around(offset)
        base = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
        part, span = offset - before.offset, max(1, after.offset - before.offset)
        # Whole numbers up to one division: no order of float additions to disagree about.
        moved = [
            (a * (span - part) + b * part) / (span * UNITS_PER_PX)
            for a, b in zip(before.corners, after.corners, strict=True)
        ]
        return np.asarray(base + np.array(moved, np.float64).reshape(4, 2), np.float64)

    def homography(self, offset: int, width: int, height: int) -> NDArray[np.float64] | None:
        """float64[3, 3]: first frame's pixel coordinates to those of the frame at `offset`.

        Pixel (x, y) has its centre at (x, y). Element [2, 2] is 1.

        Args:
            width, height: size of the source in pixels.

        Returns:
            None where the path does not reach, or where the corners make no picture (a collapsed or
            mirrored quad).
        """
        quad = self.corners_px(offset, width, height)
        if quad is None:
            return None
        shape = _square_to_quad(quad, float(width * height))
        if shape is None:
            return None
        return np.asarray(shape * np.array([1 / width, 1 / height, 1.0]), np.float64)

    def between(self, a: int, b: int, width: int, height: int) -> NDArray[np.float64] | None:
        """float64[3, 3]: pixel coordinates of the frame at `a` to the frame at `b`; see `homography`."""
        start, goal = self.homography(a, width, height), self.homography(b, width, height)
        if start is None or goal is None:
            return None
        step = _product(goal, _adjugate(start))
        if abs(step[2, 2]) < 1e-9 * np.abs(step).max():
            return None
        return np.asarray(step / step[2, 2], np.float64)

    def residual_px(self, offset: int) -> float | None:
        """How far off the path is at `offset`, pixels RMS; None where nobody knows.

        Between two control points it is the worse one's.
        """
        if not 0 <= offset <= self.end:
            return None
        worst = max(point.residual for point in self._around(offset))
        return None if worst == RESIDUAL_UNKNOWN else worst / UNITS_PER_PX

    def fits(self, width: int, height: int) -> bool:
        """Whether all corners stay within 8 picture sizes of their place, as WIRE.md demands."""
        most = (_MAX_PICTURES * UNITS_PER_PX * width, _MAX_PICTURES * UNITS_PER_PX * height)
        return all(
            abs(value) <= most[i % 2]
            for point in self.points
            for i, value in enumerate(point.corners)
        )

    def _around(self, offset: int) -> tuple[ControlPoint, ControlPoint]:
        i = bisect_left(self.points, offset, key=lambda point: point.offset)
        after = self.points[i]
        before = self.points[i - 1] if i else _START
        if offset == after.offset:
            return after, after
        return (_START, _START) if offset == 0 else (before, after)

    def pack(self, width: int, height: int) -> bytes:
        """Bytes of the record. Raises LocalProtocolError when a point is out of WIRE.md's range."""
        if not (_is_valid(self) and self.fits(width, height)):
            raise LocalProtocolError(f"motion path out of range: {self}")
        out = bytearray()
        push_varint(out, len(self.points))
        done = [_START]
        for point in self.points:
            ahead = point.offset - done[-1].offset
            push_varint(out, ahead)
            for value, foreseen in zip(point.corners, _foreseen(done, ahead), strict=True):
                push_signed(out, value - foreseen)
            out.append(point.residual)
            done.append(point)
        return bytes(out)


def unpack_motion_path(data: bytes, width: int, height: int) -> MotionPath | None:
    """Read the record; None when the bytes are not one for a source of this size, pixels."""
    try:
        path, at = _pull_path(data)
    except VarintError:
        return None
    fine = at == len(data) and _is_valid(path) and path.fits(width, height)
    return path if fine else None


def _pull_path(data: bytes) -> tuple[MotionPath, int]:
    count, at = pull_varint(data, 0)
    if not 1 <= count <= MAX_CONTROL_POINTS:
        raise VarintError("a path of no or too many points")
    done = [_START]
    for _ in range(count):
        ahead, at = pull_varint(data, at)
        if not 1 <= ahead <= _MAX_OFFSET:
            raise VarintError("path goes back in time or beyond the unit")
        corners = _foreseen(done, ahead)
        for i in range(8):
            delta, at = pull_signed(data, at)
            corners[i] += delta
        if at >= len(data) or max(map(abs, corners)) > 1 << 30:
            # Stopped here: a hostile prediction must not grow without limit.
            raise VarintError("path is cut or leaves the world")
        offset = done[-1].offset + ahead
        done.append(ControlPoint(offset=offset, corners=tuple(corners), residual=data[at]))
        at += 1
    return MotionPath(points=tuple(done[1:])), at


def _foreseen(done: list[ControlPoint], ahead: int) -> list[int]:
    last = done[-1]
    if len(done) == 1:
        return list(last.corners)
    before = done[-2]
    span = last.offset - before.offset
    return [predict(a, b, span, ahead) for a, b in zip(before.corners, last.corners, strict=True)]


def _is_valid(path: MotionPath) -> bool:
    offsets = [0, *(point.offset for point in path.points)]
    rising = all(a < b for a, b in pairwise(offsets))
    whole = all(len(p.corners) == 8 and 0 <= p.residual <= 255 for p in path.points)
    return (
        rising and whole and 2 <= len(offsets) <= MAX_CONTROL_POINTS + 1 and path.end <= _MAX_OFFSET
    )


def _square_to_quad(quad: NDArray[np.float64], area: float) -> NDArray[np.float64] | None:
    """float64[3, 3] that maps (0,0), (1,0), (1,1), (0,1) to the quad's corners (Heckbert 1989).

    None unless the quad is convex and not mirrored: only then it is the picture of a rectangle.
    """
    side = np.roll(quad, -1, axis=0) - quad
    following = np.roll(side, -1, axis=0)
    turn = side[:, 0] * following[:, 1] - side[:, 1] * following[:, 0]
    if not (turn > _MIN_TURN * area).all():
        return None
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad.tolist()
    dx, dy = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    ax, ay, bx, by = x1 - x2, y1 - y2, x3 - x2, y3 - y2
    # Not 0: it is the turn at corner 2, which was found above 0.
    det = ax * by - ay * bx
    g, h = (dx * by - dy * bx) / det, (ax * dy - ay * dx) / det
    rows = [
        [x1 - x0 + g * x1, x3 - x0 + h * x3, x0],
        [y1 - y0 + g * y1, y3 - y0 + h * y3, y0],
        [g, h, 1.0],
    ]
    return np.array(rows, np.float64)


def _adjugate(m: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse but for a factor, which a homography does not feel; no LAPACK, same bits anywhere."""
    (a, b, c), (d, e, f), (g, h, i) = m.tolist()
    rows = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ]
    return np.array(rows, np.float64)


def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """a @ b in one fixed order of additions."""
    columns = list(zip(*b.tolist(), strict=True))
    rows = [[x * p + y * q + z * r for p, q, r in columns] for x, y, z in a.tolist()]
    return np.array(rows, np.float64)
