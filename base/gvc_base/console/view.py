"""What a console shows: one contract for a mission on the air and for one on recorded time.

    LiveBase -> LiveView --+
                           +-> console (HTTP, WebSocket) -> browser
    archive -> ReplayView -+

A view is read from several threads at once. What it gives is a copy or frozen. Times are Unix time in
nanoseconds, of the base's clock; on recorded time, of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, Protocol

from gvc_protocol.codec import DecodedFrame

__all__ = [
    "AskRow",
    "BaseState",
    "CameraPlace",
    "DroneState",
    "EventRow",
    "Footprint",
    "Health",
    "LinkSample",
    "MapState",
    "Shown",
    "StationView",
    "TileSource",
    "Transport",
    "TruthSoFar",
]

Health = Literal["good", "degraded", "lost", "waiting"]
"""good: the newest unit came whole and in time. degraded: with holes, or late. lost: nothing came for
three units' time. waiting: nothing came yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSample:
    """One second of a drone's link. None: this radio or edge does not tell it."""

    time_ns: int
    bit_s: float
    "Bits a second on the air, everything counted."
    loss: float
    "Share of datagrams lost, before repair, 0..1."
    loss_repaired: float
    "Share of units that were not whole after repair, of those closed in the last minute, 0..1."
    burst: float
    "Mean length of a loss burst, datagrams."
    rssi_dbm: int | None = None
    noise_dbm: int | None = None
    airtime_left_s: float | None = None
    "Of the base's own sub-band, this rolling hour."
    ladder_step: int | None = None
    rate_bps: int | None = None
    "What the edge says it sends at."
    fec_percent: int | None = None
    since_good_s: float | None = None
    "Since the last whole unit."


