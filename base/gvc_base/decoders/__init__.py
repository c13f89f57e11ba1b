"""Decoders by codec id. A row names the id; the decoder's imports load only when it is made."""

from __future__ import annotations

from collections.abc import Callable

from gvc_protocol.codec import CodecId, CodecSpec, Quality, UnitDecoder
from gvc_protocol.errors import UserError

__all__ = ["make_decoder"]


def _classical(spec: CodecSpec, quality: Quality) -> UnitDecoder:
    from gvc_base.decoders.classical import SPEC, ClassicalDecoder

    if spec.bitstream_version != SPEC.bitstream_version:
        raise UserError(
            f"codec {spec.codec_id} bitstream version {spec.bitstream_version} cannot be decoded "
            f"here, only {SPEC.bitstream_version}; update gvc-field on this base"
        )
    return ClassicalDecoder(spec, quality)


_DECODERS: dict[int, Callable[[CodecSpec, Quality], UnitDecoder]] = {
    CodecId.CLASSICAL: _classical,
}


def make_decoder(spec: CodecSpec, quality: Quality) -> UnitDecoder:
    """The decoder for what a stream says it is.

    Raises:
        UserError: this program knows no such codec, or not this version of its bitstream.
    """
    factory = _DECODERS.get(spec.codec_id)
    if factory is None:
        known = ", ".join(str(int(i)) for i in sorted(_DECODERS))
        raise UserError(
            f"codec {spec.codec_id} is not known to this base, only {known}; update gvc-field"
        )
    return factory(spec, quality)
