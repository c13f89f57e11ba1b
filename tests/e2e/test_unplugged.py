"""A serial radio that is pulled and put back: nobody crashes, nothing that was queued is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gvc_profiles import load
from gvc_profiles.links import can_send, open_link
from gvc_protocol.framing import Deframer, Framing
from gvc_protocol.pcap import read_records
from gvc_protocol.wire import Datagram
from tests.e2e.conftest import Ran
from tests.edge.clips import write_clip
from tests.profiles.fakes import Rn2483

QUICK = ("--codec", "classical", "--objects", "none", "--no-verify")


class Radio:
    """A pseudo-terminal behind a stable name, as udev gives a USB radio."""

    def __init__(self, name: Path) -> None:
        self.name = name
        self.heard = b""
        self.plug()

    def plug(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.name.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        self.listen()
        os.close(self._slave), os.close(self._master)
        self.name.unlink()

    def listen(self) -> None:
        try:
            self.heard += os.read(self._master, 1 << 16)
        except (BlockingIOError, OSError):
            return

    def say(self, data: bytes) -> None:
        os.write(self._master, data)


def start(*args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def listen_until(radio: Radio, done: Callable[[], bool], limit_s: float = 120) -> None:
    end = time.monotonic() + limit_s
    while not done() and time.monotonic() < end:
        radio.listen()
        time.sleep(0.02)


def datagrams(data: bytes) -> set[int]:
    """Sequence numbers of the whole datagrams in a byte stream."""
    found = Deframer(Framing(mtu_bytes=240, stream=True)).feed(data)
    return {item.seq for item in found if isinstance(item, Datagram)}


def test_the_edge_keeps_what_is_queued(clip: Path, tmp_path: Path) -> None:
    radio = Radio(tmp_path / "ttyRADIO")
    edge = start(
        "gvc_edge", "run", "--config", "none", "--source", clip, "--link", f"serial:{radio.name}",
        "--profile", "sik-64", "--latency", 1, "--state", tmp_path / "state", *QUICK,
    )  # fmt: skip
    listen_until(radio, lambda: len(radio.heard) > 2000)
    radio.unplug()
    time.sleep(1.5)
    radio.plug()
    listen_until(radio, lambda: edge.poll() is not None)
    radio.listen()
    out, err = edge.communicate()
    assert edge.returncode == 0, err
    assert "link is down" in err and "link is back" in err and "Traceback" not in err
    heard = datagrams(radio.heard)
    sent = int(out.split(" packets:")[0].split()[-1])
    # What was inside the port when it was pulled is gone; what waited in the edge is not.
    assert len(heard) >= sent - 3 and max(heard) == sent - 1


def test_power_on_from_a_settings_file_and_again_after_a_power_cut(tmp_path: Path) -> None:
    """The radio comes later than the program; then the power goes, twice nothing is asked for."""
    name, config = tmp_path / "ttyRADIO", tmp_path / "edge.toml"
    config.write_text(
        f"source = '{write_clip(tmp_path / 'a.mkv', seconds=60)}'\nprofile = 'sik-64'\n"
        f"link = 'serial:{name}'\nlatency = 1\nstate = 'state'\nobjects = 'none'\n"
        "codec = 'classical'\nverify = false\n"
    )

    def power_on() -> tuple[subprocess.Popen[str], Iterator[str]]:
        edge = start("gvc_edge", "run", "--config", config)
        assert edge.stderr is not None
        return edge, iter(edge.stderr)

    def boot_of(lines: Iterator[str]) -> str:
        return next(line for line in lines if "boot " in line).split("boot ")[1].split(",")[0]

    edge, lines = power_on()
    assert any("waiting for the radio: cannot open link" in line for line in lines)
    radio = Radio(name)
    assert any("the radio is there" in line for line in lines)
    assert boot_of(lines) == "1"
    listen_until(radio, lambda: len(radio.heard) > 500)
    edge.kill()
    edge.communicate()
    radio.heard = b""
    edge, lines = power_on()
    assert boot_of(lines) == "2"
    listen_until(radio, lambda: len(radio.heard) > 500)
    edge.kill()
    edge.communicate()
    assert len(radio.heard) > 500
    assert sorted(p.name for p in (tmp_path / "state/spool").iterdir()) == [
        "boot-00001.pcap", "boot-00002.pcap",
    ]  # fmt: skip


def test_the_edge_can_be_stopped_while_the_radio_is_away(scene: Path, tmp_path: Path) -> None:
    radio = Radio(tmp_path / "ttyRADIO")
    edge = start(
        "gvc_edge", "run", "--config", "none", "--source", scene, "--link", f"serial:{radio.name}",
        "--profile", "sik-64", "--latency", 1, "--state", tmp_path, *QUICK,
    )  # fmt: skip
    listen_until(radio, lambda: len(radio.heard) > 500)
    radio.unplug()
    time.sleep(1.5)
    edge.send_signal(signal.SIGINT)
    # It ends with the unit that is open, however busy the machine is.
    _, err = edge.communicate(timeout=60)
    assert edge.returncode == 0 and "was not sent" in err and "Traceback" not in err


def test_the_base_goes_on_where_it_was(
    capture: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    with capture[0].open("rb") as file:
        packets = [r.data for r in read_records(file, name="x")]
    radio = Radio(tmp_path / "ttyRADIO")
    base = start(
        "gvc_base", "run", "--link", f"serial:{radio.name}", "--profile", "sik-64", "--archive",
        tmp_path / "m.db", "--seconds", 7, "--no-console",
    )  # fmt: skip
    assert base.stderr is not None
    for line in base.stderr:
        if "listening" in line:
            break
    for packet in packets[:10]:
        radio.say(packet)
    time.sleep(0.5)
    radio.unplug()
    time.sleep(1.5)
    radio.plug()
    time.sleep(1.6)
    for packet in packets[10:]:
        radio.say(packet)
        time.sleep(0.01)
    out, err = base.communicate()
    assert base.returncode == 0 and "Traceback" not in err
    assert "link is back" in err
    assert f"packets {len(packets)} received, 0 lost" in out


def test_two_programs_on_one_port(tmp_path: Path, base: Callable[..., Ran]) -> None:
    radio = Radio(tmp_path / "ttyRADIO")
    first = start("gvc_base", "run", "--link", f"serial:{radio.name}", "--profile", "sik-64",
                  "--archive", tmp_path / "a.db", "--seconds", 20, "--no-console")  # fmt: skip
    assert first.stderr is not None
    for line in first.stderr:
        if "listening" in line:
            break
    second = base("run", "--link", f"serial:{radio.name}", "--profile", "sik-64",
                  "--archive", tmp_path / "b.db")  # fmt: skip
    first.kill()
    first.communicate()
    assert "ttyRADIO" in second.error_line


def test_a_module_that_is_pulled_and_restarts_is_set_up_again(tmp_path: Path) -> None:
    """An RN2483 behind a stable name: pulled, put back with its defaults; nothing queued is lost."""
    name = tmp_path / "ttyRADIO"
    first = Rn2483()
    name.symlink_to(first.device)
    link = open_link(f"rn2483:{name}", load("rn2483-eu868"), listen=False)
    link.send(b"one")
    end = time.monotonic() + 10
    while not (can_send(link) and first.sent) and time.monotonic() < end:
        time.sleep(0.02)
    link.send(b"two")  # queued; the module goes before it can take it
    first.close()
    name.unlink()
    with pytest.raises(OSError):
        for _ in range(50):
            link.receive(0.02)
    with pytest.raises(OSError):
        link.reopen()
    second = Rn2483()
    name.symlink_to(second.device)
    link.reopen()
    while not (can_send(link) and second.sent) and time.monotonic() < end + 10:
        time.sleep(0.02)
    assert first.sent == [b"one"] or first.sent == [b"one", b"two"]
    assert b"two" in first.sent + second.sent and second.settings["sf"] == "sf7"
    link.close()
    second.close()
