"""Codec 1's tools for coded pictures: the same pictures in the same bytes, by VVC or by AV1.

pictures, bytes -> VVC at the QP that fills them, or AV1 at the CRF -> unit, and its error
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from gvc_edge.codecs import av1, vvc
from gvc_edge.codecs.av1 import Picture
from gvc_edge.codecs.gvc_search import VvcSearch
from gvc_edge.codecs.ladder import search_crf
from gvc_protocol.gvc1 import MAX_STEP, GvcUnit, Tool
from gvc_protocol.gvc1 import Picture as CodedPicture

__all__ = ["Coded", "Tools", "Wanted"]

_HEAD_BYTES, _SETS_BYTES = 14, 40
_START_CRF = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Pictures to be coded, and into what."""

    pictures: Sequence[Picture]
    "uint8[h, w, 3], BGR, all of one size, in display order."
    spacing: int
    "Source frames between two of them."
    last: int
    "Frame of the unit that the last one stands at."
    fps: Fraction
    "Source frames a second."
    payload: int
    "Bytes for all of it, the index and the parameter sets among them."

    @property
    def hz(self) -> Fraction:
        """Coded pictures a second."""
        return self.fps / self.spacing


@dataclass(slots=True)
class Coded:
    """A stream that fits, and how far its pictures are from what went in."""

    unit: GvcUnit
    size: int
    quantiser: float
    error: float
    pictures: list[Picture]
    "As the base decodes them, in display order."


class Tools:
    """Both tools, with what the units before taught.

    Args:
        live: keep up with a camera rather than get the most from each byte.
    """

    def __init__(self, *, live: bool) -> None:
        self._search = VvcSearch(threads=min(2, os.cpu_count() or 1), live=live)
        self._live = live
        self._index_bytes = 2.7
        self._vvc_failed = False
        self.crf = _START_CRF
        "Where AV1's search begins."
        self.fallbacks = 0
        "Units for which VVenC failed and AV1 stood in."

    def begin(self) -> None:
        """A new unit: VVC is tried again."""
        self._vvc_failed = False

    def expect(self, wanted: Wanted, start_qp: float) -> float:
        """The QP that would fill the bytes, by probes alone; may lie outside what can be coded.

        Raises:
            VvcError: the child failed.
        """
        planes = [av1.i420(p) for p in wanted.pictures]
        room = max(1, wanted.payload - _HEAD_BYTES - _SETS_BYTES - 3 * len(planes))
        return self._search.expect(planes, budget=room, start_qp=start_qp, fps=wanted.hz)

    def code(self, tool: Tool, wanted: Wanted, start_qp: float) -> Coded | None:
        """By one tool, AV1 where VVC's child dies; None where the pictures do not fit."""
        if tool == Tool.AV1 or self._vvc_failed:
            return self._by_av1(wanted)
        try:
            return self._by_vvc(wanted, start_qp)
        except vvc.VvcError:
            # One child that dies will die again: no more of it in this unit.
            self._vvc_failed = True
            self.fallbacks += 1
            return self._by_av1(wanted)

    def _by_vvc(self, wanted: Wanted, start_qp: float) -> Coded | None:
        planes = [av1.i420(p) for p in wanted.pictures]
        fixed = _HEAD_BYTES + _SETS_BYTES
        for _ in range(2):
            room = wanted.payload - fixed - math.ceil(self._index_bytes * len(planes))
            found = None
            if room > 0:
                found = self._search.fill(planes, budget=room, start_qp=start_qp, fps=wanted.hz)
            if found is None:
                return None
            stream = found.stream
            places, pictures = vvc.display_order(stream)
            layers, bodies = [u.layer for u in stream.units], [u.body for u in stream.units]
            unit = _unit(Tool.VVC, wanted, places, layers, bodies, stream.parameter_sets)
            size = sum(map(len, unit.pack()))
            # A byte to spare: the next unit's index may be a little larger.
            self._index_bytes = max(0, size - sum(map(len, bodies)) - fixed + 1) / len(planes)
            if size <= wanted.payload:
                return _checked(unit, wanted, found.qp, pictures)
        return None

    def _by_av1(self, wanted: Wanted) -> Coded | None:
        planes = [av1.i420(p) for p in wanted.pictures]
        budget = wanted.payload - _HEAD_BYTES - 2 * len(planes)
        height, width = wanted.pictures[0].shape[:2]
        preset = av1.preset_for(width * height * float(wanted.hz), live=self._live)

        def encode(crf: float) -> Sequence[bytes]:
            return av1.encode(planes, crf=crf, fps=wanted.hz, still=False, preset=preset)

        found = search_crf(encode, lambda units: sum(map(len, units)), budget, self.crf)
        if found is None:
            return None
        self.crf = found.crf
        n = len(found.units)
        layers = [min(i, 1) for i in range(n)]
        unit = _unit(Tool.AV1, wanted, list(range(n)), layers, found.units, b"")
        return _checked(unit, wanted, found.crf, av1.decode(found.units))


def _unit(
    tool: Tool, wanted: Wanted, places: list[int], layers: list[int], bodies: Sequence[bytes],
    sets: bytes,
) -> GvcUnit:  # fmt: skip
    pictures = tuple(
        CodedPicture(layer=layer, display=place, body=body)
        for layer, place, body in zip(layers, places, bodies, strict=True)
    )
    height, width = wanted.pictures[0].shape[:2]
    return GvcUnit(
        tool=tool, step=min(wanted.spacing, MAX_STEP), last=max(0, wanted.last), width=width,
        height=height, pictures=pictures, parameter_sets=sets,
    )  # fmt: skip


def _checked(
    unit: GvcUnit, wanted: Wanted, quantiser: float, pictures: list[Picture]
) -> Coded | None:
    """With its size and error; None when the index took it over the budget after all."""
    size = sum(map(len, unit.pack()))
    if size > wanted.payload or len(pictures) != len(wanted.pictures):
        return None
    errors = [
        float(np.mean(cv2.absdiff(a, b).astype(np.float32) ** 2))
        for a, b in zip(wanted.pictures, pictures, strict=True)
    ]
    return Coded(unit, size, quantiser, sum(errors) / len(errors), pictures)
