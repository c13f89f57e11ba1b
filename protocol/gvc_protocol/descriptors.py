"""Part D of a GVC unit: what the unit is about, in a few dozen bytes (WIRE.md, "Descriptors").

Fixed fields first, then type-length-value records; a reader skips types that it does not know, so a
new record never breaks an old base.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.motion_path import MotionPath, unpack_motion_path
from gvc_protocol.objects import Track, pack_tracks, unpack_tracks
from gvc_protocol.truth import TruthMap
from gvc_protocol.varint import VarintError, pull_varint, push_varint

__all__ = [
    "KNEE_LEVEL", "Descriptors", "Detection", "GlobalMotion", "RecordType", "Telemetry", "Thermal",
]  # fmt: skip

MAX_SIDE_PX = 16384
MAX_FRAMES = 100_000
MAX_RECORDS = 64
MAX_INTERLEAVE = 3
_HEAD = struct.Struct(">BBQ")  # codec id, bitstream version, capture time in microseconds
_TELEMETRY = struct.Struct(">iiihhh")
_DETECTION = struct.Struct(">BBHHHH")
_THERMAL = struct.Struct(">HHB")
_KNEE = struct.Struct(">H")
_WHITE_HOT, _HAS_KNEE = 1, 2
KNEE_LEVEL = 224
"The grey level at the knee of a thermal picture that has one."
_MOTION_SCALE = 1 << 14


class RecordType(IntEnum):
    """Record numbers inside D. Never reused."""

    WEIGHTS = 1
    GLOBAL_MOTION = 2
    TELEMETRY = 3
    DETECTIONS = 4
    END_OF_STREAM = 5
    TRACKS = 6
    MOTION_PATH = 7
    THERMAL = 8
    LADDER = 9
    INTERLEAVE = 10
    TRUTH_MAP = 11
    KEYFRAME = 12
    "All of K: `gvc_protocol.joined`."
    FEATURES = 13
    "All of F."


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Where the camera was at the unit's first frame."""

    lat_e7: int
    "Latitude, 1e-7 degree, WGS 84."
    lon_e7: int
    "Longitude, 1e-7 degree, WGS 84."
    alt_cm: int
    "Height above the ellipsoid, centimetres."
    roll_cdeg: int = 0
    pitch_cdeg: int = 0
    yaw_cdeg: int = 0
    "Attitude of the camera, 0.01 degree, -18000..18000."


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """An object found on true pixels at the edge; the box is in source pixels."""

    class_id: int
    score_pct: int
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalMotion:
    """Homography from the unit's first frame to its last, in coordinates scaled to -1..1.

    Eight coefficients h00 h01 h02 h10 h11 h12 h20 h21 (h22 = 1), each a multiple of 2**-14 in int16.
    """

    coefficients: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermal:
    """What the grey levels of a thermal camera's 8-bit picture stand for, at the unit's first frame."""

    lo: int
    "Sensor counts of level 0, 0..65535."
    hi: int
    "Sensor counts of level 255, not below `lo`."
    white_hot: bool = True
    "False when the camera itself shows hot as dark."
    knee: int | None = None
    "Counts of level 224 when levels above it are wider steps than those below; None: all are even."

    def counts(self, level: float) -> float:
        """Sensor counts behind a grey level, 0..255."""
        if self.knee is None:
            return self.lo + level * (self.hi - self.lo) / 255
        if level <= KNEE_LEVEL:
            return self.lo + level * (self.knee - self.lo) / KNEE_LEVEL
        return self.knee + (level - KNEE_LEVEL) * (self.hi - self.knee) / (255 - KNEE_LEVEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptors:
    """The unit's description. `capture_us` is stamped once, at the camera, and never again."""

    codec_id: int
    bitstream_version: int
    capture_us: int
    "Unix time of the first frame, microseconds."
    width: int
    height: int
    "Size of the source in pixels."
    fps: Fraction
    first_frame: int
    "Number of the unit's first frame, counted from the start of the stream."
    frames: int
    "Source frames that the unit covers."
    total_frames: int = 0
    "Frames of the whole source where known (a file), else 0: a lost tail can still be told."
    weights_prefix: bytes = b""
    "First 4 bytes of the weights' SHA-256; empty for a codec without weights."
    global_motion: GlobalMotion | None = None
    telemetry: Telemetry | None = None
    detections: tuple[Detection, ...] = ()
    end_of_stream: bool = False
    tracks: tuple[Track, ...] = ()
    "Objects followed through the unit on true pixels at the edge, at most 64."
    motion_path: MotionPath | None = None
    thermal: Thermal | None = None
    ladder: int | None = None
    """Where the unit stands on the edge's ladder: 0 full motion, 1 fewer frames, 2 stills with carried
    motion, 3 descriptors and chips; None when the edge does not say."""
    interleave: int = 0
    "Later units over whose air time K and F of this one are spread, too: wait for them so long."
    truth: TruthMap | None = None
    "Where the edge found what it sent right and wrong; holds where all of the unit arrived."
    unknown: tuple[tuple[int, bytes], ...] = field(default=())
    "Records of a later version, kept so that nothing received is lost."

    def pack(self) -> bytes:
        """Bytes of part D.

        Raises:
            LocalProtocolError: a field is out of the range that WIRE.md gives.
        """
        self._check()
        out = bytearray(_HEAD.pack(self.codec_id, self.bitstream_version, self.capture_us))
        rate = (self.fps.numerator, self.fps.denominator)
        for value in (self.width, self.height, *rate):
            push_varint(out, value)
        for value in (self.first_frame, self.frames, self.total_frames):
            push_varint(out, value)
        for kind, data in self._records():
            out.append(kind)
            push_varint(out, len(data))
            out += data
        return bytes(out)

    def _check(self) -> None:
        sizes = 1 <= self.width <= MAX_SIDE_PX and 1 <= self.height <= MAX_SIDE_PX
        counts = self.first_frame >= 0 and 0 <= self.frames <= MAX_FRAMES and self.total_frames >= 0
        codec = 0 <= self.codec_id <= 255 and 0 <= self.bitstream_version <= 255
        times = 0 < self.fps <= 1000 and 0 <= self.capture_us < 1 << 64
        if not (sizes and counts and codec and times and len(self.weights_prefix) in (0, 4)):
            raise LocalProtocolError(f"descriptor field out of range: {self}")

    def _records(self) -> list[tuple[int, bytes]]:
        out: list[tuple[int, bytes]] = []
        if self.weights_prefix:
            out.append((RecordType.WEIGHTS, self.weights_prefix))
        try:
            if self.global_motion is not None:
                data = struct.pack(">8h", *self.global_motion.coefficients)
                out.append((RecordType.GLOBAL_MOTION, data))
            if (t := self.telemetry) is not None:
                attitude = (t.roll_cdeg, t.pitch_cdeg, t.yaw_cdeg)
                data = _TELEMETRY.pack(t.lat_e7, t.lon_e7, t.alt_cm, *attitude)
                out.append((RecordType.TELEMETRY, data))
            if self.detections:
                rows = [
                    _DETECTION.pack(d.class_id, d.score_pct, d.x, d.y, d.width, d.height)
                    for d in self.detections
                ]
                out.append((RecordType.DETECTIONS, b"".join(rows)))
        except struct.error as error:
            raise LocalProtocolError(f"descriptor record out of range: {error}") from error
        if self.end_of_stream:
            out.append((RecordType.END_OF_STREAM, b""))
        out.extend(self._seen_records())
        out.extend(self.unknown)
        if len(out) > MAX_RECORDS or not all(0 <= kind <= 255 for kind, _ in self.unknown):
            raise LocalProtocolError("too many descriptor records, or one of an impossible type")
        return out

    def _seen_records(self) -> list[tuple[int, bytes]]:
        out: list[tuple[int, bytes]] = []
        if self.tracks:
            out.append((RecordType.TRACKS, pack_tracks(self.tracks)))
        if self.motion_path is not None:
            out.append((RecordType.MOTION_PATH, self.motion_path.pack(self.width, self.height)))
        if (t := self.thermal) is not None:
            out.append((RecordType.THERMAL, _pack_thermal(t)))
        if self.ladder is not None:
            if not 0 <= self.ladder <= 255:
                raise LocalProtocolError(f"no such step of the ladder: {self.ladder}")
            out.append((RecordType.LADDER, bytes((self.ladder, 0))))
        if self.interleave:
            if not 0 < self.interleave <= MAX_INTERLEAVE:
                raise LocalProtocolError(f"no such interleave: {self.interleave}")
            out.append((RecordType.INTERLEAVE, bytes((self.interleave,))))
        if self.truth is not None:
            out.append((RecordType.TRUTH_MAP, self.truth.pack()))
        return out

    @classmethod
    def unpack(cls, data: bytes) -> Descriptors | None:
        """Read part D. None when the bytes are not a valid D (a damaged or hostile one)."""
        try:
            return cls._unpack(data)
        except (VarintError, struct.error, LocalProtocolError, ZeroDivisionError):
            return None

    @classmethod
    def _unpack(cls, data: bytes) -> Descriptors:
        codec_id, version, capture_us = _HEAD.unpack_from(data, 0)
        at = _HEAD.size
        numbers = []
        for _ in range(7):
            value, at = pull_varint(data, at)
            numbers.append(value)
        width, height, num, den, first, frames, total = numbers
        fields: dict[str, object] = {}
        unknown: list[tuple[int, bytes]] = []
        for kind, value_bytes in _pull_records(data, at):
            known = _read_record(kind, value_bytes, fields)
            if not (known or _read_seen_record(kind, value_bytes, (width, height), fields)):
                unknown.append((kind, value_bytes))
        made = cls(
            codec_id=codec_id, bitstream_version=version, capture_us=capture_us,
            width=width, height=height, fps=Fraction(num, den),
            first_frame=first, frames=frames, total_frames=total,
            unknown=tuple(unknown), **fields,  # type: ignore[arg-type]
        )  # fmt: skip
        made._check()
        return made


def _pull_records(data: bytes, at: int) -> list[tuple[int, bytes]]:
    records: list[tuple[int, bytes]] = []
    while at < len(data):
        kind = data[at]
        size, at = pull_varint(data, at + 1)
        if at + size > len(data) or len(records) >= MAX_RECORDS:
            raise VarintError("record runs past the end")
        records.append((kind, data[at : at + size]))
        at += size
    return records


def _read_record(kind: int, data: bytes, fields: dict[str, object]) -> bool:
    """Put one record into `fields`; False when this version does not know it or its size."""
    if kind == RecordType.WEIGHTS and len(data) == 4:
        fields["weights_prefix"] = data
    elif kind == RecordType.GLOBAL_MOTION and len(data) == 16:
        fields["global_motion"] = GlobalMotion(coefficients=struct.unpack(">8h", data))
    elif kind == RecordType.TELEMETRY and len(data) == _TELEMETRY.size:
        lat, lon, alt, roll, pitch, yaw = _TELEMETRY.unpack(data)
        fields["telemetry"] = Telemetry(
            lat_e7=lat, lon_e7=lon, alt_cm=alt, roll_cdeg=roll, pitch_cdeg=pitch, yaw_cdeg=yaw
        )
    elif kind == RecordType.DETECTIONS and data and len(data) % _DETECTION.size == 0:
        names = ("class_id", "score_pct", "x", "y", "width", "height")
        rows = _DETECTION.iter_unpack(data)
        fields["detections"] = tuple(Detection(**dict(zip(names, r, strict=True))) for r in rows)
    elif kind == RecordType.END_OF_STREAM and not data:
        fields["end_of_stream"] = True
    else:
        return False
    return True


def _read_seen_record(
    kind: int, data: bytes, size: tuple[int, int], fields: dict[str, object]
) -> bool:
    """The same for what the edge saw; `size` is the source's width and height."""
    if kind == RecordType.TRACKS and (tracks := unpack_tracks(data)) is not None:
        fields["tracks"] = tracks
    elif kind == RecordType.MOTION_PATH and (path := unpack_motion_path(data, *size)) is not None:
        fields["motion_path"] = path
    elif kind == RecordType.THERMAL and (thermal := _unpack_thermal(data)) is not None:
        fields["thermal"] = thermal
    elif kind == RecordType.LADDER and _is_one_varint(data[1:]):
        # The varint will say why; nothing is laid down for it yet, but its form is.
        fields["ladder"] = data[0]
    elif kind == RecordType.INTERLEAVE and len(data) == 1 and 0 < data[0] <= MAX_INTERLEAVE:
        fields["interleave"] = data[0]
    elif kind == RecordType.TRUTH_MAP and (truth := TruthMap.unpack(data)) is not None:
        fields["truth"] = truth
    else:
        return False
    return True


def _is_one_varint(data: bytes) -> bool:
    try:
        return pull_varint(data, 0)[1] == len(data)
    except VarintError:
        return False


def _pack_thermal(t: Thermal) -> bytes:
    knee = t.lo if t.knee is None else t.knee
    if not 0 <= t.lo <= knee <= t.hi <= 0xFFFF:
        raise LocalProtocolError(f"thermal range out of range: {t}")
    flags = (_WHITE_HOT if t.white_hot else 0) | (0 if t.knee is None else _HAS_KNEE)
    head = _THERMAL.pack(t.lo, t.hi, flags)
    return head if t.knee is None else head + _KNEE.pack(t.knee)


def _unpack_thermal(data: bytes) -> Thermal | None:
    if len(data) < _THERMAL.size:
        return None
    lo, hi, flags = _THERMAL.unpack_from(data)
    bent = bool(flags & _HAS_KNEE)
    if len(data) != _THERMAL.size + (_KNEE.size if bent else 0):
        return None
    knee = _KNEE.unpack_from(data, _THERMAL.size)[0] if bent else None
    if not lo <= (lo if knee is None else knee) <= hi:
        return None
    return Thermal(lo=lo, hi=hi, white_hot=bool(flags & _WHITE_HOT), knee=knee)
