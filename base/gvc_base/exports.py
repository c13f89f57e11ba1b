"""Files that leave the base: marks burned in unless told otherwise, beside them, and signed into them.

DecodedFrame -> [received_only] -> plain video | marked video | marks video | MARKS.npz | stills
when all are written -> content credentials into each
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gvc_base.marks.model import load_model
from gvc_base.marksfile import MarksWriter
from gvc_base.provenance.ledger import MarkLedger
from gvc_base.received import Still, Stills, received_only
from gvc_base.render import overlay
from gvc_base.video import Mp4Writer
from gvc_profiles.boots import default_state_dir
from gvc_protocol.codec import DecodedFrame, UnitSpan
from gvc_protocol.errors import UserError
from gvc_protocol.marks import Mark

__all__ = ["Exports", "Outputs", "marks_path_for", "sign_files"]

UNMARKED_COMMENT = (
    "GVC decode without burned-in marks: parts of this picture are not received pixels. "
    "What is real in it: {marks}"
)
MARKED_COMMENT = "GVC decode, marks burned in. Hatched areas are not received pixels. Also: {marks}"
MARKS_COMMENT = "The marks of a GVC decode, without its picture. As numbers: {marks}"
RECEIVED = "Received pixels only, nothing generated. "

_MID_GREY = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Files to write; the marks always are, because no picture goes out without them."""

    plain: Path | None
    marked: Path | None
    marks: Path
    marks_video: Path | None = None
    "The marks on grey, without the picture."
    stills: Path | None = None
    "Folder for received pixels of each unit, the rest masked out."
    received_only: bool = False
    "Everything shows received evidence alone."
    sign: bool = False
    "Put content credentials into each."
    state: Path | None = None
    "Folder of this base's signing identity; None for the usual one."

    def all(self) -> tuple[Path | None, ...]:
        """Every file."""
        return self.plain, self.marked, self.marks, self.marks_video


def marks_path_for(video: Path) -> Path:
    """Where the marks of a video lie when the user named no place: VIDEO.marks.npz beside it."""
    return video.with_name(video.stem + ".marks.npz")


