"""MCAP of a mission for Foxglove: marked video, camera place, ground, link, events on one time line.

    /video /marks    every frame        /location /map   every unit with a place
    /link            every second       /log             objects, losses, requests, notes, alarms

Log times are the base's clock: a frame stands where its unit's flight came in, frame after frame at the
source's rate. `timestamp` inside a message is the edge's exposure time where it told one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from mcap.writer import Writer

from gvc_base.archive import Archive
from gvc_base.decode_pass import DecodePass, DecodeSettings, ShownFrame
from gvc_base.export.areas import Areas
from gvc_base.export.events import mission_events
from gvc_base.export.facts import MissionFacts, UnitFacts, collect
from gvc_base.export.files import whole_file
from gvc_base.export.geojson import about_text, unit_collection
from gvc_base.export.h264 import AnnexB
from gvc_base.export.link_csv import COLUMNS, link_rows
from gvc_base.export.mcap_schemas import SCHEMAS
from gvc_base.export.words import picture_name
from gvc_base.recording import Recording
from gvc_base.render import mark_share, overlay
from gvc_protocol.errors import UserError

__all__ = ["write_mcap"]

_TOPICS = {
    "/video": "foxglove.CompressedVideo", "/marks": "gvc.MarkShares",
    "/location": "foxglove.LocationFix", "/map": "foxglove.GeoJSON", "/link": "gvc.LinkSample",
    "/log": "foxglove.Log",
}  # fmt: skip
_INFO, _WARNING, _ERROR = 2, 3, 4
_LEVELS = {"loss": _WARNING, "alarm": _WARNING, "storage": _ERROR}
_FRAME_ID = "camera"


class _Messages:
    def __init__(self, file: IO[bytes]) -> None:
        self._writer: Any = Writer(file)
        self._writer.start(profile="", library="gvc-field")
        self._channels = {}
        for topic, name in _TOPICS.items():
            schema = self._writer.register_schema(
                name, "jsonschema", json.dumps(SCHEMAS[name]).encode()
            )
            self._channels[topic] = self._writer.register_channel(topic, "json", schema)
        self.number = 0

    def add(self, topic: str, time_ns: int, message: dict[str, Any]) -> None:
        self._writer.add_message(
            self._channels[topic], time_ns, json.dumps(message).encode(), time_ns, self.number
        )
        self.number += 1

    def finish(self, about: str) -> None:
        self._writer.add_metadata("gvc-field", {"about": about})
        self._writer.finish()


class _Video:
    """Frames as they are decoded; remembers when each unit began on the time line."""

    def __init__(self, messages: _Messages, status: str) -> None:
        self._messages, self._status = messages, status
        self._coder: AnnexB | None = None
        self._size = (0, 0)
        self._anchors: dict[int, int] = {}
        self._last_ns = 0
        self.units: dict[tuple[int, int], int] = {}
        "(boot, unit) -> log time of its first frame, ns."

    def take(self, shown: ShownFrame) -> None:
        frame, job = shown.frame, shown.job
        span = job.span
        if self._coder is None:
            self._size = (span.width, span.height)
            self._coder = AnnexB(span.width, span.height, span.fps)
        if self._size != (span.width, span.height):
            raise UserError(
                f"the source changed from {self._size[0]}x{self._size[1]} to {span.width}x"
                f"{span.height} after a restart of the edge; export the boots apart with --boot"
            )
        began = round(frame.frame_no / span.fps * 10**9)
        anchor = self._anchors.setdefault(job.boot_id, shown.received_ns - began)
        now = self._last_ns = max(self._last_ns + 1, anchor + began)
        self.units.setdefault((job.boot_id, job.unit.unit_no), now)
        picture = self._coder.encode(overlay(frame, status=self._status))
        d = job.unit.descriptors
        taken = now
        if d is not None and d.capture_us:
            offset = (frame.frame_no - span.first_frame) / span.fps
            taken = d.capture_us * 1000 + round(offset * 10**9)
        self._messages.add("/video", now, {
            "timestamp": _time(taken), "frame_id": _FRAME_ID, "format": "h264",
            "data": base64.b64encode(picture).decode(),
        })  # fmt: skip
        self._messages.add("/marks", now, {
            "frame": frame.frame_no, "unit": job.unit.unit_no,
            **{m.name.lower(): round(s, 4) for m, s in mark_share(frame).items()},
            "p_wrong_mean": round(float(frame.p_wrong.mean(dtype=float)), 4),
        })  # fmt: skip


def write_mcap(
    recording: Recording, settings: DecodeSettings, out: Path, *, fov_deg: float,
    ground_m: float | None, evidence_alone: bool = False,
    on_frame: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[int, list[str]]:  # fmt: skip
    """Write it; returns the number of messages and notes.

    Args:
        fov_deg, ground_m: as in `Areas`. evidence_alone, on_frame: as in `collect`.

    Raises:
        UserError: nothing can be decoded, the pictures change their size, or the file cannot be written.
    """
    with whole_file(out) as file:
        messages = _Messages(file)
        run = DecodePass(recording, settings)
        video = _Video(messages, run.mission.label)
        facts = collect(
            run, recording.path.name, on_frame, also=[video.take], evidence_alone=evidence_alone
        )
        areas = Areas(facts, fov_deg=fov_deg, ground_m=ground_m)
        for unit in facts.placed:
            _place(messages, facts, areas, unit, video.units[unit.boot_id, unit.unit_no])
        _link(messages, recording, settings.stream_id)
        for row in mission_events(recording, settings.key)[0]:
            messages.add("/log", row.time_ns, {
                "timestamp": _time(row.time_ns), "level": _LEVELS.get(row.kind, _INFO),
                "message": row.text, "name": row.kind, "file": "", "line": 0,
            })  # fmt: skip
        messages.finish(about_text(facts, areas))
    notes = [*facts.notes, *filter(None, [areas.problem])]
    if not facts.placed:
        notes.append("no unit tells where the camera was: /location and /map are empty")
    return messages.number, notes


def _place(
    messages: _Messages, facts: MissionFacts, areas: Areas, unit: UnitFacts, time_ns: int
) -> None:
    t = unit.telemetry
    assert t is not None
    messages.add("/location", time_ns, {
        "timestamp": _time(unit.time_ns), "frame_id": _FRAME_ID, "latitude": t.lat_e7 / 1e7,
        "longitude": t.lon_e7 / 1e7, "altitude": t.alt_cm / 100,
        "position_covariance": [0.0] * 9, "position_covariance_type": 0,
    })  # fmt: skip
    messages.add("/map", time_ns, {"geojson": json.dumps(unit_collection(facts, areas, unit))})
    messages.add("/log", time_ns, {
        "timestamp": _time(unit.time_ns), "level": _INFO, "name": "picture", "file": "", "line": 0,
        "message": picture_name(unit),
    })  # fmt: skip


def _link(messages: _Messages, recording: Recording, stream: int | None) -> None:
    if not recording.session_ids:
        return
    with closing(Archive.open_readonly(recording.path)) as archive:
        for session in recording.session_ids:
            for row in link_rows(archive, session, stream):
                told = dict(zip(COLUMNS, row, strict=True))
                time_ns = told.pop("time_unix_ns")
                messages.add("/link", time_ns, {k: v for k, v in told.items() if v is not None})


def _time(time_ns: int) -> dict[str, int]:
    return {"sec": time_ns // 10**9, "nsec": time_ns % 10**9}
