"""`check` against E32, RN2483, SBD, Meshtastic, IMT and MAVLink: right, wrong, late, not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from gvc_profiles import load
from gvc_profiles.check import CheckReport, check_radio
from gvc_profiles.model import Setting
from tests.profiles.fakes import Fake, Rn2483, Sbd
from tests.profiles.more_fakes import Autopilot, EbyteE32, Imt, Mesh

PATIENCE = 0.3
US, EU_868, LONG_FAST, SHORT_TURBO = 1, 3, 0, 8
"Numbers of Meshtastic's protobufs."

Plug = Callable[[Fake], Fake]


@pytest.fixture
def plug() -> Iterator[Plug]:
    made: list[Fake] = []
    yield lambda fake: made.append(fake) or fake  # type: ignore[func-returns-value]
    for fake in made:
        fake.close()


def right_rn(mood: str = "right") -> Rn2483:
    fake = Rn2483(mood)
    fake.settings.update({s.name: s.want for s in load("rn2483-eu868").settings})
    return fake


def right_sbd(mood: str = "right") -> Sbd:
    fake = Sbd(mood)
    fake.flow = "0"
    return fake


RADIOS: dict[str, tuple[str, Callable[..., Fake]]] = {
    "ebyte-e32-eu868": ("serial", lambda mood="right": EbyteE32(mood, "00001d0446")),
    "rn2483-eu868": ("rn2483", right_rn),
    "iridium-sbd": ("sbd", right_sbd),
    "meshtastic-long-fast-eu868": ("meshtastic", Mesh),
    "iridium-imt": ("imt", Imt),
    "mavlink-tunnel": ("mavlink", Autopilot),
}


def checked(fake: Fake, profile: str, *, apply: bool = False) -> CheckReport:
    link = f"{RADIOS[profile][0]}:{fake.device}"
    return check_radio(load(profile), link, apply=apply, patience=PATIENCE)


def wrong(report: CheckReport) -> dict[str, str]:
    return {f.name: f.found for f in report.findings if f.status == "differs"}


def writes(fake: Fake) -> int:
    return getattr(fake, "writes", 0)


@pytest.mark.parametrize("profile", RADIOS)
@pytest.mark.parametrize("mood", ["right", "late"])
def test_a_good_radio_is_left_as_it_is(profile: str, mood: str, plug: Plug) -> None:
    fake = plug(RADIOS[profile][1](mood=mood))
    report = checked(fake, profile, apply=True)
    assert report.exit_code == 0, report.as_text()
    assert writes(fake) == 0 and b" set " not in fake.heard and b"&W" not in fake.heard


@pytest.mark.parametrize("profile", RADIOS)
@pytest.mark.parametrize("mood", ["silent", "garbage"])
def test_a_radio_that_does_not_answer(profile: str, mood: str, plug: Plug) -> None:
    fake = plug(RADIOS[profile][1](mood=mood))
    report = checked(fake, profile, apply=True)
    assert report.exit_code == 2, report.as_text()
    assert "cannot talk" in report.as_text() and report.as_text().isascii()
    assert writes(fake) == 0, "nothing is written to what does not answer"


def spoilt(mood: str = "right") -> list[tuple[str, Fake, dict[str, str]]]:
    """(profile, radio, what is wrong with it)."""
    rn = right_rn(mood)
    rn.settings.update(freq="868100000", wdt="15000")
    return [
        ("ebyte-e32-eu868", EbyteE32(mood, "00001a06c4"),
         {"AIR_RATE": "2400", "CHANNEL": "6", "POWER": "20", "MODE": "fixed"}),
        ("rn2483-eu868", rn, {"freq": "868100000", "wdt": "15000"}),
        ("iridium-sbd", Sbd(mood), {"&K": "3"}),
        ("meshtastic-long-fast-eu868", Mesh(mood, region=US, modem_preset=SHORT_TURBO),
         {"lora.region": "US", "lora.modem_preset": "SHORT_TURBO"}),
        ("iridium-imt", Imt(mood, sim="external", state="inactive"),
         {"simConfig": "external", "operationalState": "inactive"}),
    ]  # fmt: skip


@pytest.mark.parametrize("which", range(5))
def test_what_differs_is_named_and_mended_only_with_apply(which: int, plug: Plug) -> None:
    profile, fake, expected = spoilt()[which]
    plug(fake)
    report = checked(fake, profile)
    assert report.exit_code == 1 and wrong(report) == expected, report.as_text()
    assert writes(fake) == 0 and b" set " not in fake.heard and b"&W" not in fake.heard
    assert "add --apply" in report.as_text()
    mended = checked(fake, profile, apply=True)
    assert mended.exit_code == 0, mended.as_text()
    assert {f.name for f in mended.findings if f.status == "mended"} == set(expected)
    before, heard = writes(fake), len(fake.heard)
    assert checked(fake, profile, apply=True).exit_code == 0
    again = fake.heard[heard:]
    assert writes(fake) == before and b" set " not in again and b"&W" not in again


def test_only_differences_are_written(plug: Plug) -> None:
    module = EbyteE32(registers="12341d06c7")
    plug(module)
    assert checked(module, "ebyte-e32-eu868", apply=True).exit_code == 0
    # Address and reserved bits as they were, one write for all.
    assert module.registers.hex() == "12341d0446" and module.writes == 1
    node = Mesh(region=US, hop_limit=6, tx_power=11)
    plug(node)
    assert checked(node, "meshtastic-long-fast-eu868", apply=True).exit_code == 0
    assert (node.lora.region, node.lora.hop_limit, node.lora.tx_power) == (EU_868, 6, 11)
    rn = right_rn()
    plug(rn)
    rn.settings["sf"] = "sf12"
    assert checked(rn, "rn2483-eu868", apply=True).exit_code == 0
    assert rn.heard.count(b"radio set") == 1 and b"radio set sf sf7" in rn.heard
    modem = Imt(sim="external")
    plug(modem)
    assert checked(modem, "iridium-imt", apply=True).exit_code == 0
    assert modem.heard.count(b"PUT simConfig") == 1 and b"PUT operationalState" not in modem.heard


@pytest.mark.parametrize("which", [0, 3, 4])
def test_a_radio_that_says_yes_and_forgets(which: int, plug: Plug) -> None:
    profile, fake, expected = spoilt("forgets")[which]
    plug(fake)
    report = checked(fake, profile, apply=True)
    assert writes(fake) > 0 and report.exit_code in (1, 2), report.as_text()
    assert "mended" not in report.as_text()
    if report.exit_code == 1:
        assert wrong(report) == expected


def test_a_radio_that_refuses(plug: Plug) -> None:
    modem = Imt("refuses", sim="external")
    plug(modem)
    report = checked(modem, "iridium-imt", apply=True)
    assert report.exit_code == 1 and wrong(report) == {"simConfig": "external"}
    assert "not written: the modem refused simConfig internal" in report.as_text()
    assert "add --apply" not in report.as_text()

    class Stubborn(Rn2483):
        def line(self, text: str) -> None:
            if text.startswith("radio set sf"):
                self.say(b"invalid_param\r\n")
            else:
                super().line(text)

    module = Stubborn()
    plug(module)
    report = checked(module, "rn2483-eu868", apply=True)
    assert report.exit_code == 1 and set(wrong(report)) == {"sf"}, "the others are mended"


def test_an_error_instead_of_a_value(plug: Plug) -> None:
    class Old(Sbd):
        def line(self, text: str) -> None:
            if text == "AT+SBDMTA?":
                self.say(b"ERROR\r\n")
            else:
                super().line(text)

    modem = Old()
    modem.flow = "0"
    plug(modem)
    report = checked(modem, "iridium-sbd")
    assert report.exit_code == 1
    assert {f.name: f.status for f in report.findings}["+SBDMTA"] == "unknown"


def test_a_value_that_the_node_does_not_know_is_one_line(plug: Plug) -> None:
    node = Mesh()
    plug(node)
    profile = load("meshtastic-long-fast-eu868")
    odd = Setting(name="lora.region", want="ATLANTIS", volatile=False, why="a typing error")
    profile = replace(profile, settings=(odd,))
    report = check_radio(profile, f"meshtastic:{node.device}", apply=True, patience=PATIENCE)
    assert report.exit_code == 1 and node.writes == 0
    assert "not written: lora.region cannot be set to ATLANTIS" in report.as_text()


def test_an_autopilot_whose_radio_says_nothing(plug: Plug) -> None:
    fake = Autopilot(radio=False)
    plug(fake)
    for apply in (False, True):
        report = checked(fake, "mavlink-tunnel", apply=apply)
        assert report.exit_code == 1 and wrong(report) == {"RADIO_STATUS": "not heard"}
    assert "MAVLINK=1" in report.as_text() and "profile of that radio" in report.as_text()
    assert fake.heard == b"", "check only listens there"
