"""The budget of `make bench-link`: every byte on the air is in one of its columns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gvc_profiles.load import load
from gvc_profiles.params import link_params
from tests.bench.link_budget import GOAL, budget_row, budget_table, full_share


@pytest.mark.parametrize("name", ["sik-64", "sik-64-ecc1", "freedv-datac0", "freedv-datac1"])
def test_the_columns_are_all_of_the_air(name: str) -> None:
    row = budget_row(name)
    whole = row.payload + row.heads + row.headers + row.tags + row.framing + row.padding
    assert whole == pytest.approx(1.0, abs=1e-9)
    assert row.payload < row.full_packets < row.ceiling < 1
    if name == "freedv-datac1":
        # Bursts of one length: what is short costs a whole one.
        assert row.padding > 0.05 and row.framing == 0
    if name == "sik-64-ecc1":
        assert row.framing > 0.25 and row.ceiling < GOAL


def test_a_miss_is_the_headers_fault_or_the_packets() -> None:
    row = budget_row("sik-64")
    cells = [
        budget_table([replace(row, payload=payload, ceiling=ceiling)]).rsplit("|", 2)[1].strip()
        for payload, ceiling in ((0.86, 0.95), (0.84, 0.95), (0.7, 0.8))
    ]
    assert cells == ["yes", "no: header", "no: MTU"]


def test_full_packets_by_arithmetic() -> None:
    params = link_params(load("sik-64"), bps=None, fec="off", packets=True, tagged=True)
    assert full_share(params, 21) == pytest.approx((240 - 29) / 240)
    assert full_share(params, 4) == pytest.approx((240 - 12) / 240)
