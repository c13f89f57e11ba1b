"""A recorded mission as the console sees it: `StationView` over an archive."""

from __future__ import annotations

import shutil
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from gvc_base.archive import Archive
from gvc_base.archive_seal import Signer
from gvc_base.console.view import (
    AskRow,
    BaseState,
    DroneState,
    EventRow,
    LinkSample,
    MapState,
    Shown,
    TileSource,
    Transport,
)
from gvc_base.decoders import Backend
from gvc_base.render import mark_share
from gvc_base.replay.clock import ReplayClock
from gvc_base.replay.ground import RecordedGround
from gvc_base.replay.history import LinkHistory, distrusted, loss_times
from gvc_base.replay.index import Drone, ReplayIndex
from gvc_base.replay.later import answer_of, chip_of
from gvc_base.replay.lists import AskList, RecordedEvents, next_of, read_notes
from gvc_base.replay.stream import ReplayStream, Sight, latency_s
from gvc_base.station import DEFAULT_FOV_DEG
from gvc_base.station.notes import note_detail, note_text, truth_so_far
from gvc_base.station.queues import DecodeBudget
from gvc_base.station.scenes import tile_source, trusted_share
from gvc_protocol.auth import LinkKey, auth_label
from gvc_protocol.codec import Quality
from gvc_protocol.errors import UserError
from gvc_protocol.params import MS

__all__ = ["ReplayOptions", "ReplayView"]

