"""Codec 0: an AV1 still now and then, and a low-resolution, low-frame-rate AV1 stream. No learning.

    begin: rung (size, step) from the last unit's CRF -> push: reduce at once, keep one full frame
    close: K at its share -> F with the rest -> what K is worth is measured against F -> bytes

What was measured for K's share, 2 s units at 854x480, PSNR of the coded frames (F alone with all
bytes | 20 % for K | 35 % for K, K in the unit's middle, its difference from F carried by flow):
    aerial, calm    0.005 bpp 38.4 | 37.9 | 38.0     0.0024 bpp 36.5 | 35.9 | 35.9
    aerial, calm    0.02 bpp  40.1 | 40.3 | 40.1
    aerial, dense   0.02 bpp  28.1 | 28.1 | 28.5     0.005 bpp  25.3 | 24.5 | 24.4
    highway         0.02 bpp  37.5 | 37.5 | 37.1     0.0024 bpp 31.4 | 30.7 | 30.5
So at equal bytes a still costs 0.4 to 0.9 dB at 0.005 bpp and below, and about breaks even at 0.02
(35 %: +0.4, 0 and -0.4 dB). It is sent in every unit above 0.015 bpp, a choice between those two
points, and below that in one unit of four, for what PSNR does not show: a true full-size picture,
and something to show where F is lost. At 20 % the still was often no better than F at its own
moment; such a one adds nothing and is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from gvc_edge.codecs import av1
from gvc_edge.codecs.av1 import Picture
from gvc_edge.codecs.ladder import (
    LEVELS,
    Level,
    Search,
    first_guess,
    search_crf,
    settle,
    step_of,
    strained,
)
from gvc_edge.codecs.still import StillCoder, still_gains
from gvc_protocol.classical import (
    BITSTREAM_VERSION,
    FeaturesPart,
    KeyframePart,
    coded_offsets,
)
from gvc_protocol.codec import CodecId, CodecSpec, SourceFrame
from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.truth import Proxy

__all__ = ["MINIMUM_PAYLOAD", "ClassicalEncoder"]

MINIMUM_PAYLOAD = 150
"Bytes below which a unit comes out empty: one tiny picture always fits in these."

_STILL_SHARE = 0.35
_STILL_ALWAYS_BPP = 0.015
_STILL_NEVER_BPP = 0.0008
_STILL_EVERY = 4
_STILL_HEAD = 6
"Bytes of K before the OBUs: version, offset (up to 3), two gains."

_SPARE_SHARE = 0.25
"A stream that leaves this share of the bytes unused has no use for more: a still has."


class ClassicalEncoder:
    """Unit encoder of codec 0 (see `gvc_protocol.codec.UnitEncoder`).

    Args:
        width, height: source size in pixels, both even.
        fps: source frames a second.
        frames_per_unit: frames that a unit usually has; the last may have fewer.
        still_every: one unit in so many carries a still where the rate is low; 0 never.

    Raises:
        UserError: the source's size is odd or too small.
    """

    def __init__(
        self, *, width: int, height: int, fps: Fraction, frames_per_unit: int,
        still_every: int = _STILL_EVERY,
    ) -> None:  # fmt: skip
        if width % 2 or height % 2 or width < 32 or height < 32:
            raise UserError(
                f"a source of {width}x{height} cannot be coded; give even sides of at least 32"
            )
        self._width, self._height, self._fps = width, height, fps
        self._unit_frames = max(1, frames_per_unit)
        self._still_every = still_every
        self._spec = CodecSpec(codec_id=CodecId.CLASSICAL, bitstream_version=BITSTREAM_VERSION)
        self._still = StillCoder(width, height)
        self._known: tuple[int, float, int] | None = None  # rung, CRF and bytes of the last stream
        self._level, self._crf = 1, 50.0
        self._open = False
        self._size, self._step, self._still_at = (16, 16), 1, 0
        self._sampled: list[Picture] = []
        self._newest: Picture | None = None
        self._full: Picture | None = None
        self._shown: list[tuple[int, Picture]] = []
        self._reset(0, 0)

    @property
    def spec(self) -> CodecSpec:
        return self._spec

    @property
    def minimum_payload(self) -> int:
        """Smallest useful budget of a unit, bytes."""
        return MINIMUM_PAYLOAD

    @property
    def ladder(self) -> int | None:
        """Codec 0 does not say where it stands."""
        return None

    def begin(self, unit_no: int, payload_bytes: int) -> None:
        """Open a unit; below `MINIMUM_PAYLOAD` it will come out empty."""
        if self._open:
            raise LocalProtocolError("begin: the last unit was not closed")
        self._open = True
        self._reset(unit_no, payload_bytes)
        stream = max(1, payload_bytes - self._still_budget())
        if self._known is None:
            # A guess from the rate alone; the search corrects it within this unit.
            self._level, self._crf = first_guess(stream / max(1, payload_bytes) * self._bpp())
        else:
            level, crf, size = self._known
            self._level, self._crf = settle(level, crf, bytes_before=size, bytes_now=stream)
        self._step = step_of(LEVELS[self._level], self._fps)
        self._size = av1.even_size(self._width, self._height, LEVELS[self._level].scale)
        # The middle of the unit, so that a still is carried over half the time, twice; and on the
        # grid of a stream that turns out up to four times sparser.
        grid = 4 * self._step if 8 * self._step < self._unit_frames else self._step
        self._still_at = grid * round((self._unit_frames - 1) / 2 / grid)

    def push(self, frame: SourceFrame) -> None:
        """Add the next frame; kept are its reduced copy and, of one frame a unit, the full one."""
        if not self._open:
            raise LocalProtocolError("push: no unit is open")
        if frame.pixels.shape != (self._height, self._width, 3):
            raise LocalProtocolError(f"push: frame of {frame.pixels.shape}")
        if self._payload >= MINIMUM_PAYLOAD:
            small = av1.reduce(frame.pixels, *self._size)
            if self._count % self._step == 0:
                self._sampled.append(small)
            self._newest = small
            if self._still_budget() and self._count in (0, self._still_at):
                self._full, self._full_at = frame.pixels.copy(), self._count
        self._count += 1

    def close(self) -> tuple[bytes, bytes]:
        """Close the unit: (keyframe, features), together at most the budget of `begin`."""
        if not self._open:
            raise LocalProtocolError("close: no unit is open")
        self._open = False
        if self._payload < MINIMUM_PAYLOAD or not self._sampled:
            return b"", b""
        if (self._count - 1) % self._step and self._newest is not None:
            self._sampled.append(self._newest)
        keyframe, features = self._code()
        self._sampled, self._newest, self._full = [], None, None
        return keyframe, features

    def take_shown(self) -> tuple[Proxy, list[tuple[int, Picture]]]:
        """See `gvc_edge.verify.ShowsSent`."""
        shown, self._shown = self._shown, []
        return Proxy.CODED, shown

    def _reset(self, unit_no: int, payload: int) -> None:
        self._unit_no, self._payload = unit_no, payload
        self._count, self._full_at = 0, 0
        self._sampled, self._newest, self._full = [], None, None
        self._shown = []

    def _bpp(self) -> float:
        """Bits a source pixel that the budget allows."""
        return self._payload * 8 / (self._width * self._height * self._unit_frames)

    def _still_budget(self) -> int:
        """Bytes set aside for this unit's still; 0 when it has none."""
        bpp = self._bpp()
        turn = self._still_every > 0 and self._unit_no % self._still_every == 0
        if bpp < _STILL_NEVER_BPP or not (turn or bpp >= _STILL_ALWAYS_BPP):
            return 0
        return int(self._payload * _STILL_SHARE)

    def _code(self) -> tuple[bytes, bytes]:
        still = b""
        if self._full is not None:
            still = self._still.code(self._full, self._still_budget() - _STILL_HEAD)
        features, pictures = self._stream(self._payload - len(still) - _STILL_HEAD * bool(still))
        keyframe = self._worth(still, features, pictures)
        if still and not keyframe:
            features, pictures = self._stream(self._payload)
        return self._fill(keyframe, features, pictures)

    def _fill(
        self, keyframe: bytes, features: FeaturesPart | None, pictures: list[Picture]
    ) -> tuple[bytes, bytes]:
        """Give bytes that the stream has no use for to a better still."""
        packed = features.pack() if features is not None else b""
        self._shown = list(zip(features.offsets, pictures, strict=False)) if features else []
        spare = self._payload - len(packed) - len(keyframe)
        if self._full is not None and spare > _SPARE_SHARE * self._payload:
            still = self._still.code(self._full, self._payload - len(packed) - _STILL_HEAD)
            keyframe = self._worth(still, features, pictures) or keyframe
        return keyframe, packed

    def _stream(self, budget: int) -> tuple[FeaturesPart | None, list[Picture]]:
        """F within `budget` bytes, from this unit's rung down, and its pictures as decoded."""
        frames, step, last = self._sampled, self._step, self._count - 1
        first, crf = self._level, self._crf
        best: tuple[int, int, Search] | None = None
        for at in range(first, len(LEVELS)):
            if at > first:
                frames, step = self._coarser(frames, step, LEVELS[at])
                crf -= LEVELS[at].crf_from_finer
            found = self._search(frames, step, last, budget, max(av1.MIN_CRF, crf))
            if found is not None:
                best = (at, step, found)
                if not strained(found, budget):
                    break
            crf = found.crf if found is not None else av1.MAX_CRF
        if best is None:
            return self._tiny(budget), []
        self._level, step, found = best
        self._crf = found.crf
        self._known = (self._level, found.crf, found.size)
        part = FeaturesPart(step=step, last=last, frames=tuple(found.units))
        return part, av1.decode(found.units)

    def _search(
        self, frames: list[Picture], step: int, last: int, budget: int, crf: float
    ) -> Search | None:
        planes = [av1.i420(frame) for frame in frames]
        fps = self._fps / step

        def size_of(units: Sequence[bytes]) -> int:
            return len(FeaturesPart(step=step, last=last, frames=tuple(units)).pack())

        return search_crf(
            lambda c: av1.encode(planes, crf=c, fps=fps, still=False), size_of, budget, crf,
            tries=4 if self._known else 5,
        )  # fmt: skip

    def _coarser(self, frames: list[Picture], step: int, level: Level) -> tuple[list[Picture], int]:
        """The same unit on a lower rung: smaller, and only frames that were sampled already."""
        # Powers of two only: whatever was on the sparser grid stays on it, the still included.
        ratio = 2 ** max(0, round(math.log2(step_of(level, self._fps) / step)))
        last = self._count - 1
        wanted = coded_offsets(step * ratio, last)
        kept = dict(zip(coded_offsets(step, last), frames, strict=True))
        size = av1.even_size(self._width, self._height, level.scale)
        return [av1.reduce(kept[at], *size) for at in wanted], step * ratio

    def _tiny(self, budget: int) -> FeaturesPart | None:
        """One picture for the whole unit, as small as it must be."""
        last = self._count - 1
        for scale in (8, 12, 16, 32, 64, 128):
            size = av1.even_size(self._width, self._height, scale)
            plane = av1.i420(av1.reduce(self._sampled[0], *size))
            units = av1.encode([plane], crf=av1.MAX_CRF, fps=self._fps, still=True)
            part = FeaturesPart(step=min(60, max(1, last)), last=last, frames=tuple(units))
            if len(part.pack()) <= budget:
                return part
        return None

    def _worth(self, still: bytes, features: FeaturesPart | None, pictures: list[Picture]) -> bytes:
        """Part K, or nothing where the still does not beat the stream at its own moment."""
        if not still or self._full is None:
            return b""
        gains = (0, 0)
        if features is not None and self._full_at in features.offsets:
            shown = pictures[features.offsets.index(self._full_at)]
            measured = still_gains(self._full, av1.decode([still])[0], shown)
            if measured is None:
                return b""
            gains = measured
        part = KeyframePart(offset=self._full_at, gain_low=gains[0], gain_high=gains[1], obus=still)
        return part.pack()
