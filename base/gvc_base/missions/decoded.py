"""A decoded video and the marks beside it, as frames again."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gvc_base.exports import marks_path_for
from gvc_base.missions.compare import Side
from gvc_base.video import probe, read_video
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.errors import LocalProtocolError, UserError

__all__ = ["decoded_side"]

_BURNED = "marks burned in"


def decoded_side(video: Path) -> Side:
    """One side of a comparison. The marks are looked for beside the video; of `X.clean.mp4` they are
    those of X.

    Raises:
        UserError: no video, or no marks beside it.
    """
    info = probe(video)
    marks = marks_path_for(video)
    if not marks.exists() and video.stem.endswith(".clean"):
        marks = video.with_name(f"{video.stem.removesuffix('.clean')}.marks.npz")
    if not marks.exists():
        raise UserError(f"{video} has no marks beside it ({marks.name}); decode it again")
    burned = _BURNED in info.comment and "without" not in info.comment
    return Side(label=video.stem, frames=_frames(video, marks), fps=info.fps, burned=burned)


def _frames(video: Path, marks: Path) -> Iterator[DecodedFrame]:
    with ExitStack() as stack:
        try:
            file = stack.enter_context(zipfile.ZipFile(marks))
            grids = {name: _grids(stack, file, name) for name in ("mark", "p_wrong", "age_ms")}
            for number, pixels in enumerate(read_video(video)):
                told: dict[str, Any] = {name: next(rows, None) for name, rows in grids.items()}
                if told["mark"] is None:
                    raise UserError(f"{marks} holds {number} frames, {video} has more")
                yield DecodedFrame(frame_no=number, unit_no=-1, pixels=pixels, **told)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{marks} holds no marks of a decode: {error}") from None
        except LocalProtocolError as error:
            raise UserError(f"{marks} does not fit {video}: {error}") from None


def _grids(stack: ExitStack, file: zipfile.ZipFile, name: str) -> Iterator[NDArray[Any]]:
    """One frame's grid after the other: the marks of hours do not fit in memory."""
    entry = stack.enter_context(file.open(f"{name}.npy"))
    np.lib.format.read_magic(entry)
    shape, _, dtype = np.lib.format.read_array_header_1_0(entry)
    size = int(np.prod(shape[1:])) * dtype.itemsize
    for _ in range(shape[0]):
        yield np.frombuffer(entry.read(size), dtype).reshape(shape[1:])
