"""How fast the sender follows the link, and what its reports cost: the table of `make bench-link`.

Rows by rate: the controller on the radio of `tests/protocol/simlink.py`. Rows by profile: sender,
receiver and both ends of the profile's back-channel through the half-duplex radio of a rehearsal
(`tests/protocol/simradio.py`), at its usable rate; what reports take of the air is not the edge's.
Seconds from the change until the rate stays within 15 % of what the link carries; each seed has the
change at another moment between two reports.

usage: python -m tests.bench.adapt [--out FOLDER] [--seeds N]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from gvc_profiles import load
from gvc_protocol.adapt import AdaptLimits
from gvc_protocol.messages import Report, pack_message
from gvc_protocol.params import SECOND
from gvc_protocol.reports import report_period_ns
from gvc_protocol.wire import OVERHEAD_BYTES, TAG_BYTES
from tests.protocol.simlink import Air, fly
from tests.protocol.simradio import fly_radio

BAND = 0.15
PROFILES = ("sik-64",)
RATES = (6_400, 12_800, 25_600, 64_000)
LOSSES = (0.0, 0.1, 0.2)
BEFORE_S, HALF_S, AFTER_S = 30, 60, 60
PHASE_S = 0.37


def report_bytes() -> int:
    """Air bytes of one report with a tag, without radio overhead."""
    fields = dict.fromkeys(
        ("boot_id", "seq", "heard_at", "received", "lost", "bursts", "repaired", "whole", "degraded"), 1
    )  # fmt: skip
    block_prefix = 4
    size = len(pack_message([Report(**fields, age=200)]))
    return size + block_prefix + OVERHEAD_BYTES + TAG_BYTES


def _halving(rate: float, halved: float, doubled: float) -> Callable[[float], float]:
    return lambda t: rate / 2 if halved <= t < doubled else rate


def row(rate: int, loss: float, seeds: int) -> dict[str, object]:
    """One link that halves and doubles again, over seeds."""
    period = report_period_ns(rate, report_bytes())
    limit = AdaptLimits(
        ceiling_bps=rate, floor_bps=rate / 25, fec_percent=40, unit_ns=2 * SECOND,
        packet_bytes=min(250, max(120, rate // 100)), report_ns=period,
    )  # fmt: skip
    down, up, turns, fec = [], [], [], []
    for seed in range(seeds):
        halved = BEFORE_S + seed * PHASE_S % 2
        doubled, end = halved + HALF_S, halved + HALF_S + AFTER_S
        air = Air(
            rate_bps=_halving(rate, halved, doubled),
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


def profile_row(name: str, loss: float, seeds: int) -> dict[str, object]:
    """The same of a whole link with this profile's radio and back-channel."""
    profile = load(name)
    rate, down, up, turns, fec = int(profile.rate.usable_bps), [], [], [], []
    period = report_period_ns(rate, report_bytes())
    # A report and two turns of the air, each period, are time in which the edge cannot talk.
    report_bits, turn_s = report_bytes() * 8e9 / period, 2e6 * profile.turnaround_ms / period
    for seed in range(1, seeds + 1):
        halved = BEFORE_S + seed * PHASE_S % 2
        doubled, end = halved + HALF_S, halved + HALF_S + AFTER_S
        run = fly_radio(
            profile, seconds=end, loss=loss, seed=seed,
            air_bps=_halving(rate, halved, doubled),
        )  # fmt: skip
        ideal = [air * (1 - turn_s) - report_bits for air in (rate / 2, rate)]
        down.append(run.settled_after(halved, ideal[0], BAND, doubled))
        up.append(run.settled_after(doubled, ideal[1], BAND, end))
        turns.append(run.turns(halved + 15, doubled))
        fec.append(run.setting(halved - 1).fec_percent)
    return {
        "rate_bps": name, "loss": loss, "report_s": round(period / SECOND, 2),
        "report_share": round(report_bits / rate, 4),
        "halved_median_s": round(median(down), 1), "halved_worst_s": round(max(down), 1),
        "doubled_median_s": round(median(up), 1), "doubled_worst_s": round(max(up), 1),
        "turns_45_s": max(turns), "fec_percent": median(fec),
    }  # fmt: skip


def adapt_rows(seeds: int) -> list[dict[str, object]]:
    """Rates and losses of a plain link, then whole profiles with both ends' back-channels."""
    rows = [row(rate, loss, seeds) for rate in RATES for loss in LOSSES]
    return rows + [profile_row(name, loss, seeds) for name in PROFILES for loss in LOSSES[:2]]


def adapt_table(rows: Sequence[dict[str, object]]) -> str:
    """Markdown: seconds until the rate stays within the band."""
    out = [
        "| link, bit/s | loss | report every s | reports' share | halved: median, worst s "
        "| doubled: median, worst s | FEC % |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        loss, share = float(str(r["loss"])), float(str(r["report_share"]))
        halved = f"{r['halved_median_s']}, {r['halved_worst_s']}"
        doubled = f"{r['doubled_median_s']}, {r['doubled_worst_s']}"
        out.append(
            f"| {r['rate_bps']} | {loss:.0%} | {r['report_s']} | {share:.1%} | {halved} | {doubled} "
            f"| {r['fec_percent']} |"
        )
    return "\n".join(out)


def main() -> None:
    """Print the table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = adapt_rows(options.seeds)
    path = options.out / "adapt.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(adapt_table(rows))
    print(f"written: {path}")


if __name__ == "__main__":
    main()
