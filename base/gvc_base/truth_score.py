"""How far the picture had been from the truth, where the truth was asked for and came.

    shown picture before, true pixels -> RegionScore -> event `truth_score` of the archive
                                                     -> RunningScore: the mission so far

True pixels are those of a region answer at full size: what the camera saw, coded finely. A score says
nothing of the tiles that nobody asked for, and people ask where they doubt: they are no sample of all.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Hashable, Mapping, Sequence
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

__all__ = [
    "EVENT",
    "RegionScore",
    "RunningScore",
    "cut",
    "read_scores",
    "score_of",
    "score_region",
    "settled",
]

EVENT = "truth_score"
"""Kind of the archive's event; its detail is `RegionScore.as_json`, with the ask's `id` and the camera's
`stream_id`. Finer pixels of the same ask make another one, which takes the place of the one before."""


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


class RunningScore:
    """All regions so far. Thread-safe. A region of one moment counts once, as its newest true pixels
    have it."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._scores: dict[tuple[Hashable, ...], RegionScore] = {}

    def add(self, score: RegionScore, camera: Hashable = 0) -> None:
        """Count one in; `camera` tells places of one boot and unit apart."""
        s = score
        key = (camera, s.boot_id, s.unit_no, s.frame_no, s.x, s.y, s.width, s.height)
        with self._mutex:
            self._scores[key] = score

    def figures(self) -> dict[str, float]:
        """Sums: `regions`, `tiles`, `wrong`, `unmarked`, `expected`, and `levels` on average."""
        with self._mutex:
            rows = list(self._scores.values())
        tiles = sum(s.tiles for s in rows)
        return {
            "regions": len(rows), "tiles": tiles, "wrong": sum(s.wrong for s in rows),
            "unmarked": sum(s.unmarked for s in rows),
            "expected": round(sum(s.expected for s in rows), 2),
            "levels": round(sum(s.levels * s.tiles for s in rows) / max(1, tiles), 2),
        }  # fmt: skip

    def text(self) -> str:
        """One line for the operator; empty while no truth has come."""
        f = self.figures()
        if not f["regions"]:
            return ""
        many = "s" if f["regions"] > 1 else ""
        return (
            f"truth came for {f['regions']} region{many}: the picture had "
            f"been wrong in {f['wrong']} of {f['tiles']} tiles ({100 * f['wrong'] / f['tiles']:.0f} %, "
            f"expected {100 * f['expected'] / f['tiles']:.0f} %), unmarked {f['unmarked']}; off by "
            f"{f['levels']:.0f} of 255 levels"
        )


def cut(
    frame: DecodedFrame, box: tuple[int, int, int, int]
) -> tuple[DecodedFrame, int, int] | None:
    """A copy of the whole tiles about a box (x, y, width, height), and where it begins (x, y); None
    where nothing of the box is in the picture."""
    high, wide = frame.pixels.shape[:2]
    x, y = (max(0, side) // TILE_PX * TILE_PX for side in box[:2])
    right, below = min(wide, box[0] + box[2]), min(high, box[1] + box[3])
    if right <= x or below <= y:
        return None
    right, below = (-(-side // TILE_PX) * TILE_PX for side in (right, below))
    tiles = np.s_[y // TILE_PX : below // TILE_PX, x // TILE_PX : right // TILE_PX]
    whole = DecodedFrame(
        frame_no=frame.frame_no, unit_no=frame.unit_no,
        pixels=frame.pixels[y:below, x:right].copy(), mark=frame.mark[tiles].copy(),
        age_ms=frame.age_ms[tiles].copy(), p_wrong=frame.p_wrong[tiles].copy(),
        truth=None if frame.truth is None else frame.truth[tiles].copy(),
    )  # fmt: skip
    return whole, x, y


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


def score_of(detail: Mapping[str, Any]) -> RegionScore:
    """The score in an event's detail.

    Raises:
        ValueError, KeyError, TypeError: it is not one.
    """
    made = {name: detail[name] for name in RegionScore.__dataclass_fields__}
    if not all(isinstance(v, int | float) for v in made.values()):
        raise ValueError("a score is made of numbers")
    return RegionScore(**made)


def read_scores(archive: Path) -> RunningScore:
    """The running score of a mission archive.

    Raises:
        UserError: it cannot be read.
    """
    out = RunningScore()
    sql = "SELECT session_id, detail FROM events WHERE kind = ? ORDER BY rowid"
    try:
        with closing(sqlite3.connect(f"{archive.resolve().as_uri()}?mode=ro", uri=True)) as db:
            for session, detail in db.execute(sql, (EVENT,)):
                about = json.loads(detail)
                out.add(score_of(about), (session, about.get("stream_id")))
    except sqlite3.Error as error:
        raise UserError(f"cannot read {archive}: {error}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{archive} holds a truth score that this version cannot read") from None
    return out
