"""`p_wrong` while a decoder runs: the facts of each moment to a score, the score of each frame to p.

A score is made at coded moments and in the middle of each gap that is not short, and is a straight line
between them, moved with the scene: pictures there differ by motion alone. Where no coded picture comes
any more it is made anew a few times a second, since only age and drift grow. So the cost is a small
share of the decoder's (docs/marks.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.marks import facts
from gvc_base.marks.facts import Context, Fact, PairFacts, Scalar, Told
from gvc_base.marks.model import Model
from gvc_base.marks.spread import Spread
from gvc_protocol.codec import ReceivedUnit, UnitSpan

__all__ = ["Doubt", "Known", "Recorder", "told_of"]

F32 = NDArray[np.float32]

Recorder = Callable[[int, F32, F32], None]
"Given (frame, planes, scalars) of every score that is made; for training."

_KEPT_S, _KEPT_CLASSICAL_S = 0.1, 0.21
"""A coded moment this soon after one that was looked at takes over what was known of it: the scene
moves by part of a tile. Codec 0 decodes so fast that looking as often would cost a tenth of it."""

_SHORT_GAP_S = 0.14
"In a gap shorter than this the score runs straight from end to end."

_AGAIN_FRAMES = 4
"Frames that a held picture's score is kept for."

_BEFORE_ANYTHING = -(1 << 20)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the tiles of a picture that goes back to one coded moment."""

    frame: int
    "Of that coded moment."
    planes: F32
    score: F32
    context: Context


@dataclass(slots=True)
class _Gap:
    a: Known
    b: Known
    middle: int
    score: F32
    flow: F32 | None
    "Tiles, from A to B; None: they are so near that the scene stays where it is."


@dataclass(slots=True)
class _Held:
    known: Known
    frame: int
    how: tuple[bool, bool]
    "Moved, told."
    score: F32


def told_of(unit: ReceivedUnit, span: UnitSpan) -> Told | None:
    """What the sender said of a unit that begins; None: nothing."""
    truth = unit.descriptors.truth if unit.descriptors is not None else None
    return None if truth is None else Told(truth, unit.whole, span.first_frame, span.frames)


