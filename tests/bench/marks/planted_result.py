"""What the planted bench counts, and how it says so."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Result"]


@dataclass(slots=True)
class Result:
    """Counts of cases."""

    planted: dict[str, list[int]] = field(default_factory=dict)
    "Where and what -> cases, alarmed."
    vanished: int = 0
    "Fakes in the memory that the decoder itself did not show."
    removed: list[int] = field(default_factory=lambda: [0, 0])
    unseen: list[int] = field(default_factory=lambda: [0, 0])
    "Movers that coding itself took away: (mover, frame) pairs, reported or on a tile known wrong."
    frames: int = 0
    false_unconfirmed: int = 0
    false_missed: int = 0
    verified: list[int] = field(default_factory=lambda: [0, 0])
    "Tiles shown as verified; of those, wrong by `is_wrong`."
    known_wrong: list[int] = field(default_factory=lambda: [0, 0])
    wrong: int = 0
    tiles: int = 0
    p: list[list[int]] = field(default_factory=lambda: [[0] * 101, [0] * 101])
    "Right and wrong tiles by percent of `p_wrong`."
    map_bytes: list[int] = field(default_factory=list)
    decode_s: float = 0.0
    watch_s: float = 0.0
    clips: dict[str, list[int]] = field(default_factory=dict)
    "By clip: fakes, alarmed, movers removed, reported, looks, false alarms."

    def add(self, other: Result) -> None:
        """Count another scene in."""
        for mine, its in ((self.planted, other.planted), (self.clips, other.clips)):
            for name, row in its.items():
                kept = mine.setdefault(name, [0] * len(row))
                kept[:] = [a + b for a, b in zip(kept, row, strict=True)]
        self.p = (np.array(self.p) + np.array(other.p)).tolist()
        for name in ("removed", "unseen", "verified", "known_wrong"):
            row = [a + b for a, b in zip(getattr(self, name), getattr(other, name), strict=True)]
            setattr(self, name, row)
        self.vanished += other.vanished
        self.frames += other.frames
        self.false_unconfirmed += other.false_unconfirmed
        self.false_missed += other.false_missed
        self.wrong += other.wrong
        self.tiles += other.tiles
        self.map_bytes += other.map_bytes
        self.decode_s += other.decode_s
        self.watch_s += other.watch_s

    def count_p(self, p: NDArray[np.float16], wrong: NDArray[np.bool_]) -> None:
        """The tiles of one frame."""
        percent = np.rint(100 * p.astype(np.float32)).astype(np.int64).ravel()
        mine = np.bincount(percent + 101 * wrong.ravel(), minlength=202).reshape(2, 101)
        self.p = (np.array(self.p) + mine).tolist()

    def lines(self) -> list[str]:
        """For people."""
        out = []
        for name, (cases, alarmed) in sorted(self.planted.items()):
            out.append(
                f"planted, {name}: {alarmed} of {cases} alarmed ({_percent(alarmed, cases)})"
            )
        for name, (fakes, found, gone, told, looks, false) in self.clips.items():
            out.append(
                f"{name}: fakes {found} of {fakes}, movers removed {told} of {gone}, "
                f"false alarms {false} in {looks} looks"
            )
        cases = sum(c for c, _ in self.planted.values())
        alarmed = sum(a for _, a in self.planted.values())
        false_rate = (self.false_unconfirmed + self.false_missed) / max(1, self.frames)
        out += [
            f"planted, all: {alarmed} of {cases} ({_percent(alarmed, cases)}); "
            f"{self.vanished} more in the memory did not come to be shown",
            f"true movers removed: {self.removed[1]} of {self.removed[0]} reported "
            f"({_percent(self.removed[1], self.removed[0])})",
            f"movers that coding took away: {self.unseen[1]} of {self.unseen[0]} reported or on tiles "
            f"known wrong ({_percent(self.unseen[1], self.unseen[0])})",
            f"untouched frames: {self.frames}; false alarms unconfirmed {self.false_unconfirmed}, "
            f"missed {self.false_missed} ({false_rate:.3f} a frame)",
            f"tiles wrong: {_percent(self.wrong, self.tiles)}; of verified ones "
            f"{_percent(self.verified[1], self.verified[0])} (they are "
            f"{_percent(self.verified[0], self.tiles)} of all); of known wrong ones "
            f"{_percent(self.known_wrong[1], self.known_wrong[0])}",
            f"p_wrong: {_worth(np.array(self.p))}",
            f"truth map: {np.mean(self.map_bytes or [0]):.1f} bytes a unit with its record's head, at "
            f"most {max(self.map_bytes, default=0)}, {len(self.map_bytes)} units",
            f"watching takes {_percent(round(self.watch_s * 1000), round(self.decode_s * 1000))} of the "
            "decoder's processor time",
        ]  # fmt: skip
        return out


def _worth(counts: NDArray[np.int64]) -> str:
    """Of right and wrong tiles by percent of p, int64[2, 101]."""
    right, wrong = counts
    both, at = right + wrong, np.arange(101) / 100
    below = np.cumsum(right) - right
    pairs = max(1, int(right.sum()) * int(wrong.sum()))
    order = float((wrong * (below + right / 2)).sum()) / pairs
    brier = float((right * at**2 + wrong * (1 - at) ** 2).sum()) / max(1, int(both.sum()))
    mean = float((both * at).sum()) / max(1, int(both.sum()))
    return f"AUROC {order:.3f}, Brier {brier:.4f}, mean {100 * mean:.1f} %"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"
