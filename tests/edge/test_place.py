"""Where the camera is: what receivers and autopilots say, and that it reaches part D."""

from __future__ import annotations

import math
import os
import socket
import time
import tty
from collections.abc import Callable
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_edge.pipeline import make_pipeline
from gvc_edge.place.fix import Attitude, Fix, mounted
from gvc_edge.place.readers import MavReader, NmeaReader
from gvc_edge.place.watch import PlaceWatch, open_place
from gvc_edge.rate import RateControl
from gvc_edge.sources import open_source
from gvc_edge.units import build_units
from gvc_profiles import load
from gvc_profiles.params import link_params
from gvc_protocol.descriptors import Descriptors, Telemetry
from gvc_protocol.errors import UserError

GGA = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"
"The example of every NMEA page: 48 deg 7.038' N, 11 deg 31' E, 545.4 m over the sea, geoid 46.9 m."


def pinned(messages: list[bytes], port: int) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        for message in messages:
            sender.sendto(message, ("127.0.0.1", port))


def wait_for(watch: PlaceWatch, again: Callable[[], None] = lambda: None) -> Telemetry:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        again()
        if (found := watch.now()) is not None:
            return found
        time.sleep(0.05)
    raise AssertionError("no position came")


def mav_messages() -> list[bytes]:
    common = pytest.importorskip("pymavlink.dialects.v20.common")
    mav = common.MAVLink(None, srcSystem=1, srcComponent=1)
    gps = dict.fromkeys(("time_usec", "fix_type", "lat", "lon", "eph", "epv", "vel", "cog"), 0)
    gps["satellites_visible"] = 9
    return [
        mav.gps_raw_int_encode(alt=100_000, alt_ellipsoid=147_000, **gps).pack(mav),
        mav.attitude_encode(0, 0.0, math.radians(10), math.radians(90), 0, 0, 0).pack(mav),
        mav.global_position_int_encode(
            0, 481_173_000, 115_166_670, 130_500, 30_000, 0, 0, 0, 9000
        ).pack(mav),
    ]


def test_a_receiver_tells_the_place_above_the_ellipsoid() -> None:
    fix = NmeaReader(Attitude(pitch=-90)).feed(b"noise\n" + GGA[:20])
    assert fix is None
    reader = NmeaReader(Attitude(pitch=-90))
    reader.feed(GGA[:20])
    found = reader.feed(GGA[20:])
    assert found is not None
    told = found.as_telemetry()
    assert (told.lat_e7, told.lon_e7) == (481_173_000, 115_166_667)
    assert told.alt_cm == 59_230 and told.pitch_cdeg == -9000


@pytest.mark.parametrize(
    "line",
    [
        GGA.replace(b"E,1,", b"E,0,").replace(b"*47", b"*46"),  # no fix yet
        GGA.replace(b"*47", b"*48"),
        b"$GPGGA,,,,,,1,,,,,,,,*46\r\n",
    ],
)
def test_a_receiver_without_a_fix_tells_none(line: bytes) -> None:
    assert NmeaReader(Attitude()).feed(line) is None


@settings(deadline=None, max_examples=80)
@given(st.lists(st.binary(max_size=120) | st.just(GGA), max_size=6))
def test_any_bytes_are_read_without_an_error(parts: list[bytes]) -> None:
    nmea, mav = NmeaReader(Attitude()), MavReader(Attitude())
    for part in parts:
        nmea.feed(part)
        mav.feed(part)


def test_an_autopilot_tells_place_and_where_the_camera_looks() -> None:
    found = None
    reader = MavReader(Attitude(pitch=-30))
    for message in mav_messages():
        found = reader.feed(message) or found
    assert found is not None
    told = found.as_telemetry()
    assert (told.lat_e7, told.lon_e7, told.alt_cm) == (481_173_000, 115_166_670, 17_750)
    # Nose 10 degrees up, camera 30 down against it, flying east.
    assert (told.roll_cdeg, told.pitch_cdeg, told.yaw_cdeg) == (0, -2000, 9000)


@settings(deadline=None, max_examples=60)
@given(st.floats(-180, 180), st.floats(-80, 80), st.floats(-180, 180))
def test_a_camera_along_the_nose_turns_as_the_vehicle_does(r: float, p: float, y: float) -> None:
    seen = mounted(Attitude(r, p, y), Attitude())
    apart = [abs((a - b + 180) % 360 - 180) for a, b in zip((r, p, y), vars_of(seen), strict=True)]
    assert max(apart) < 1e-6


def vars_of(a: Attitude) -> tuple[float, float, float]:
    return a.roll, a.pitch, a.yaw


