"""Encoders by codec id. A row names the id; the encoder's imports load only when it is made."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

from gvc_protocol.codec import CodecId, UnitEncoder
from gvc_protocol.errors import UserError

__all__ = ["BudgetedEncoder", "make_encoder"]


class BudgetedEncoder(UnitEncoder, Protocol):
    """A unit encoder that tells the smallest budget it can make a picture of."""

    @property
    def minimum_payload(self) -> int:
        """Bytes of keyframe and features below which a unit comes out empty."""

    @property
    def ladder(self) -> int | None:
        """Where the last unit stood on the codec's ladder (`Descriptors.ladder`); None without one."""


def _classical(
    width: int, height: int, fps: Fraction, frames_per_unit: int, _live: bool
) -> BudgetedEncoder:
    from gvc_edge.codecs.classical import ClassicalEncoder

    return ClassicalEncoder(width=width, height=height, fps=fps, frames_per_unit=frames_per_unit)


def _gvc(
    width: int, height: int, fps: Fraction, frames_per_unit: int, live: bool
) -> BudgetedEncoder:
    from gvc_edge.codecs.gvc import GvcEncoder

    return GvcEncoder(
        width=width, height=height, fps=fps, frames_per_unit=frames_per_unit, live=live
    )


_Factory = Callable[[int, int, Fraction, int, bool], BudgetedEncoder]
_ENCODERS: dict[int, _Factory] = {CodecId.CLASSICAL: _classical, CodecId.GVC: _gvc}


def make_encoder(
    codec_id: int,
    *,
    width: int,
    height: int,
    fps: Fraction,
    frames_per_unit: int,
    live: bool = False,
) -> BudgetedEncoder:
    """The encoder of a codec id.

    Args:
        width, height: source size in pixels, both even.
        fps: source frames a second.
        frames_per_unit: frames that a unit usually has; the last may have fewer.
        live: keep up with a camera rather than get the most from each byte.

    Raises:
        UserError: no codec has this id, or the codec cannot take this source.
    """
    factory = _ENCODERS.get(codec_id)
    if factory is None:
        known = ", ".join(str(int(i)) for i in sorted(_ENCODERS))
        raise UserError(f"codec {codec_id} is not known to this encoder; give one of: {known}")
    return factory(width, height, fps, frames_per_unit, live)
