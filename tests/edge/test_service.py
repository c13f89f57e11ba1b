"""The systemd unit: systemd accepts it, paths survive it, and it is taken away again."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from gvc_edge.cli import app
from gvc_edge.field.service import ServicePlan, unit_text
from gvc_edge.field.settings import RunSettings
from gvc_protocol.errors import UserError

RUNNER = CliRunner()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SUDO_USER", raising=False)
    path = tmp_path / "config/gvc-field/edge.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "source = 'v4l2:/dev/v4l/by-id/usb-A b-index0'\nlink = 'serial:/dev/ttyUSB0'\n"
        "profile = 'sik-64'\nkey = 'team.key'\nstate = 'my state'\n"
    )
    return path


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that only notes what it was asked."""
    noted = tmp_path / "calls"
    program = tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {noted}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return noted


def install(*args: object) -> Result:
    return RUNNER.invoke(app, ["install-service", *map(str, args)])


def lines_of(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def words(text: str) -> list[str]:
    """A command line as systemd reads it: quotes, backslashes, then %% and $$."""
    found = []
    for quoted, plain in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', text):
        word = re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
        found.append(word.replace("%%", "%").replace("$$", "$"))
    return found


def test_the_unit_says_what_a_field_machine_needs(config: Path) -> None:
    done = install("--print", "--run-as", "root")
    assert done.exit_code == 0, (done.output, done.exception)
    unit = lines_of(done.output)
    assert unit["Restart"] == ["always"] and unit["StartLimitIntervalSec"] == ["0"]
    assert words(unit["ExecStart"][0]) == [
        sys.executable, "-m", "gvc_edge", "run", "--plain", "--config", str(config),
    ]  # fmt: skip
    # Ordered after its devices, but not waiting for them: the program does.
    assert "dev-ttyUSB0.device" in unit["After"][0] and "Wants" not in unit
    assert r"dev-v4l-by\x2did-usb\x2dA\x20b\x2dindex0.device" in unit["After"][0]
    assert unit["ProtectSystem"] == ["strict"] and unit["CapabilityBoundingSet"] == [""]
    assert "DevicePolicy" not in unit and "PrivateDevices" not in unit
    assert unit["StateDirectory"] == ["gvc-edge"]
    state, key = config.with_name("my state"), config.parent
    assert [words(w) for w in unit["ReadWritePaths"]] == [[f"-{state}"], [f"-{key}"]]
    assert not state.exists(), "printing makes nothing"


PATHS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.isprintable)


@settings(max_examples=50, deadline=None)
@given(PATHS, PATHS)
def test_any_path_survives_the_unit_file(python: str, config: str) -> None:
    plan = ServicePlan(
        python=f"/{python}", config=Path(f"/{config}"), settings=RunSettings(), user="u", groups=()
    )
    read = words(lines_of(unit_text(plan))["ExecStart"][0])
    assert (read[0], read[-1]) == (f"/{python}", str(Path(f"/{config}")))


def test_what_no_unit_can_hold_is_refused() -> None:
    with pytest.raises(UserError, match="control characters"):
        unit_text(ServicePlan(python="/a\nb", config=Path("/c"), settings=RunSettings(), user="u"))


def test_systemd_accepts_the_unit(config: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine")
    unit = tmp_path / "gvc-edge.service"
    done = install("--out", unit, "--run-as", "root", "--config", config)
    assert done.exit_code == 0, (done.output, done.exception)
    assert stat.S_IMODE(unit.stat().st_mode) == 0o644
    assert config.with_name("my state").is_dir()
    checked = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 0 and "gvc-edge" not in checked.stderr, checked.stderr


def test_a_users_service_is_started_and_taken_away(config: Path, calls: Path) -> None:
    unit = config.parents[1] / "systemd/user/gvc-edge.service"
    done = install("--user")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "enable-linger" in done.output
    found = lines_of(unit.read_text())
    assert found["WantedBy"] == ["default.target"] and "User" not in found
    done = install("--user", "--uninstall")
    assert done.exit_code == 0 and not unit.exists() and config.exists()
    assert calls.read_text().splitlines() == [
        "--user daemon-reload", "--user enable --now gvc-edge.service",
        "--user disable --now gvc-edge.service", "--user daemon-reload",
    ]  # fmt: skip
    assert "nothing was done" in str(install("--user", "--uninstall").exception)


def test_it_can_be_left_stopped(config: Path, calls: Path) -> None:
    done = install("--user", "--no-start")
    assert "systemctl --user enable --now" in done.output
    assert calls.read_text().splitlines() == ["--user daemon-reload"]


def test_what_is_missing_is_told(
    config: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for args, told in (
        (["--print", "--config", "none"], "no source"),
        (["--print", "--run-as", "nobody-here"], "no user 'nobody-here'"),
        (["--user", "--config", "/nowhere.toml"], "no such config file"),
        (["--out", "/proc/x/y"], "use sudo"),
    ):  # fmt: skip
        error = install(*args).exception
        assert isinstance(error, UserError) and told in str(error), (args, error)
    monkeypatch.setenv("PATH", "/nowhere")
    assert "systemctl" in str(install("--user").exception)
