"""Who may use the console. The first thing that a request meets.

Host         on loopback only loopback names: a page elsewhere whose name points here (DNS rebinding)
             is turned away.
Origin       a WebSocket or a POST that a page of another site makes is turned away.
Token        where the console is not on loopback: given once, then a cookie that scripts cannot read and
             other sites cannot send. Nothing but the login page is served without it.
Headers      nothing from elsewhere is loaded, no other site frames or reads a page.

The connection is not encrypted: on a network with strangers put it through a VPN or an SSH tunnel.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from collections.abc import Callable
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "new_token"]

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?")
_LOCAL_NAMES = re.compile(r"localhost|127(?:\.\d{1,3}){3}|\[::1\]")
_LOGIN_BYTES = 4096
_SLOWEST_S = 4.0
_OPEN_PATHS = ("/login", "/static/")

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def new_token() -> str:
    """A token that can be read out and typed: four groups of four, 79 bits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    groups = ("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))
    return "-".join(groups)


class Guard:
    """ASGI middleware around the whole console."""

    def __init__(
        self, app: ASGIApp, *, token: str | None, loopback: bool, login_page: str,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._app, self._loopback, self._page, self._say = app, loopback, login_page, say
        self._token = None if token is None else token.strip().encode()
        # The cookie is worth nothing after a restart, and tells nothing of the token.
        self._cookie = hmac.new(secrets.token_bytes(32), b"console", sha256).hexdigest()
        self._wrong = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 4403, "reason": refusal[1]})
            return
        sender = _with_headers(scope, send)
        if refusal is not None:
            status, why = refusal
            response: Response = PlainTextResponse(why + "\n", status)
            if status == 401 and scope["path"] == "/":
                response = RedirectResponse("/login", 303)
            await response(scope, receive, sender)
        elif scope["path"] == "/login":
            await self._login(scope, receive, sender)
        else:
            await self._app(scope, receive, sender)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """(status, why), or None where the request may go on."""
        headers = Headers(scope=scope)
        host = _HOST.fullmatch(headers.get("host", ""))
        if host is None:
            return 400, "the request names no host"
        if self._loopback and not _LOCAL_NAMES.fullmatch(host["name"].lower()):
            return 421, "this console is on this machine alone: open it as 127.0.0.1 or localhost"
        asks = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if asks and not _same_origin(headers.get("origin"), host[0]):
            return 403, "a page of another site may not use this console"
        if self._token is None or scope["path"].startswith(_OPEN_PATHS):
            return None
        given = _cookies(headers).get(self._cookie_name(scope), "")
        if not hmac.compare_digest(given.encode(), self._cookie.encode()):
            return 401, "log in first, at /login"
        return None

    def _cookie_name(self, scope: Scope) -> str:
        # Cookies do not know ports: two consoles on one machine would log each other out.
        server = scope.get("server") or ("", 0)
        return f"gvc_console_{server[1]}"

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._token is None:
            await RedirectResponse("/", 303)(scope, receive, send)
            return
        if scope["method"] != "POST":
            await HTMLResponse(self._page)(scope, receive, send)
            return
        given = _form_token(await _body(receive, _LOGIN_BYTES))
        if not hmac.compare_digest(sha256(given).digest(), sha256(self._token).digest()):
            self._wrong += 1
            if self._wrong in (3, 30, 300):
                self._say(f"console: {self._wrong} wrong tokens were given")
            await asyncio.sleep(min(_SLOWEST_S, 0.1 * 2 ** min(self._wrong, 10)))
            wrong = self._page.replace('role="alert" hidden', 'role="alert"')
            await HTMLResponse(wrong, 401)(scope, receive, send)
            return
        self._wrong = 0
        response = RedirectResponse("/", 303)
        response.set_cookie(
            self._cookie_name(scope), self._cookie, httponly=True, samesite="strict", path="/"
        )
        await response(scope, receive, send)


def _same_origin(origin: str | None, host: str) -> bool:
    """Browsers name their origin with every WebSocket and POST; what names none is no page."""
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {name: m.value for name, m in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def _form_token(body: bytes) -> bytes:
    try:
        fields = parse_qs(body.decode(), max_num_fields=4)
    except ValueError:
        return b""
    return fields.get("token", [""])[0].strip().encode()


async def _body(receive: Receive, most: int) -> bytes:
    """The request's body; empty where it is longer than `most` bytes."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > most:
            return b""
        if not message.get("more_body", False):
            return b"".join(parts)


def _with_headers(scope: Scope, send: Send) -> Send:
    static = scope["path"].startswith("/static/")

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            # A page of an older version would not know what this one sends.
            headers["Cache-Control"] = "no-cache" if static else "no-store"
        await send(message)

    return wrapped