@dataclass(frozen=True, slots=True, kw_only=True)
class DroneState:
    """One camera of one edge."""

    drone_id: str
    "Stable within a mission, fit for a URL: link number and stream, `0-1`."
    link_url: str
    profile_id: str
    stream_id: int
    boot_id: int
    label: str
    "authenticated with which key, or unauthenticated: on every screen."
    health: Health
    unit_no: int
    frame_no: int
    width: int
    height: int
    fps: Fraction
    capture_us: int
    "Unix time of the shown frame's exposure by the edge's clock; 0 unknown."
    latency_s: float | None
    "From exposure to show, where the clocks are known to each other."
    mark_share: dict[str, float] = field(default_factory=dict)
    "Share of the shown frame's tiles by mark name."
    trusted: float | None = None
    "Share of tiles shown as trusted, where that is calibrated."
    decoder: str = ""
    sample: LinkSample | None = None
    can_ask: bool = False
    "Whether this link has a way back and a key vouches for both ends."
    why_not: str = ""
    "Why nothing can be asked, in a line for the operator."


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The picture on the screen."""

    frame: DecodedFrame
    serial: int
    "Counts shown pictures of this drone; a reader waits for a higher one."
    boot_id: int
    shown_ns: int
    boxes: tuple[dict[str, Any], ...] = ()
    "Objects: {id, kind, x, y, width, height, state: confirmed|unconfirmed|missed, score}, pixels."


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A line of the list of events and detections."""

    event_id: int
    time_ns: int
    drone_id: str
    kind: str
    "detection, loss, asked, answer, text, note, bookmark, alarm, link, session, storage."
    text: str
    box: tuple[int, int, int, int] | None = None
    "x, y, width, height in source pixels."
    chip: bool = False
    "Whether `StationView.chip` has a picture of it."


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSource:
    """Where one 8 x 8 tile of the shown picture comes from."""

    mark: str
    age_ms: int
    p_wrong: float
    unit_no: int
    "Unit that its pixels came in; -1 unknown."
    part: str
    datagrams: tuple[int, ...] = ()
    "Rows of the archive's `datagrams`, empty when not yet committed."
    verified: str = ""
    "verified, known wrong, or empty: what the edge says of it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Ground seen at one time: corners (lon, lat) in degrees, WGS 84, in order around."""

    corners: tuple[tuple[float, float], ...]
    time_ns: int
    received_share: float
    "Share of it seen with received pixels, 0..1."


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraPlace:
    """Where the camera of the shown picture was and looked, as its telemetry told. Degrees, WGS 84."""

    lon: float
    lat: float
    height_m: float
    "Above the ellipsoid."
    roll_deg: float
    pitch_deg: float
    "From the horizon; straight down is -90."
    yaw_deg: float
    "Of the camera, clockwise from true north."
    fov_deg: float
    "Across the picture's width; a setting, not measured."
    ground_m: float
    "Above the ellipsoid; flat ground is assumed."
    time_ns: int
    centre: tuple[float, float]
    "(lon, lat) of what the middle of the picture shows."
    cut: bool
    """A corner looks at the sky or too far away, or the camera stands on the ground: what the picture
    shows is not where the corners and the centre say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapState:
    """What the map strip draws of one drone; empty without telemetry."""

    track: tuple[tuple[float, float, int], ...] = ()
    "lon, lat, time_ns."
    camera: CameraPlace | None = None
    footprint: Footprint | None = None
    "Corners from the picture's upper left on, clockwise in the picture."
    coverage: tuple[Footprint, ...] = ()
    detections: tuple[tuple[float, float, str], ...] = ()
    requested: tuple[Footprint, ...] = ()
    about: str = ""
    "What the footprints assume: flat ground at a height, a field of view."


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRow:
    """Something the operator asked of an edge, and what became of it."""

    ask_id: int
    drone_id: str
    asked_ns: int
    what: str
    state: str
    "waiting, working, done, refused, no picture, or given up."
    picture: bool = False
    "Whether `StationView.answer` has received pixels of it."
    about: str = ""
    "On answered regions: how far the earlier picture had been from the truth."


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthSoFar:
    """How far the pictures of this mission had been from true pixels that were asked for. No sample of
    all tiles: people ask where they doubt."""

    regions: int
    tiles: int
    wrong: int
    unmarked: int
    "Wrong tiles that were shown as received or as verified."
    expected: float
    "Wrong tiles that `p_wrong` had foreseen, added up."


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseState:
    """The station as a whole."""

    mode: Literal["live", "replay"]
    label: str
    archive: str
    recording: bool
    disk_free_bytes: int
    disk_hours: float | None
    "How long the free space lasts at the present rate."
    warnings: tuple[str, ...] = ()
    truth: TruthSoFar | None = None
    "None until true pixels of a picture that was shown have come."


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """Recorded time: where it stands."""

    first_ns: int
    last_ns: int
    now_ns: int
    speed: float
    playing: bool


class StationView(Protocol):
    """Raises UserError from any call that the operator can mend, with a line that says how."""

    def base(self) -> BaseState: ...

    def drones(self) -> tuple[DroneState, ...]: ...

    def shown(self, drone_id: str, *, after: int = -1, wait_s: float = 0.0) -> Shown | None:
        """The newest picture with a serial above `after`, waiting for it; None when none came."""

    def history(self, drone_id: str, *, since_ns: int = 0) -> tuple[LinkSample, ...]: ...

    def events(self, *, after: int = -1, limit: int = 200) -> tuple[EventRow, ...]:
        """The newest rows with an id above `after`, oldest first."""

    def chip(self, event_id: int) -> bytes | None:
        """PNG of a detection: received pixels only."""

    def map(self, drone_id: str) -> MapState: ...

    def tile(self, drone_id: str, row: int, column: int) -> TileSource | None: ...

    def ask(self, drone_id: str, wanted: dict[str, Any]) -> AskRow:
        """`wanted` as in `gvc-base ask`: {"ask": "region", "box": [x, y, w, h], ...}, keyframe, text,
        rate, mode, resume. On recorded time: UserError."""

    def asks(self) -> tuple[AskRow, ...]: ...

    def answer(self, ask_id: int) -> bytes | None:
        """PNG of what came for a region so far."""

    def note(self, drone_id: str, text: str, *, bookmark: bool) -> EventRow:
        """Keep a note or bookmark at the shown moment in the archive."""

    def transport(self) -> Transport | None:
        """None on a live mission."""

    def play(self, *, playing: bool | None = None, speed: float | None = None) -> None:
        """On recorded time only. Speed 0.25 to 16."""

    def seek(self, to_ns: int) -> None: ...

    def jump(self, kind: Literal["event", "loss", "low-trust"], *, forward: bool) -> bool:
        """Go to the next or previous one; False when there is none."""
