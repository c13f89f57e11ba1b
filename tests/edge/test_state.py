"""What survives a power cut at the edge: the boot counter and the spool."""

from __future__ import annotations

from pathlib import Path

import pytest

from gvc_edge.state import Spool, next_boot_id
from gvc_protocol.errors import UserError
from gvc_protocol.pcap import read_records


def test_boot_numbers_rise_and_wrap_past_0(tmp_path: Path) -> None:
    assert [next_boot_id(tmp_path) for _ in range(3)] == [1, 2, 3]
    (tmp_path / "boot-counter").write_text("65535\n")
    assert next_boot_id(tmp_path) == 1


def test_a_damaged_counter_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "boot-counter").write_text("what\n")
    with pytest.raises(UserError, match="boot number"):
        next_boot_id(tmp_path)
    assert (tmp_path / "boot-counter").read_text() == "what\n"


def test_the_spool_holds_what_was_sent(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 7, limit_bytes=1 << 20)
    sent = [(bytes([i]) * 20, i * 1_000_000_000) for i in range(5)]
    for data, at in sent:
        spool.write(data, at)
    spool.sync()
    with spool.path.open("rb") as file:  # before it is closed: a power cut comes unannounced
        got = [(r.data, r.time_ns) for r in read_records(file, name="spool")]
    assert got == sent
    spool.close()


def test_a_full_spool_ends_and_says_so_but_the_mission_does_not(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1, limit_bytes=200)
    for i in range(10):
        spool.write(bytes(50), i)
    assert "full" in spool.problem
    spool.close()


def test_old_boots_make_room(tmp_path: Path) -> None:
    for boot in range(4):
        spool = Spool(tmp_path, boot, limit_bytes=4000)
        for i in range(20):
            spool.write(bytes(60), i)
        spool.close()
    assert sum(p.stat().st_size for p in tmp_path.glob("*.pcap")) <= 4000
    assert spool.path.exists()
