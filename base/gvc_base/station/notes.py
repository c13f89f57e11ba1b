"""What the channel back notes, as rows of the operator's list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["event_of"]

_WORDS = {
    "keyframe_request": "a keyframe", "region_request": "the real pixels of a box",
    "rate_command": "another rate", "mode_command": "other bounds of the ladder",
    "operator_text": "a message", "resume": "what was lost",
}  # fmt: skip
_Box = tuple[int, int, int, int]


def event_of(kind: str, about: Mapping[str, Any]) -> tuple[str, str, _Box | None] | None:
    """(kind, text, box) of `view.EventRow`, or None for what is not listed."""
    if kind in ("asked", "ask_given_up"):
        what = _WORDS.get(about["kind"], about["kind"])
        if about["kind"] == "operator_text":
            what += f": {about['text']}"
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
