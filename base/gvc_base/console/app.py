"""The web console: any `StationView` in a browser, with nothing from elsewhere and no way to block it.

    StationView --> Pictures (one encode a picture) --+
                --> Board (state, shared)             +--> Feed (one a browser, WebSocket) --> browser
                --> routes (asks, notes, tiles, chips)+

It runs on a thread and an event loop of its own: a mission does not wait for a browser.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gvc_base.console.view import StationView
from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    import uvicorn

__all__ = ["Server", "is_loopback", "serve"]

_START_S = 10.0
_MESSAGE_BYTES = 64 * 1024
"The longest thing that a browser has to say."


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Server:
    """A console that runs until `close`."""

    def __init__(self, server: uvicorn.Server, thread: threading.Thread, url: str) -> None:
        self.url = url
        self._server, self._thread = server, thread

    def close(self) -> None:
        """Stop serving; browsers are told, and show that the console is gone."""
        self._server.should_exit = True
        self._thread.join(timeout=5.0)


def serve(
    view: StationView, *, host: str, port: int, token: str | None, say: Callable[[str], None]
) -> Server:
    """Serve the console of a view from a daemon thread.

    Args:
        host: name or address to listen on. Not loopback needs a token.
        port: 0 takes a free one, told by `Server.url`.
        token: what a browser must give once; None on loopback asks for nothing.
        say: takes lines for the operator's terminal.

    Raises:
        UserError: the address cannot be listened on, or would be open to everybody.
    """
    if token is not None and not token.strip():
        raise UserError("the console's token is empty; give one, or none on 127.0.0.1")
    if token is None and not is_loopback(host):
        raise UserError(
            f"a console on {host} would be open to everybody who reaches it; give it a token, "
            "or listen on 127.0.0.1"
        )
    import uvicorn

    from gvc_base.console.routes import make_app

    listener = _listen(host, port)
    config = uvicorn.Config(
        make_app(view, token=token, loopback=is_loopback(host), say=say),
        log_config=None, access_log=False, lifespan="on", ws="websockets-sansio",
        ws_max_size=_MESSAGE_BYTES, ws_ping_interval=10.0, ws_ping_timeout=20.0,
        ws_per_message_deflate=False, timeout_graceful_shutdown=1, server_header=False,
        h11_max_incomplete_event_size=32 * 1024, limit_concurrency=256,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="console", daemon=True)
    thread.start()
    end = time.monotonic() + _START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise UserError(f"the console did not start on {host}:{port}")
        time.sleep(0.01)
    bound = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    return Server(server, thread, f"http://{shown}:{bound}")


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise UserError(f"{port} is no port; give 1 to 65535, or 0 for a free one")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise UserError(f"{host!r} is no address of this machine; try 127.0.0.1") from None
    family, kind, proto, _, address = found[0]
    made = socket.socket(family, kind, proto)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(64)
    except OSError as error:
        made.close()
        raise UserError(
            f"the console cannot listen on {host}:{port}: {error.strerror}; "
            "stop what listens there, or give another port"
        ) from None
    return made
