"""What every test run has: no more threads than cores."""

from __future__ import annotations

import os

# One process a core runs the suite; threads of each for all cores wait for one another, and a small
# network's training took twenty times as long. The programs that tests start inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
