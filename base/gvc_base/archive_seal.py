"""The base's signature under its archives: Ed25519, with a key that this base made once and keeps.

A signature covers the chain up to a row, the sessions, and the base's own notes so far. It is made once
a minute of recording and when the archive is closed; after a kill the rows behind the last one are
chained but not signed, and `gvc-base verify` says which. Each covers the one before it, too.

Only this base can sign; anybody can check. Whose key it is, the archive cannot prove: compare the
fingerprint with the one that the base shows.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gvc_base.archive_chain import rows_hash
from gvc_base.archive_json import RECEIVER_KINDS
from gvc_protocol.errors import UserError

__all__ = [
    "NOTES_SQL",
    "SESSIONS_SQL",
    "Sealed",
    "SignatureBook",
    "Signer",
    "fingerprint_of",
    "load_signer",
    "sealed_message",
    "signature_fits",
]  # fmt: skip

_NAME = "archive-signing.key"
_KEY_BYTES = 32
_HEAD = b"GVC mission archive signature 1\0"
_NUMBERS = struct.Struct(">QQQQBq")
_EVERY_S = 60.0
_EVERY_ROWS = 8192
SESSIONS_SQL = (
    "SELECT id, started_us, link_url, profile_id, framing, params, authenticated, key_fingerprint"
    " FROM sessions WHERE id > ? AND id <= ? ORDER BY id"
)
_KINDS = ", ".join(f"'{kind}'" for kind in RECEIVER_KINDS)
NOTES_SQL = (
    "SELECT rowid, session_id, time_ns, kind, detail FROM events"
    f" WHERE rowid > ? AND kind NOT IN ({_KINDS}) ORDER BY rowid"
)
"What no replay could give anew: the base's own events."
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What one signature covers."""

    archive_id: str
    number: int
    last_id: int
    chain: bytes
    sessions: int
    sessions_hash: bytes
    notes: int
    notes_hash: bytes
    closing: bool
    time_ns: int


def sealed_message(sealed: Sealed, before: bytes) -> bytes:
    """The bytes that are signed. `before` is the signature before this one, empty for the first."""
    s = sealed
    numbers = _NUMBERS.pack(s.number, s.last_id, s.sessions, s.notes, s.closing, s.time_ns)
    hashes = (s.chain, s.sessions_hash, s.notes_hash, sha256(before).digest())
    return b"".join((_HEAD, s.archive_id.encode(), b"\0", numbers, *hashes))


@dataclass(frozen=True, slots=True)
class Signer:
    """The base's own key; the secret stays inside `sign`."""

    public_key: bytes
    sign: Callable[[bytes], bytes]

    @property
    def fingerprint(self) -> str:
        """Short name of the key, to compare by voice."""
        return fingerprint_of(self.public_key)


def fingerprint_of(public_key: bytes) -> str:
    """16 characters in four groups, of the key's SHA-256."""
    number = int.from_bytes(sha256(public_key).digest()[:10], "big")
    chars = "".join(_DIGITS[number >> 5 * i & 31] for i in reversed(range(16)))
    return "-".join(chars[i : i + 4] for i in range(0, 16, 4))


def load_signer(state_dir: Path, *, make: bool = True) -> Signer | None:
    """The key in the state folder, made where there is none yet; None with `make=False` and no key.

    Raises:
        UserError: the folder or the file cannot be used, or others can read the file.
    """
    path = state_dir / _NAME
    try:
        if not path.exists():
            if not make:
                return None
            _make(path)
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            secret = file.read(_KEY_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot keep the signing key {path}: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(f"signing key {path} can be read by others; run: chmod 600 {path}")
    if len(secret) != _KEY_BYTES:
        raise UserError(f"{path} is no signing key; move it away, and a new one is made")
    return _signer(secret)


def signer_or_say(state_dir: Path, say: Callable[[str], None]) -> Signer | None:
    """The key, or None and a line: a mission does not wait for its signature."""
    try:
        return load_signer(state_dir)
    except UserError as error:
        say(f"the archive is not signed: {error}")
        return None


def _signer(secret: bytes) -> Signer:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(secret)
    return Signer(key.public_key().public_bytes_raw(), key.sign)


def _make(path: Path) -> None:
    """Whole or not at all; of two bases that start at once both get the key of the first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, 0o600)
            file.write(os.urandom(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return
    finally:
        fresh.unlink(missing_ok=True)


def signature_fits(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of that key signed that message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class SignatureBook:
    """Signs one open archive as it grows. Used inside the transaction that writes the rows."""

    def __init__(self, conn: sqlite3.Connection, signer: Signer | None) -> None:
        self._signer = signer
        row = conn.execute("SELECT value FROM meta WHERE key = 'archive_id'").fetchone()
        self.archive_id = str(row[0])
        last = conn.execute(
            "SELECT id, last_id, signature FROM signatures ORDER BY id DESC LIMIT 1"
        ).fetchone()
        found: tuple[int, int, bytes] = last or (0, 0, b"")
        self._number, self._signed_id, self._before = found
        self._sessions, self._sessions_hash = 0, b""
        self._notes, self._notes_row, self._notes_hash = 0, 0, b""
        self._at = time.monotonic()

    def due(self, last_id: int) -> bool:
        """Whether it is time for another signature, with datagrams up to `last_id` written."""
        if self._signer is None or last_id == self._signed_id:
            return False
        late = time.monotonic() - self._at >= _EVERY_S
        return late or last_id - self._signed_id >= _EVERY_ROWS

    def sign(self, conn: sqlite3.Connection, last_id: int, chain: bytes, *, closing: bool) -> None:
        """Add a signature over what the archive holds now; nothing where there is no key, or nothing
        is new."""
        if self._signer is None:
            return
        self._look(conn)
        state = (last_id, self._sessions, self._notes)
        if closing and state == self._newest(conn):
            return
        sealed = Sealed(
            archive_id=self.archive_id, number=self._number + 1, last_id=last_id, chain=chain,
            sessions=self._sessions, sessions_hash=self._sessions_hash, notes=self._notes,
            notes_hash=self._notes_hash, closing=closing, time_ns=time.time_ns(),
        )  # fmt: skip
        made = self._signer.sign(sealed_message(sealed, self._before))
        s = sealed
        conn.execute(
            "INSERT INTO signatures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (s.number, s.last_id, s.chain, s.sessions, s.sessions_hash, s.notes, s.notes_hash,
             int(s.closing), s.time_ns, self._signer.public_key, made),
        )  # fmt: skip
        self._number, self._signed_id, self._before = s.number, last_id, made
        self._at = time.monotonic()

    def _look(self, conn: sqlite3.Connection) -> None:
        """Go on with the hashes over sessions and notes to where the archive is now."""
        sessions = conn.execute(SESSIONS_SQL, (self._sessions, 1 << 62)).fetchall()
        if sessions:
            self._sessions = int(sessions[-1][0])
            self._sessions_hash = rows_hash(sessions, self._sessions_hash)
        notes = conn.execute(NOTES_SQL, (self._notes_row,)).fetchall()
        if notes:
            self._notes_row = int(notes[-1][0])
            self._notes += len(notes)
            self._notes_hash = rows_hash((row[1:] for row in notes), self._notes_hash)

    def _newest(self, conn: sqlite3.Connection) -> tuple[int, int, int] | None:
        row = conn.execute(
            "SELECT last_id, sessions, notes FROM signatures WHERE closing = 1 AND id = ?",
            (self._number,),
        ).fetchone()
        return None if row is None else (int(row[0]), int(row[1]), int(row[2]))
