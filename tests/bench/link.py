"""`make bench-link`: what a lossy link leaves of the units, and what the sender puts on the air.

Into link.md: every profile with prepared units, the codes' throughput, how fast the sender follows a
link that halves or doubles, every real modem that is installed at falling SNR. And link.csv: real
encoder, real captures, the `impair` channel, the base's own receiver; pictures are not decoded, only
units are counted. Every cell sums over seeds.

usage: python -m tests.bench.link [--out FOLDER] [--clip VIDEO ...] [--profile NAME] [--seeds N]
                                  [--modem-seeds N] [--modem NAME ...] [--adapt-seeds N]
                                  [--only profiles|budget|adapt|modems|clips ...]
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from gvc_base.channel import Channel, ChannelSpec
from gvc_base.mission import Mission
from gvc_base.recording import PCAP_PARAMS
from gvc_base.report import DecodeReport
from gvc_protocol.pcap import Record, read_records
from tests.bench import machine
from tests.bench.adapt import adapt_rows, adapt_table
from tests.bench.link_budget import budget_rows, budget_table
from tests.bench.link_fec import fec_table
from tests.bench.link_modems import modem_lines
from tests.bench.link_profiles import profile_rows, profile_table
from tests.peers.modem_cases import CASES

LOSSES = (0.0, 0.10, 0.20, 0.40)
BURSTS = (1, 3, 8)
_PARTS = ("profiles", "budget", "adapt", "modems", "clips")
WINDOW_NS = 10 * 10**9
SHARED_CLIP = Path(__file__).resolve().parents[3] / "shared/clips/highway_udacity_540p25.mp4"


def encode(clip: str, profile: str, out: Path) -> dict[str, object]:
    """Run the real edge command; its JSON report."""
    command = [sys.executable, "-m", "gvc_edge", "encode", clip, "--profile", profile]
    command += ["--out", str(out), "--start", "0", "--json"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    report: dict[str, object] = json.loads(result.stdout)
    return report


def peak_bps(records: list[Record]) -> float:
    """Largest bit rate over any 10 s of the capture."""
    best = total = start = 0
    for end, record in enumerate(records):
        total += len(record.data)
        while records[start].time_ns + WINDOW_NS <= record.time_ns:
            total -= len(records[start].data)
            start += 1
        best = max(best, total)
        assert start <= end
    return best * 8 / 10


def fly(records: list[Record], spec: ChannelSpec) -> DecodeReport:
    """Send a capture through the channel and count what the receiver makes of it."""
    mission, channel = Mission(PCAP_PARAMS), Channel(spec)
    report = DecodeReport()
    jobs = []
    for record in records:
        for data in channel.pass_datagram(record.data):
            jobs += mission.receive(data, record.time_ns)
    for data in channel.flush():
        jobs += mission.receive(data, records[-1].time_ns)
    jobs += mission.close(records[-1].time_ns, to_total=True)
    mission.fill_report(report)
    report.units_sent = len(jobs)
    report.units_lost = sum(job.empty for job in jobs)
    return report


def rows_for(clip: str, profile: str, folder: Path, seeds: int) -> Iterator[dict[str, object]]:
    """One row a loss and burst, summed over seeds."""
    capture = folder / f"{Path(clip.split('?')[0].replace(':', '-')).stem}-{profile}.pcap"
    sent = encode(clip, profile, capture)
    with capture.open("rb") as file:
        records = list(read_records(file, name=str(capture)))
    for loss in LOSSES:
        for burst in BURSTS if loss else (1,):
            flown = [
                fly(
                    records,
                    ChannelSpec(loss=loss, burst=burst, ber=0, slip=0, dup=0, reorder=0, seed=s),
                )
                for s in range(seeds if loss else 1)
            ]
            units = sum(r.units_sent for r in flown) or int(str(sent["units_sent"])) * len(flown)
            lost = units - sum(r.units_whole + r.units_degraded for r in flown)
            yield {
                "clip": clip, "profile": profile, "loss": loss, "burst": burst, "units": units,
                "whole": sum(r.units_whole for r in flown),
                "degraded": sum(r.units_degraded for r in flown), "lost": lost,
                "air_bps": round(float(str(sent["air_bps"]))), "peak_10s_bps": round(peak_bps(records)),
                "limit_bps": round(float(str(sent["rate_bps"]))),
                "payload_share": round(
                    float(str(sent["payload_bytes"])) / float(str(sent["air_bytes"])), 3
                ),
            }  # fmt: skip


def main() -> None:
    """Print the table and write it as CSV."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--clip", action="append", default=[])
    parser.add_argument("--profile", default="sik-64")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--modem-seeds", type=int, default=2)
    parser.add_argument("--modem", nargs="*", default=[], choices=[c.name for c in CASES])
    parser.add_argument("--adapt-seeds", type=int, default=12)
    parser.add_argument("--only", nargs="*", choices=_PARTS, default=_PARTS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if {"profiles", "budget", "adapt", "modems"} & set(options.only):
        _write_report(options.out / "link.md", options)
    if "clips" in options.only:
        _fly_clips(options)


def _write_report(path: Path, options: argparse.Namespace) -> None:
    """All but the clips, in Markdown; lines are printed and written as they come."""
    parts: Sequence[str] = options.only
    with path.open("w", encoding="utf-8") as file:

        def tell(text: str) -> None:
            print(text, flush=True)
            file.write(text + "\n")
            file.flush()

        tell(f"Machine: {machine.processor()}; {date.today().isoformat()}\n")
        if "profiles" in parts:
            tell(profile_table(profile_rows()) + "\n")
            tell(fec_table() + "\n")
        if "budget" in parts:
            tell(budget_table(budget_rows()) + "\n")
        if "adapt" in parts:
            tell(adapt_table(adapt_rows(options.adapt_seeds)) + "\n")
        if "modems" in parts:
            for line in modem_lines(options.modem_seeds, options.modem):
                tell(line)
    print(f"written: {path}")


def _fly_clips(options: argparse.Namespace) -> None:
    second = str(SHARED_CLIP) if SHARED_CLIP.exists() else "synthetic:flood?seed=2&seconds=20"
    clips = options.clip or ["synthetic:flood?seed=1&seconds=20", second]
    rows = [
        r for clip in clips for r in rows_for(clip, options.profile, options.out, options.seeds)
    ]
    path = options.out / "link.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f"{'clip':34} loss burst units  whole degraded  lost | on air  peak 10 s  limit bit/s")
    for r in rows:
        units = int(str(r["units"]))
        shares = [f"{100 * int(str(r[k])) / units:5.1f} %" for k in ("whole", "degraded", "lost")]
        print(
            f"{Path(str(r['clip'])).name[:34]:34} {float(str(r['loss'])):4.0%} {r['burst']:5} {units:5}"
            f" {' '.join(shares)} | {r['air_bps']:6} {r['peak_10s_bps']:10} {r['limit_bps']:6}"
        )
    print(f"written: {path}")


if __name__ == "__main__":
    main()
