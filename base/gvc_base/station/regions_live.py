"""Asked regions while the mission flies: into the picture on the screen, for the console, and compared.

    RegionAnswer -> file beside the archive
                 -> `picture`: all that came of one ask, what is missing hatched
                 -> `apply`: in its own frame as it is; in later frames moved there by its motion
                 -> `about`, `on_score`: how far off the picture was that the operator had seen

Moved pixels are of another moment: they are put only where the picture of this moment, coarse as it may
be, agrees with them tile by tile, and are marked carried with their age. What has changed since stays as
it is now.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.gvc_parts import PlacedPatch, place_patch
from gvc_base.p_wrong import p_wrong_from_marks
from gvc_base.patterns import paint
from gvc_base.regions import RegionFiles, paste
from gvc_base.station.playout import Scene
from gvc_base.truth_score import RegionScore, cut, score_region, settled
from gvc_protocol.codec import DecodedFrame, UnitSpan
from gvc_protocol.gvc1 import Patch
from gvc_protocol.marks import AGE_UNKNOWN_MS, TILE_PX, Mark, SourcePart, pixels_to_tiles, tile_grid
from gvc_protocol.messages import RegionAnswer
from gvc_protocol.motion_path import MotionPath
from gvc_protocol.truth import Truth

__all__ = ["CameraPath", "LiveRegions"]

_MOST_ASKS = 64
_MOST_UNITS = 128
_MOST_PATCHES = 12
"Newest pieces that are put into the picture; each costs a few milliseconds a frame."
_PATH_GAP_S = 0.5
_AGREE_LEVELS = 12.0
"Mean of a tile, of 255 levels: as far as a coarse picture of the same thing differs, about."


class CameraPath:
    """The camera's motion over the last units, as their D told it. Not thread-safe."""

    def __init__(self) -> None:
        self._units: OrderedDict[tuple[int, int], tuple[UnitSpan, MotionPath | None]] = (
            OrderedDict()
        )

    def note(self, boot_id: int, unit_no: int, span: UnitSpan, path: MotionPath | None) -> None:
        """A unit was decoded."""
        self._units[boot_id, unit_no] = (span, path)
        while len(self._units) > _MOST_UNITS:
            self._units.popitem(last=False)

    def span(self, boot_id: int, unit_no: int) -> UnitSpan | None:
        """The stretch that a unit covered, if it was one of the last."""
        found = self._units.get((boot_id, unit_no))
        return None if found is None else found[0]

    def between(
        self, boot_id: int, unit_a: int, offset_a: int, unit_b: int, offset_b: int
    ) -> NDArray[np.float64] | None:
        """float64[3, 3]: pixels of a frame to those of a later one; None where any part of the way is
        not known."""
        whole: NDArray[np.float64] = np.eye(3)
        for unit_no in range(unit_a, unit_b + 1):
            span, path = self._units.get((boot_id, unit_no), (None, None))
            if span is None or path is None:
                return None
            start = offset_a if unit_no == unit_a else 0
            goal = offset_b if unit_no == unit_b else span.frames - 1
            # A path may end a little before its unit does; so may one frame between two units pass.
            reach = min(goal, path.end)
            if goal - reach > _PATH_GAP_S * span.fps:
                return None
            step = path.between(min(start, reach), reach, span.width, span.height)
            if step is None:
                return None
            whole = step @ whole
        return whole


@dataclass(slots=True)
class _Ask:
    box: tuple[int, int, int, int]
    boot_id: int
    unit_no: int
    before: dict[int, tuple[DecodedFrame, int, int]] = field(default_factory=dict)
    "By offset: the box as it was shown with its marks, and where that begins."
    pieces: dict[tuple[int, int, int], tuple[int, PlacedPatch]] = field(default_factory=dict)
    "By offset and place: layer and pixels."
    about: str = ""


