"""The airtime ledger of a profile, and its file: a restart must not forget what was sent.

One file a sub-band, whatever the profile, as the law counts the sub-band. Every packet is a line of
`END_NS AIR_NS`, handed to the system at once, so that a crash of the program loses none.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from gvc_profiles.airtime import airtime_s
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import UserError
from gvc_protocol.ledger import AirtimeLedger, AirtimeLimit

__all__ = ["KeptLedger", "make_ledger"]


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
    """A ledger that is on disk. A full disk ends the keeping, not the mission: see `problem`."""

    def __init__(self, profile: LinkProfile, folder: Path, now: int) -> None:
        """Read what earlier runs spent, and drop from the file what no longer counts.

        Raises:
            UserError: the folder cannot be written.
        """
        super().__init__(_limit(profile), lambda size: round(airtime_s(profile, size) * 1e9))
        slug = re.sub(r"[^0-9A-Za-z.]+", "-", self.limit.subband).strip("-")
        self._path = folder / f"airtime-{slug}.txt"
        self.problem = ""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            text = self._path.read_text("ascii", "replace") if self._path.exists() else ""
            self.restore(_entries(text), now)
            fresh = self._path.with_suffix(".new")
            fresh.write_text("".join(f"{end} {air}\n" for end, air in self.export()))
            fresh.replace(self._path)
            self._file = self._path.open("ab", buffering=0)
        except OSError as error:
            raise UserError(f"cannot keep the airtime in {folder}: {error.strerror}") from None

    def spend(self, packet_bytes: int, now: int) -> None:
        """Such a packet starts now."""
        super().spend(packet_bytes, now)
        air = self.airtime_ns(packet_bytes)
        try:
            self._file.write(f"{now + air} {air}\n".encode())
        except OSError as error:
            self.problem = f"airtime is no longer kept on disk: {error.strerror}"

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self._file.close()


def _entries(text: str) -> list[tuple[int, int]]:
    """Lines of the file; one that a power cut left half written is skipped."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and all(w.isdigit() and len(w) < 20 for w in words):
            found.append((int(words[0]), int(words[1])))
    return found
