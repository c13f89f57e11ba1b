"""Decoders by codec id. A row names the id; the decoder's imports load only when it is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from gvc_base.neural.weights import FOLDER as WEIGHTS
from gvc_protocol.codec import CodecId, CodecSpec, Quality, UnitDecoder
from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.marks.doubt import Doubt

__all__ = ["BACKENDS", "Backend", "make_decoder"]

Backend = Literal["auto", "cuda", "torch", "onnx"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
"What runs a codec's network; codecs without one ignore it."


def _classical(
    spec: CodecSpec, quality: Quality, _backend: Backend, doubt: Doubt | None, _weights: Path
) -> UnitDecoder:
    from gvc_base.decoders.classical import SPEC, ClassicalDecoder

    _check_version(spec, SPEC)
    return ClassicalDecoder(spec, quality, doubt)


def _gvc(
    spec: CodecSpec, quality: Quality, backend: Backend, doubt: Doubt | None, weights: Path
) -> UnitDecoder:
    from gvc_base.decoders.gvc import SPEC, GvcDecoder

    _check_version(spec, SPEC)
    if quality == "preview":
        return GvcDecoder(spec, quality, None, doubt=doubt)
    from gvc_base.neural.runtime import make_restorer

    return GvcDecoder(spec, quality, make_restorer(backend, weights), doubt=doubt)


def _check_version(spec: CodecSpec, known: CodecSpec) -> None:
    if spec.bitstream_version != known.bitstream_version:
        raise UserError(
            f"codec {spec.codec_id} bitstream version {spec.bitstream_version} cannot be decoded "
            f"here, only {known.bitstream_version}; update gvc-field on this base"
        )


_Factory = Callable[[CodecSpec, Quality, Backend, "Doubt | None", Path], UnitDecoder]
_DECODERS: dict[int, _Factory] = {
    CodecId.CLASSICAL: _classical,
    CodecId.GVC: _gvc,
}


def make_decoder(
    spec: CodecSpec, quality: Quality, backend: Backend = "auto", doubt: Doubt | None = None,
    weights: Path = WEIGHTS,
) -> UnitDecoder:  # fmt: skip
    """The decoder for what a stream says it is.

    Args:
        backend: what runs the network, where the codec has one and the quality uses it.
        doubt: what gives `p_wrong`; None: the package's calibration.
        weights: folder of the network's weights and their index.

    Raises:
        UserError: this program knows no such codec, or not this version of its bitstream; or the
            network cannot run here.
    """
    factory = _DECODERS.get(spec.codec_id)
    if factory is None:
        known = ", ".join(str(int(i)) for i in sorted(_DECODERS))
        raise UserError(
            f"codec {spec.codec_id} is not known to this base, only {known}; update gvc-field"
        )
    return factory(spec, quality, backend, doubt, weights)