class LiveRegions(RegionFiles):
    """Region answers of one stream. Thread-safe."""

    def __init__(
        self, archive: Path, on_change: Callable[[], None],
        on_score: Callable[[int, RegionScore], None] = lambda _ask, _score: None,
    ) -> None:  # fmt: skip
        """Args:
        on_score: called with (ask, score) when true pixels of a box were compared with what had been
            shown there; again with the same box when finer ones come.
        """
        super().__init__(archive)
        self._on_change, self._on_score = on_change, on_score
        self._mutex = threading.Lock()
        self._asks: OrderedDict[int, _Ask] = OrderedDict()
        self._newest: deque[tuple[int, int, PlacedPatch]] = deque(maxlen=_MOST_PATCHES)
        self._path = CameraPath()

    def note_unit(
        self, boot_id: int, unit_no: int, span: UnitSpan, path: MotionPath | None
    ) -> None:
        """A unit was decoded."""
        with self._mutex:
            self._path.note(boot_id, unit_no, span, path)

    def expect(
        self, ask_id: int, boot_id: int, unit_no: int, box: tuple[int, int, int, int],
        scenes: Sequence[Scene],
    ) -> None:  # fmt: skip
        """A region was asked for; `scenes` are pictures of late, to be compared with what comes."""
        made = _Ask(box=box, boot_id=boot_id, unit_no=unit_no)
        for scene in scenes:
            if (scene.boot_id, scene.frame.unit_no) == (boot_id, unit_no):
                # With what was answered there before: that is what the operator sees.
                shown = cut(self.apply(scene).frame, box)
                if shown is not None:
                    made.before[scene.offset] = shown
        with self._mutex:
            self._asks[ask_id] = made
            while len(self._asks) > _MOST_ASKS:
                self._asks.popitem(last=False)

    def write(self, answer: RegionAnswer) -> Path | None:
        """Keep a layer: as `RegionFiles.write`, and for the picture on the screen."""
        path = super().write(answer)
        patch = Patch.unpack(answer.patch)
        if patch is None:
            return path
        with self._mutex:
            span = self._path.span(answer.boot_id, answer.unit_no)
        placed = place_patch(patch, span)
        if placed is None:
            return path
        with self._mutex:
            ask = self._asks.get(answer.command_id)
            if ask is None:  # asked before a restart: its box is where its pixels are
                high, wide = placed.pixels.shape[:2]
                ask = self._asks[answer.command_id] = _Ask(
                    box=(placed.x, placed.y, wide, high), boot_id=answer.boot_id,
                    unit_no=answer.unit_no,
                )  # fmt: skip
            key = (placed.offset, placed.x, placed.y)
            if key not in ask.pieces or ask.pieces[key][0] <= answer.layer:
                ask.pieces[key] = (answer.layer, placed)
            score = _compared(ask, placed)
            if score is not None:
                ask.about = score.text()
            self._newest.append((answer.boot_id, answer.unit_no, placed))
        if score is not None:
            self._on_score(answer.command_id, score)
        self._on_change()
        return path

    def picture(self, ask_id: int) -> bytes | None:
        """PNG of what came so far, hatched where nothing did; None while there is nothing."""
        with self._mutex:
            ask = self._asks.get(ask_id)
            if ask is None or not ask.pieces:
                return None
            pieces, box = [p for _, p in ask.pieces.values()], ask.box
        x = min(box[0], *(p.x for p in pieces))
        y = min(box[1], *(p.y for p in pieces))
        right = max(box[0] + box[2], *(p.x + p.pixels.shape[1] for p in pieces))
        below = max(box[1] + box[3], *(p.y + p.pixels.shape[0] for p in pieces))
        pixels = np.full((below - y, right - x, 3), 128, np.uint8)
        mark = np.full(pixels.shape[:2], Mark.LOST, np.uint8)
        for piece in sorted(pieces, key=lambda p: p.full_size):
            h, w = piece.pixels.shape[:2]
            at = np.s_[piece.y - y : piece.y - y + h, piece.x - x : piece.x - x + w]
            pixels[at] = piece.pixels
            mark[at] = Mark.RECEIVED if piece.full_size else Mark.ENHANCED
        done, png = cv2.imencode(".png", paint(pixels, pixels_to_tiles(mark)))
        return png.tobytes() if done else None

    def progress(self, ask_id: int) -> float:
        """Share of the box that came at full size, 0..1; what came coarse counts half."""
        with self._mutex:
            ask = self._asks.get(ask_id)
            if ask is None:
                return 0.0
            x, y, w, h = ask.box
            came = np.zeros((h, w), np.float32)
            for _, piece in ask.pieces.values():
                high, wide = piece.pixels.shape[:2]
                area = came[
                    max(0, piece.y - y) : max(0, piece.y + high - y),
                    max(0, piece.x - x) : max(0, piece.x + wide - x),
                ]
                np.maximum(area, 1.0 if piece.full_size else 0.5, out=area)
        return float(came.mean())

    def about(self, ask_id: int) -> str:
        """How far the earlier picture had been from the truth; empty while nobody knows."""
        with self._mutex:
            ask = self._asks.get(ask_id)
            return "" if ask is None else ask.about

    def apply(self, scene: Scene) -> Scene:
        """The scene with what was received of its place."""
        with self._mutex:
            mine = [(u, p) for boot, u, p in self._newest if boot == scene.boot_id]
            if not mine or scene.empty:
                return scene
            frame = scene.frame
            for unit_no, patch in mine:
                if (unit_no, patch.offset) == (frame.unit_no, scene.offset):
                    frame = settled(
                        paste(frame, [patch], patch.offset, scene.boot_id), [patch], patch.offset
                    )
                elif patch.full_size and unit_no <= frame.unit_no:
                    matrix = self._path.between(
                        scene.boot_id, unit_no, patch.offset, frame.unit_no, scene.offset
                    )
                    span = self._path.span(scene.boot_id, unit_no)
                    if matrix is not None and span is not None:
                        passed = frame.frame_no - span.first_frame - patch.offset
                        age_ms = round(1000 * passed / scene.fps)
                        frame = _carried(frame, patch, matrix, age_ms, (scene.boot_id, unit_no))
        return scene if frame is scene.frame else replace(scene, frame=frame)


