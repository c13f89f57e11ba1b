"""What a running mission tells of itself, twice a second: plain values, made in its own loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gvc_protocol.reports import Report

__all__ = ["MissionFacts", "MissionStatus", "Watcher"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionFacts:
    """What does not change during a run. Empty and 0: not known yet."""

    stream: int = 1
    boot: int = 0
    profile: str = ""
    radio: str = ""
    "The profile's title."
    link: str = ""
    two_way: bool = True
    "Whether the base can answer on this radio."
    windows: bool = False
    "It answers only in windows that the edge leaves for it."
    ceiling_bps: float = 0.0
    "The most that is ever sent."
    label: str = ""
    "`auth_label` of what is sent."
    encrypted: bool = False
    source: str = ""
    size: tuple[int, int] = (0, 0)
    "Width and height of the source, pixels."
    fps: float = 0.0
    unit_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionStatus:
    """One look. Times ending in `_at` are `time.monotonic` seconds, so that ages stay true."""

    at: float
    air_bytes: int = 0
    "On the air since the start, everything counted."
    packets: int = 0
    dropped: int = 0
    "Datagrams that an over-full queue kept from being sent."
    rate_bps: float = 0.0
    fec_percent: float = 0.0
    interleave: int = 0
    closed_loop: bool = False
    "The base's reports steer rate and redundancy."
    ladder: int | None = None
    "Of the newest unit: 0 full motion, 1 fewer frames, 2 stills, 3 descriptors and chips."
    frames: int = 0
    queue_bytes: int = 0
    "Air bytes that wait."
    down_at: float | None = None
    "Since when the link is away."
    link_problem: str = ""
    "What the radio itself says is wrong."
    airtime_used: float | None = None
    "Of what the law allows an hour, 0..1; None where it sets no such limit."
    airtime_band: str = ""
    held_until: float | None = None
    "When the law lets the next packet go, while it does not."
    report: Report | None = None
    reported_at: float | None = None
    reports: int = 0
    camera_away: bool = False
    waiting_for_camera_at: float | None = None
    "Since when the next picture of a live source is awaited."
    idle_s: float = 0.0
    "Time so far in which the encoder waited for pictures."
    spool_problem: str = ""


def _nobody(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who watches a mission. Called in the mission's loop, so neither may block."""

    tick: Callable[[MissionStatus], None] = field(default=_nobody)
    note: Callable[[str, str], None] = field(default=_nobody)
    """(kind, text): `asked` (the base's request), `message` (its text), `said` (our text),
    `delivered` (the base has our text)."""
