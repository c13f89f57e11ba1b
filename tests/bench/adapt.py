"""How fast the sender follows the link, and what its reports cost: the table of `make bench-link`.

Rows by rate: the controller on the radio of `tests/protocol/simlink.py`. Rows by profile: sender,
receiver and both ends of the profile's back-channel through the half-duplex radio of a rehearsal
(`tests/protocol/simradio.py`), at its usable rate, with its queue and with half and twice of it; what
reports and packet headers of the radio take of the air is not the edge's.

Settled: seconds from the change until the rate stays within 15 % of what the link carries, to the end of
the minute; each seed has the change at another moment between two reports. A swing: the rate turns back
after it moved by 15 % of what the link carries or more, from 15 s after the change on; a run with more
than one swing in those 45 s oscillates. The controller was tuned on seeds 0 to 7; the table has others.

usage: python -m tests.bench.adapt [--out FOLDER] [--seeds N] [--link RATE|PROFILE ...]
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from gvc_profiles import load
from gvc_profiles.params import link_params
from gvc_protocol.adapt import AdaptLimits
from gvc_protocol.messages import Report, pack_message
from gvc_protocol.params import SECOND
from gvc_protocol.reports import report_period_ns
from gvc_protocol.wire import OVERHEAD_BYTES, TAG_BYTES
from tests.protocol.simlink import Air, Run, fly
from tests.protocol.simradio import fly_radio

BAND, LIMIT_S = 0.15, 10.0
RATES = (6_400, 12_800, 25_600, 64_000)
LOSSES = (0.0, 0.05, 0.1, 0.2)
PROFILES = (
    ("sik-64", 1.0), ("sik-64", 0.5), ("sik-64", 2.0), ("xbee-900hp-200k", 1.0),
    ("ebyte-e22-us915", 1.0),
)  # fmt: skip
"With the share of the radio's queue."
FIRST_SEED = 100
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


@dataclass(frozen=True, slots=True)
class Flight:
    """What one seed of a row gave."""

    down_s: float
    up_s: float
    swings: int
    fec: float


def _judge(run: Run, halved: float, ideal: Sequence[float]) -> Flight:
    """`ideal`: bit/s that the halved and the whole link carry."""
    doubled, end = halved + HALF_S, halved + HALF_S + AFTER_S
    swings = [
        run.swings(at + 15, until, BAND * bps)
        for at, until, bps in zip((halved, doubled), (doubled, end), ideal, strict=True)
    ]
    return Flight(
        down_s=run.settled_after(halved, ideal[0], BAND, doubled),
        up_s=run.settled_after(doubled, ideal[1], BAND, end),
        swings=max(swings), fec=run.setting(halved - 1).fec_percent,
    )  # fmt: skip


def fly_rate(rate: int, loss: float, seed: int) -> Flight:
    """One plain link that halves and doubles again."""
    limit = AdaptLimits(
        ceiling_bps=rate, floor_bps=rate / 25, fec_percent=40, unit_ns=2 * SECOND,
        packet_bytes=min(250, max(120, rate // 100)),
        report_ns=report_period_ns(rate, report_bytes()),
    )  # fmt: skip
    halved = BEFORE_S + seed * PHASE_S % 2
    air = Air(
        rate_bps=_halving(rate, halved, halved + HALF_S),
        loss=lambda _t: loss, queue_bytes=max(4096, rate),
    )  # fmt: skip
    run = fly(
        air, seconds=halved + HALF_S + AFTER_S, limit=limit, seed=seed,
        packet_bytes=limit.packet_bytes,
    )  # fmt: skip
    return _judge(run, halved, (rate / 2, rate))


def fly_profile(name: str, queue: float, loss: float, seed: int) -> Flight:
    """The same of a whole link with this profile's radio and back-channel."""
    profile = load(name)
    profile = replace(profile, queue_bytes=int(queue * profile.queue_bytes))
    rate = int(profile.rate.usable_bps)
    period = report_period_ns(rate, report_bytes())
    # A report and two turns of the air, each period, are time in which the edge cannot talk.
    report_bits, turn_s = report_bytes() * 8e9 / period, 2e6 * profile.turnaround_ms / period
    if profile.backchannel == "windows":
        report_bits = turn_s = 0.0  # the edge's rate is that of the time in which it sends
    packet = link_params(profile, bps=None, fec="auto").framing.mtu_bytes
    ours = packet / (packet + profile.airtime.per_packet_overhead_bytes)
    halved = BEFORE_S + seed * PHASE_S % 2
    run = fly_radio(
        profile, seconds=halved + HALF_S + AFTER_S, loss=loss, seed=seed,
        air_bps=_halving(rate, halved, halved + HALF_S),
    )  # fmt: skip
    ideal = [(air * (1 - turn_s) - report_bits) * ours for air in (rate / 2, rate)]
    return _judge(run, halved, ideal)


