"""How the machine fares: heat, throttling, clock, disk. Read from sysfs below a root, for tests."""

from __future__ import annotations

import ctypes
import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "HOT_C",
    "TOO_HOT_C",
    "Machine",
    "clock_is_synced",
    "free_bytes",
    "machine",
    "rtc_seconds",
]

HOT_C, TOO_HOT_C = 75.0, 85.0
"Single-board computers begin to slow down at 80 to 85 degrees."
_PLAUSIBLE_C = (-40.0, 150.0)
_TIME_ERROR = 5
"adjtimex: nothing keeps this clock right."

# Raspberry Pi: what the firmware sees now, by bit.
_PI_NOW = ((0, "the power supply is too weak"), (3, "too hot"), (2, "slowed down"), (1, "capped"))


@dataclass(frozen=True, slots=True)
class Machine:
    """None and empty: the machine does not tell."""

    temperature_c: float | None = None
    throttled: str = ""
    "Why the processor is slowed down now."


def machine(root: Path = Path("/")) -> Machine:
    """The hottest sensor, and whether the processor is held back."""
    return Machine(_hottest(root), _pi_throttled(root) or _cooled(root))


def free_bytes(folder: Path) -> int:
    """Free space where this folder is, or will be. Raises OSError."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def rtc_seconds(root: Path = Path("/")) -> int | None:
    """Unix time of the battery-backed clock; None without one."""
    text = _text(root / "sys/class/rtc/rtc0/since_epoch")
    return int(text) if text.isdigit() else None


def clock_is_synced() -> bool | None:
    """Whether NTP, GNSS or the like keeps the system's clock right; None where nobody can say."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    # struct timex begins with `modes`; 0 only asks. It has 208 bytes at most.
    state = adjtimex(ctypes.create_string_buffer(512))
    return None if state < 0 else state != _TIME_ERROR


def _hottest(root: Path) -> float | None:
    found = []
    for path in root.glob("sys/class/thermal/thermal_zone*/temp"):
        text = _text(path).removeprefix("-")
        if text.isdigit():
            celsius = int(_text(path)) / 1000
            if _PLAUSIBLE_C[0] < celsius < _PLAUSIBLE_C[1]:
                found.append(celsius)
    return max(found, default=None)


def _pi_throttled(root: Path) -> str:
    for path in root.glob("sys/devices/platform/*/*firmware/get_throttled"):
        try:
            bits = int(_text(path), 16)
        except ValueError:
            continue
        return ", ".join(words for bit, words in _PI_NOW if bits >> bit & 1)
    return ""


def _cooled(root: Path) -> str:
    """The kernel's own view: a cooling device of the processor that is at work."""
    for folder in root.glob("sys/class/thermal/cooling_device*"):
        kind, state = _text(folder / "type"), _text(folder / "cur_state")
        if ("cpufreq" in kind or kind == "Processor") and state.isdigit() and int(state) > 0:
            return "slowed down by heat"
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
