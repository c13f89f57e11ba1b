"""What a run shows: rate-distortion plots, quality against decode time, a contact sheet, a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table as RichTable

from tests.bench.codec.cells import still_name
from tests.bench.codec.rows import Row

__all__ = ["contact_sheet", "markdown", "plot_rates", "plot_times", "summary"]

_PLOTTED = (
    ("jod", "ColorVideoVDP, JOD"), ("ssimulacra2", "SSIMULACRA2"),
    ("feature_distance", "feature distance (less is better)"), ("movers", "movers that survive"),
)  # fmt: skip
_COLOURS = {"ours preview": "#9ecae1", "ours standard": "#2171b5", "ours best": "#08306b",
            "svt": "#d94801", "x265": "#fd8d3c", "x264": "#fdbe85"}  # fmt: skip

_NAMES = {"svt": "SVT-AV1"}
_TICKS = (0.3, 1, 2.4, 5)


def _pyplot() -> object:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _series(row: Row) -> str:
    return f"ours {row.config}" if row.system == "ours" else row.system


def plot_rates(rows: Sequence[Row], out: Path) -> None:
    """Quality over bits a source pixel, one row of plots a clip, loss-free cells without ablation."""
    plain = [
        r for r in rows if not r.loss and not r.ablate and r.jod_area != "look" and r.latency == 4
    ]
    plain = [r for r in plain if r.target.endswith("bpp")]
    clips = sorted({r.clip for r in plain})
    if not clips:
        return
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(  # type: ignore[attr-defined]
        len(clips), len(_PLOTTED), figsize=(4 * len(_PLOTTED), 3.2 * len(clips)), squeeze=False,
        constrained_layout=True,
    )  # fmt: skip
    for line, clip in zip(axes, clips, strict=True):
        for axis, (name, title) in zip(line, _PLOTTED, strict=True):
            for series, colour in _COLOURS.items():
                points = sorted(
                    (r.bpp * 1000, getattr(r, name)) for r in plain
                    if r.clip == clip and _series(r) == series and getattr(r, name) is not None
                )  # fmt: skip
                if points:
                    label = _NAMES.get(series, series)
                    axis.plot(*zip(*points, strict=True), "o-", label=label, color=colour, ms=4)
            if not axis.lines:
                # A clip without known movers.
                axis.set_visible(False)
                continue
            axis.set_title(f"{clip}: {title}", fontsize=9)
            axis.set_xlabel("bits / 1000 source pixels", fontsize=8)
            axis.set_xscale("log")
            axis.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
            axis.minorticks_off()
            axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=7)
    figure.savefig(out, dpi=90)
    pyplot.close(figure)  # type: ignore[attr-defined]


def plot_times(rows: Sequence[Row], out: Path) -> None:
    """Quality over decode time at equal bytes: what computing buys."""
    ours = [r for r in rows if r.system == "ours" and not r.loss and not r.ablate and r.decode_fps]
    ours = [r for r in ours if r.target == "0.0024 bpp" and r.latency == 4]
    if not ours:
        return
    pyplot = _pyplot()
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), constrained_layout=True)  # type: ignore[attr-defined]
    for axis, name, title in (
        (left, "jod", "ColorVideoVDP, JOD"), (right, "feature_distance", "feature distance"),
    ):  # fmt: skip
        for clip in sorted({r.clip for r in ours}):
            points = sorted(
                (1000 / (r.decode_fps or 1), getattr(r, name), r.config) for r in ours
                if r.clip == clip and getattr(r, name) is not None
            )  # fmt: skip
            if points:
                axis.plot([p[0] for p in points], [p[1] for p in points], "o-", label=clip, ms=4)
        axis.set_xscale("log")
        axis.set_xlabel("decode time, ms a shown frame")
        axis.set_title(f"{title} at 0.0024 bpp: preview, standard, best", fontsize=9)
        axis.grid(alpha=0.3)
    left.legend(fontsize=7)
    figure.savefig(out, dpi=90)
    pyplot.close(figure)  # type: ignore[attr-defined]


def contact_sheet(
    rows: Sequence[Row], sources: dict[str, np.ndarray], stills: Path, out: Path, target: str
) -> None:
    """Source, SVT-AV1 and ours beside each other, a row a clip, one moment."""
    lines = []
    for clip, frames in sources.items():
        cells = [("source", np.asarray(frames[len(frames) * 2 // 3]))]
        for system, config in (("svt", ""), ("ours", "standard")):
            row = next(
                (r for r in rows if r.clip == clip and r.system == system and r.target == target
                 and not r.loss and not r.ablate and r.jod_area != "look" and r.latency == 4
                 and (not config or r.config == config)), None,
            )  # fmt: skip
            picture = cv2.imread(str(stills / still_name(row))) if row is not None else None
            if row is not None and picture is not None:
                name = f"{'SVT-AV1' if system == 'svt' else 'ours,'} {row.config}"
                cells.append((f"{name} {row.kbps:.1f} kbit/s", np.asarray(picture)))
        lines.append(np.hstack([_labelled(f"{clip}: {text}", p) for text, p in cells]))
    widest = max(line.shape[1] for line in lines)
    lines = [
        cv2.copyMakeBorder(i, 0, 0, 0, widest - i.shape[1], cv2.BORDER_CONSTANT) for i in lines
    ]
    cv2.imwrite(str(out), np.vstack(lines), [cv2.IMWRITE_JPEG_QUALITY, 88])


def _labelled(text: str, picture: np.ndarray) -> np.ndarray:
    h, w = picture.shape[:2]
    crop = np.ascontiguousarray(picture[h // 6 : h - h // 6, w // 6 : w - w // 6])
    band = np.full((24, crop.shape[1], 3), 32, np.uint8)
    cv2.putText(
        band, text, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.48, (255, 255, 255), 1, cv2.LINE_AA
    )
    return np.vstack([band, crop])


def summary(rows: Sequence[Row], console: Console) -> None:
    """Ours beside SVT-AV1 at the same and at twice the bytes, every loss-free cell."""
    kept = [r for r in rows if r.jod_area != "look" and not r.loss and not r.ablate]
    table = RichTable(title="ours against SVT-AV1's best form")
    for name in ("clip", "rate", "latency", "what", "bpp", "JOD", "SSIMULACRA2", "features",
                 "movers", "recall", "precision", "encode", "decode"):  # fmt: skip
        table.add_column(name, justify="left" if name in ("clip", "what") else "right")
    order = {"svt": 0, "x265": 1, "x264": 2, "ours": 3}
    for row in sorted(kept, key=lambda r: (r.clip, r.latency, -r.bpp, order[r.system], r.config)):
        table.add_row(
            row.clip, row.target, f"{row.latency:g} s", f"{row.system} {row.config}",
            f"{row.bpp:.5f}", _number(row.jod, 2), _number(row.ssimulacra2, 1),
            _number(row.feature_distance, 4), _number(row.movers, 2), _number(row.recall, 2),
            _number(row.precision, 2), _number(row.encode_fps, 1), _number(row.decode_fps, 1),
        )  # fmt: skip
    console.print(table)
    others = [r for r in rows if (r.loss or r.ablate) and r.jod_area != "look"]
    if not others:
        return
    table = RichTable(title="loss and ablation")
    for name in ("clip", "rate", "what", "without", "loss", "kbit/s", "JOD", "features"):
        table.add_column(name)
    for row in others:
        table.add_row(
            row.clip, row.target, f"{row.system} {row.config}", row.ablate, f"{row.loss:.0%}",
            f"{row.kbps:.2f}", _number(row.jod, 2), _number(row.feature_distance, 4),
        )  # fmt: skip
    console.print(table)


def markdown(rows: Sequence[Row], out: Path, heading: str) -> None:
    """The same tables for a page of documentation.

    Args:
        heading: one line that says when, where and how they were measured.
    """
    kept = [r for r in rows if r.jod_area != "look"]
    plain = [r for r in kept if not r.loss and not r.ablate]
    order = {"svt": 0, "x265": 1, "x264": 2, "ours": 3}
    plain.sort(key=lambda r: (r.clip, r.latency, r.target, order[r.system], r.config))
    lines = [heading, "", _line("clip", "rate", "unit", "what", "bpp", "JOD", "SSIMULACRA2",
             "MS-SSIM", "PSNR", "feature distance", "movers", "recall", "precision"),
             _line(*["---"] * 13)]  # fmt: skip
    lines += [
        _line(
            r.clip, r.target, f"{r.latency:g} s", f"{_NAMES.get(r.system, r.system)} {r.config}",
            f"{r.bpp:.5f}", _number(r.jod, 2), _number(r.ssimulacra2, 1), _number(r.ms_ssim, 3),
            _number(r.psnr, 2), _number(r.feature_distance, 4), _number(r.movers, 2),
            _number(r.recall, 2), _number(r.precision, 2),
        )
        for r in plain
    ]  # fmt: skip
    others = [r for r in kept if r.loss or r.ablate]
    radio = [r for r in plain if "air" in r.target and r.target in {o.target for o in others}]
    if others:
        lines += ["", _line("clip", "rate", "what", "without", "loss", "JOD", "feature distance"),
                  _line(*["---"] * 7)]  # fmt: skip
        lines += [
            _line(
                r.clip, r.target, f"{_NAMES.get(r.system, r.system)} {r.config}", r.ablate,
                f"{r.loss:.0%}", _number(r.jod, 2), _number(r.feature_distance, 4),
            )
            for r in sorted(radio + others, key=lambda r: (r.clip, r.target, r.system, r.loss))
        ]  # fmt: skip
    out.write_text("\n".join(lines) + "\n")


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