def test_a_camera_out_of_the_belly_looks_down_and_turns_with_the_heading() -> None:
    seen = mounted(Attitude(0, 0, 120), Attitude(pitch=-90))
    assert seen.pitch == pytest.approx(-90, abs=1e-6) and seen.yaw == pytest.approx(120)
    banked = mounted(Attitude(20, 0, 0), Attitude(pitch=-90))  # the right wing down: it looks left
    assert banked.pitch == pytest.approx(-70)


def test_it_listens_to_an_autopilot_on_a_port() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    messages, said = mav_messages(), list[str]()
    with closing(open_place(f"mavlink+udp://127.0.0.1:{port}?pitch=-90", said.append)) as watch:
        told = wait_for(watch, lambda: pinned(messages, port))
    assert told.lat_e7 == 481_173_000 and said == ["the camera's position is known"]


def test_it_reads_a_receiver_on_a_serial_port_that_comes_late() -> None:
    said = list[str]()
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    name = os.ttyname(theirs)
    with closing(open_place(f"nmea:{name}?baud=4800", said.append)) as watch:
        told = wait_for(watch, lambda: os.write(ours, GGA) and None)
    assert told.alt_cm == 59_230
    os.close(ours)
    os.close(theirs)
    with closing(open_place("nmea:/dev/not-there", said.append)) as watch:
        end = time.monotonic() + 10
        while len(said) < 2 and time.monotonic() < end:
            time.sleep(0.02)
        assert watch.now() is None
    assert said[1].startswith("no position of the camera: ") and said[1].endswith("trying again")


class Receiver:
    """A port that says the same again and again."""

    says = b""

    def read(self) -> bytes:
        time.sleep(0.002)
        return self.says

    def close(self) -> None:
        pass


def test_a_receiver_that_finds_no_place_is_told_of_once() -> None:
    searching = GGA.replace(b"E,1,", b"E,0,").replace(b"*47", b"*46")
    said, port = list[str](), Receiver()

    def told(lines: int) -> str:
        end = time.monotonic() + 20
        while len(said) < lines and time.monotonic() < end:
            time.sleep(0.01)
        return said[lines - 1]

    with closing(PlaceWatch(
        open_port=lambda: port, reader=NmeaReader(Attitude()), say=said.append, patience_s=0.1,
    )) as watch:  # fmt: skip
        assert "nothing is heard from its receiver" in told(1)
        port.says = searching
        assert "heard but has no fix" in told(2)
        time.sleep(0.3)
        port.says = GGA
        assert told(3) == "the camera's position is known" and len(said) == 3
        wait_for(watch)
        port.says = searching
        assert told(4) == said[1]


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("gps:/dev/ttyUSB1", "is not known; give fixed:"),
        ("fixed:48.1,11.5", "LAT,LON,HEIGHT"),
        ("fixed:148.1,11.5,600", "LAT,LON,HEIGHT"),
        ("fixed:a,b,c", "'a' is no number"),
        ("fixed:48,11,600?tilt=3", "unknown option 'tilt'"),
        ("fixed:48,11,600?pitch=1000", "are degrees"),
        ("mavlink+udp://14550", "HOST:PORT"),
        ("nmea:", "is not known"),
    ],
)
def test_a_wrong_place_is_one_line(url: str, word: str) -> None:
    with pytest.raises(UserError, match="place ") as error:
        open_place(url, lambda _: None)
    assert word in str(error.value)


def test_the_place_of_a_units_first_frame_is_in_part_d() -> None:
    fixes = iter(Fix(lat=48 + n, lon=-11.5, height_m=600.25) for n in range(9))
    params = link_params(load("sik-64"), bps=None, fec="off")
    with closing(
        open_source("synthetic:flood?seed=5&size=160x96&fps=10&seconds=2", start_us=0)
    ) as source:
        made = make_pipeline(
            source, "sik-64", params, latency=1, codec="classical", objects="none", live=True,
            verify=False,
        )  # fmt: skip
        built = list(build_units(
            source, made.encoder, RateControl(params), unit_frames=made.unit_frames,
            backlog=lambda: 0, place=lambda: next(fixes).as_telemetry(),
        ))  # fmt: skip
    read = [Descriptors.unpack(b.unit.descriptors.pack()) for b in built]
    seen = [d.telemetry.lat_e7 for d in read if d is not None and d.telemetry is not None]
    assert seen == [480_000_000, 490_000_000]
    assert read[0] and read[0].telemetry and read[0].telemetry.alt_cm == 60_025
