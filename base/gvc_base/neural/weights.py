"""Weights that come with the package, by hash: a file that is not what its name says is refused.

`weights/index.json` lists each network: its size, its torch file and its ONNX file, both named by the
first 8 hex digits of their SHA-256, which are checked when they are loaded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from gvc_protocol.errors import UserError

__all__ = ["FOLDER", "WeightsEntry", "find_weights", "read_checked"]

FOLDER = Path(__file__).resolve().parent / "weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsEntry:
    """One network of the index."""

    name: str
    channels: int
    blocks: int
    torch_file: str
    torch_sha256: str
    onnx_file: str
    onnx_sha256: str

    @property
    def label(self) -> str:
        """Name and short hash, for reports and archives."""
        return f"{self.name}-{self.torch_sha256[:8]}"


def find_weights(name: str, folder: Path = FOLDER) -> WeightsEntry:
    """The entry of a network.

    Raises:
        UserError: the index is missing, damaged, or has no such network.
    """
    path = folder / "index.json"
    try:
        row = json.loads(path.read_text())[name]
        return WeightsEntry(name=name, **row)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: no usable entry for the network '{name}'; reinstall gvc-field, or train one "
            "with `make train`"
        ) from error


def read_checked(path: Path, sha256: str) -> bytes:
    """The bytes of a weights file.

    Raises:
        UserError: it cannot be read, or its hash is not the one of the index.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; reinstall gvc-field") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UserError(f"{path}: is not the file that its name says; reinstall gvc-field")
    return data
