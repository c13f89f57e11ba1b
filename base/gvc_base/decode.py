"""`gvc-base decode`: a recording to video, marks and totals. One pass, one unit in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from gvc_base.alarms import watch
from gvc_base.decoders import Backend, make_decoder
from gvc_base.decoders.gvc_parts import PlacedPatch
from gvc_base.exports import Exports, Outputs, marks_path_for
from gvc_base.mission import Mission
from gvc_base.recording import Recording
from gvc_base.regions import RegionPatches, paste
from gvc_base.report import DecodeReport
from gvc_base.resume import RecoveredUnits
from gvc_base.timeline import DecodeJob
from gvc_base.truth_score import RunningScore, score_region, settled
from gvc_profiles.sight.detector import Detector
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import DecodedFrame, Quality, UnitDecoder
from gvc_protocol.errors import UserError
from gvc_protocol.events import MessageReady, ReceiverEvent
from gvc_protocol.marks import Mark
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.replay import ReplayGuard
from gvc_protocol.wire import RejectReason

__all__ = ["Outputs", "decode_recording", "marks_path_for"]


def decode_recording(
    recording: Recording, outputs: Outputs, *, quality: Quality, backend: Backend = "auto",
    stream_id: int | None = None, boot_id: int | None = None,
    on_event: Callable[[ReceiverEvent], None] = lambda _: None,
    on_frame: Callable[[int, int], None] = lambda _done, _total: None,
    key: LinkKey | None = None, detector: Detector | None = None,
) -> DecodeReport:  # fmt: skip
    """Decode everything that a recording holds.

    Args:
        detector: looks for objects in what is shown, to hold them against what the sender saw.
        on_frame: called with (frames so far, frames of the source or 0) after each frame.
        key: only what it vouches for is decoded, as the live base with that key did.

    Raises:
        UserError: no unit can be decoded, or an output cannot be written.
    """
    guard = ReplayGuard()
    regions, recovered = _later(recording, key)
    mission = Mission(
        recording.params, stream_id=stream_id, boot_id=boot_id, on_event=on_event, key=key,
        replay=guard, recovered=recovered,
    )  # fmt: skip
    report, score = DecodeReport(quality=quality), RunningScore()
    began = time.perf_counter()
    with ExitStack() as stack:
        sinks = Exports(outputs, stack, mission.label)
        decoder: UnitDecoder | None = None
        for job in _jobs(recording, mission, guard):
            if decoder is None or decoder.spec != job.spec:
                decoder = watch(make_decoder(job.spec, quality, backend), detector)
                report.decoder = decoder.label
            _count(report, job)
            patches = regions.placed(job.boot_id, job.unit.unit_no, job.span)
            for frame in decoder.decode(job.unit, job.span):
                if frame.frame_no >= job.first_new_frame:
                    shown = _with_truth(frame, patches, job, score)
                    sinks.write(shown, job.span)
                    on_frame(sinks.frames, mission.total_frames)
            report.seconds += float(
                (job.span.first_frame + job.span.frames - job.first_new_frame) / job.span.fps
            )
        if sinks.frames == 0:
            raise UserError(_nothing(recording, mission, key))
        sinks.finish()
    report.frames, report.seconds = sinks.frames, round(report.seconds, 6)
    report.frames_per_s = sinks.frames / max(1e-9, time.perf_counter() - began)
    mission.fill_report(report)
    if recording.key_fingerprint and key is None:
        report.notes.append(
            f"recorded with key {recording.key_fingerprint}, decoded without: forgeries that the "
            "base refused are shown as if true; give --key FILE"
        )
    report.air_bps = report.air_bytes * 8 / report.seconds if report.seconds else 0.0
    report.notes += [*sinks.sign(), *filter(None, (score.text(),))]
    total = max(1, int(sinks.tiles.sum()))
    report.marks = {m.name.lower(): round(int(sinks.tiles[m]) / total, 4) for m in Mark}
    return report


def _with_truth(
    frame: DecodedFrame, patches: list[PlacedPatch], job: DecodeJob, score: RunningScore
) -> DecodedFrame:
    """The frame with the true pixels of this moment that were asked for; how far it was from them."""
    offset = frame.frame_no - job.span.first_frame
    for patch in patches:
        if patch.offset == offset:
            found = score_region(frame, patch, job.boot_id, job.unit.unit_no)
            if found is not None:
                score.add(found)
    return settled(paste(frame, patches, offset, job.boot_id), patches, offset)


def _nothing(recording: Recording, mission: Mission, key: LinkKey | None) -> str:
    """Why there is no picture, and what to do."""
    refused, wanted = mission.refused, recording.key_fingerprint
    if key is None and RejectReason.ENCRYPTED in refused:
        return f"{recording.path} is encrypted; give its key with --key FILE"
    if key is not None and wanted and wanted != key.fingerprint:
        return f"{recording.path} was recorded with key {wanted}, not {key.fingerprint}"
    if key is not None and {RejectReason.BAD_TAG, RejectReason.NO_TAG} & set(refused):
        return (
            f"nothing in {recording.path} was sent with key {key.fingerprint}; give the key of that "
            "mission, or none to see it unauthenticated"
        )
    return (
        f"{recording.path} holds no GVC unit that can be decoded; was it recorded on a GVC link, and "
        "did any descriptor packet arrive? A capture of packets of a few bytes needs its --profile"
    )


def _jobs(recording: Recording, mission: Mission, guard: ReplayGuard) -> Iterator[DecodeJob]:
    now = 0
    for now, data in recording.packets(guard.merge):
        yield from mission.receive(data, now)
    yield from mission.close(now, to_total=True)


def _later(recording: Recording, key: LinkKey | None) -> tuple[RegionPatches, RecoveredUnits]:
    """Pixels and units that were asked for and came later than their place in the timeline: a pass of
    its own over the record. Without a key there are none that could be believed."""
    regions, recovered = RegionPatches(), RecoveredUnits()
    if key is None:
        return regions, recovered
    guard = ReplayGuard()
    receiver = LinkReceiver(recording.params, key=key, replay=guard)
    for now, data in recording.packets(guard.merge):
        receiver.receive(data, now)
        while (event := receiver.next_event()) is not None:
            if isinstance(event, MessageReady):
                regions.take(event)
                recovered.take(event)
    return regions, recovered


def _count(report: DecodeReport, job: DecodeJob) -> None:
    report.units_sent += 1
    if job.empty:
        report.units_lost += 1
    else:
        report.units_decoded += 1
