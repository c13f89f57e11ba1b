"""The `profiles` command of both programs: one line a radio, header cost included."""

from __future__ import annotations

from gvc_profiles.links.registry import SCHEMES
from gvc_profiles.load import load, names
from gvc_profiles.model import LinkProfile
from gvc_profiles.params import link_params
from gvc_protocol.wire import OVERHEAD_BYTES

__all__ = ["print_profiles", "profile_lines"]

_HEADINGS = (
    "profile", "MTU B", "bit/s", "header %", "FEC %", "bad packets", "law", "link",
)  # fmt: skip

_NUMBERS = range(1, 5)


def profile_lines() -> list[str]:
    """The table as lines, at most 120 columns: headings first.

    Header % = all that a full packet carries besides payload.
    """
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
            _fate(profile), _law(profile), _link(profile),
        ))  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    lines = ["  ".join(map(_cell, row, widths, range(len(row)))).rstrip() for row in rows]
    by = sorted({load(name).verified for name in names()})
    return [*lines, f"verified by {', '.join(by)}; details: gvc-edge check, docs/radios.md"]


def _cell(text: str, width: int, column: int) -> str:
    return text.rjust(width) if column in _NUMBERS else text.ljust(width)


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
    if profile.station_id_s:
        words.append("call sign")
    return ", ".join(words) or "-"


def _link(profile: LinkProfile) -> str:
    """The URL form of the radio itself; udp works with every profile."""
    fits = [s.forms for s in SCHEMES.values() if profile.framing in s.framings]
    forms = (fits or [SCHEMES["udp"].forms])[0].split(" or ")
    over_tcp = profile.serial is None and "+tcp:" in forms[-1]
    return forms[-1 if over_tcp else 0].partition("?")[0]


def print_profiles() -> None:
    """Print the table."""
    print("\n".join(profile_lines()))
