"""Shown pictures for all browsers: one wait a drone, one encode a (drone, layer, size, serial).

    view.shown (waits, thread) -> Stream (newest only) -> encode (thread, shared) -> each browser

Nothing queues. A browser that is slow finds the newest picture when it comes back, all that lay between
is skipped; one that is fast waits here without costing a thread of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from gvc_base.console.layers import Layer, Painted, paint_layer
from gvc_base.console.view import Shown, StationView
from gvc_protocol.errors import UserError

__all__ = ["Pictures"]

_WAIT_S = 0.5
_LEAST_S = 0.02
"A view that does not wait is not asked more often than this."
_AFTER_TROUBLE_S = 1.0
_MOST_DRONES = 64
_PAINTERS = 2


class _Stream:
    """The newest picture of one drone, asked for while somebody looks."""

    def __init__(self) -> None:
        self.watchers = 0
        self.newest: Shown | None = None
        self._came = asyncio.Event()

    def put(self, shown: Shown) -> None:
        self.newest = shown
        self._came.set()
        self._came = asyncio.Event()

    async def newer(self, serial: int) -> Shown:
        """The newest picture that is not the one of `serial`, waiting for it."""
        while self.newest is None or self.newest.serial == serial:
            await self._came.wait()
        return self.newest


class Pictures:
    """Belongs to one event loop; `close` it there."""

    def __init__(self, view: StationView, say: Callable[[str], None]) -> None:
        self._view, self._say = view, say
        self._streams: dict[str, _Stream] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waiters = ThreadPoolExecutor(_MOST_DRONES, "console-wait")
        self._painters = ThreadPoolExecutor(_PAINTERS, "console-paint")
        self._made: dict[tuple[str, Layer, bool], tuple[int, str, asyncio.Future[Painted]]] = {}

    @contextmanager
    def watching(self, drone_id: str) -> Iterator[None]:
        """While one watches, the drone's pictures are asked for."""
        stream = self._streams.setdefault(drone_id, _Stream())
        stream.watchers += 1
        task = self._tasks.get(drone_id)
        if task is None or task.done():
            self._tasks[drone_id] = asyncio.create_task(self._follow(drone_id, stream))
        try:
            yield
        finally:
            stream.watchers -= 1

    async def newest(
        self, drone_id: str, layer: Layer, *, half: bool, label: str, not_serial: int
    ) -> Painted:
        """The newest picture's layer, coded; waits until it is another than `not_serial`."""
        shown = await self._streams[drone_id].newer(not_serial)
        key = (drone_id, layer, half)
        kept = self._made.get(key)
        if kept is None or kept[:2] != (shown.serial, label):
            loop = asyncio.get_running_loop()
            painted = loop.run_in_executor(
                self._painters, lambda: paint_layer(shown, layer, half=half, label=label)
            )
            kept = self._made[key] = (shown.serial, label, painted)
        # Who leaves does not take the picture away from the others.
        return await asyncio.shield(kept[2])

    async def close(self) -> None:
        """No more pictures."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._waiters.shutdown(wait=False, cancel_futures=True)
        self._painters.shutdown(wait=False, cancel_futures=True)

    async def _follow(self, drone_id: str, stream: _Stream) -> None:
        loop, serial, told = asyncio.get_running_loop(), -1, ""
        while stream.watchers > 0:
            began = time.monotonic()
            try:
                after = serial
                shown = await loop.run_in_executor(
                    self._waiters,
                    lambda: self._view.shown(drone_id, after=after, wait_s=_WAIT_S),  # noqa: B023
                )
            except UserError:
                shown = None  # a drone that left; its tile goes with the next state
                await asyncio.sleep(_AFTER_TROUBLE_S)
            except Exception as error:
                # One drone's trouble is its own: the console and the other drones go on.
                told = self._tell(drone_id, f"{type(error).__name__}: {error}", told)
                shown = None
                await asyncio.sleep(_AFTER_TROUBLE_S)
            if shown is not None:
                serial = shown.serial
                stream.put(shown)
            elif (spent := time.monotonic() - began) < _LEAST_S:
                await asyncio.sleep(_LEAST_S - spent)
        self._forget(drone_id, stream)

    def _tell(self, drone_id: str, line: str, told: str) -> str:
        if line != told:
            self._say(f"console: no picture of drone {drone_id}: {line}")
        return line

    def _forget(self, drone_id: str, stream: _Stream) -> None:
        """Nobody looks: the last picture would be an old one when somebody does again."""
        stream.newest = None
        for key in [key for key in self._made if key[0] == drone_id]:
            del self._made[key]
