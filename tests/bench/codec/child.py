"""Decodes a capture to raw frames, in a process that is given the capture and nothing else.

usage: python -m tests.bench.codec.child CAPTURE FRAMES.npy QUALITY BACKEND  -> one JSON line
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from gvc_base.decoders import BACKENDS, make_decoder
from gvc_base.mission import Mission
from gvc_base.recording import PCAP_PARAMS, open_recording
from gvc_protocol.codec import UnitDecoder
from gvc_protocol.errors import UserError
from gvc_protocol.marks import Mark


def decode(capture: Path, frames: Path, quality: str, backend: str) -> dict[str, object]:
    """Every frame of the capture's source, unmarked, to a .npy of uint8[n, h, w, 3]."""
    recording = open_recording(capture, None)
    mission = Mission(PCAP_PARAMS)
    decoder: UnitDecoder | None = None
    out: np.memmap | None = None
    tiles = np.zeros(len(Mark), np.int64)
    count, seconds, first_s = 0, 0.0, 0.0
    jobs, now = [], 0
    for now, data in recording.packets():
        jobs += mission.receive(data, now)
    jobs += mission.close(now, to_total=True)
    for job in jobs:
        if decoder is None:
            decoder = make_decoder(job.spec, quality, backend)  # type: ignore[arg-type]
        began = time.perf_counter()
        for frame in decoder.decode(job.unit, job.span):
            if not count and not first_s:
                first_s = time.perf_counter() - began
            if frame.frame_no < job.first_new_frame:
                continue
            if out is None:
                shape = (mission.total_frames, *frame.pixels.shape)
                out = np.lib.format.open_memmap(frames, "w+", np.uint8, shape)
            out[count] = frame.pixels
            tiles += np.bincount(frame.mark.ravel(), minlength=len(Mark))
            count += 1
        seconds += time.perf_counter() - began
    if out is None or decoder is None:
        raise UserError(f"{capture} holds no unit that can be decoded")
    # A stream that ends early shows its last picture to the end.
    out[count:] = out[count - 1]
    total = max(1, int(tiles.sum()))
    return {
        "decoder": decoder.label, "frames": count, "seconds": seconds, "first_s": first_s,
        "marks": {m.name.lower(): round(int(tiles[m]) / total, 4) for m in Mark},
    }  # fmt: skip


if __name__ == "__main__":
    assert sys.argv[4] in BACKENDS
    print(json.dumps(decode(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])))
