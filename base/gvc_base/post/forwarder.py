"""The sender beside a base that runs: a thread of its own, which costs the mission nothing.

It reads what the base has committed, from the file, like any other reader. A server that is slow, full
or gone makes it wait, and nobody else.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gvc_base.post.sender import PostStatus, Sender
from gvc_base.post.server import PostServer
from gvc_protocol.errors import UserError

__all__ = ["Forwarder"]

_PATIENCE_S = 60.0
"A trouble as short as this is no warning on a screen: a satellite link has one every few minutes."


class Forwarder:
    """Sends a growing archive until `finish`."""

    def __init__(
        self, path: Path, server: PostServer, station: str, say: Callable[[str], None]
    ) -> None:
        """Nothing is begun before `start`; the archive must be there by then."""
        self._sender = Sender(path, server, station, say=say)
        self._path, self._server, self._say = path, server, say
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._complete = False
        self._ready, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="post", daemon=True)

    @property
    def status(self) -> PostStatus:
        """Where it is."""
        return self._sender.status

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return not self._ended.is_set()

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def warning(self) -> str:
        """What the operator has to know, on one line; empty when the rows go out."""
        status = self._sender.status
        if not status.problem or time.time() - status.since < _PATIENCE_S:
            return ""
        since = datetime.fromtimestamp(status.since, UTC)
        wait = f", {status.waiting} datagrams wait" if status.waiting else ""
        return f"command post not reached since {since:%H:%M} UTC{wait}: {status.problem}"

    def finish(self, limit_s: float = 1.0) -> None:
        """Send what is left, if that takes no longer than this, and end. Call it once the archive is
        closed, so that its closing signature goes out, too."""
        if not self._thread.is_alive():
            return
        end = time.monotonic() + limit_s
        self._ready.wait(limit_s)
        self._call(self._sender.finish)
        if not self._ended.wait(max(0.0, end - time.monotonic())):
            self._call(self._cancel)
            self._ended.wait(0.5)
        if not self._complete:
            self._say(
                f"command post {self._server.url}: not all of {self._path} is there; `gvc-base post "
                f"send {self._path} --to {self._server.url}` sends the rest, and so does the next run"
            )

    def _call(self, what: Callable[[], None]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(what)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(self._send())
        self._ended.set()

    async def _send(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._ready.set()
        try:
            self._complete = await self._sender.run(follow=True)
        except UserError as error:
            self._say(f"command post {self._server.url}: {error}; nothing is sent")
