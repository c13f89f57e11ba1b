"""EXIF and XMP that say where and when a still was taken, as photogrammetry programs read them.

    Telemetry + time -> EXIF (GPS, DateTimeOriginal) and XMP (the same place, the camera's attitude)

Stills leave as JPEG of quality 100 without chroma subsampling: Pix4D takes no PNG, and the EXIF readers
inside OpenDroneMap read it of JPEG. A JPEG block is one tile then, so nothing bleeds from a tile that
was not received into one that was; levels change by a few. `gvc-base decode --stills` writes exact PNG.

Credentials are put before the EXIF, and exifread, which OpenDroneMap uses, looks no farther than 4 KB:
`geo.txt` beside the stills has the places once more in OpenDroneMap's own form, which goes before EXIF.

Heights are above the ellipsoid, which is what EXIF 3.0 takes a GPSAltitudeRef of 0 or 1 for. Attitude
is Pix4D's and OpenDroneMap's: pitch 0 looks straight down.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from gvc_base.export.words import utc, xml_text
from gvc_protocol.descriptors import Telemetry

__all__ = ["GEO_TXT_HEAD", "Geotag", "geo_txt_line", "tagged_jpeg"]

GEO_TXT_HEAD = "EPSG:4326\n"

_QUALITY = 100
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    'xmlns:Camera="http://pix4d.com/camera/1.0/"{}/></rdf:RDF></x:xmpmeta>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geotag:
    """What is known of a still."""

    telemetry: Telemetry | None
    "None unknown: then the file has no position."
    time_ns: int
    "Exposure, Unix time by the edge's clock; 0 unknown."
    text: str
    "What the picture is."
    software: str

    @property
    def has_attitude(self) -> bool:
        """All three angles zero is an edge that knows its place alone: a camera that looks exactly
        level, north and upright would be told so, too, and is rare."""
        t = self.telemetry
        return t is not None and any((t.roll_cdeg, t.pitch_cdeg, t.yaw_cdeg))


def tagged_jpeg(bgr: NDArray[np.uint8], tag: Geotag) -> bytes:
    """A still, uint8[h, w, 3] BGR, as JPEG with its place and time."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(bgr[..., ::-1])).save(
        file, "JPEG", quality=_QUALITY, subsampling=0, exif=_exif(tag), xmp=_xmp(tag).encode()
    )
    return file.getvalue()


def geo_txt_line(name: str, tag: Geotag) -> str:
    """A still's line of OpenDroneMap's geo.txt: name, longitude, latitude, height, yaw, pitch, roll."""
    t = tag.telemetry
    if t is None:
        return ""
    line = f"{name} {t.lon_e7 / 1e7:.7f} {t.lat_e7 / 1e7:.7f} {t.alt_cm / 100:.2f}"
    if tag.has_attitude:
        pitch = 90 + t.pitch_cdeg / 100
        line += f" {t.yaw_cdeg / 100:.2f} {pitch:.2f} {t.roll_cdeg / 100:.2f}"
    return line + "\n"


def _exif(tag: Geotag) -> bytes:
    exif = Image.Exif()
    exif[Base.ImageDescription] = tag.text.encode("ascii", "replace").decode()
    exif[Base.Software] = tag.software
    if tag.time_ns:
        moment = _moment(tag.time_ns)
        exif[Base.DateTime] = moment.strftime("%Y:%m:%d %H:%M:%S")
        more: dict[int, Any] = exif.get_ifd(IFD.Exif)
        more[Base.DateTimeOriginal] = exif[Base.DateTime]
        more[Base.OffsetTimeOriginal] = "+00:00"
        more[Base.SubsecTimeOriginal] = more[Base.SubsecTime] = f"{moment.microsecond // 1000:03d}"
    if tag.telemetry is not None:
        exif.get_ifd(IFD.GPSInfo).update(_gps(tag, tag.telemetry))
    return bytes(exif.tobytes())


def _gps(tag: Geotag, t: Telemetry) -> dict[int, Any]:
    gps: dict[int, Any] = {
        GPS.GPSVersionID: bytes((2, 4, 0, 0)),
        GPS.GPSLatitudeRef: "S" if t.lat_e7 < 0 else "N", GPS.GPSLatitude: _dms(t.lat_e7),
        GPS.GPSLongitudeRef: "W" if t.lon_e7 < 0 else "E", GPS.GPSLongitude: _dms(t.lon_e7),
        GPS.GPSAltitudeRef: b"\1" if t.alt_cm < 0 else b"\0",
        GPS.GPSAltitude: Fraction(abs(t.alt_cm), 100), GPS.GPSMapDatum: "WGS-84",
    }  # fmt: skip
    if tag.has_attitude:
        gps[GPS.GPSImgDirectionRef] = "T"
        gps[GPS.GPSImgDirection] = Fraction(t.yaw_cdeg % 36_000, 100)
    if tag.time_ns:
        moment = _moment(tag.time_ns)
        gps[GPS.GPSDateStamp] = moment.strftime("%Y:%m:%d")
        seconds = Fraction(moment.second * 1000 + moment.microsecond // 1000, 1000)
        gps[GPS.GPSTimeStamp] = (Fraction(moment.hour), Fraction(moment.minute), seconds)
    return gps


def _dms(angle_e7: int) -> tuple[Fraction, Fraction, Fraction]:
    """Degrees, minutes, seconds, exact to the telemetry's last digit."""
    degrees, rest = divmod(abs(angle_e7), 10**7)
    minutes, rest = divmod(rest * 60, 10**7)
    return Fraction(degrees), Fraction(minutes), Fraction(rest * 60 // 1000, 10**4)


def _xmp(tag: Geotag) -> str:
    told: dict[str, str] = {}
    if tag.time_ns:
        told["xmp:CreateDate"] = utc(tag.time_ns)
    if (t := tag.telemetry) is not None:
        told["exif:GPSLatitude"] = _minutes(t.lat_e7, "NS")
        told["exif:GPSLongitude"] = _minutes(t.lon_e7, "EW")
        told["exif:GPSAltitude"] = f"{abs(t.alt_cm)}/100"
        told["exif:GPSAltitudeRef"] = "1" if t.alt_cm < 0 else "0"
        told["exif:GPSMapDatum"] = "WGS-84"
        if tag.has_attitude:
            told["Camera:Yaw"] = f"{t.yaw_cdeg / 100:.2f}"
            told["Camera:Pitch"] = f"{90 + t.pitch_cdeg / 100:.2f}"
            told["Camera:Roll"] = f"{t.roll_cdeg / 100:.2f}"
    return _XMP.format("".join(f' {name}="{xml_text(value)}"' for name, value in told.items()))


def _minutes(angle_e7: int, sides: str) -> str:
    """XMP's form: `46,18.60048N`."""
    degrees, rest = divmod(abs(angle_e7), 10**7)
    return f"{degrees},{rest * 60 / 10**7:.6f}{sides[angle_e7 < 0]}"


def _moment(time_ns: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)
