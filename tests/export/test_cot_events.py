"""Events of Cursor on Target: takproto reads them; what they carry comes back."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from takproto.functions import xml2message

from gvc_base.export.cot_events import (
    CotAbout,
    CotPlace,
    camera_event,
    detection_event,
    footprint_event,
    wrapped_lon,
)
from gvc_protocol.errors import LocalProtocolError

NOW_NS = 1_800_000_000_123_456_789
HERE = CotPlace(lon_deg=8.04, lat_deg=46.31, height_m=600.25, error_m=3.0)
REQUIRED = {"version", "uid", "type", "time", "start", "stale", "how"}


def about(remarks: str = "regenerated 30 %", uid: str = "gvc-1") -> CotAbout:
    return CotAbout(uid=uid, callsign="GVC 0-0", time_ns=NOW_NS, stale_s=20, remarks=remarks)


def read(event: bytes) -> ET.Element:
    """The event with what CoT 2.0 requires of every one."""
    assert b"\n" not in event
    root = ET.fromstring(event)
    assert root.tag == "event" and set(root.attrib) >= REQUIRED and root.get("version") == "2.0"
    point = root.find("point")
    assert point is not None and set(point.attrib) == {"lat", "lon", "hae", "ce", "le"}
    return root


def test_a_camera_comes_back_from_another_reader() -> None:
    event = camera_event(about(), HERE, course_deg=-90.0, speed_m_s=12.5)
    root = read(event)
    assert root.get("time") == "2027-01-15T08:00:00.123Z"
    assert root.get("stale") == "2027-01-15T08:00:20.123Z"
    told = xml2message(event).cotEvent
    assert (told.type, told.uid, told.how) == ("a-f-A-C", "gvc-1", "m-g")
    assert (told.lat, told.lon, told.hae, told.ce) == (46.31, 8.04, 600.2, 3.0)
    assert told.staleTime - told.sendTime == 20_000
    assert told.detail.contact.callsign == "GVC 0-0"
    assert (told.detail.track.course, told.detail.track.speed) == (270.0, 12.5)
    assert "regenerated 30 %" in told.detail.xmlDetail


def test_a_footprint_is_closed_and_looks_another_way_where_it_is_made_up() -> None:
    corners = [(8.0, 46.0), (8.1, 46.0), (8.1, 46.1), (8.0, 46.1)]
    seen, made_up = (
        read(footprint_event(about(), corners, made_up_share=share)) for share in (0.1, 0.6)
    )
    points = [link.get("point") for link in seen.iter("link")]
    assert len(points) == 5 and points[0] == points[-1] == "46.0000000,8.0000000"
    assert xml2message(ET.tostring(seen)).cotEvent.type == "u-d-f"
    for name in ("strokeColor", "fillColor", "strokeStyle"):
        values = [root.find(f"detail/{name}").get("value") for root in (seen, made_up)]  # type: ignore[union-attr]
        assert values[0] != values[1], name


def test_a_footprint_over_the_date_line_has_its_middle_there() -> None:
    corners = [(179.9, -17.0), (180.1, -17.0), (-179.9, -17.1), (179.9, -17.1)]
    point = read(footprint_event(about(), corners, made_up_share=0)).find("point")
    assert point is not None and abs(float(point.get("lon", "0"))) > 179.8
    with pytest.raises(LocalProtocolError, match="3 corners"):
        footprint_event(about(), corners[:2], made_up_share=0)


def test_an_object_is_a_spot_of_its_camera() -> None:
    event = detection_event(about(), CotPlace(lon_deg=8.0, lat_deg=46.0), camera_uid="gvc-cam")
    root, told = read(event), xml2message(event).cotEvent
    assert (told.type, told.hae) == ("b-m-p-s-m", 9_999_999.0)
    icon, colour = root.find("detail/usericon"), root.find("detail/color")
    assert icon is not None and colour is not None
    assert icon.get("iconsetpath", "").endswith(f"b-m-p-s-m/{colour.get('argb')}")
    assert root.find("detail/link[@uid='gvc-cam']") is not None


@pytest.mark.parametrize("place", [(0.0, 90.1), (math.nan, 0.0), (0.0, math.inf)])
def test_no_place_on_earth_is_refused(place: tuple[float, float]) -> None:
    with pytest.raises(LocalProtocolError):
        camera_event(about(), CotPlace(lon_deg=place[0], lat_deg=place[1]))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.text(min_size=1, max_size=10), st.floats(-720, 720))
def test_any_text_of_the_radio_is_carried_or_left_out(text: str, uid: str, lon: float) -> None:
    root = read(camera_event(about(text, f"gvc-{uid}"), CotPlace(lon_deg=lon, lat_deg=0.0)))
    kept = root.findtext("detail/remarks", "")
    assert all(word in text for word in kept.split())
    assert -180 <= wrapped_lon(lon) <= 180
    assert math.isclose(
        math.cos(math.radians(wrapped_lon(lon))), math.cos(math.radians(lon)), abs_tol=1e-9
    )
