"""A station for the console's tests: real pictures of the synthetic flood, everything else by script.

The clip is encoded and decoded by codec 0, the quick one, with holes. The same call gives the same
answer, but for what the clock moves and what a test changes (`health`, `can_ask`, ...).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.console.view import (
    AskRow,
    BaseState,
    DroneState,
    EventRow,
    Footprint,
    Health,
    LinkSample,
    MapState,
    Shown,
    TileSource,
    Transport,
    TruthSoFar,
)
from gvc_base.p_wrong import p_wrong_from_marks
from gvc_base.render import mark_share
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.errors import UserError
from gvc_protocol.marks import TILE_PX, Mark
from tests.console.clip import Clip

__all__ = ["RehearsedView"]

Image = NDArray[np.uint8]

_S = 10**9
_LENGTH_S = 600
_LOSSES_S = (120, 300, 480)
_LAT, _LON = 46.31, 8.04


@dataclass
class _Drone:
    drone_id: str
    ahead: int
    "Frames that this one is ahead of the first, so that they do not look the same."
    health: Health = "good"
    can_ask: bool = True
    patches: list[tuple[int, int, int, int]] = field(default_factory=list)


class RehearsedView:
    """A `StationView`; `recorded`: on recorded time; `frozen_at`: this frame of the clip throughout."""

    def __init__(
        self, clip: Clip, *, drones: int = 1, recorded: bool = False, fps: float | None = None,
        label: str = "unauthenticated: no key", on_shown: Callable[[str, int], None] | None = None,
        frozen_at: int | None = None,
    ) -> None:  # fmt: skip
        self.clip, self.label, self.fps = clip, label, fps or clip.fps
        self._frozen_at = frozen_at
        self.fleet = {f"0-{i}": _Drone(f"0-{i}", 7 * i) for i in range(drones)}
        self.warnings: tuple[str, ...] = ()
        self.truth: TruthSoFar | None = None
        self.fault: Exception | None = None
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.refusal = ""
        self.has_map, self.silent_radio, self.recording = True, False, not recorded
        self.disk_free, self.disk_hours = 23 * 2**30, None if recorded else 41.5
        self._asks: list[AskRow] = []
        self._extra: list[EventRow] = []
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._on_shown = on_shown
        self._recorded = recorded
        self._first_ns = 1_795_600_800 * _S
        self._at_ns, self._at = self._first_ns, self._began
        self._speed, self._playing = 1.0, False
        self._seeks = 0

    # --- clock ------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        if not self._recorded:
            return time.time_ns()
        gone = (time.monotonic() - self._at) * self._speed * _S if self._playing else 0
        return min(self._at_ns + int(gone), self._first_ns + _LENGTH_S * _S)

    def _serial(self) -> int:
        """Pictures follow the clock; a seek counts as a picture of its own."""
        if self._recorded:
            shown = int((self.now_ns - self._first_ns) * self.fps / _S)
            return self._seeks * 1_000_000 + shown
        return int((time.monotonic() - self._began) * self.fps)

    def _second(self) -> float:
        """Seconds of the mission: of the tape, or of a live one that began three minutes ago."""
        if self._recorded:
            return (self.now_ns - self._first_ns) / _S
        return time.monotonic() - self._began + 180

    # --- the contract -----------------------------------------------------------------------------

    def base(self) -> BaseState:
        if self.fault is not None:
            raise self.fault
        live = not self._recorded
        return BaseState(
            mode="live" if live else "replay", label=self.label, archive="mission.db",
            recording=self.recording, disk_free_bytes=self.disk_free, disk_hours=self.disk_hours,
            warnings=self.warnings, truth=self.truth,
        )  # fmt: skip

    def drones(self) -> tuple[DroneState, ...]:
        return tuple(self._state(drone) for drone in self.fleet.values())

    def _state(self, drone: _Drone) -> DroneState:
        frame = self._frame(drone, self._serial())
        width, height = self.clip.size
        can = drone.can_ask and not self._recorded
        return DroneState(
            drone_id=drone.drone_id, link_url="udp://127.0.0.1:5600", profile_id="sik-64",
            stream_id=0, boot_id=1, label=self.label, health=self._health(drone),
            unit_no=frame.unit_no, frame_no=frame.frame_no, width=width, height=height,
            fps=Fraction(self.clip.fps), capture_us=(self.now_ns - 2_400_000_000) // 1000,
            latency_s=2.4, mark_share={m.name.lower(): s for m, s in mark_share(frame).items()},
            trusted=0.62, decoder="gvc preview", sample=self._sample(drone, self._second()),
            can_ask=can, why_not=self._why_not(can),
        )  # fmt: skip

    def _why_not(self, can: bool) -> str:
        if self._recorded:
            return "This is recorded time: nothing can be asked of the camera."
        return "" if can else "This radio has no way back."

    def _health(self, drone: _Drone) -> Health:
        if self._recorded and any(0 <= self._second() - s < 20 for s in _LOSSES_S):
            return "lost"
        return drone.health

    def _sample(self, drone: _Drone, second: float) -> LinkSample:
        t = math.floor(second)
        bad = 0.5 + 0.5 * math.sin(t / 17 + drone.ahead)
        gone = {"lost": 14.0, "degraded": 4.0}.get(self._health(drone), 1.0)
        now = self._first_ns if self._recorded else time.time_ns() - int(self._second() * _S)
        sample = LinkSample(
            time_ns=now // _S * _S + t * _S, bit_s=0.0 if gone > 10 else 52_000 - 9000 * bad,
            loss=0.02 + 0.2 * bad**3, loss_repaired=0.12 * bad**6, burst=1 + 3 * bad,
            rssi_dbm=round(-71 - 22 * bad), noise_dbm=-104, airtime_left_s=212 - t % 90,
            ladder_step=int(bad > 0.8), rate_bps=56_000, fec_percent=25, since_good_s=gone + t % 2,
        )  # fmt: skip
        if self.silent_radio:
            return replace(
                sample, rssi_dbm=None, noise_dbm=None, airtime_left_s=None, ladder_step=None,
                rate_bps=None,
            )  # fmt: skip
        return sample

    def _index(self, drone: _Drone, serial: int) -> int:
        """Which frame of the clip it is; the serials go on where the picture is frozen."""
        at = serial if self._frozen_at is None else self._frozen_at
        return (at + drone.ahead) % len(self.clip.shown)

    def _frame(self, drone: _Drone, serial: int) -> DecodedFrame:
        clip = self.clip
        index = self._index(drone, serial)
        frame = clip.shown[index]
        if not drone.patches:
            return frame
        pixels, mark = frame.pixels.copy(), frame.mark.copy()
        for x, y, w, h in drone.patches:
            pixels[y : y + h, x : x + w] = clip.true[index][y : y + h, x : x + w]
            t = TILE_PX
            mark[y // t : (y + h) // t, x // t : (x + w) // t] = Mark.RECEIVED
        age = np.where(mark == Mark.RECEIVED, 0, frame.age_ms).astype(np.uint16)
        return replace(
            frame, pixels=pixels, mark=mark, age_ms=age, p_wrong=p_wrong_from_marks(mark, age)
        )

    def shown(self, drone_id: str, *, after: int = -1, wait_s: float = 0.0) -> Shown | None:
        drone, end = self._drone(drone_id), time.monotonic() + wait_s
        while (serial := self._serial()) <= after or drone.health == "waiting":
            if time.monotonic() >= end:
                return None
            time.sleep(0.005)
        if self._on_shown is not None:
            self._on_shown(drone_id, serial)
        frame = self._frame(drone, serial)
        boxes = self.clip.boxes[self._index(drone, serial)]
        return Shown(frame=frame, serial=serial, boot_id=1, shown_ns=self.now_ns, boxes=boxes)

    def _drone(self, drone_id: str) -> _Drone:
        if drone_id not in self.fleet:
            raise UserError(f"no drone {drone_id!r} in this mission")
        return self.fleet[drone_id]

    def history(self, drone_id: str, *, since_ns: int = 0) -> tuple[LinkSample, ...]:
        drone, last = self._drone(drone_id), int(self._second())
        rows = (self._sample(drone, s) for s in range(max(0, last - 180), last + 1))
        return tuple(row for row in rows if row.time_ns > since_ns)

    def events(self, *, after: int = -1, limit: int = 200) -> tuple[EventRow, ...]:
        rows = [row for row in self._script() if row.time_ns <= self.now_ns] + self._extra
        return tuple(row for row in rows if row.event_id > after)[-limit:]

    def _script(self) -> list[EventRow]:
        began = self._first_ns if self._recorded else time.time_ns() - int(self._second() * _S)
        rows = [
            (0, "session", "edge started, boot 1", None),
            (20, "detection", "person, 84 % sure", (96, 72, 24, 32)),
            (45, "detection", "vehicle, 71 % sure", (200, 100, 40, 24)),
            (60, "text", "water rises at the bridge", None),
            (75, "alarm", "person in the picture that the edge did not see", (40, 40, 24, 32)),
            *((s, "loss", "unit lost, no packet of it came", None) for s in _LOSSES_S),
            (150, "link", "the radio came back", None),
            (400, "detection", "boat, 66 % sure", (120, 60, 40, 24)),
        ]  # fmt: skip
        rows.sort(key=lambda row: row[0])
        return [
            EventRow(
                event_id=i, time_ns=began + s * _S, drone_id="0-0", kind=kind, text=text, box=box,
                chip=box is not None,
            )
            for i, (s, kind, text, box) in enumerate(rows)
        ]  # fmt: skip

    def chip(self, event_id: int) -> bytes | None:
        box = next((r.box for r in self._script() if r.event_id == event_id), None)
        return None if box is None else self._png(box, 0, 1)

    def _png(self, box: tuple[int, int, int, int], index: int, coarse: int) -> bytes:
        x, y, w, h = box
        cut = self.clip.true[index][y : y + h, x : x + w]
        small = cv2.resize(cut, (max(1, w // coarse), max(1, h // coarse)))
        back = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
        done, data = cv2.imencode(".png", back)
        assert done
        return bytes(data)

    def map(self, drone_id: str) -> MapState:
        drone, now = self._drone(drone_id), int(self._second())
        if not self.has_map:
            return MapState()
        began = self.now_ns - now * _S
        at = [self._position(s, drone) for s in range(0, now + 1, 3)]
        track = tuple((lon, lat, began + 3 * i * _S) for i, (lon, lat) in enumerate(at))
        seen = tuple(
            Footprint(
                corners=self._ground(*at[i]), time_ns=began + 3 * i * _S,
                received_share=0.25 + 0.7 * (i % 5) / 4,
            )
            for i in range(0, len(at), 4)
        )  # fmt: skip
        asked = tuple(
            Footprint(corners=self._ground(*at[-1], 0.2), time_ns=self.now_ns, received_share=0)
            for _ in self._asks[-1:]
        )
        return MapState(
            track=track, footprint=Footprint(
                corners=self._ground(*at[-1]), time_ns=self.now_ns, received_share=0.4
            ),
            coverage=seen, requested=asked,
            detections=((_LON + 0.0008, _LAT + 0.0004, "person"), (_LON, _LAT - 0.0003, "vehicle")),
        )  # fmt: skip

    def _position(self, second: float, drone: _Drone) -> tuple[float, float]:
        lane, along = divmod(second / 60 + drone.ahead / 7, 1)
        x = along if int(lane) % 2 == 0 else 1 - along
        return _LON - 0.0015 + 0.003 * x, _LAT - 0.0008 + 0.0005 * lane

    def _ground(self, lon: float, lat: float, part: float = 1.0) -> tuple[tuple[float, float], ...]:
        e, n = 0.0005 * part, 0.00024 * part
        return (
            (lon - e, lat - n),
            (lon + e, lat - n),
            (lon + 1.1 * e, lat + n),
            (lon - e, lat + n),
        )

    def tile(self, drone_id: str, row: int, column: int) -> TileSource | None:
        frame = self._frame(self._drone(drone_id), self._serial())
        if row >= frame.mark.shape[0] or column >= frame.mark.shape[1]:
            return None
        return TileSource(
            mark=Mark(int(frame.mark[row, column])).name.lower(),
            age_ms=int(frame.age_ms[row, column]), p_wrong=float(frame.p_wrong[row, column]),
            unit_no=frame.unit_no, part="features", datagrams=(812, 813, 815, 816, 819),
            verified="verified" if (row + column) % 2 else "",
        )  # fmt: skip

    def ask(self, drone_id: str, wanted: dict[str, Any]) -> AskRow:
        drone = self._drone(drone_id)
        if self._recorded:
            raise UserError("this is recorded time: nothing can be asked of the camera")
        if not drone.can_ask:
            raise UserError("This radio has no way back.")
        if self.refusal:
            raise UserError(self.refusal)
        with self._lock:
            self.asked.append((drone_id, wanted))
            what = wanted["ask"]
            if what == "region":
                x, y, w, h = wanted["box"]
                what = f"region {x},{y},{w},{h}"
            row = AskRow(
                ask_id=len(self._asks) + 1, drone_id=drone_id, asked_ns=self.now_ns, what=what,
                state="waiting",
            )  # fmt: skip
            self._asks.append(row)
        return row

    def answer_ask(self, ask_id: int, *, state: str) -> None:
        """Let pixels of a region come: coarse while "working", true ones when "done"."""
        with self._lock:
            row = self._asks[ask_id - 1]
            wanted = self.asked[ask_id - 1][1]
            region, done = wanted["ask"] == "region", state == "done"
            about = "the picture had been 31 % wrong here" if region and done else ""
            self._asks[ask_id - 1] = replace(row, state=state, picture=region, about=about)
            if region and done:
                x, y, w, h = wanted["box"]
                self.fleet[row.drone_id].patches.append((x, y, w, h))

    def asks(self) -> tuple[AskRow, ...]:
        return tuple(self._asks)

    def answer(self, ask_id: int) -> bytes | None:
        if not 1 <= ask_id <= len(self._asks) or not self._asks[ask_id - 1].picture:
            return None
        x, y, w, h = self.asked[ask_id - 1][1]["box"]
        return self._png((x, y, w, h), 0, 1 if self._asks[ask_id - 1].state == "done" else 8)

    def note(self, drone_id: str, text: str, *, bookmark: bool) -> EventRow:
        self._drone(drone_id)
        row = EventRow(
            event_id=1000 + len(self._extra), time_ns=self.now_ns, drone_id=drone_id,
            kind="bookmark" if bookmark else "note", text=text or "bookmark",
        )  # fmt: skip
        self._extra.append(row)
        return row

    def transport(self) -> Transport | None:
        if not self._recorded:
            return None
        return Transport(
            first_ns=self._first_ns, last_ns=self._first_ns + _LENGTH_S * _S, now_ns=self.now_ns,
            speed=self._speed, playing=self._playing,
        )  # fmt: skip

    def play(self, *, playing: bool | None = None, speed: float | None = None) -> None:
        self._at_ns, self._at = self.now_ns, time.monotonic()
        self._playing = self._playing if playing is None else playing
        self._speed = self._speed if speed is None else speed

    def seek(self, to_ns: int) -> None:
        self._at_ns, self._at, self._seeks = to_ns, time.monotonic(), self._seeks + 1

    def jump(self, kind: str, *, forward: bool) -> bool:
        now = (self.now_ns - self._first_ns) / _S
        places = {
            "event": [(r.time_ns - self._first_ns) / _S for r in self._script()],
            "loss": list(map(float, _LOSSES_S)), "low-trust": [210.0, 330.0],
        }[kind]  # fmt: skip
        ahead = [s for s in places if (s > now + 0.5 if forward else s < now - 0.5)]
        if not ahead:
            return False
        self.seek(self._first_ns + int((min(ahead) if forward else max(ahead)) * _S))
        return True
