"""`make fuzz`: the plain seeded fuzzer. Needs nothing but the project; any failure is printed in hex.

usage: python -m tests.fuzz.run [--inputs N] [--seed S] [--only TARGET ...] [--json FILE]

Exit code 1 when a parser raised, broke its law, or memory grew.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.fuzz.mutate import Mutator
from tests.fuzz.seeds import load_corpus
from tests.fuzz.targets import Target, all_targets

__all__ = ["FuzzReport", "fuzz"]

_ROUND = 20_000
"Inputs between two looks at the memory."
_WARM = 0.10
"Share of the run after which memory must not grow: buffers and caches have filled by then."
_GROWTH_MIB = 8.0
_MOST_FAILURES = 20


@dataclass(slots=True)
class FuzzReport:
    """What a run did. Memory is the process's resident set."""

    inputs: int = 0
    bytes: int = 0
    by_target: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    rss_warm_mib: float = 0.0
    rss_end_mib: float = 0.0
    seconds: float = 0.0
    seed: int = 1

    @property
    def growth_mib(self) -> float:
        """Resident memory gained after the first tenth of the run."""
        return self.rss_end_mib - self.rss_warm_mib

    @property
    def passed(self) -> bool:
        """No exception and flat memory."""
        return not self.failures and self.growth_mib < _GROWTH_MIB

    def as_text(self) -> str:
        """A line for people."""
        return (
            f"{self.inputs:,} inputs, {self.bytes / 1e6:,.0f} MB, {len(self.failures)} exceptions, "
            f"memory {self.rss_warm_mib:.1f} -> {self.rss_end_mib:.1f} MiB, {self.seconds:.0f} s, "
            f"seed {self.seed}"
        )


def rss_mib() -> float:
    """Resident memory of this process in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096 / (1 << 20)


def fuzz(targets: Sequence[Target], inputs: int, seed: int, *, progress: bool) -> FuzzReport:
    """Feed `inputs` mutated seeds to the targets, each by its weight, in turns."""
    corpus, report, begun = load_corpus(), FuzzReport(seed=seed), time.monotonic()
    mutators = [Mutator(seed + i, corpus[t.kind]) for i, t in enumerate(targets)]
    total = sum(t.weight for t in targets)
    while report.inputs < inputs and len(report.failures) < _MOST_FAILURES:
        budget = min(_ROUND, inputs - report.inputs)
        for target, mutator in zip(targets, mutators, strict=True):
            _burst(target, mutator, max(1, round(budget * target.weight / total)), report)
        report.rss_end_mib = rss_mib()
        if report.rss_warm_mib == 0 or report.inputs < inputs * _WARM:
            report.rss_warm_mib = report.rss_end_mib
        report.seconds = time.monotonic() - begun
        if progress:
            print(report.as_text(), flush=True)
    return report


def _burst(target: Target, mutator: Mutator, count: int, report: FuzzReport) -> None:
    run, draw = target.run, mutator.draw
    for _ in range(count):
        data = draw()
        report.bytes += len(data)
        try:
            run(data)
        except Exception:  # whatever it is: no input may raise
            last = traceback.format_exc().strip().splitlines()
            report.failures.append(f"{target.name}: {data.hex()}: {last[-1]} ({last[-3].strip()})")
            if len(report.failures) >= _MOST_FAILURES:
                break
    report.inputs += count
    report.by_target[target.name] = report.by_target.get(target.name, 0) + count


def main() -> None:
    """Run, print, and exit with 1 when anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    targets = [t for t in all_targets() if not options.only or t.name in options.only]
    if not targets:
        parser.error(f"no such target; there are {', '.join(t.name for t in all_targets())}")
    report = fuzz(targets, options.inputs, options.seed, progress=True)
    for name, count in report.by_target.items():
        print(f"{name:22} {count:12,}")
    for line in report.failures:
        print(f"FAILED {line}")
    print(("passed: " if report.passed else "FAILED: ") + report.as_text())
    if options.json:
        options.json.write_text(json.dumps(asdict(report), indent=1) + "\n", "utf-8")
    sys.exit(0 if report.passed else 1)


if __name__ == "__main__":
    main()
