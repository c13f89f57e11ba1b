"""A running base as the console sees it: `StationView` over `LiveBase`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, NoReturn

from gvc_base.ask_state import AskState, told
from gvc_base.asks import ask_of
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
from gvc_base.station.base import LiveBase
from gvc_base.station.notes import asked_text, note_text, truth_so_far
from gvc_base.station.stream import StreamRun
from gvc_protocol.errors import UserError

__all__ = ["LiveView"]


class LiveView:
    """`StationView` of a mission on the air. Any number of threads."""

    def __init__(self, base: LiveBase) -> None:
        self._base = base
        self._shared = base.shared

    def base(self) -> BaseState:
        """See `StationView.base`."""
        storage = self._base.storage
        return BaseState(
            mode="live", label=self._shared.label, archive=str(self._shared.archive.path),
            recording=self._shared.archive.health.ok, disk_free_bytes=storage.free_bytes,
            disk_hours=storage.hours, warnings=self._base.warnings(),
            truth=truth_so_far(self._shared.scores),
        )  # fmt: skip

    def drones(self) -> tuple[DroneState, ...]:
        """See `StationView.drones`."""
        return tuple(stream.state() for stream in self._base.streams)

    def shown(self, drone_id: str, *, after: int = -1, wait_s: float = 0.0) -> Shown | None:
        """See `StationView.shown`."""
        return self._stream(drone_id).shown(after=after, wait_s=wait_s)

    def history(self, drone_id: str, *, since_ns: int = 0) -> tuple[LinkSample, ...]:
        """See `StationView.history`."""
        return self._stream(drone_id).history(since_ns)

    def events(self, *, after: int = -1, limit: int = 200) -> tuple[EventRow, ...]:
        """See `StationView.events`."""
        return self._shared.events.after(after, limit)

    def chip(self, event_id: int) -> bytes | None:
        """See `StationView.chip`."""
        return self._shared.events.chip(event_id)

    def map(self, drone_id: str) -> MapState:
        """See `StationView.map`."""
        return self._stream(drone_id).map()

    def tile(self, drone_id: str, row: int, column: int) -> TileSource | None:
        """See `StationView.tile`."""
        return self._stream(drone_id).tile(row, column)

    def ask(self, drone_id: str, wanted: dict[str, Any]) -> AskRow:
        """See `StationView.ask`. A region without a unit is one of the picture on the screen now."""
        stream = self._stream(drone_id)
        if wanted.get("ask") == "region" and wanted.get("unit") is None:
            scene = stream.screen.scene()
            if scene is not None:
                wanted = {
                    **wanted, "unit": scene.frame.unit_no, "boot": scene.boot_id,
                    "frame": scene.offset,
                }  # fmt: skip
        now = self._shared.now()
        number = ask_of(stream.back, wanted, now)
        for row in self._asks_of(stream):
            if row.ask_id == number:
                return row
        return AskRow(
            ask_id=0, drone_id=drone_id, asked_ns=now, what="what was lost", state="waiting"
        )

    def asks(self) -> tuple[AskRow, ...]:
        """See `StationView.asks`."""
        rows = [row for stream in self._base.streams for row in self._asks_of(stream)]
        return tuple(sorted(rows, key=lambda row: row.asked_ns))

    def answer(self, ask_id: int) -> bytes | None:
        """See `StationView.answer`."""
        for stream in self._base.streams:
            if (png := stream.regions.picture(ask_id)) is not None:
                return png
        return None

    def note(self, drone_id: str, text: str, *, bookmark: bool) -> EventRow:
        """See `StationView.note`."""
        stream, text = self._stream(drone_id), note_text(text, bookmark=bookmark)
        return stream.keep_note("bookmark" if bookmark else "note", text)

    def transport(self) -> Transport | None:
        """None: this is a live mission."""
        return None

    def play(self, *, playing: bool | None = None, speed: float | None = None) -> None:
        """Not on a live mission."""
        self._not_live()

    def seek(self, to_ns: int) -> None:
        """Not on a live mission."""
        self._not_live()

    def jump(self, kind: Literal["event", "loss", "low-trust"], *, forward: bool) -> bool:
        """Not on a live mission."""
        self._not_live()

    def _not_live(self) -> NoReturn:
        raise UserError(
            "this mission is on the air, so its time cannot be moved; `gvc-base replay "
            f"{self._shared.archive.path}` shows what was recorded, beside this one, too"
        )

    def _stream(self, drone_id: str) -> StreamRun:
        streams = self._base.streams
        for stream in streams:
            if stream.drone_id == drone_id:
                return stream
        known = ", ".join(stream.drone_id for stream in streams) or "none yet"
        raise UserError(f"no drone {drone_id} is heard; heard are: {known}")

    def _asks_of(self, stream: StreamRun) -> list[AskRow]:
        return [_row(stream, ask, self._shared.now()) for ask in stream.back.asks()]


def _row(stream: StreamRun, ask: AskState, now: int) -> AskRow:
    about = told(ask.command)
    number = ask.command.command_id
    row = AskRow(
        ask_id=number, drone_id=stream.drone_id, asked_ns=min(ask.asked_ns, now),
        what=asked_text(about), state=ask.state,
    )  # fmt: skip
    if "box" not in about:
        return row
    share, known = stream.regions.progress(number), stream.regions.about(number)
    came = f"{100 * share:.0f} % of the box came" if 0 < share < 1 else ""
    return replace(row, picture=share > 0, about="; ".join(t for t in (came, known) if t))
