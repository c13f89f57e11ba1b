"""The coder of a truth map's levels (WIRE.md, "Truth map").

    cells -> adaptive counts by context -> one exact interval -> its shortest bytes

It keeps its interval in whole numbers of any size, so that both ends agree to the last bit and no byte
goes into ending it: some 250 cells are at most some 2500 bits of arithmetic.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINARY", "PLAIN", "SLICED", "Coding", "decode", "encode"]

Levels = NDArray[np.uint8]
Cells = list[list[list[int]]]
Counts = tuple[tuple[int, ...], ...]

_GAIN = 2
"Added to a value's count when it comes."


class Coding:
    """Context and first counts of a cell; the same at both ends."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts

    def context(self, cells: Cells, t: int, r: int, c: int) -> int:
        """From the cells before this one: the sum of those above, to the left and above to the right."""
        rows = cells[t]
        above = rows[r - 1][c] if r else 0
        left = rows[r][c - 1] if c else 0
        beyond = rows[r - 1][c + 1] if r and c + 1 < len(rows[r]) else 0
        return above + left + beyond


class _Sliced(Coding):
    """Where a neighbour is missing at the edge another stands for it; the slice before counts, too."""

    def context(self, cells: Cells, t: int, r: int, c: int) -> int:
        rows, before = cells[t], cells[t - 1] if t else None
        if r:
            above = rows[r - 1][c]
            left = rows[r][c - 1] if c else above
        elif c:
            above = left = rows[r][c - 1]
        elif before is None:
            return 0
        else:
            above = left = before[r][c]
        last = len(rows[r]) - 1
        near = 2 * (above + left) + (rows[r - 1][c + 1] if r and c < last else above)
        if before is None:
            return 1 + (4 * near + 2) // 5
        right, below = before[r][min(c + 1, last)], before[min(r + 1, len(rows) - 1)][c]
        return 18 + (near + 8 * before[r][c] + 2 * (right + below) + 2) // 4


BINARY = Coding(((16, 1), (3, 2), (2, 3), (1, 5)))
"Maps of right and wrong alone, which are read and no longer sent."
PLAIN = Coding((
    (17, 1, 1, 1, 1), (9, 7, 4, 1, 1), (8, 4, 5, 2, 1), (2, 7, 4, 5, 2), (1, 4, 3, 3, 9),
    (1, 5, 8, 5, 1), (1, 3, 8, 6, 1), (1, 2, 7, 8, 3), (1, 1, 4, 6, 10), (1, 1, 4, 12, 3),
    (1, 1, 2, 10, 8), (1, 1, 1, 6, 13), (1, 1, 1, 1, 19),
))  # fmt: skip
"Maps of levels with one slice, of which the smallest alone are still sent."
SLICED = _Sliced((
    (3, 1, 6, 5, 10), (22, 1, 1, 1, 1), (14, 8, 1, 1, 1), (14, 8, 2, 1, 1), (12, 7, 5, 1, 1),
    (4, 14, 5, 1, 1), (6, 8, 8, 2, 1), (3, 8, 10, 3, 1), (2, 7, 11, 5, 1), (2, 4, 11, 6, 1),
    (1, 4, 10, 9, 1), (1, 2, 9, 11, 1), (1, 1, 6, 13, 3), (1, 1, 5, 14, 4), (1, 1, 3, 13, 8),
    (1, 1, 2, 9, 13), (1, 1, 1, 4, 19), (1, 1, 1, 1, 23), (23, 1, 1, 1, 1), (20, 2, 2, 1, 1),
    (16, 4, 4, 1, 1), (12, 7, 4, 1, 1), (6, 14, 3, 1, 1), (5, 13, 5, 1, 1), (4, 10, 8, 2, 1),
    (3, 8, 10, 3, 1), (2, 5, 11, 5, 1), (1, 3, 11, 7, 1), (1, 2, 9, 10, 2), (1, 2, 8, 10, 3),
    (1, 1, 7, 12, 3), (1, 1, 3, 13, 7), (1, 1, 2, 12, 9), (1, 1, 2, 10, 12), (1, 1, 1, 5, 18),
    (1, 1, 1, 1, 23),
))  # fmt: skip
"""Cells of each level taken for granted; shares of the training scenes of the marks. Contexts: 0 the
very first cell, 1 to 17 of the first slice, 18 to 35 of a later one."""


def encode(levels: Levels, coding: Coding) -> bytes:
    """Shortest bytes whose value, as a fraction of 256^length, lies in the map's interval.

    Args:
        levels: uint8[T, R, C].
    """
    cells: Cells = levels.tolist()
    counts = [list(row) for row in coding.counts]
    low, size, whole = 0, 1, 1
    for t, rows in enumerate(cells):
        for r, row in enumerate(rows):
            for c, level in enumerate(row):
                own = counts[coding.context(cells, t, r, c)]
                all_of_it = sum(own)
                low, whole = low * all_of_it + size * sum(own[:level]), whole * all_of_it
                size *= own[level]
                own[level] += _GAIN
    length = 0
    while True:
        unit = 1 << 8 * length
        value = -(-low * unit // whole)
        if value * whole < (low + size) * unit:
            return value.to_bytes(length, "big")
        length += 1


def decode(data: bytes, shape: tuple[int, int, int], coding: Coding) -> Levels:
    """uint8[T, R, C]. Any bytes are some map."""
    slices, rows, columns = shape
    cells: Cells = [[[0] * columns for _ in range(rows)] for _ in range(slices)]
    counts = [list(row) for row in coding.counts]
    # What is left of the value, over the interval that it lies in: value / whole of size 1.
    value, whole = int.from_bytes(data, "big"), 1 << 8 * len(data)
    for t in range(slices):
        for r in range(rows):
            for c in range(columns):
                own = counts[coding.context(cells, t, r, c)]
                steps = list(accumulate(own, initial=0))
                level = sum(value * steps[-1] >= whole * step for step in steps[1:-1])
                value = value * steps[-1] - whole * steps[level]
                whole *= own[level]
                cells[t][r][c] = level
                own[level] += _GAIN
    return np.array(cells, np.uint8)
