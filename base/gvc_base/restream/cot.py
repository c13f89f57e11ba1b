"""Cursor on Target of a running mission: where each camera is, what it shows, what was found there.

    StationView -> Situation (one a drone, sans-IO) -> events, a datagram each -> map

Camera and footprint are sent while pictures are new, and hold for 15 s: a map greys out what an old
picture showed. Objects and regions that were asked for stay true, so they are said again, ever more
rarely: a datagram gets lost, and a tablet may join late. What a footprint shows is told in its name and
remarks.
"""

from __future__ import annotations

import hashlib
import math
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gvc_base.console.view import CameraPlace, DroneState, Footprint, MapState, StationView
from gvc_base.export.cot_events import (
    CotAbout,
    CotPlace,
    CotSensor,
    camera_event,
    detection_event,
    footprint_event,
)
from gvc_base.legend import percent
from gvc_base.restream.sending import Sending
from gvc_base.restream.targets import CotTarget
from gvc_base.restream.watch import Watched
from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.params import SECOND

__all__ = ["CotSender", "Situation", "base_uid"]

_TICK_S, _EVERY_S, _RETRY_S, _JOIN_S = 0.5, 2.0, 2.0, 3.0
_STALE_S = 15.0
_FOUND_STALE_S, _ASKED_STALE_S = 3600.0, 300.0
_RAREST_NS = 60 * SECOND
_HOPS = 16
"How far a multicast goes; what FFmpeg takes for video."
_MOST_KEPT = 512
_SAME_OBJECT = "picture of "
"How a second row of an object begins, when its chip came: its place was told by the first."


def base_uid(archive: Path) -> str:
    """What all uids of a base begin with: the same after a restart, another one on another computer."""
    name = f"{socket.gethostname()}:{archive.absolute()}"
    return f"gvc-{uuid.uuid5(uuid.NAMESPACE_URL, name).hex[:12]}"


@dataclass(slots=True)
class _Repeated:
    """Something that stays true: sent at once, then after 2, 4, 8, ... 60 s, until it is stale."""

    first_ns: int
    due_ns: int
    step_ns: int = int(_EVERY_S * SECOND)


class Situation:
    """Events of one drone. Sans-IO, not thread-safe; the caller has the clock (Unix time, ns)."""

    def __init__(self, uid: str) -> None:
        self._uid = uid
        self._repeated: dict[str, _Repeated] = {}

    def events(
        self, state: DroneState, chart: MapState, now: int, *, fresh: bool
    ) -> Iterator[bytes]:
        """What is to be sent now.

        Args:
            fresh: the picture is a new one, so that camera and footprint hold.
        """
        name = f"{self._uid}-{state.drone_id}"
        if fresh and chart.camera is not None:
            with suppress(LocalProtocolError):
                yield _camera(name, state, chart.camera, now)
            if chart.footprint is not None and not chart.camera.cut:
                with suppress(LocalProtocolError):
                    yield _footprint(name, state, chart.footprint, chart.about, now)
        for lon, lat, text in chart.detections:
            if text.startswith(_SAME_OBJECT):
                continue
            uid = f"{name}-found-{_digest(f'{lon:.7f} {lat:.7f} {text}')}"
            if (first := self._due(uid, _FOUND_STALE_S, now)) is not None:
                with suppress(LocalProtocolError):
                    place = CotPlace(lon_deg=lon, lat_deg=lat)
                    yield _found(uid, f"{name}-camera", state, (place, text, chart.about), first)
        for region in chart.requested:
            uid = f"{name}-asked-{_digest(repr((region.corners, region.time_ns)))}"
            if (first := self._due(uid, _ASKED_STALE_S, now)) is not None:
                with suppress(LocalProtocolError):
                    yield _asked(uid, state, region, first)

    def _due(self, uid: str, stale_s: float, now: int) -> int | None:
        """When it was first told of, if it is to be sent now."""
        kept = self._repeated.get(uid)
        if kept is None:
            kept = self._repeated[uid] = _Repeated(first_ns=now, due_ns=now)
            while len(self._repeated) > _MOST_KEPT:
                del self._repeated[next(iter(self._repeated))]
        if now < kept.due_ns or now - kept.first_ns > stale_s * SECOND:
            return None
        kept.due_ns = now + kept.step_ns
        kept.step_ns = min(2 * kept.step_ns, _RAREST_NS)
        return kept.first_ns


def _camera(name: str, state: DroneState, camera: CameraPlace, now: int) -> bytes:
    about = CotAbout(
        uid=f"{name}-camera", callsign=f"GVC {state.drone_id}", time_ns=now, stale_s=_STALE_S,
        remarks=f"camera, {state.label}. {_taken(camera.time_ns)}. Not for piloting.",
    )  # fmt: skip
    place = CotPlace(lon_deg=camera.lon, lat_deg=camera.lat, height_m=camera.height_m)
    if not (camera.roll_deg or camera.pitch_deg or camera.yaw_deg):
        return camera_event(about, place)  # an edge that does not know its attitude tells zeros
    sensor = CotSensor(
        azimuth_deg=camera.yaw_deg, elevation_deg=camera.pitch_deg, roll_deg=camera.roll_deg,
        fov_deg=camera.fov_deg, range_m=None if camera.cut else _range_m(camera),
    )  # fmt: skip
    # No course: where the camera looks is not where it flies to, and that is not known.
    return camera_event(about, place, sensor=sensor)


