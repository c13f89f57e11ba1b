"""Video at each power-on: a systemd unit for `gvc-edge run`, for the machine or for one user.

The program itself waits for camera and radio, so the unit pulls no device in: a boot without the camera
is not held up, and a camera plugged in an hour later is used. It sets no DevicePolicy for the same
reason: systemd resolves driver names when the unit starts, and locks later drivers out.
"""

from __future__ import annotations

import grp
import pwd
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gvc_edge.field.settings import RunSettings
from gvc_protocol.errors import UserError

__all__ = ["NAME", "ServicePlan", "home_of", "known_groups", "unit_path", "unit_text"]

NAME = "gvc-edge.service"
_GROUPS = ("dialout", "video", "audio")
"Serial ports, cameras, and sound cards for FreeDV."

_HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """What goes into the unit."""

    python: str
    "The interpreter that has gvc_edge."
    config: Path
    settings: RunSettings
    user: str = ""
    "Whom it runs as; empty: a unit of the user's own manager."
    groups: tuple[str, ...] = _GROUPS


def unit_text(plan: ServicePlan) -> str:
    """The unit file.

    Raises:
        UserError: a path that a unit file cannot hold.
    """
    run = [plan.python, "-m", "gvc_edge", "run", "--plain", "--config", str(plan.config)]
    lines = [
        "# Written by `gvc-edge install-service`; `gvc-edge install-service --uninstall` takes it away.",
        "[Unit]",
        "Description=gvc-edge: camera to radio",
        f"After={' '.join(['network.target', 'time-set.target', *_devices(plan.settings)])}",
        "# However often it ends, it is started again.",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={' '.join(map(_word, run))}",
        "Restart=always",
        "RestartSec=5",
        "# What waits is sent first.",
        "TimeoutStopSec=30",
        "UMask=0077",
    ]  # fmt: skip
    lines += _of_machine(plan) if plan.user else ["NoNewPrivileges=yes"]
    target = "multi-user.target" if plan.user else "default.target"
    return "\n".join([*lines, "", "[Install]", f"WantedBy={target}"]) + "\n"


def unit_path(*, user: bool, config_home: Path) -> Path:
    """Where the unit belongs."""
    folder = config_home / "systemd/user" if user else Path("/etc/systemd/system")
    return folder / NAME


def home_of(user: str) -> Path:
    """Raises UserError where there is no such user."""
    try:
        return Path(pwd.getpwnam(user).pw_dir)
    except KeyError:
        raise UserError(f"no user {user!r} on this machine; give another with --run-as") from None


def _of_machine(plan: ServicePlan) -> list[str]:
    lines = [f"User={_word(plan.user)}"]
    if plan.groups:
        lines.append(f"SupplementaryGroups={' '.join(plan.groups)}")
    # The default state folder is $XDG_STATE_HOME/gvc-edge.
    lines += ["StateDirectory=gvc-edge", "Environment=XDG_STATE_HOME=/var/lib"]
    used = (str(plan.config), plan.python, plan.settings.state, plan.settings.key)
    in_tmp = any(path.startswith(("/tmp/", "/var/tmp/")) for path in used)
    lines += [s for s in _HARDENING.splitlines() if not (in_tmp and s.startswith("PrivateTmp"))]
    writable = []
    if plan.settings.state:
        writable.append(plan.settings.state)
    if plan.settings.key:  # boot numbers of a key are counted beside it, too
        writable.append(str(Path(plan.settings.key).parent))
    return [*lines, *(f"ReadWritePaths={_word(f'-{path}')}" for path in writable)]


def _devices(s: RunSettings) -> list[str]:
    """Device units of camera and port: ordered after them where they come, not pulled in."""
    found = []
    for url in (s.source, s.link):
        path = url.partition(":")[2].partition("?")[0]
        if path.startswith("/dev/"):
            found.append(_unit_of(path))
    return found


def _unit_of(path: str) -> str:
    """systemd's name of a device unit: / becomes -, all but letters, digits, _ : and . become hex."""
    out = []
    for c in path.strip("/"):
        plain = c.isascii() and (c.isalnum() or c in "_.:")
        out.append("-" if c == "/" else c if plain else "".join(f"\\x{b:02x}" for b in c.encode()))
    return "".join(out) + ".device"


def _word(text: str) -> str:
    """One word of a command line in a unit file."""
    _check(text)
    safe = text.replace("%", "%%").replace("$", "$$")
    if shlex.quote(text) == text:
        return safe
    return '"' + safe.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _check(text: str) -> None:
    if not text.isprintable():
        raise UserError(
            f"{text!r} cannot stand in a unit file; use a name without control characters"
        )


def known_groups(wanted: Sequence[str] = _GROUPS) -> tuple[str, ...]:
    """Those of the groups that this machine has; systemd refuses a unit with any other."""
    have = {group.gr_name for group in grp.getgrall()}
    return tuple(name for name in wanted if name in have)