class Exports:
    """The open output files; made when the first frame tells the size.

    Args:
        stack: closes them.
        status: who was heard, as every screen says it.
    """

    def __init__(self, outputs: Outputs, stack: ExitStack, status: str) -> None:
        self._outputs, self._stack, self._status = outputs, stack, status
        self._plain: Mp4Writer | None = None
        self._marked: Mp4Writer | None = None
        self._marks_video: Mp4Writer | None = None
        self._marks: MarksWriter | None = None
        self._stills: Stills | None = None
        self._written: list[tuple[Path, MarkLedger]] = []
        self._ledger: MarkLedger | None = None
        self._size: tuple[int, int] | None = None
        self._offered = -1
        self.tiles: NDArray[np.int64] = np.zeros(len(Mark), np.int64)
        self.frames = 0

    def write(self, frame: DecodedFrame, span: UnitSpan) -> None:
        """Add a frame to every file.

        Raises:
            UserError: its size is another than the first one's, or the disk is full.
        """
        size = (span.width, span.height)
        if self._size is None:
            self._size = size
            self._open(span)
        if size != self._size:
            raise UserError(
                f"the source changed from {self._size[0]}x{self._size[1]} to {size[0]}x{size[1]} "
                "after a restart of the edge; decode the boots apart with --boot"
            )
        if self._stills is not None:
            self._stills.take(frame)
        shown = received_only(frame) if self._outputs.received_only else frame
        self.frames += 1
        self.tiles += np.bincount(shown.mark.ravel(), minlength=len(Mark))
        assert self._marks is not None and self._ledger is not None
        self._marks.write(
            shown.mark, shown.p_wrong, shown.age_ms, shown.truth, shown.alarms,
            doubt_from=shown.doubt_from, error=self._error(shown),
            sources=(shown.source_unit, shown.source_boot, shown.source_part),
        )  # fmt: skip
        self._count(shown)
        if self._plain is not None:
            self._plain.write(shown.pixels)
        if self._marked is not None:
            self._marked.write(overlay(shown, status=self._status))
        if self._marks_video is not None:
            grey = np.full_like(shown.pixels, _MID_GREY)
            self._marks_video.write(overlay(replace(shown, pixels=grey), status=self._status))

    def _error(self, frame: DecodedFrame) -> NDArray[np.float16] | None:
        """Expected, of a decoder's picture; it was not counted on received ones alone."""
        if self._outputs.received_only:
            return None
        return load_model().expected_error(frame.pixels, frame.mark, frame.p_wrong)

    def finish(self) -> None:
        """No more frames: the last still. The videos end with the stack."""
        if self._stills is not None:
            self._stills.finish()

    def sign(self) -> list[str]:
        """Put credentials into the finished files; call it when the stack is closed.

        Returns:
            Notes for the report: what could not be signed, and why.
        """
        out, ledger = self._outputs, self._ledger
        if not out.sign or ledger is None:
            return []
        rows = [
            (out.plain, ledger, False),
            (out.marked, ledger, True),
            (out.marks_video, ledger, True),
        ]
        files = [
            (p, one, burned, not out.received_only) for p, one, burned in rows if p is not None
        ]
        files += [(path, one, False, False) for path, one in self._written]
        return sign_files(files, self._status, out.state)

    def _count(self, frame: DecodedFrame) -> None:
        assert self._ledger is not None
        self._ledger.take(frame)
        if frame.plain is not None and frame.plain_age_ms == 0 and frame.unit_no != self._offered:
            self._offered = frame.unit_no
            self._ledger.offer(frame.unit_no, frame.frame_no, frame.plain)

    def _open(self, span: UnitSpan) -> None:
        outputs = self._outputs
        self._ledger = MarkLedger(span.fps)
        self._marks = self._stack.enter_context(
            MarksWriter(outputs.marks, width=span.width, height=span.height, fps=span.fps)
        )
        self._plain = self._video(outputs.plain, UNMARKED_COMMENT, span)
        self._marked = self._video(outputs.marked, MARKED_COMMENT, span)
        self._marks_video = self._video(outputs.marks_video, MARKS_COMMENT, span)
        if outputs.stills is not None:
            self._stills = Stills(outputs.stills, self._note_still)

    def _video(self, path: Path | None, comment: str, span: UnitSpan) -> Mp4Writer | None:
        if path is None:
            return None
        text = comment.format(marks=self._outputs.marks.name) + f". The sender is {self._status}."
        if self._outputs.received_only:
            text = RECEIVED + text
        writer = Mp4Writer(path, width=span.width, height=span.height, fps=span.fps, comment=text)
        return self._stack.enter_context(writer)

    def _note_still(self, path: Path, still: Still) -> None:
        """A still is signed as what it is: captured pixels, and where there are none."""
        assert self._ledger is not None
        ledger = MarkLedger(self._ledger.fps)
        ledger.take(still.as_frame())
        self._written.append((path, ledger))


def sign_files(
    files: list[tuple[Path, MarkLedger, bool, bool]], sender: str, state: Path | None
) -> list[str]:
    """Sign finished files in this base's name; what cannot be signed stays as it is, and is told.

    Args:
        files: path, what is in it, whether its marks are burned in, whether anything in it is generated.
    """
    from gvc_base.provenance import can_sign, own_identity, sign_media

    if not files:
        return []
    if not can_sign():
        return ["not signed: content credentials need c2pa-python (pip install c2pa-python)"]
    notes: list[str] = []
    try:
        identity = own_identity(state or default_state_dir("gvc-base"))
    except UserError as error:
        return [f"not signed: {error}"]
    assert identity is not None
    for path, ledger, burned, generated in files:
        try:
            sign_media(
                path, ledger, identity, burned=burned, generated=generated, sender=sender
            )  # fmt: skip
        except UserError as error:
            notes.append(f"not signed: {error}")
    return notes
