"""The state's word in letters that can be read from two metres: three lines of half blocks."""

from __future__ import annotations

__all__ = ["LINES", "banner"]

LINES = 3
_ROWS = 5
_LETTERS = {
    "A": (".#.", "#.#", "###", "#.#", "#.#"),
    "C": ("###", "#..", "#..", "#..", "###"),
    "D": ("##.", "#.#", "#.#", "#.#", "##."),
    "E": ("###", "#..", "##.", "#..", "###"),
    "G": ("####", "#...", "#.##", "#..#", "####"),
    "I": ("#", "#", "#", "#", "#"),
    "K": ("#.#", "#.#", "##.", "#.#", "#.#"),
    "L": ("#..", "#..", "#..", "#..", "###"),
    "M": ("#...#", "##.##", "#.#.#", "#...#", "#...#"),
    "N": ("#..#", "##.#", "#.##", "#..#", "#..#"),
    "O": ("###", "#.#", "#.#", "#.#", "###"),
    "R": ("##.", "#.#", "##.", "#.#", "#.#"),
    "S": ("###", "#..", "###", "..#", "###"),
    "T": ("###", ".#.", ".#.", ".#.", ".#."),
    "W": ("#...#", "#...#", "#.#.#", "##.##", "#...#"),
    " ": (".", ".", ".", ".", "."),
}
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def banner(word: str, width: int, *, unicode: bool) -> list[str]:
    """Three lines of exactly this width; without Unicode the word spaced out between bars.

    Raises:
        KeyError: a letter that no state has.
    """
    if not unicode:
        bar, spaced = "#" * width, f"##   {' '.join(word)}"
        return [bar, spaced.ljust(width - 2)[: width - 2] + "##", bar]
    rows = [" ".join(_LETTERS[c][row] for c in word) for row in range(_ROWS)]
    wide = 2 if 2 * len(rows[0]) + 4 <= width else 1
    rows = ["  " + "".join(c * wide for c in row.replace(".", " ")) for row in rows]
    rows = [row.ljust(width)[:width] for row in ["", *rows]]
    return [
        "".join(_HALVES[top != " ", low != " "] for top, low in zip(*pair, strict=True))
        for pair in (rows[0:2], rows[2:4], rows[4:6])
    ]
