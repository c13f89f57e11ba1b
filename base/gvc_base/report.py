"""The one object that `--json` prints at the base; the edge's has the same keys."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from gvc_protocol.auth import auth_label

__all__ = ["DecodeReport"]


@dataclass(slots=True, kw_only=True)
class DecodeReport:
    """Totals of one decode or one mission. None = this side cannot know."""

    air_bytes: int = 0
    "Bytes that arrived, all included."
    payload_bytes: int = 0
    "Bytes of D, K and F that were recovered."
    air_bps: float = 0.0
    "Air bytes over the duration of the source."
    units_sent: int = 0
    "As far as the base can tell: from unit numbers and the source's announced length."
    units_decoded: int = 0
    "Units of which something was shown: whole and degraded."
    units_whole: int = 0
    units_degraded: int = 0
    units_lost: int = 0
    packets_sent: int = 0
    "From sequence numbers; packets lost after the last one that came are not seen."
    packets_received: int = 0
    packets_lost: int = 0
    packets_repaired: int = 0
    "Lost packets whose content the erasure code made good."
    packets_rejected: dict[str, int] = field(default_factory=dict)
    packets_late: int = 0
    packets_duplicate: int = 0
    seconds: float = 0.0
    "Duration of the decoded video."
    frames: int = 0
    frames_per_s: float = 0.0
    "Decoded frames per second of computing time, files written."
    quality: str = ""
    decoder: str = ""
    "Codec, quality, weights and backend that made the pictures."
    marks: dict[str, float] = field(default_factory=dict)
    "Share of all tiles by mark."
    authenticated: bool = False
    "Only what a key vouched for was believed."
    key: str = ""
    "Fingerprint of that key, empty without one."
    notes: list[str] = field(default_factory=list)
    out: str = ""

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    def _refused(self) -> str:
        """What was not believed, where there was a key."""
        names = ("bad_tag", "no_tag", "replay", "wrong_direction")
        found = [f"{n} {self.packets_rejected[n]}" for n in names if n in self.packets_rejected]
        return f", refused: {', '.join(found)}" if found else ""

    def as_text(self) -> str:
        """Two lines for people."""
        # A live base has as many as came: a speed would say nothing.
        pace = f" at {self.frames_per_s:.0f} frames/s" if self.frames_per_s >= 1 else ""
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in self.marks.items())
        return (
            f"{self.seconds:.1f} s, {self.frames} frames{pace}; units "
            f"whole {self.units_whole}, degraded {self.units_degraded}, lost {self.units_lost}; "
            f"packets {self.packets_received} received, {self.packets_lost} lost, "
            f"{self.packets_repaired} repaired; {self.air_bps / 1000:.2f} kbit/s; "
            + auth_label(self.key)
            + self._refused()
            + (f"\n{self.decoder}; tiles: {shares}" if shares else "")
        )
