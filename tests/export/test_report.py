"""The report: one file with all in it, that asks nothing of a network and says what is not real."""

from __future__ import annotations

import base64
import shutil
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.export.conftest import Program

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Text, pictures, and every address that the page names; unbalanced tags fail."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.images: list[bytes] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data", "action"):
                self.addresses.append(str(value))
                if tag == "img":
                    self.images.append(base64.b64decode(str(value).partition(",")[2]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def noted(mission: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mission with a hostile note in it, and a decoder that the base noted."""
    path = tmp_path_factory.mktemp("noted") / "flight.db"
    shutil.copy(mission, path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "INSERT INTO events VALUES (1, 1800000003000000000, 'note', ?)",
            ('{"text": "<script>alert(1)</script> <img src=http://x/>", "drone_id": "0-0"}',),
        )
        db.execute("INSERT INTO models VALUES (1, 1, 'gvc standard', ?)", ("ab" * 32,))
    return path


def test_a_report_holds_everything_and_fetches_nothing(
    noted: Path, tmp_path: Path, program: Program
) -> None:
    out = tmp_path / "report.html"
    code, said, _ = program(
        "export",
        noted,
        "--format",
        "report",
        "--out",
        out,
        "--ground",
        "540",
        "--quality",
        "preview",
    )
    assert code == 0 and "6 pictures" in said
    read = Page(out.read_text())
    assert all(address.startswith("data:image/") for address in read.addresses)
    assert not read.tags & {"script", "link", "iframe", "object"} and "svg" in read.tags
    text = " ".join(read.text)
    for words in (
        "31 % of what is shown is regenerated or lost", "NOT FOR PILOTING", "Unit 3 lost",
        "The edge found person 0", "made up to fill a hole", "flat ground at 540 m", "ab" * 32,
        "<script>alert(1)</script>", "Units: 3 whole, 2 degraded, 1 lost", "Nothing was asked",
        "whole: 71 datagrams".capitalize(), "unauthenticated",
    ):  # fmt: skip
        assert words in text, words
    assert len(read.images) == 6
    pictures = [cv2.imdecode(np.frombuffer(i, np.uint8), cv2.IMREAD_COLOR) for i in read.images]
    # Source and legend beneath: no pixel of the picture is hidden.
    assert all(p.shape[1] == 160 and p.shape[0] > 96 for p in pictures)


def test_without_telemetry_or_anything_derived_there_is_a_report_all_the_same(
    placeless: Path, tmp_path: Path, program: Program
) -> None:
    out = tmp_path / "report.html"
    words = ("--format", "report", "--out", out, "--quality", "preview", "--received-only")
    assert program("export", placeless, *words)[0] == 0
    text = " ".join(Page(out.read_text()).text)
    assert "there is no map" in text and "received evidence alone" in text
    assert "On the air, kbit/s" in text or "No link statistics" in text
