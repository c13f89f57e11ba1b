"""Two bases, one post, and everything between them fails at random: `make bench-post-chaos`.

Links are cut, with and without a word; the server is killed; sender and receiver are ended and begun
anew. Seeded. At the end each copy must have every row of its archive, and no other.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import gvc_base.archive_schema
import gvc_base.post.receiver
import gvc_base.post.sender
from gvc_base.archive_seal import load_signer
from gvc_base.archive_verify import verify_archive
from gvc_base.post.forwarder import Forwarder
from gvc_base.post.server import parse_server
from tests.bench.machine import processor
from tests.post.growing import Growing, all_rows
from tests.post.nats import NatsServer, TcpLink, wait_until
from tests.post.running import copies, datagrams, is_like, receiving

_BASES = 2


class Chaos:
    """One seeded run."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._rng, self._out, self.lines = random.Random(seed), folder / "out", list[str]()
        self._server, self._up = NatsServer(folder / "server").start(), True
        self._links = [TcpLink(self._server.port) for _ in range(_BASES)]
        signer = load_signer(folder / "state")
        self.bases = [
            Growing(folder / f"base-{n}.db", 1000 * n + seed, signer, 0.05) for n in range(_BASES)
        ]
        self._senders = [self._sender(n) for n in range(_BASES)]
        self._stack = ExitStack()
        self._receive()
        self.done: Counter[str] = Counter()

    def _sender(self, number: int) -> Forwarder:
        path, link = self.bases[number].path, self._links[number]
        made = Forwarder(path, parse_server(link.url), path.stem, self.lines.append)
        made.start()
        return made

    def _receive(self) -> None:
        self._stack.close()
        self._stack = ExitStack()
        receiving(self._stack, self._server.url, self._out, self.lines.append)

    def run(self, seconds: float) -> None:
        """Break things for so long."""
        acts: dict[str, Callable[[int], None]] = {
            "link cut": lambda n: self._links[n].cut(),
            "link silent": lambda n: self._links[n].cut(silent=True),
            "link mended": lambda n: self._links[n].mend(),
            "server killed": lambda _: self._kill(),
            "server started": lambda _: self._start(),
            "receiver anew": lambda _: self._receive(),
            "sender anew": self._send_anew,
        }  # fmt: skip
        names = [*acts, "link mended", "server started"]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            name = self._rng.choice(names)
            self.done[name] += 1
            acts[name](self._rng.randrange(_BASES))
            time.sleep(self._rng.random() * 1.5)

    def _kill(self) -> None:
        self._server.kill()
        self._up = False

    def _start(self) -> None:
        if not self._up:
            self._server.start()
            self._up = True

    def _send_anew(self, number: int) -> None:
        self._senders[number].finish(0.3)
        self._senders[number] = self._sender(number)

    def settle(self) -> tuple[int, int]:
        """Mend all, end the bases; returns rows and bad copies."""
        self._start()
        for link in self._links:
            link.mend()
        rows = bad = 0
        for base, sender in zip(self.bases, self._senders, strict=True):
            name, last = base.path.stem, base.archive.last_id
            wait_until(lambda n=name: bool(copies(self._out, n)), "a copy", 120)
            copy = copies(self._out, name)[0]
            wait_until(lambda c=copy, n=last: datagrams(c) >= n, f"{self.lines[-5:]}", 120)
            base.close()
            sender.finish(60)
            wait_until(
                lambda b=base, n=name: is_like(b.path, self._out, n), f"{self.lines[-5:]}", 120
            )
            rows += sum(map(len, all_rows(base.path).values()))
            found = verify_archive(copy)
            bad += not (found.whole and found.closed and found.signed_to == found.rows)
        self._stack.close()
        self._server.kill()
        for link in self._links:
            link.close()
        return rows, bad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=45.0, help="of each")
    options = parser.parse_args()
    # What takes a field's time would leave no time to break things.
    gvc_base.archive_schema._SYNCHRONOUS = "OFF"
    gvc_base.post.sender._BACKOFF_S = gvc_base.post.receiver._BACKOFF_S = (0.1,)
    gvc_base.post.sender._LOOK_S, gvc_base.post.sender._ACK_S = 0.05, 1.0
    print(f"Machine: {processor()}; {date.today().isoformat()}")
    for seed in range(1, options.seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            chaos = Chaos(Path(folder), seed)
            chaos.run(options.seconds)
            rows, bad = chaos.settle()
        acts = ", ".join(f"{name} {count}" for name, count in sorted(chaos.done.items()))
        print(f"seed {seed}: {rows} rows, all in the copies and no other; bad copies {bad}; {acts}")


if __name__ == "__main__":
    main()
