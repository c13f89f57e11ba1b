"""`gvc-edge doctor` on machines that are made of folders: each line, what it says, what it costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gvc_edge.cli import app
from gvc_edge.field.doctor import (
    Check,
    check_clock,
    check_config,
    check_disk,
    check_key,
    check_radio_link,
    check_temperature,
    checks,
    exit_code,
    is_running,
)
from gvc_edge.field.doctor_video import check_camera, check_speed
from gvc_edge.field.settings import RunSettings, effective
from gvc_profiles.door import RequestDoor
from gvc_profiles.keys import new_key, write_key
from gvc_protocol.errors import UserError
from tests.edge.clips import write_clip
from tests.profiles.fakes import Fake, Sik

NOW = 1_795_000_000.0
"November 2026."


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


def put(root: Path, **files: str) -> Path:
    """Files below a root; __ stands for /, and - for what a keyword cannot hold."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def zones(root: Path, *millidegrees: str) -> Path:
    for number, text in enumerate(millidegrees):
        put(root, **{f"sys__class__thermal__thermal_zone{number}__temp": text})
    return root


def pi(root: Path, bits: str) -> Path:
    return put(root, **{"sys__devices__platform__soc__soc:firmware__get_throttled": bits})


def cooling(root: Path, kind: str, state: str) -> Path:
    folder = "sys__class__thermal__cooling_device0__"
    return put(root, **{f"{folder}type": kind, f"{folder}cur_state": state})


@pytest.mark.parametrize(
    ("make", "status", "words"),
    [
        (lambda r: r, "ok", "does not tell"),
        (lambda r: zones(r, "48312\n"), "ok", "48 °C"),
        (lambda r: zones(r, "41000", "79800", "-274000"), "warn", "80 °C"),
        (lambda r: zones(r, "86000"), "fail", "86 °C"),
        (lambda r: zones(r, "", "broken", "55000"), "ok", "55 °C"),
        (lambda r: pi(zones(r, "60000"), "50005\n"), "fail", "power supply is too weak, slowed down"),
        (lambda r: pi(zones(r, "60000"), "8"), "warn", "too hot"),
        (lambda r: pi(zones(r, "60000"), "50000"), "ok", "60 °C"),
        (lambda r: pi(zones(r, "60000"), "what"), "ok", "60 °C"),
        (lambda r: cooling(zones(r, "60000"), "thermal-cpufreq-0", "2"), "warn", "slowed down by heat"),
        (lambda r: cooling(zones(r, "60000"), "Processor", "0"), "ok", "60 °C"),
        (lambda r: cooling(zones(r, "60000"), "pwm-fan", "3"), "ok", "60 °C"),
    ],
)  # fmt: skip
def test_temperature(make: Callable[[Path], Path], status: str, words: str, tmp_path: Path) -> None:
    check = check_temperature(make(tmp_path))
    assert (check.status, words in check.found) == (status, True), check
    assert bool(check.todo) == (status != "ok")


@pytest.mark.parametrize(
    ("now", "synced", "rtc", "status", "words"),
    [
        (0.0, None, None, "fail", "1970-01-01 00:00:00 UTC cannot be right"),
        (0.0, True, None, "fail", "cannot be right"),
        (NOW, True, None, "ok", "kept right"),
        (NOW, False, None, "warn", "no battery-backed clock"),
        (NOW, None, int(NOW) + 5, "ok", "as the battery-backed clock"),
        (NOW, False, int(NOW) - 4000, "warn", "4000 s off"),
    ],
)
def test_clock(now: float, synced: bool | None, rtc: int | None, status: str, words: str) -> None:
    check = check_clock(now, synced, rtc)
    assert check.status == status and words in check.found, check
    assert ("date -u" in check.todo) == (status != "ok")


def test_disk(tmp_path: Path) -> None:
    s = RunSettings(state=str(tmp_path / "not" / "yet"), spool_mib=100, pictures_mib=100)
    found = [check_disk(s, free).status for free in (10 << 20, 150 << 20, 300 << 20)]
    assert found == ["fail", "warn", "ok"] and not (tmp_path / "not").exists()
    assert check_disk(RunSettings(state="/proc/x"), 1 << 40).status == "fail"


def test_key(tmp_path: Path) -> None:
    path = tmp_path / "team.key"
    write_key(path, new_key())
    good = check_key(RunSettings(key=str(path)))
    assert good.status == "ok" and "mode 0600" in good.found
    assert path.read_text().splitlines()[-1] not in good.found
    assert check_key(RunSettings()).status == "warn"
    path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        check_key(RunSettings(key=str(path)))
    path.chmod(0o600)
    with pytest.raises(UserError, match="forbidden"):
        check_key(RunSettings(key=str(path), encrypt=True, profile="kiss-ax25-1200"))


