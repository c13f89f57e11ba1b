"""The `profiles` command of both programs: one line a radio, header cost included."""

from __future__ import annotations

from gvc_profiles.links.registry import SCHEMES
from gvc_profiles.load import load, names
from gvc_profiles.model import LinkProfile
from gvc_profiles.params import link_params
from gvc_protocol.wire import OVERHEAD_BYTES

__all__ = ["print_profiles", "profile_lines"]

_HEADINGS = (
    "profile", "MTU bytes", "usable bit/s", "header %", "FEC auto %", "bad packets are", "law",
    "link", "verified",
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
            _fate(profile), _law(profile), _link(profile), profile.verified,
        ))  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _fate(profile: LinkProfile) -> str:
    if profile.delivers_corrupted:
        return "delivered"
    return "repeated" if profile.errors == "arq" else "dropped"


def _law(profile: LinkProfile) -> str:
    legal = profile.legal
    words = []
    if legal.duty_cycle < 1:
        words.append(f"{100 * legal.duty_cycle:g} % duty")
    if legal.dwell_ms:
        words.append(f"{legal.dwell_ms:g} ms dwell")
    if legal.encryption == "forbidden":
        words.append("no encryption")
    return ", ".join(words) or "-"


def _link(profile: LinkProfile) -> str:
    """The URL form of the radio itself; udp works with every profile."""
    fits = [s.forms for s in SCHEMES.values() if profile.framing in s.framings]
    return fits[0].partition(" or ")[0].partition("?")[0] if fits else SCHEMES["udp"].forms


def print_profiles() -> None:
    """Print the table."""
    print("\n".join(profile_lines()))
