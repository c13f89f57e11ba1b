"""Stills with their place, and the marked video: read back by other libraries, verified as signed."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD

from gvc_base.decode_pass import DecodePass, DecodeSettings
from gvc_base.export.geotag import Geotag, tagged_jpeg
from gvc_base.provenance import AlteredError, verify_media
from gvc_base.received import received_still
from gvc_base.recording import open_recording
from gvc_base.video import probe, read_video
from gvc_protocol.descriptors import Telemetry
from tests.export.conftest import Program


def test_stills_carry_place_time_and_credentials(
    mission: Path, tmp_path: Path, program: Program
) -> None:
    folder, state = tmp_path / "stills", tmp_path / "state"
    code, said, _ = program(
        "export", mission, "--format", "stills", "--out", folder, "--quality", "preview",
        "--state", state,
    )  # fmt: skip
    assert code == 0 and "5 stills with masks, 5 of them with a position" in said
    stills = sorted(folder.glob("*.jpg"))
    assert [p.name for p in stills] == [f"frame-{n:06d}.jpg" for n in (4, 12, 20, 36, 40)]
    for path in stills:
        assert "unaltered" in "\n".join(verify_media(path, state=state))
    with Image.open(stills[1]) as image:
        gps, size = image.getexif().get_ifd(IFD.GPSInfo), image.size
        told = image.getexif().get_ifd(IFD.Exif)
        xmp = {
            name.rpartition("}")[2]: v for name, v in ET.fromstring(image.info["xmp"])[0][0].items()
        }
    lat, lon = (round(sum(float(p) / 60**i for i, p in enumerate(gps[tag])), 7) for tag in (2, 4))
    assert (lat, lon) == (46.310012, 8.040009)  # halfway to the next unit's place
    assert (gps[1], gps[3], gps[5], float(gps[6])) == ("N", "E", b"\0", 600.0)
    assert (told[0x9003], told[0x9291]) == ("2027:01:15 08:00:01", "500")
    assert xmp["GPSLatitude"] == "46,18.600720N" and xmp["Pitch"] == "30.00"
    geo = (folder / "geo.txt").read_text().splitlines()
    assert len(geo) == 6 and geo[0] == "EPSG:4326"
    assert geo[2] == "frame-000012.jpg 8.0400090 46.3100120 600.00 0.00 30.00 0.00"

    # The pixels are those that were received, and the mask says which.
    run = DecodePass(open_recording(mission, None), DecodeSettings(quality="preview"))
    frame = next(s.frame for s in run.frames() if s.frame.frame_no == 12)
    still = received_still(frame)
    assert still is not None and size == still.pixels.shape[1::-1]
    mask = cv2.imread(str(folder / "frame-000012_mask.png"), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(mask, still.mask)
    assert np.abs(cv2.imread(str(stills[1])).astype(int) - still.pixels)[mask > 0].max() <= 6

    # A changed place is found.
    raw = stills[0].read_bytes()
    assert raw.count(b"46,18.6") == 1
    stills[0].write_bytes(raw.replace(b"46,18.6", b"46,19.6"))
    with pytest.raises(AlteredError):
        verify_media(stills[0], state=state)


def test_nothing_bleeds_over_the_edge_of_a_tile_and_what_is_unknown_is_left_out(
    tmp_path: Path,
) -> None:
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[8:24, 16:32] = np.random.default_rng(1).integers(0, 255, (16, 16, 3))
    place = Telemetry(lat_e7=-463_100_001, lon_e7=-1_790_000_001, alt_cm=-250, yaw_cdeg=-9000)
    tag = Geotag(telemetry=place, time_ns=0, text="still", software="test")
    path = tmp_path / "still.jpg"
    path.write_bytes(tagged_jpeg(pixels, tag))
    seen = cv2.imread(str(path))
    outside = np.ones((32, 48), bool)
    outside[8:24, 16:32] = False
    assert seen[outside].max() == 0
    with Image.open(path) as image:
        exif = image.getexif()
        gps = exif.get_ifd(IFD.GPSInfo)
    assert (gps[1], gps[3], gps[5], float(gps[6])) == ("S", "W", b"\x01", 2.5)
    assert sum(float(p) / 60**i for i, p in enumerate(gps[4])) == pytest.approx(
        179.0000001, abs=3e-8
    )
    assert float(gps[17]) == 270.0
    assert 0x9003 not in exif.get_ifd(0x8769) and 29 not in gps  # no time was known

    path.write_bytes(
        tagged_jpeg(pixels, Geotag(telemetry=None, time_ns=10**18, text="", software=""))
    )
    with Image.open(path) as image:
        assert not image.getexif().get_ifd(IFD.GPSInfo) and b"GPSLatitude" not in image.info["xmp"]


def test_the_video_has_its_marks_burned_in_and_beside_it(
    mission: Path, tmp_path: Path, program: Program
) -> None:
    out, state = tmp_path / "flight.mp4", tmp_path / "state"
    code, said, _ = program(
        "export", mission, "--format", "mp4", "--out", out, "--quality", "preview",
        "--state", state, "--received-only",
    )  # fmt: skip
    assert code == 0 and "units whole 3, degraded 2, lost 1" in said
    info = probe(out)
    assert info.frames == 48 and "marks burned in" in info.comment
    assert info.comment.startswith("Received pixels only")
    told = "\n".join(verify_media(out, state=state))
    assert "unaltered" in told and "nothing generated" in told
    with np.load(out.with_name("flight.marks.npz")) as marks:
        assert marks["mark"].shape[0] == len(list(read_video(out))) == 48
