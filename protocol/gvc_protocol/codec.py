"""The codec contract: what an encoder hands to the link and what a decoder must hand to a viewer.

    frames -> UnitEncoder -> EncodedUnit -> link -> ReceivedUnit -> UnitDecoder -> DecodedFrame

A codec is a `CodecSpec` (an explicit id, never a position in a list), an encoder in `gvc_edge` and a
decoder in `gvc_base`. The two share nothing but this module and the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gvc_protocol.descriptors import Descriptors
from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.marks import Mark, SourcePart, tile_grid
from gvc_protocol.truth import Alarm, Truth

__all__ = [
    "CodecId",
    "CodecSpec",
    "DecodedFrame",
    "EncodedUnit",
    "Part",
    "PartData",
    "Quality",
    "ReceivedUnit",
    "SourceFrame",
    "UnitDecoder",
    "UnitEncoder",
    "UnitSpan",
]

Quality = Literal["preview", "standard", "best"]


class CodecId(IntEnum):
    """Codec numbers on the wire. Never reused, never renumbered."""

    CLASSICAL = 0
    "AV1 still + low-resolution SVT-AV1; no weights."
    GVC = 1
    "VVC or AV1 pictures by layer, patches of true pixels; a network at the base."


class Part(IntEnum):
    """Parts of a GVC unit, which are also its priority classes: the lower number is kept longer."""

    DESCRIPTORS = 0
    KEYFRAME = 1
    FEATURES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecSpec:
    """Which codec made a unit, exact enough to refuse what cannot be decoded."""

    codec_id: int
    bitstream_version: int
    weights_sha256: bytes = b""
    "SHA-256 of the weights file, or empty for a codec without weights. The wire carries 4 bytes."

    def __post_init__(self) -> None:
        if not (0 <= self.codec_id <= 255 and 0 <= self.bitstream_version <= 255):
            raise LocalProtocolError("codec id and bitstream version must fit in a byte")
        if len(self.weights_sha256) not in (0, 32):
            raise LocalProtocolError("weights_sha256 must be 32 bytes or empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFrame:
    """One camera frame. `pixels` is uint8[H, W, 3] in BGR order (OpenCV's), H and W even."""

    frame_no: int
    capture_us: int
    "Unix time of the exposure, microseconds."
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedUnit:
    """A GVC unit as the encoder closed it. Empty bytes mean that the part is absent by choice."""

    unit_no: int
    spec: CodecSpec
    descriptors: Descriptors
    keyframe: bytes = b""
    features: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartData:
    """What arrived of one part: byte ranges of the original, in order, not overlapping."""

    ranges: tuple[tuple[int, bytes], ...] = ()
    "(offset, bytes) runs. A complete part is exactly one run at offset 0."
    complete: bool = False
    sent: bool = True
    "False when the edge left this part out on purpose: its absence is no loss."

    @property
    def whole(self) -> bytes | None:
        """All bytes of the part, or None when any is missing."""
        if not self.complete:
            return None
        return b"".join(data for _, data in self.ranges)

    @property
    def prefix(self) -> bytes:
        """The bytes from offset 0 up to the first gap; empty when the start is missing."""
        return self.ranges[0][1] if self.ranges and self.ranges[0][0] == 0 else b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedUnit:
    """What the link recovered of one unit. Nothing in it has to be there: degraded, never blocked."""

    unit_no: int
    descriptors: Descriptors | None = None
    keyframe: PartData = field(default_factory=PartData)
    features: PartData = field(default_factory=PartData)

    @property
    def whole(self) -> bool:
        """True when every part that was sent arrived."""
        parts = (self.keyframe, self.features)
        return self.descriptors is not None and all(p.complete or not p.sent for p in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSpan:
    """The stretch of the source's timeline that a unit covers, known or predicted by the session."""

    first_frame: int
    frames: int
    fps: Fraction
    width: int
    height: int
    boot_id: int = 0


_UNSET: NDArray[Any] = np.zeros((0, 0), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedFrame:
    """A picture that cannot exist without its marks.

    A decoder that keeps no record of its sources leaves the three `source_` grids out: they then say
    that nothing is known.

    Raises:
        LocalProtocolError: a mark array is missing, of another shape or type, or out of range.
    """

    frame_no: int
    unit_no: int
    pixels: NDArray[np.uint8]
    "uint8[H, W, 3], BGR."
    mark: NDArray[np.uint8]
    "uint8[ceil(H/8), ceil(W/8)], values of `Mark`."
    age_ms: NDArray[np.uint16]
    "uint16, same grid: time between the received pixel and this frame; 0 for received tiles."
    p_wrong: NDArray[np.float16]
    "float16, same grid, 0..1: how likely the tile is materially wrong."
    doubt_from: float = 0.5
    "Tiles of this `p_wrong` or more are doubted; above 1: none is."
    truth: NDArray[np.uint8] | None = None
    "uint8, same grid, values of `Truth`: what the sender verified and still holds; None: not looked."
    alarms: tuple[Alarm, ...] = ()
    "Where the picture and the evidence contradict each other."
    plain: NDArray[np.uint8] | None = None
    """uint8[h, w, 3] BGR: the received picture of this moment or the newest before it, at the size in
    which it was coded, nothing made of it; None where none was received or it is not told."""
    plain_age_ms: int = 0
    "Time between that picture and this frame, at most 65535."

    source_unit: NDArray[np.int32] = field(default_factory=lambda: _UNSET)
    "int32, same grid: the unit whose bytes the tile was made from; -1 where none was received."
    source_boot: NDArray[np.uint16] = field(default_factory=lambda: _UNSET)
    "uint16, same grid: the boot that this unit belongs to."
    source_part: NDArray[np.uint8] = field(default_factory=lambda: _UNSET)
    "uint8, same grid, values of `SourcePart`."

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise LocalProtocolError("pixels must be uint8[H, W, 3]")
        grid = tile_grid(self.pixels.shape[0], self.pixels.shape[1])
        unknown: tuple[tuple[str, type[np.generic], int], ...] = (
            ("source_unit", np.int32, -1), ("source_boot", np.uint16, 0),
            ("source_part", np.uint8, SourcePart.NONE),
        )  # fmt: skip
        for name, dtype, value in unknown:
            if getattr(self, name) is _UNSET:
                object.__setattr__(self, name, np.full(grid, value, dtype))
        wanted = (("mark", np.uint8), ("age_ms", np.uint16), ("p_wrong", np.float16))
        for name, dtype in (*wanted, *((n, d) for n, d, _ in unknown)):
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != grid:
                raise LocalProtocolError(f"{name} must be {np.dtype(dtype).name}{list(grid)}")
        if self.mark.max(initial=0) > max(Mark):
            raise LocalProtocolError("mark holds a value that is no Mark")
        if (t := self.truth) is not None and (
            t.dtype != np.uint8 or t.shape != grid or t.max(initial=0) > max(Truth)
        ):
            raise LocalProtocolError(f"truth must be uint8{list(grid)} of Truth")


class UnitEncoder(Protocol):
    """Edge side of a codec: frames in, one closed unit out. Holds no more than one unit of frames."""

    @property
    def spec(self) -> CodecSpec: ...

    def begin(self, unit_no: int, payload_bytes: int) -> None:
        """Open a unit whose keyframe and features together may take `payload_bytes`."""

    def push(self, frame: SourceFrame) -> None:
        """Add the next frame of the open unit. The encoder may keep a reduced copy only."""

    def close(self) -> tuple[bytes, bytes]:
        """Close the unit: (keyframe, features). Their sum never exceeds the budget of `begin`."""


class UnitDecoder(Protocol):
    """Base side of a codec. Keeps memory between units (last picture, later a mosaic)."""

    @property
    def spec(self) -> CodecSpec: ...

    @property
    def label(self) -> str:
        """What makes the pictures, for reports and archives: codec, quality, weights, backend."""

    def decode(self, unit: ReceivedUnit, span: UnitSpan) -> Iterator[DecodedFrame]:
        """Exactly `span.frames` marked frames, whatever the unit holds, down to nothing at all."""