def _row(link: str, rate: float, loss: float, flights: Sequence[Flight]) -> dict[str, object]:
    period, row = report_period_ns(rate, report_bytes()), dict[str, object]()
    row |= {"link": link, "loss": loss, "report_s": round(period / SECOND, 2)}
    row |= {"report_share": round(report_bytes() * 8e9 / period / rate, 4), "runs": len(flights)}
    for name, times in (
        ("halved", [f.down_s for f in flights]), ("doubled", [f.up_s for f in flights])
    ):  # fmt: skip
        row |= {
            f"{name}_median_s": round(median(times), 1),
            f"{name}_worst_s": round(max(times), 1),
        }
        row |= {f"{name}_in_10_s": sum(t <= LIMIT_S for t in times)}
    row |= {"most_swings": max(f.swings for f in flights)}
    return row | {
        "oscillate": sum(f.swings > 1 for f in flights),
        "fec_percent": median(f.fec for f in flights),
    }


def adapt_rows(seeds: int, links: Sequence[str] = ()) -> list[dict[str, object]]:
    """Rates and losses of a plain link, then whole profiles with both ends' back-channels; `links`: only
    those of these rates or profiles."""
    wanted = set(links) or {*map(str, RATES), *(name for name, _ in PROFILES)}
    numbers = range(FIRST_SEED, FIRST_SEED + seeds)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        plain = [
            (rate, loss, [pool.submit(fly_rate, rate, loss, seed) for seed in numbers])
            for rate in RATES for loss in LOSSES if str(rate) in wanted
        ]  # fmt: skip
        radios = [
            (name, queue, loss, [pool.submit(fly_profile, name, queue, loss, s) for s in numbers])
            for name, queue in PROFILES for loss in LOSSES if name in wanted
        ]  # fmt: skip
        rows = [_row(str(r), r, loss, [f.result() for f in all_]) for r, loss, all_ in plain]
        for name, queue, loss, flights in radios:
            link = name if queue == 1 else f"{name}, queue x {queue:g}"
            profile = load(name)
            row = _row(link, profile.rate.usable_bps, loss, [f.result() for f in flights])
            if profile.backchannel == "windows":
                row["report_s"] = "window"
            rows.append(row)
    return rows


def adapt_table(rows: Sequence[dict[str, object]]) -> str:
    """Markdown: seconds until the rate stays within the band."""
    out = [
        "| link, bit/s | loss | report every s | reports' share | halved: median, worst s | in 10 s "
        "| doubled: median, worst s | in 10 s | most swings | oscillate | FEC % |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        loss, share = float(str(r["loss"])), float(str(r["report_share"]))
        cells = [str(r["link"]), f"{loss:.0%}", str(r["report_s"]), f"{share:.1%}"]
        for name in ("halved", "doubled"):
            cells.append(f"{r[f'{name}_median_s']}, {r[f'{name}_worst_s']}")
            cells.append(f"{r[f'{name}_in_10_s']} of {r['runs']}")
        cells += [str(r["most_swings"]), f"{r['oscillate']} of {r['runs']}", str(r["fec_percent"])]
        out.append(f"| {' | '.join(cells)} |")
    return "\n".join(out)


def main() -> None:
    """Print the table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--seeds", type=int, default=12)
    known = [*map(str, RATES), *dict.fromkeys(name for name, _ in PROFILES)]
    parser.add_argument(
        "--link", nargs="*", choices=known, default=[], help="only these; default: all"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = adapt_rows(options.seeds, options.link)
    path = options.out / "adapt.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(adapt_table(rows))
    print(f"written: {path}")


if __name__ == "__main__":
    main()
