"""A base in this process with links of memory, and drones that fly the synthetic flood over them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

from gvc_base.archive import Archive
from gvc_base.report import DecodeReport
from gvc_base.station.base import LiveBase
from gvc_base.station.commits import GroupCommit
from gvc_base.station.events import EventList
from gvc_base.station.queues import DecodeBudget
from gvc_base.station.shared import LinkSetup, Shared, StationOptions
from gvc_base.station.view import LiveView
from gvc_base.workers import WorkerPool
from gvc_edge.codecs.classical import ClassicalEncoder
from gvc_edge.sources.flood import FloodSource, parse_flood_query
from gvc_profiles import load
from gvc_profiles.clock import steady_clock
from gvc_profiles.links import ByteLink, Received
from gvc_profiles.params import link_params
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import CodecSpec, EncodedUnit, SourceFrame
from gvc_protocol.descriptors import Descriptors, Telemetry
from gvc_protocol.ledger import AirtimeLedger
from gvc_protocol.replay import ReplayGuard
from gvc_protocol.sender import LinkSender

__all__ = [
    "FPS",
    "UNIT_FRAMES",
    "Flight",
    "MemoryLink",
    "packets",
    "source_frames",
    "start_flight",
    "wait_until",
]

FPS, UNIT_FRAMES, UNITS = 4, 4, 4
WIDTH, HEIGHT = 160, 96
PROFILE = load("udp")


class MemoryLink:
    """A link that gives what is fed to it."""

    def __init__(self) -> None:
        self._fed: queue.Queue[bytes | OSError] = queue.Queue()
        self.sent: list[bytes] = []

    def feed(self, items: Sequence[bytes | OSError]) -> None:
        for item in items:
            self._fed.put(item)

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def receive(self, timeout_s: float) -> list[Received]:
        try:
            first = self._fed.get(timeout=timeout_s)
        except queue.Empty:
            return []
        if isinstance(first, OSError):
            raise first
        return [Received(first, "memory")]

    def reopen(self) -> None:
        pass

    def close(self) -> None:
        pass


@cache
def source_frames() -> tuple[SourceFrame, ...]:
    """What the cameras of all flights saw."""
    query = parse_flood_query(f"seed=3&seconds={UNITS}&size={WIDTH}x{HEIGHT}&fps={FPS}")
    return tuple(FloodSource(query, start_us=0, seconds=None, crop_even=False).frames())


@cache
def _units() -> tuple[tuple[bytes, bytes], ...]:
    frames = source_frames()
    encoder = ClassicalEncoder(
        width=WIDTH, height=HEIGHT, fps=Fraction(FPS), frames_per_unit=UNIT_FRAMES, still_every=1
    )
    made = []
    for number in range(UNITS):
        encoder.begin(number, 4000)
        for frame in frames[number * UNIT_FRAMES : (number + 1) * UNIT_FRAMES]:
            encoder.push(frame)
        made.append(encoder.close())
    return tuple(made)


def packets(
    *, stream_id: int = 0, boot_id: int = 1, key: LinkKey | None = None, numbers: Sequence[int] = ()
) -> list[bytes]:
    """Radio packets of the flight's units, all or those numbers, as one sender makes them."""
    params = link_params(PROFILE, bps=1e6, fec="auto", packets=True, tagged=key is not None)
    sender = LinkSender(params, stream_id=stream_id, boot_id=boot_id, key=key)
    now, out = 10**18, []
    for number, (keyframe, features) in enumerate(_units()):
        if numbers and number not in numbers:
            continue
        d = Descriptors(
            codec_id=0, bitstream_version=1, capture_us=now // 1000, width=WIDTH, height=HEIGHT,
            fps=Fraction(FPS), first_frame=number * UNIT_FRAMES, frames=UNIT_FRAMES, ladder=1,
            telemetry=Telemetry(lat_e7=463_000_000 + 900 * number, lon_e7=80_000_000,
                                alt_cm=10_000, pitch_cdeg=-9000),
        )  # fmt: skip
        unit = EncodedUnit(
            unit_no=number, spec=CodecSpec(codec_id=0, bitstream_version=1), descriptors=d,
            keyframe=keyframe, features=features,
        )  # fmt: skip
        sender.submit(unit, now)
        for _ in range(2000):
            out += sender.datagrams_to_send(now)
            if (due := sender.next_timer()) is None:
                break
            now = max(now, due)
        now += 10**9
    return out


@dataclass
class Flight:
    """A base that runs."""

    base: LiveBase
    view: LiveView
    links: list[MemoryLink]
    lines: list[str] = field(default_factory=list)
    report: DecodeReport | None = None
    end: Callable[[], None] = lambda: None
    "Ends the mission and waits for it."

    def shows(self, drone_id: str, frames: int) -> bool:
        """Whether so many of a drone's units were decoded."""
        return any(d.drone_id == drone_id and d.unit_no + 1 >= frames for d in self.view.drones())


def start_flight(
    stack: ExitStack, path: Path, links: int, *, key: LinkKey | None = None,
    options: StationOptions | None = None, backlog_bytes: int = 64 << 20,
    workers: WorkerPool | None = None,
    say: Callable[[str], None] = lambda _: None, radio: ByteLink | None = None,
    ledger: AirtimeLedger | None = None,
) -> Flight:  # fmt: skip
    """Start a base on so many links; the stack ends it.

    Args:
        say: takes what the base tells, besides `Flight.lines`.
        radio: takes the place of the first link of memory.
        ledger: of the first link's air time.
    """
    lines: list[str] = []
    archive = Archive.create_or_open(path, on_health=lines.append, backlog_bytes=backlog_bytes)
    stack.callback(archive.close)
    now, made = steady_clock(), [MemoryLink() for _ in range(links)]
    params = link_params(PROFILE, bps=1e6, fec="auto", packets=True, tagged=key is not None)
    setups = [
        LinkSetup(
            number=n, url=f"memory:{n}", profile=PROFILE, params=params, boot_id=n + 1,
            link=radio if radio is not None and n == 0 else link,
            ledger=ledger if n == 0 else None,
            session_id=archive.start_session(
                link_url=f"memory:{n}", profile_id="udp", params=params, now_ns=now(),
                key_fingerprint="" if key is None else key.fingerprint,
            ),
        )
        for n, link in enumerate(made)
    ]  # fmt: skip

    def tell(line: str) -> None:
        lines.append(line)
        say(line)

    shared = Shared(
        archive=archive, commits=GroupCommit(archive), options=options or StationOptions(),
        events=EventList(now), budget=DecodeBudget(1, patience_s=0.3), say=tell, now=now,
        workers=workers, key=key, guard=None if key is None else ReplayGuard(), alone=links == 1,
    )  # fmt: skip
    base = LiveBase(shared, setups)
    flight = Flight(base, LiveView(base), made, lines)

    def run() -> None:
        flight.report = base.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def end() -> None:
        base.stop()
        thread.join(60)

    flight.end = end
    stack.callback(end)
    return flight


def wait_until(true: Callable[[], bool], what: str, limit_s: float = 60) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)
