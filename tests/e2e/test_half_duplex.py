"""Both ends of a half-duplex link with its profile's back-channel, through the rehearsal's radio."""

from __future__ import annotations

from statistics import mean, median

import pytest

from gvc_profiles import load, names
from tests.protocol.simradio import fly_radio

BY_THEMSELVES = ("sik", "rfd900x", "mavlink", "xbee", "meshtastic", "kiss", "direwolf")


def test_only_radios_that_do_not_share_the_air_need_windows() -> None:
    for name in names():
        profile = load(name)
        if name.startswith(BY_THEMSELVES):
            assert profile.backchannel == "anytime", name
        if name.startswith(("ebyte", "lora", "rn2483", "freedv")):
            assert profile.backchannel == "windows" and profile.listen_ms, name


def test_it_settles_within_ten_seconds_on_sik_64() -> None:
    profile = load("sik-64")
    full = profile.rate.usable_bps
    down, up = [], []
    for moment in (20.0, 20.4, 20.8, 21.2, 21.6):

        def air(t: float, halved: float = moment) -> float:
            return full / 2 if halved <= t < halved + 35 else full

        run = fly_radio(profile, seconds=75, air_bps=air)
        # Reports and their turns take some 4 % of half the rate.
        down.append(run.settled_after(moment, 0.96 * full / 2, 0.15, moment + 35))
        up.append(run.settled_after(moment + 35, full, 0.15, 75))
    assert median(down) <= 10 and median(up) <= 10
    assert max(down) <= 15 and max(up) <= 15


@pytest.mark.parametrize("name", ["lora-sf7-125", "ebyte-e32-us915"])
def test_a_window_ends_with_the_answer(name: str) -> None:
    profile = load(name)
    run = fly_radio(profile, seconds=80, air_bps=lambda _: profile.rate.nominal_bps)
    assert run.setting(59).closed_loop and run.reports >= 2
    assert run.silence and mean(run.silence) < 0.7 * profile.listen_ms / 1000
