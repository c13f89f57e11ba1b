"""What decodes one camera's units, here or in another process: frames, and the state after each unit.

    DecodeSession.open(plan, checkpoint) -> start(unit, span) -> Batch, more() -> Batch ... the last one
    with the checkpoint

A checkpoint is the decoder itself, pickled: all that it remembers, its networks by name only. It is read
back by our own processes alone.
"""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from gvc_base.alarms import watch
from gvc_base.alarms.watch import WatchedDecoder
from gvc_base.decoders import Backend, make_decoder
from gvc_base.decoders.gvc_parts import CodedUnit
from gvc_profiles.sight.detector import Detector, load_detector
from gvc_protocol.codec import CodecSpec, DecodedFrame, Quality, ReceivedUnit, UnitDecoder, UnitSpan
from gvc_protocol.errors import LocalProtocolError, UserError

__all__ = ["Batch", "DecodeSession", "DecoderPlan", "Stepper"]

_BATCH_BYTES = 8 << 20
_BATCH_FRAMES = 16
_BATCH_S = 0.5
"A slow decoder gives its first frames after this long, not when the batch is full."


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderPlan:
    """Which decoder."""

    spec: CodecSpec
    quality: Quality
    backend: Backend = "auto"
    objects: str = "movers"
    "Detector, as `load_detector` knows it; a model file has to be on each worker's computer."
    program: str = version("gvc-field")
    "Version that is wanted: another one may decode otherwise."


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some frames of a unit."""

    frames: tuple[DecodedFrame, ...]
    label: str
    checkpoint: bytes | None
    "After the unit's last frame; None while there are more."


class DecodeSession:
    """One camera's decoder, and what it remembers.

    Args:
        checkpoint: where to go on; None for a new one.

    Raises:
        UserError: this program is of another version, or cannot make this decoder.
    """

    def __init__(self, plan: DecoderPlan, checkpoint: bytes | None = None) -> None:
        here = version("gvc-field")
        if plan.program != here:
            raise UserError(
                f"runs gvc-field {here}, the base {plan.program}; install the same there"
            )
        self.plan = plan
        self._detector: Detector | None = load_detector(plan.objects)
        self._decoder = self._made() if checkpoint is None else self._restored(checkpoint)

    @property
    def label(self) -> str:
        """See `UnitDecoder.label`."""
        return self._decoder.label

    def frames(self, unit: ReceivedUnit, span: UnitSpan, *, skip: int) -> Iterator[DecodedFrame]:
        """The unit's frames without the first `skip`."""
        for number, frame in enumerate(self._decoder.decode(unit, span)):
            if number >= skip:
                yield frame

    def checkpoint(self) -> bytes:
        """All that is remembered, between two units."""
        out, decoder = io.BytesIO(), self._decoder
        watched = isinstance(decoder, WatchedDecoder)
        kept = (decoder.inner, decoder.state()) if isinstance(decoder, WatchedDecoder) else decoder
        _Pickler(out, protocol=5).dump((watched, kept))
        return out.getvalue()

    def _made(self) -> UnitDecoder:
        plan = self.plan
        return watch(make_decoder(plan.spec, plan.quality, plan.backend), self._detector)

    def _restored(self, checkpoint: bytes) -> UnitDecoder:
        watched, kept = pickle.loads(checkpoint)
        if not watched:
            decoder: UnitDecoder = kept
            return decoder
        inner, state = kept
        again = WatchedDecoder(inner, self._detector)
        again.restore(state)
        return again


class _Pickler(pickle.Pickler):
    """Without the pictures of the last unit, which nobody looks at again."""

    def reducer_override(self, obj: Any) -> Any:
        return (CodedUnit, ()) if type(obj) is CodedUnit else NotImplemented


class Stepper:
    """A session that is driven from afar, a batch a call. One caller at a time."""

    def __init__(self) -> None:
        self._session: DecodeSession | None = None
        self._frames: Iterator[DecodedFrame] = iter(())

    def open(self, plan: DecoderPlan, checkpoint: bytes | None) -> None:
        """See `DecodeSession`."""
        self._session = DecodeSession(plan, checkpoint)

    def start(self, unit: ReceivedUnit, span: UnitSpan, skip: int) -> Batch:
        """Begin a unit; its first frames."""
        self._frames = self._opened().frames(unit, span, skip=skip)
        return self.more()

    def more(self) -> Batch:
        """The next frames of the unit."""
        session, began = self._opened(), time.monotonic()
        frames: list[DecodedFrame] = []
        size, ended = 0, True
        for frame in self._frames:
            frames.append(frame)
            size += frame.pixels.nbytes
            full = size >= _BATCH_BYTES or len(frames) >= _BATCH_FRAMES
            if full or time.monotonic() - began >= _BATCH_S:
                ended = False
                break
        return Batch(
            frames=tuple(frames), label=session.label,
            checkpoint=session.checkpoint() if ended else None,
        )  # fmt: skip

    def _opened(self) -> DecodeSession:
        if self._session is None:
            raise LocalProtocolError("the session was not opened")
        return self._session