_JUST_AFTER_NS = 100 * MS
"A jump goes here behind its goal: the picture of a unit is shown a little after it came."
_GIVE_WAY_S = 1.0
_JUMPS = ("event", "loss", "low-trust")
_NO_FPS = Fraction(0)
_CLOCKS = (
    "SELECT time_ns, json_extract(detail, '$.edge_less_base_us') FROM events WHERE session_id = ?"
    " AND kind = 'clock' AND json_extract(detail, '$.authenticated') ORDER BY time_ns"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """How a mission is shown again."""

    quality: Quality = "preview"
    backend: Backend = "auto"
    key: LinkKey | None = None
    session: int | None = None
    decoders: int = 1
    fov_deg: float = DEFAULT_FOV_DEG
    ground_m: float | None = None
    signer: Callable[[], Signer | None] = lambda: None
    "Of notes that are added."
    steady: Callable[[], int] = time.monotonic_ns


class ReplayView:
    """Any number of threads. `close` ends it."""

    def __init__(
        self, path: Path, options: ReplayOptions, *, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """Opens the archive and stands at the first picture.

        Raises:
            UserError: the archive cannot be read, or holds nothing.
        """
        self._options, self._say = options, say
        self._archive = Archive.open_readonly(path)
        self._index = ReplayIndex(self._archive, key=options.key, session=options.session, say=say)
        self.clock = ReplayClock(self._index.first_ns, self._index.last_ns, steady=options.steady)
        sight = Sight(
            archive=self._archive, index=self._index, clock=self.clock,
            budget=DecodeBudget(options.decoders), quality=options.quality,
            backend=options.backend, key=options.key, say=say,
        )  # fmt: skip
        notes = read_notes(self._archive, self._index)
        self._events = RecordedEvents(notes, self._index)
        self._asks = AskList(notes, self._index)
        self._clocks = [
            tuple(row)
            for one in self._index.sessions
            for row in self._archive.fetch(_CLOCKS, (one.row.id,))
        ]
        self._streams = {d.drone_id: ReplayStream(sight, d) for d in self._index.drones.values()}
        self._links = {d.drone_id: LinkHistory(self._archive, d) for d in self._drones()}
        self._ground: dict[str, RecordedGround] = {}
        self._low: list[int] = []
        self._gave_way_for = -1
        self._read = threading.Event()
        self._reading = threading.Thread(target=self._read_rest, name="replay-read", daemon=True)
        first = min((d.closed[0] for d in self._drones() if d.closed), default=self.clock.first_ns)
        self.clock.seek(first + _JUST_AFTER_NS)
        for stream in self._streams.values():
            stream.start()
        self._reading.start()

    def close(self) -> None:
        """End it; the archive stays as it is."""
        for stream in self._streams.values():
            stream.close()
        self._reading.join(10.0)
        self._archive.close()

    def _drones(self) -> list[Drone]:
        return list(self._index.drones.values())

    def _give_way(self) -> None:
        """A seek goes first: what is read meanwhile would take the processor from its picture."""
        seeks = self.clock.read()[0]
        end = time.monotonic() + _GIVE_WAY_S
        while self._gave_way_for != seeks and any(
            s.screen.waiting_since for s in self._streams.values()
        ):
            if time.monotonic() > end:
                self._gave_way_for = seeks  # there is no picture at that place
            time.sleep(0.005)

    def _read_rest(self) -> None:
        """What the first picture does not need: objects, the map, what is of low trust."""
        try:
            with Archive.open_readonly(self._archive.path) as archive:
                options = self._options
                low = [t for drone in self._drones() for t in distrusted(archive, drone)]
                self._low = sorted(low)
                self._events.read_objects(archive, self._give_way)
                for drone in self._drones():
                    self._ground[drone.drone_id] = RecordedGround(
                        archive, drone, fov_deg=options.fov_deg, ground_m=options.ground_m,
                        give_way=self._give_way,
                    )  # fmt: skip
        except (UserError, ValueError, TypeError, KeyError) as error:
            self._say(f"map and objects of this archive cannot be read: {error}")
        finally:
            self._read.set()

    # --- the station

    def base(self) -> BaseState:
        """See `StationView.base`."""
        warnings = list(self._index.clocks_went_back())
        warnings += [s.problem for s in self._streams.values() if s.problem]
        keyed = {s.row.key_fingerprint for s in self._index.sessions if s.row.key_fingerprint}
        own = self._options.key.fingerprint if self._options.key is not None else ""
        if missing := ", ".join(sorted(keyed - {own})):
            warnings.append(
                f"recorded with key {missing}, shown without: start with --key FILE to believe only "
                "what that key vouches for"
            )
        over = sum(s.passed_over for s in self._streams.values())
        if over and self.clock.rate > 1:
            warnings.append(f"time goes faster than the decoder: {over} units were passed over")
        free = 0
        with suppress(OSError):
            free = shutil.disk_usage(self._archive.path.parent).free
        return BaseState(
            mode="replay", label=self._label(), archive=str(self._archive.path), recording=False,
            disk_free_bytes=free, disk_hours=None, warnings=tuple(warnings),
            truth=truth_so_far(self._asks.scores(self.clock.now())),
        )  # fmt: skip

    def _label(self, session_id: int | None = None) -> str:
        key = self._options.key
        rows = [s.row for s in self._index.sessions if session_id is None or s.row.id == session_id]
        believed = key is not None and all(row.key_fingerprint == key.fingerprint for row in rows)
        return auth_label(key.fingerprint if key is not None and believed else "")

    def drones(self) -> tuple[DroneState, ...]:
        """See `StationView.drones`."""
        return tuple(self._state(stream) for stream in self._streams.values())

    def _state(self, stream: ReplayStream) -> DroneState:
        now, drone = self.clock.now(), stream.drone
        unit = stream.unit_now() or drone.units[0]
        session = self._index.session(unit.session_id)
        shown, scene = stream.screen.shown(), stream.screen.scene()
        unit_s = 1.0
        if (at := drone.at(now)) > 0:
            unit_s = max(1e-3, (drone.closed[at] - drone.closed[max(0, at - 4)]) / 4e9)
        link = self._links[drone.drone_id]
        common: dict[str, Any] = {
            "drone_id": drone.drone_id, "link_url": session.row.link_url,
            "profile_id": session.row.profile_id, "stream_id": drone.stream_id,
            "label": self._label(unit.session_id), "health": link.health(now, unit_s),
            "decoder": stream.label, "sample": link.now(now), "can_ask": False,
            "why_not": "this is a recording; nothing can be asked in it",
        }  # fmt: skip
        if shown is None or scene is None:
            return DroneState(
                **common, boot_id=unit.boot_id, unit_no=-1, frame_no=-1, width=0, height=0,
                fps=_NO_FPS, capture_us=0, latency_s=None,
            )  # fmt: skip
        frame = shown.frame
        return DroneState(
            **common, boot_id=shown.boot_id, unit_no=frame.unit_no, frame_no=frame.frame_no,
            width=frame.pixels.shape[1], height=frame.pixels.shape[0], fps=scene.fps,
            capture_us=scene.capture_us,
            latency_s=latency_s(scene, shown.shown_ns, self._edge_less_base(now)),
            mark_share={m.name.lower(): share for m, share in mark_share(frame).items()},
            trusted=trusted_share(frame),
        )  # fmt: skip

    def _edge_less_base(self, now: int) -> int | None:
        at = bisect_right(self._clocks, now, key=lambda row: row[0]) - 1
        return int(self._clocks[at][1]) if at >= 0 else None

    def shown(self, drone_id: str, *, after: int = -1, wait_s: float = 0.0) -> Shown | None:
        """See `StationView.shown`."""
        return self._stream(drone_id).screen.shown(after=after, wait_s=wait_s)

    def history(self, drone_id: str, *, since_ns: int = 0) -> tuple[LinkSample, ...]:
        """See `StationView.history`."""
        self._stream(drone_id)
        return self._links[drone_id].rows(since_ns, self.clock.now())

    def events(self, *, after: int = -1, limit: int = 200) -> tuple[EventRow, ...]:
        """See `StationView.events`: what had happened by now."""
        return self._events.after(after, limit, self.clock.now())

    def chip(self, event_id: int) -> bytes | None:
        """See `StationView.chip`."""
        found = self._events.unit_of(event_id)
        if found is None:
            return None
        row, session_id, closed_ns = found
        drone = self._stream(row.drone_id).drone
        return chip_of(self._archive, self._index, drone, session_id, closed_ns, row,
                       self._options.key)  # fmt: skip

    def map(self, drone_id: str) -> MapState:
        """See `StationView.map`; empty while it is still being read."""
        self._stream(drone_id)
        ground, now = self._ground.get(drone_id), self.clock.now()
        if ground is None:
            return MapState()
        rows = self._events.after(-1, 1000, now)
        found = tuple(r for r in rows if r.kind == "detection" and r.drone_id == drone_id)
        return ground.state(now, found[-256:], self._asks.boxes(drone_id, now))

    def tile(self, drone_id: str, row: int, column: int) -> TileSource | None:
        """See `StationView.tile`."""
        stream = self._stream(drone_id)
        return tile_source(stream.screen.scene(), row, column, stream.rows)

    # --- the operator

    def ask(self, drone_id: str, wanted: dict[str, Any]) -> AskRow:
        """Not of a recording."""
        raise UserError("this is a recording; nothing can be asked in it")

    def asks(self) -> tuple[AskRow, ...]:
        """See `StationView.asks`: as they stood then."""
        return self._asks.at(self.clock.now())

    def answer(self, ask_id: int) -> bytes | None:
        """See `StationView.answer`: what had come by now."""
        found = self._asks.answers(ask_id, self.clock.now())
        if not found:
            return None
        return answer_of(self._archive, self._index, ask_id, found, self._options.key)

    def note(self, drone_id: str, text: str, *, bookmark: bool) -> EventRow:
        """See `StationView.note`: kept in the archive at the recorded moment, with when it was written.

        Raises:
            UserError: the note is empty or too long, or the archive is being written or read-only.
        """
        stream, text = self._stream(drone_id), note_text(text, bookmark=bookmark)
        now, scene = self.clock.now(), stream.screen.scene()
        unit = stream.unit_now() or stream.drone.units[0]
        about = note_detail(text, drone_id, stream.drone.stream_id, scene)
        about["written_us"] = time.time_ns() // 1000
        kind = "bookmark" if bookmark else "note"
        with Archive.create_or_open(self._archive.path, signer=self._options.signer()) as archive:
            archive.record_event(unit.session_id, now, kind, about)
            archive.flush()
            if not archive.health.ok:
                raise UserError(archive.health.line)
        return self._events.add(
            EventRow(event_id=0, time_ns=now, drone_id=drone_id, kind=kind, text=text or kind)
        )

    # --- recorded time

    def transport(self) -> Transport | None:
        """See `StationView.transport`."""
        return self.clock.transport()

    def play(self, *, playing: bool | None = None, speed: float | None = None) -> None:
        """See `StationView.play`."""
        self.clock.play(playing=playing, speed=speed)

    def seek(self, to_ns: int) -> None:
        """See `StationView.seek`."""
        self.clock.seek(to_ns)

    def jump(self, kind: Literal["event", "loss", "low-trust"], *, forward: bool) -> bool:
        """See `StationView.jump`."""
        if kind not in _JUMPS:
            raise UserError(f"one can jump to {', '.join(_JUMPS)}")
        # Where a jump ended it must not find its own goal again.
        now = self.clock.now() - (0 if forward else _JUST_AFTER_NS)
        if kind == "event":
            found = self._events.next_time(now, forward=forward)
        elif kind == "loss":
            times = sorted(t for drone in self._drones() for t in loss_times(drone))
            found = next_of(times, now, forward=forward)
        else:
            self._read.wait(5.0)
            found = next_of(self._low, now, forward=forward)
        if found is None:
            return False
        self.clock.seek(found + _JUST_AFTER_NS)
        return True

    def _stream(self, drone_id: str) -> ReplayStream:
        stream = self._streams.get(drone_id)
        if stream is None:
            known = ", ".join(self._streams) or "none"
            raise UserError(f"there is no drone {drone_id} in this recording; there is: {known}")
        return stream
