"""What SVT-AV1 must not do to the process that uses it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_CODE = """
import os, sys
from fractions import Fraction
import av
import numpy as np
from gvc_edge.codecs.av1 import encode, open_svt

def policies():
    found = set()
    for name in os.listdir("/proc/self/task"):
        found.add(os.sched_getscheduler(int(name)))
    return found

before, nice = policies(), os.nice(0)
context = av.CodecContext.create("libsvtav1", "w")
context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"
context.framerate, context.time_base = Fraction(10), Fraction(1, 10)
open_svt(context)
# While its own threads live, too.
assert policies() == before, policies()
del context
encode([np.zeros((96, 64), np.uint8)], crf=50, fps=Fraction(10), still=True)
assert policies() == before and os.nice(0) == nice
"""


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="priorities are Linux's")
def test_svt_av1_leaves_the_priorities_of_the_process_alone() -> None:
    """As root it would make itself and its caller real-time, and starve whatever else runs."""
    if os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):
        pytest.skip("this process is real-time already")
    done = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
