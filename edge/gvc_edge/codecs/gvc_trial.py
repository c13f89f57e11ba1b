"""Codec 1 tries other sizes and frame rates beside the ladder's step, and keeps what shows more.

    push: reduced copies for each rival form, grey copies of some frames
    close: each coded at the same bytes -> the base's plain picture at those frames, most of them
           between coded ones -> error, what is seen from afar counted more -> the least wins

The ladder goes by the quantiser, which does not know how well the frames between can be made: over
water or smoke smaller pictures of every frame show more than larger ones of every second, over ground
they do not. For a file only: a camera does not wait for four encodes.

Measured on the synthetic flood, 854x480, units of 1 s, 0.0024 bit/pixel: squared error, that of the
blurred pictures, and the JOD of ColorVideoVDP of what the base shows.
    1/2 10 Hz 89.1 13.3 4.93 | 1/3 30 Hz 95.5 13.0 4.92 | 1/2 30 Hz 91.5 13.5 4.85
    1/4 30 Hz 102.9 12.6 4.80 | 1/2 15 Hz 98.4 16.3 4.37 | 1/1.5 15 Hz 101.7 17.8 4.36
    1/3 15 Hz 107.4 17.6 4.38
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import cv2
import numpy as np

from gvc_edge.codecs import av1
from gvc_edge.codecs.av1 import Picture
from gvc_edge.codecs.gvc_ladder import apart, coded_size
from gvc_profiles.sight.evidence import Evidence, small_grey

__all__ = ["CLEARLY", "SMALLER", "Form", "Trial"]

CLEARLY, SMALLER = 0.96, 0.92
"""A rival's error must be below so much of the one in use, the second for smaller pictures: on the
forest, 4 s at 0.005 bit/pixel, half size at 30 Hz had less than 0.96 of the error of 1/1.5 at 15 Hz,
and JOD 7.73."""

_MOMENTS = 40
"Frames that are compared, at most."
_WIDEST_PX = 960
"Size that they are compared at."
_BLUR_SHARE, _COARSE_WEIGHT = 0.0035, 3.0
"""Deviation of the blur over the picture's width, and how much more its error counts: an eye sees coarse
errors first. From 2 to 5 it has the four forms above that look better before the three that do not;
above 4 it has half size at 30 Hz before 1/1.5 at 15 Hz on the forest, which looks better there."""
_AT_CODED = 2.0
"""What is shown at coded pictures counts so much more where sizes are compared: between them detail is
out of place, which an eye forgives sooner than none. Else half size at 25 Hz won on a highway, 2 s a
unit at 0.0024 bit/pixel, and had 7.19 JOD; 1/1.5 at 12.5 Hz had 7.40."""
_SCALES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
_MOST_HZ, _FEWER_HZ = 30.0, 10.0
_DENSER = 1.6
_MOST_HELD = 96_000_000
"Bytes of pictures that may be held for it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Size of the coded pictures and source frames between two of them."""

    width: int
    height: int
    spacing: int


@dataclass(slots=True)
class Trial:
    """One unit's trial.

    Args:
        source: (width, height) of the source, pixels.
        fps: source frames a second.
        frames: that the unit will have, or about so many.
    """

    source: tuple[int, int]
    fps: Fraction
    frames: int
    _sampled: dict[Form, list[Picture]] = field(default_factory=dict)
    _newest: dict[Form, Picture] = field(default_factory=dict)
    _true: dict[int, Picture] = field(default_factory=dict)
    _count: int = 0

    def enter(self, scale: float, spacing: int) -> None:
        """Rivals of a step: smaller pictures of ten frames a second, or of all; more of its own size.

        Args:
            scale: by which the step reduces the source.
            spacing: of its coded frames.
        """
        every = max(1, round(float(self.fps) / _MOST_HZ))
        fewer = apart(_FEWER_HZ, self.fps)
        own = min(range(len(_SCALES)), key=lambda i: abs(_SCALES[i] - scale))
        wanted = [(smaller, fewer) for smaller in _SCALES[own + 1 : own + 2]]
        if scale >= 2:
            wanted += [(scale, max(every, round(spacing / _DENSER))), (scale, every)]
        else:  # more of larger ones take too long
            wanted += [(smaller, every) for smaller in _SCALES[own + 1 : own + 2]]
        held = 0
        for rival, step in wanted:
            width, height = coded_size(*self.source, rival)
            held += width * height * 3 * (self.frames // step + 2)
            form = Form(width=width, height=height, spacing=step)
            if (rival, step) != (scale, spacing) and held <= _MOST_HELD:
                self._sampled.setdefault(form, [])

    def push(self, pixels: Picture, offset: int) -> None:
        """Look at a frame, uint8[h, w, 3]."""
        self._count = offset + 1
        for form, kept in self._sampled.items():
            sampled = offset % form.spacing == 0
            if sampled or offset + 1 >= self.frames:
                small = av1.reduce(pixels, form.width, form.height)
                self._newest[form] = small
                if sampled:
                    kept.append(small)
        if offset * _MOMENTS // self.frames != (offset + 1) * _MOMENTS // self.frames:
            self._true[offset] = small_grey(pixels, self._size)

    def forms(self) -> list[tuple[Form, list[Picture]]]:
        """Each rival with the pictures that it would code: the sampled ones and the unit's last."""
        found = []
        for form, kept in self._sampled.items():
            last = [self._newest[form]] if (self._count - 1) % form.spacing else []
            found.append((form, [*kept, *last]))
        return found

    def error(self, offsets: Sequence[int], pictures: Sequence[Picture]) -> tuple[float, float]:
        """Squared error, grey levels, coarse errors counted more, over the frames that are compared; and
        the same with those at coded pictures counted more.

        Args:
            offsets, pictures: as the base will have them, and where they stand in the unit.
        """
        shown = Evidence(offsets, pictures, size=self._size, source=self.source, fine=True)
        errors, coded = [], []
        for offset, true in self._true.items():
            plain = shown.at(offset)
            if plain is not None:
                errors.append(_seen(true, plain))
                if offset in offsets:
                    coded.append(errors[-1])
        if not errors:
            return float("inf"), float("inf")
        mean = float(np.mean(errors))
        return mean, (_AT_CODED * float(np.mean(coded or errors)) + mean) / (_AT_CODED + 1)

    @property
    def _size(self) -> tuple[int, int]:
        width, height = self.source
        if width <= _WIDEST_PX:
            return width, height
        return _WIDEST_PX, max(2, round(height * _WIDEST_PX / width))


def _seen(true: Picture, plain: Picture) -> float:
    error = true.astype(np.float32) - plain
    coarse = cv2.GaussianBlur(error, (0, 0), _BLUR_SHARE * true.shape[1])
    return float(np.mean(error**2) + _COARSE_WEIGHT * np.mean(coarse**2))
