"""What the channel back notes, as rows of the operator's list; what the operator notes; what the truth
said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gvc_base.console.view import TruthSoFar
from gvc_base.station.playout import Scene
from gvc_base.truth_score import RunningScore
from gvc_protocol.errors import UserError

__all__ = ["asked_text", "event_of", "note_detail", "note_text", "truth_so_far"]

_MOST_NOTE_BYTES = 4096
_Box = tuple[int, int, int, int]


def asked_text(about: Mapping[str, Any]) -> str:
    """A command in the operator's words; `about` as `ask_state.told` gives it."""
    kind = str(about["kind"])
    if kind == "operator_text":
        return f"message: {about['text']}"
    if kind == "rate_command":
        return f"{about['bps']} bit/s" if about["bps"] else "the edge's own rate"
    if kind == "mode_command":
        return f"ladder steps {about['finest']} to {about['coarsest']}"
    if kind == "region_request":
        x, y, width, height = about["box"]
        return f"real pixels of {width}x{height} at {x},{y} of unit {about['unit']}"
    return {"keyframe_request": "a keyframe", "resume": "what was lost"}.get(kind, kind)


def event_of(kind: str, about: Mapping[str, Any]) -> tuple[str, str, _Box | None] | None:
    """(kind, text, box) of `view.EventRow`, or None for what is not listed."""
    if kind in ("asked", "ask_given_up"):
        if about["kind"] == "resume":
            return None  # it asks by itself, again and again
        what = asked_text(about)
        box = tuple(int(v) for v in about["box"]) if "box" in about else None
        verb = "asked for" if kind == "asked" else "given up, no answer came:"
        return "asked", f"{verb} {what}", box  # type: ignore[return-value]
    if kind == "acknowledged":
        return "answer", f"the edge says: {about['state']}", None
    if kind == "region_answer":
        if about["status"]:
            return "answer", "the edge has no picture of that unit any more", None
        rest = "" if about["last"] else ", finer ones follow"
        return "answer", f"pixels of a box came, layer {about['layer']}{rest}", None
    if kind == "unit_recovered" and not about["whole"]:
        return "answer", f"unit {about['unit']} is lost for good: the edge has it no more", None
    if kind == "text_received":
        trust = "" if about["trusted"] else " (unauthenticated)"
        return "text", f"from the edge{trust}: {about['text']}", None
    return None


def truth_so_far(score: RunningScore) -> TruthSoFar | None:
    """As the console shows it; None while nothing was compared."""
    f = score.figures()
    if not f["tiles"]:
        return None
    return TruthSoFar(
        regions=int(f["regions"]), tiles=int(f["tiles"]), wrong=int(f["wrong"]),
        unmarked=int(f["unmarked"]), expected=f["expected"],
    )  # fmt: skip


def note_text(text: str, *, bookmark: bool) -> str:
    """What the operator wrote, without blanks around it.

    Raises:
        UserError: a note without a text, or one that is too long.
    """
    text = text.strip()
    if not bookmark and not text:
        raise UserError("a note needs a text")
    if len(text.encode("utf-8", "replace")) > _MOST_NOTE_BYTES:
        raise UserError(f"a note has at most {_MOST_NOTE_BYTES} bytes")
    return text


def note_detail(text: str, drone_id: str, stream_id: int, scene: Scene | None) -> dict[str, Any]:
    """A note's detail in the archive, with the picture that was on the screen."""
    about: dict[str, Any] = {"text": text, "drone": drone_id, "stream_id": stream_id}
    if scene is not None:
        about |= {"boot": scene.boot_id, "unit": scene.frame.unit_no, "frame": scene.frame.frame_no}
    return about
