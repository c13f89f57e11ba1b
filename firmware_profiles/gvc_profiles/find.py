"""Cameras and serial ports of this machine, by the names that stay when something is replugged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gvc_profiles.links.registry import SCHEMES
from gvc_profiles.model import LinkProfile

__all__ = ["Device", "cameras", "link_for", "link_forms", "serial_ports"]

# Video nodes of single-board computers that are codecs and scalers, not cameras.
_NO_CAMERAS = ("bcm2835-codec", "bcm2835-isp", "rpivid", "rpi-hevc", "pispbe", "hantro", "rkvdec",
               "rkisp", "cedrus", "nvhost")  # fmt: skip
_PORTS = ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttyTHS*", "serial0")


@dataclass(frozen=True, slots=True)
class Device:
    """One thing that is plugged in."""

    path: str
    "The steadiest name that it has."
    name: str
    "What it calls itself, empty when it does not."
    node: str
    "The kernel's name, /dev/video0."


def cameras(root: Path = Path("/")) -> list[Device]:
    """Cameras that V4L2 shows, one entry each. `root`: another file system, for tests."""
    found = []
    by_id = _names(root, "dev/v4l/by-id")
    for folder in sorted(root.glob("sys/class/video4linux/video*"), key=_number):
        name = _text(folder / "name")
        # A camera has several nodes; the first gives pictures, the others metadata.
        if _text(folder / "index") not in ("", "0") or name.startswith(_NO_CAMERAS):
            continue
        node = f"/dev/{folder.name}"
        found.append(Device(by_id.get(folder.name, node), name, node))
    return found


def serial_ports(root: Path = Path("/")) -> list[Device]:
    """Serial ports that may be a radio's."""
    by_id = _names(root, "dev/serial/by-id")
    found: dict[str, Device] = {}
    for pattern in _PORTS:
        for path in sorted(root.glob(f"dev/{pattern}"), key=_number):
            real = path.resolve().name
            steady = by_id.get(real, f"/dev/{path.name}")
            name = Path(steady).name.removeprefix("usb-") if real in by_id else ""
            found.setdefault(real, Device(steady, name, f"/dev/{path.name}"))
    return list(found.values())


def link_forms(profile: LinkProfile) -> list[str]:
    """URL forms that this profile's radio itself can have; udp works with every profile besides."""
    forms = [f for s in SCHEMES.values() if profile.framing in s.framings for f in
             s.forms.split(" or ")]  # fmt: skip
    return forms or ["udp://HOST:PORT"]


def link_for(profile: LinkProfile, port: str, call: str = "") -> str:
    """The link URL of this profile's radio on a serial port; empty where it has none."""
    for form in link_forms(profile):
        if ":DEVICE" in form:
            return form.replace("DEVICE", port).replace("=CALL", f"={call}" if call else "=CALL")
    return ""


def _names(root: Path, folder: str) -> dict[str, str]:
    """Kernel name -> steady name."""
    links = sorted(p for p in (root / folder).glob("*") if not p.name.endswith("-index1"))
    return {p.resolve().name: f"/{folder}/{p.name}" for p in links}


def _number(path: Path) -> tuple[str, int]:
    digits = "".join(c for c in path.name if c.isdigit())
    return path.name.rstrip("0123456789"), int(digits or 0)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
