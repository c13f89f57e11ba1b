"""Key files: made, read, typed in again, and named so that people can compare them by voice.

A key file is text, four lines of 16 characters in Crockford base32 (no I, L, O, U to confuse). Each
line is 8 bytes of the key and 2 check bytes, so a slip of the pen is told by the line it is in.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from hashlib import blake2b
from pathlib import Path

from gvc_profiles.model import LinkProfile
from gvc_protocol.auth import KEY_BYTES, LinkKey
from gvc_protocol.errors import UserError

__all__ = [
    "LINES",
    "default_key_path",
    "format_key",
    "link_key",
    "new_key",
    "parse_key",
    "parse_line",
    "read_key",
    "spoken",
    "write_key",
]

LINES = 4
_LINE_BYTES = KEY_BYTES // LINES
_LINE_CHARS = 16
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {**{c: i for i, c in enumerate(_DIGITS)}, "O": 0, "I": 1, "L": 1}
_MAX_FILE_BYTES = 4096
_NATO = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "alfa", "bravo",
    "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "juliett", "kilo", "mike", "november",
    "papa", "quebec", "romeo", "sierra", "tango", "victor", "whiskey", "xray", "yankee", "zulu",
)  # fmt: skip


def default_key_path() -> Path:
    """`$XDG_CONFIG_HOME/gvc-field/link.key`, or `~/.config/gvc-field/link.key`."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "gvc-field" / "link.key"


def new_key() -> LinkKey:
    """A key from the system's random source."""
    return LinkKey(secrets.token_bytes(KEY_BYTES))


def spoken(fingerprint: str) -> str:
    """A fingerprint as words to read over voice radio."""
    groups = fingerprint.split("-")
    return ", ".join(" ".join(_NATO[_DIGITS.index(c)] for c in group) for group in groups)


def format_key(key: LinkKey) -> str:
    """The key file's text."""
    rows = []
    for i in range(LINES):
        part = key.secret[i * _LINE_BYTES : (i + 1) * _LINE_BYTES]
        number = int.from_bytes(part + _check(i, part), "big")
        chars = "".join(_DIGITS[number >> 5 * j & 31] for j in reversed(range(_LINE_CHARS)))
        rows.append(" ".join(chars[j : j + 4] for j in range(0, _LINE_CHARS, 4)))
    head = f"# GVC link key {key.fingerprint}. Secret: whoever reads this file can send as you.\n"
    return head + "\n".join(rows) + "\n"


def parse_line(index: int, text: str) -> bytes:
    """8 bytes of the key from its line `index` (0..3); spaces, hyphens and small letters are fine.

    Raises:
        UserError: not 16 characters, or a typing error. The text itself is never in the message.
    """
    chars = [c for c in text.upper() if not c.isspace() and c != "-"]
    if len(chars) != _LINE_CHARS:
        raise UserError(
            f"line {index + 1} of the key has {len(chars)} characters instead of {_LINE_CHARS}; "
            "type it again"
        )
    if any(c not in _VALUES for c in chars):
        at = next(i for i, c in enumerate(chars) if c not in _VALUES)
        raise UserError(
            f"character {at + 1} in line {index + 1} of the key is none that a key has "
            "(digits, and letters without U); type that line again"
        )
    number = 0
    for c in chars:
        number = number << 5 | _VALUES[c]
    raw = number.to_bytes(_LINE_BYTES + 2, "big")
    if raw[_LINE_BYTES:] != _check(index, raw[:_LINE_BYTES]):
        raise UserError(
            f"typing error in line {index + 1} of the key (its check does not fit); type it again"
        )
    return raw[:_LINE_BYTES]


def parse_key(text: str) -> LinkKey:
    """The key that `format_key` wrote or somebody typed. Lines with `#` and empty ones are skipped.

    Raises:
        UserError: it is no key, or has a typing error, told by line.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != LINES:
        raise UserError(
            f"a key has {LINES} lines of {_LINE_CHARS} characters, this has {len(lines)} lines; "
            "copy the whole file, or type the lines that are missing"
        )
    return LinkKey(b"".join(parse_line(i, line) for i, line in enumerate(lines)))


def write_key(path: Path, key: LinkKey) -> None:
    """Write a key file that only its owner can read. A file that is there is never overwritten.

    Raises:
        UserError: the file exists, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            os.fchmod(fd, 0o600)
            file.write(format_key(key))
            file.flush()
            os.fsync(fd)
    except FileExistsError:
        raise UserError(
            f"{path} is there already and is not overwritten; move it away, or name another file"
        ) from None
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; name another place") from None


def read_key(path: Path) -> LinkKey:
    """The key in a file.

    Raises:
        UserError: no such file, others can read it, or it holds no key. What was given for a path is
            not repeated where it may be a key.
    """
    if re.fullmatch(r"(?:[0-9A-Za-z][\s-]?){32,}", str(path)):
        raise UserError(
            "--key takes the path of a key file, not the key: a command line is seen by everybody "
            "on this machine; make a new key if that was one"
        )
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"no such key file: {path}; make one with `keys new {path}`") from None
    except OSError as error:
        raise UserError(f"cannot read key file {path}: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(f"key file {path} can be read by others; run: chmod 600 {path}")
    if len(raw) > _MAX_FILE_BYTES:
        raise UserError(f"{path} is no key file: it is too long")
    try:
        return parse_key(raw.decode("ascii"))
    except (UserError, UnicodeDecodeError) as error:
        reason = "" if isinstance(error, UnicodeDecodeError) else f": {error}"
        raise UserError(f"{path} is no key file{reason}") from None


def link_key(
    path: Path | None, *, encrypt: bool = False, profile: LinkProfile | None = None
) -> LinkKey | None:
    """The key that the operator named, or None without one; checks that it may be used so.

    Raises:
        UserError: the file is bad, or encryption is wanted without a key or against the law.
    """
    if encrypt and path is None:
        raise UserError("--encrypt needs a key; make one with `keys new` and give --key FILE")
    if encrypt and profile is not None and profile.legal.encryption == "forbidden":
        raise UserError(
            f"encryption is forbidden on {profile.id} ({profile.legal.region}); leave --encrypt "
            "out: a tag alone authenticates and hides nothing"
        )
    return None if path is None else read_key(path)


def _check(index: int, part: bytes) -> bytes:
    return blake2b(bytes([index]) + part, digest_size=2, person=b"gvc line 1").digest()
