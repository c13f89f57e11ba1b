"""A loop that catches what its client library raises ends when it is asked to."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from gvc_base.post.server import heed_cancel
from tests.post.running import finished


async def _swallows() -> None:
    while True:
        heed_cancel()
        with suppress(asyncio.CancelledError):  # as a wait does that ends in the same moment
            await asyncio.sleep(60)


def test_a_cancellation_that_a_library_swallowed_is_heeded() -> None:
    async def run() -> bool:
        task = asyncio.create_task(_swallows())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=20)
        return task.cancelled()

    assert finished(run())
