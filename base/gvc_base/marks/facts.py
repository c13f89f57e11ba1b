"""What is known of each tile when a frame is shown: the inputs of `p_wrong`.

    picture shown, coded picture -> how much structure, how far the two agree (re-projection)
    motion between two coded moments -> trust, what is left after moving, speed
    network -> expected error (log-variance head), texture that is missing, texture made up: the
        deviation of noise samples is known, so none has to be drawn
    bookkeeping -> share and age of received pixels, time to the nearest coded moment, size, bits, rate
    the sender's own comparison -> how much of each cell it found wrong (docs/truth.md)

Planes are float32 on the grid of tiles; nothing here is drawn or guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.motion import F32, PairMotion, warp
from gvc_base.marks.texture import Grid, activity, band_of, finest, standing, tiles
from gvc_profiles.sight.shares import SHARE_OF_LEVEL, at_moment, log_odds
from gvc_protocol.codec import Quality
from gvc_protocol.marks import TILE_PX
from gvc_protocol.truth import TruthMap

__all__ = [
    "FAR_AWAY_S", "PLANES", "SCALARS", "TOLD_RIGHT", "Context", "Fact", "PairFacts", "Scalar", "Told",
    "aged", "between", "carried", "followed", "moment", "pair_facts",
    "seen_through", "unseen",
]  # fmt: skip

U8 = NDArray[np.uint8]

_NEAR, _FAR = (5, 5), (15, 15)
_CHANNELS = 4
"Planes that OpenCV moves at a time."
FAR_AWAY_S = 8.0
"Ages and distances beyond this say nothing more."
TOLD_RIGHT = -4.0
"`Fact.TOLD` of a cell that the sender found right is below this, any other above."


class Fact(IntEnum):
    """Planes; part of the shipped model's contract, so numbers are never reused."""

    FINE = 0
    "log(1 + power) of detail finer than about 6 pixels in what is shown."
    BAND = 1
    "The same of structure between about 6 and 26 pixels."
    CODED_BAND = 2
    "The same in the coded picture, enlarged."
    REPROJECTED = 3
    "What is shown, reduced, less what was received: mean levels, log(1 + x)."
    EXPECTED_ERROR = 4
    "Of the network, share of full scale times 10."
    MADE_UP = 5
    "Deviation of made-up texture, share of full scale times 10."
    RECEIVED = 6
    AGE = 7
    "log(1 + seconds) of received pixels."
    LEFT_A = 8
    "What is left of this moment after the neighbour was moved here: mean levels, log(1 + x)."
    TRUST_A = 9
    LEFT_B = 10
    TRUST_B = 11
    SPEED = 12
    "log(1 + pixels a second)."
    BAND_NEAR = 13
    "BAND, mean of 5 by 5 tiles."
    LEFT_NEAR = 14
    "The larger of LEFT_A and LEFT_B, mean of 5 by 5 tiles."
    TRUST = 15
    "Of the motion that made this very frame; 1 at a coded moment."
    DRIFT = 16
    "log(1 + pixels) that the scene may have moved since the picture was made."
    EDGE = 17
    "1 at the picture's edge, 0 from 4 tiles inwards."
    ASKED_FINE = 18
    "Amplitude of the texture that the network misses, finest octave, share of full scale times 10."
    ASKED_MIDDLE = 19
    ASKED_COARSE = 20
    ASKED_NEAR = 21
    "The two coarser ones, mean of 5 by 5 tiles."
    ERROR_NEAR = 22
    "EXPECTED_ERROR, mean of 5 by 5 tiles."
    CODED_FINE = 23
    "FINE in the coded picture, enlarged."
    CODED_OWN = 24
    "log(1 + power) of the coded picture's own finest octave, at its own size."
    ADDED = 25
    "Reserved, always 0: structure that is shown and not in the coded picture told nothing new."
    LEFT_BAND = 26
    "log(1 + power) of structure that is left after the neighbours were moved here, the larger of both."
    LEFT_BAND_NEAR = 27
    "The same, mean of 5 by 5 tiles."
    WAS_TOLD_WRONG = 28
    "Reserved, always 0, as is the next: maps of right and wrong alone told less."
    WAS_TOLD_NEAR = 29
    STRUCTURE = 30
    "log(1 + power) of structure in what is shown, about as `is_wrong` takes it."
    DISPLACED = 31
    "The same of what is left of it when it stands 8 pixels from its place, mean of four directions."
    TOLD = 32
    "Log-odds of wrong in the cell, by the sender's own comparison of this unit; 0 where none came."
    TOLD_EVENLY = 33
    "The same, straight between the middles of the cells and of the unit's slices of time."
    TOLD_NEAR = 34
    "TOLD, mean of 15 by 15 tiles."
    OWN = 35
    "Log-odds of wrong by all other facts but TOLD and its like (`Model.own_layers`)."
    OFFSET = 36
    "What OWN takes to agree with TOLD, in the mean of the cell's tiles (`spread`); 0 where none came."
    OFFSET_EVENLY = 37
    "The same, straight between the middles of the cells."
    UNCOVERED = 38
    "1 where the picture was moved away from: what is shown is its edge, drawn out."


