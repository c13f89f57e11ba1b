"""Sheets and comparison frames: sizes, and that each picture lands in its own column."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from gvc_base.sheets import contact_sheet, side_by_side

Image = NDArray[np.uint8]
SIZES = [(480, 854), (192, 256), (1080, 1920), (48, 64), (854, 480), (2, 2), (361, 641)]
COLOURS = ((200, 10, 10), (10, 200, 10), (10, 10, 200))


def plain(height: int, width: int) -> tuple[Image, Image, Image]:
    """Three pictures, each of one colour."""
    one, two, three = (np.full((height, width, 3), colour, np.uint8) for colour in COLOURS)
    return one, two, three


def columns_of(image: Image) -> list[tuple[int, int]]:
    """(first, last) x of each colour, and that the three do not touch each other."""
    spans = []
    for colour in COLOURS:
        xs = np.flatnonzero(np.all(image == colour, axis=2).any(axis=0))
        spans.append((int(xs[0]), int(xs[-1])))
    return spans


def apart(spans: Iterable[tuple[int, int]]) -> bool:
    flat = [x for span in spans for x in span]
    return flat == sorted(flat)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_side_by_side_is_even_and_not_too_wide(height: int, width: int) -> None:
    out = side_by_side(*plain(height, width), caption="sik-64, loss 20%, 2.5 s")
    assert out.dtype == np.uint8 and out.shape[0] % 2 == 0 and out.shape[1] % 2 == 0
    spans = columns_of(out)
    assert apart(spans)
    assert all(last - first + 1 <= 640 for first, last in spans)
    assert len({last - first for first, last in spans}) == 1


def test_side_by_side_keeps_its_size_whatever_is_said() -> None:
    pictures = plain(480, 854)
    sizes = {side_by_side(*pictures, caption=c).shape for c in ("", "x", "word " * 400, "é\n☃")}
    assert len(sizes) == 1


def test_panels_take_the_decoded_pictures_shape() -> None:
    source, decoded, marked = np.zeros((241, 321, 3), np.uint8), *plain(240, 320)[1:]
    same = side_by_side(decoded, decoded, marked, caption="")
    assert side_by_side(source, decoded, marked, caption="").shape == same.shape


@pytest.mark.parametrize(("height", "width"), [(480, 854), (192, 256), (1080, 1920), (48, 64)])
def test_sheet_holds_every_row_in_order(height: int, width: int) -> None:
    rows = [(f"{i}.0 s", *plain(height, width)) for i in range(3)]
    sheet = contact_sheet(rows, title="a mission", lines=["one line", "another " * 60])
    assert sheet.dtype == np.uint8 and sheet.shape[1] <= 1800
    assert apart(columns_of(sheet))
    for colour in COLOURS:
        seen = np.all(sheet == colour, axis=2).any(axis=1).astype(int)
        assert np.sum(np.diff(seen) == 1) == 3


def warned(sheet: Image) -> NDArray[np.intp]:
    """Columns of pixels with vermillion text between the sheet's head and its first row."""
    top = int(np.flatnonzero(np.all(sheet == COLOURS[1], axis=2).any(axis=1))[0])
    heading = sheet[top - 28 : top].astype(int)
    return np.flatnonzero((heading[..., 2] - heading[..., 0] > 60).any(axis=0))


def test_the_decoded_column_has_a_heading_of_its_own_colour() -> None:
    """Vermillion text above the unmarked column alone: it is no received picture."""
    rows = [("0.0 s", *plain(480, 854))]
    # The same words from elsewhere are the same sheet.
    own = ("SOURCE", "DECODED, unmarked", "MARKED")
    for sheet in (contact_sheet(rows, title="", lines=[]),
                  contact_sheet(rows, title="", lines=[], headings=own)):  # fmt: skip
        first, last = columns_of(sheet)[1]
        warm = warned(sheet)
        assert warm.size and first <= warm.min() and warm.max() <= last
    marked = contact_sheet(rows, title="", lines=[], headings=("A", "B", "C"), unmarked=None)
    assert not warned(marked).size


def test_more_lines_make_a_taller_sheet_and_none_is_fine() -> None:
    rows = [("0.0 s", *plain(48, 64))]
    short = contact_sheet(rows, title="t", lines=[])
    tall = contact_sheet(rows, title="t", lines=["word " * 300])
    assert tall.shape[0] > short.shape[0] and tall.shape[1] == short.shape[1]
    assert contact_sheet([], title="nothing came", lines=["0 units"]).size
