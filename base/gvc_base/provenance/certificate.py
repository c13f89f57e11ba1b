"""Who signs exports of this base: a certificate made here, kept here, known by its fingerprint.

    root (its key is thrown away at once) -> signer's certificate + key, one file, 0600

No authority vouches for it and nothing is fetched: whoever gets a file compares the fingerprint with the
base's, by voice or on paper, as with a link key. C2PA refuses certificates that signed themselves, hence
the root.
"""

from __future__ import annotations

import datetime
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from gvc_protocol.errors import UserError

__all__ = ["SIGNER_FILE", "SigningIdentity", "fingerprint_of", "own_identity"]

SIGNER_FILE = "media-signer.pem"

_YEARS = 20
_NAME = "gvc-field base"
_BEGIN = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningIdentity:
    """A certificate chain and its private key, PEM."""

    chain: bytes
    "The signer's certificate, then the root's."
    key: bytes

    @property
    def root(self) -> bytes:
        """The root's certificate, PEM: the trust anchor for files of this base."""
        return _BEGIN + self.chain.split(_BEGIN)[2]

    @property
    def fingerprint(self) -> str:
        """Of the root, which has signed one certificate and never will another."""
        return fingerprint_of(self.root)


def fingerprint_of(chain_pem: bytes) -> str:
    """First 10 bytes of the SHA-256 of the first certificate, as `ABCD-0123-...`.

    Raises:
        UserError: no certificate can be read.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    try:
        digest = x509.load_pem_x509_certificates(chain_pem)[0].fingerprint(hashes.SHA256())
    except (ValueError, IndexError) as error:
        raise UserError(f"no certificate can be read ({error})") from None
    text = digest[:10].hex().upper()
    return "-".join(text[i : i + 4] for i in range(0, 20, 4))


def own_identity(folder: Path, *, make: bool = True) -> SigningIdentity | None:
    """This base's signing identity; made at the first call.

    Args:
        folder: where it is kept.
        make: False: None where there is none yet.

    Raises:
        UserError: the file cannot be read or written, others may read it, or it is no identity.
    """
    path = folder / SIGNER_FILE
    try:
        if not path.exists():
            if not make:
                return None
            folder.mkdir(parents=True, exist_ok=True)
            _write(path, _new_pem())
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UserError(f"others may read {path}: it signs in your name; chmod 600 {path}")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot use {path}: {error.strerror}") from None
    at = data.find(_BEGIN)
    if at <= 0 or data.count(_BEGIN) != 2:
        raise UserError(
            f"{path} holds no signing key and chain; move it away and a new one is made"
        )
    return SigningIdentity(chain=data[at:], key=data[:at])


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)
    part.replace(path)


def _new_pem() -> bytes:
    """Key, signer's certificate, root's certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, text),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, _NAME),
            ]
        )

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # A base without a clock of its own may be years off; a day of grace for those that are not.
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    end = start + datetime.timedelta(days=365 * _YEARS)
    root_name = name("gvc-field base, own root")

    def certificate(
        subject: x509.Name, public: ec.EllipticCurvePublicKey, *, is_root: bool
    ) -> x509.CertificateBuilder:
        made = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(root_name)
            .public_key(public).serial_number(x509.random_serial_number())
            .not_valid_before(start).not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
                critical=False,
            )
        )  # fmt: skip
        usage = x509.KeyUsage(
            digital_signature=not is_root, key_cert_sign=is_root, crl_sign=is_root,
            content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        return made.add_extension(usage, critical=True)

    root = certificate(root_name, root_key.public_key(), is_root=True)
    leaf = certificate(name(_NAME), key.public_key(), is_root=False).add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
    )
    pem = serialization.Encoding.PEM
    return (
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + leaf.sign(root_key, hashes.SHA256()).public_bytes(pem)
        + root.sign(root_key, hashes.SHA256()).public_bytes(pem)
    )
