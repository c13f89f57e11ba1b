"""The map of a replay: track, coverage and objects of one camera, as far as recorded time has come."""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from gvc_base.archive_read import ArchiveReads
from gvc_base.console.view import EventRow, Footprint, MapState
from gvc_base.replay.index import Drone
from gvc_base.station.ground import Camera
from gvc_protocol.descriptors import Telemetry

__all__ = ["RecordedGround"]

_PLACES = (
    "SELECT u.closed_ns, u.boot_id, u.unit_no, json_extract(u.descriptors, '$.telemetry'),"
    " json_extract(u.descriptors, '$.width'), json_extract(u.descriptors, '$.height'),"
    " (SELECT m.received + m.carried FROM marks AS m WHERE m.session_id = u.session_id"
    " AND m.stream_id = u.stream_id AND m.boot_id = u.boot_id AND m.unit_no = u.unit_no)"
    " FROM units AS u WHERE u.session_id = ? AND u.stream_id = ?"
    " AND json_extract(u.descriptors, '$.telemetry') IS NOT NULL ORDER BY u.rowid"
)
_PLACES_2 = _PLACES.replace(
    _PLACES[_PLACES.index(" (SELECT m.") : _PLACES.index(" FROM units")], " NULL"
)
_GIVE_WAY_EVERY = 32
_COVER_KEPT, _TRACK_KEPT = 2000, 7200


class RecordedGround:
    """Read once; `state` is quick. `fov_deg` and `ground_m` as in `GroundMap`."""

    def __init__(
        self,
        archive: ArchiveReads,
        drone: Drone,
        *,
        fov_deg: float,
        ground_m: float | None,
        give_way: Callable[[], None] = lambda: None,
    ) -> None:
        self._fov_deg, self._ground_m = fov_deg, ground_m
        self._track: list[tuple[float, float, int]] = []
        self._cover: list[Footprint] = []
        self._cameras: list[Camera] = []
        self._times: list[int] = []
        self._units: dict[tuple[int, int], Camera] = {}
        self._lowest_m = math.inf
        # Marks are there since version 3.
        sql = _PLACES if archive.version >= 3 else _PLACES_2
        for session in dict.fromkeys(unit.session_id for unit in drone.units):
            for number, row in enumerate(archive.fetch(sql, (session, drone.stream_id))):
                self._add(*row)
                if number % _GIVE_WAY_EVERY == 0:
                    give_way()

    def _add(
        self, closed: int, boot: int, unit: int, told: str, width: int, height: int,
        share: float | None,
    ) -> None:  # fmt: skip
        telemetry = Telemetry(**json.loads(told))
        self._lowest_m = min(self._lowest_m, telemetry.alt_cm / 100)
        ground = self._lowest_m if self._ground_m is None else self._ground_m
        camera = Camera(
            telemetry=telemetry, width=width, height=height, fov_deg=self._fov_deg, ground_m=ground
        )
        self._units[boot, unit] = camera
        self._cameras.append(camera)
        self._times.append(closed)
        self._track.append((telemetry.lon_e7 / 1e7, telemetry.lat_e7 / 1e7, closed))
        corners = camera.outline((0.0, 0.0, float(width), float(height)))
        # Of a unit that nobody decoded live it is not known what could be seen: nothing is claimed.
        self._cover.append(Footprint(corners=corners, time_ns=closed, received_share=share or 0.0))

    def state(
        self, time_ns: int, events: tuple[EventRow, ...], asked: list[dict[str, Any]]
    ) -> MapState:
        """What is drawn at a moment.

        Args:
            events: objects that were told of by then. asked: details of regions asked for by then.
        """
        at = bisect_right(self._times, time_ns)
        if not at:
            return MapState()
        why = "set" if self._ground_m is not None else "the lowest that was heard"
        camera = self._cameras[at - 1]
        return MapState(
            track=tuple(self._track[max(0, at - _TRACK_KEPT) : at]),
            camera=camera.place(self._times[at - 1]), footprint=self._cover[at - 1],
            coverage=tuple(
                f for f in self._cover[max(0, at - _COVER_KEPT) : at] if f.received_share > 0
            ),
            detections=tuple(found for row in events if (found := self._place(row)) is not None),
            requested=tuple(f for detail in asked if (f := self._request(detail)) is not None),
            about=f"flat ground at {camera.ground_m:.0f} m above the ellipsoid ({why}), camera "
            f"{self._fov_deg:g} degrees wide",
        )  # fmt: skip

    def _place(self, row: EventRow) -> tuple[float, float, str] | None:
        at = bisect_right(self._times, row.time_ns) - 1
        if row.box is None or at < 0:
            return None
        x, y, width, height = row.box
        return (*self._cameras[at].ground(x + width / 2, y + height), row.text)

    def _request(self, detail: dict[str, Any]) -> Footprint | None:
        camera = self._units.get((detail.get("boot", -1), detail.get("unit", -1)))
        if camera is None:
            return None
        x, y, width, height = (float(v) for v in detail["box"])
        return Footprint(
            corners=camera.outline((x, y, width, height)), time_ns=detail["time_ns"],
            received_share=0.0,
        )  # fmt: skip
