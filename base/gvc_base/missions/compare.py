"""Two decodes of one mission against each other: their looks, their marks, where they differ.

    frame of A, frame of B -> marks of both counted, structure compared (`marks.is_wrong`)
    -> video A | B | where they differ, sheet of the moments with most of it, map over the whole flight

Where two decoders show different structure one of them invented it or lost it: there nothing should be
decided on either. Neither is the truth, so no number here says which is better.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.marks.model import load_model
from gvc_base.marks.truth import is_wrong
from gvc_base.render import overlay
from gvc_base.sheets import contact_sheet, side_by_side
from gvc_base.text import draw_text, fit_text
from gvc_base.video import Mp4Writer
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.errors import UserError
from gvc_protocol.marks import TILE_PX, Mark

__all__ = ["Comparison", "Side", "compare"]

U8 = NDArray[np.uint8]
_MOMENTS = 4
_STRUCTURE: tuple[int, int, int] = (0, 228, 255)
"Yellow, BGR: different structure."
_MARKS: tuple[int, int, int] = (230, 160, 40)
"Blue: the same structure, other marks."
_DIMMED, _TINT = 0.45, 0.65
_WHITE = (255, 255, 255)
_MAP_LEAST_PX = 480
_HEADINGS_BELOW = "yellow: they show different structure; blue: only the marks differ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One decode."""

    label: str
    frames: Iterator[DecodedFrame]
    fps: Fraction | None = None
    "None: as the other side's, or told by the first frame's unit."
    burned: bool = False
    "Its pixels have the marks burned in already, so the pictures cannot be compared."


@dataclass(slots=True)
class _Counts:
    tiles: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Mark), np.int64))
    p_wrong: float = 0.0
    trusted: int = 0

    def add(self, frame: DecodedFrame) -> None:
        self.tiles += np.bincount(frame.mark.ravel(), minlength=len(Mark))
        self.p_wrong += float(frame.p_wrong.sum(dtype=np.float64))
        self.trusted += int(load_model().is_trusted(frame.mark, frame.p_wrong).sum())

    def told(self) -> dict[str, Any]:
        total = max(1, int(self.tiles.sum()))
        return {
            "marks": {m.name.lower(): round(int(self.tiles[m]) / total, 4) for m in Mark},
            "p_wrong": round(self.p_wrong / total, 4), "trusted": round(self.trusted / total, 4),
        }  # fmt: skip


@dataclass(slots=True, kw_only=True)
class _Moment:
    share: float
    frame_no: int
    second: int
    pictures: tuple[U8, U8, U8]


@dataclass(slots=True, kw_only=True)
class Comparison:
    """The numbers."""

    labels: tuple[str, str]
    frames: int = 0
    sides: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    "marks (shares of all tiles), p_wrong (mean), trusted (share at the promised 5 %)."
    marks_differ: float = 0.0
    "Share of tiles whose marks are not the same."
    pictures: bool = True
    "False: a side has its marks burned in, so its pixels are not compared."
    structure_differs: float = 0.0
    "Share of tiles that show different structure."
    mean_difference: float = 0.0
    "Mean absolute difference of the pixels, levels of 255."
    worst_frame: int = -1
    worst_share: float = 0.0
    crossed: list[list[float]] = field(default_factory=list)
    "Share of all tiles by mark of A (row) and of B (column)."
    files: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> str:
        """One object."""
        names = ("labels", "frames", "sides", "marks_differ", "pictures", "structure_differs",
                 "mean_difference", "worst_frame", "worst_share", "crossed", "files")  # fmt: skip
        return json.dumps({name: getattr(self, name) for name in names}, indent=1)

    def lines(self) -> list[str]:
        """For people."""
        a, b = self.sides
        rows: list[tuple[str, ...]] = [("", f"A: {self.labels[0]}", f"B: {self.labels[1]}")]
        rows += [
            (m.name.lower(), *(f"{100 * s['marks'][m.name.lower()]:.1f} %" for s in (a, b)))
            for m in Mark
        ]
        rows.append(("mean p_wrong", *(f"{100 * s['p_wrong']:.1f} %" for s in (a, b))))
        rows.append(("trusted", *(f"{100 * s['trusted']:.1f} %" for s in (a, b))))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        out = [f"{x:<{widths[0]}}  {y:<{widths[1]}}  {z}".rstrip() for x, y, z in rows]
        out.append(
            f"{self.frames} frames; marks differ in {100 * self.marks_differ:.1f} % of the tiles"
        )
        if self.pictures:
            most = f", most in frame {self.worst_frame} ({100 * self.worst_share:.0f} %)"
            out.append(
                f"different structure in {100 * self.structure_differs:.1f} % of the tiles"
                f"{most if self.worst_share else ''}; mean difference {self.mean_difference:.1f} of "
                "255 levels"
            )
        else:
            out.append(
                "pictures not compared: marks are burned into them; compare copies made clean"
            )
        return out


