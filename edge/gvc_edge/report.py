"""The one object that `--json` prints, and its line for people. The base has the same keys."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from gvc_protocol.auth import LinkKey, auth_label

__all__ = ["SendReport"]


@dataclass(slots=True, kw_only=True)
class SendReport:
    """Totals of one encode or one run. None = this side cannot know."""

    air_bytes: int = 0
    "Everything on the air: payload, headers, parity, framing, what the radio adds."
    payload_bytes: int = 0
    air_bps: float = 0.0
    "Air bytes over the time of sending, or over the duration of the source where that is longer."
    units_sent: int = 0
    units_decoded: int | None = None
    units_degraded: int | None = None
    packets_sent: int = 0
    packets_lost: int | None = None
    packets_repaired: int | None = None
    symbols_dropped: int = 0
    "Datagrams that an over-full queue kept from being sent."
    seconds: float = 0.0
    "Duration of the source that was sent."
    frames: int = 0
    frames_per_s: float = 0.0
    "Source frames encoded per second of computing time."
    profile: str = ""
    rate_bps: float = 0.0
    fec_percent: float = 0.0
    header_bytes_per_packet: int = 0
    authenticated: bool = False
    encrypted: bool = False
    key: str = ""
    "Fingerprint of the key, empty without one."
    out: str = ""

    def note_key(self, key: LinkKey | None, *, encrypted: bool) -> None:
        """Say whether what is sent is authenticated, and with which key."""
        self.authenticated, self.encrypted = key is not None, encrypted
        self.key = "" if key is None else key.fingerprint

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    def as_text(self) -> str:
        """One line for people."""
        share = 100 * self.payload_bytes / self.air_bytes if self.air_bytes else 0.0
        return (
            f"{self.seconds:.1f} s, {self.frames} frames in {self.units_sent} units and "
            f"{self.packets_sent} packets: {self.air_bytes} bytes on the air = "
            f"{self.air_bps / 1000:.2f} kbit/s of {self.rate_bps / 1000:.2f}, "
            f"{share:.0f} % payload, encoded at {self.frames_per_s:.0f} frames/s; "
            + auth_label(self.key)
            + (", encrypted" if self.encrypted else "")
        )