class Scalar(IntEnum):
    """Numbers of a whole frame, after the planes."""

    SINCE = 0
    "log(1 + seconds) to the nearest coded moment."
    BETWEEN = 1
    MOVED = 2
    "1: no coded picture reaches this frame; the memory was moved by what D tells."
    HELD = 3
    "1: not even D: it is held or, where MOVED is 1 as well, moved on as the camera moved last."
    FACTOR = 4
    "log2 of how many times F is smaller, a side."
    COST = 5
    "log2 of bits a coded pixel."
    RATE = 6
    "log2 of coded pictures a second."
    CLASSICAL = 7
    PREVIEW = 8
    BEST = 9
    TOLD = 10
    "1: the sender told where it was wrong, 0: it told nothing."
    TOLD_WHOLE = 11
    "1: the same, and all that it compared has arrived."
    WAS_TOLD_SHARE = 12
    "Reserved, always 0."
    TOLD_SHARE = 13
    "Log-odds of wrong, of the whole unit that it told of last; 0 where it never did."


PLANES, SCALARS = len(Fact), len(Scalar)
_ASKED = (Fact.ASKED_FINE, Fact.ASKED_MIDDLE, Fact.ASKED_COARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What holds for a whole unit."""

    grid: Grid
    factor: float
    bits_per_coded_pixel: float
    coded_hz: float
    classical: bool
    quality: Quality

    def scalars(self, since_s: float, *, kind: Scalar | None) -> F32:
        """The frame's numbers; `kind`: BETWEEN, MOVED or HELD, None at a coded moment."""
        out = np.zeros(SCALARS, np.float32)
        out[Scalar.SINCE] = np.log1p(min(FAR_AWAY_S, max(0.0, since_s)))
        if kind is not None:
            out[kind] = 1
        out[Scalar.FACTOR] = np.log2(max(1.0, self.factor))
        out[Scalar.COST] = np.log2(min(16.0, max(1e-3, self.bits_per_coded_pixel)))
        out[Scalar.RATE] = np.log2(min(60.0, max(0.1, self.coded_hz)))
        out[Scalar.CLASSICAL] = self.classical
        out[Scalar.PREVIEW], out[Scalar.BEST] = self.quality == "preview", self.quality == "best"
        return out


@dataclass(frozen=True, slots=True)
class PairFacts:
    """Motion between two coded moments A and B, on the grid of tiles."""

    left_a: F32
    "What is left of A when B was moved there, log(1 + mean levels)."
    left_b: F32
    trust_a: F32
    trust_b: F32
    speed: F32
    "log(1 + pixels of the source a second)."
    band_a: F32
    "log(1 + power) of structure in what is left of A."
    band_b: F32
    flow: F32
    "float32[R, C, 2], tiles: from A to B, the mean of both ways; 0 where they are two scenes."


@dataclass(frozen=True, slots=True)
class Told:
    """What the sender's own comparison said of a unit (`gvc_protocol.truth.TruthMap`)."""

    truth: TruthMap
    whole: bool
    "All that it compared has arrived."
    first: int = 0
    "The unit's first frame."
    frames: int = 1

    def put(self, planes: F32, scalars: F32, frame: int) -> None:
        """Into the inputs of a score of that frame, in place."""
        size = (planes.shape[2], planes.shape[1])
        here, _ = self.cells(frame)
        planes[Fact.TOLD] = cv2.resize(here, size, interpolation=cv2.INTER_NEAREST)
        evenly = at_moment(self._odds, self._passed(frame))
        planes[Fact.TOLD_EVENLY] = cv2.resize(evenly, size, interpolation=cv2.INTER_LINEAR)
        planes[Fact.TOLD_NEAR] = cv2.blur(planes[Fact.TOLD], _FAR)
        scalars[Scalar.TOLD], scalars[Scalar.TOLD_WHOLE] = 1, self.whole

    def cells(self, frame: int) -> tuple[F32, int]:
        """Log-odds of wrong in each cell of the slice that holds this frame, and which slice it is."""
        part = self.truth.slice_at(self._passed(frame))
        return self._odds[part], part

    @property
    def _odds(self) -> F32:
        return np.asarray(log_odds(SHARE_OF_LEVEL[self.truth.levels]), np.float32)

    def _passed(self, frame: int) -> float:
        return min(1.0, max(0.0, (frame - self.first) / max(1, self.frames)))

    @property
    def share(self) -> float:
        """See `Scalar.TOLD_SHARE`."""
        return float(log_odds(SHARE_OF_LEVEL[self.truth.levels].mean()))


def pair_facts(
    a: U8, b: U8, motion: PairMotion, trust: tuple[F32, F32], passed_s: float, width: int,
    grid: Grid, *, cut: bool,
) -> PairFacts:  # fmt: skip
    """From the grey pictures that motion was found on.

    Args:
        trust: agreement of the flows on A's and on B's grid.
        passed_s: seconds from A to B. width: of the shown picture, pixels.
        cut: they are of two scenes; nothing is moved from one to the other.
    """
    there, here = warp(b, motion.a_to_b), warp(a, motion.b_to_a)
    left_a, left_b = (
        cv2.absdiff(a, np.asarray(there, np.uint8)),
        cv2.absdiff(b, np.asarray(here, np.uint8)),
    )
    flow = tiles(motion.a_to_b, grid)
    tiles_a_pixel = 0.0 if cut else width / a.shape[1] / TILE_PX
    half_way = (flow - tiles(motion.b_to_a, grid)) * np.float32(tiles_a_pixel / 2)
    fast = np.sqrt(np.square(flow).sum(2)) * np.float32(width / a.shape[1] / max(passed_s, 1e-3))
    return PairFacts(
        np.log1p(tiles(left_a.astype(np.float32), grid)),
        np.log1p(tiles(left_b.astype(np.float32), grid)),
        tiles(trust[0], grid), tiles(trust[1], grid), np.log1p(fast),
        band_of(np.subtract(a, there, dtype=np.float32), grid),
        band_of(np.subtract(b, here, dtype=np.float32), grid), half_way,
    )  # fmt: skip


def moment(
    context: Context, shown: U8, coded: U8, before: PairFacts | None, after: PairFacts | None,
    *, expected_error: F32 | None = None, made_up: F32 | None = None, asked: F32 | None = None,
    received: F32 | None = None, age_s: F32 | None = None,
) -> F32:  # fmt: skip
    """Planes of a coded moment, float32[PLANES, R, C].

    Args:
        shown: what is shown there, any size. coded: the coded picture; the same object where nothing
            was done to it.
        before, after: motion from the moment before and to the one after.
        expected_error, made_up, received, age_s: on any grid that spans the picture; None for none.
        asked: amplitudes of missing texture, float32[3, h, w], finest first.
    """
    grid = context.grid
    out = np.zeros((PLANES, *grid), np.float32)
    out[Fact.FINE], out[Fact.BAND] = activity(shown, grid)
    out[Fact.STRUCTURE], out[Fact.DISPLACED] = standing(shown, grid)
    out[Fact.CODED_FINE], out[Fact.CODED_BAND] = out[Fact.FINE], out[Fact.BAND]
    low = np.asarray(cv2.cvtColor(coded, cv2.COLOR_BGR2GRAY), np.float32)
    out[Fact.CODED_OWN] = finest(low, grid)
    if shown is not coded:
        out[Fact.CODED_FINE], out[Fact.CODED_BAND] = activity(coded, grid)
        high, wide = coded.shape[:2]
        back = cv2.resize(shown, (wide, high), interpolation=cv2.INTER_AREA)
        apart = cv2.cvtColor(cv2.absdiff(back, coded), cv2.COLOR_BGR2GRAY)
        out[Fact.REPROJECTED] = np.log1p(tiles(apart.astype(np.float32), grid))
    for fact, plane, scale in (
        (Fact.EXPECTED_ERROR, expected_error, 10.0), (Fact.MADE_UP, made_up, 10.0),
        (Fact.RECEIVED, received, 1.0),
    ):  # fmt: skip
        if plane is not None:
            out[fact] = tiles(plane, grid) * np.float32(scale)
    if asked is not None:
        for fact, plane in zip(_ASKED, asked, strict=True):
            out[fact] = tiles(plane, grid) * np.float32(10)
    if age_s is not None:
        out[Fact.AGE] = np.log1p(np.minimum(tiles(age_s, grid), np.float32(FAR_AWAY_S)))
    out[Fact.TRUST_A] = out[Fact.TRUST_B] = 0.5
    _follow(out, before, after)
    out[Fact.TRUST] = 1
    out[Fact.EDGE] = _edge(grid)
    return _pooled(out)


def _follow(out: F32, before: PairFacts | None, after: PairFacts | None) -> None:
    """What motion to this moment and on from it tells, in place."""
    one = before or after
    if one is None:
        return
    a, b = before or after, after or before
    assert a is not None and b is not None
    out[Fact.LEFT_A], out[Fact.TRUST_A] = (
        (a.left_b, a.trust_b) if a is before else (a.left_a, a.trust_a)
    )
    out[Fact.LEFT_B], out[Fact.TRUST_B] = (
        (b.left_a, b.trust_a) if b is after else (b.left_b, b.trust_b)
    )
    out[Fact.SPEED] = one.speed
    out[Fact.LEFT_BAND] = np.maximum(
        a.band_b if a is before else a.band_a, b.band_a if b is after else b.band_b
    )


def followed(planes: F32, before: PairFacts) -> F32:
    """Planes of a coded moment that was looked at without motion, with the motion to it."""
    out = planes.copy()
    _follow(out, before, None)
    return _pooled(out)


def between(a: F32, b: F32, pair: PairFacts, trust: F32, alpha: float) -> F32:
    """Planes of a frame `alpha` of the way from moment A to moment B; both move there with the scene.

    Args:
        trust: of the motion that made the frame, any grid.
    """
    out = seen_through(a, pair.flow, -alpha) * np.float32(1 - alpha)
    out += seen_through(b, pair.flow, 1 - alpha) * np.float32(alpha)
    out[Fact.EDGE] = _edge((out.shape[1], out.shape[2]))
    out[Fact.LEFT_A], out[Fact.TRUST_A] = pair.left_a, pair.trust_a
    out[Fact.LEFT_B], out[Fact.TRUST_B] = pair.left_b, pair.trust_b
    out[Fact.SPEED] = pair.speed
    out[Fact.LEFT_BAND] = np.maximum(pair.band_a, pair.band_b)
    out[Fact.TRUST] = tiles(trust, (out.shape[1], out.shape[2]))
    return _pooled(out)


def seen_through(planes: F32, flow: F32, share: float) -> F32:
    """What lies this share of the flow from each tile: planes of a moment where another sees the scene.

    Args:
        planes: float32[n, R, C]. flow: float32[R, C, 2], tiles.
        share: 1 for the moment at the flow's end, -1 for the one as far before its beginning.
    """
    way = flow * np.float32(share)
    out = np.empty_like(planes)
    for first in range(0, len(planes), _CHANNELS):
        these = np.ascontiguousarray(planes[first : first + _CHANNELS].transpose(1, 2, 0))
        out[first : first + _CHANNELS] = np.atleast_3d(warp(these, way)).transpose(2, 0, 1)
    return out


def carried(planes: F32, matrix: NDArray[np.float64]) -> F32:
    """Planes of a picture that was moved by a homography of tiles."""
    rows, columns = planes.shape[1:]
    mode = cv2.BORDER_REPLICATE
    moved = [cv2.warpPerspective(p, matrix, (columns, rows), borderMode=mode) for p in planes]
    out = np.asarray(np.stack(moved), np.float32)
    out[Fact.EDGE] = _edge((rows, columns))
    covered = cv2.warpPerspective(np.ones((rows, columns), np.float32), matrix, (columns, rows))
    out[Fact.UNCOVERED] = np.maximum(out[Fact.UNCOVERED], 1 - covered)
    return out


def aged(planes: F32, since_s: float) -> F32:
    """Planes of a frame that no coded picture reaches, `since_s` after the last one."""
    out = planes.copy()
    passed = np.float32(min(FAR_AWAY_S, since_s))
    out[Fact.DRIFT] = np.log1p(np.expm1(out[Fact.SPEED]) * passed)
    out[Fact.TRUST] = 0
    return out


def unseen(grid: Grid) -> F32:
    """Planes of a picture that nothing was received of."""
    out = np.zeros((PLANES, *grid), np.float32)
    out[Fact.TRUST_A] = out[Fact.TRUST_B] = 0.5
    out[Fact.EDGE] = _edge(grid)
    return out


def _pooled(planes: F32) -> F32:
    planes[Fact.BAND_NEAR] = cv2.blur(planes[Fact.BAND], _NEAR)
    worse = np.maximum(planes[Fact.LEFT_A], planes[Fact.LEFT_B])
    planes[Fact.LEFT_NEAR] = cv2.blur(worse, _NEAR)
    planes[Fact.LEFT_BAND_NEAR] = cv2.blur(planes[Fact.LEFT_BAND], _NEAR)
    coarse = planes[Fact.ASKED_MIDDLE] + planes[Fact.ASKED_COARSE]
    planes[Fact.ASKED_NEAR] = cv2.blur(coarse, _NEAR)
    planes[Fact.ERROR_NEAR] = cv2.blur(planes[Fact.EXPECTED_ERROR], _NEAR)
    return planes


_edges: dict[Grid, F32] = {}


def _edge(grid: Grid) -> F32:
    if grid not in _edges:
        if len(_edges) >= 4:
            _edges.pop(next(iter(_edges)))
        y, x = np.mgrid[0 : grid[0], 0 : grid[1]]
        inside = np.minimum.reduce([y, x, grid[0] - 1 - y, grid[1] - 1 - x])
        _edges[grid] = np.asarray(1 - np.minimum(inside, 4) / 4, np.float32)
    return _edges[grid]
