"""Codec 1's pictures in time: motion between two shown moments, what moves along it, frames between.

    Moment a, Moment b -> Pair (flow both ways, trust both ways) -> onto_b(a), onto_a(b), between(a, b)
    Moment, homography -> moved
What a moment knows of its pixels (share of received ones, their age) moves with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.fusion import resize
from gvc_base.decoders.motion import (
    F32,
    LONG_GAP_S,
    FlowEngine,
    PairMotion,
    agreement,
    alike,
    resize_flow,
    warp,
    warp_nearest,
)
from gvc_base.marks.doubt import Known
from gvc_base.marks.facts import PairFacts, pair_facts
from gvc_base.neural.layout import CELL_PX

__all__ = [
    "HALF",
    "UNKNOWN_AGE_S",
    "Carried",
    "Filled",
    "Moment",
    "Pair",
    "cell_shape",
    "find_pair",
    "moved",
    "resized",
]

U8 = NDArray[np.uint8]

UNKNOWN_AGE_S = 1e6
"Age of what was never seen."

HALF = 0.5
"""Share of received pixels above which a cell goes back to them. It moves by the nearest cell, as
`origin` does, so that the two stay together."""

_SCENE_CUT = 0.1
"Mean agreement of both flows below which nothing is moved from one picture to the other."


@dataclass(slots=True, kw_only=True)
class Moment:
    """A picture that stands at one source frame, and where its pixels come from."""

    frame: int
    "Source frame number, counted from the start of the stream."
    picture: U8
    "uint8[h, w, 3], BGR, on the canvas: evidence and what was restored from it."
    shown: U8
    "The same with made-up texture; the same array where there is none."
    made_up: F32
    "float32[h/4, w/4]: deviation of that texture, 0..1 of full scale."
    free: F32
    "float32, same grid: 1 where texture may be made up, 0 inside detected objects."
    grey: U8
    "What motion is found on."
    received: F32
    "float32[h/4, w/4], 0..1: share that goes back to received full-size pixels."
    age_s: F32
    "float32, same grid: age of those pixels at this moment."
    sure: F32
    "float32, same grid: size of the error that the network expects, 0..1 of full scale; 0 unknown."
    texture: F32 | None = None
    "float32[TEXTURE_BANDS, h/4, w/4]: texture that the network asks for; None without a network."
    origin: F32
    "float32[h/4, w/4]: numbers of `Sources`, which received bytes each cell was made from."
    mono: bool = False
    "Of a source without colour."
    context: F32 | None = None
    "float32[CONTEXT_PLANES, h/4, w/4]: what the refiner is told; None without a network."
    known: Known | None = None
    "What is known of its tiles, at the frame of the coded picture that it goes back to."

    def own(self) -> Moment:
        """The same, to paste pixels into: the first one stays as it is."""
        return replace(
            self, made_up=self.made_up.copy(), received=self.received.copy(),
            age_s=self.age_s.copy(), origin=self.origin.copy(),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Carried:
    """A moment's content, moved to a later one."""

    picture: Callable[[], U8]
    "Made when it is asked for, once."
    trust: F32
    "On the flow's grid."
    received: F32
    age_s: F32
    "Age at the later moment."
    origin: F32


@dataclass(frozen=True, slots=True)
class Filled:
    """What is shown between two moments."""

    picture: U8
    made_up: F32
    trust: F32
    "On the flow's grid."
    received: F32
    age_s: F32
    sure: F32
    origin: F32


