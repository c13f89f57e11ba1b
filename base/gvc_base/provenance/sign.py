"""Content credentials (C2PA) into an export, offline: how it was made, what is real in it, by whom.

MarkLedger -> actions (digitalSourceType, regions in time and place) + `org.gvc-field.marks`
received pictures -> JPEGs signed as digitalCapture -> ingredients
-> signed with this base's own certificate, no time stamp, nothing fetched
"""

from __future__ import annotations

import io
import json
from importlib import metadata
from pathlib import Path
from typing import Any

from gvc_base.provenance.certificate import SigningIdentity
from gvc_base.provenance.ledger import MarkLedger, ReceivedPicture, Span
from gvc_protocol.errors import UserError

__all__ = [
    "MARKS_LABEL",
    "SOURCE_TYPES",
    "can_sign",
    "media_type",
    "offline_settings",
    "sign_media",
]

MARKS_LABEL = "org.gvc-field.marks"
_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPES = {
    "composite": _IPTC + "compositeWithTrainedAlgorithmicMedia", "capture": _IPTC + "digitalCapture",
    "composite_capture": _IPTC + "compositeCapture",
}  # fmt: skip
_TYPES = {".mp4": "video/mp4", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


def can_sign() -> bool:
    """Whether the library that signs is installed here."""
    from importlib.util import find_spec

    return find_spec("c2pa") is not None


def media_type(path: Path) -> str:
    """MIME type by the name's end.

    Raises:
        UserError: no kind of file that carries credentials here.
    """
    kind = _TYPES.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path} is neither .mp4 nor .png nor .jpg: it carries no credentials")
    return kind


def offline_settings(anchors: bytes = b"") -> dict[str, Any]:
    """Settings of the library: no manifest, list or stamp is ever fetched."""
    verify = {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": bool(anchors)}
    trust = {"user_anchors": anchors.decode()} if anchors else {}
    return {
        "verify": verify, "builder": {"thumbnail": {"enabled": False}},
        **({"trust": trust} if trust else {}),
    }  # fmt: skip


def sign_media(
    path: Path, ledger: MarkLedger, identity: SigningIdentity, *, burned: bool, generated: bool,
    sender: str,
) -> None:  # fmt: skip
    """Put credentials into a finished file; it is replaced only when all went well.

    Args:
        burned: whether the marks are in the pixels.
        generated: whether a network or an estimate may stand in any pixel shown.
        sender: who was heard, as the reports say it.

    Raises:
        UserError: the library is missing, or the file cannot be read, signed or written.
    """
    if not can_sign():
        raise UserError(
            "content credentials need c2pa-python: pip install c2pa-python, or --no-sign"
        )
    import c2pa

    kind, part = media_type(path), path.with_name(f".{path.name}.signed")
    manifest = _manifest(path.name, kind, ledger, identity, burned, generated, sender)
    context = c2pa.Context.from_dict(offline_settings(identity.root))
    try:
        with c2pa.Builder(json.dumps(manifest), context=context) as builder:
            for picture in ledger.pictures:
                about = _ingredient(picture, ledger)
                with io.BytesIO(_signed_capture(picture, identity, context)) as jpeg:
                    builder.add_ingredient(json.dumps(about), "image/jpeg", jpeg)
            with path.open("rb") as source, part.open("w+b") as out, _signer(identity) as signer:
                builder.sign(signer, kind, source, out)
        part.replace(path)
    except (c2pa.C2paError, OSError) as error:
        raise UserError(f"cannot sign {path}: {error}") from None
    finally:
        part.unlink(missing_ok=True)


def _signer(identity: SigningIdentity) -> Any:
    import c2pa

    return c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(b"es256", identity.chain, identity.key, None)
    )  # fmt: skip


def _generator() -> list[dict[str, str]]:
    return [{"name": "gvc-field", "version": metadata.version("gvc-field")}]


def _manifest(
    title: str, kind: str, ledger: MarkLedger, identity: SigningIdentity, burned: bool,
    generated: bool, sender: str,
) -> dict[str, Any]:  # fmt: skip
    whole, fps = ledger.whole, ledger.fps
    source = SOURCE_TYPES["composite" if generated else "composite_capture"]
    created = {
        "action": "c2pa.created", "digitalSourceType": source,
        "description": "Decoded from what a radio received; the marks say what of it is received.",
        "changes": [c for span in ledger.spans for c in _changes(span, ledger)],
    }  # fmt: skip
    marks = {
        "version": 1, "burned_in": burned, "generated": generated, "sender": sender,
        "fps": str(fps), "frames": ledger.frames,
        "share": whole.shares, "spans": [span.as_json(fps) for span in ledger.spans],
        "root": identity.root.decode(),
    }  # fmt: skip
    return {
        "claim_generator_info": _generator(), "title": title, "format": kind,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}, "created": True},
            {"label": MARKS_LABEL, "data": marks, "created": True},
        ],
    }  # fmt: skip


def _changes(span: Span, ledger: MarkLedger) -> list[dict[str, Any]]:
    """Where and when something was made up or held."""
    if span.made_up is None:
        return []
    x0, y0, x1, y1 = span.made_up
    about = span.as_json(ledger.fps)
    return [
        {
            "description": "holds tiles that nothing received stands behind",
            "region": [
                {"type": "temporal", "time": {
                    "type": "npt", "start": str(about["start_s"]), "end": str(about["end_s"])}},
                {"type": "spatial", "shape": {
                    "type": "rectangle", "unit": "pixel", "origin": {"x": x0, "y": y0},
                    "width": x1 - x0, "height": y1 - y0}},
            ],
        }
    ]  # fmt: skip


def _ingredient(picture: ReceivedPicture, ledger: MarkLedger) -> dict[str, str]:
    at = float(picture.frame_no / ledger.fps)
    return {
        "title": f"received: unit {picture.unit_no}, {at:.2f} s, {picture.width}x{picture.height}",
        "format": "image/jpeg", "relationship": "componentOf",
    }  # fmt: skip


def _signed_capture(picture: ReceivedPicture, identity: SigningIdentity, context: Any) -> bytes:
    import c2pa

    action = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPES["capture"]}
    manifest = {
        "claim_generator_info": _generator(), "format": "image/jpeg",
        "title": f"unit {picture.unit_no}, frame {picture.frame_no}, as received",
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [action]}, "created": True}
        ],
    }  # fmt: skip
    out = io.BytesIO()
    with (
        c2pa.Builder(json.dumps(manifest), context=context) as builder,
        _signer(identity) as signer,
    ):
        builder.sign(signer, "image/jpeg", io.BytesIO(picture.jpeg), out)
    return out.getvalue()
