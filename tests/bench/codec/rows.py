"""One row a cell: what was compared, what it cost, what the metrics say; kept in a CSV as it grows.

A run that is started again with the same folder goes on: cells whose key stands in the CSV are done.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from tests.bench.codec import jod as cvvdp
from tests.bench.codec import metrics
from tests.bench.codec.judge import Judge
from tests.bench.codec.movers import TrueMover, movers_kept

__all__ = ["Meter", "Row", "Table"]


@dataclass(slots=True, kw_only=True)
class Row:
    """A row of the CSV. None where it was not measured."""

    clip: str
    system: str
    "ours, x264, x265 or svt."
    config: str
    "Quality of ours; scale and rate of a peer."
    target: str
    latency: float
    loss: float = 0.0
    ablate: str = ""
    bytes: int = 0
    bpp: float = 0.0
    kbps: float = 0.0
    "On the air for ours and under loss; payload for peers."
    jod: float | None = None
    jod_area: str = ""
    ssimulacra2: float | None = None
    ms_ssim: float | None = None
    psnr: float | None = None
    flicker: float | None = None
    movers: float | None = None
    feature_distance: float | None = None
    recall: float | None = None
    precision: float | None = None
    lpips: float | None = None
    encode_fps: float | None = None
    decode_fps: float | None = None
    first_s: float | None = None
    note: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What makes the cell one of its own."""
        return (
            self.clip, self.system, self.config, self.target, f"{self.latency:g}",
            f"{self.loss:g}", self.ablate, self.jod_area,
        )  # fmt: skip


class Table:
    """The rows of one folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[Row] = []
        if path.exists():
            with path.open(newline="") as file:
                self.rows = [_row(values) for values in csv.DictReader(file)]

    def find(self, row: Row) -> Row | None:
        """The row of the same cell, if it was measured."""
        return next((r for r in self.rows if r.key == row.key), None)

    def add(self, row: Row) -> Row:
        """Add and write at once: nothing measured is measured twice."""
        self.rows.append(row)
        part = self._path.with_suffix(".part")
        with part.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([f.name for f in fields(Row)])
            for r in self.rows:
                writer.writerow([_text(getattr(r, f.name)) for f in fields(Row)])
        part.replace(self._path)
        return row


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def _row(values: dict[str, str]) -> Row:
    given: dict[str, object] = {}
    for f in fields(Row):
        text = values.get(f.name, "")
        if "str" in str(f.type):
            given[f.name] = text
        elif text:
            given[f.name] = int(text) if str(f.type) == "int" else float(text)
    return Row(**given)  # type: ignore[arg-type]


@dataclass(slots=True)
class Meter:
    """What is measured of a decoded clip.

    Args:
        judge: a detector, or None.
        whole: ColorVideoVDP of the whole picture; else of the middle half a side, a quarter the time.
        quick: leave out what takes long besides.
        lpips: measure LPIPS by the package of that name, with weights that the user brought.
    """

    judge: Judge | None
    whole: bool
    quick: bool = False
    lpips: bool = False
    truths: dict[str, list[list[TrueMover]]] = field(default_factory=dict)
    "True boxes of the movers by clip."

    @property
    def area(self) -> str:
        """The JOD's area, for the row."""
        return "whole" if self.whole else "middle"

    def look(self, row: Row, source: np.ndarray, decoded: np.ndarray, fps: float) -> Row:
        """A quick opinion: JOD alone, of the middle. For the choice among a peer's forms."""
        row.jod, row.jod_area = cvvdp.jod(source, decoded, fps=fps, crop=True), "look"
        row.psnr = metrics.psnr(source, decoded)
        return row

    def measure(self, row: Row, source: np.ndarray, decoded: np.ndarray, fps: float) -> Row:
        """Every metric into the row."""
        row.psnr = metrics.psnr(source, decoded)
        row.flicker = metrics.flicker(source, decoded)
        row.jod = cvvdp.jod(source, decoded, fps=fps, crop=not self.whole)
        row.jod_area = self.area
        if self.judge is not None:
            verdict = self.judge.compare(source, decoded)
            row.feature_distance = verdict.feature_distance
            row.recall, row.precision = verdict.recall, verdict.precision
        if row.clip in self.truths:
            row.movers = movers_kept(source, decoded, self.truths[row.clip]).share
        if not self.quick:
            row.ssimulacra2 = metrics.ssimulacra2(source, decoded)
            row.ms_ssim = metrics.ms_ssim(source, decoded)
        if self.lpips:
            row.lpips = metrics.lpips(source, decoded)
        return row
