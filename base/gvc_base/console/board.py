"""The station's state, asked for once for all browsers, off the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from gvc_base.console.plain import ms, plain
from gvc_base.console.view import StationView
from gvc_protocol.errors import UserError

__all__ = ["Board", "ViewFault"]

T = TypeVar("T")

_FRESH_S = 0.2
_THREADS = 8


class ViewFault(Exception):  # noqa: N818 - of the view, not of its user
    """A call of the view failed; the text is a line for the operator."""


class Board:
    """Calls of a view from an event loop, and its state kept for a moment."""

    def __init__(self, view: StationView) -> None:
        self.view = view
        self._calls = ThreadPoolExecutor(_THREADS, "console-call")
        self._lock = asyncio.Lock()
        self._state: dict[str, Any] = {}
        self._at = 0.0

    async def call(self, what: Callable[[], T]) -> T:
        """Run something of the view, which may block, on a thread.

        Raises:
            UserError: as the view does.
            ViewFault: the view raised anything else. It must not be taken for a fault of the connection.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._calls, what)
        except UserError:
            raise
        except Exception as error:
            raise ViewFault(f"{type(error).__name__}: {error}") from error

    async def state(self) -> dict[str, Any]:
        """{type, now_ms, base, drones, asks, transport}: at most a fifth of a second old."""
        async with self._lock:
            if time.monotonic() - self._at > _FRESH_S:
                self._state = await self.call(self._ask)
                self._at = time.monotonic()
            return self._state

    def stale(self) -> None:
        """Something was changed: the next state is asked for anew."""
        self._at = 0.0

    def close(self) -> None:
        """Waits for no call."""
        self._calls.shutdown(wait=False, cancel_futures=True)

    def _ask(self) -> dict[str, Any]:
        view, transport = self.view, self.view.transport()
        now_ns = time.time_ns() if transport is None else transport.now_ns
        return {
            "type": "state", "now_ms": ms(now_ns), "base": plain(view.base()),
            "drones": [plain(drone) for drone in view.drones()],
            "asks": [plain(row) for row in view.asks()],
            "transport": plain(transport),
        }  # fmt: skip
