"""What a radio is, as data: one frozen `LinkProfile`, every field named with its unit.

The classes are the schema: `load.py` reads types, ranges and choices from `field(metadata=...)`, so a
field is declared once and an unknown, missing or mistyped one in a TOML file is told by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Airtime", "Fec", "Latency", "Legal", "LinkProfile", "Rate", "SerialSettings", "Setting",
]  # fmt: skip


def _range(low: float, high: float) -> Any:
    return field(metadata={"range": (low, high)})


def _choice(*names: str | int) -> Any:
    return field(metadata={"choices": names})


def _text() -> Any:
    """One printable line, not blank: it is shown in tables and error messages."""
    return field(metadata={"line": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialSettings:
    """How the host talks to the radio."""

    baud: int = _range(1200, 4_000_000)
    rtscts: bool
    settle_ms: int = _range(0, 60_000)
    "Silence after opening before the radio listens."


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of the radio, by the name that its own command language uses.

    It is always read first and written only where it differs: flash wears out.
    """

    name: str = _text()
    want: str
    "The value as the radio writes it. Empty: any, as long as both radios have the same; only shown."
    volatile: bool
    "True: forgotten at power-off, so the link sets it when it opens. False: `check --apply` writes it."
    why: str = _text()
    "What goes wrong otherwise, and how to mend it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Bits per second at the radio's port, all bytes of ours counted (headers, parity, framing)."""

    nominal_bps: float = _range(1, 1e9)
    "What the radio itself carries at best."
    usable_bps: float = _range(1, 1e9)
    "What one may really load on it."
    fixed: bool
    "True: `--bps` may only lower it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One way, host to host."""

    p50_ms: float = _range(0, 600_000)
    p95_ms: float = _range(0, 600_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Airtime:
    """How long a packet occupies the channel."""

    model: str = _choice("bytes", "lora", "fixed")
    "bytes: as many as there are, at the nominal rate. fixed: every packet as long as the largest."
    per_packet_overhead_bytes: int = _range(0, 1000)
    spreading_factor: int = _range(0, 12)
    "LoRa: 7..12, else 0."
    bandwidth_hz: int = _range(0, 2_000_000)
    coding_rate: int = _range(0, 8)
    "LoRa: 5..8 for 4/5..4/8, else 0."
    preamble_symbols: int = _range(0, 65_535)
    "LoRa: 6 or more, else 0."


@dataclass(frozen=True, slots=True, kw_only=True)
class Legal:
    """What the law of the region allows; the operator answers for it."""

    region: str = _text()
    subband: str = _text()
    duty_cycle: float = _range(0.0001, 1)
    dwell_ms: float = _range(0, 60_000)
    "Longest time on one channel, 0 = no limit."
    encryption: str = _choice("allowed", "forbidden")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fec:
    """Redundancy that `--fec auto` stands for."""

    auto_percent: float = _range(0, 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkProfile:
    """Everything that the toolkit knows of one radio in one setting."""

    id: str = _text()
    title: str = _text()
    summary: str = _text()
    framing: str = _choice(
        "raw", "udp", "kiss", "mavlink_tunnel", "xbee_api", "meshtastic", "sbd", "imt", "rn2483",
        "rns", "freedv",
    )  # fmt: skip
    """How the host hands a packet to the radio. raw: bytes on a serial port. udp: one packet a UDP
    datagram, to a network or to a radio's bridge. The others have a codec in `gvc_protocol.framings`,
    but rns (the `rns` package) and freedv (samples for libcodec2)."""
    stream: bool
    "True: a byte stream that can slip. False: packet boundaries are kept."
    mtu_bytes: int = _range(14, 1400)
    "Largest datagram of ours, header included."
    radio_packet_bytes: int = _range(14, 65_535)
    "Largest packet that the radio itself sends."
    errors: str = _choice("erasure", "byte", "both", "arq")
    "erasure: packets vanish. byte: wrong bytes come. arq: the radio repeats; late, but never wrong."
    inner_rs_parity: int = _choice(0, 32)
    delivers_corrupted: bool
    may_inject_foreign_bytes: bool
    ordered: bool
    duplicates: bool
    duplex: str = _choice("half", "full")
    turnaround_ms: float = _range(0, 60_000)
    backchannel: str = _choice("none", "anytime", "windows")
    "windows: the edge says when it listens (OVER), as both ends cannot talk at once."
    listen_ms: int = _range(0, 600_000)
    "How long the edge listens after OVER, 0 unless windows."
    queue_bytes: int = _range(256, 1 << 24)
    "Host buffer of the radio; what overflows is dropped without a word."
    rssi: str = _choice(
        "none", "sik-ati7", "meshtastic", "mavlink-radio-status", "xbee-db", "rn2483-snr",
        "ebyte-ambient", "sbd-csq", "imt-signal", "rns",
    )  # fmt: skip
    "How the radio tells what it hears."
    station_id_s: int = _range(0, 3600)
    "Amateur radio: the call sign goes out in clear at least this often. 0 = no such rule."
    verified: str = _choice("hardware", "source", "documentation")
    sources: tuple[str, ...]
    rate: Rate
    latency: Latency
    airtime: Airtime
    legal: Legal
    fec: Fec
    serial: SerialSettings | None = None
    dialect: str = _choice(
        "none",
        "sik",
        "ebyte-e22",
        "ebyte-e32",
        "rn2483",
        "meshtastic",
        "xbee",
        "mavlink",
        "sbd",
        "imt",
    )
    "Command language of `check` (gvc_profiles.check): how to enter it, probe, write, save and leave."
    settings: tuple[Setting, ...] = ()
