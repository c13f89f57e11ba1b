"""At which SNR video, stills and descriptors stop, through each real modem that is installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.peers.modem_cases import CASES

__all__ = ["modem_lines"]


def modem_lines(seeds: int, names: Sequence[str] = ()) -> Iterator[str]:
    """Markdown table, line by line as the modems run; `names`: only these."""
    yield "| modem | SNR dB | video | stills | descriptors | packets | wrong data believed |"
    yield "|---|---|---|---|---|---|---|"
    for case in CASES:
        if names and case.name not in names:
            continue
        if why := case.missing():
            yield f"| {case.name} | not run: {why} | | | | | |"
            continue
        for snr in case.snrs:
            flown = [case.fly(snr, seed) for seed in range(1, seeds + 1)]
            units = sum(f.units for f in flown)
            share = [
                sum(getattr(f, name) for f in flown) / units
                for name in ("video", "stills", "described")
            ]
            came = "" if case.params().framing.stream else (
                f"{sum(f.packets_arrived for f in flown)}/{sum(f.packets_sent for f in flown)}"
            )  # fmt: skip
            yield (
                f"| {case.name} | {snr} | {share[0]:.0%} | {share[1]:.0%} | {share[2]:.0%} | {came} "
                f"| {sum(f.wrong for f in flown)} |"
            )
