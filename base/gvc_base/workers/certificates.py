"""Certificates for a scheduler, its workers and the base: one for all, of a CA that makes no other."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from cryptography.x509 import CertificateBuilder

__all__ = ["make_certificates"]

# Computers in the field may have no clock worth the name.
_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)


def make_certificates(folder: Path) -> None:
    """Write ca.pem, cert.pem and key.pem.

    The CA's own key is forgotten: nobody can make another certificate that would be believed.

    Raises:
        UserError: there are such files already, or the folder cannot be written.
    """
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    found = [n for n in ("ca.pem", "cert.pem", "key.pem") if (folder / n).exists()]
    if found:
        raise UserError(f"{folder} has {', '.join(found)} already; give another folder")
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _builder("gvc-field workers CA", ca_key, ca_key, ca=True).sign(ca_key, hashes.SHA256())
    cert = _builder("gvc-field workers", key, ca_key, ca=False).sign(ca_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, data, mode in (
            ("ca.pem", ca.public_bytes(pem), 0o644), ("cert.pem", cert.public_bytes(pem), 0o644),
            ("key.pem", secret, 0o600),
        ):  # fmt: skip
            with os.fdopen(
                os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb"
            ) as file:
                file.write(data)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}") from None


def _builder(name: str, key: object, ca_key: object, *, ca: bool) -> CertificateBuilder:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    assert isinstance(key, EllipticCurvePrivateKey)
    assert isinstance(ca_key, EllipticCurvePrivateKey)
    issuer = [x509.NameAttribute(x509.NameOID.COMMON_NAME, "gvc-field workers CA")]
    subject = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]
    public, above = key.public_key(), ca_key.public_key()
    return (
        x509.CertificateBuilder()
        .issuer_name(x509.Name(issuer))
        .subject_name(x509.Name(subject))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not ca,
                key_cert_sign=ca,
                crl_sign=ca,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
