"""The `profiles` command of both programs: one line a radio, header cost included."""

from __future__ import annotations

from gvc_profiles.load import load, names
from gvc_profiles.params import link_params
from gvc_protocol.wire import OVERHEAD_BYTES

__all__ = ["print_profiles", "profile_lines"]

_HEADINGS = (
    "profile", "MTU bytes", "usable bit/s", "header %", "FEC auto %", "bad packets are", "duplex",
    "verified",
)  # fmt: skip


def profile_lines() -> list[str]:
    """The table as lines: headings first. Header % = all that a full packet carries besides payload."""
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for name in names():
        profile = load(name)
        framing = link_params(profile, bps=None, fec="off").framing
        full = framing.max_datagram_bytes
        payload = full - OVERHEAD_BYTES
        cost = 100 * (1 - payload / framing.framed_bytes(full))
        rows.append((
            name, str(profile.mtu_bytes), f"{profile.rate.usable_bps:.0f}", f"{cost:.1f}",
            f"{profile.fec.auto_percent:.0f}",
            "delivered" if profile.delivers_corrupted else "dropped", profile.duplex,
            profile.verified,
        ))  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def print_profiles() -> None:
    """Print the table."""
    print("\n".join(profile_lines()))
