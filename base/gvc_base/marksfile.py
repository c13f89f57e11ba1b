"""MARKS.npz: the marks of every frame, written as they come, one frame in memory.

A plain `numpy.load` opens it: `mark` uint8[N, R, C], `p_wrong` float16[N, R, C], `age_ms`
uint16[N, R, C], `truth` uint8[N, R, C] (0 untold, 1 verified by the sender, 2 known wrong) with
R = ceil(H/8), C = ceil(W/8), `doubt_from` float16[N] (tiles of this `p_wrong` or more are doubted),
`error` float16[N, R, C] (how far a tile's pixels are expected to be from the truth, root mean square in
levels of 255; NaN: not known), `alarms` int32[M, 7] (frame, counted from 0 in this file; kind,
0 = unconfirmed, 1 = missed; x, y, width, height in pixels; strength in percent of its threshold), and
`tile_px`, `fps` (numerator, denominator), `size` (W, H) and `codes` (the marks' names by number).
Which received bytes each tile was made from: `source_unit` int32, -1 for none, `source_boot` uint16
and `source_part` uint8, all [N, R, C], and `parts` (the parts' names by number); `gvc-base trace`
follows them to the datagrams.

An .npy says how many frames follow before the first one, and how many there are is known last. So
the grids wait deflated in nameless files beside the target, and are copied once at the end; hours of
marks take a few megabytes there, and a crash leaves none of it behind.
"""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.marks import TILE_PX, Mark, SourcePart, tile_grid
from gvc_protocol.truth import Alarm

__all__ = ["MarksWriter"]

_ARRAYS = (
    ("mark", np.uint8), ("p_wrong", np.float16), ("age_ms", np.uint16), ("truth", np.uint8),
    ("error", np.float16),
)  # fmt: skip
_SOURCES: tuple[tuple[str, type[np.generic], int], ...] = (
    ("source_unit", np.int32, -1), ("source_boot", np.uint16, 0), ("source_part", np.uint8, 0),
)  # fmt: skip
"Name, type, and what stands for unknown."
_ALL = (*_ARRAYS, *((name, dtype) for name, dtype, _ in _SOURCES))
SourceGrids = tuple[NDArray[np.int32], NDArray[np.uint16], NDArray[np.uint8]]
_CHUNK = 1 << 20
_ALARM_FIELDS = 7


class _Spool:
    """Bytes in, the same bytes out, deflated on disk in between."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._deflate = file, zlib.compressobj(1)

    def write(self, data: bytes) -> None:
        self._file.write(self._deflate.compress(data))

    def read_back(self) -> Iterator[bytes]:
        self._file.write(self._deflate.flush())
        self._file.seek(0)
        inflate = zlib.decompressobj()
        while chunk := self._file.read(_CHUNK):
            while chunk:
                yield inflate.decompress(chunk, _CHUNK)
                chunk = inflate.unconsumed_tail
        yield inflate.flush()


class MarksWriter:
    """Context manager; the file appears under its name only when it is complete.

    Where anything fails, what was under the name before stays as it was.

    Args:
        width, height: of the shown picture, pixels.
        fps: exact frame rate.

    Raises:
        UserError: the file cannot be written.
    """

    def __init__(self, path: Path, *, width: int, height: int, fps: Fraction) -> None:
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        self._grid = tile_grid(height, width)
        self._scalars = {
            "tile_px": np.array(TILE_PX), "fps": np.array([fps.numerator, fps.denominator]),
            "size": np.array([width, height]), "codes": np.array([m.name.lower() for m in Mark]),
            "parts": np.array([p.name.lower() for p in SourcePart]),
        }  # fmt: skip
        self._frames = 0
        self._alarms, self._doubt_from = bytearray(), bytearray()
        with ExitStack() as stack:
            try:
                if path.is_dir():
                    raise IsADirectoryError(21, "it is a folder")
                self._file = stack.enter_context(self._part.open("wb"))
                stack.callback(self._part.unlink, missing_ok=True)
                self._spools = {
                    name: _Spool(stack.enter_context(tempfile.TemporaryFile(dir=path.parent)))
                    for name, _ in _ALL
                }
            except OSError as error:
                raise UserError(f"cannot write {path}: {error.strerror}") from None
            self._cleanup = stack.pop_all()

    def write(
        self, mark: NDArray[np.uint8], p_wrong: NDArray[np.float16], age_ms: NDArray[np.uint16],
        truth: NDArray[np.uint8] | None = None, alarms: Sequence[Alarm] = (), *,
        doubt_from: float, error: NDArray[np.float16] | None = None,
        sources: SourceGrids | None = None,
    ) -> None:  # fmt: skip
        """Add one frame's grids: uint8, float16, uint16 and uint8 of [R, C], and its alarms.

        Args:
            doubt_from: tiles of this `p_wrong` or more are doubted.
            error: float16[R, C], expected, levels of 255; None: unknown.
            sources: (source_unit, source_boot, source_part); None: unknown.

        Raises:
            LocalProtocolError: a grid of another shape or type.
            UserError: the disk is full.
        """
        told = np.zeros(self._grid, np.uint8) if truth is None else truth
        arrays: dict[str, NDArray[Any]] = {
            "mark": mark, "p_wrong": p_wrong, "age_ms": age_ms, "truth": told,
            "error": np.full(self._grid, np.nan, np.float16) if error is None else error,
        }  # fmt: skip
        for index, (name, dtype, value) in enumerate(_SOURCES):
            grid = np.full(self._grid, value, dtype) if sources is None else sources[index]
            arrays[name] = grid
        for name, dtype in _ALL:
            if arrays[name].shape != self._grid or arrays[name].dtype != dtype:
                wanted = f"{np.dtype(dtype).name}{list(self._grid)}"
                raise LocalProtocolError(f"{name} must be {wanted}")
        try:
            for name, _ in _ALL:
                self._spools[name].write(arrays[name].tobytes())
        except OSError as error:
            raise UserError(f"cannot write {self._path}: {error.strerror}") from None
        rows = [
            (self._frames, a.kind, a.x, a.y, a.width, a.height, round(100 * a.strength))
            for a in alarms
        ]
        self._alarms += np.array(rows, np.int32).tobytes()
        self._doubt_from += np.float16(doubt_from).tobytes()
        self._frames += 1

    def __enter__(self) -> MarksWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        try:
            with self._cleanup:
                if kind is None:
                    with zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED) as out:
                        self._write_entries(out)
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    self._part.replace(self._path)
        except OSError as failed:
            if kind is None:
                raise UserError(f"cannot write {self._path}: {failed.strerror}") from None

    def _write_entries(self, out: zipfile.ZipFile) -> None:
        shape = (self._frames, *self._grid)
        for name, dtype in _ALL:
            with out.open(f"{name}.npy", "w", force_zip64=True) as entry:
                header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(entry, header)
                for chunk in self._spools[name].read_back():
                    entry.write(chunk)
        alarms = np.frombuffer(bytes(self._alarms), np.int32).reshape(-1, _ALARM_FIELDS)
        doubt_from = np.frombuffer(bytes(self._doubt_from), np.float16)
        rest = {**self._scalars, "alarms": alarms, "doubt_from": doubt_from}
        for name, value in rest.items():
            buffer = io.BytesIO()
            np.save(buffer, value)
            out.writestr(f"{name}.npy", buffer.getvalue())
