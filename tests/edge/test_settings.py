"""Settings of `gvc-edge run`: what the file says, what the command line overrides, what is refused."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gvc_edge.cli import app
from gvc_edge.field import ask
from gvc_edge.field.ask import Given, ask_settings
from gvc_edge.field.settings import RunSettings, effective, parse_config, render_config
from gvc_profiles.find import Device, cameras, link_for, serial_ports
from gvc_profiles.load import load, names
from gvc_protocol.errors import UserError

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody's own settings and keys come into these tests."""
    for name in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    return tmp_path


def refused(*args: str) -> str:
    done = RUNNER.invoke(app, list(args))
    assert isinstance(done.exception, UserError), (done.output, done.exception)
    return str(done.exception)


TEXT = st.text(st.characters(codec="utf-8"), max_size=40).filter(str.isprintable)
SETTINGS = st.builds(
    RunSettings,
    source=TEXT, link=TEXT, profile=st.sampled_from(names()), stream=st.integers(0, 65535), key=TEXT,
    encrypt=st.booleans(), bps=st.none() | st.floats(1, 1e9), fec=TEXT,
    latency=st.none() | st.floats(0.5, 60), codec=st.sampled_from(["gvc", "classical"]),
    objects=TEXT, verify=st.booleans(), adapt=st.booleans(), wait=st.booleans(),
    crop_even=st.booleans(), state=TEXT, spool_mib=st.integers(1, 1_000_000),
    pictures_mib=st.integers(1, 1_000_000),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(SETTINGS)
def test_what_is_written_is_read_again(made: RunSettings) -> None:
    assert RunSettings(**parse_config(render_config(made), origin="x")) == made


def test_redundancy_may_be_a_number() -> None:
    assert parse_config("fec = 30", origin="x") == {"fec": "30"}
    assert parse_config("fec = 12.5", origin="x") == {"fec": "12.5"}


def test_commented_lines_are_good_lines() -> None:
    """Who takes the # away from a line of the file gets a file that works."""
    lines = render_config(RunSettings(source="a", link="b", profile="udp")).splitlines()
    opened = [line.removeprefix("# ") if " = " in line else line for line in lines]
    known = {f.name for f in dataclasses.fields(RunSettings)}
    assert set(parse_config("\n".join(opened), origin="x")) == known


def test_the_docs_name_every_setting() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs" / "edge.md"
    rows = [line.split("`")[1] for line in docs.read_text().splitlines() if line.startswith("| `")]
    assert rows[: len(dataclasses.fields(RunSettings))] == [
        f.name for f in dataclasses.fields(RunSettings)
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("profil = 'sik-64'", "did you mean 'profile'"),
        ("spool-mib = 5", "did you mean 'spool_mib'"),
        ("FEC = 'off'", "did you mean 'fec'"),
        ("[run]\nsource = 'x'", "unknown key 'run'"),
        ("stream = 'one'", "stream = 'one' must be an integer from 0 to 65,535"),
        ("stream = 70000", "stream = 70000 must be"),
        ("stream = true", "stream = True must be"),
        ("verify = 1", "verify = 1 must be true or false"),
        ("bps = nan", "bps = nan must be a number"),
        ("codec = 'h264'", "must be one of gvc, classical"),
        ("profile = 'sik64'", "did you mean 'sik-64'"),
        ("source = \"a\\nb\"", "must be one line of text"),
        ("stream = ", "not valid TOML"),
        ("\0", "not valid TOML"),
    ],
)  # fmt: skip
def test_a_bad_line_is_told_by_its_name(line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(line)
    message = refused("run", "--config", str(path))
    assert words in message and str(path) in message and "\n" not in message


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_file_is_settings_or_one_line(data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        parse_config(text, origin="x")
    except UserError as error:
        assert "\n" not in str(error)


def test_the_command_line_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c" / "edge.toml"
    path.parent.mkdir()
    path.write_text("profile='udp'\nlink='udp://h:1'\nstream=4\nkey='team.key'\nverify=false\n")
    chosen = effective({"stream": 9, "adapt": False, "bps": None}, path)
    s, where = chosen.settings, chosen.origins
    assert (s.stream, s.adapt, s.verify, s.link, s.bps) == (9, False, False, "udp://h:1", None)
    assert where["stream"] == "command line" and where["link"] == str(path)
    assert where["fec"] == "default"
    # A service runs in another folder: the file's paths are meant from where it lies.
    assert s.key == str(path.parent / "team.key")


def test_the_first_file_found_is_read_and_none_is_none(home: Path) -> None:
    path = home / "config" / "gvc-field" / "edge.toml"
    path.parent.mkdir(parents=True)
    path.write_text("stream = 5\n")
    assert effective({}, None).settings.stream == 5 and effective({}, None).path == path
    assert effective({}, Path("none")).settings.stream == 1
    assert "no such config file" in refused("run", "--config", "/nowhere/edge.toml")


def test_a_run_without_anything_says_what_to_do() -> None:
    message = refused("run")
    assert "gvc-edge config init" in message and "--source and --link and --profile" in message
    assert "no link is set" in refused("run", "--source", "synthetic:flood", "-p", "udp")


def test_show_tells_where_each_setting_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text("source = 'rtsp://me:secret@cam/1'\nstream = 3\n")
    shown = RUNNER.invoke(app, ["config", "show", "--config", str(path)])
    assert shown.exit_code == 0 and "secret" not in shown.output
    lines = {line.split()[0]: line for line in shown.output.splitlines()[1:]}
    assert set(lines) == {f.name for f in dataclasses.fields(RunSettings)}
    assert lines["stream"].endswith(str(path)) and lines["fec"].endswith("default")
    told = json.loads(
        RUNNER.invoke(app, ["config", "show", "--config", str(path), "--json"]).output
    )
    assert told["settings"]["stream"] == 3 and told["origins"]["stream"] == str(path)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine's folders with two cameras, one of which has two nodes, a codec, and two radios."""
    root = tmp_path / "root"
    for number, (name, index) in enumerate(
        [("USB camera: A", "0"), ("USB camera: A", "1"), ("bcm2835-codec-decode", "0"),
         ("HDMI grabber", "0")]
    ):  # fmt: skip
        folder = root / "sys/class/video4linux" / f"video{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "index").write_text(f"{index}\n")
    for node in ("video0", "video1", "video3", "ttyUSB0", "ttyACM0", "ttyS0"):
        (root / "dev").mkdir(exist_ok=True)
        (root / "dev" / node).write_bytes(b"")
    for folder, name, node in (
        ("v4l", "usb-A-video-index0", "video0"), ("v4l", "usb-A-video-index1", "video1"),
        ("serial", "usb-FTDI_radio-port0", "ttyUSB0"),
    ):  # fmt: skip
        (root / f"dev/{folder}/by-id").mkdir(parents=True, exist_ok=True)
        (root / f"dev/{folder}/by-id" / name).symlink_to(f"../../{node}")
    return root


def test_cameras_and_ports_are_found_by_steady_names(machine: Path) -> None:
    assert cameras(machine) == [
        Device("/dev/v4l/by-id/usb-A-video-index0", "USB camera: A", "/dev/video0"),
        Device("/dev/video3", "HDMI grabber", "/dev/video3"),
    ]
    assert serial_ports(machine) == [
        Device("/dev/serial/by-id/usb-FTDI_radio-port0", "FTDI_radio-port0", "/dev/ttyUSB0"),
        Device("/dev/ttyACM0", "", "/dev/ttyACM0"),
    ]


@pytest.mark.parametrize("name", names())
def test_every_serial_radio_gets_a_link_that_names_it(name: str) -> None:
    link = link_for(load(name), "/dev/ttyUSB0", "DK1AB")
    assert "DEVICE" not in link and (not link or "/dev/ttyUSB0" in link)


def test_yes_takes_what_is_found_and_asks_for_what_is_not_sure(machine: Path) -> None:
    quiet = Given(yes=True, profile="sik-64")
    with pytest.raises(UserError, match=r"which link.*usb-FTDI.*ttyACM0"):
        ask_settings(quiet, root=machine, say=print)
    with pytest.raises(UserError, match="which radio"):
        ask_settings(Given(yes=True), root=machine, say=print)
    (machine / "dev/ttyACM0").unlink()
    made = ask_settings(quiet, root=machine, say=print)
    assert made.source == "v4l2:/dev/v4l/by-id/usb-A-video-index0"
    assert made.link == "serial:/dev/serial/by-id/usb-FTDI_radio-port0" and made.key == ""
    with pytest.raises(UserError, match="--call"):
        ask_settings(Given(yes=True, profile="kiss-ax25-1200"), root=machine, say=print)
    with pytest.raises(UserError, match="no camera found"):
        ask_settings(quiet, root=machine / "nothing", say=print)


def answer(monkeypatch: pytest.MonkeyPatch, root: Path, answers: str, *args: str) -> Any:
    found = cameras(root), serial_ports(root)
    monkeypatch.setattr(ask, "cameras", lambda _root: found[0])
    monkeypatch.setattr(ask, "serial_ports", lambda _root: found[1])
    return RUNNER.invoke(app, ["config", "init", *args], input=answers)


def test_init_asks_and_writes_a_file_that_run_reads(
    monkeypatch: pytest.MonkeyPatch, machine: Path, home: Path
) -> None:
    # Camera 2, region EU 865, a slip, the radio by name, port 2, camera number 7, a new key, encrypt.
    answers = "2\nEU 865\nebyte-32\nebyte-e32-eu868\n2\n7\ny\ny\n"
    done = answer(monkeypatch, machine, answers)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "did you mean ebyte-e32-eu868" in done.output and "sik-64" not in done.output
    path = home / "config/gvc-field/edge.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    s = effective({}, None).settings
    assert (s.source, s.link) == ("v4l2:/dev/video3", "serial:/dev/ttyACM0")
    assert (s.profile, s.stream, s.encrypt) == ("ebyte-e32-eu868", 7, True)
    key = Path(s.key)
    assert key == path.with_name("link.key") and stat.S_IMODE(key.stat().st_mode) == 0o600


def test_init_never_overwrites_unasked(
    monkeypatch: pytest.MonkeyPatch, machine: Path, home: Path
) -> None:
    path = home / "edge.toml"
    path.write_text("stream = 5\n")
    options = ["--out", str(path), "--profile", "udp", "--link", "udp://h:1", "--key", "none"]
    for answers, more in (("n\n", []), ("", ["--yes"])):
        done = answer(monkeypatch, machine, answers, *options, *more)
        assert isinstance(done.exception, UserError) and path.read_text() == "stream = 5\n"
    done = answer(monkeypatch, machine, "", *options, "--yes", "--overwrite")
    assert done.exit_code == 0 and effective({}, path).settings.link == "udp://h:1"
    assert f"gvc-edge run --config {path}" in done.output


def test_call_signs_go_into_links(monkeypatch: pytest.MonkeyPatch, machine: Path) -> None:
    done = answer(monkeypatch, machine, "1\namateur\nkiss-ax25-1200\ndk1ab-1\n1\n1\nn\n")
    assert done.exit_code == 0, (done.output, done.exception)
    link = effective({}, None).settings.link
    assert link == "kiss:/dev/serial/by-id/usb-FTDI_radio-port0?call=DK1AB-1"
