"""What every test run has: no more threads than cores, and programs that are compiled once."""

from __future__ import annotations

import os
import sys

# One process a core runs the suite; threads of each for all cores wait for one another, and a small
# network's training took twenty times as long. The programs that tests start inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The suite starts hundreds of programs. Where the environment forbids bytecode, each of them compiles
# every module anew, which is half a second of processor time a start for nothing.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
