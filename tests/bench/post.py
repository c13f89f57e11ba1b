"""Two live bases, one command post, a link that is gone for a minute: `make bench-post`.

    datagrams of a flight -> gvc-base run --post -> TCP link that is cut -> nats-server -> post receive

Both bases run on while the link is cut, as when a dish loses its satellite: nothing answers, and nobody
is told. Then the two archives and the two copies are compared, row by row, and the copies verified.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

from gvc_base.archive_verify import verify_archive
from gvc_protocol.pcap import Record, read_records
from tests.bench.machine import processor
from tests.post.growing import all_rows
from tests.post.nats import NatsServer, TcpLink, wait_until
from tests.post.running import copies, datagrams, is_like

BASES = 2
_SCENE = "synthetic:flood?seed=5&seconds=24&size=320x192&fps=5"
_LISTENING = "listening on udp port"


class Base:
    """`gvc-base run` with a radio that hears a recorded flight."""

    def __init__(
        self, stack: ExitStack, folder: Path, number: int, url: str, flight: list[Record]
    ) -> None:  # fmt: skip
        self.name, self.archive = f"base-{number}", folder / f"base-{number}.db"
        self._log = folder / f"{self.name}.log"
        command = [
            sys.executable, "-m", "gvc_base", "run", "--link", "udp://127.0.0.1:0", "-p", "udp",
            "--archive", str(self.archive), "--no-console", "--state", str(folder / f"{number}"),
            "--post", url, "--post-name", self.name,
        ]  # fmt: skip
        with self._log.open("w") as out:
            self.process = subprocess.Popen(command, stderr=out, stdout=out)
        stack.callback(self.process.kill)
        wait_until(lambda: _LISTENING in self._log.read_text(), "the base listens", 120)
        port = int(self._log.read_text().split(f"{_LISTENING} ")[1].split(",")[0])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fly, args=(flight, port), daemon=True)
        self._thread.start()

    def _fly(self, flight: list[Record], port: int) -> None:
        """The recorded datagrams in their time, over and over."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as radio:
            while not self._stop.is_set():
                begun = time.monotonic()
                for record in flight:
                    late = time.monotonic() - begun
                    self._stop.wait(max(0.0, (record.time_ns - flight[0].time_ns) / 1e9 - late))
                    radio.sendto(record.data, ("127.0.0.1", port))

    def land(self) -> None:
        self._stop.set()
        self._thread.join()

    def end(self) -> float:
        """End the base; returns the seconds that it took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)
        return time.monotonic() - begun

    def lines(self) -> list[str]:
        return [line for line in self._log.read_text().splitlines() if "command post" in line]


def record_flight(folder: Path) -> list[Record]:
    """Datagrams of the synthetic flood, as an edge sends them to a radio of 25.6 kbit/s."""
    path = folder / "flight.pcap"
    subprocess.run(
        [sys.executable, "-m", "gvc_edge", "encode", _SCENE, "--profile", "udp", "--bps", "25600",
         "--codec", "classical", "--objects", "none", "--out", str(path)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    with path.open("rb") as file:
        return list(read_records(file, name=str(path)))


def _caught_up(bases: list[Base], out: Path) -> bool:
    return all(datagrams(copies(out, b.name)[0]) >= datagrams(b.archive) for b in bases)


def _compare(base: Base, out: Path) -> dict[str, int]:
    made, had = all_rows(copies(out, base.name)[0]), all_rows(base.archive)
    missing = double = 0
    for table, rows in had.items():
        there, wanted = Counter(made[table]), Counter(rows)
        missing += sum((wanted - there).values())
        double += sum((there - wanted).values())
    return {"rows": sum(map(len, had.values())), "missing": missing, "duplicates": double}


def measure(folder: Path, *, before_s: float, cut_s: float, after_s: float) -> dict[str, Any]:
    """One run; what came of it."""
    out = folder / "out"
    with ExitStack() as stack:
        flight = record_flight(folder)
        server = NatsServer(folder / "server").start()
        stack.callback(server.kill)
        links = [TcpLink(server.port) for _ in range(BASES)]
        bases = [Base(stack, folder, n, link.url, flight) for n, link in enumerate(links)]
        receiver = subprocess.Popen(
            [sys.executable, "-m", "gvc_base", "post", "receive", "--from", server.url,
             "--out", str(out), "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        stack.callback(receiver.kill)
        wait_until(lambda: all(copies(out, b.name) for b in bases), "first rows", 120)
        time.sleep(before_s)
        for link in links:
            link.cut(silent=True)
        at_cut = [datagrams(b.archive) for b in bases]
        time.sleep(cut_s)
        behind = [datagrams(b.archive) - datagrams(copies(out, b.name)[0]) for b in bases]
        for link in links:
            link.mend()
        mended = time.monotonic()
        wait_until(lambda: _caught_up(bases, out), "caught up", 300)
        caught_up = time.monotonic() - mended
        time.sleep(after_s)
        for base in bases:
            base.land()
        ended = [base.end() for base in bases]
        for base in bases:
            wait_until(lambda b=base: is_like(b.archive, out, b.name), f"{base.lines()}", 120)
        receiver.send_signal(signal.SIGINT)
        told = json.loads(str(receiver.communicate(timeout=60)[0]).splitlines()[-1])
    found = [_compare(base, out) for base in bases]
    verified = [verify_archive(copies(out, base.name)[0]) for base in bases]
    data = sum(len(row[5]) for b in bases for row in all_rows(b.archive)["datagrams"])
    wire = sum(link.bytes for link in links)
    return {
        "bases": BASES, "cut_s": cut_s, "datagrams_at_cut": at_cut, "datagrams_behind": behind,
        "rows": sum(f["rows"] for f in found), "missing": sum(f["missing"] for f in found),
        "duplicates": sum(f["duplicates"] for f in found), "sent_twice": told["known"],
        "catch_up_s": round(caught_up, 1), "datagram_bytes": data, "wire_bytes": wire,
        "wire_per_byte": round(wire / data, 2), "end_s": [round(s, 1) for s in ended],
        "whole": [v.whole and v.closed and v.signed_to == v.rows for v in verified],
        "lines": [base.lines() for base in bases],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--cut", type=float, default=60.0, help="Seconds without link.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = measure(Path(folder), before_s=15.0, cut_s=options.cut, after_s=5.0)
    print(f"Machine: {processor()}; {date.today().isoformat()}")
    print(f"{row['bases']} bases, link cut for {row['cut_s']:.0f} s; "
          f"behind by then: {row['datagrams_behind']} datagrams")  # fmt: skip
    print(f"rows sent {row['rows']}, missing {row['missing']}, duplicates {row['duplicates']}, "
          f"came twice from the server {row['sent_twice']}")  # fmt: skip
    print(f"copies whole and signed to their end: {row['whole']}")
    print(f"caught up {row['catch_up_s']} s after the link came back")
    print(f"{row['wire_bytes']} bytes over the links for {row['datagram_bytes']} bytes of datagrams: "
          f"{row['wire_per_byte']} a byte")  # fmt: skip
    for lines in row["lines"]:
        print("\n".join(lines))
    options.out.mkdir(parents=True, exist_ok=True)
    report = {"processor": processor(), **row}
    (options.out / "post.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
