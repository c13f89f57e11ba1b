"""Profiles: what ships is complete and true to its sources; what is wrong is told in one line."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_profiles import LinkProfile, load, names, parse
from gvc_profiles.airtime import airtime_s, lora_airtime_ms
from gvc_profiles.listing import profile_lines
from gvc_profiles.params import link_params
from gvc_protocol.errors import UserError
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import OVERHEAD_BYTES

SHIPPED = [
    "direwolf-1200", "ebyte-e22-eu868", "ebyte-e22-us915", "ebyte-e32-eu868", "ebyte-e32-us915",
    "freedv-datac0", "freedv-datac1", "freedv-datac3", "iridium-imt", "iridium-sbd",
    "kiss-ax25-1200", "kiss-ax25-9600", "kiss-fx25-1200", "lora-sf7-125", "mavlink-tunnel",
    "mavlink-tunnel-ecc1", "meshtastic-long-fast", "meshtastic-long-fast-eu868",
    "meshtastic-short-turbo", "reticulum", "rfd900x-64", "rn2483-eu868", "sik-64", "sik-64-ecc1",
    "udp", "wfb-ng", "xbee-900hp-10k", "xbee-900hp-200k",
]  # fmt: skip
AMATEUR = [n for n in SHIPPED if n.startswith(("direwolf", "freedv", "kiss"))]


def text_of(name: str) -> str:
    return (files("gvc_profiles") / f"{name}.toml").read_text("utf-8")


def changed(name: str, old: str, new: str) -> str:
    text = text_of(name)
    assert text.count(old) == 1, (name, old)
    return text.replace(old, new)


def error_of(text: str) -> str:
    with pytest.raises(UserError) as caught:
        parse(text, origin="mine.toml")
    line = str(caught.value)
    assert line.startswith("mine.toml") and line.isprintable(), line
    return line


def leaves(table: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths of all plain values outside lists of tables."""
    found: list[tuple[str, ...]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            found += leaves(value, (*path, key))
        elif key != "settings":
            found.append((*path, key))
    return found


def as_toml(table: dict[str, Any]) -> str:
    """The few TOML kinds that profiles use; tables after values, as TOML wants them."""

    def value(v: object) -> str:
        if isinstance(v, bool):
            return str(v).lower()
        if isinstance(v, str):
            body = "".join(
                c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in v
            )
            return f'"{body}"'
        if isinstance(v, list):
            return "[" + ", ".join(map(value, v)) + "]"
        return str(v)

    plain = [f"{k} = {value(v)}" for k, v in table.items() if not isinstance(v, dict)]
    rows = list(plain)
    for name, inner in table.items():
        if isinstance(inner, dict):
            rows += [f"[{name}]", *(f"{k} = {value(v)}" for k, v in inner.items())]
    return "\n".join(rows)


def test_shipped_names() -> None:
    assert names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profile_is_complete(name: str) -> None:
    profile = load(name)
    assert profile.id == name
    assert profile.verified == "documentation"
    assert profile.sources
    # The packet with its framing is never larger than the radio's, and a payload fits in it.
    framing = link_params(profile, bps=None, fec="auto").framing
    largest = framing.frame(b"x" * framing.max_datagram_bytes, 0)
    assert max(map(len, largest)) <= profile.radio_packet_bytes
    assert framing.max_datagram_bytes > OVERHEAD_BYTES
    if profile.legal.dwell_ms:
        assert airtime_s(profile, profile.radio_packet_bytes) * 1000 <= profile.legal.dwell_ms


def test_figures_of_the_sources() -> None:
    """Numbers that the field depends on, written down a second time."""
    sik, ecc, lora = load("sik-64"), load("sik-64-ecc1"), load("lora-sf7-125")
    assert (sik.rate.usable_bps, sik.rate.nominal_bps) == (3200 * 8, 5400 * 8)
    assert (sik.errors, sik.delivers_corrupted, sik.inner_rs_parity) == ("erasure", False, 0)
    assert sik.queue_bytes == ecc.queue_bytes == 1850
    assert ecc.mtu_bytes == 118 and ecc.rate.usable_bps == 800 * 8
    assert ecc.delivers_corrupted and ecc.may_inject_foreign_bytes and ecc.inner_rs_parity == 32
    assert lora.rate.usable_bps <= 5105 and lora.legal.dwell_ms == 400
    mesh = load("meshtastic-short-turbo")
    assert mesh.mtu_bytes == 233 and mesh.rate.usable_bps == 4000
    assert mesh.queue_bytes == 16 * 233 and not mesh.stream
    assert not load("udp").rate.fixed
    # TUNNEL through SiK with ECC=1: data + 5 + 25 within the 118 bytes that stay whole.
    assert load("mavlink-tunnel-ecc1").mtu_bytes + 30 <= 118
    # Both ends of SBD are modems: what one may send the other must be able to take.
    assert load("iridium-sbd").radio_packet_bytes == min(340, 270)


@pytest.mark.parametrize("name", SHIPPED)
def test_legal_limits(name: str) -> None:
    """Encryption only where the law lets it; a duty cycle wherever the EU sub-band has one."""
    profile = load(name)
    amateur = name in AMATEUR
    assert (profile.legal.encryption == "forbidden") is amateur
    assert (0 < profile.station_id_s <= 600) is amateur
    if "eu868" in name:
        wanted = 0.1 if "869.4" in profile.legal.subband else 0.01
        assert profile.legal.duty_cycle == wanted


@pytest.mark.parametrize("name", SHIPPED)
def test_times_fit_the_packets(name: str) -> None:
    """A link of one packet in 40 s must not give a unit up between two packets."""
    params = link_params(load(name), bps=None, fec="auto")
    packet_ns = params.air_bytes(params.framing.max_datagram_bytes) * 8e9 / params.rate_bps
    assert params.hold_ns >= 4 * packet_ns / params.framing.packets(
        params.framing.max_datagram_bytes
    )
    LinkSender(params, stream_id=1, boot_id=1)


@pytest.mark.parametrize(
    ("payload_bytes", "sf", "bw_hz", "cr", "wanted_ms"),
    [
        # 1: the dwell limit's packet; 2, 3: largest LoRaWAN packets of EU868 DR5 and DR0 with their
        # 13 bytes of MAC (222 + 13, 51 + 13); 4: US915 DR0 (11 + 13). 5: low data rate optimisation.
        (255, 7, 125_000, 5, 399.616),
        (235, 7, 125_000, 5, 368.896),
        (64, 12, 125_000, 5, 2793.472),
        (24, 10, 125_000, 5, 370.688),
        (255, 12, 250_000, 5, 4509.696),
    ],
)
def test_lora_airtime(payload_bytes: int, sf: int, bw_hz: int, cr: int, wanted_ms: float) -> None:
    got = lora_airtime_ms(
        payload_bytes, spreading_factor=sf, bandwidth_hz=bw_hz, coding_rate=cr, preamble_symbols=8
    )
    assert got == pytest.approx(wanted_ms, abs=1e-6)


@pytest.mark.parametrize("name", SHIPPED)
def test_airtime_grows_with_the_packet_and_fits_the_rate(name: str) -> None:
    profile = load(name)
    times = [airtime_s(profile, n) for n in range(1, profile.mtu_bytes + 1)]
    assert times == sorted(times)
    assert profile.mtu_bytes * 8 / times[-1] >= profile.rate.usable_bps / 1.001


@pytest.mark.parametrize("name", SHIPPED)
def test_every_missing_field_is_named(name: str) -> None:
    for path in leaves(tomllib.loads(text_of(name))):
        table = tomllib.loads(text_of(name))
        inner = table
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        line = error_of(as_toml({k: v for k, v in table.items() if k != "settings"}))
        assert f"{'.'.join(path)} is missing" in line


WRONG = st.one_of(
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.sampled_from([float("nan"), float("inf"), -1.5, 1e300]),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
)


@given(data=st.data(), name=st.sampled_from(SHIPPED), wrong=WRONG)
@settings(max_examples=150, deadline=None)
def test_a_changed_field_is_taken_or_named(data: st.DataObject, name: str, wrong: object) -> None:
    """Any value in any field: a profile that keeps its own rules, or one line, never anything else."""
    table = tomllib.loads(text_of(name))
    table.pop("settings", None)
    path = data.draw(st.sampled_from(leaves(table)))
    inner = table
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = wrong
    try:
        profile = parse(as_toml(table), origin="mine.toml")
    except UserError as error:
        assert str(error).isprintable() and str(error).startswith("mine.toml: field ")
    else:
        assert isinstance(profile, LinkProfile)
        link_params(profile, bps=None, fec="auto")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mtu_bytes = 240", "mtu_bytes = 5000", ["mtu_bytes", "5000", "14", "1,400"]),
        ("mtu_bytes = 240", "mtu_bytes = 240.0", ["mtu_bytes", "an integer"]),
        ("mtu_bytes = 240", "mtu_bytes = true", ["mtu_bytes", "an integer"]),
        ("baud = 57600", 'baud = "57600"', ["serial.baud", "'57600'", "an integer"]),
        ('duplex = "half"', 'duplex = "simplex"', ["duplex", "simplex", "half, full"]),
        ("stream = true", "stream = 1", ["stream", "true or false"]),
        ("p50_ms = 80", "p50_ms = nan", ["latency.p50_ms", "nan", "a number"]),
        ("p50_ms = 80", "p50_ms = 80\np51_ms = 3", ["latency.p51_ms", "unknown", "p50_ms"]),
        ("p50_ms = 80", "p50_ms = 800", ["latency.p50_ms", "800", "140"]),
        ("p50_ms = 80", "p50_ms = 1" + "0" * 400, ["latency.p50_ms", "600,000"]),
        ("duty_cycle = 1", "duty_cycle = 0", ["legal.duty_cycle", "0.0001"]),
        ("duty_cycle = 1", "duty_cycle = 0.1", ["rate.usable_bps", "4320", "duty_cycle"]),
        ("usable_bps = 25600", "usable_bps = 50000", ["rate.usable_bps", "43200"]),
        ("inner_rs_parity = 0", "inner_rs_parity = 16", ["inner_rs_parity", "0, 32"]),
        ("inner_rs_parity = 0", "inner_rs_parity = 32", ["inner_rs_parity", "delivers_corrupted"]),
        ('errors = "erasure"', 'errors = "byte"', ["errors", "erasure", "delivers_corrupted"]),
        ("radio_packet_bytes = 250", "radio_packet_bytes = 200", ["mtu_bytes", "200"]),
        ("mtu_bytes = 240", "mtu_bytes = 50", ["mtu_bytes", "50", "64"]),
        ("queue_bytes = 1850", "queue_bytes = 256\n", []),
        ('framing = "raw"', 'framing = "udp"', ["framing", "serial"]),
        ("spreading_factor = 0", "spreading_factor = 7", ["airtime.spreading_factor", "lora"]),
        ('id = "sik-64"', 'id = " "', ["id", "not blank"]),
        ('want = "64"', "want = 64", ["settings[0].want", "a text"]),
        ('name = "ECC"', 'name = "AIR_SPEED"', ["settings[1].name", "twice"]),
        ('dialect = "sik"', 'dialect = "none"', ["dialect", "settings"]),
        ("listen_ms = 0", "listen_ms = 500", ["listen_ms", "above 0 with backchannel windows"]),
        ("station_id_s = 0", "station_id_s = 600", ["legal.encryption", "forbidden"]),
        ("[latency]", "[latency", ["not valid TOML"]),
        ("[latency]", '["line\\nbreak"]', ["unknown"]),
    ],
)
def test_a_wrong_file_is_told_by_field(old: str, new: str, words: list[str]) -> None:
    text = changed("sik-64", old, new)
    if not words:
        assert parse(text, origin="mine.toml").queue_bytes == 256
        return
    line = error_of(text)
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("dwell_ms = 400", "dwell_ms = 399", ["radio_packet_bytes", "400 ms", "dwell_ms"]),
        ("spreading_factor = 7", "spreading_factor = 8", ["707 ms", "dwell_ms"]),
        ("spreading_factor = 7", "spreading_factor = 6", ["airtime.spreading_factor", "7 to 12"]),
        ("nominal_bps = 5105", "nominal_bps = 6000", ["rate.nominal_bps", "5105"]),
        ("overhead_bytes = 0", "overhead_bytes = 8", ["radio_packet_bytes", "247"]),
    ],
)
def test_lora_rules(old: str, new: str, words: list[str]) -> None:
    line = error_of(changed("lora-sf7-125", old, new))
    assert all(word in line for word in words), line


def test_load_by_name_and_by_path(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load("lora")
    assert all(name in str(caught.value) for name in SHIPPED)
    mine = tmp_path / "mine.toml"
    mine.write_text(changed("sik-64", 'id = "sik-64"', 'id = "mine"'))
    assert load(str(mine)).id == "mine"
    for bad in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(UserError, match=r"cannot read|unknown profile"):
            load(str(bad))
    mine.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="UTF-8"):
        load(str(mine))


def test_the_list_fits_a_terminal_of_120_columns() -> None:
    lines = profile_lines()
    assert max(map(len, lines)) <= 120 and len(lines) == len(SHIPPED) + 2
    rows = {line.split()[0]: line for line in lines}
    assert rows["direwolf-1200"].endswith("no encryption, call sign  kiss+tcp://HOST:PORT")
    assert rows["rn2483-eu868"].endswith("rn2483:DEVICE") and "10 % duty" in rows["rn2483-eu868"]
