"""The ledger on disk: a restart, a power cut, a torn line and a wrong clock never give air time back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gvc_profiles import load
from gvc_profiles.airtime import airtime_s
from gvc_profiles.airtime_ledger import KeptLedger, make_ledger
from gvc_protocol.errors import UserError
from gvc_protocol.ledger import HOUR_NS

NOW = 1_800_000_000 * 10**9
PROFILE = load("ebyte-e22-eu868")
FILE = "airtime-865-868-MHz.txt"
SENDER = """
import sys
from pathlib import Path
from gvc_profiles import load
from gvc_profiles.airtime_ledger import KeptLedger
kept = KeptLedger(load("ebyte-e22-eu868"), Path(sys.argv[1]), now := int(sys.argv[2]))
while True:
    now = kept.ready_at(200, now)
    kept.spend(200, now)
    sys.stdout.buffer.write(b"x")  # on the air
    sys.stdout.buffer.flush()
    now += 200_000_000
"""


def test_only_limited_profiles_have_one() -> None:
    assert make_ledger(load("sik-64")) is None
    limited = make_ledger(load("rn2483-eu868"))
    assert limited is not None and limited.limit.budget_ns == HOUR_NS // 10
    assert limited.airtime_ns(240) == round(airtime_s(load("rn2483-eu868"), 240) * 1e9)


def test_a_restart_does_not_forget(tmp_path: Path) -> None:
    first = KeptLedger(PROFILE, tmp_path, NOW)
    now, size, sent = NOW, 200, 0
    while first.ready_at(size, now) == now:
        first.spend(size, now)
        now += 200_000_000
        sent += 1
    first.close()
    assert sent * first.airtime_ns(size) <= HOUR_NS // 100
    with (tmp_path / FILE).open("a") as f:
        f.write("18000000000000")  # what a power cut leaves of a line
    second = KeptLedger(PROFILE, tmp_path, now)
    # Coarser than the list it came from, never sooner; a proper end costs nothing.
    assert second.ready_at(size, now) >= first.ready_at(size, now) - 10**9 > now
    assert second.used_share(now) == pytest.approx(first.used_share(now))
    second.close()
    # Another radio in the same sub-band shares the hour.
    other = KeptLedger(load("ebyte-e32-eu868"), tmp_path, now)
    assert other.used_share(now) > 0.98
    other.close()
    later = KeptLedger(PROFILE, tmp_path, now + HOUR_NS + 10**9)
    assert later.ready_at(size, now + HOUR_NS + 10**9) == now + HOUR_NS + 10**9
    assert (tmp_path / FILE).stat().st_size == 0, "what no longer counts is dropped from the file"


@pytest.mark.parametrize("packets", [1, 7, 40])
def test_kill_minus_nine_counts_too_much_never_too_little(packets: int, tmp_path: Path) -> None:
    program = [sys.executable, "-c", SENDER, str(tmp_path), str(NOW)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, bufsize=0) as sender:
        assert sender.stdout is not None
        sent = 0
        while sent < packets and (said := sender.stdout.read(packets - sent)):
            sent += len(said)
        os.kill(sender.pid, signal.SIGKILL)
        sent += len(sender.stdout.read())
    assert sent >= packets
    one, budget = round(airtime_s(PROFILE, 200) * 1e9), HOUR_NS // 100
    after = KeptLedger(PROFILE, tmp_path, NOW + sent * 200_000_000)
    counted = after.used_share(NOW + sent * 200_000_000) * budget
    # One packet may have been killed between its reservation and the air.
    assert sent * one <= counted + 1 and counted <= (sent + 1) * one + budget / 100
    # An hour from the crash and the reservation's minute it is forgotten again.
    assert after.used_share(NOW + sent * 200_000_000 + HOUR_NS + 61 * 10**9) == 0


def test_every_cut_of_the_file_counts_what_had_been_sent(tmp_path: Path) -> None:
    """Whatever prefix reached the disk: what was sent by the time of its last whole line counts."""
    kept, states = KeptLedger(PROFILE, tmp_path, NOW), []
    file = tmp_path / FILE
    for i in range(30):
        kept.spend(200, NOW + i * 10**9)
        states.append((file.stat().st_size, (i + 1) * kept.airtime_ns(200)))
    text = file.read_bytes()
    kept.close()
    for size, sent in states:
        for torn in range(size, min(size + 12, len(text) + 1)):
            if torn > size and any(s == torn for s, _ in states):
                break
            file.write_bytes(text[:torn])
            again = KeptLedger(PROFILE, tmp_path, NOW + 30 * 10**9)
            assert again.used_share(NOW + 30 * 10**9) * (HOUR_NS // 100) >= sent - 1
            again.close()


def test_the_disk_is_asked_seldom(tmp_path: Path) -> None:
    kept = KeptLedger(load("rn2483-eu868"), tmp_path, NOW)
    for i in range(100):
        kept.spend(240, NOW + i * 400_000_000)
    lines = next(tmp_path.glob("airtime-*.txt")).read_text().count("\n")
    assert lines <= 15, "3.6 s of air time a line"


def test_a_damaged_file_counts_as_used_up(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("1800000000\nnonsense here\n")
    said: list[str] = []
    kept = KeptLedger(PROFILE, tmp_path, NOW, said.append)
    assert kept.ready_at(200, NOW) > NOW and "damaged" in said[0]
    kept.close()
    again = KeptLedger(PROFILE, tmp_path, NOW, said.append)
    assert again.ready_at(200, NOW) > NOW and len(said) == 1, "told once, kept as used up"


def test_a_full_disk_is_told_and_the_run_counts_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    kept = KeptLedger(PROFILE, tmp_path, NOW, said.append)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for i in range(20):
        kept.spend(200, NOW + i * 10**9)
    assert len(said) == 1 and "No space left" in said[0] and "wait an hour" in said[0]
    assert kept.used_share(NOW + 20 * 10**9) * (HOUR_NS // 100) == pytest.approx(
        20 * kept.airtime_ns(200)
    )


def test_two_programs_do_not_count_in_one_file(tmp_path: Path) -> None:
    first = KeptLedger(PROFILE, tmp_path, NOW)
    with pytest.raises(UserError, match="--state"):
        KeptLedger(load("ebyte-e32-eu868"), tmp_path, NOW)
    first.close()
    KeptLedger(load("ebyte-e32-eu868"), tmp_path, NOW).close()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot keep the airtime"):
        KeptLedger(PROFILE, tmp_path / "file", NOW)
