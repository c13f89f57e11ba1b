"""`gvc-edge doctor`: is everything there and set right? One line a check; nothing is changed.

Each check takes what it looks at as arguments (settings, a root folder, clocks), so that tests can
give it any machine. The radio is asked for its settings and not written to.
"""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from gvc_edge.address import without_login
from gvc_edge.field.health import (
    HOT_C,
    TOO_HOT_C,
    clock_is_synced,
    free_bytes,
    machine,
    rtc_seconds,
)
from gvc_edge.field.settings import Effective, RunSettings
from gvc_profiles.boots import default_state_dir
from gvc_profiles.check import CheckReport, check_radio
from gvc_profiles.keys import link_key, spoken
from gvc_profiles.load import load
from gvc_protocol.errors import UserError

__all__ = [
    "Check", "as_json", "check_clock", "check_config", "check_disk", "check_key", "check_radio_link",
    "check_temperature", "checks", "exit_code", "is_running", "state_folder",
]  # fmt: skip

_FIRST_SANE_YEAR = 2025
_RTC_APART_S = 60
_MIB = 1 << 20
_NEEDS_CONFIG_MODE = ("ebyte-e22", "ebyte-e32")


@dataclass(frozen=True, slots=True)
class Check:
    """One line. Status: ok, warn (works, but), fail (will not work)."""

    name: str
    status: str
    found: str
    todo: str = ""
    "What to do, empty when all is well."

    def as_text(self) -> str:
        """The line."""
        return f"{self.status:5} {self.name:12} {self.found}" + (
            f" -> {self.todo}" if self.todo else ""
        )


def exit_code(done: list[Check]) -> int:
    """0 when nothing failed, else 1."""
    return int(any(check.status == "fail" for check in done))


def as_json(done: list[Check]) -> str:
    """One object."""
    return json.dumps({"checks": [asdict(c) for c in done], "exit_code": exit_code(done)})


def checks(chosen: Effective, *, root: Path = Path("/")) -> list[tuple[str, Callable[[], Check]]]:
    """Every check with its name, the quick ones first. Calling one makes it; none raises."""
    from gvc_edge.field.doctor_video import check_camera, check_speed

    s = chosen.settings
    running = is_running(state_folder(s))
    made = {
        "settings": lambda: check_config(chosen),
        "key": lambda: check_key(s),
        "clock": lambda: check_clock(time.time(), clock_is_synced(), rtc_seconds(root)),
        "disk": lambda: check_disk(s, free_bytes(state_folder(s))),
        "temperature": lambda: check_temperature(root),
        "radio": lambda: check_radio_link(s, running=running),
        "camera": lambda: check_camera(s, running=running),
        "speed": lambda: check_speed(s, running=running, root=root),
    }
    return [(name, lambda name=name, do=do: _safely(name, do)) for name, do in made.items()]  # type: ignore[misc]


def check_config(chosen: Effective) -> Check:
    """Camera, radio and profile are named."""
    try:
        chosen.check_complete()
    except UserError as error:
        return Check("settings", "fail", str(error), "gvc-edge config init")
    where = str(chosen.path) if chosen.path else "command line alone"
    s = chosen.settings
    return Check("settings", "ok", f"{where}: {without_login(s.source)} over {s.profile}")


def check_key(s: RunSettings) -> Check:
    """The key can be read by nobody else and may be used as wanted."""
    profile = load(s.profile) if s.profile else None
    key = link_key(Path(s.key) if s.key else None, encrypt=s.encrypt, profile=profile)
    if key is None:
        return Check(
            "key", "warn", "none: anybody can send in your name, no request of the base is obeyed",
            "gvc-edge keys new, then key = in the settings, at both ends",
        )  # fmt: skip
    words = f"{key.fingerprint} ({spoken(key.fingerprint)}), mode 0600"
    return Check("key", "ok", words + (", encrypts" if s.encrypt else ""))


def check_clock(now: float, synced: bool | None, rtc: int | None) -> Check:
    """Capture times and the law's air time come from this clock. `now` and `rtc`: Unix seconds."""
    shown = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    set_it = "set it: sudo date -u -s 'YYYY-MM-DD HH:MM:SS', or connect network or GNSS"
    if datetime.fromtimestamp(now, UTC).year < _FIRST_SANE_YEAR:
        return Check("clock", "fail", f"{shown} cannot be right", set_it)
    if synced:
        return Check("clock", "ok", f"{shown}, kept right (NTP or GNSS)")
    if rtc is None:
        return Check(
            "clock", "warn", f"{shown}, kept right by nobody, and no battery-backed clock",
            f"compare it with a watch; {set_it}",
        )  # fmt: skip
    if abs(rtc - now) > _RTC_APART_S:
        return Check(
            "clock", "warn", f"{shown}, {abs(rtc - now):.0f} s off the battery-backed clock",
            f"compare it with a watch; {set_it}; then sudo hwclock -w",
        )  # fmt: skip
    return Check("clock", "ok", f"{shown}, not synchronised, as the battery-backed clock has it")


