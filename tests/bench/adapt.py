"""How fast the sender follows the link, and what its reports cost: the table of `make bench-link`.

The controller on the simulated radio of `tests/protocol/simlink.py`; seconds from the change of the link
until the rate stays within 15 % of what the link carries. Reports are packed as the base packs them.

usage: python -m tests.bench.adapt [--out FOLDER] [--seeds N]
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from statistics import median

from gvc_protocol.adapt import AdaptLimits
from gvc_protocol.messages import Report, pack_message
from gvc_protocol.params import SECOND
from gvc_protocol.reports import report_period_ns
from gvc_protocol.wire import OVERHEAD_BYTES, TAG_BYTES
from tests.protocol.simlink import Air, fly

BAND = 0.15
RATES = (6_400, 12_800, 25_600, 64_000)
LOSSES = (0.0, 0.1, 0.2)
BEFORE_S, HALF_S, AFTER_S = 30, 60, 60


def report_bytes() -> int:
    """Air bytes of one report with a tag, without radio overhead."""
    fields = dict.fromkeys(
        ("boot_id", "seq", "heard_at", "received", "lost", "bursts", "repaired", "whole", "degraded"), 1
    )  # fmt: skip
    block_prefix = 4
    size = len(pack_message([Report(**fields, age=200)]))
    return size + block_prefix + OVERHEAD_BYTES + TAG_BYTES


def row(rate: int, loss: float, seeds: int) -> dict[str, object]:
    """One link that halves and doubles again, over seeds."""
    period = report_period_ns(rate, report_bytes())
    limit = AdaptLimits(
        ceiling_bps=rate, floor_bps=rate / 25, fec_percent=40, unit_ns=2 * SECOND,
        packet_bytes=min(250, max(120, rate // 100)), report_ns=period,
    )  # fmt: skip
    down, up, turns, fec = [], [], [], []
    halved, doubled, end = BEFORE_S, BEFORE_S + HALF_S, BEFORE_S + HALF_S + AFTER_S
    for seed in range(seeds):
        air = Air(
            rate_bps=lambda t: rate / 2 if halved <= t < doubled else rate,
            loss=lambda _t: loss, queue_bytes=max(4096, rate),
        )  # fmt: skip
        run = fly(air, seconds=end, limit=limit, seed=seed, packet_bytes=limit.packet_bytes)
        down.append(run.settled_after(halved, rate / 2, BAND, doubled))
        up.append(run.settled_after(doubled, rate, BAND, end))
        turns.append(run.turns(halved + 15, doubled))
        fec.append(run.setting(halved - 1).fec_percent)
    return {
        "rate_bps": rate, "loss": loss, "report_s": round(period / SECOND, 2),
        "report_share": round(report_bytes() * 8e9 / period / rate, 4),
        "halved_median_s": round(median(down), 1), "halved_worst_s": round(max(down), 1),
        "doubled_median_s": round(median(up), 1), "doubled_worst_s": round(max(up), 1),
        "turns_45_s": max(turns), "fec_percent": median(fec),
    }  # fmt: skip


def main() -> None:
    """Print the table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = [row(rate, loss, options.seeds) for rate in RATES for loss in LOSSES]
    path = options.out / "adapt.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(
        "bit/s   loss  report every, share  halved: median worst  doubled: median worst  turns  FEC"
    )
    for r in rows:
        print(
            f"{r['rate_bps']:6} {float(str(r['loss'])):5.0%} {r['report_s']:8} s"
            f" {float(str(r['report_share'])):7.1%}"
            f" {r['halved_median_s']:14} s {r['halved_worst_s']:5} s {r['doubled_median_s']:10} s"
            f" {r['doubled_worst_s']:5} s {r['turns_45_s']:5} {r['fec_percent']:5} %"
        )
    print(f"written: {path}")


if __name__ == "__main__":
    main()
