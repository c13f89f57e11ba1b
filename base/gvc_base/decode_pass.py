"""One pass over a recording: every frame once, with what it was made from. One unit in memory.

    Recording -> Mission -> DecodeJob -> decoder -> true pixels that were asked for -> ShownFrame

`decode` writes files from it, `export` what other programs read. Both see the same frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gvc_base.alarms import watch
from gvc_base.decoders import Backend, make_decoder
from gvc_base.decoders.gvc_parts import PlacedPatch
from gvc_base.mission import Mission
from gvc_base.neural.weights import FOLDER as WEIGHTS
from gvc_base.recording import Recording
from gvc_base.regions import RegionPatches, paste
from gvc_base.report import DecodeReport
from gvc_base.resume import RecoveredUnits
from gvc_base.timeline import DecodeJob
from gvc_base.truth_score import RunningScore, score_region, settled
from gvc_profiles.sight.detector import Detector
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import DecodedFrame, Quality, UnitDecoder
from gvc_protocol.events import MessageReady, ReceiverEvent
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.replay import ReplayGuard
from gvc_protocol.wire import RejectReason

__all__ = ["DecodePass", "DecodeSettings", "ShownFrame"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSettings:
    """What is decoded of a recording, and how."""

    quality: Quality
    backend: Backend = "auto"
    stream_id: int | None = None
    "Camera to follow; None for the first that is heard."
    boot_id: int | None = None
    "Only this start of the edge; None for all, one after the other."
    key: LinkKey | None = None
    "Only what it vouches for is decoded, as the live base with that key did."
    detector: Detector | None = None
    "Looks for objects in what is shown, to hold them against what the sender saw."
    weights: Path = WEIGHTS
    "Folder of the network's weights."


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """A frame of the source's timeline as it is shown."""

    frame: DecodedFrame
    job: DecodeJob
    "The unit that it is of."
    received_ns: int
    "When the base had that unit, Unix time by its clock."


class DecodePass:
    """Go through `frames` once; `report` and `mission` are filled on the way."""

    def __init__(
        self, recording: Recording, settings: DecodeSettings,
        on_event: Callable[[ReceiverEvent], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """Args:
        on_event: sees every event of every stream.

        Raises:
            UserError: the recording cannot be read.
        """
        self._recording, self._settings, self._guard = recording, settings, ReplayGuard()
        self._regions, recovered = _later(recording, settings.key)
        self.mission = Mission(
            recording.params, stream_id=settings.stream_id, boot_id=settings.boot_id,
            on_event=on_event, key=settings.key, replay=self._guard, recovered=recovered,
        )  # fmt: skip
        self.report, self.score = DecodeReport(quality=settings.quality), RunningScore()

    def frames(self) -> Iterator[ShownFrame]:
        """Every frame of the timeline in order.

        Raises:
            UserError: a unit needs a decoder that is not here. No frame at all is no error; `nothing`
                says why.
        """
        decoder: UnitDecoder | None = None
        for job, now in self._jobs():
            if decoder is None or decoder.spec != job.spec:
                how = self._settings
                made = make_decoder(job.spec, how.quality, how.backend, weights=how.weights)
                decoder = watch(made, self._settings.detector)
                self.report.decoder = decoder.label
            self._count(job)
            patches = self._regions.placed(job.boot_id, job.unit.unit_no, job.span)
            for frame in decoder.decode(job.unit, job.span):
                if frame.frame_no >= job.first_new_frame:
                    yield ShownFrame(_with_truth(frame, patches, job, self.score), job, now)
            self.report.seconds += float(
                (job.span.first_frame + job.span.frames - job.first_new_frame) / job.span.fps
            )

    def nothing(self) -> str:
        """Why there is no picture, and what to do."""
        recording, key = self._recording, self._settings.key
        refused, wanted = self.mission.refused, recording.key_fingerprint
        if key is None and RejectReason.ENCRYPTED in refused:
            return f"{recording.path} is encrypted; give its key with --key FILE"
        if key is not None and wanted and wanted != key.fingerprint:
            return f"{recording.path} was recorded with key {wanted}, not {key.fingerprint}"
        if key is not None and {RejectReason.BAD_TAG, RejectReason.NO_TAG} & set(refused):
            return (
                f"nothing in {recording.path} was sent with key {key.fingerprint}; give the key of "
                "that mission, or none to see it unauthenticated"
            )
        return (
            f"{recording.path} holds no GVC unit that can be decoded; was it recorded on a GVC link, "
            "and did any descriptor packet arrive? A capture of packets of a few bytes needs its "
            "--profile"
        )

    def notes(self) -> list[str]:
        """What the operator should know of the whole; empty for an ordinary recording."""
        if self._recording.key_fingerprint and self._settings.key is None:
            return [
                f"recorded with key {self._recording.key_fingerprint}, decoded without: forgeries "
                "that the base refused are shown as if true; give --key FILE"
            ]
        return []

    def _jobs(self) -> Iterator[tuple[DecodeJob, int]]:
        now = 0
        for now, data in self._recording.packets(self._guard.merge):
            for job in self.mission.receive(data, now):
                yield job, now
        for job in self.mission.close(now, to_total=True):
            yield job, now

    def _count(self, job: DecodeJob) -> None:
        self.report.units_sent += 1
        if job.empty:
            self.report.units_lost += 1
        else:
            self.report.units_decoded += 1


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
