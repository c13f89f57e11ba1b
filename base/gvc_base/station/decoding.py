"""One camera's decoder thread: jobs in, scenes on the screen; what fails there costs a unit, no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import cv2

from gvc_base.alarms import watch
from gvc_base.decoders import make_decoder
from gvc_base.render import overlay
from gvc_base.report import DecodeReport
from gvc_base.station.files import LiveRecording
from gvc_base.station.objects import NewObject, ObjectRows
from gvc_base.station.playout import Scene
from gvc_base.station.queues import DecodeQueue
from gvc_base.station.scenes import SceneMaker
from gvc_base.station.shared import Shared
from gvc_base.station.tally import MarkTally
from gvc_base.timeline import DecodeJob
from gvc_base.workers.remote import RemoteDecoder
from gvc_base.workers.session import DecoderPlan
from gvc_protocol.codec import CodecSpec, DecodedFrame, ReceivedUnit, UnitDecoder, UnitSpan
from gvc_protocol.errors import UserError

__all__ = ["DecodeThread"]


class DecodeThread:
    """Runs until its queue is closed and empty."""

    def __init__(
        self, shared: Shared, drone_id: str, queue: DecodeQueue, report: DecodeReport, *,
        recording: LiveRecording, on_unit: Callable[[DecodeJob], None],
        on_scene: Callable[[Scene], None], on_object: Callable[[NewObject, DecodeJob], None],
        on_marks: Callable[[MarkTally, DecodeJob], None],
        on_decoder: Callable[[UnitDecoder], None], say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Args:
        on_unit: before a unit is decoded. on_scene: each new frame. on_object: what D tells anew.
        on_marks: what the unit's frames were made of. on_decoder: what decodes from now on.
        """
        self._on_marks, self._on_decoder = on_marks, on_decoder
        self._shared, self._queue, self._report = shared, queue, report
        self._recording, self._say = recording, say
        self._on_unit, self._on_scene, self._on_object = on_unit, on_scene, on_object
        self._decoder: UnitDecoder | None = None
        self._objects = ObjectRows()
        self._scenes = SceneMaker()
        self.label = ""
        self.newest: Scene | None = None
        "Last frame that was decoded."
        self.decode_s = 0.0
        "Of the newest unit: from its turn to its first frame."
        self._thread = threading.Thread(target=self._loop, name=f"decode-{drone_id}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _loop(self) -> None:
        began = time.perf_counter()
        while (work := self._queue.get()) is not None:
            try:
                if isinstance(work, DecodeJob):
                    self._unit(work)
                else:
                    work()
            except UserError as error:
                self._say(f"cannot show {_name(work)}: {error}")
            except Exception as error:  # a bug in a decoder must not end the mission's picture
                self._decoder = None
                self._say(
                    f"the decoder failed on {_name(work)} ({error!r}); it is in the archive, and the "
                    "next unit is decoded anew"
                )
        self._recording.close()
        report = self._report
        report.seconds = round(report.seconds, 6)
        report.frames_per_s = report.frames / max(1e-9, time.perf_counter() - began)

    def _unit(self, job: DecodeJob) -> None:
        self._on_unit(job)
        decoder = self._decoder_for(job.spec)
        began = time.perf_counter()
        frames = iter(decoder.decode(job.unit, job.span))
        first, tally = True, MarkTally()
        while True:
            with self._turn():
                frame = next(frames, None)
            if frame is None:
                break
            if first:
                self.decode_s, first = time.perf_counter() - began, False
                self._note_label(decoder)
            if frame.frame_no >= job.first_new_frame:
                tally.add(frame)
                self._show(frame, job)
        if tally.frames:
            self._on_marks(tally, job)
        for found in self._objects.of(job):
            self._on_object(found, job)

    def _show(self, frame: DecodedFrame, job: DecodeJob) -> None:
        scene = self._scenes.scene(frame, job)
        self.newest = scene
        self._report.frames += 1
        self._report.seconds += float(1 / job.span.fps)
        self._on_scene(scene)
        self._recording.write(scene, job.span)

    def _decoder_for(self, spec: CodecSpec) -> UnitDecoder:
        if self._decoder is None or self._decoder.spec != spec:
            options = self._shared.options
            if self._shared.workers is None:
                decoder = make_decoder(spec, options.quality, options.backend)
                self._decoder = watch(decoder, options.detector)
            else:
                plan = DecoderPlan(
                    spec=spec, quality=options.quality, backend=options.backend,
                    objects=options.objects,
                )  # fmt: skip
                self._decoder = RemoteDecoder(
                    plan, self._shared.workers, self._shared.budget.turn, self._say
                )
        return self._decoder

    def _turn(self) -> AbstractContextManager[None]:
        """This process's turn to decode; workers have their own processors."""
        return self._shared.budget.turn() if self._shared.workers is None else nullcontext()

    def _note_label(self, decoder: UnitDecoder) -> None:
        """What decodes is told where it changes: with workers, from unit to unit."""
        if decoder.label != self.label:
            self.label = self._report.decoder = decoder.label
            self._on_decoder(decoder)

    def still_of(
        self, unit: ReceivedUnit, span: UnitSpan, spec: CodecSpec, status: str
    ) -> bytes | None:
        """PNG of a unit that came too late for the screen: its middle, decoded alone, with marks."""
        decoder = make_decoder(spec, "preview", self._shared.options.backend)
        middle = span.first_frame + span.frames // 2
        frames = iter(decoder.decode(unit, span))
        while True:
            with self._shared.budget.turn():
                frame = next(frames, None)
            if frame is None:
                return None
            if frame.frame_no >= middle:
                done, png = cv2.imencode(".png", overlay(frame, status=status))
                return png.tobytes() if done else None


def _name(work: object) -> str:
    return f"unit {work.unit.unit_no}" if isinstance(work, DecodeJob) else "a recovered unit"
