"""Where an export comes from and what is real in it, in the file itself (C2PA), offline."""

from __future__ import annotations

from gvc_base.provenance.certificate import SigningIdentity, own_identity
from gvc_base.provenance.ledger import MarkLedger
from gvc_base.provenance.sign import can_sign, sign_media
from gvc_base.provenance.verify import AlteredError, verify_media

__all__ = [
    "AlteredError", "MarkLedger", "SigningIdentity", "can_sign", "own_identity", "sign_media",
    "verify_media",
]  # fmt: skip