class Doubt:
    """One decoder's. Knows nothing of pixels beyond what `facts` says.

    Args:
        model: the calibration.
        record: sees the inputs of each score, to train on.
    """

    def __init__(self, model: Model, record: Recorder | None = None) -> None:
        self.model, self.record = model, record
        self._told: Told | None = None
        self._spread = Spread()
        self._share = 0.0
        "Of the unit that the sender told of last: one that lost its map is as hard a scene, about."
        self._looked: Known | None = None
        self._gap: _Gap | None = None
        self._held: _Held | None = None

    def tell(self, told: Told | None) -> None:
        """A unit begins, of which the sender said this of its own comparison; None: nothing."""
        self._told, self._spread = told, Spread()
        self._share = told.share if told is not None else self._share
        self._looked = None

    def coded(self, context: Context, frame: int, planes: F32) -> Known:
        """A coded moment."""
        scalars = context.scalars(0.0, kind=None)
        self._looked = Known(frame, planes, self._score(frame, planes, scalars), context)
        return self._looked

    def kept(self, context: Context, frame: int, fps: float) -> Known | None:
        """What the moment before told, where it is so near that it holds for this one, too."""
        last = self._looked
        if last is None or last.context != context:
            return None
        most = _KEPT_CLASSICAL_S if context.classical else _KEPT_S
        return replace(last, frame=frame) if 0 < (frame - last.frame) / fps < most else None

    def between(
        self,
        a: Known,
        b: Known,
        frames: tuple[int, int],
        pair: Callable[[], PairFacts],
        frame: int,
        fps: float,
    ) -> F32:
        """Score of a frame between two moments.

        Args:
            frames: where they stand; `a` may be a memory that was moved beyond its own.
            pair: gives the motion between them; it is asked where the gap is long.
        """
        first, last = frames
        gap = self._gap
        if gap is None or gap.a is not a or gap.b is not b:
            gap = self._gap = self._open(a, b, frames, pair, fps)
        whole = max(1, last - first)

        def here(score: F32, then: int) -> F32:
            """Of another moment of the gap, where this frame sees the scene."""
            if gap.flow is None or then == frame:
                return score
            there: F32 = facts.seen_through(score[None], gap.flow, (then - frame) / whole)[0]
            return there

        if frame <= gap.middle:
            share = (frame - first) / max(1, gap.middle - first)
            return _mixed(here(a.score, first), here(gap.score, gap.middle), share)
        share = (frame - gap.middle) / max(1, last - gap.middle)
        return _mixed(here(gap.score, gap.middle), here(b.score, last), share)

    def _open(
        self, a: Known, b: Known, frames: tuple[int, int], pair: Callable[[], PairFacts], fps: float
    ) -> _Gap:
        first, last = frames
        middle = first + (last - first) // 2
        if (last - first) / fps < _SHORT_GAP_S:
            return _Gap(a, b, middle, _mixed(a.score, b.score, 0.5), None)
        motion = pair()
        trust = np.minimum(motion.trust_a, motion.trust_b)
        alpha = (middle - first) / max(1, last - first)
        planes = facts.between(a.planes, b.planes, motion, trust, alpha)
        since = min(middle - first, last - middle) / fps
        scalars = b.context.scalars(since, kind=Scalar.BETWEEN)
        return _Gap(a, b, middle, self._score(middle, planes, scalars), motion.flow)

    def beyond(
        self, known: Known, frame: int, fps: float, *,
        by: NDArray[np.float64] | None = None, told: bool = False,
    ) -> F32:  # fmt: skip
        """Score of a frame that no coded picture reaches.

        Args:
            known: of the picture before it was moved here.
            by: how it was moved, a homography of tiles; None: it is held.
            told: along a path that D told, not by a guess.
        """
        held, how = self._held, (by is not None, told)
        if held is not None and held.how == how and 0 <= frame - held.frame < _AGAIN_FRAMES:
            same = held.known is known or (by is not None and held.known.frame == known.frame)
            if same and held.score.shape == known.score.shape:
                return held.score
        there = known if by is None else _moved(known, by)
        since = abs(frame - known.frame) / fps
        planes = facts.aged(there.planes, since)
        scalars = known.context.scalars(since, kind=None)
        scalars[Scalar.MOVED], scalars[Scalar.HELD] = how[0], not told
        self._fill(frame, planes, scalars)
        if known.frame == _BEFORE_ANYTHING:
            # Nothing tells its tiles apart; flat ground that did come must not be taken for it.
            score = np.full_like(known.score, self.model.unseen)
        else:
            score = self.model.away(planes, scalars, there.score)
        self._held = _Held(known, frame, how, score)
        return score

    def followed(self, known: Known, before: PairFacts) -> Known:
        """A coded moment that was looked at without motion, now with the motion to it."""
        return replace(known, planes=facts.followed(known.planes, before))

    def moved(self, known: Known, matrix: NDArray[np.float64]) -> Known:
        """What is known of a picture after it was moved by a homography of tiles."""
        return _moved(known, matrix)

    def on_grid(self, known: Known, grid: tuple[int, int]) -> Known:
        """The same on another grid: the source's size may change when the edge restarts."""
        if known.context.grid == grid:
            return known
        planes = np.stack([cv2.resize(p, grid[::-1]) for p in known.planes])
        score = np.asarray(cv2.resize(known.score, grid[::-1]), np.float32)
        context = replace(known.context, grid=grid)
        return replace(known, planes=planes, score=score, context=context)

    def unseen(self, context: Context) -> Known:
        """What is known before anything came."""
        planes = facts.unseen(context.grid)
        planes[Fact.AGE] = np.log1p(np.float32(facts.FAR_AWAY_S))
        return Known(_BEFORE_ANYTHING, planes, np.zeros(context.grid, np.float32), context)

    def p_wrong(
        self, mark: NDArray[np.uint8], score: F32, true: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float16]:
        """Calibrated, by mark.

        Args:
            true: tiles of pixels that arrived as they are, for this very frame.
        """
        p = self.model.p_wrong(mark, score)
        if true is not None:
            p[true] = self.model.received
        return p

    def _score(self, frame: int, planes: F32, scalars: F32) -> F32:
        self._fill(frame, planes, scalars)
        told, spread = self._told, self._spread
        if told is None:
            return self.model.score(planes, scalars)
        odds, part = told.cells(frame)
        return self.model.score(planes, scalars, lambda own: spread.see(own, odds, part))

    def _fill(self, frame: int, planes: F32, scalars: F32) -> None:
        """What the sender told goes into the inputs, in place; then they are recorded."""
        planes[[Fact.TOLD, Fact.TOLD_EVENLY, Fact.TOLD_NEAR]] = 0
        scalars[Scalar.TOLD_SHARE] = self._share
        if self._told is not None:
            self._told.put(planes, scalars, frame)
        if self.record is not None:
            self.record(frame, planes, scalars)


def _moved(known: Known, matrix: NDArray[np.float64]) -> Known:
    both = np.concatenate([known.planes, known.score[None]])
    carried = facts.carried(both, matrix)
    return replace(known, planes=carried[:-1], score=carried[-1])


def _mixed(a: F32, b: F32, share: float) -> F32:
    return np.asarray(a + (b - a) * np.float32(share), np.float32)
