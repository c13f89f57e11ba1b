"""`check` against radios that answer as they should, wrongly, late, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from gvc_profiles import load
from gvc_profiles.check import CheckReport, check_radio
from gvc_protocol.errors import UserError
from tests.profiles.fakes import EbyteE22, Fake, Rn2483, Sbd, Sik, Xbee

PATIENCE = 0.25
E22_RIGHT = "000000" + "c5" + "02" + "10" + "00"


@pytest.fixture
def plugged() -> Iterator[Callable[[Fake], Fake]]:
    made: list[Fake] = []
    yield lambda fake: made.append(fake) or fake  # type: ignore[func-returns-value]
    for fake in made:
        fake.close()


def checked(fake: Fake, profile: str, scheme: str = "serial", apply: bool = False) -> CheckReport:
    link = f"{scheme}:{fake.device}"
    return check_radio(load(profile), link, apply=apply, patience=PATIENCE)


GOOD = [
    ("sik-64", "serial", Sik),
    ("xbee-900hp-200k", "xbee", Xbee),
    ("ebyte-e22-eu868", "serial", lambda mood="right": EbyteE22(mood, E22_RIGHT)),
]


@pytest.mark.parametrize(("profile", "scheme", "make"), GOOD)
@pytest.mark.parametrize("mood", ["right", "late"])
def test_a_good_radio(
    profile: str, scheme: str, make: Callable[..., Fake], mood: str,
    plugged: Callable[[Fake], Fake],
) -> None:  # fmt: skip
    fake = plugged(make(mood=mood))
    report = checked(fake, profile, scheme)
    assert report.exit_code == 0, report.as_text()
    assert not getattr(fake, "command_mode", False), "the radio must be left in data mode"


@pytest.mark.parametrize(("profile", "scheme", "make"), GOOD)
@pytest.mark.parametrize("mood", ["silent", "garbage"])
def test_a_radio_that_does_not_answer(
    profile: str, scheme: str, make: Callable[..., Fake], mood: str,
    plugged: Callable[[Fake], Fake],
) -> None:  # fmt: skip
    report = checked(plugged(make(mood=mood)), profile, scheme, apply=True)
    assert report.exit_code == 2
    assert "cannot talk" in report.as_text() and report.as_text().isascii()


def test_sik_names_what_differs_and_mends_it_only_with_apply(
    plugged: Callable[[Fake], Fake],
) -> None:
    fake = Sik(ECC=1, MAVLINK=1)
    plugged(fake)
    report = checked(fake, "sik-64")
    assert report.exit_code == 1 and fake.writes == 0 and fake.saved == 0
    wrong = {f.name: f.found for f in report.findings if f.status == "differs"}
    assert wrong == {"ECC": "1", "MAVLINK": "1"}
    assert "RADIO_STATUS" in report.as_text() and "--apply" in report.as_text()
    assert json.loads(report.as_json())["exit_code"] == 1
    mended = checked(fake, "sik-64", apply=True)
    assert mended.exit_code == 0 and (fake.writes, fake.saved) == (2, 1)
    assert fake.settings["ECC"] == fake.settings["MAVLINK"] == 0
    again = checked(fake, "sik-64", apply=True)
    assert again.exit_code == 0 and (fake.writes, fake.saved) == (2, 1), "no write without need"


def test_xbee_in_transparent_mode(plugged: Callable[[Fake], Fake]) -> None:
    fake = Xbee(AP="0", D7="1")
    plugged(fake)
    assert checked(fake, "xbee-900hp-200k", "xbee").exit_code == 1
    assert fake.settings["AP"] == "0" and fake.saved == 0
    assert checked(fake, "xbee-900hp-200k", "xbee", apply=True).exit_code == 0
    assert fake.settings["AP"] == "2" and fake.saved == 1


def test_ebyte_that_is_too_strong_for_the_law(plugged: Callable[[Fake], Fake]) -> None:
    fake = EbyteE22(registers="000000" + "c5" + "00" + "10" + "40")
    plugged(fake)
    report = checked(fake, "ebyte-e22-eu868")
    wrong = {f.name for f in report.findings if f.status == "differs"}
    assert wrong == {"POWER", "MODE"} and "law" in report.as_text() and fake.saved == 0
    assert checked(fake, "ebyte-e22-eu868", apply=True).exit_code == 0
    assert fake.registers.hex() == E22_RIGHT and fake.saved == 1


def test_rn2483_and_sbd(plugged: Callable[[Fake], Fake]) -> None:
    module, modem = Rn2483(), Sbd()
    plugged(module), plugged(modem)
    assert checked(module, "rn2483-eu868", "rn2483").exit_code == 1
    assert checked(module, "rn2483-eu868", "rn2483", apply=True).exit_code == 0
    assert module.settings["sf"] == "sf7"
    report = checked(modem, "iridium-sbd", "sbd")
    assert {f.name: f.status for f in report.findings}["&K"] == "differs"
    assert checked(modem, "iridium-sbd", "sbd", apply=True).exit_code == 0 and modem.flow == "0"


def test_what_cannot_be_asked_is_said() -> None:
    report = check_radio(load("udp"), "udp://127.0.0.1:9", apply=False)
    assert report.exit_code == 0 and "cannot be asked" in report.as_text()
    with pytest.raises(UserError, match="cannot open"):
        check_radio(load("sik-64"), "serial:/dev/none-here", apply=False)
    with pytest.raises(UserError, match="cannot use"):
        check_radio(load("sik-64"), "xbee:/dev/ttyUSB0", apply=False)
    with closing(Sik()) as fake:
        assert fake.device.startswith("/dev/")
