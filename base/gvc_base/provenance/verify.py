"""`gvc-base verify FILE.mp4|png`: what a stranger may believe of a file that left a base.

embedded credentials -> is a byte changed? -> who signed (the root) -> what is real in it
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

from gvc_base.provenance.certificate import fingerprint_of, own_identity
from gvc_base.provenance.sign import (
    MARKS_LABEL,
    SOURCE_TYPES,
    can_sign,
    media_type,
    offline_settings,
)
from gvc_profiles.boots import default_state_dir
from gvc_protocol.errors import UserError
from gvc_protocol.marks import Mark

__all__ = ["AlteredError", "verify_media"]

_NAMES = {name.rsplit("/", 1)[1]: text for name, text in (
    (SOURCE_TYPES["composite"], "a composite with parts made by a trained algorithm"),
    (SOURCE_TYPES["composite_capture"], "a composite of received pictures, nothing generated"),
    (SOURCE_TYPES["capture"], "as captured"),
)}  # fmt: skip
_MOST_LINES = 24


class AlteredError(UserError):
    """The file is not what was signed; `lines` say what is known. Exit code 1, not 2."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def verify_media(path: Path, *, state: Path | None = None) -> list[str]:
    """Lines that tell what is real in a signed export.

    Args:
        state: folder of this base's signing identity, to recognise its own files.

    Raises:
        AlteredError: the file was changed after it was signed, or its signature is no good.
        UserError: there are no credentials in it, or it cannot be read.
    """
    if not can_sign():
        raise UserError("content credentials need c2pa-python: pip install c2pa-python")
    kind = media_type(path)
    data = _read(path, kind, b"")
    active = data["manifests"][data["active_manifest"]]
    marks = next((a["data"] for a in active["assertions"] if a["label"] == MARKS_LABEL), None)
    root = str((marks or {}).get("root", "")).encode()
    failed = _failures(data)
    if failed:
        raise AlteredError(
            [f"{path}: ALTERED after it was signed, or not signed as it says", *failed]
        )
    if marks is None:
        raise UserError(f"{path} carries credentials, but none of gvc-field: it says no marks")
    return [f"{path}: unaltered since it was signed", *_who(path, kind, root, state), *_what(marks),
            *_made_of(data, active)]  # fmt: skip


def _read(path: Path, kind: str, anchors: bytes) -> dict[str, Any]:
    import c2pa

    context = c2pa.Context.from_dict(offline_settings(anchors))
    try:
        with path.open("rb") as file, c2pa.Reader(kind, file, context=context) as reader:
            data: dict[str, Any] = json.loads(reader.json())
            data["state"] = reader.get_validation_state()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except c2pa.C2paError as error:
        if "ManifestNotFound" in str(error) or "no JUMBF" in str(error):
            raise UserError(
                f"{path} carries no credentials: nobody can tell what is real in it. A screen shot, a "
                "messenger or an editor may have taken them away; ask for the original file"
            ) from None
        # A manifest that is there and cannot be read is damage to the file, not another kind of file.
        raise AlteredError(
            [f"{path}: ALTERED: its credentials cannot be read", f"  {str(error)[:200]}"]
        ) from None
    return data


def _failures(data: dict[str, Any]) -> list[str]:
    """What does not hold, beside that nobody's list of authorities knows the certificate."""
    rows = data.get("validation_status") or []
    bad = [row for row in rows if row.get("code") != "signingCredential.untrusted"]
    lines = [f"  {row.get('code')}: {row.get('explanation', '')}"[:200] for row in bad]
    if not lines and data["state"] == "Invalid":
        lines = ["  the signature is not valid"]
    return lines


def _who(path: Path, kind: str, root: bytes, state: Path | None) -> list[str]:
    """Whose signature it is: it must lead to the root that the file names."""
    try:
        name = fingerprint_of(root)
    except UserError:
        name = ""
    if not name or _read(path, kind, root)["state"] != "Trusted":
        raise AlteredError([f"{path}: the signature does not lead to the root that the file names"])
    mine = own_identity(state or default_state_dir("gvc-base"), make=False)
    own = mine is not None and mine.fingerprint == name
    whose = "this base's own" if own else "compare it with the fingerprint that the base shows"
    return [f"signed by {name} ({whose}); no authority vouches for it, the time is not certified"]


def _what(marks: dict[str, Any]) -> list[str]:
    burned = (
        "burned into the picture" if marks["burned_in"] else "NOT in the picture: it is unmarked"
    )
    seconds = float(marks["frames"] / Fraction(marks["fps"]))
    lines = [
        f"{marks['frames']} frames, {seconds:.1f} s; marks are {burned}",
        f"the sender was {marks['sender']}",
        f"in all: {_shares(marks['share'])}",
    ]
    spans = marks["spans"]
    if len(spans) > 1:
        lines += [_span(span) for span in spans[:_MOST_LINES]]
        if len(spans) > _MOST_LINES:
            lines.append(f"  ... and {len(spans) - _MOST_LINES} stretches more")
    elif spans and (said := _said(spans[0])):
        lines.append(f"  {said}")
    return lines


def _span(span: dict[str, Any]) -> str:
    said = _said(span)
    return f"  {span['start_s']:.1f}-{span['end_s']:.1f} s: {_shares(span['share'])}" + (
        f"; {said}" if said else ""
    )


def _said(span: dict[str, Any]) -> str:
    """What the sender and the alarms have to say of a stretch."""
    out = []
    if span["verified"] or span["known_wrong"]:
        out.append(
            f"the sender verified {100 * span['verified']:.0f} % and found "
            f"{100 * span['known_wrong']:.0f} % wrong"
        )
    for name in ("unconfirmed", "missed"):
        if span[name]:
            out.append(f"alarms {name}: {span[name]}")
    return ", ".join(out)


def _shares(shares: dict[str, float]) -> str:
    names = (mark.name.lower() for mark in Mark)
    return ", ".join(f"{name} {100 * shares[name]:.0f} %" for name in names if shares.get(name))


def _made_of(data: dict[str, Any], active: dict[str, Any]) -> list[str]:
    """What the file is said to be, and which received pictures are in it."""
    lines = []
    for assertion in active["assertions"]:
        for action in assertion["data"].get("actions", ()):
            name = str(action.get("digitalSourceType", "")).rsplit("/", 1)[-1]
            if name:
                lines.append(f"it is {_NAMES.get(name, name)} ({name})")
    for item in active.get("ingredients", ()):
        made = data["manifests"].get(item.get("active_manifest", ""), {})
        real = any(
            action.get("digitalSourceType") == SOURCE_TYPES["capture"]
            for a in made.get("assertions", ()) for action in a["data"].get("actions", ())
        )  # fmt: skip
        lines.append(f"  {item.get('title', '')}{' (digitalCapture)' if real else ''}")
    return lines
