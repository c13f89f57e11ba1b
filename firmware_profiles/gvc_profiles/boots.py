"""Boot numbers: counted on disk, so that no number of an earlier start is ever used again.

Without a key a repeated number costs a mix-up. With a key it would cost the key: datagram numbers are
what makes each tag and each encryption different. So a key's boots are counted by key, in two places
(the state folder and beside the key file), and the higher one counts: a folder that was deleted, or
another --state, repeats nothing. After the last number a new key is due.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError

__all__ = ["MAX_BOOT_ID", "default_state_dir", "next_boot_id"]

MAX_BOOT_ID = 0xFFFF


def default_state_dir(program: str) -> Path:
    """`$XDG_STATE_HOME/PROGRAM`, or `~/.local/state/PROGRAM`."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / program


def next_boot_id(state_dir: Path, key: LinkKey | None = None, key_path: Path | None = None) -> int:
    """Count this start and return its number, 1..65535 (without a key it wraps).

    The new value is on disk before it is used: a power cut can skip a number, never repeat one.

    Raises:
        UserError: the folder cannot be written, the counter is damaged, or the key's numbers are
            used up.
    """
    name = "boot-counter" if key is None else f"boot-counter-{key.fingerprint}"
    path = state_dir / name
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        with (state_dir / "boot-counter.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            last = int(path.read_text()) if path.exists() else 0
            if not 0 <= last <= MAX_BOOT_ID:
                raise ValueError
            if key is None:
                boot_id = last % MAX_BOOT_ID + 1
            else:
                boot_id = max(last, _beside(key, key_path)) + 1
                _refuse_repeat(key, boot_id)
                with suppress(OSError):  # a key on a read-only disk; the folder's count stands
                    _write_beside(key, key_path, boot_id)
            _write(path, f"{boot_id}\n")
    except ValueError:
        raise UserError(
            f"{path} does not hold a number; write the highest boot number used so far into it"
        ) from None
    except OSError as error:
        raise UserError(f"cannot keep the boot counter in {state_dir}: {error.strerror}") from None
    return boot_id


def _refuse_repeat(key: LinkKey, boot_id: int) -> None:
    if boot_id > MAX_BOOT_ID:
        raise UserError(
            f"key {key.fingerprint} has no boot number left, and none may repeat; make a new key "
            "for both ends with `keys new`"
        )


def _beside(key: LinkKey, key_path: Path | None) -> int:
    """The count beside the key file, 0 when there is none of this key."""
    if key_path is None:
        return 0
    path = Path(f"{key_path}.boots")
    if not path.exists():
        return 0
    fingerprint, _, count = path.read_text().partition(" ")
    return int(count) if fingerprint == key.fingerprint else 0


def _write_beside(key: LinkKey, key_path: Path | None, boot_id: int) -> None:
    if key_path is not None:
        _write(Path(f"{key_path}.boots"), f"{key.fingerprint} {boot_id}\n")


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
