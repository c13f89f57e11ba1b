"""How far the picture had been from the truth, where the truth was asked for and came.

    shown picture before, true pixels -> RegionScore -> event `truth_score` of the archive
                                                     -> RunningScore: the mission so far

True pixels are those of a region answer at full size: what the camera saw, coded finely. A score says
nothing of the tiles that nobody asked for, and people ask where they doubt: they are no sample of all.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.gvc_parts import PlacedPatch
from gvc_base.marks import is_wrong
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.errors import UserError
from gvc_protocol.marks import TILE_PX, Mark
from gvc_protocol.truth import Truth

__all__ = ["EVENT", "RegionScore", "RunningScore", "read_scores", "score_region", "settled"]

EVENT = "truth_score"
"Kind of the archive's event; its detail is `RegionScore.as_json`."


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionScore:
    """One region at one moment: what had been shown against what was there."""

    boot_id: int
    unit_no: int
    frame_no: int
    x: int
    y: int
    width: int
    height: int
    levels: float
    "Mean absolute difference of 255 levels."
    tiles: int
    wrong: int
    "Tiles in which structure was missing, invented or out of place (`is_wrong`)."
    unmarked: int
    "Of those, tiles that were shown as received or as verified: what nobody was warned of."
    expected: float
    "Wrong tiles that the picture's own `p_wrong` had foreseen, added up."

    def as_json(self) -> dict[str, Any]:
        """Plain values, for the archive."""
        return asdict(self)

    def text(self) -> str:
        """One line for the operator."""
        said = (
            f"the picture had been wrong in {self.wrong} of {self.tiles} tiles, off by "
            f"{self.levels:.0f} of 255 levels on average; it had expected {self.expected:.0f} wrong"
        )
        return said + (f", and had vouched for {self.unmarked} of them" if self.unmarked else "")


@dataclass(slots=True)
class RunningScore:
    """All regions so far."""

    regions: int = 0
    tiles: int = 0
    wrong: int = 0
    unmarked: int = 0
    expected: float = 0.0
    levels_sum: float = 0.0

    def add(self, score: RegionScore) -> None:
        """Count one in."""
        self.regions += 1
        self.tiles += score.tiles
        self.wrong += score.wrong
        self.unmarked += score.unmarked
        self.expected += score.expected
        self.levels_sum += score.levels * score.tiles

    def text(self) -> str:
        """One line for the console; empty while no truth has come."""
        if not self.regions:
            return ""
        return (
            f"truth came for {self.regions} region{'s' if self.regions > 1 else ''}: the picture had "
            f"been wrong in {self.wrong} of {self.tiles} tiles ({100 * self.wrong / self.tiles:.0f} %, "
            f"expected {100 * self.expected / self.tiles:.0f} %), unmarked {self.unmarked}; off by "
            f"{self.levels_sum / self.tiles:.0f} of 255 levels"
        )


def score_region(
    frame: DecodedFrame, patch: PlacedPatch, boot_id: int, unit_no: int
) -> RegionScore | None:
    """Compare a picture with the true pixels of this very moment.

    Args:
        frame: as it had been shown, before the true pixels were put in.
        patch: pixels at full size; its offset is not looked at.

    Returns:
        None where the patch is no true pixels (of a smaller size), or not in the picture.
    """
    height, width = frame.pixels.shape[:2]
    h, w = (min(side, room) for side, room in zip(
        patch.pixels.shape[:2], (height - patch.y, width - patch.x), strict=True))  # fmt: skip
    if not patch.full_size or h < TILE_PX or w < TILE_PX:
        return None
    had = frame.pixels[patch.y : patch.y + h, patch.x : patch.x + w]
    true = patch.pixels[:h, :w]
    wrong = is_wrong(np.ascontiguousarray(true), np.ascontiguousarray(had))
    rows, columns = wrong.shape
    area = np.s_[
        patch.y // TILE_PX : patch.y // TILE_PX + rows,
        patch.x // TILE_PX : patch.x // TILE_PX + columns,
    ]
    wrong = wrong[: frame.mark[area].shape[0], : frame.mark[area].shape[1]]
    vouched = frame.mark[area] == Mark.RECEIVED
    if frame.truth is not None:
        vouched |= frame.truth[area] == Truth.VERIFIED
    apart = np.abs(had.astype(np.int16) - true)
    return RegionScore(
        boot_id=boot_id, unit_no=unit_no, frame_no=frame.frame_no, x=patch.x, y=patch.y, width=w,
        height=h, levels=round(float(apart.mean()), 2), tiles=int(wrong.size),
        wrong=int(wrong.sum()), unmarked=int((wrong & vouched).sum()),
        expected=round(float(frame.p_wrong[area].astype(np.float64).sum()), 2),
    )  # fmt: skip


def settled(frame: DecodedFrame, patches: Sequence[PlacedPatch], offset: int) -> DecodedFrame:
    """The frame without the alarms, and the claims, that true pixels of this moment have answered."""
    mine = [p for p in patches if p.offset == offset and p.full_size]
    if not mine:
        return frame
    covered: NDArray[np.bool_] = np.zeros(frame.pixels.shape[:2], np.bool_)
    for patch in mine:
        h, w = patch.pixels.shape[:2]
        covered[patch.y : patch.y + h, patch.x : patch.x + w] = True
    left = tuple(
        a for a in frame.alarms
        if not covered[max(0, a.y) : a.y + a.height, max(0, a.x) : a.x + a.width].all()
    )  # fmt: skip
    truth = frame.truth
    if truth is not None:
        truth = truth.copy()
        truth[covered[::TILE_PX, ::TILE_PX]] = Truth.UNTOLD
    return replace(frame, alarms=left, truth=truth)


def read_scores(archive: Path) -> RunningScore:
    """The running score of a mission archive.

    Raises:
        UserError: it cannot be read.
    """
    out = RunningScore()
    names = RegionScore.__dataclass_fields__
    try:
        with closing(sqlite3.connect(f"{archive.resolve().as_uri()}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT detail FROM events WHERE kind = ? ORDER BY rowid", (EVENT,))
            for (detail,) in rows:
                about = json.loads(detail)
                out.add(RegionScore(**{name: about[name] for name in names}))
    except sqlite3.Error as error:
        raise UserError(f"cannot read {archive}: {error}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{archive} holds a truth score that this version cannot read") from None
    return out
