"""Which weights a decode runs with, by name: those of the package, or a folder of one's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gvc_base.neural.weights import FOLDER, WeightsEntry, find_weights
from gvc_protocol.codec import Quality
from gvc_protocol.errors import UserError

__all__ = ["Weights", "find_model", "how_of"]

_NETWORK = "evidence"
_HASH = re.compile(r"[0-9a-f]{6,64}")


@dataclass(frozen=True, slots=True)
class Weights:
    """A network's weights; `folder` holds the index that names them."""

    entry: WeightsEntry
    folder: Path

    @property
    def label(self) -> str:
        """Name and short hash."""
        return self.entry.label

    def sha256(self, decoder: str) -> str:
        """Of the file that a decoder of that label loaded: torch and ONNX Runtime have one each."""
        return self.entry.onnx_sha256 if " onnx " in decoder else self.entry.torch_sha256


def find_model(name: str | None) -> Weights:
    """The weights of that name: `evidence`, `evidence-250f5934`, a part of either hash, or a folder
    that `make train` wrote. None: the package's.

    Raises:
        UserError: there are none of that name.
    """
    if name is not None and Path(name).is_dir():
        folder = Path(name) / "weights" if (Path(name) / "weights").is_dir() else Path(name)
        return Weights(find_weights(_NETWORK, folder), folder)
    entry = find_weights(_NETWORK)
    if name is None or name in (_NETWORK, entry.label):
        return Weights(entry, FOLDER)
    short = name.removeprefix(f"{_NETWORK}-").lower()
    if _HASH.fullmatch(short):
        hashes = (entry.torch_sha256, entry.onnx_sha256)
        if any(known.startswith(short) for known in hashes):
            return Weights(entry, FOLDER)
    raise UserError(
        f"unknown model {name!r}; this base has {entry.label}; another one is named by the folder that "
        "`make train` wrote its weights to"
    )


def how_of(quality: Quality, model: str | None, codec_id: int | None) -> Weights | None:
    """The weights that a decode runs with; None where no network runs.

    Args:
        codec_id: of the stream; None: not known yet.

    Raises:
        UserError: the model is unknown, or was named where no network runs.
    """
    why = "quality preview runs no network" if quality == "preview" else ""
    if codec_id == 0:
        why = "it was sent with codec 0, which has no network"
    if why:
        if model is not None:
            find_model(model)
            raise UserError(f"{why}; leave the model out")
        return None
    return find_model(model)
