"""The console's addresses. Reading is GET, doing is POST with JSON; a refusal is {"error": line}.

/  /login  /static/...                  pages
/ws                                     state and pictures as they come (`feed`)
GET  /api/state                         what all browsers are told
GET  /api/picture/DRONE.png?layer=NAME  the shown picture without loss, strip and all
GET  /api/tile/DRONE/ROW/COLUMN         where a tile comes from
GET  /api/chip/EVENT.png  /api/answer/ASK.png
POST /api/ask {drone, wanted}  /api/note {drone, text, bookmark}
POST /api/play {playing, speed}  /api/seek {to_ms}  /api/jump {kind, forward}
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from gvc_base.console.board import Board, ViewFault
from gvc_base.console.feed import Feed
from gvc_base.console.guard import Guard
from gvc_base.console.layers import encode_png, layer_of
from gvc_base.console.pictures import Pictures
from gvc_base.console.plain import as_json, plain
from gvc_base.console.view import StationView
from gvc_protocol.errors import UserError

__all__ = ["make_app"]

_STATIC = Path(__file__).parent / "static"
_BODY_BYTES = 64 * 1024
_TEXT_CHARS = 2000
_JUMPS = ("event", "loss", "low-trust")
_LARGEST = 2**31 - 1

Handler = Callable[[Request], Awaitable[Response]]
Doing = Callable[[dict[str, Any]], Any]


class _Console:
    """Handlers over one view."""

    def __init__(self, view: StationView, say: Callable[[str], None]) -> None:
        self.view, self.say = view, say
        self.board: Board
        self.pictures: Pictures

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self.board, self.pictures = Board(self.view), Pictures(self.view, self.say)
        try:
            yield
        finally:
            await self.pictures.close()
            self.board.close()

    async def socket(self, socket: WebSocket) -> None:
        await Feed(socket, self.board, self.pictures, self.say).run()

    async def state(self, _request: Request) -> Response:
        return _json(await self.board.state())

    async def picture(self, request: Request) -> Response:
        drone, layer = request.path_params["drone"], layer_of(request.query_params.get("layer"))
        if layer is None:
            raise UserError("?layer= is one of marks, heat, received, plain")
        label = await self._label(drone)

        def make() -> bytes | None:
            shown = self.view.shown(drone)
            return None if shown is None else encode_png(shown, layer, label)

        return _png(await self.board.call(make), f"no picture of drone {drone} is shown yet")

    async def tile(self, request: Request) -> Response:
        at = request.path_params
        await self._label(at["drone"])
        row, column = at["row"], at["column"]
        if max(row, column) > _LARGEST:
            raise UserError("there is no such tile")
        source = await self.board.call(lambda: self.view.tile(at["drone"], row, column))
        return _json(plain(source))

    async def chip(self, request: Request) -> Response:
        event = request.path_params["event"]
        return _png(await self.board.call(lambda: self.view.chip(event)), "no picture of it")

    async def answer(self, request: Request) -> Response:
        ask = request.path_params["ask"]
        return _png(await self.board.call(lambda: self.view.answer(ask)), "nothing came of it yet")

    async def _label(self, drone_id: str) -> str:
        for drone in (await self.board.state())["drones"]:
            if drone["drone_id"] == drone_id:
                return str(drone["label"])
        raise HTTPException(404, f"no drone {drone_id} in this mission")

    def ask(self, body: dict[str, Any]) -> Any:
        wanted = body.get("wanted")
        if not isinstance(wanted, dict) or not isinstance(wanted.get("ask"), str):
            raise UserError("say what is asked: {drone, wanted: {ask: region, box: [x, y, w, h]}}")
        return self.view.ask(_text(body, "drone"), wanted)

    def note(self, body: dict[str, Any]) -> Any:
        text, bookmark = _text(body, "text", empty=True), _flag(body, "bookmark")
        if not text.strip() and not bookmark:
            raise UserError("the note is empty")
        return self.view.note(_text(body, "drone"), text.strip(), bookmark=bookmark)

    def play(self, body: dict[str, Any]) -> Any:
        self._recorded()
        playing = _flag(body, "playing") if "playing" in body else None
        speed = _number(body, "speed", 0.25, 16) if "speed" in body else None
        self.view.play(playing=playing, speed=speed)

    def seek(self, body: dict[str, Any]) -> Any:
        transport = self._recorded()
        low, high = transport.first_ns, transport.last_ns
        to_ns = round(_number(body, "to_ms", 0, 1e15) * 1e6)
        self.view.seek(min(max(to_ns, low), high))

    def jump(self, body: dict[str, Any]) -> Any:
        self._recorded()
        kind = body.get("kind")
        if kind not in _JUMPS:
            raise UserError(f"one can jump to {', '.join(_JUMPS)}")
        return {"found": self.view.jump(kind, forward=_flag(body, "forward"))}

    def _recorded(self) -> Any:
        transport = self.view.transport()
        if transport is None:
            raise UserError("this is a live mission: there is no recorded time to move in")
        return transport

    def post(self, name: str, do: Doing) -> Route:
        async def handle(request: Request) -> Response:
            body = await _object(request)
            done = await self.board.call(lambda: do(body))
            self.board.stale()
            return _json(plain(done))

        return Route(f"/api/{name}", _guarded(handle, self.say), methods=["POST"])


def make_app(
    view: StationView, *, token: str | None, loopback: bool, say: Callable[[str], None]
) -> ASGIApp:
    """The console as an ASGI application, its guard around it."""
    # Not every system knows its own files' types, and a module of another type does not load.
    mimetypes.add_type("text/javascript", ".js")
    console = _Console(view, say)
    index, login = ((_STATIC / f"{name}.html").read_text() for name in ("index", "login"))

    async def page(_request: Request) -> Response:
        return HTMLResponse(index)

    def get(path: str, handle: Handler) -> Route:
        return Route(path, _guarded(handle, say), methods=["GET"])

    doings: dict[str, Doing] = {
        "ask": console.ask, "note": console.note, "play": console.play, "seek": console.seek,
        "jump": console.jump,
    }  # fmt: skip
    app = Starlette(
        routes=[
            get("/", page),
            get("/api/state", console.state),
            get("/api/picture/{drone}.png", console.picture),
            get("/api/tile/{drone}/{row:int}/{column:int}", console.tile),
            get("/api/chip/{event:int}.png", console.chip),
            get("/api/answer/{ask:int}.png", console.answer),
            *(console.post(name, do) for name, do in doings.items()),
            WebSocketRoute("/ws", console.socket),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        lifespan=console.lifespan,
        exception_handlers={
            UserError: _refused,
            HTTPException: _http_error,
        },
    )
    return Guard(app, token=token, loopback=loopback, login_page=login, say=say)


def _json(value: Any, status: int = 200) -> Response:
    return Response(as_json(value), status, media_type="application/json")


def _png(data: bytes | None, why_not: str) -> Response:
    if data is None:
        return _json({"error": why_not}, 404)
    return Response(data, media_type="image/png")


async def _refused(_request: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 400)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": error.detail}, error.status_code)


def _guarded(handle: Handler, say: Callable[[str], None]) -> Handler:
    """The handler; a fault of the view is a line for the operator, in both places."""

    async def guarded(request: Request) -> Response:
        try:
            return await handle(request)
        except (UserError, HTTPException):
            raise
        except Exception as error:
            line = (
                str(error) if isinstance(error, ViewFault) else f"{type(error).__name__}: {error}"
            )
            say(f"console: {request.url.path}: {line}")
            return _json({"error": f"the base has a fault: {line}"}, 500)

    return guarded


async def _object(request: Request) -> dict[str, Any]:
    """The request's JSON object.

    Raises:
        UserError: it is none, or too long.
    """
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > _BODY_BYTES:
            raise HTTPException(413, f"no more than {_BODY_BYTES} bytes")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise UserError("this is no JSON object")
    return body


def _text(body: dict[str, Any], name: str, *, empty: bool = False) -> str:
    value = body.get(name)
    if not isinstance(value, str) or len(value) > _TEXT_CHARS or not (value or empty):
        raise UserError(f"{name} must be a text of at most {_TEXT_CHARS} characters")
    return value


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise UserError(f"{name} must be true or false")
    return value


def _number(body: dict[str, Any], name: str, low: float, high: float) -> float:
    value = body.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return float(value)
    raise UserError(f"{name} must be a number from {low:g} to {high:g}")
