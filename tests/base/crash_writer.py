"""Appends to an archive as fast as it can, until killed, and prints every acknowledged row id.

    python crash_writer.py ARCHIVE SEED

The content of a row follows from its id, so the reader of the archive can check every byte.
"""

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path
from typing import TextIO

from gvc_base.archive import Archive
from gvc_protocol.framing import Framing
from gvc_protocol.params import LinkParams

PARAMS = LinkParams(framing=Framing(mtu_bytes=250), rate_bps=64_000.0, fec_percent=25.0)


def content(row_id: int) -> bytes:
    """1..1400 bytes that no other row has."""
    seed = hashlib.sha256(str(row_id).encode()).digest()
    size = 1 + int.from_bytes(seed[:2], "big") % 1400
    return (seed * (size // len(seed) + 1))[:size]


def append_next(archive: Archive, session_id: int, count: int) -> int:
    """The next `count` rows in one append; returns the acknowledged id."""
    first = archive.last_id + 1
    rows = [(i * 1000, f"peer-{i % 3}", content(i)) for i in range(first, first + count)]
    return archive.append(session_id, rows)


def run(path: Path, seed: int, out: TextIO) -> None:
    """Append until killed; one acknowledged id a line to `out`."""
    rng = random.Random(seed)
    archive = Archive.create_or_open(path)
    session = archive.start_session(
        link_url="udp://0.0.0.0:1", profile_id="crash", params=PARAMS, now_ns=1
    )
    while True:
        print(append_next(archive, session, rng.randint(1, 40)), file=out, flush=True)
        archive.record_event(session, archive.last_id, "note", {"last_id": archive.last_id})


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), sys.stdout)
