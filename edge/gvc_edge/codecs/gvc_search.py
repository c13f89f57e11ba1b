"""Fills a unit's bytes with VVC: a quick probe says how large it will be, one good encode uses that.

    probe (preset faster) -> bytes of the first picture and of the rest, brought to the final preset
    -> QP and the first picture's offset that fill the budget -> final encode (medium, where time allows)

Medium took 10 to 15 % fewer bytes than fast at the same PSNR (two clips), at three times its time: one
final encode has to do. Against the probe it takes 0.9 to 1.25 times the bytes for the first picture and
0.6 to 0.9 times for the rest, by content; within a stream both hold within some 7 %, and are learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from gvc_edge.codecs import vvc
from gvc_edge.codecs.av1 import Picture

__all__ = ["FoundVvc", "VvcSearch"]

_PLANS = ((3_300_000, "medium"), (8_000_000, "fast"))
_LIVE_PLANS = ((500_000, "medium"), (1_450_000, "fast"))
_PLAN_ABOVE = "faster"
_PROBE = "faster"
"""Final preset by coded pixels a second. One core takes about 1.1, 0.36 and 0.19 s a million pixels for
medium, fast and faster. Live, each plan leaves time for the probe and, now and then, a second try. For
a file nobody waits: medium where fast would do live was worth 0.2 to 0.3 JOD on two clips."""

_SLOPES = (0.13, 0.13)
_LEAST_SLOPE, _MOST_SLOPE = 0.08, 0.2
"""Share of the bytes that one QP takes, of the first picture (intra) and of the rest: a start. It was
0.10 to 0.17 by content and QP, so two probes of one unit say it anew."""

_FIRST_OFFSET = vvc.INTRA_OFFSET
_OFFSETS = (-3, -2, -4, -1, -5)
"""QP of the first picture against the rest: VVenC's own -3, and what is near it for finer steps in
bytes. At equal bytes -1 and -5 were 0.1 dB below -3 on one clip, and as good on another."""

_RATIOS = (1.03, 0.78)
_LEARN = 0.6
_AIM, _AIM_AGAIN, _AIM_AGAIN_LIVE = 0.96, 0.985, 0.95
_LOW, _LOW_LIVE = 0.96, 0.80
"Share of the budget below which a stream is made again."
_FAR_QP = 3
_PROBES, _FINALS = 3, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundVvc:
    """A stream for the budget."""

    qp: float
    "QP at which the whole budget would have been taken; for the next unit's start."
    stream: vvc.Stream


@dataclass(frozen=True, slots=True)
class _Model:
    """Bytes at a QP: of the first picture, of the rest."""

    qp: int
    first: float
    rest: float
    slopes: tuple[float, float]

    def bytes(self, qp: int, offset: int) -> float:
        first, rest = self.parts(qp, offset)
        return first + rest

    def parts(self, qp: int, offset: int) -> tuple[float, float]:
        up = qp + offset - self.qp - _FIRST_OFFSET
        rest = self.rest * math.exp(-self.slopes[1] * (qp - self.qp))
        return self.first * math.exp(-self.slopes[0] * up), rest

    def choose(self, aim: float) -> tuple[int, int]:
        """QP and offset of the first picture: the largest stream of at most `aim` bytes."""
        best, most = (vvc.MAX_QP, _FIRST_OFFSET), 0.0
        for qp in range(vvc.MIN_QP, vvc.MAX_QP + 1):
            for offset in _OFFSETS:
                size = self.bytes(qp, offset)
                if most < size <= aim:
                    best, most = (qp, offset), size
        return best


@dataclass(slots=True)
class VvcSearch:
    """Search that starts from what the units before taught.

    Args:
        threads: of VVenC; they do not change its bytes.
        trim_share: by how much a stream may be over the budget, because the caller leaves out the last
            pictures of the highest layer.
    """

    threads: int = 1
    trim_share: float = 0.0
    live: bool = False
    "A camera does not wait: a quicker preset, so that 30 frames a second are kept up with."
    finals: int = 0
    "Final encodes so far; more than one a unit is time lost."
    _ratios: dict[str, tuple[float, float]] = field(default_factory=dict)
    _slopes: tuple[float, float] = _SLOPES

    def fill(
        self, planes: Sequence[Picture], *, budget: int, start_qp: float, fps: Fraction
    ) -> FoundVvc | None:
        """The best stream whose bodies fill `budget` bytes; None when none is small enough.

        Args:
            planes: as for `vvc.encode`.
            start_qp: a guess.

        Raises:
            VvcError: the child failed.
        """
        preset = _preset(planes[0].size * 2 / 3 * float(fps), _LIVE_PLANS if self.live else _PLANS)
        low, aim_again = (_LOW_LIVE, _AIM_AGAIN_LIVE) if self.live else (_LOW, _AIM_AGAIN)
        probe = self._probe(planes, start_qp, fps, budget, preset)
        expected = self._brought(probe, preset)
        best: FoundVvc | None = None
        aim, most = _AIM * budget, 0.0
        tried: set[tuple[int, int]] = set()
        for _ in range(_FINALS):
            qp, offset = expected.choose(aim)
            if (qp, offset) in tried:
                break
            tried.add((qp, offset))
            stream = vvc.encode(
                planes, qp=qp, fps=fps, preset=preset, threads=self.threads, intra_offset=offset
            )
            self.finals += 1
            got = self._measured(stream, qp, offset)
            self._learn(probe, got, preset)
            size = got.bytes(qp, offset)
            fits = size <= budget * (1 + self.trim_share)
            if fits and size > most:
                best = FoundVvc(qp=_even_qp(qp, offset, got, budget), stream=stream)
                most = size
            # A camera takes what fits; a file is worth another try where bytes are left over.
            if most >= low * budget:
                break
            expected, aim = got, aim_again * budget
        return best

    def expect(
        self, planes: Sequence[Picture], *, budget: int, start_qp: float, fps: Fraction
    ) -> float:
        """The QP that would fill `budget`, by probes alone; may lie outside what can be coded.

        Raises:
            VvcError: the child failed.
        """
        preset = _preset(planes[0].size * 2 / 3 * float(fps), _LIVE_PLANS if self.live else _PLANS)
        probe = self._brought(self._probe(planes, start_qp, fps, budget, preset), preset)
        return _even_qp(probe.qp, _FIRST_OFFSET, probe, budget)

    def _probe(
        self, planes: Sequence[Picture], start_qp: float, fps: Fraction, budget: int, preset: str
    ) -> _Model:
        qp = min(vvc.MAX_QP, max(vvc.MIN_QP, round(start_qp)))
        before: _Model | None = None
        for left in range(_PROBES - 1, -1, -1):
            stream = vvc.encode(planes, qp=qp, fps=fps, preset=_PROBE, threads=self.threads)
            model = self._measured(stream, qp, _FIRST_OFFSET)
            if before is not None:
                self._slopes = _between(before, model)
                model = replace(model, slopes=self._slopes)
            before = model
            wanted, _ = self._brought(model, preset).choose(_AIM * budget)
            if abs(wanted - qp) <= _FAR_QP or not left:
                break
            # The model is good for a few QP only.
            qp = wanted
        return model

    def _brought(self, probe: _Model, preset: str) -> _Model:
        if preset == _PROBE:
            return probe
        first, rest = self._ratios.get(preset, _RATIOS)
        return replace(probe, first=probe.first * first, rest=probe.rest * rest)

    def _measured(self, stream: vvc.Stream, qp: int, offset: int) -> _Model:
        first = len(stream.units[0].body)
        # One more, so that a unit of a single picture has a logarithm too.
        rest = 1 + sum(len(unit.body) for unit in stream.units[1:])
        # As if at the usual offset, so that all models mean the same.
        usual = first * math.exp(self._slopes[0] * (offset - _FIRST_OFFSET))
        return _Model(qp, usual, float(rest), self._slopes)

    def _learn(self, probe: _Model, got: _Model, preset: str) -> None:
        # Both brought to one QP before they are compared.
        first, rest = probe.parts(got.qp, _FIRST_OFFSET)
        first, rest = got.first / max(1.0, first), got.rest / max(1.0, rest)
        old = self._ratios.get(preset)
        share = _LEARN if old else 1.0
        old = old or _RATIOS
        mixed = [
            min(2.0, max(0.4, n * share + o * (1 - share)))
            for n, o in zip((first, rest), old, strict=True)
        ]
        self._ratios[preset] = (mixed[0], mixed[1])


def _preset(pixels_per_s: float, plans: tuple[tuple[int, str], ...]) -> str:
    return next((preset for most, preset in plans if pixels_per_s <= most), _PLAN_ABOVE)


def _between(a: _Model, b: _Model) -> tuple[float, float]:
    """The slopes that two probes of one unit show."""
    up = b.qp - a.qp
    shown = (math.log(a.first / b.first) / up, math.log(a.rest / b.rest) / up)
    first, rest = (min(_MOST_SLOPE, max(_LEAST_SLOPE, slope)) for slope in shown)
    return first, rest


def _even_qp(qp: int, offset: int, got: _Model, budget: int) -> float:
    return qp + math.log(max(1.0, got.bytes(qp, offset)) / budget) / 0.13
