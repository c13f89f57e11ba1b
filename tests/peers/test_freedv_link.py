"""The FreeDV link through pipes: two stations, noise between them, and what is told when it fails."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from gvc_profiles import codec2
from gvc_profiles.codec2 import SAMPLE_RATE_HZ, DataModem, find_codec2
from gvc_profiles.links import ByteLink, open_link, state_of
from gvc_profiles.load import load
from gvc_profiles.params import link_params
from gvc_protocol.errors import UserError
from tests.peers.flight import fly, make_units

PROFILE = load("freedv-datac0")
NOISE = Path(__file__).with_name("noisy_pipe.py")
needs_codec2 = pytest.mark.skipif(
    find_codec2() is None, reason="libcodec2 is not installed (.ci/run installs it)"
)


def url(mode: str = "datac0", **options: str) -> str:
    return f"freedv:{mode}?call=DL1ABC&" + "&".join(f"{k}={quote(v)}" for k, v in options.items())


@pytest.fixture
def stations(tmp_path: Path) -> Iterator[tuple[ByteLink, ByteLink, Path]]:
    """Edge, base, and the log of the edge's PTT command. The air is a named pipe with noise."""
    air, ptt = tmp_path / "air", tmp_path / "ptt"
    os.mkfifo(air)
    modem = DataModem("datac0")
    power = float(np.mean(modem.modulate(b"x" * 14).astype(np.float64) ** 2))
    noise = f"{sys.executable} {NOISE} 3 1 {power}"
    key = f"{sys.executable} -c \"open('{ptt}','a').write('%s ')\""
    base = open_link(
        url(play="sh -c 'cat >/dev/null'", record=f"sh -c '{noise} <{air}'", realtime="0"),
        PROFILE, listen=True,
    )  # fmt: skip
    edge = open_link(
        url(play=f"sh -c 'cat >{air}'", record="sleep 100", ptt_on=key % "on", ptt_off=key % "off",
            realtime="0", ptt_delay_ms="0"),
        PROFILE, listen=False,
    )  # fmt: skip
    yield edge, base, ptt
    edge.close()
    base.close()


def hear(link: ByteLink, count: int, timeout_s: float = 60) -> list[bytes]:
    """Packets as they come, until there are so many."""
    got: list[bytes] = []
    until = time.monotonic() + timeout_s
    while len(got) < count and time.monotonic() < until:
        got += [r.data for r in link.receive(0.5)]
    return got


@needs_codec2
def test_units_cross_two_stations_and_ptt_is_keyed_for_each_burst(
    stations: tuple[ByteLink, ByteLink, Path],
) -> None:
    edge, base, ptt = stations
    params = link_params(PROFILE, bps=None, fec="off")

    def through(packets: list[bytes]) -> list[bytes]:
        for packet in packets:
            edge.send(packet)
        return hear(base, len(packets))

    flight = fly(params, make_units(1, keyframe=60, features=0), through)
    assert flight.packets_arrived == flight.packets_sent and flight.whole == 1 == flight.units
    assert flight.wrong == 0
    assert state_of(edge) is not None
    edge.close()
    # The call sign first and last.
    assert ptt.read_text().split() == ["on", "off"] * (flight.packets_sent + 2)


@needs_codec2
def test_the_call_sign_goes_out_in_clear_first_in_time_and_last(tmp_path: Path) -> None:
    """What another station hears of DATAC0, with a law of one second instead of ten minutes."""
    audio = tmp_path / "audio"
    profile = replace(PROFILE, station_id_s=1)
    edge = open_link(
        url(play=f"sh -c 'cat >{audio}'", record="sleep 100", realtime="0", ptt_delay_ms="0"),
        profile, listen=False,
    )  # fmt: skip
    for i in range(3):
        edge.send(b"packet %d" % i)
    until = time.monotonic() + 20
    while (state := state_of(edge)) and state.waiting_packets and time.monotonic() < until:
        time.sleep(0.05)
    edge.close()
    modem = DataModem("datac0")
    played = np.fromfile(audio, "<i2").astype(np.int16)
    heard = modem.demodulate(np.append(played, np.zeros(SAMPLE_RATE_HZ, np.int16)))
    modem.close()
    said = [packet.rstrip(b"\0") for packet in heard]
    assert said[0] == said[-1] == b"DE DL1ABC", "plain text"
    # A burst and the wait before it could take longer than this law allows: the call before each.
    assert said[:4] == [b"DE DL1ABC", b"packet 0", b"DE DL1ABC", b"packet 1"][: len(said) - 1]


@needs_codec2
def test_who_sent_nothing_says_nothing(tmp_path: Path) -> None:
    audio = tmp_path / "audio"
    link = open_link(url(play=f"sh -c 'cat >{audio}'", record="sleep 100"), PROFILE, listen=True)
    link.close()
    assert not audio.exists() or audio.stat().st_size == 0


@needs_codec2
def test_a_dead_sound_card_is_told_and_reopen_tries_again() -> None:
    link = open_link(url(play="cat", record="true"), PROFILE, listen=True)
    try:
        with pytest.raises(OSError, match="record command ended"):
            for _ in range(50):
                link.receive(0.1)
        state = state_of(link)
        assert state is not None and not state.can_send and "sound card" in state.problem
        link.reopen()
    finally:
        link.close()


@needs_codec2
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("freedv:datac9", "unknown mode; write freedv:datac0"),
        ("freedv:datac3?call=DL1ABC", "choose the profile freedv-datac3"),
        ("freedv:datac0?call=DL1ABC&play=no-such-program", "'no-such-program' is not installed"),
        ("freedv:datac0?call=DL1ABC&ptt_delay_ms=soon", "ptt_delay_ms = 'soon' must be a number"),
        ("freedv:datac0", "freedv:datac0.call=YOURCALL"),
        ("freedv:datac0?call=N0CALL", "'N0CALL' is no station's call sign"),
        ("freedv:datac0?volume=3", "unknown option 'volume'"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(text: str, wanted: str) -> None:
    with pytest.raises(UserError, match=wanted) as told:
        open_link(text, PROFILE, listen=False)
    assert "\n" not in str(told.value)


def test_without_the_library_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec2, "find_codec2", lambda: None)
    with pytest.raises(UserError, match="apt-get install libcodec2"):
        open_link("freedv:datac0?call=DL1ABC", PROFILE, listen=False)