def compare(a: Side, b: Side, prefix: Path, *, fps: Fraction) -> Comparison:
    """Go through both and write PREFIX.mp4, PREFIX.png, PREFIX.map.png and PREFIX.json.

    Raises:
        UserError: they are not of one size, one holds nothing, or the disk is full.
    """
    work = _Work(Comparison(labels=(a.label, b.label)), prefix, fps, burned=(a.burned, b.burned))
    with work:
        for one, other in zip(a.frames, b.frames, strict=False):
            work.add(one, other)
    return work.finish()


class _Work:
    def __init__(
        self, found: Comparison, prefix: Path, fps: Fraction, *, burned: tuple[bool, bool]
    ) -> None:
        self._found, self._prefix, self._fps, self._burned = found, prefix, fps, burned
        found.pictures = not any(burned)
        self._counts = (_Counts(), _Counts())
        self._crossed: NDArray[np.int64] = np.zeros((len(Mark), len(Mark)), np.int64)
        self._writer: Mp4Writer | None = None
        self._shape: tuple[int, ...] = ()
        self._where: NDArray[np.int64] | None = None
        self._sum: NDArray[np.float64] | None = None
        self._levels = 0.0
        self._moments: list[_Moment] = []

    def __enter__(self) -> _Work:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._writer is not None:
            self._writer.__exit__(kind, error, trace)

    def add(self, a: DecodedFrame, b: DecodedFrame) -> None:
        """One frame of both."""
        if a.pixels.shape != b.pixels.shape:
            sizes = [f"{f.pixels.shape[1]}x{f.pixels.shape[0]}" for f in (a, b)]
            raise UserError(f"the two are not of one size: {sizes[0]} and {sizes[1]}")
        for counts, frame in zip(self._counts, (a, b), strict=True):
            counts.add(frame)
        pairs = a.mark.astype(np.int64) * len(Mark) + b.mark
        self._crossed += np.bincount(pairs.ravel(), minlength=len(Mark) ** 2).reshape(len(Mark), -1)
        marks = a.mark != b.mark
        wrong = is_wrong(a.pixels, b.pixels) if self._found.pictures else np.zeros_like(marks)
        self._sum_up(a, b, wrong if self._found.pictures else marks)
        pictures = tuple(
            f.pixels if burned else overlay(f)
            for f, burned in zip((a, b), self._burned, strict=True)
        )
        panels = (pictures[0], pictures[1], _difference(a.pixels, wrong, marks))
        share = float((wrong if self._found.pictures else marks).mean())
        self._write(panels, a.frame_no, share)
        self._keep(_Moment(share=share, frame_no=a.frame_no,
                           second=int(self._found.frames / self._fps), pictures=panels))  # fmt: skip
        self._found.frames += 1

    def _sum_up(self, a: DecodedFrame, b: DecodedFrame, where: NDArray[np.bool_]) -> None:
        if self._where is None or self._sum is None:
            self._where = np.zeros(where.shape, np.int64)
            self._sum = np.zeros(a.pixels.shape[:2], np.float64)
            self._shape = a.pixels.shape
        if a.pixels.shape != self._shape:
            raise UserError(
                "the source's size changes in the flight; compare the starts with --boot"
            )
        self._where += where
        self._sum += cv2.cvtColor(a.pixels, cv2.COLOR_BGR2GRAY)
        self._levels += float(cv2.absdiff(a.pixels, b.pixels).mean())

    def _write(self, panels: tuple[U8, U8, U8], frame_no: int, share: float) -> None:
        labels = self._found.labels
        caption = (
            f"frame {frame_no} | different in {100 * share:.0f} % of the tiles | {_HEADINGS_BELOW}"
        )
        picture = side_by_side(
            *panels, caption=caption,
            headings=(f"A: {labels[0]}", f"B: {labels[1]}", "WHERE THEY DIFFER"),
        )  # fmt: skip
        if self._writer is None:
            height, width = picture.shape[:2]
            self._writer = Mp4Writer(
                Path(f"{self._prefix}.mp4"), width=width, height=height, fps=self._fps,
                comment=f"Two GVC decodes, marks burned in: {labels[0]}; {labels[1]}",
            )  # fmt: skip
            self._writer.__enter__()
        self._writer.write(picture)

    def _keep(self, fresh: _Moment) -> None:
        """The moments with most of it, of each second its worst."""
        near = [m for m in self._moments if m.second == fresh.second]
        if near and near[0].share >= fresh.share:
            return
        kept = [m for m in self._moments if m.second != fresh.second]
        self._moments = sorted([*kept, fresh], key=lambda m: -m.share)[:_MOMENTS]

    def finish(self) -> Comparison:
        """The numbers, the sheet and the map."""
        found = self._found
        if not found.frames or self._where is None or self._sum is None:
            raise UserError("there is no frame that both hold; are they decodes of one mission?")
        total = int(self._crossed.sum())
        found.sides = (self._counts[0].told(), self._counts[1].told())
        found.crossed = np.round(self._crossed / total, 5).tolist()
        found.marks_differ = round(1 - float(np.trace(self._crossed)) / total, 5)
        if found.pictures:
            found.structure_differs = round(float(self._where.sum()) / total, 5)
            found.mean_difference = round(self._levels / found.frames, 3)
        worst = self._moments[0]
        found.worst_frame, found.worst_share = worst.frame_no, round(worst.share, 4)
        found.files = {
            "video": f"{self._prefix}.mp4", "sheet": f"{self._prefix}.png",
            "map": f"{self._prefix}.map.png",
        }  # fmt: skip
        _save(found.files["sheet"], self._sheet())
        _save(found.files["map"], _map(self._sum / found.frames, self._where / found.frames, found))
        try:
            Path(f"{self._prefix}.json").write_text(found.as_json() + "\n")
        except OSError as error:
            raise UserError(f"cannot write {self._prefix}.json: {error.strerror}") from None
        return found

    def _sheet(self) -> U8:
        a, b = self._found.labels
        moments = sorted(self._moments, key=lambda m: m.frame_no)
        rows = [(f"{float(m.frame_no / self._fps):.1f} s", *m.pictures) for m in moments]
        lines = [*self._found.lines()[-2:], f"Right: {_HEADINGS_BELOW}."]
        headings = (f"A: {a}, marked", f"B: {b}, marked", "WHERE THEY DIFFER")
        return contact_sheet(
            rows, title=f"{a} | {b}", lines=lines, headings=headings, unmarked=None
        )