def test_settings_that_name_no_radio(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text("source = 'x'\n")
    assert "no link and no profile" in check_config(effective({}, path)).found
    path.write_text("source = 'rtsp://me:secret@h/x'\nlink = 'udp://h:1'\nprofile = 'udp'\n")
    good = check_config(effective({}, path))
    assert good.status == "ok" and "rtsp://h/x over udp" in good.found


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [({}, "ok", "both ends need the same: NETID 25"), ({"ECC": 1}, "fail", "ECC = 1, not 0")],
)
def test_radio_is_asked_and_not_written_to(
    changed: dict[str, int], status: str, words: str
) -> None:
    radio = Sik(**changed)
    check = check_radio_link(
        RunSettings(link=f"serial:{radio.device}", profile="sik-64"), running=False
    )
    radio.close()
    assert check.status == status and words in check.found, check
    assert radio.writes == 0 and ("--apply" in check.todo) == (status == "fail")


def test_radios_that_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    radio = Fake("silent")
    s = RunSettings(link=f"serial:{radio.device}", profile="ebyte-e32-eu868")
    check = check_radio_link(s, running=False)
    radio.close()
    assert check.status == "warn" and "does not answer" in check.found
    assert check_radio_link(s, running=True).status == "ok"
    file = RunSettings(link="file:x.pcap", profile="udp")
    assert check_radio_link(file, running=False).status == "warn"
    with pytest.raises(UserError, match="cannot open link"):
        check_radio_link(RunSettings(link="serial:/dev/ttyNONE", profile="sik-64"), running=False)


def test_camera(tmp_path: Path) -> None:
    for grey, status, words in (
        (None, "ok", ": 64x48, 10 frames/s"), (0, "warn", "black"), (120, "warn", "flat"),
    ):  # fmt: skip
        clip = write_clip(tmp_path / f"{grey}.mkv", seconds=0.3, grey=grey)
        check = check_camera(RunSettings(source=str(clip)), running=False)
        assert check.status == status and words in check.found, check
    with pytest.raises(UserError, match="no such camera"):
        check_camera(RunSettings(source="v4l2:/dev/video_none"), running=False)


def test_speed_is_measured_with_the_settings_own_codec(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", seconds=0.3)
    s = RunSettings(source=str(clip), profile="ebyte-e32-eu868",
                    codec="classical", objects="none", verify=False)  # fmt: skip
    check = check_speed(s, running=False, root=tmp_path)
    assert "64x48 at 10 frames/s with classical" in check.found
    assert float(check.found.split()[0]) > 0
    assert check_speed(s, running=True).found == "not measured: gvc-edge runs now"


def test_a_running_edge_is_seen(tmp_path: Path) -> None:
    assert not is_running(tmp_path)
    door = RequestDoor(tmp_path / "edge.sock", lambda _: {}, name="say")
    assert door.open(alone=False) == ""
    assert is_running(tmp_path)
    door.close()
    assert not is_running(tmp_path)


def test_no_check_raises_and_failures_make_the_exit_code(tmp_path: Path) -> None:
    chosen = effective(
        {"source": "v4l2:/dev/video_none", "link": "serial:/dev/ttyNONE", "profile": "sik-64",
         "key": "/nowhere.key", "state": "/proc/x"}, Path("none"),
    )  # fmt: skip
    done = [check() for _, check in checks(chosen, root=tmp_path)]
    assert [c.name for c in done] == [name for name, _ in checks(chosen)]
    by_name = {c.name: c for c in done}
    assert all("\n" not in c.as_text() for c in done) and exit_code(done) == 1
    assert {n for n, c in by_name.items() if c.status == "fail"} >= {
        "key", "disk", "radio", "camera", "speed",
    }  # fmt: skip
    assert exit_code([Check("x", "warn", "y"), Check("x", "ok", "y")]) == 0


def test_the_command_prints_lines_or_json_and_says_what_to_mend(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text("sauce = 'x'\n")
    done = CliRunner().invoke(app, ["doctor", "--config", str(path)])
    assert done.exit_code == 1 and "did you mean 'source'" in done.output
    assert "mend first: settings" in done.output
    told = CliRunner().invoke(app, ["doctor", "--config", str(path), "--json"])
    report = json.loads(told.output)
    assert report["exit_code"] == told.exit_code == 1
    assert report["checks"][0]["name"] == "settings" and "clock" in told.output
