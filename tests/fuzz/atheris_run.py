"""Coverage-guided fuzzing of one target, where atheris is installed (`pip install atheris`).

usage: python -m tests.fuzz.atheris_run TARGET [libFuzzer options, e.g. -runs=1000000 -max_len=4096]

The parsers are instrumented, and a custom mutator repairs the CRCs after each mutation: a fuzzer that
sees only the check's outside never gets behind it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Instrument, import, fuzz; never returns while inputs are left."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris, or use `make fuzz`")
    with atheris.instrument_imports(include=["gvc_protocol", "gvc_base"]):
        from tests.fuzz.targets import all_targets
    from tests.fuzz.mutate import Mutator, fix_crcs
    from tests.fuzz.seeds import load_corpus

    by_name = {target.name: target for target in all_targets()}
    if len(sys.argv) < 2 or sys.argv[1] not in by_name:
        sys.exit(f"usage: python -m tests.fuzz.atheris_run TARGET; one of {', '.join(by_name)}")
    target = by_name[sys.argv[1]]
    seeds = load_corpus()[target.kind]
    mutator = Mutator(1, seeds)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        changed = mutator.change(data) if seed % 2 else atheris.Mutate(data, max_size)
        return (fix_crcs(changed) if target.above_crc else changed)[:max_size]

    with tempfile.TemporaryDirectory() as corpus:
        for i, data in enumerate(seeds):
            Path(corpus, f"seed{i}").write_bytes(data)
        argv = [sys.argv[0], *sys.argv[2:], corpus]
        atheris.Setup(argv, target.run, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
