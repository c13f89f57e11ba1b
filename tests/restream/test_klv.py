"""Where the camera was, as map players read it: MISB ST 0601 out of the transport stream."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gvc_base.console.view import CameraPlace
from gvc_base.restream import video
from gvc_base.restream.klv import UAS_LOCAL_SET, local_set
from gvc_base.restream.targets import VideoTarget
from gvc_base.restream.video import VideoRestream
from gvc_base.station.ground import Camera, GroundMap
from gvc_protocol.descriptors import Telemetry
from gvc_protocol.marks import Mark
from tests.restream.given import Given, Wire, frame_of, ts_frames
from tests.station.flights import wait_until

klvdata = pytest.importorskip("klvdata", reason="reads ST 0601; comes with the extra dev")

# Figures of the standard's own examples: value and the bytes that it stands for.
PLACE = CameraPlace(
    lon=128.42675904204452, lat=60.176822966978335, height_m=14190.7195, roll_deg=0, pitch_deg=-90,
    yaw_deg=0, fov_deg=144.571298, ground_m=9.44533455, time_ns=1_224_807_209_913_000_000,
    centre=(29.157890122923014, -10.542388633146132), cut=False,
)  # fmt: skip
GOLDEN = (
    "060e2b34020b01010e01030101000000620208000459f4a6aa4aa803014d0a01440b25475643206465636f6465642c"
    "206d61726b65643b206e6f7420666f722070696c6f74696e670c0e47656f64657469632057475338340d045595b66d"
    "0e045b5360c41002cd9c4101104b02c2210102b1a0"
)
CORNERS = ((29.12736, -10.57963), (29.18, -10.57), (29.18, -10.5), (29.12, -10.5))


def items(data: bytes) -> dict[int, bytes]:
    """(tag, value) of a set, in its order."""
    assert data[:16] == UAS_LOCAL_SET
    at = 17 if data[16] < 128 else 17 + (data[16] & 0x7F)
    length = data[16] if data[16] < 128 else int.from_bytes(data[17:at])
    assert at + length == len(data)
    found = {}
    while at < len(data):
        found[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found


def read(data: bytes) -> dict[int, Any]:
    """The values as an independent reader has them."""
    (whole,) = klvdata.StreamParser(data)
    return {int.from_bytes(k): v.value.value for k, v in whole.items.items()}


def test_the_bytes_are_those_of_the_standard() -> None:
    data = local_set(PLACE, CORNERS, mission="MISSION01", drone="0-1")
    found = items(data)
    assert next(iter(found)) == 2 and list(found)[-1] == 1, "time first, checksum last"
    wanted = {2: "000459f4a6aa4aa8", 3: "4d495353494f4e3031", 13: "5595b66d", 14: "5b5360c4",
              16: "cd9c", 23: "f101a229", 24: "14bc082b", 65: "10", 75: "c221", 78: "0bb3"}  # fmt: skip
    assert {tag: found[tag].hex() for tag in wanted} == wanted
    words = data[:-2] + bytes(len(data) % 2)
    total = sum(int.from_bytes(words[i : i + 2]) for i in range(0, len(words), 2))
    assert int.from_bytes(data[-2:]) == total & 0xFFFF
    golden = local_set(replace(PLACE, cut=True), (), mission="M", drone="D")
    assert golden.hex() == GOLDEN


def test_another_reader_reads_it() -> None:
    seen = read(local_set(PLACE, CORNERS, mission="flood", drone="0-1"))
    assert seen[3] == "flood" and seen[10] == "0-1" and "not for piloting" in seen[11]
    assert seen[13] == pytest.approx(PLACE.lat, abs=1e-6)
    assert seen[14] == pytest.approx(PLACE.lon, abs=1e-6)
    assert seen[75] == pytest.approx(PLACE.height_m, abs=0.2)
    corners = [(seen[tag + 1], seen[tag]) for tag in (82, 84, 86, 88)]
    for corner, wanted in zip(corners, CORNERS, strict=True):
        assert corner == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "gone"),
    [({"cut": True}, {23, 24, 78, 82, 85, 89}), ({"height_m": math.nan}, {75}),
     ({"height_m": 19_001.0}, {75}), ({"lat": 91.0}, {13}), ({"centre": (math.inf, 1.0)}, {24})],
)  # fmt: skip
def test_what_is_not_known_is_not_written(change: dict[str, Any], gone: set[int]) -> None:
    whole = set(items(local_set(PLACE, CORNERS, mission="m", drone="d")))
    found = items(local_set(replace(PLACE, **change), CORNERS, mission="ü" * 99, drone="d"))
    assert gone <= whole - set(found) and len(found[3]) == 126
    assert list(found)[-1] == 1


def test_a_camera_that_sees_the_horizon_is_cut() -> None:
    def place(pitch: int) -> CameraPlace:
        told = Telemetry(lat_e7=463_000_000, lon_e7=80_000_000, alt_cm=15_000, pitch_cdeg=pitch)
        return Camera(
            telemetry=told, width=640, height=480, fov_deg=70, ground_m=50
        ).place(1)  # fmt: skip

    down, level = place(-9000), place(-1000)
    assert not down.cut and down.centre == pytest.approx((8.0, 46.3)) and down.height_m == 150
    assert level.cut and level.pitch_deg == -10


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def test_the_place_is_in_the_transport_stream_while_pictures_are_new(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "_PLACE_S", 0.0)
    wire, given = Wire(), Given()
    stack.callback(wire.close)
    told = Telemetry(lat_e7=463_000_000, lon_e7=80_000_000, alt_cm=15_000, pitch_cdeg=-9000)
    chart = GroundMap(fov_deg=70, ground_m=50)
    target = VideoTarget(kind="mpegts", host="127.0.0.1", port=wire.port)
    sent = VideoRestream(given.view, target, [].append, sdp=tmp_path / "x.sdp", mission="flood")
    stack.callback(sent.close)
    sent.start()
    for number in range(3):
        frame = frame_of(number, Mark.ENHANCED)
        chart.seen(told, frame, (100 + number) * 10**9, moved=True)
        given.chart = chart.state()
        given.show(frame)
        wait_until(lambda n=number: sum(UAS_LOCAL_SET in d for d in wire.came) > n, "its place")
    # Held, and an unit of which nothing came: pictures go on, places do not.
    given.hold(1000)
    given.show(frame_of(9, Mark.LOST))
    came = len(wire.came)
    wait_until(lambda: len(wire.came) > came + 10, "pictures")
    sent.close()
    names, frames, sets = ts_frames(wire.came)
    assert names == ["h264", "data"] and len(frames) > 5 and len(sets) == 3
    for number, data in enumerate(sets):
        seen = read(data)
        assert seen[2].timestamp() == 100 + number
        assert seen[13] == pytest.approx(46.3, abs=1e-6) and seen[14] == pytest.approx(8, abs=1e-6)
        assert seen[75] == pytest.approx(150, abs=0.2) and seen[16] == pytest.approx(70, abs=0.01)
        assert seen[3] == "flood" and seen[10] == "0-1"
        # Straight down, north up: the upper edge is north of the middle, the left one west of it.
        assert seen[82] == pytest.approx(seen[84], abs=1e-6) and seen[82] > seen[23] > seen[86]
        assert seen[83] < seen[24] < seen[85]
