"""What codec 0's decoder makes of its two parts: the still's detail carried, the gaps filled.

coded F frames + still -> carry: full-size pictures at the coded moments, with the still's weight
two neighbouring coded pictures + their motion -> between: a picture and how far to trust it
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.av1 import Picture
from gvc_base.decoders.motion import (
    F32,
    LONG_GAP_S,
    FlowEngine,
    PairMotion,
    agreement,
    alike,
    compose,
    resize_flow,
    warp,
)
from gvc_base.marks.facts import pair_facts
from gvc_protocol.marks import TILE_PX, tile_grid

__all__ = ["Between", "Carrier", "Settings", "grey", "resize", "tile_means"]

_CARRY_GAIN = 0.7
"""Damps the still away from its moment. Against 1.0: 0.05 to 0.15 dB better on a calm aerial clip and
a highway, up to 0.15 dB worse on a dense aerial one; but no frame fell far below F alone."""

_COLOUR_TOLERANCE = 10.0
"Mean difference, grey levels, at which a carried pixel has lost 40 % of its weight; 6 to 20 alike."

_SCENE_CUT = 0.2
"Mean agreement of the two flows below which there is no motion worth following."

U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a quality setting costs."""

    flow_width_px: int
    "Flow is computed on pictures no wider than this."
    fine_flow: bool
    fast_flow: bool
    carry: bool
    "Carry the still's detail, and fill gaps at full size instead of F's size."
    cubic: bool
    "Sample the still cubically; F's pictures hold nothing that linear sampling would lose."


def resize(picture: Picture, width: int, height: int) -> Picture:
    """The picture at another size: mean of the covered pixels down, cubic up."""
    if picture.shape[:2] == (height, width):
        return picture
    bigger = width > picture.shape[1] or height > picture.shape[0]
    how = cv2.INTER_CUBIC if bigger else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)


def grey(picture: Picture, widest_px: int) -> U8:
    """The picture that flow is computed on: uint8[h, w], no wider than `widest_px`."""
    height, width = picture.shape[:2]
    if width > widest_px:
        height, width = max(2, round(height * widest_px / width)), widest_px
    return resize(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8), width, height)


