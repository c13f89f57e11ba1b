"""Missions for tests and benches: real units of the synthetic flood, sent, lost in part, received and
archived as a base does, in no more time than it takes to compute."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from gvc_base.archive import Archive, MarksRow
from gvc_base.archive_seal import Signer
from gvc_base.console.view import LinkSample
from gvc_edge.codecs.classical import ClassicalEncoder
from gvc_edge.sources.flood import FloodSource, parse_flood_query
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import EncodedUnit
from gvc_protocol.descriptors import Descriptors, Telemetry
from gvc_protocol.events import UnitReady
from gvc_protocol.framing import Framing
from gvc_protocol.objects import Track, TrackPoint
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.replay import ReplayGuard
from gvc_protocol.sender import LinkSender

__all__ = ["BEGAN_NS", "Flight", "clip_units", "fly", "note_unit", "packets_of", "unit_of"]

BEGAN_NS = 1_800_000_000 * SECOND
_FPS, _FRAMES = 8, 8


@dataclass(frozen=True, kw_only=True)
class Flight:
    """What is flown."""

    units: int = 20
    unit_s: float = 1.0
    loss: float = 0.0
    lost_units: tuple[int, ...] = ()
    "Of these nothing arrives."
    seed: int = 1
    stream_id: int = 0
    boot_id: int = 7
    first_unit: int = 0
    telemetry: bool = True
    params: LinkParams = field(
        default_factory=lambda: LinkParams(
            framing=Framing(mtu_bytes=250), rate_bps=64_000.0, fec_percent=30.0
        )
    )
    key: LinkKey | None = None
    link_url: str = "udp://0.0.0.0:1"
    began_ns: int = BEGAN_NS
    codec_units: tuple[EncodedUnit, ...] | None = None
    "Of another encoder; None for quick ones of codec 0."
    clock: Callable[[int], int] = lambda true_ns: true_ns
    "What this base's clock shows at a true time."


@lru_cache(maxsize=2)
def clip_units(size: str = "160x96", unit_bytes: int = 2400) -> tuple[EncodedUnit, ...]:
    """Four units of a second, codec 0."""
    query = parse_flood_query(f"seed=3&seconds=4&size={size}&fps={_FPS}")
    source = FloodSource(query, start_us=0, seconds=None, crop_even=False)
    frames, info = list(source.frames()), source.info
    encoder = ClassicalEncoder(
        width=info.width, height=info.height, fps=info.fps, frames_per_unit=_FRAMES, still_every=1
    )
    made = []
    for number in range(4):
        encoder.begin(number, unit_bytes)
        for frame in frames[number * _FRAMES : (number + 1) * _FRAMES]:
            encoder.push(frame)
        keyframe, features = encoder.close()
        d = Descriptors(
            codec_id=encoder.spec.codec_id, bitstream_version=encoder.spec.bitstream_version,
            capture_us=0, width=info.width, height=info.height, fps=info.fps,
            first_frame=number * _FRAMES, frames=_FRAMES,
        )  # fmt: skip
        made.append(
            EncodedUnit(
                unit_no=number, spec=encoder.spec, descriptors=d, keyframe=keyframe,
                features=features,
            )
        )  # fmt: skip
    return tuple(made)


def unit_of(flight: Flight, number: int) -> EncodedUnit:
    """Unit `number` of a flight: the clip over and over, on a straight track, with a mover."""
    clip = flight.codec_units or clip_units()
    made = clip[number % len(clip)]
    d = made.descriptors
    capture = flight.began_ns // 1000 + round(number * flight.unit_s * 1e6)
    place = Telemetry(
        lat_e7=463_100_000 + 80 * number, lon_e7=80_400_000 + 60 * number, alt_cm=60_000,
        pitch_cdeg=-6000,
    )  # fmt: skip
    points = (TrackPoint(offset=0, x=8, y=8, width=16, height=16),)
    track = Track(track_id=number // 10, class_id=1, score_pct=80, points=points)
    return replace(
        made, unit_no=number,
        descriptors=replace(
            d, first_frame=number * d.frames, capture_us=capture,
            telemetry=place if flight.telemetry else None, tracks=(track,) if number % 2 else (),
        ),
    )  # fmt: skip


def packets_of(flight: Flight) -> Iterator[tuple[int, bytes]]:
    """(time_ns, packet) as they arrive, 50 ms after they were sent."""
    rng = random.Random(flight.seed)
    sender = LinkSender(
        flight.params, stream_id=flight.stream_id, boot_id=flight.boot_id, key=flight.key
    )
    for number in range(flight.first_unit, flight.first_unit + flight.units):
        now = flight.began_ns + round((number - flight.first_unit + 1) * flight.unit_s * SECOND)
        sender.submit(unit_of(flight, number), now)
        while not sender.idle:
            for packet in sender.datagrams_to_send(now):
                if number not in flight.lost_units and rng.random() >= flight.loss:
                    yield flight.clock(now + SECOND // 20), packet
            now = sender.next_timer() or now + 1


def fly(
    path: Path, *flights: Flight, signer: Signer | None = None, end: bool = True,
    derive: bool = True, batch: int = 16,
) -> list[UnitReady]:  # fmt: skip
    """Receive flights into one archive, a session each; returns the units as they came live.

    Args:
        end: the base closed its sessions; False as if it had been killed.
        derive: it noted units, marks and samples; False for a bare record.
    """
    units: list[UnitReady] = []
    with Archive.create_or_open(path, signer=signer) as archive:
        for flight in flights:
            units += _receive(archive, flight, end=end, derive=derive, batch=batch)
    return units


def _receive(
    archive: Archive, flight: Flight, *, end: bool, derive: bool, batch: int
) -> list[UnitReady]:
    key = flight.key
    session = archive.start_session(
        link_url=flight.link_url, profile_id="udp", params=flight.params,
        now_ns=flight.clock(flight.began_ns), key_fingerprint="" if key is None else key.fingerprint,
    )  # fmt: skip
    guard = ReplayGuard()
    if key is not None:
        archive.record_replay_state(session, flight.began_ns, guard)
    receiver = LinkReceiver(flight.params, key=key, replay=guard)
    units: list[UnitReady] = []

    def events() -> None:
        while (event := receiver.next_event()) is not None:
            if derive:
                archive.record(session, event)
            if isinstance(event, UnitReady):
                units.append(event)
                if derive:
                    note_unit(archive, session, event)

    waiting: list[tuple[int, str, bytes]] = []
    now = flight.clock(flight.began_ns)
    for now, packet in packets_of(flight):
        waiting.append((now, "edge:1", packet))
        receiver.receive(packet, now)
        events()
        if len(waiting) >= batch:
            archive.append(session, waiting)
            waiting = []
    archive.append(session, waiting)
    if end:
        ended = now + 2 * SECOND
        archive.record_event(session, ended, "session_ended", {})
        receiver.close(ended)
        events()
    return units


def note_unit(archive: Archive, session: int, event: UnitReady) -> None:
    """What the live decoder and the once-a-second tick leave, about."""
    unit, good = event.unit, event.unit.whole
    archive.record_marks(
        session,
        MarksRow(
            stream_id=event.stream_id, boot_id=event.boot_id, unit_no=unit.unit_no, frames=8,
            received=0.1, carried=0.2 if good else 0.0, enhanced=0.7 if good else 0.1,
            regenerated=0.0, lost=0.0 if good else 0.8, p_wrong=0.1 if good else 0.7,
        ),
    )  # fmt: skip
    archive.record_link_sample(
        session, event.stream_id, event.boot_id,
        LinkSample(time_ns=event.now, bit_s=20_000.0, loss=0.0 if good else 0.3,
                   loss_repaired=0.0, burst=1.0, rssi_dbm=-90),
    )  # fmt: skip