def check_disk(s: RunSettings, free: int) -> Check:
    """Boot counter, spool and pictures have room. `free`: bytes where the state folder is."""
    folder = state_folder(s)
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        tempfile.TemporaryFile(dir=there).close()  # rights alone do not tell of a read-only disk
    except OSError as error:
        reason = error.strerror or str(error)
        return Check("disk", "fail", f"{folder} cannot be written: {reason}", "set another state =")
    found, wanted = f"{free / 1e9:.1f} GB free for {folder}", (s.spool_mib + s.pictures_mib) * _MIB
    if free < 50 * _MIB:
        return Check("disk", "fail", found, "make room: the boot counter needs it, too")
    if free < wanted:
        return Check(
            "disk", "warn", f"{found}, less than spool and pictures may take ({wanted / 1e9:.1f} GB)",
            "make room, or lower spool_mib and pictures_mib: a full disk ends them, not the video",
        )  # fmt: skip
    return Check("disk", "ok", found)


def check_temperature(root: Path) -> Check:
    """The processor is cool enough to keep its speed."""
    now = machine(root)
    if now.temperature_c is None and not now.throttled:
        return Check("temperature", "ok", "this machine does not tell its temperature")
    found = "?" if now.temperature_c is None else f"{now.temperature_c:.0f} °C"
    if now.throttled:
        status = "fail" if "supply" in now.throttled else "warn"
        todo = "a better supply and cable, shade, moving air"
        return Check("temperature", status, f"{found}, {now.throttled}", todo)
    if now.temperature_c is not None and now.temperature_c >= HOT_C:
        status = "fail" if now.temperature_c >= TOO_HOT_C else "warn"
        return Check(
            "temperature", status, found, "shade, moving air, a heat sink; a smaller picture"
        )
    return Check("temperature", "ok", found)


def check_radio_link(s: RunSettings, *, running: bool) -> Check:
    """The radio answers and is set as its profile says. It is not written to."""
    if running:
        return Check("radio", "ok", "in use by the gvc-edge that runs now")
    if not (s.profile and s.link):
        return Check("radio", "fail", "no radio is named", "gvc-edge config init")
    if s.link.startswith("file:"):
        return Check("radio", "warn", f"{s.link} only records", "give the radio's link to send")
    return _radio_found(check_radio(load(s.profile), s.link, apply=False), s)


def _radio_found(report: CheckReport, s: RunSettings) -> Check:
    look = f"gvc-edge check --profile {s.profile} --link {s.link}"
    if report.cannot_talk:
        soft = load(s.profile).dialect in _NEEDS_CONFIG_MODE
        todo = (
            "its settings are read in configuration mode only"
            if soft
            else "power, cable, baud rate"
        )
        return Check("radio", "warn" if soft else "fail",
                     f"{s.link} opens, but the radio does not answer: {report.cannot_talk}",
                     f"{todo}; {look}")  # fmt: skip
    differ = [f"{f.name} = {f.found}, not {f.want}" for f in report.findings
              if f.status in ("differs", "unknown")]  # fmt: skip
    if differ:
        return Check("radio", "fail", f"{s.profile}: {'; '.join(differ)}", f"{look} --apply")
    if not report.findings:
        return Check("radio", "ok", f"{s.link} opens; {s.profile} cannot be asked for its settings")
    shown = ", ".join(f"{f.name} {f.found}" for f in report.findings if f.status == "shown")
    same = f"; both ends need the same: {shown}" if shown else ""
    return Check("radio", "ok", f"{s.profile} on {s.link}, {len(report.findings)} settings{same}")


def state_folder(s: RunSettings) -> Path:
    """Where the run keeps what it keeps."""
    return Path(s.state) if s.state else default_state_dir("gvc-edge")


def is_running(folder: Path) -> bool:
    """Whether a gvc-edge runs with this state folder and answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made, suppress(OSError):
        made.settimeout(1.0)
        return made.connect_ex(str(folder.resolve() / "edge.sock")) == 0
    return False


def _safely(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except UserError as error:
        return Check(name, "fail", str(error))
    except OSError as error:
        return Check(name, "fail", f"cannot look: {error.strerror or error}")
