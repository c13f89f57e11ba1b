"""Loaded by a worker process before it takes work (`dask worker --preload gvc_base.workers.preload`)."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import suppress
from typing import Any

import cv2

import gvc_base.workers.session  # noqa: F401  (so that the first unit needn't wait for it)

__all__ = ["dask_setup"]

THREADS = "GVC_WORKER_THREADS"


def dask_setup(_worker: Any) -> None:
    """Called by dask."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    threads = os.environ.get(THREADS, "")
    if threads.isascii() and threads.isdigit():
        cv2.setNumThreads(int(threads))
    with suppress(ValueError):
        # Ctrl-C goes to the terminal's whole group; the base still needs us for the last units.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
