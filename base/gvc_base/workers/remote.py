"""A camera's decoder that works elsewhere: a `UnitDecoder` which loses no unit when a worker is lost.

unit -> place on a worker -> frames
           lost: another place goes on from the state before the unit, and the frames that came
           already are not given twice; no place: this process does the same
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from gvc_base.workers import Place, PlaceLostError, WorkerPool
from gvc_base.workers.session import DecoderPlan, DecodeSession
from gvc_protocol.codec import CodecSpec, DecodedFrame, ReceivedUnit, UnitSpan

__all__ = ["RemoteDecoder"]

_PLACES_A_UNIT = 2
"A unit that has cost two workers is not given to a third: it may be what ends them."


class RemoteDecoder:
    """See `gvc_protocol.codec.UnitDecoder`.

    Args:
        turn: held while a frame is decoded in this process.
        say: told in a line when a unit is decoded again, or here.
    """

    def __init__(
        self, plan: DecoderPlan, pool: WorkerPool, turn: Callable[[], AbstractContextManager[None]],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._plan, self._pool, self._turn, self._say = plan, pool, turn, say
        self._place: Place | None = None
        self._here: DecodeSession | None = None
        self._checkpoint: bytes | None = None
        "Before the unit that is decoded now; not up to date while this process decodes."
        self._label = ""

    @property
    def spec(self) -> CodecSpec:
        return self._plan.spec

    @property
    def label(self) -> str:
        """With the worker; empty before the first frame."""
        return self._label

    def decode(self, unit: ReceivedUnit, span: UnitSpan) -> Iterator[DecodedFrame]:
        """Exactly `span.frames` frames, wherever they come from.

        Raises:
            UserError: neither a worker nor this process can decode this codec.
        """
        given = 0
        for _ in range(_PLACES_A_UNIT):
            place = self._found()
            if place is None:
                break
            try:
                for frame in place.frames(unit, span, skip=given):
                    self._label = f"{place.label}, on {place.name}"
                    given += 1
                    yield frame
            except PlaceLostError as error:
                self._place = None
                self._say(f"unit {unit.unit_no}: {error}; decoding it again")
                continue
            self._checkpoint, self._here = place.checkpoint, None
            return
        yield from self._decode_here(unit, span, given)

    def _found(self) -> Place | None:
        """Where to decode, with the decoder's state there."""
        if self._place is not None and not self._pool.leave(self._place):
            return self._place
        if self._here is not None:
            self._checkpoint = self._here.checkpoint()
        place = self._pool.place(self._plan, self._checkpoint)
        if place is None and self._place is not None:
            self._place.open = True  # nobody else took it
            return self._place
        self._place = place
        return place

    def _decode_here(
        self, unit: ReceivedUnit, span: UnitSpan, given: int
    ) -> Iterator[DecodedFrame]:
        if self._here is None:
            self._here = DecodeSession(self._plan, self._checkpoint)
            self._say(f"unit {unit.unit_no} and what follows is decoded by this base itself")
        self._label = self._here.label
        frames = self._here.frames(unit, span, skip=given)
        while True:
            with self._turn():
                frame = next(frames, None)
            if frame is None:
                return
            yield frame
