"""The link's statistics as a table."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.export.conftest import Program


def test_each_sample_is_a_row_with_its_units_named(
    mission: Path, placeless: Path, tmp_path: Path, program: Program
) -> None:
    out = tmp_path / "link.csv"
    assert program("export", mission, "--format", "csv", "--out", out)[0] == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with closing(sqlite3.connect(mission)) as db:
        kept = db.execute("SELECT time_ns, bit_s, loss FROM link_samples").fetchall()
    told = [
        (int(r["time_unix_ns"]), float(r["bit_per_s"]),
         float(r["datagrams_lost_before_repair_share"]))
        for r in rows
    ]  # fmt: skip
    assert told == kept and len(kept) == 5
    assert rows[0]["rssi_dbm"] == "-90" and rows[0]["noise_dbm"] == ""
    assert {r["from"] for r in rows} == {"base"}

    # A record of which nothing was derived: counted from its datagrams.
    assert program("export", placeless, "--format", "csv", "--out", out)[0] == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with closing(sqlite3.connect(placeless)) as db:
        size, count = db.execute("SELECT sum(length(data)), count(*) FROM datagrams").fetchone()
    assert sum(float(r["bit_per_s"]) for r in rows) == 8 * size
    assert sum(int(r["datagrams"]) for r in rows) == count
    assert {r["from"] for r in rows} == {"datagrams"} and None not in rows[0]
