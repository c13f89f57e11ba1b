"""Codec 1 at one coded moment: what the network makes of the evidence, and the texture it asks for.

F enlarged, the next coded picture and the memory moved here, planes -> picture, expected error,
texture amplitudes -> (objects kept free, by the caller) -> noise that moves with the scene
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.gvc_fuse import HALF, Carried, Moment, Pair, cell_shape
from gvc_base.decoders.motion import F32, resize_flow, warp
from gvc_base.marks.sources import NOWHERE
from gvc_base.neural.layout import PLANES, Plane, age_value, cost_value, scale_value
from gvc_base.neural.runtime import Refiner, Restorer
from gvc_base.neural.texture import MovingNoise, lay_over, noise_bands, white_noise

__all__ = ["KEPT", "Evidence", "Restoration", "laid_on"]

U8 = NDArray[np.uint8]

KEPT = 0.8
"""Share of 'received' that a coded moment hands on: the pixel was mixed with newer evidence. The network
was trained with this number."""

_SOME = 0.1

_STRONG, _WEAK, _BETWEEN = (2.25, 2.25, 2.25), (0.5, 3.0, 2.25), 0.004
"""Times the amplitudes that the network asks for, an octave, finest first: where it asks for strong
texture, where for weak, and the amplitude between the two (root of the sum of squares, share of full
scale). It was trained to be careful, but weak fine texture is its doubt. None, twice, and this
gave at 0.0024 bpp, feature distance; for the last two JOD on half a second from the middle
    road    .0609 .0639 .0608, JOD 7.75 7.75
    forest        .1257 .1230,     5.63 5.62
    flood         .1316 .1307,     4.80 4.80
    site    .0365 .0339 .0326 (five stills of another coding)"""

_RESTORED = 0.5
"""Share of the network's picture in what is shown, the rest is evidence as it is. What it is sure of it
overdoes, and what it is not sure of it flattens; 0, 0.5 and 1 gave
    forest 0.0024 bpp  feature distance .108 .108 .112, JOD 6.35 6.39 6.36
    road   0.0024 bpp                        .068 .070,          7.21 7.21"""

_STEPS = 3
_SHARE = 0.6
"Steps of the refiner, and how much of what it makes up is shown: all of it costs fidelity."


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of one coded moment; pictures uint8[h, w, 3] on the canvas."""

    current: U8
    ahead: Callable[[], U8] | None
    "Gives the next coded picture, moved here."
    ahead_trust: F32 | None
    "On the flow's grid."
    past: Carried | None
    mono: bool
    "The source has no colour (a thermal camera): none may appear."
    factor: float
    "How many times F is smaller than the source, a side."
    bits_per_coded_pixel: float
    origin: float = NOWHERE
    "Number of the bytes that `current` was decoded from (`gvc_base.marks.sources`)."
    look: bool = True
    "Ask the network; else what it said of the last moment is moved here."
    pair: Pair | None = None
    "Motion to this moment."
    before: int | None = None
    "Frame that `pair` starts at."


@dataclass(frozen=True, slots=True)
class _Said:
    """What the network said of one moment."""

    frame: int
    added: F32
    "float32[h, w, 3]: its picture less the evidence, levels."
    spread: F32
    texture: F32

    def moved(self, pair: Pair, frame: int) -> _Said:
        """The same at a later moment; nothing is added where motion does not close."""
        flow = pair.motion.b_to_a
        h, w = self.added.shape[:2]
        added = np.asarray(warp(self.added, resize_flow(flow, w, h)), np.float32)
        sure = cv2.merge([cv2.resize(pair.trust_b, (w, h))] * 3)
        added = np.asarray(cv2.multiply(added, sure), np.float32)
        rows, columns = self.spread.shape
        small = resize_flow(flow, columns, rows)
        texture = [warp(octave, small) for octave in self.texture]
        return _Said(
            frame,
            added,
            np.asarray(warp(self.spread, small), np.float32),
            np.asarray(np.stack(texture), np.float32),
        )


