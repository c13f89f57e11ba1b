"""Cursor-on-Target files of a mission: every event is read, and says what was not received."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

from takproto.functions import xml2message

from gvc_base.export.areas import Areas
from gvc_base.export.cot import write_cot_lines
from tests.export.conftest import Program
from tests.export.planted import straight_down


def test_lines_are_events_in_order_of_time() -> None:
    facts = straight_down()
    file = io.BytesIO()
    number = write_cot_lines(facts, Areas(facts, fov_deg=70, ground_m=500), file)
    events = [xml2message(line).cotEvent for line in file.getvalue().splitlines()]
    assert len(events) == number == 3 + 3 + 1
    times = [event.sendTime for event in events]
    assert times == sorted(times)
    cameras = [event for event in events if event.type == "a-f-A-C"]
    assert len({event.uid for event in cameras}) == 1
    assert [round(event.lon, 4) for event in cameras] == [8.0, 8.0005, 8.001]
    assert all(event.hae == 600 for event in cameras)
    outlines = [event for event in events if event.type == "u-d-f"]
    assert all("regenerated 22 %" in event.detail.contact.callsign for event in outlines)
    assert all("regenerated: 22 % of the picture" in e.detail.xmlDetail for e in outlines)
    [found] = [event for event in events if event.type == "b-m-p-s-m"]
    assert "on true pixels" in found.detail.xmlDetail and cameras[0].uid in found.detail.xmlDetail


def test_a_package_holds_what_its_manifest_names(
    mission: Path, tmp_path: Path, program: Program
) -> None:
    out = tmp_path / "flight.zip"
    code, said, _ = program(
        "export",
        mission,
        "--format",
        "cot",
        "--out",
        out,
        "--ground",
        "540",
        "--quality",
        "preview",
    )
    assert code == 0 and "8 features" in said
    with zipfile.ZipFile(out) as package:
        assert package.testzip() is None
        manifest = ET.fromstring(package.read("MANIFEST/manifest.xml"))
        names = [content.get("zipEntry", "") for content in manifest.iter("Content")]
        assert sorted([*names, "MANIFEST/manifest.xml"]) == sorted(package.namelist())
        events = {name: xml2message(package.read(name)).cotEvent for name in names}
    assert all(name == f"{event.uid}/{event.uid}.cot" for name, event in events.items())
    kinds = [event.type for event in events.values()]
    assert sorted(kinds) == sorted(["a-f-A-C", "b-m-p-s-m", *["u-d-f"] * 6])
    text = " ".join(event.detail.contact.callsign for event in events.values())
    assert "GVC track" in text and "GVC picture 1, lost 88 %" in text