def _difference(pixels: U8, wrong: NDArray[np.bool_], marks: NDArray[np.bool_]) -> U8:
    """The picture in grey, with the tiles that differ tinted."""
    height, width = pixels.shape[:2]
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    out = cv2.convertScaleAbs(grey, alpha=_DIMMED)
    for where, colour in ((marks & ~wrong, _MARKS), (wrong, _STRUCTURE)):
        big = np.repeat(np.repeat(where, TILE_PX, 0), TILE_PX, 1)[:height, :width]
        out[big] = ((1 - _TINT) * out[big] + _TINT * np.array(colour)).astype(np.uint8)
    return np.asarray(out, np.uint8)


def _map(mean: NDArray[np.float64], share: NDArray[np.float64], found: Comparison) -> U8:
    """How often each place differs, over the flight's mean picture, and a bar of the colours."""
    height, width = mean.shape
    top = max(float(share.max()), 1e-9)
    small = np.clip(255 * share / top, 0, 255).astype(np.uint8)
    big = np.repeat(np.repeat(small, TILE_PX, 0), TILE_PX, 1)[:height, :width]
    heat = cv2.applyColorMap(np.ascontiguousarray(big), cv2.COLORMAP_VIRIDIS)
    grey = cv2.cvtColor(mean.astype(np.uint8), cv2.COLOR_GRAY2BGR)
    picture = cv2.addWeighted(grey, 0.35, heat, 0.65, 0)
    times = -(-_MAP_LEAST_PX // width)
    if times > 1:
        picture = cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST)
    height, width = picture.shape[:2]
    out = np.full((height + 84, width, 3), 24, np.uint8)
    out[:height] = picture
    bar = np.linspace(0, 255, 200).astype(np.uint8)[None].repeat(14, 0)
    out[height + 12 : height + 26, 8:208] = cv2.applyColorMap(bar, cv2.COLORMAP_VIRIDIS)
    draw_text(out, f"0 to {100 * share.max():.0f} %", 218, height + 25, 11, _WHITE)
    what = "structure" if found.pictures else "marks"
    text = f"of the {found.frames} frames show different {what} at this place"
    if not share.any():
        text = f"all {found.frames} frames show the same {what} everywhere"
    for line, y in ((text, 50), (f"A: {found.labels[0]}   B: {found.labels[1]}", 74)):
        fitted, cap = fit_text(line, 11, width - 16)
        draw_text(out, fitted, 8, height + y, cap, _WHITE)
    return out


def _save(name: str, picture: U8) -> None:
    done, png = cv2.imencode(".png", picture)
    part = Path(f"{name}.part")
    try:
        part.write_bytes(png.tobytes() if done else b"")
        part.replace(name)
    except OSError as error:
        raise UserError(f"cannot write {name}: {error.strerror}") from None
