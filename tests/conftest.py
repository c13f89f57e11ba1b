"""What every test run has: no more threads than cores, and programs that are compiled once."""

from __future__ import annotations

import os
import sys

import pytest

# One process a core runs the suite; threads of each for all cores wait for one another, and a small
# network's training took twenty times as long. OpenCV's threads wait for work by spinning: without them
# a tenth of its processor time is saved. The programs that tests start inherit both.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")

# The suite starts hundreds of programs. Where the environment forbids bytecode, each of them compiles
# every module anew, which is half a second of processor time a start for nothing.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Folders with the longest files, waits for radios and cameras included.
_LONG = ("e2e", "console", "security", "station", "post", "workers", "base", "edge", "peers")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: when one worker has nothing left to do, the others have little."""

    def rank(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return _LONG.index(folder) if folder in _LONG else len(_LONG)

    items.sort(key=rank)