class Restoration:
    """The part of the decoder that uses the networks, or does without.

    Args:
        restorer: EvidenceNet; None: F as it is, with what is left of received pixels mixed in.
        refiner: RefineNet, which then paints in place of band noise.
        looks: how often the network looks at each moment; more than once, mirrored, and averaged.
        noise: paint the texture that the network asks for.
    """

    def __init__(
        self, restorer: Restorer | None, refiner: Refiner | None, *, looks: int, noise: bool
    ) -> None:
        self._restorer, self._refiner = restorer, refiner
        self._looks, self._noise = looks, noise
        self._field: MovingNoise | None = None
        self._said: _Said | None = None
        "At the last moment."

    def restore(self, evidence: Evidence, frame: int, grey: U8) -> Moment:
        """The moment without texture.

        Args:
            frame: source frame number; `grey`: what motion is found on.
        """
        current, past = evidence.current, evidence.past
        shape = cell_shape(*current.shape[:2])
        received, age_s = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        if past is not None:
            received = past.received * np.float32(KEPT)
            # What came of this very moment is in every cell: elsewhere nothing is old.
            age_s = past.age_s * (past.received > _SOME)
        moment = Moment(
            frame=frame, picture=current, shown=current, grey=grey, received=received, age_s=age_s,
            made_up=np.zeros(shape, np.float32), free=np.ones(shape, np.float32),
            sure=np.zeros(shape, np.float32), origin=np.full(shape, evidence.origin, np.float32),
        )  # fmt: skip
        if past is not None:
            old = received > HALF
            moment.origin[old] = past.origin[old]
        plain = current
        if past is not None and received.max(initial=0) > 0:
            plain = _mixed(past.picture(), current, received)
        moment.picture = moment.shown = plain
        if self._restorer is None:
            return moment
        planes = _planes(evidence, shape)
        said = self._said = self._asked(evidence, planes, plain, frame)
        mixed = cv2.add(plain, np.float32(_RESTORED) * said.added, dtype=cv2.CV_8U)
        picture = np.asarray(mixed, np.uint8)
        spread, moment.texture = said.spread, said.texture
        moment.context = np.concatenate([planes, spread[None]])
        if evidence.mono:
            picture, moment.mono = _without_colour(picture), True
        moment.picture = moment.shown = picture
        moment.sure = np.exp(0.5 * spread - 3).astype(np.float32)
        return moment

    def _asked(self, evidence: Evidence, planes: F32, plain: U8, frame: int) -> _Said:
        """What the network says of this moment, or said of the last one, moved here."""
        last, pair = self._said, evidence.pair
        if last is not None and pair is not None and not evidence.look:
            # A memory that the motion path moved since then stands elsewhere.
            stands = last.frame == evidence.before
            if stands and last.added.shape == plain.shape:
                return last.moved(pair, frame)
        picture, spread, texture = self._look(evidence, planes)
        return _Said(frame, np.subtract(picture, plain, dtype=np.float32), spread, texture)

    def _look(self, evidence: Evidence, planes: F32) -> tuple[U8, F32, F32]:
        assert self._restorer is not None
        current, past = evidence.current, evidence.past
        ahead = current if evidence.ahead is None else evidence.ahead()
        memory = current if past is None else past.picture()
        picture, spread, texture = self._restorer.restore(current, ahead, memory, planes)
        if self._looks < 2:
            return picture, spread, texture
        # Upside down, not left to right: the height of usual sources is a whole number of cells, so
        # that padding does not shift the planes against the picture.
        c, a, m = (np.ascontiguousarray(p[::-1]) for p in (current, ahead, memory))
        again, more, other = self._restorer.restore(c, a, m, np.ascontiguousarray(planes[:, ::-1]))
        both = cv2.addWeighted(picture, 0.5, np.ascontiguousarray(again[::-1]), 0.5, 0)
        return (
            np.asarray(both, np.uint8),
            np.asarray((spread + more[::-1]) / 2, np.float32),
            np.asarray((texture + other[:, ::-1]) / 2, np.float32),
        )

    def paint(self, moment: Moment, past: Carried | None, pair: Pair | None) -> None:
        """Add what is made up: `shown` and `made_up` of the moment change.

        Args:
            past: the last moment, moved here.
            pair: motion from the moment that was painted last.
        """
        if moment.texture is None or not self._noise:
            return
        field = self._moved_field(moment, pair)
        if self._refiner is not None:
            self._refine(self._refiner, moment, past, field)
            return
        amplitudes = laid_on(moment.texture) * moment.free
        moment.shown = lay_over(moment.picture, field.planes, amplitudes)
        moment.made_up = np.sqrt(np.sum(amplitudes**2, 0)).astype(np.float32)

    def _moved_field(self, moment: Moment, pair: Pair | None) -> MovingNoise:
        h, w = moment.picture.shape[:2]
        if self._field is None or self._field.shape != (h, w):
            make = noise_bands if self._refiner is None else white_noise
            # Seeded by the place in the stream: a second decode of the same bytes is the same.
            self._field = MovingNoise(make, h, w, moment.frame)
        elif pair is not None:
            sized = np.asarray(cv2.resize(pair.trust_b, (w, h)), np.float32)
            self._field.move(resize_flow(pair.motion.b_to_a, w, h), sized)
        return self._field

    def _refine(
        self, refiner: Refiner, moment: Moment, past: Carried | None, field: MovingNoise
    ) -> None:
        assert moment.context is not None
        memory = moment.picture if past is None else past.picture()
        h, w = moment.picture.shape[:2]
        added = refiner.refine(moment.picture, memory, moment.context, field.planes, _STEPS)
        if moment.mono:
            added = np.repeat(added.mean(2, keepdims=True), 3, 2)
        added *= np.float32(_SHARE) * cv2.resize(moment.free, (w, h))[..., None]
        sharp = moment.picture.astype(np.float32) + added
        moment.shown = np.clip(np.rint(sharp), 0, 255).astype(np.uint8)
        power = cv2.blur(np.square(added).mean(2), (9, 9))
        cells = cv2.resize(power, moment.free.shape[::-1], interpolation=cv2.INTER_AREA)
        moment.made_up = np.asarray(np.sqrt(cells) / np.float32(255), np.float32)


