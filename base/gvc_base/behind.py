"""Work that follows its caller: done in order on a thread of its own, a few steps behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, ParamSpec

__all__ = ["Behind"]

P = ParamSpec("P")

_MOST = 8
"Calls that may wait: each holds a picture."


class Behind(Generic[P]):
    """Context manager: call it like `work`; leaving it waits until all is done.

    What `work` raises comes out of a later call, or of leaving. Where the caller fails, or `work` does,
    what waits is dropped.

    Args:
        work: called on one other thread, one call after the other, in order.
    """

    def __init__(self, work: Callable[P, None]) -> None:
        self._work, self._waiting = work, deque[Future[None]]()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="behind")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Give it the next call; waits while too many are open."""
        self._waiting.append(self._thread.submit(self._work, *args, **kwargs))
        if len(self._waiting) > _MOST:
            self._waiting.popleft().result()

    def __enter__(self) -> Behind[P]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        try:
            while kind is None and self._waiting:
                self._waiting.popleft().result()
        finally:
            self._thread.shutdown(cancel_futures=True)
