"""The search for VVC's QP, on a VVenC that is only a formula: it fits, it fills, it learns."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gvc_edge.codecs import vvc
from gvc_edge.codecs.gvc_search import VvcSearch

PLANES = [np.zeros((96, 128), np.uint8)] * 20
PIXELS_PER_S = Fraction(10)


class FormulaVvenc:
    """Sizes fall with QP as measured; the final preset divides them otherwise than the probe does."""

    def __init__(self, first: float, rest: float, ratio: tuple[float, float]) -> None:
        self.first, self.rest, self.ratio = first, rest, ratio
        self.calls: list[str] = []

    def __call__(
        self, pictures: object, *, qp: int, fps: Fraction, preset: str, threads: int = 1,
        intra_offset: int = vvc.INTRA_OFFSET,
    ) -> vvc.Stream:  # fmt: skip
        self.calls.append(preset)
        a, b = (1.0, 1.0) if preset == "faster" else self.ratio
        first = self.first * a * math.exp(-0.17 * (qp + intra_offset - 27))
        rest = self.rest * b * math.exp(-0.105 * (qp - 30)) / 19
        # A picture has its headers, whatever the QP.
        sizes = [max(60, round(first)), *[max(12, round(rest))] * 19]
        units = tuple(vvc.AccessUnit(layer=min(i, 1), body=bytes(s)) for i, s in enumerate(sizes))
        return vvc.Stream(parameter_sets=bytes(260), units=units)


def size_of(stream: vvc.Stream) -> int:
    return sum(len(unit.body) for unit in stream.units)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.floats(200, 40_000), st.floats(200, 40_000), st.floats(0.85, 1.3), st.floats(0.55, 0.95),
    st.integers(120, 60_000), st.floats(0, 70),
)  # fmt: skip
def test_what_is_found_fits(
    monkeypatch: pytest.MonkeyPatch, first: float, rest: float, a: float, b: float, budget: int,
    start: float,
) -> None:  # fmt: skip
    fake = FormulaVvenc(first, rest, (a, b))
    monkeypatch.setattr(vvc, "encode", fake)
    found = VvcSearch().fill(PLANES, budget=budget, start_qp=start, fps=PIXELS_PER_S)
    assert len(fake.calls) <= 6
    if found is None:
        # Not one of three tries fitted: only where even the coarsest is about as large.
        coarsest = fake(PLANES, qp=vvc.MAX_QP, fps=Fraction(10), preset="medium")
        assert size_of(coarsest) > 0.5 * budget
    else:
        assert size_of(found.stream) <= budget


@pytest.mark.parametrize(("live", "least", "most"), [(True, 0.9, 1), (False, 0.94, 3)])
def test_it_learns_to_hit_with_one_good_encode(
    monkeypatch: pytest.MonkeyPatch, live: bool, least: float, most: int
) -> None:
    """A file is worth a second try; a camera is not."""
    rng = np.random.default_rng(1)
    search, qp, fills, finals = VvcSearch(live=live), 34.0, [], []
    for _ in range(12):
        content = float(rng.normal(1, 0.1))
        fake = FormulaVvenc(9000 * content, 6000 * content, (1.2, 0.62))
        monkeypatch.setattr(vvc, "encode", fake)
        found = search.fill(PLANES, budget=8000, start_qp=qp, fps=PIXELS_PER_S)
        assert found is not None
        qp = found.qp
        fills.append(size_of(found.stream) / 8000)
        finals.append(fake.calls.count("medium"))
    assert max(fills) <= 1 and min(fills[1:]) > 0.8 and np.mean(fills[1:]) > least
    assert max(finals[1:]) <= most


@pytest.mark.parametrize(("live", "rates"), [(True, (10, 100, 300)), (False, (10, 700, 2400))])
def test_many_pixels_a_second_take_a_quicker_preset(
    monkeypatch: pytest.MonkeyPatch, live: bool, rates: tuple[int, ...]
) -> None:
    fake = FormulaVvenc(9000, 6000, (1, 0.8))
    monkeypatch.setattr(vvc, "encode", fake)
    finals = []
    for fps in rates:
        fake.calls.clear()
        VvcSearch(live=live).fill(PLANES, budget=9000, start_qp=30, fps=Fraction(fps))
        finals.append(fake.calls[-1])
    assert finals == ["medium", "fast", "faster"]
