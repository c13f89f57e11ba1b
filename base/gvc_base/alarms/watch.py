"""A decoder that is watched: the same pictures, with the sender's claims and the alarms on them.

    decoder -> frames
    what it decoded of the received bytes -> Evidence, apart from the network and its memory
    D: truth map, objects -> claims that still hold, alarms   (three to six looks a second)
    p_wrong of the mission so far -> from which p on tiles are doubted

Nothing here changes a pixel or a mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.alarms.look import Told, contradictions, missed, reduced, told_at
from gvc_base.decoders.gvc_parts import CodedUnit, PlacedPatch
from gvc_base.decoders.gvc_patches import followed, shown_by
from gvc_base.marks.level import DoubtLevel
from gvc_base.marks.model import load_model
from gvc_profiles.sight.compare import wrong_cells
from gvc_profiles.sight.detector import Detector
from gvc_profiles.sight.evidence import Evidence, small_grey, work_size
from gvc_protocol.codec import CodecId, CodecSpec, DecodedFrame, ReceivedUnit, UnitDecoder, UnitSpan
from gvc_protocol.marks import AGE_UNKNOWN_MS, TILE_PX, Mark, SourcePart
from gvc_protocol.truth import KNOWN_WRONG, RIGHT, Alarm, AlarmKind, Truth

__all__ = ["HasEvidence", "WatchedDecoder", "watch"]

U8 = NDArray[np.uint8]
Box = tuple[int, int, int, int]

_LOOKS_PER_S, _LEAST_LOOKS_PER_S = 6.0, 3.0
"""Where coded pictures come so often it looks at those alone: between them the same pixels move, and the
comparison may move them otherwise, which was false alarms on a highway."""
_DETECT_S = 1.0
_PATH_GAP_S = 0.5
"As the decoder has it: a picture older than this before the unit is not moved by the unit's path."
_LEAST_OVERLAP = 0.2
_CHIP_UNITS = 8
_CHIP_AGE_MS = 100
"An object moves little in that time: its place in a coded picture this old still shows it."


@runtime_checkable
class HasEvidence(Protocol):
    """A decoder that hands over what it decoded of the received bytes alone."""

    @property
    def evidence(self) -> CodedUnit | None:
        """Of the unit whose first frame was given last."""


def watch(
    decoder: UnitDecoder, detector: Detector | None = None, *, vouched: float | None = None
) -> UnitDecoder:
    """The decoder, watched; as it is where it hands over no evidence.

    Args:
        detector: looks at the shown picture about once a second.
        vouched: `p_wrong` up to which what the sender found right is verified; None: the calibration's.
    """
    if not isinstance(decoder, HasEvidence):
        return decoder
    return WatchedDecoder(decoder, detector, vouched=vouched)


class WatchedDecoder:
    """See `watch`. A `UnitDecoder` itself."""

    def __init__(
        self, inner: UnitDecoder, detector: Detector | None = None, *, vouched: float | None = None
    ) -> None:
        self._inner, self._detector = inner, detector
        self._vouched = np.float16(load_model().vouched if vouched is None else vouched)
        self._before: tuple[U8, int] | None = None
        "The plain picture that came last, and the frame that it stands at."
        self._received: tuple[U8, int] | None = None
        "The coded picture that came last, and its frame."
        self._chips: dict[int, tuple[int, PlacedPatch, Box]] = {}
        "By track: the unit that it came in, the patch, the object's box then."
        self._looked = self._detected = -(1 << 62)
        self._alarms: tuple[Alarm, ...] = ()
        self._agree: NDArray[np.bool_] | None = None
        self._level = DoubtLevel()

    @property
    def spec(self) -> CodecSpec:
        return self._inner.spec

    @property
    def label(self) -> str:
        return self._inner.label

    @property
    def inner(self) -> UnitDecoder:
        """What decodes."""
        return self._inner

    @property
    def evidence(self) -> CodedUnit | None:
        """See `HasEvidence`."""
        return self._inner.evidence if isinstance(self._inner, HasEvidence) else None

    def state(self) -> tuple[object, ...]:
        """What is remembered from unit to unit, for `restore`."""
        return (
            self._before, dict(self._chips), self._detected, self._alarms, self._received,
            self._level.state(),
        )  # fmt: skip

    def restore(self, state: tuple[object, ...]) -> None:
        """Go on from what `state` gave."""
        before, chips, detected, alarms, received, level = cast(Any, state)
        self._before, self._chips, self._received = before, dict(chips), received
        self._detected, self._alarms = detected, alarms
        self._level.restore(level)

    def decode(self, unit: ReceivedUnit, span: UnitSpan) -> Iterator[DecodedFrame]:
        """The inner decoder's frames, with claims and alarms."""
        plain: Evidence | None = None
        coded = CodedUnit()
        for frame in self._inner.decode(unit, span):
            if plain is None:
                coded = self.evidence or coded
                plain = self._evidence(coded, unit, span)
                self._keep_chips(coded, unit)
                self._looked = -(1 << 62)
            offset = frame.frame_no - span.first_frame
            if self._is_due(offset, plain, span):
                self._looked = frame.frame_no
                self._look(frame, offset, plain, coded, unit, span)
            picture, age_ms = self._newest(coded, offset, span)
            claims = self._claims(frame, unit, offset / span.frames)
            yield replace(
                frame, truth=claims, alarms=self._alarms, plain=picture, plain_age_ms=age_ms,
                doubt_from=self._level.see(frame.p_wrong),
            )  # fmt: skip
        if plain is not None:
            last = plain.end(span.frames)
            self._before = None if last is None else (last[0], span.first_frame + last[1])

    def _is_due(self, offset: int, plain: Evidence, span: UnitSpan) -> bool:
        """Whether this frame is looked at: not where a coded one comes soon enough."""
        since = span.first_frame + offset - self._looked
        if since * _LOOKS_PER_S < span.fps:
            return False
        following = min((at for at in plain.coded if at >= offset), default=None)
        if following is None or following == offset:
            return True
        return (since + following - offset) * _LEAST_LOOKS_PER_S > span.fps

    def _newest(self, coded: CodedUnit, offset: int, span: UnitSpan) -> tuple[U8 | None, int]:
        """The coded picture of this moment or the newest before it, and its age in milliseconds."""
        for at, picture in zip(coded.offsets, coded.lows, strict=True):
            if at > offset:
                break
            self._received = (picture, span.first_frame + at)
        if self._received is None:
            return None, 0
        picture, frame_no = self._received
        since = round(float((span.first_frame + offset - frame_no) * 1000 / span.fps))
        return picture, min(AGE_UNKNOWN_MS, max(0, since))

    def _evidence(self, coded: CodedUnit, unit: ReceivedUnit, span: UnitSpan) -> Evidence:
        size, source = work_size(span.width, span.height), (span.width, span.height)
        before, path = None, unit.descriptors.motion_path if unit.descriptors else None
        if self.spec.codec_id == CodecId.CLASSICAL:
            path = None  # its decoder holds the picture where nothing comes
        if self._before is not None and self._before[0].shape == size[::-1]:
            before = (self._before[0], self._before[1] - span.first_frame)
            if not coded.offsets and -before[1] > _PATH_GAP_S * span.fps:
                path = None

        def on(start: int, end: int) -> NDArray[np.float64] | None:
            if coded.camera is None:
                return None
            a, b = (float((span.first_frame + at) / span.fps) for at in (start, end))
            return coded.camera.on(a, b, span.width)

        return Evidence(
            coded.offsets, coded.lows, size=size, source=source, path=path, before=before, on=on
        )

    def _look(
        self, frame: DecodedFrame, offset: int, plain: Evidence, coded: CodedUnit,
        unit: ReceivedUnit, span: UnitSpan,
    ) -> None:  # fmt: skip
        """Judge one frame; what is found holds until the next look."""
        told, alarms = told_at(unit.descriptors, offset), []
        expected = plain.at(offset)
        self._agree = None
        if expected is not None:
            size = work_size(span.width, span.height)
            grey = np.asarray(cv2.cvtColor(frame.pixels, cv2.COLOR_BGR2GRAY), np.uint8)
            shown = reduced(grey, plain.detail or 1.0, size)
            with_chips = self._with_chips(expected, frame, told, plain.detail or 1.0)
            alarms += contradictions(
                with_chips, shown, frame.mark, told, (span.width, span.height),
                coded=offset in plain.coded, near=plain.around(offset),
            )  # fmt: skip
            self._agree = ~wrong_cells(expected, small_grey(grey, size))
        chips = [
            (t.box, _of_object(*self._chips[t.track_id][1:]))
            for t in told if t.track_id is not None and t.track_id in self._chips
        ]  # fmt: skip
        alarms += missed(frame.pixels, told, chips, alarms)
        alarms += self._detect(frame, told, span)
        picture, age_ms = self._newest(coded, offset, span)
        self._alarms = tuple(
            replace(a, chip=self._chip(a, picture if age_ms <= _CHIP_AGE_MS else None, span))
            if a.kind == AlarmKind.MISSED else a
            for a in alarms
        )  # fmt: skip

    def _with_chips(
        self, plain: U8, frame: DecodedFrame, told: Sequence[Told], detail: float
    ) -> U8:
        """The evidence with the received pixels of told objects where they are shown: it moves as the
        ground does, they as their tracks say."""
        if not any(t.track_id in self._chips for t in told):
            return plain
        height, width = frame.pixels.shape[:2]
        full: U8 = np.asarray(cv2.resize(plain, (width, height)), np.uint8)
        where = np.zeros((height, width), np.uint8)
        rim = 2 * round(width / plain.shape[1] / detail)
        for one in told:
            if one.track_id is None or one.track_id not in self._chips:
                continue
            _, patch, then = self._chips[one.track_id]
            x, y = followed((patch.x, patch.y), then, one.box)
            if not _is_shown(frame, x, y, patch):
                continue
            grey = cv2.cvtColor(patch.pixels, cv2.COLOR_BGR2GRAY)
            grey = grey[max(0, -y) : height - y, max(0, -x) : width - x]
            x, y = max(0, x), max(0, y)
            bottom, right = y + grey.shape[0], x + grey.shape[1]
            full[y:bottom, x:right] = grey
            where[max(0, y - rim) : bottom + rim, max(0, x - rim) : right + rim] = 1
        if not where.any():
            return plain
        size = (plain.shape[1], plain.shape[0])
        near = cv2.resize(where, size, interpolation=cv2.INTER_NEAREST)
        return np.where(near > 0, reduced(full, detail, size), plain)

    def _chip(self, alarm: Alarm, received: U8 | None, span: UnitSpan) -> U8 | None:
        """Received pixels of a missed object: its own chip, else its place in the coded picture."""
        if alarm.track_id is not None and (kept := self._chips.get(alarm.track_id)) is not None:
            return _of_object(*kept[1:]).pixels
        if received is None:
            return None
        h, w = received.shape[:2]
        x0, y0 = alarm.x * w // span.width, alarm.y * h // span.height
        x1 = -(-(alarm.x + alarm.width) * w // span.width)
        y1 = -(-(alarm.y + alarm.height) * h // span.height)
        cut = received[max(0, y0) : y1, max(0, x0) : x1]
        return cut.copy() if cut.size else None

    def _detect(self, frame: DecodedFrame, told: Sequence[Told], span: UnitSpan) -> list[Alarm]:
        """What the detector finds in the shown picture and the sender did not tell of."""
        if self._detector is None:
            return []
        if (frame.frame_no - self._detected) < _DETECT_S * span.fps:
            return [a for a in self._alarms if a.why == "detector"]
        self._detected = frame.frame_no
        out = []
        for found in self._detector.detect(frame.pixels):
            box = (found.x, found.y, found.width, found.height)
            if any(_overlap(box, t.box) >= _LEAST_OVERLAP for t in told):
                continue
            out.append(
                Alarm(
                    kind=AlarmKind.UNCONFIRMED, x=box[0], y=box[1], width=box[2], height=box[3],
                    why="detector", strength=found.score_pct / 50, class_id=found.class_id,
                )
            )  # fmt: skip
        return out

    def _keep_chips(self, coded: CodedUnit, unit: ReceivedUnit) -> None:
        """Received pixels of told objects, the newest of each, for a few units."""
        self._chips = {
            i: kept for i, kept in self._chips.items() if unit.unit_no - kept[0] <= _CHIP_UNITS
        }
        if unit.descriptors is None:
            return
        for patch in coded.patches:
            for track, box in shown_by(patch, unit.descriptors):
                self._chips[track.track_id] = (unit.unit_no, patch, box.box)

    def _claims(self, frame: DecodedFrame, unit: ReceivedUnit, share: float) -> U8:
        """What the sender says of each tile, as far as it holds for what is shown.

        Args:
            share: of the unit's frames that are before this one.
        """
        out = np.full(frame.mark.shape, Truth.UNTOLD, np.uint8)
        told = unit.descriptors.truth if unit.descriptors is not None else None
        if told is None or not unit.whole:
            return out
        height, width = frame.pixels.shape[:2]
        levels = told.tiles(height, width, share)
        out[(levels >= KNOWN_WRONG) & (frame.mark != Mark.RECEIVED)] = Truth.KNOWN_WRONG
        if self._agree is not None:
            rows, columns = frame.mark.shape
            agree = cv2.resize(
                self._agree.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_NEAREST
            )
            # The sender compared a plain picture, small and grey: what else is known counts, too.
            likely = frame.p_wrong <= self._vouched
            out[(levels <= RIGHT) & (agree > 0) & likely & (frame.mark < Mark.LOST)] = (
                Truth.VERIFIED
            )
        return out


def _of_object(patch: PlacedPatch, box: Box) -> PlacedPatch:
    """The part of a patch that shows its object, which was at `box`."""
    x, y = max(0, box[0] - patch.x), max(0, box[1] - patch.y)
    pixels = patch.pixels[y : y + box[3], x : x + box[2]]
    return replace(patch, x=patch.x + x, y=patch.y + y, pixels=pixels) if pixels.size else patch


def _is_shown(frame: DecodedFrame, x: int, y: int, patch: PlacedPatch) -> bool:
    """Whether the pixels of a patch are what most tiles there were made from."""
    high, wide = patch.pixels.shape[:2]
    rows = slice(max(0, y) // TILE_PX, max(0, y + high) // TILE_PX)
    columns = slice(max(0, x) // TILE_PX, max(0, x + wide) // TILE_PX)
    parts = frame.source_part[rows, columns]
    return bool(parts.size and (parts == SourcePart.PATCH).mean() >= 0.5)


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes x, y, width, height."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / (a[2] * a[3] + b[2] * b[3] - w * h)
