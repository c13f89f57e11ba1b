"""The other side of `--workers dask://`: a scheduler, and processes that join it."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import Any

import dask
import distributed

from gvc_base.workers import WorkersSpec
from gvc_base.workers.dask_pool import NO_PAGES, child_environ, prepare, security_of
from gvc_protocol.errors import UserError

__all__ = ["join", "schedule"]

_AGAIN_S = 2.0
_LOOK_S = 0.1


def schedule(
    spec: WorkersSpec, say: Callable[[str], None], stop: threading.Event | None = None
) -> None:
    """Run a scheduler at that address until a signal, or until `stop` where one is given.

    Raises:
        UserError: the address cannot be had.
    """
    prepare()

    async def serve() -> None:
        ended = _on_signals() if stop is None else None
        protocol = spec.address.partition("://")[0]
        try:
            scheduler: Any = await distributed.Scheduler(
                host=spec.host, port=spec.port, protocol=protocol, security=security_of(spec),
                dashboard=False, dashboard_address=NO_PAGES,
            )  # fmt: skip
        except OSError as error:
            raise UserError(f"{spec.url} cannot be listened on: {error}") from None
        say(f"scheduler of decode workers on {spec.url}{'' if spec.tls is None else ', TLS'}")
        while stop is not None and not stop.is_set():
            await asyncio.sleep(_LOOK_S)
        if ended is not None:
            await ended.wait()
        await scheduler.close()

    asyncio.run(serve())


def join(spec: WorkersSpec, processes: int, say: Callable[[str], None]) -> None:
    """Decode for whoever asks that scheduler, in so many processes, until a signal.

    A process that ends is started again, and a scheduler that goes away is waited for.
    """
    prepare()

    async def work() -> None:
        ended = _on_signals()
        say(f"{processes} decode workers for {spec.url}{'' if spec.tls is None else ', TLS'}")
        await asyncio.gather(*(_stay(spec, processes, ended) for _ in range(processes)))

    asyncio.run(work())


async def _stay(spec: WorkersSpec, processes: int, ended: asyncio.Event) -> None:
    """One process, again and again."""
    while not ended.is_set():
        with dask.config.set({"distributed.nanny.pre-spawn-environ": child_environ(processes)}):
            nanny: Any = distributed.Nanny(
                spec.address, nthreads=1, memory_limit=0, security=security_of(spec),
                preload="gvc_base.workers.preload", dashboard=False,
                dashboard_address=NO_PAGES,
            )  # fmt: skip
        over = asyncio.ensure_future(ended.wait())
        try:
            running = asyncio.ensure_future(_run(nanny))
            await asyncio.wait({running, over}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await nanny.close()
            await asyncio.wait({running}, timeout=10)
        finally:
            over.cancel()
        if not ended.is_set():
            await asyncio.sleep(_AGAIN_S)


async def _run(nanny: Any) -> None:
    try:
        await nanny
        await nanny.finished()
    except Exception:  # no scheduler, or it left: tried again
        await nanny.close()


def _on_signals() -> asyncio.Event:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    return ended
