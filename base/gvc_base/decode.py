"""`gvc-base decode`: a recording to video, marks and totals. One pass, one unit in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from gvc_base.behind import Behind
from gvc_base.decode_pass import DecodePass, DecodeSettings
from gvc_base.decoders import Backend
from gvc_base.exports import Exports, Outputs, marks_path_for
from gvc_base.neural.weights import FOLDER as WEIGHTS
from gvc_base.recording import Recording
from gvc_base.report import DecodeReport
from gvc_profiles.sight.detector import Detector
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import Quality
from gvc_protocol.errors import UserError
from gvc_protocol.events import ReceiverEvent
from gvc_protocol.marks import Mark

__all__ = ["Outputs", "decode_recording", "marks_path_for"]


def decode_recording(
    recording: Recording, outputs: Outputs, *, quality: Quality, backend: Backend = "auto",
    stream_id: int | None = None, boot_id: int | None = None,
    on_event: Callable[[ReceiverEvent], None] = lambda _: None,
    on_frame: Callable[[int, int], None] = lambda _done, _total: None,
    key: LinkKey | None = None, detector: Detector | None = None, weights: Path = WEIGHTS,
) -> DecodeReport:  # fmt: skip
    """Decode everything that a recording holds.

    Args:
        detector: looks for objects in what is shown, to hold them against what the sender saw.
        on_frame: called with (frames so far, frames of the source or 0) after each frame.
        key: only what it vouches for is decoded, as the live base with that key did.
        weights: folder of the network's weights.

    Raises:
        UserError: no unit can be decoded, or an output cannot be written.
    """
    settings = DecodeSettings(
        quality=quality, backend=backend, stream_id=stream_id, boot_id=boot_id, key=key,
        detector=detector, weights=weights,
    )  # fmt: skip
    run = DecodePass(recording, settings, on_event)
    began = time.perf_counter()
    with ExitStack() as stack:
        sinks = Exports(outputs, stack, run.mission.label)
        with Behind(sinks.write) as write:  # decoding and writing are about the same work
            for done, shown in enumerate(run.frames(), 1):
                write(shown.frame, shown.job.span)
                on_frame(done, run.mission.total_frames)
        if sinks.frames == 0:
            raise UserError(run.nothing())
        sinks.finish()
    report = run.report
    report.frames, report.seconds = sinks.frames, round(report.seconds, 6)
    report.frames_per_s = sinks.frames / max(1e-9, time.perf_counter() - began)
    run.mission.fill_report(report)
    report.notes += run.notes()
    report.air_bps = report.air_bytes * 8 / report.seconds if report.seconds else 0.0
    report.notes += [*sinks.sign(), *filter(None, (run.score.text(),))]
    total = max(1, int(sinks.tiles.sum()))
    report.marks = {m.name.lower(): round(int(sinks.tiles[m]) / total, 4) for m in Mark}
    return report