def _carried(
    frame: DecodedFrame, patch: PlacedPatch, matrix: NDArray[np.float64], age_ms: int,
    came_of: tuple[int, int],
) -> DecodedFrame:  # fmt: skip
    """The frame with a patch of `age_ms` ago, of (boot, unit) `came_of`, moved to where it is now."""
    if not 0 < age_ms < AGE_UNKNOWN_MS:
        return frame
    high, wide = frame.pixels.shape[:2]
    place = matrix @ np.array([[1, 0, patch.x], [0, 1, patch.y], [0, 0, 1]], np.float64)
    moved = cv2.warpPerspective(patch.pixels, place, (wide, high))
    full = np.full(patch.pixels.shape[:2], 255, np.uint8)
    there = cv2.warpPerspective(full, place, (wide, high))
    rows, columns = tile_grid(high, wide)
    covered = _tiles(there[..., None], rows, columns)[..., 0] > 254
    apart = np.abs(_tiles(moved, rows, columns) - _tiles(frame.pixels, rows, columns)).max(axis=2)
    younger = (frame.mark == Mark.RECEIVED) | (
        (frame.mark == Mark.CARRIED) & (frame.age_ms <= age_ms)
    )
    put = covered & (apart <= _AGREE_LEVELS) & ~younger
    if not put.any():
        return frame
    where = np.repeat(np.repeat(put, TILE_PX, axis=0), TILE_PX, axis=1)[:high, :wide]
    pixels = np.where(where[..., None], moved, frame.pixels).astype(np.uint8)
    mark, age = frame.mark.copy(), frame.age_ms.copy()
    mark[put], age[put] = Mark.CARRIED, age_ms
    p_wrong = frame.p_wrong.copy()
    p_wrong[put] = p_wrong_from_marks(mark[put], age[put])
    boot, unit = frame.source_boot.copy(), frame.source_unit.copy()
    part, truth = frame.source_part.copy(), frame.truth
    boot[put], unit[put], part[put] = *came_of, SourcePart.ANSWER
    if truth is not None:  # it was said of other pixels
        truth = np.where(put, np.uint8(Truth.UNTOLD), truth)
    return replace(
        frame, pixels=pixels, mark=mark, age_ms=age, p_wrong=p_wrong, truth=truth,
        source_boot=boot, source_unit=unit, source_part=part,
    )  # fmt: skip


def _tiles(pixels: NDArray[Any], rows: int, columns: int) -> NDArray[np.float32]:
    """float32[rows, columns, C]: mean of each tile, cut ones at the edge filled up."""
    high, wide = pixels.shape[:2]
    pad = ((0, rows * TILE_PX - high), (0, columns * TILE_PX - wide), (0, 0))
    whole = np.pad(pixels, pad, mode="edge").astype(np.float32)
    return np.asarray(
        whole.reshape(rows, TILE_PX, columns, TILE_PX, -1).mean(axis=(1, 3)), np.float32
    )


def _compared(ask: _Ask, patch: PlacedPatch) -> RegionScore | None:
    """Received pixels against what had been shown of the same frame; None where that is not kept, or
    the pixels are no true ones."""
    before = ask.before.get(patch.offset)
    if before is None:
        return None
    frame, x, y = before
    inside = replace(patch, x=patch.x - x, y=patch.y - y)
    if inside.x < 0 or inside.y < 0:
        return None
    found = score_region(frame, inside, ask.boot_id, ask.unit_no)
    return None if found is None else replace(found, x=patch.x, y=patch.y)
