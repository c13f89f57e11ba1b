"""Sender and receiver in this process, and what stands in the copies."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, TypeVar

from gvc_base.post.receiver import PostReceiver
from gvc_base.post.sender import Sender
from gvc_base.post.server import PostServer, parse_server
from tests.post.growing import all_rows

__all__ = ["Running", "copies", "datagrams", "finished", "is_like", "receiving", "send"]

T = TypeVar("T")


class Running:
    """A coroutine in a loop of its own thread, until cancelled."""

    def __init__(self, work: Coroutine[Any, Any, object]) -> None:
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(work)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())

    @property
    def done(self) -> bool:
        return self._task.done()

    def stop(self) -> None:
        if not self._task.done():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(30)
        assert not self._thread.is_alive()


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run it to its end in a thread of its own: a browser's tests leave a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def receiving(
    stack: ExitStack,
    server: PostServer | str,
    out: Path,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[PostReceiver, Running]:
    """A receiver that runs; the stack ends it."""
    server = parse_server(server) if isinstance(server, str) else server
    receiver = PostReceiver(server, out, say=say)
    stack.callback(receiver.close)
    running = Running(receiver.run())
    stack.callback(running.stop)
    return receiver, running


def send(path: Path, server: PostServer | str, **more: Any) -> Sender:
    """Send an archive at rest to its end."""
    server = parse_server(server) if isinstance(server, str) else server
    say = more.pop("say", lambda _: None)
    sender = Sender(path, server, more.pop("station", "alpha"), say=say, **more)
    finished(asyncio.wait_for(sender.run(follow=False), 60))
    return sender


def copies(out: Path, station: str) -> list[Path]:
    return sorted((out / station).glob("*.db"))


def datagrams(path: Path) -> int:
    with closing(sqlite3.connect(path)) as conn:
        return int(conn.execute("SELECT coalesce(max(id), 0) FROM datagrams").fetchone()[0])


def is_like(path: Path, out: Path, station: str) -> bool:
    """Whether the post has one copy of this archive, and every row of it."""
    found = copies(out, station)
    try:
        return len(found) == 1 and all_rows(found[0]) == all_rows(path)
    except sqlite3.OperationalError:
        return False  # its tables are just being made
