"""What must hold between the fields of a profile. Ranges of single fields are in `model.py`.

Each rule gives the field to change, its value and what it must be; the first broken one is told.
Order matters: a rule may rest on those before it (no airtime without a valid spreading factor).
"""

from __future__ import annotations

from collections.abc import Iterator

from gvc_profiles.airtime import airtime_s
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.framing import Framing
from gvc_protocol.wire import OVERHEAD_BYTES

__all__ = ["Broken", "first_broken"]

Broken = tuple[str, object, str]
"""Field with dots, value found, what it must be."""

_ON_SERIAL = ("raw", "mavlink_tunnel", "xbee_api", "meshtastic", "sbd", "imt", "rn2483")
_LORA_PHY_BYTES = 255
_ROUNDING = 1.001
"Rates in a file are rounded to a few digits; a thousandth is no contradiction."


def first_broken(profile: LinkProfile) -> Broken | None:
    """The first rule that the profile breaks, or None."""
    for rules in (_airtime, _packets, _rates, _errors, _rest):
        for holds, broken in rules(profile):
            if not holds:
                return broken
    return None


def _airtime(p: LinkProfile) -> Iterator[tuple[bool, Broken]]:
    a, lora = p.airtime, p.airtime.model == "lora"
    # SF 5 and 6 use another preamble, which the formula of AN1200.13 does not cover.
    wanted = (
        ("spreading_factor", a.spreading_factor, 7, 12),
        ("bandwidth_hz", a.bandwidth_hz, 7_800, 2_000_000),
        ("coding_rate", a.coding_rate, 5, 8),
        ("preamble_symbols", a.preamble_symbols, 6, 65_535),
    )
    for name, value, low, high in wanted:
        holds = low <= value <= high if lora else value == 0
        rule = f"must be {low} to {high} with airtime.model lora, and else 0"
        yield holds, (f"airtime.{name}", value, rule)


def _packets(p: LinkProfile) -> Iterator[tuple[bool, Broken]]:
    size, extra = p.radio_packet_bytes, p.airtime.per_packet_overhead_bytes
    if p.airtime.model == "lora":
        rule = (
            f"must be at most {_LORA_PHY_BYTES - extra}: LoRa's {_LORA_PHY_BYTES} less the overhead"
        )
        yield size + extra <= _LORA_PHY_BYTES, ("radio_packet_bytes", size, rule)
        air_ms = airtime_s(p, size) * 1000
        dwell = p.legal.dwell_ms
        rule = f"takes {air_ms:.0f} ms on the air; it must be at most legal.dwell_ms, {dwell:g}"
        yield not dwell or air_ms <= dwell, ("radio_packet_bytes", size, rule)
    yield (
        p.mtu_bytes <= size,
        ("mtu_bytes", p.mtu_bytes, f"must be at most radio_packet_bytes, {size}"),
    )
    yield (
        size <= p.queue_bytes,
        ("queue_bytes", p.queue_bytes, f"must hold one radio packet, {size}"),
    )
    problem = _framing_problem(p)
    yield not problem, ("mtu_bytes", p.mtu_bytes, problem)


def _framing_problem(p: LinkProfile) -> str:
    """Why no datagram of ours fits such packets; empty when one does."""
    try:
        framing = Framing(mtu_bytes=p.mtu_bytes, stream=p.stream, inner_rs=p.inner_rs_parity > 0)
    except LocalProtocolError as error:
        return f"does not work: {error}"
    room = framing.max_datagram_bytes - OVERHEAD_BYTES
    return "" if room > 0 else "is too small: headers and parity fill the packet"


def _rates(p: LinkProfile) -> Iterator[tuple[bool, Broken]]:
    usable, nominal = p.rate.usable_bps, p.rate.nominal_bps
    yield (
        usable <= nominal,
        ("rate.usable_bps", usable, f"must be at most rate.nominal_bps, {nominal:g}"),
    )
    full = p.radio_packet_bytes if p.stream else p.mtu_bytes
    fits = full * 8 / airtime_s(p, full)
    rule = f"must be at most {fits:.0f}, what full packets of {full} bytes carry by their airtime"
    if p.airtime.model == "lora":
        yield nominal <= fits * _ROUNDING, ("rate.nominal_bps", nominal, rule)
    yield usable <= fits * _ROUNDING, ("rate.usable_bps", usable, rule)
    legal = fits * p.legal.duty_cycle
    rule = f"must be at most {legal:.0f}, as legal.duty_cycle is {p.legal.duty_cycle:g}"
    yield usable <= legal * _ROUNDING, ("rate.usable_bps", usable, rule)
    rule = f"must be at most latency.p95_ms, {p.latency.p95_ms:g}"
    yield p.latency.p50_ms <= p.latency.p95_ms, ("latency.p50_ms", p.latency.p50_ms, rule)


def _errors(p: LinkProfile) -> Iterator[tuple[bool, Broken]]:
    wrong = p.delivers_corrupted
    given = f"with delivers_corrupted {str(wrong).lower()}"
    # Parity inside a packet is waste where bad packets are dropped, and needed where they are not.
    rule = f"must be {32 if wrong else 0} {given}"
    yield bool(p.inner_rs_parity) == wrong, ("inner_rs_parity", p.inner_rs_parity, rule)
    rule = f"must be {'byte or both' if wrong else 'erasure or arq'} {given}"
    yield (p.errors in ("byte", "both")) == wrong, ("errors", p.errors, rule)


def _rest(p: LinkProfile) -> Iterator[tuple[bool, Broken]]:
    yield (
        (p.serial is not None) == (p.framing in _ON_SERIAL) or p.framing == "kiss",
        ("framing", p.framing, f"must be one of {', '.join(_ON_SERIAL)} with a [serial] table, "
         "and udp, rns or freedv without one; kiss may have one (TNC) or not (TCP)"),
    )  # fmt: skip
    rule = f"must be false with framing {p.framing}, which keeps packets whole"
    yield not p.stream or p.framing == "raw", ("stream", p.stream, rule)
    rule = "must name at least one source of the figures"
    yield any(s.strip() for s in p.sources), ("sources", list(p.sources), rule)
    windows = p.backchannel == "windows"
    rule = "must be above 0 with backchannel windows, and 0 without"
    yield (p.listen_ms > 0) == windows, ("listen_ms", p.listen_ms, rule)
    rule = "must be none or anytime with duplex full"
    yield p.duplex == "half" or not windows, ("backchannel", p.backchannel, rule)
    yield from _legal(p)
    yield from _settings(p)


def _legal(p: LinkProfile) -> Iterator[tuple[bool, Broken]]:
    """47 CFR 97.113(a)(4) and its like: no messages whose meaning is hidden on amateur bands."""
    rule = "must be forbidden on an amateur band (station_id_s above 0)"
    amateur = p.station_id_s > 0
    yield (
        not amateur or p.legal.encryption == "forbidden",
        ("legal.encryption", p.legal.encryption, rule),
    )
    rule = "must be at most 600: amateur law asks for the call sign every 10 minutes"
    yield p.station_id_s <= 600, ("station_id_s", p.station_id_s, rule)


def _settings(p: LinkProfile) -> Iterator[tuple[bool, Broken]]:
    names = [s.name for s in p.settings]
    yield (
        not names or p.dialect != "none",
        ("dialect", p.dialect, "must name a command language where there are [[settings]]"),
    )
    for i, name in enumerate(names):
        rule = "must not come twice"
        yield name not in names[:i], (f"settings[{i}].name", name, rule)
