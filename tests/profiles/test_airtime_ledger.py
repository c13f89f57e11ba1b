"""The ledger on disk: a restart, a half-written line and a wrong clock never give air time back."""

from __future__ import annotations

from pathlib import Path

import pytest

from gvc_profiles import load
from gvc_profiles.airtime import airtime_s
from gvc_profiles.airtime_ledger import KeptLedger, make_ledger
from gvc_protocol.errors import UserError
from gvc_protocol.ledger import HOUR_NS

NOW = 1_800_000_000 * 10**9


def test_only_limited_profiles_have_one() -> None:
    assert make_ledger(load("sik-64")) is None
    limited = make_ledger(load("rn2483-eu868"))
    assert limited is not None and limited.limit.budget_ns == HOUR_NS // 10
    assert limited.airtime_ns(240) == round(airtime_s(load("rn2483-eu868"), 240) * 1e9)


def test_a_restart_does_not_forget(tmp_path: Path) -> None:
    profile = load("ebyte-e22-eu868")
    first = KeptLedger(profile, tmp_path, NOW)
    now, size, sent = NOW, 200, 0
    while first.ready_at(size, now) == now:
        first.spend(size, now)
        now += 200_000_000
        sent += 1
    first.close()
    assert sent * first.airtime_ns(size) <= HOUR_NS // 100
    file = next(tmp_path.glob("airtime-868.0-868.6-MHz.txt"))
    with file.open("a") as f:
        f.write("1800000000\nnonsense here\n17")  # what a power cut leaves
    second = KeptLedger(profile, tmp_path, now)
    # Coarser than the list it came from, never sooner.
    assert second.ready_at(size, now) >= first.ready_at(size, now) - 10**9 > now
    # Another radio in the same sub-band shares the hour.
    other = KeptLedger(load("ebyte-e32-eu868"), tmp_path, now)
    assert other.used_share(now) > 0.98
    later = KeptLedger(profile, tmp_path, now + HOUR_NS + 10**9)
    assert later.ready_at(size, now + HOUR_NS + 10**9) == now + HOUR_NS + 10**9
    assert file.stat().st_size == 0, "what no longer counts is dropped from the file"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot keep the airtime"):
        KeptLedger(load("ebyte-e22-eu868"), tmp_path / "file", NOW)