def _range_m(camera: CameraPlace) -> float:
    """From the camera to the ground in the middle of the picture."""
    return (camera.height_m - camera.ground_m) / max(
        1e-3, -math.sin(math.radians(camera.pitch_deg))
    )


def _footprint(
    name: str, state: DroneState, footprint: Footprint, about_ground: str, now: int
) -> bytes:
    share = state.mark_share
    made_up = share.get("regenerated", 0.0) + share.get("lost", 0.0)
    told = ", ".join(
        f"{mark.upper() if mark in ('regenerated', 'lost') else mark} {percent(part)}"
        for mark, part in share.items() if part
    )  # fmt: skip
    callsign = f"GVC {state.drone_id} picture"
    if made_up:
        callsign += f", {percent(made_up)} REGENERATED or lost"
    about = CotAbout(
        uid=f"{name}-picture", callsign=callsign, time_ns=now, stale_s=_STALE_S,
        remarks=f"{told or 'shares unknown'}; {state.label}. {_taken(footprint.time_ns)}. "
        f"Outline on {about_ground or 'flat ground'}.",
    )  # fmt: skip
    return footprint_event(about, footprint.corners, made_up_share=min(1.0, made_up))


def _found(
    uid: str, camera: str, state: DroneState, found: tuple[CotPlace, str, str], first: int
) -> bytes:
    place, text, about_ground = found
    about = CotAbout(
        uid=uid, callsign=f"{text} (GVC {state.drone_id})", time_ns=first, stale_s=_FOUND_STALE_S,
        remarks=f"found by the edge: {text}. Drone {state.drone_id}, {state.label}. Place on "
        f"{about_ground or 'flat ground'}.",
    )  # fmt: skip
    return detection_event(about, place, camera_uid=camera)


def _asked(uid: str, state: DroneState, region: Footprint, first: int) -> bytes:
    about = CotAbout(
        uid=uid, callsign=f"GVC {state.drone_id} asked for", time_ns=first, stale_s=_ASKED_STALE_S,
        remarks=f"the real pixels of this region were asked for; what came of it is on the base's "
        f"console. Drone {state.drone_id}, {state.label}.",
    )  # fmt: skip
    return footprint_event(about, region.corners, made_up_share=1.0)


def _taken(time_ns: int) -> str:
    return f"Picture of {time.strftime('%H:%M:%SZ', time.gmtime(time_ns / SECOND))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class CotSender(Sending):
    """Sends the events of all drones to one target until `close`, from a thread of its own."""

    def __init__(
        self, view: StationView, target: CotTarget, say: Callable[[str], None], *, uid: str
    ) -> None:
        """`say` takes lines for the operator; `uid` as `base_uid` makes it."""
        super().__init__(f"cot {target}", say)
        self._view, self._target, self._uid = view, target, uid
        self._drones: dict[str, tuple[Watched, Situation, _Sent]] = {}
        self._socket: socket.socket | None = None
        self._address: Any = ()
        self._retry_at = 0.0

    def _run(self) -> None:
        while not self._stop.wait(_TICK_S):
            now = time.monotonic()
            if now < self._retry_at:
                continue
            try:
                self._send(now)
            except (OSError, UserError) as error:
                self._close_socket()
                self._retry_at = now + self.retry_s
                self._tell_failed(error)
        self._close_socket()

    def _send(self, now: float) -> None:
        for state in self._view.drones():
            watch, situation, sent = self._drones.setdefault(
                state.drone_id,
                (Watched(self._view, state.drone_id), Situation(self._uid), _Sent()),
            )
            watch.look(now)
            fresh = watch.new != sent.new and now >= sent.due
            if fresh:
                sent.new, sent.due = watch.new, now + _EVERY_S
            chart = self._view.map(state.drone_id)
            for event in situation.events(state, chart, time.time_ns(), fresh=fresh):
                self._open().sendto(event, self._address)
                self._tell("camera, footprint and objects are sent")

    def _open(self) -> socket.socket:
        if self._socket is None:
            found = socket.getaddrinfo(self._target.host, self._target.port, type=socket.SOCK_DGRAM)
            family, kind, proto, _, self._address = found[0]
            made = socket.socket(family, kind, proto)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS)
            else:
                made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _HOPS)
            self._socket = made
        return self._socket

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@dataclass(slots=True)
class _Sent:
    """Up to where a drone's camera was sent."""

    new: int = 0
    due: float = 0.0
