"""`make bench-marks`: how far the marks can be trusted, on clips of neither training nor calibration."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.marks.level import DoubtLevel
from gvc_base.marks.model import load_model
from gvc_protocol.marks import Mark
from tests.bench.marks.harvest import Take
from tests.bench.marks.judge import Judged, judge, test_takes
from tests.bench.marks.pictures import draw_reliability, draw_worst
from tests.bench.marks.scenes import FRESH, TEST

__all__ = ["auroc", "main"]

F32 = NDArray[np.float32]
Rows = Sequence[tuple[Take, Judged]]


def auroc(p: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """Chance that a wrong tile has a higher p than a right one; ties count half. NaN without both."""
    values, index = np.unique(p, return_inverse=True)
    bad = np.bincount(index, wrong, len(values))
    good = np.bincount(index, ~wrong, len(values))
    if not bad.sum() or not good.sum():
        return float("nan")
    below = np.cumsum(good) - good
    return float((bad * (below + good / 2)).sum() / (bad.sum() * good.sum()))


def _flat(rows: Rows, name: str) -> NDArray[np.float64]:
    return np.concatenate([getattr(j, name).ravel() for _, j in rows]).astype(np.float64)


def _trusted(rows: Rows) -> NDArray[np.bool_]:
    model = load_model()
    return np.concatenate([model.is_trusted(j.mark, j.p).ravel() for _, j in rows])


def _line(name: str, reach: str, cells: Sequence[str]) -> str:
    return f"{name:<56} {reach:>6}  " + "  ".join(f"{cell:>16}" for cell in cells)


def table(rows: Rows) -> list[str]:
    """The lines that are printed."""
    clean = [r for r in rows if r[0].loss_seed == 0]
    both = [clean, [r for r in rows if r[0].loss_seed]]
    lines = [_line("", "reach", ["loss-free", "20 % in bursts"])]
    lines.append(
        _line("wrong tiles, %", "", [f"{100 * _flat(g, 'wrong').mean():.1f}" for g in both])
    )
    scores = [auroc(_flat(g, "p"), _flat(g, "wrong") > 0) for g in both]
    lines.append(_line("AUROC of p_wrong, all tiles", "0.90", [f"{s:.3f}" for s in scores]))
    for kind in _kinds(rows):
        of = [[r for r in g if r[0].sending.scene.kind == kind] for g in both]
        cells = [f"{auroc(_flat(g, 'p'), _flat(g, 'wrong') > 0):.3f}" for g in of]
        lines.append(_line(f"  {kind}", "", cells))
    lines.append(
        _line("wrong among trusted, % (trusted, % of tiles)", "5", [_false(g) for g in both])
    )
    for kind in _kinds(rows):
        of = [[r for r in g if r[0].sending.scene.kind == kind] for g in both]
        lines.append(_line(f"  {kind}", "5", [_false(g) for g in of]))
    for name, what, by in (
        ("square error, by expected error", "error", "expected"),
        ("square error, by p_wrong", "error", "p"),
        ("disagreement, by p_wrong", "apart", "p"),
    ):
        cells = [_ratio(g, what, by) for g in both]
        lines.append(_line(f"{name}, least / most sure 10 %", "15", cells))
    cells = [f"{_root(g, 'expected'):.1f} / {_root(g, 'error'):.1f}" for g in both]
    lines.append(_line("error expected / found, levels of 255", "", cells))
    for name, seen in (("in a mission's second minute", True), ("in its first seconds", False)):
        cells = [_recall(g, seen_before=seen) for g in both]
        lines.append(_line(f"recall, {name} (right marked, %)", "0.85", cells))
    lines.append(
        _line("recall at exactly 10 % of right ones marked", "0.85", [_best(g) for g in both])
    )
    for codec in ("gvc", "classical"):
        of = [[r for r in g if r[0].sending.codec == codec] for g in both]
        cells = [
            f"{100 * sum(j.marks_s for _, j in g) / sum(j.decode_s for _, j in g):.1f}" for g in of
        ]
        lines.append(_line(f"cost of the mark, % of decode time, {codec}", "10", cells))
    return lines


def by_mark(rows: Rows) -> list[str]:
    """What each mark is worth."""
    mark, wrong, p = (_flat(rows, name) for name in ("mark", "wrong", "p"))
    lines = []
    for m in Mark:
        here = mark == m
        if here.any():
            lines.append(
                f"  {m.name.lower():<12} {100 * here.mean():5.1f} % of tiles, wrong "
                f"{100 * wrong[here].mean():5.1f} %, mean p_wrong {100 * p[here].mean():5.1f} %"
            )
    return lines


def _kinds(rows: Rows) -> list[str]:
    return list(dict.fromkeys(t.sending.scene.kind for t, _ in rows))


def _false(rows: Rows) -> str:
    trusted = _trusted(rows)
    if not trusted.any():
        return "none trusted"
    wrong = _flat(rows, "wrong")[trusted].mean()
    return f"{100 * wrong:.1f} ({100 * trusted.mean():.0f})"


def _root(rows: Rows, what: str) -> float:
    return float(np.sqrt(_flat(rows, what).mean()))


def _ratio(rows: Rows, what: str, by: str) -> str:
    """Ties are shared out evenly: within one p, tiles are taken by chance."""
    p, error = _flat(rows, by), _flat(rows, what)
    order = np.lexsort((np.random.default_rng(1).random(len(p)), p))
    tenth = len(p) // 10
    return f"{error[order[-tenth:]].mean() / error[order[:tenth]].mean():.1f}"


def _recall(rows: Rows, *, seen_before: bool) -> str:
    """Of the doubted tiles, each beginning with a level of its own, or all takes as one mission of which
    the level has seen as much before."""
    # The decoder's counts one picture in five; those that are judged are further apart.
    level, marked = DoubtLevel(every=1), []
    for counts in (False, True) if seen_before else (True,):
        for _, judged in rows:
            level = level if seen_before else DoubtLevel(every=1)
            found = [p >= level.see(p) for p in judged.p]
            marked += found if counts else []
    wrong, doubted = _flat(rows, "wrong") > 0, np.concatenate([m.ravel() for m in marked])
    return f"{doubted[wrong].mean():.2f} ({100 * doubted[~wrong].mean():.1f})"


def _best(rows: Rows) -> str:
    p, wrong = _flat(rows, "p"), _flat(rows, "wrong") > 0
    values = np.unique(p)[::-1]
    right = np.array([(p[~wrong] >= v).mean() for v in values])
    caught = np.array([(p[wrong] >= v).mean() for v in values])
    return f"{np.interp(0.10, right, caught):.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge, print, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with photos/ and clips/")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made once")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--clips", default="", help="only these, comma-separated")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    chosen = [t for t in test_takes() if not given.clips or t.sending.scene.name in given.clips]
    rows = []
    for take in chosen:
        rows.append((take, judge(take, given.data, given.work)))
        print(f"{take.name}: {len(rows[-1][1].frame)} frames judged", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    lines = [f"calibration {load_model().label}"]
    for title, scenes in (
        ("all clips", (*TEST, *FRESH)), ("the clips of make bench-codec", TEST),
        ("the fresh clips", FRESH),
    ):  # fmt: skip
        of = [(take, judged) for take, judged in rows if take.sending.scene in scenes]
        if of:
            lines += [
                "",
                f"{title}, {len({take.sending.scene.name for take, _ in of})}:",
                *table(of),
            ]
    lines += ["", "what each mark is worth:", *by_mark(rows)]
    (given.out / "marks.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    draw_reliability(rows, given.out / "reliability.png")
    for line in draw_worst(rows, given.data, given.work, given.out / "worst.jpg"):
        print(line)


if __name__ == "__main__":
    main()
