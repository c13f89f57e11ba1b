"""Codec 1's pictures in time: motion between two shown moments, what moves along it, frames between.

    Moment a, Moment b -> Pair (flow both ways, trust both ways) -> carry(a onto b), between(a, b, alpha)

What a moment knows of its pixels (share of received ones, their age) moves with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.fusion import grey
from gvc_base.decoders.motion import F32, FlowEngine, PairMotion, agreement, resize_flow, warp
from gvc_base.neural.layout import CELL_PX

__all__ = ["Carried", "Moment", "Pair", "cell_shape", "find_pair"]

U8 = NDArray[np.uint8]

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


@dataclass(frozen=True, slots=True)
class Carried:
    """A moment's content, moved to another moment."""

    picture: U8
    "What the network is given (`onto_b`), or what is shown (`between`)."
    made_up: F32
    trust: F32
    "On the flow's grid."
    received: F32
    age_s: F32


def cell_shape(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the network's grid."""
    return -(-height // CELL_PX), -(-width // CELL_PX)


def grey_of(picture: U8, widest_px: int) -> U8:
    """See `fusion.grey`."""
    return grey(picture, widest_px)


@dataclass(frozen=True, slots=True)
class Pair:
    """Motion between moment A and a later moment B, both ways, with trust."""

    motion: PairMotion
    trust_a: F32
    "On A's grid: how well the way to B and back closes."
    trust_b: F32
    cut: bool

    def onto_b(self, a: Moment) -> Carried:
        """A's content where B sees it."""
        return self._carry(a, self.motion.b_to_a, self.trust_b)

    def onto_a(self, picture: U8) -> tuple[U8, F32]:
        """B's picture where A sees it, and the trust on the flow's grid."""
        flow, trust = self.motion.a_to_b, self.trust_a
        h, w = picture.shape[:2]
        return np.asarray(warp(picture, resize_flow(flow, w, h)), np.uint8), self._kept(trust)

    def between(self, a: Moment, b: Moment, alpha: float) -> tuple[Carried, F32]:
        """What stands `alpha` of the way from A to B, 0 < alpha < 1, and the expected error there.

        Where the two flows do not agree the nearer picture is taken alone, and the trust says so.
        """
        near = a if alpha <= 0.5 else b
        if self.cut:
            nothing = np.zeros_like(self.trust_a)
            carried = Carried(near.shown, near.made_up, nothing, near.received, near.age_s)
            return carried, near.sure
        to_a, to_b = self.motion.at(alpha)
        trust = np.minimum(warp(self.trust_a, to_a), warp(self.trust_b, to_b))
        share = trust * (1 - alpha) + (1 - trust) * (1.0 if alpha <= 0.5 else 0.0)
        h, w = a.shown.shape[:2]
        from_a = warp(a.shown, resize_flow(to_a, w, h))
        from_b = warp(b.shown, resize_flow(to_b, w, h))
        full = cv2.resize(share.astype(np.float32), (w, h))
        mixed = np.asarray(cv2.blendLinear(from_a, from_b, full, 1 - full), np.uint8)
        rows, columns = a.received.shape
        flow_a, flow_b = resize_flow(to_a, columns, rows), resize_flow(to_b, columns, rows)
        cells = cv2.resize(share.astype(np.float32), (columns, rows))
        received = cells * warp(a.received, flow_a) + (1 - cells) * warp(b.received, flow_b)
        age = np.where(cells >= 0.5, warp(a.age_s, flow_a), warp(b.age_s, flow_b))
        sure = cells * warp(a.sure, flow_a) + (1 - cells) * warp(b.sure, flow_b)
        made_up = cells * warp(a.made_up, flow_a) + (1 - cells) * warp(b.made_up, flow_b)
        carried = Carried(
            mixed, made_up.astype(np.float32), trust, received.astype(np.float32),
            age.astype(np.float32),
        )  # fmt: skip
        return carried, sure.astype(np.float32)

    def _carry(self, moment: Moment, flow: F32, trust: F32) -> Carried:
        h, w = moment.picture.shape[:2]
        rows, columns = moment.received.shape
        small = resize_flow(flow, columns, rows)
        kept = self._kept(trust)
        cells = cv2.resize(kept, (columns, rows))
        return Carried(
            np.asarray(warp(moment.picture, resize_flow(flow, w, h)), np.uint8),
            np.asarray(warp(moment.made_up, small), np.float32), kept,
            np.asarray(warp(moment.received, small) * cells, np.float32),
            np.asarray(warp(moment.age_s, small), np.float32),
        )  # fmt: skip

    def _kept(self, trust: F32) -> F32:
        return np.zeros_like(trust) if self.cut else trust


def find_pair(engine: FlowEngine, a: U8, b: U8) -> Pair:
    """Motion between two grey pictures of one size."""
    there, back = engine.flow(a, b), engine.flow(b, a)
    trust_a, trust_b = agreement(there, back), agreement(back, there)
    cut = float(trust_a.mean() + trust_b.mean()) < 2 * _SCENE_CUT
    return Pair(PairMotion(there, back), trust_a, trust_b, cut)