def tile_means(values: F32, width: int, height: int) -> F32:
    """Mean of a map over each 8x8 tile of the shown picture.

    Args:
        values: float32[h, w] in 0..1 on any grid that spans the picture.
        width, height: size of the shown picture in pixels.

    Returns:
        float32[ceil(height/8), ceil(width/8)], in steps of 1/255.
    """
    rows, cols = tile_grid(height, width)
    full = cv2.resize((values * 255).astype(np.uint8), (width, height))
    pad = (0, rows * TILE_PX - height, 0, cols * TILE_PX - width)
    padded = cv2.copyMakeBorder(full, *pad, cv2.BORDER_REPLICATE)
    means = cv2.resize(padded, (cols, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32) / np.float32(255)


class Carrier:
    """Carries one still to the coded moments of its unit, outwards from its own.

    Flow is followed from coded frame to coded frame and refined against the still's moment at each
    step, so that it neither drifts nor fails over long distances.

    Args:
        lows: decoded F frames, BGR, of one size.
        at: which of them shows the still's moment.
        still: the still, any size.
        gains: shares 0..1 of its difference to add in F's band and above it.
        size: (width, height) of the shown picture.
    """

    def __init__(
        self, lows: list[Picture], at: int, still: Picture, gains: tuple[float, float],
        size: tuple[int, int], settings: Settings, engine: FlowEngine,
    ) -> None:  # fmt: skip
        self._lows, self._at, self._size = lows, at, size
        self._settings, self._engine = settings, engine
        height, width = lows[0].shape[:2]
        self.still = resize(still, *size)
        small = resize(self.still, width, height)
        low_gain, high_gain = (_CARRY_GAIN * gain for gain in gains)
        self._low = (small.astype(np.float32) - lows[at]) * low_gain
        self._high = (self.still.astype(np.float32) - resize(small, *size)) * high_gain
        self._greys = [grey(low, settings.flow_width_px) for low in lows]
        self._flows: dict[int, tuple[F32, F32]] = {}
        for way in (1, -1):
            self._follow(way)

    def _follow(self, way: int) -> None:
        """Flow to the still's moment, and its trust, for the coded frames on one side of it."""
        target = self._greys[self._at]
        there = back = np.zeros((*target.shape, 2), np.float32)
        self._flows[self._at] = (there, np.ones(target.shape, np.float32))
        index = self._at + way
        while 0 <= index < len(self._lows):
            now, before = self._greys[index], self._greys[index - way]
            there = compose(self._engine.flow(now, before), there)
            back = compose(back, self._engine.flow(before, now))
            there = self._engine.flow(now, target, there)
            back = self._engine.flow(target, now, back)
            self._flows[index] = (there, self._trust(index, there, back))
            index += way

    def _trust(self, index: int, there: F32, back: F32) -> F32:
        """Agreement of the flows times agreement of what F shows at both ends."""
        height, width = there.shape[:2]
        here = resize(self._lows[index], width, height).astype(np.float32)
        moved = warp(resize(self._lows[self._at], width, height), there)
        apart = cv2.GaussianBlur(np.abs(moved.astype(np.float32) - here).mean(axis=2), (0, 0), 1.5)
        trust = agreement(there, back) * np.exp(-0.5 * (apart / _COLOUR_TOLERANCE) ** 2)
        return np.asarray(cv2.GaussianBlur(trust, (0, 0), 1.0), np.float32)

    def picture(self, index: int) -> tuple[Picture, F32]:
        """Full-size picture of a coded frame and the still's weight in it, float32[h, w] 0..1."""
        there, trust = self._flows[index]
        if index == self._at:
            return self.still, trust
        low, (width, height) = self._lows[index], self._size
        to_still = resize_flow(there, low.shape[1], low.shape[0])
        share = cv2.resize(trust, (low.shape[1], low.shape[0]))[..., None]
        base = low + share * warp(self._low, to_still)
        up = cv2.resize(base, (width, height), interpolation=cv2.INTER_CUBIC)
        detail = warp(self._high, resize_flow(there, width, height), cubic=self._settings.cubic)
        detail *= cv2.resize(trust, (width, height))[..., None]
        up += detail
        return np.clip(up, 0, 255).astype(np.uint8), trust


class Between:
    """Pictures between two coded ones.

    Args:
        low_a, low_b: decoded F frames, for the motion.
        picture_a, picture_b: what is shown at both moments (the same as the F frames in preview).
        weight_a, weight_b: the still's weight in each, on the flow's grid, or None without a still.
        passed_s: seconds between them. width, grid: of the shown picture, for `facts`.
    """

    def __init__(
        self, low_a: Picture, low_b: Picture, picture_a: Picture, picture_b: Picture,
        weight_a: F32 | None, weight_b: F32 | None, settings: Settings, engine: FlowEngine, *,
        passed_s: float, width: int, grid: tuple[int, int],
    ) -> None:  # fmt: skip
        a, b = grey(low_a, settings.flow_width_px), grey(low_b, settings.flow_width_px)
        self._motion = PairMotion(engine.flow(a, b), engine.flow(b, a))
        self._trust_a = agreement(self._motion.a_to_b, self._motion.b_to_a)
        self._trust_b = agreement(self._motion.b_to_a, self._motion.a_to_b)
        self._greys = (a, b) if passed_s > LONG_GAP_S else None
        self._a, self._b = picture_a, picture_b
        self._weight_a, self._weight_b = weight_a, weight_b
        self.cut = float(self._trust_a.mean() + self._trust_b.mean()) < 2 * _SCENE_CUT
        trust = (self._trust_a, self._trust_b)
        self.facts = cache(
            partial(pair_facts, a, b, self._motion, trust, passed_s, width, grid, cut=self.cut)
        )
        "Made when it is asked for, once."

    def at(self, alpha: float) -> tuple[Picture, F32, F32]:
        """Picture `alpha` of the way from A to B, 0 < alpha < 1.

        Returns:
            (picture, trust, weight): trust is 1 where both flows agree, weight is the still's
            share; both float32[h, w] on the flow's grid.
        """
        nearer_a = alpha <= 0.5
        to_a, to_b = self._motion.at(alpha)
        trust = np.minimum(warp(self._trust_a, to_a), warp(self._trust_b, to_b))
        if self.cut:
            # Nothing moves from one scene to another: the nearer picture as it is.
            nothing = np.zeros_like(trust)
            return (self._a if nearer_a else self._b), nothing, nothing
        if self._greys is not None:
            trust = trust * alike(warp(self._greys[0], to_a), warp(self._greys[1], to_b))
        share_a = trust * (1 - alpha) + (1 - trust) * (1.0 if nearer_a else 0.0)
        weight = np.zeros_like(trust)
        if self._weight_a is not None and self._weight_b is not None:
            weight = share_a * warp(self._weight_a, to_a)
            weight += (1 - share_a) * warp(self._weight_b, to_b)
        height, width = self._a.shape[:2]
        moved_a = warp(self._a, resize_flow(to_a, width, height))
        moved_b = warp(self._b, resize_flow(to_b, width, height))
        full = cv2.resize(share_a.astype(np.float32), (width, height))
        mixed = cv2.blendLinear(moved_a, moved_b, full, 1 - full)
        return np.asarray(mixed, np.uint8), trust, weight