def laid_on(asked: F32) -> F32:
    """Amplitudes of the texture that is shown, from those that the network asks for."""
    power = np.square(np.sum(np.square(asked), 0) / np.float32(_BETWEEN**2))
    strong = power / (1 + power)
    high, low = (np.asarray(gain, np.float32)[:, None, None] for gain in (_STRONG, _WEAK))
    return np.asarray(asked * (high * strong + low * (1 - strong)), np.float32)


def _without_colour(picture: U8) -> U8:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def _mixed(past: U8, current: U8, share: F32) -> U8:
    """Received pixels moved here fade into F: without a network nothing else joins the two."""
    h, w = current.shape[:2]
    weight = np.asarray(cv2.resize(share, (w, h)), np.float32)
    return np.asarray(cv2.blendLinear(past, current, weight, 1 - weight), np.uint8)


def _planes(evidence: Evidence, shape: tuple[int, int]) -> F32:
    rows, columns = shape
    past = evidence.past
    planes = np.zeros((PLANES, rows, columns), np.float32)
    if evidence.ahead_trust is not None:
        planes[Plane.AHEAD_TRUST] = cv2.resize(evidence.ahead_trust, (columns, rows))
    if past is not None:
        planes[Plane.MEMORY_TRUST] = cv2.resize(past.trust, (columns, rows))
        planes[Plane.RECEIVED] = past.received
        planes[Plane.AGE] = age_value(past.age_s * (past.received > _SOME))
    planes[Plane.SCALE] = scale_value(evidence.factor)
    planes[Plane.COST] = cost_value(evidence.bits_per_coded_pixel)
    return planes