def cell_shape(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the network's grid."""
    return -(-height // CELL_PX), -(-width // CELL_PX)


@dataclass(frozen=True, slots=True)
class Pair:
    """Motion between moment A and a later moment B, both ways, with trust."""

    motion: PairMotion
    trust_a: F32
    "On A's grid: how well the way to B and back closes."
    trust_b: F32
    cut: bool
    facts: Callable[[], PairFacts]
    "The same on the grid of tiles, for `p_wrong`; made when it is asked for, once."
    greys: tuple[U8, U8] | None = None
    "A and B on the flow's grid, where the gap is so long that both are looked at again."

    def onto_b(self, a: Moment, passed_s: float) -> Carried:
        """A's content where B sees it, `passed_s` seconds later."""
        flow, kept = self.motion.b_to_a, self._kept(self.trust_b)
        rows, columns = a.received.shape
        small = resize_flow(flow, columns, rows)
        cells = cv2.resize(kept, (columns, rows))
        return Carried(
            _seen_through(flow, a.picture), kept,
            np.asarray(warp_nearest(a.received, small) * cells, np.float32),
            np.asarray(warp(a.age_s, small) + np.float32(passed_s), np.float32),
            warp_nearest(a.origin, small),
        )  # fmt: skip

    def onto_a(self, picture: U8) -> tuple[Callable[[], U8], F32]:
        """B's picture where A sees it, made when it is asked for, and the trust on the flow's grid."""
        return _seen_through(self.motion.a_to_b, picture), self._kept(self.trust_a)

    def between(self, a: Moment, b: Moment, alpha: float) -> Filled:
        """What stands `alpha` of the way from A to B, 0 < alpha < 1.

        Where the two flows do not agree the nearer picture is taken alone, and the trust says so.
        """
        near = a if alpha <= 0.5 else b
        if self.cut:
            return Filled(
                near.shown, near.made_up, np.zeros_like(self.trust_a), near.received, near.age_s,
                near.sure, near.origin,
            )  # fmt: skip
        to_a, to_b = self.motion.at(alpha)
        trust = np.minimum(warp(self.trust_a, to_a), warp(self.trust_b, to_b))
        if self.greys is not None:
            trust = trust * alike(warp(self.greys[0], to_a), warp(self.greys[1], to_b))
        share = trust * (1 - alpha) + (1 - trust) * (1.0 if alpha <= 0.5 else 0.0)
        h, w = a.shown.shape[:2]
        from_a = warp(a.shown, resize_flow(to_a, w, h))
        from_b = warp(b.shown, resize_flow(to_b, w, h))
        full = cv2.resize(share.astype(np.float32), (w, h))
        mixed = np.asarray(cv2.blendLinear(from_a, from_b, full, 1 - full), np.uint8)
        rows, columns = a.received.shape
        flow_a, flow_b = resize_flow(to_a, columns, rows), resize_flow(to_b, columns, rows)
        cells = cv2.resize(share.astype(np.float32), (columns, rows))
        from_a, from_b = warp_nearest(a.received, flow_a), warp_nearest(b.received, flow_b)
        received = cells * from_a + (1 - cells) * from_b
        age = np.where(cells >= 0.5, warp(a.age_s, flow_a), warp(b.age_s, flow_b))
        # Of the side that outweighs the other, unless its mark would be about the other side's pixels.
        of_a = cells >= 0.5
        other = (np.where(of_a, from_a, from_b) > HALF) != (received > HALF)
        of_a ^= other
        origin = np.where(of_a, warp_nearest(a.origin, flow_a), warp_nearest(b.origin, flow_b))
        sure = cells * warp(a.sure, flow_a) + (1 - cells) * warp(b.sure, flow_b)
        made_up = cells * warp(a.made_up, flow_a) + (1 - cells) * warp(b.made_up, flow_b)
        return Filled(
            mixed, made_up.astype(np.float32), trust, received.astype(np.float32),
            age.astype(np.float32), sure.astype(np.float32), origin,
        )  # fmt: skip

    def _kept(self, trust: F32) -> F32:
        return np.zeros_like(trust) if self.cut else trust


def _seen_through(flow: F32, picture: U8) -> Callable[[], U8]:
    """Gives the picture as the flow moves it, made once."""
    h, w = picture.shape[:2]
    return cache(lambda: np.asarray(warp(picture, resize_flow(flow, w, h)), np.uint8))


def resized(m: Moment, width: int, height: int, grey_shape: tuple[int, int]) -> Moment:
    """The moment on a canvas of another size; a texture that was asked for is painted already."""
    rows, columns = cell_shape(height, width)
    if m.picture.shape[:2] == (height, width) and m.grey.shape == grey_shape:
        return m
    size = (columns, rows)
    return Moment(
        frame=m.frame, picture=resize(m.picture, width, height),
        shown=resize(m.shown, width, height), grey=resize(m.grey, grey_shape[1], grey_shape[0]),
        made_up=np.asarray(cv2.resize(m.made_up, size), np.float32),
        free=np.asarray(cv2.resize(m.free, size), np.float32),
        received=np.asarray(
            cv2.resize(m.received, size, interpolation=cv2.INTER_NEAREST), np.float32
        ),
        age_s=np.asarray(cv2.resize(m.age_s, size), np.float32),
        sure=np.asarray(cv2.resize(m.sure, size), np.float32),
        origin=np.asarray(cv2.resize(m.origin, size, interpolation=cv2.INTER_NEAREST), np.float32),
        known=m.known,
    )  # fmt: skip


def moved(m: Moment, matrix: NDArray[np.float64], frame: int, passed_s: float) -> Moment:
    """The moment's content moved by a homography of its pixels, to another frame."""
    h, w = m.picture.shape[:2]
    rows, columns = m.received.shape
    scale = np.diag([columns / w, rows / h, 1.0])
    small = scale @ matrix @ np.linalg.inv(scale)

    def cells(plane: F32, how: int = cv2.INTER_LINEAR) -> F32:
        return np.asarray(cv2.warpPerspective(plane, small, (columns, rows), flags=how), np.float32)

    def pixels(picture: U8) -> U8:
        out = cv2.warpPerspective(picture, matrix, (w, h), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(out, np.uint8)

    shown = pixels(m.shown)
    grey_h, grey_w = m.grey.shape
    grey = np.asarray(cv2.cvtColor(resize(shown, grey_w, grey_h), cv2.COLOR_BGR2GRAY), np.uint8)
    return Moment(
        frame=frame, picture=pixels(m.picture), shown=shown, grey=grey, made_up=cells(m.made_up),
        free=np.ones((rows, columns), np.float32), received=cells(m.received, cv2.INTER_NEAREST),
        age_s=cells(m.age_s) + np.float32(passed_s), sure=cells(m.sure),
        origin=cells(m.origin, cv2.INTER_NEAREST),
        known=m.known,
    )  # fmt: skip


def find_pair(
    engine: FlowEngine | None, a: U8, b: U8, *, passed_s: float, width: int, grid: tuple[int, int]
) -> Pair:
    """Motion between two grey pictures of one size.

    Args:
        engine: None: nothing moves, whatever they show.
        passed_s: seconds from A to B. width, grid: of the shown picture, for `facts`.
    """
    if engine is None:
        there = back = np.zeros((*a.shape, 2), np.float32)
    else:
        there, back = engine.flow(a, b), engine.flow(b, a)
    trust_a, trust_b = agreement(there, back), agreement(back, there)
    cut = float(trust_a.mean() + trust_b.mean()) < 2 * _SCENE_CUT
    motion = PairMotion(there, back)
    trust = (trust_a, trust_b)
    facts = cache(partial(pair_facts, a, b, motion, trust, passed_s, width, grid, cut=cut))
    greys = (a, b) if passed_s > LONG_GAP_S else None
    return Pair(motion, trust_a, trust_b, cut, facts, greys)
