"""Tags and encryption of datagrams (WIRE.md, section 9). Standard primitives, nothing of our own.

    Sealer: Datagram -> Datagram with a tag, its payload encrypted on wish
    Opener: Datagram -> verified, not heard before, readable; or the reason why not

Tags are keyed BLAKE2b (RFC 7693) of the standard library. Encryption is AES-256-CCM with a tag of 8
bytes (RFC 3610, RFC 6655) of the package `cryptography`, imported only when something is encrypted.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.replay import Freshness, ReplayGuard
from gvc_protocol.wire import TAG_BYTES, Datagram, RejectReason

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

__all__ = ["KEY_BYTES", "LinkKey", "Opener", "Sealer", "auth_label"]

KEY_BYTES = 32
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TAG_PERSON, _CCM_PERSON, _NAME_PERSON = b"gvc tag 1", b"gvc ccm 1", b"gvc name 1"


@dataclass(frozen=True)
class LinkKey:
    """The 32 secret bytes that both ends of a link share. Never shown: not even its `repr` has them."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise LocalProtocolError(f"a key is {KEY_BYTES} bytes")

    @cached_property
    def tag_key(self) -> bytes:
        """Subkey of tags, 32 bytes."""
        return self._derive(_TAG_PERSON, 32)

    @cached_property
    def ccm_key(self) -> bytes:
        """Subkey of AES-256-CCM, 32 bytes."""
        return self._derive(_CCM_PERSON, 32)

    @cached_property
    def fingerprint(self) -> str:
        """`XXXX-XXXX`, 40 bits in Crockford base32: tells keys apart and gives nothing away."""
        number = int.from_bytes(self._derive(_NAME_PERSON, 5), "big")
        text = "".join(_CROCKFORD[number >> 5 * i & 31] for i in reversed(range(8)))
        return f"{text[:4]}-{text[4:]}"

    def _derive(self, person: bytes, size: int) -> bytes:
        return blake2b(key=self.secret, person=person, digest_size=size).digest()


def auth_label(fingerprint: str) -> str:
    """What every screen and report says of a link: whether a key vouches for what is on it."""
    return f"authenticated (key {fingerprint})" if fingerprint else "unauthenticated"


class Sealer:
    """Makes tags for one sender.

    Raises:
        UserError: encryption is wanted and the package `cryptography` is not installed.
    """

    def __init__(self, key: LinkKey, *, encrypt: bool) -> None:
        self._key = key
        self._ccm = _load_ccm(key) if encrypt else None

    def seal(self, datagram: Datagram) -> Datagram:
        """The datagram as it goes out; its `seq` must be the full number, and used only once."""
        if self._ccm is None:
            tag = _tag(self._key, datagram, datagram.seq)
            return replace(datagram, tag=tag)
        made = replace(datagram, encrypted=True)
        header = made.header(tagged=True)
        sealed = self._ccm.encrypt(_nonce(made, made.seq), made.payload, header)
        return replace(made, payload=sealed[:-TAG_BYTES], tag=sealed[-TAG_BYTES:])


class Opener:
    """Believes only what the key vouches for, and that only once. Total: it never raises."""

    def __init__(self, key: LinkKey, replay: ReplayGuard) -> None:
        self._key, self._replay = key, replay
        self._ccm: AESCCM | None = None

    def open(self, datagram: Datagram) -> Datagram | RejectReason | None:
        """The datagram with its payload readable, why it is refused, or None for a mere repeat."""
        d = datagram
        if not d.tag:
            return RejectReason.NO_TAG
        numbers = self._replay.candidates(d.stream_id, d.from_base, d.boot_id, d.seq)
        if not numbers:
            return RejectReason.REPLAY
        if d.encrypted and self._ccm is None:
            try:
                self._ccm = _load_ccm(self._key)
            except UserError:
                return RejectReason.ENCRYPTED
        verify = self._decrypted if d.encrypted else self._tagged
        for seq in numbers:
            if (payload := verify(d, seq)) is not None:
                return self._fresh(replace(d, payload=payload), seq)
        return RejectReason.BAD_TAG

    def _tagged(self, d: Datagram, seq: int) -> bytes | None:
        """The payload when the tag is right for this full sequence number."""
        return d.payload if hmac.compare_digest(_tag(self._key, d, seq), d.tag) else None

    def _decrypted(self, d: Datagram, seq: int) -> bytes | None:
        """The readable payload when it and the header are what was encrypted under this number."""
        from cryptography.exceptions import InvalidTag

        assert self._ccm is not None
        try:
            return self._ccm.decrypt(_nonce(d, seq), d.payload + d.tag, d.header(tagged=True))
        except InvalidTag:
            return None

    def _fresh(self, d: Datagram, seq: int) -> Datagram | RejectReason | None:
        fresh = self._replay.accept(d.stream_id, d.from_base, d.boot_id, seq)
        if fresh is Freshness.OLD:
            return RejectReason.REPLAY
        return d if fresh is Freshness.NEW else None


def _tag(key: LinkKey, d: Datagram, seq: int) -> bytes:
    """Keyed BLAKE2b over bytes 2..17+L and the full sequence number."""
    covered = d.header(tagged=True) + d.payload + seq.to_bytes(8, "big")
    return blake2b(covered, key=key.tag_key, digest_size=TAG_BYTES).digest()


def _nonce(d: Datagram, seq: int) -> bytes:
    """13 bytes that one key uses once: direction, stream, boot (counted on disk), full sequence."""
    ids = d.stream_id.to_bytes(2, "big") + d.boot_id.to_bytes(2, "big")
    return bytes([d.from_base]) + ids + seq.to_bytes(8, "big")


def _load_ccm(key: LinkKey) -> AESCCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESCCM
    except ImportError:
        raise UserError(
            "encryption needs the Python package cryptography; install it, or leave --encrypt out"
        ) from None
    return AESCCM(key.ccm_key, tag_length=TAG_BYTES)
