"""The airtime ledger of a profile, and its file: neither a restart nor a power cut gives air time back.

One file a sub-band, whatever the profile, as the law counts the sub-band. Air time is reserved on disk
(fsync) before it is used, a hundredth of the budget or one packet at a time, so that the disk is not
waited for at each packet. A line is complete in itself:

    END_NS AIR_NS UNTIL_NS RESERVED_NS

What was spent since the line before, and what may be spent from here until UNTIL_NS. After a crash the
last line's reservation counts as spent at its end: what is counted then is too much, never too little.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gvc_profiles.airtime import airtime_s
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import UserError
from gvc_protocol.ledger import AirtimeLedger, AirtimeLimit
from gvc_protocol.params import SECOND

__all__ = ["KeptLedger", "make_ledger"]

_SHARES = 100
"Reservations that the budget is cut into: a crash costs at most one."
_HELD_NS = 60 * SECOND
"How long a reservation may be used."


def make_ledger(profile: LinkProfile) -> AirtimeLedger | None:
    """The ledger that the profile's law asks for; None where it limits neither duty nor dwell."""
    legal = profile.legal
    if legal.duty_cycle >= 1 and not legal.dwell_ms:
        return None
    return AirtimeLedger(_limit(profile), lambda size: round(airtime_s(profile, size) * 1e9))


def _limit(profile: LinkProfile) -> AirtimeLimit:
    legal = profile.legal
    return AirtimeLimit(
        subband=legal.subband, duty_cycle=legal.duty_cycle, dwell_ns=round(legal.dwell_ms * 1e6)
    )


class KeptLedger(AirtimeLedger):
    """A ledger that is on disk. A full disk ends the keeping, not the mission: `say` tells so."""

    def __init__(
        self, profile: LinkProfile, folder: Path, now: int,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """Read what earlier runs spent, and drop from the file what no longer counts.

        Raises:
            UserError: the folder cannot be written, or another program counts there.
        """
        super().__init__(_limit(profile), lambda size: round(airtime_s(profile, size) * 1e9))
        slug = re.sub(r"[^0-9A-Za-z.]+", "-", self.limit.subband).strip("-")
        self._path, self._say, self._kept = folder / f"airtime-{slug}.txt", say, True
        self._until = self._reserved = self._spent_of_it = self._last_end = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
            self._start(now)
        except OSError as error:
            raise UserError(f"cannot keep the airtime in {folder}: {error.strerror}") from None

    def spend(self, packet_bytes: int, now: int) -> None:
        """Such a packet starts now; returns when the disk knows."""
        air = self.airtime_ns(packet_bytes)
        if self._spent_of_it + air > self._reserved or now + air > self._until:
            more = max(air, self.limit.budget_ns // _SHARES)
            self._keep(now + max(_HELD_NS, air), more)
        super().spend(packet_bytes, now)
        self._spent_of_it += air
        self._last_end = max(self._last_end, now + air)

    def close(self) -> None:
        """Give back what was reserved and not used, and close the file."""
        if self._kept:
            self._keep(0, 0)
        for fd in (self._file, self._lock):
            with suppress(OSError):
                os.close(fd)

    def _locked(self) -> int:
        """Two programs that count in one file would not see each other's packets."""
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise UserError(
                f"another program sends in {self.limit.subband} and counts in {self._path}; "
                "stop it, or give each transmitter its own --state"
            ) from None
        return lock

    def _start(self, now: int) -> None:
        text = self._path.read_text("ascii", "replace") if self._path.exists() else ""
        spent, whole = _entries(text)
        if not whole:
            spent.append((now, self.limit.budget_ns))
            self._say(
                f"{self._path} is damaged, so {self.limit.subband} counts as used up; delete it if "
                "nothing was sent there for an hour"
            )
        self.restore(spent, now)
        fresh = self._path.with_suffix(".new")
        lines = "".join(f"{end} {air} 0 0\n" for end, air in self.export())
        self._file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        _write(self._file, lines.encode())
        fresh.replace(self._path)
        _sync_folder(self._path.parent)

    def _keep(self, until: int, reserved: int) -> None:
        """One line: what the last reservation came to, and the next one."""
        line = f"{self._last_end} {self._spent_of_it} {until} {reserved}\n"
        self._until, self._reserved, self._spent_of_it = until, reserved, 0
        if not self._kept:
            return
        try:
            _write(self._file, line.encode())
        except OSError as error:
            self._kept = False
            self._say(
                f"airtime is no longer kept on disk ({error.strerror}): this run counts on, but after "
                "a restart wait an hour before you send"
            )


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
    os.fsync(fd)


def _sync_folder(folder: Path) -> None:
    """A file's new name is safe only when its folder is."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class _Line:
    end: int
    air: int
    until: int
    reserved: int


def _entries(text: str) -> tuple[list[tuple[int, int]], bool]:
    """(end, air time) of what was spent or may have been, and whether every line could be read.

    The last line may be torn: nothing was sent on it, as its fsync had not come back.
    """
    *whole, _torn = text.split("\n")
    lines = [_line(text) for text in whole]
    read = [line for line in lines if line is not None]
    found = [(line.end, line.air) for line in read if line.air]
    if read and read[-1].reserved:
        found.append((read[-1].until, read[-1].reserved))
    return found, len(read) == len(lines)


def _line(text: str) -> _Line | None:
    words = text.split()
    if len(words) != 4 or not all(w.isascii() and w.isdigit() and len(w) < 20 for w in words):
        return None
    return _Line(*map(int, words))
