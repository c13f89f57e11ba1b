"""MARKS.npz: the marks of every frame, written as they come, one frame in memory.

A plain `numpy.load` opens it: `mark` uint8[N, R, C], `p_wrong` float16[N, R, C], `age_ms` uint16[N, R, C] with
R = ceil(H/8), C = ceil(W/8), and the scalars `tile_px`, `fps` (numerator, denominator), `size` (W, H) and
`codes` (the marks' names by number).
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from gvc_protocol.errors import UserError
from gvc_protocol.marks import TILE_PX, Mark, tile_grid
from numpy.typing import NDArray

__all__ = ["MarksWriter"]

_ARRAYS = (("mark", np.uint8), ("p_wrong", np.float16), ("age_ms", np.uint16))
_CHUNK = 1 << 20


class MarksWriter:
    """Context manager; the file appears under its name only when it is complete.

    Raises:
        UserError: the file cannot be written.
    """

    def __init__(self, path: Path, *, width: int, height: int, fps: Fraction) -> None:
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        self._grid = tile_grid(height, width)
        self._scalars = {
            "tile_px": np.array(TILE_PX), "fps": np.array([fps.numerator, fps.denominator]),
            "size": np.array([width, height]), "codes": np.array([m.name.lower() for m in Mark]),
        }  # fmt: skip
        self._frames = 0
        try:
            if path.is_dir():
                raise IsADirectoryError(21, "it is a folder")
            self._file = self._part.open("wb")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from None
        # The shape stands before the data in an .npy, and N is known last: spool, then copy.
        self._spools: dict[str, IO[bytes]] = {
            name: tempfile.TemporaryFile(dir=path.parent) for name, _ in _ARRAYS
        }

    def write(
        self, mark: NDArray[np.uint8], p_wrong: NDArray[np.float16], age_ms: NDArray[np.uint16]
    ) -> None:
        """Add one frame's grids."""
        arrays: dict[str, NDArray[Any]] = {"mark": mark, "p_wrong": p_wrong, "age_ms": age_ms}
        for name, dtype in _ARRAYS:
            self._spools[name].write(np.ascontiguousarray(arrays[name], dtype).tobytes())
        self._frames += 1

    def __enter__(self) -> MarksWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        try:
            if kind is None:
                with zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as out:
                    self._write_entries(out)
                self._file.close()
                self._part.replace(self._path)
        except OSError as failed:
            raise UserError(f"cannot write {self._path}: {failed.strerror}") from None
        finally:
            self._file.close()
            self._part.unlink(missing_ok=True)
            for spool in self._spools.values():
                spool.close()

    def _write_entries(self, out: zipfile.ZipFile) -> None:
        shape = (self._frames, *self._grid)
        for name, dtype in _ARRAYS:
            spool = self._spools[name]
            spool.seek(0)
            with out.open(f"{name}.npy", "w", force_zip64=True) as entry:
                header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(entry, header)
                while chunk := spool.read(_CHUNK):
                    entry.write(chunk)
        for name, value in self._scalars.items():
            buffer = io.BytesIO()
            np.save(buffer, value)
            out.writestr(f"{name}.npy", buffer.getvalue())
