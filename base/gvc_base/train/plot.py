"""The loss plot of a run, drawn again and again while it trains."""

from __future__ import annotations

import csv
from pathlib import Path

__all__ = ["draw"]


def draw(log: Path, out: Path) -> None:
    """Draw every column of the log over the seconds of compute. Nothing happens before two rows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if len(rows) < 2:
        return
    names = [name for name in rows[0] if name not in ("step", "seconds")]
    figure, axes = pyplot.subplots(2, 4, figsize=(14, 6), constrained_layout=True)
    for name, axis in zip(names, axes.flat, strict=False):
        points = [(float(r["seconds"]) / 60, float(r[name])) for r in rows if r[name]]
        if points:
            axis.plot(*zip(*points, strict=True), linewidth=1)
        axis.set_title(name)
        axis.set_xlabel("minutes")
    part = out.with_suffix(".part.png")
    figure.savefig(part, dpi=80)
    pyplot.close(figure)
    part.replace(out)
