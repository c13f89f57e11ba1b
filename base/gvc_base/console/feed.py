"""One browser's WebSocket: state and rows as they come, the newest picture when the last is painted.

From the browser: {"do": "watch", "drones": {ID: {"layer": NAME, "half": BOOL}}}
                  {"do": "painted", "drone": ID, "serial": NUMBER}
To the browser:   JSON {"type": state | samples | events | map | reset | trouble, ...}, and a picture as
                  binary: uint32 length of a JSON header, big-endian; the header; JPEG.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from gvc_base.console.board import Board, ViewFault
from gvc_base.console.layers import Layer, layer_of
from gvc_base.console.pictures import Pictures
from gvc_base.console.plain import as_json, map_plain, plain
from gvc_protocol.errors import UserError

__all__ = ["Feed"]

_STATE_S = 0.25
_ROWS_EVERY = 2
"Events come with every second state, samples and maps with every fourth."
_MOST_WATCHED = 64
_PAINT_S = 5.0
"A browser that does not say that it painted gets the next picture after this all the same."
_HISTORY_NS = 10 * 60 * 10**9


class Feed:
    """Serves one browser until it leaves."""

    def __init__(
        self, socket: WebSocket, board: Board, pictures: Pictures, say: Callable[[str], None]
    ) -> None:
        self._socket, self._board, self._pictures, self._say = socket, board, pictures, say
        self._sending = asyncio.Lock()
        self._wanted: dict[str, tuple[Layer, bool]] = {}
        self._watched: dict[str, tuple[Layer, bool]] = {}
        self._senders: dict[str, asyncio.Task[None]] = {}
        self._painted: dict[str, tuple[int, asyncio.Event]] = {}
        self._labels: dict[str, str] = {}
        self._event = -1
        self._sample_ns: dict[str, int] = {}
        self._maps: dict[str, str] = {}
        self._now_ms = 0.0

    async def run(self) -> None:
        """Until the browser is gone or the server stops."""
        await self._socket.accept()
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._tell())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with suppress(WebSocketDisconnect, RuntimeError, OSError):
                    task.result()
        finally:
            tasks += self._senders.values()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._socket.application_state == WebSocketState.CONNECTED:
                with suppress(WebSocketDisconnect, RuntimeError, OSError):
                    await self._socket.close()

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                wanted = json.loads(message.get("text") or "")
                await self._take(wanted)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                await self._send({"type": "trouble", "text": "the console was not understood"})

    async def _take(self, wanted: dict[str, Any]) -> None:
        if wanted["do"] == "watch":
            self._want(wanted["drones"])
        elif wanted["do"] == "painted":
            serial, painted = self._painted.get(str(wanted["drone"]), (-1, None))
            if painted is not None and wanted["serial"] == serial:
                painted.set()
        else:
            raise ValueError

    def _want(self, drones: dict[str, Any]) -> None:
        wanted: dict[str, tuple[Layer, bool]] = {}
        for drone_id, how in list(drones.items())[:_MOST_WATCHED]:
            layer = layer_of(how.get("layer", "marks"))
            if layer is None:
                raise ValueError
            wanted[drone_id] = (layer, bool(how.get("half")))
        self._wanted = wanted
        self._watch()

    def _watch(self) -> None:
        """Send what is wanted of the drones that there are."""
        asked = {d: how for d, how in self._wanted.items() if d in self._labels}
        for drone_id in [d for d, how in self._watched.items() if asked.get(d) != how]:
            self._senders.pop(drone_id).cancel()
            del self._watched[drone_id]
        for drone_id, how in asked.items():
            if drone_id not in self._watched:
                self._watched[drone_id] = how
                self._senders[drone_id] = asyncio.create_task(self._show(drone_id, *how))

    async def _show(self, drone_id: str, layer: Layer, half: bool) -> None:
        serial = -1
        with suppress(WebSocketDisconnect, RuntimeError, OSError), \
                self._pictures.watching(drone_id):  # fmt: skip
            while True:
                picture = await self._pictures.newest(
                    drone_id, layer, half=half, label=self._labels.get(drone_id, ""),
                    not_serial=serial,
                )  # fmt: skip
                serial = int(picture.header["serial"])
                painted = asyncio.Event()
                self._painted[drone_id] = serial, painted
                head = as_json({**picture.header, "drone": drone_id}).encode()
                async with self._sending:
                    await self._socket.send_bytes(
                        struct.pack(">I", len(head)) + head + picture.data
                    )
                with suppress(TimeoutError):
                    await asyncio.wait_for(painted.wait(), _PAINT_S)

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._sending:
            await self._socket.send_text(as_json(message))

    async def _tell(self) -> None:
        turn, told = 0, ""
        while True:
            try:
                await self._tell_once(turn)
                told = ""
            except (WebSocketDisconnect, RuntimeError, OSError):
                return
            except UserError as error:
                await self._send({"type": "trouble", "text": str(error)})
            except ViewFault as error:
                # It must not take the console away; the operator's terminal tells of it once.
                if str(error) != told:
                    told = str(error)
                    self._say(f"console: {told}")
                await self._send({"type": "trouble", "text": f"the base has a fault: {told}"})
            turn += 1
            await asyncio.sleep(_STATE_S)

    async def _tell_once(self, turn: int) -> None:
        state = await self._board.state()
        if state["transport"] is not None and state["now_ms"] < self._now_ms:
            # Recorded time went back: what lies ahead of it is not known yet.
            self._event, self._sample_ns, self._maps = -1, {}, {}
            await self._send({"type": "reset"})
            turn = 0
        self._now_ms = state["now_ms"]
        self._labels = {d["drone_id"]: d["label"] for d in state["drones"]}
        self._watch()
        await self._send(state)
        if turn % _ROWS_EVERY == 0:
            await self._tell_events()
        if turn % (2 * _ROWS_EVERY) == 0:
            for drone_id in self._labels:
                await self._tell_drone(drone_id, int(state["now_ms"] * 1e6))

    async def _tell_events(self) -> None:
        view, after = self._board.view, self._event
        rows = await self._board.call(lambda: view.events(after=after))
        if rows:
            self._event = max(row.event_id for row in rows)
            await self._send({"type": "events", "rows": [plain(row) for row in rows]})

    async def _tell_drone(self, drone_id: str, now_ns: int) -> None:
        view = self._board.view
        since = max(self._sample_ns.get(drone_id, 0), now_ns - _HISTORY_NS)
        samples = await self._board.call(lambda: view.history(drone_id, since_ns=since))
        fresh = [s for s in samples if s.time_ns > self._sample_ns.get(drone_id, -1)]
        if fresh:
            self._sample_ns[drone_id] = fresh[-1].time_ns
            rows = [plain(sample) for sample in fresh]
            await self._send({"type": "samples", "drone": drone_id, "rows": rows})
        state = map_plain(await self._board.call(lambda: view.map(drone_id)))
        told = as_json(state)
        if self._maps.get(drone_id) != told:
            self._maps[drone_id] = told
            await self._send({"type": "map", "drone": drone_id, "map": state})
