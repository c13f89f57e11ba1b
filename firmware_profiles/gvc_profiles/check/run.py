"""`check`: ask the radio, compare with the profile, say what differs and how to mend it.

Reads only; `--apply` writes what differs, saves it once and reads it again. The radio goes back to data
mode whatever happens.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from gvc_profiles.check.at_radios import SbdDialect, SikDialect, XbeeDialect
from gvc_profiles.check.dialogue import CannotTalkError, Dialect, RefusedError, Talk
from gvc_profiles.check.other_radios import (
    EbyteDialect,
    ImtDialect,
    MavlinkDialect,
    MeshDialect,
    RnDialect,
)
from gvc_profiles.links.port import open_port
from gvc_profiles.links.registry import SCHEMES, open_link
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile, Setting
from gvc_protocol.errors import UserError

__all__ = ["CheckReport", "Finding", "check_radio"]

_DIALECTS: dict[str, Callable[[Talk], Dialect]] = {
    "sik": SikDialect,
    "xbee": XbeeDialect,
    "sbd": SbdDialect,
    "ebyte-e22": lambda talk: EbyteDialect(talk, e22=True),
    "ebyte-e32": lambda talk: EbyteDialect(talk, e22=False),
    "rn2483": RnDialect,
    "meshtastic": MeshDialect,
    "imt": ImtDialect,
    "mavlink": MavlinkDialect,
}
_CONFIG_BAUD = 9600
_AFTERWARDS = {
    "ebyte-e22": "put M0 and M1 low again: the module is in configuration mode",
    "ebyte-e32": "put M0 and M1 low again: the module is in configuration mode",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One setting. Status: ok, differs, mended, shown (any value, equal at both ends), unknown."""

    name: str
    found: str
    want: str
    status: str
    why: str


@dataclass(slots=True, kw_only=True)
class CheckReport:
    """What a check found. `exit_code`: 0 all good, 1 something differs, 2 cannot talk."""

    profile: str
    link: str
    findings: list[Finding] = field(default_factory=list)
    cannot_talk: str = ""
    applied: bool = False
    "Whether it was allowed to write."
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """For the shell."""
        if self.cannot_talk:
            return 2
        return int(any(f.status in ("differs", "unknown") for f in self.findings))

    def as_json(self) -> str:
        """One object."""
        return json.dumps({**dataclasses.asdict(self), "exit_code": self.exit_code})

    def as_text(self) -> str:
        """A line a setting, then what to do."""
        lines = []
        for f in self.findings:
            want = {"ok": "", "mended": f" (now {f.want})", "shown": ""}.get(
                f.status, f", should be {f.want}"
            )
            reason = "" if f.status in ("ok", "mended") else f": {f.why}"
            lines.append(f"{f.status:8} {f.name} = {f.found}{want}{reason}")
        if self.cannot_talk:
            lines.append(f"cannot talk to the radio on {self.link}: {self.cannot_talk}")
        elif not self.applied and any(f.status == "differs" for f in self.findings):
            lines.append("add --apply to write what differs")
        return "\n".join(lines + self.notes)


def check_radio(
    profile: LinkProfile, link: str, *, apply: bool, patience: float = 1.0
) -> CheckReport:
    """Check one radio. `patience` multiplies every waiting time.

    Raises:
        UserError: the link does not fit the profile or cannot be opened.
    """
    report = CheckReport(profile=profile.id, link=link, applied=apply)
    if profile.dialect == "none" or link.startswith("udp:"):
        open_link(link, profile, listen=False).close()
        report.notes.append("the link opens; this radio cannot be asked for its settings from here")
        return report
    url = LinkUrl(link)
    scheme = SCHEMES.get(url.scheme)
    if scheme is None or profile.framing not in scheme.framings:
        raise UserError(f"profile {profile.id} cannot use {link}")
    try:
        port = open_port(url, _as_configured(profile), listen=False)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"cannot open link {link}: {reason}; plug it in, or stop the program that holds it"
        ) from None
    try:
        dialect = _DIALECTS[profile.dialect](Talk(port, patience=patience))
        _talk(dialect, profile, report, apply=apply)
    except OSError as error:
        report.cannot_talk = f"the port failed ({error.strerror or error})"
    finally:
        port.close()
    if note := _AFTERWARDS.get(profile.dialect):
        report.notes.append(note)
    return report


def _as_configured(profile: LinkProfile) -> LinkProfile:
    """Ebyte modules are configured at 9600 whatever their data rate is."""
    if profile.serial is None or not profile.dialect.startswith("ebyte"):
        return profile
    return dataclasses.replace(
        profile, serial=dataclasses.replace(profile.serial, baud=_CONFIG_BAUD)
    )


def _talk(dialect: Dialect, profile: LinkProfile, report: CheckReport, *, apply: bool) -> None:
    names = [s.name for s in profile.settings]
    try:
        dialect.enter()
        found = dialect.read(names)
        report.findings = [_finding(s, found.get(s.name)) for s in profile.settings]
        differs = [f for f in report.findings if f.status == "differs"]
        if apply and differs:
            taken = [f for f in differs if _written(dialect, f, report)]
            if taken:
                dialect.save()
                report.findings = _after(dialect, profile, report.findings)
    except CannotTalkError as error:
        report.cannot_talk = str(error)
    finally:
        dialect.leave()


def _written(dialect: Dialect, finding: Finding, report: CheckReport) -> bool:
    try:
        dialect.write(finding.name, finding.want)
    except RefusedError as error:
        report.notes.append(f"not written: {error}")
        return False
    return True


def _after(dialect: Dialect, profile: LinkProfile, before: list[Finding]) -> list[Finding]:
    """Read again: what was written counts as mended only when the radio says so."""
    found = dialect.read([s.name for s in profile.settings])
    out = []
    for was, setting in zip(before, profile.settings, strict=True):
        now = _finding(setting, found.get(setting.name))
        mended = was.status == "differs" and now.status == "ok"
        out.append(dataclasses.replace(was, status="mended") if mended else now)
    return out


def _finding(setting: Setting, found: str | None) -> Finding:
    if found is None:
        status = "shown" if not setting.want else "unknown"
    elif not setting.want:
        status = "shown"
    else:
        status = "ok" if found.upper() == setting.want.upper() else "differs"
    return Finding(
        name=setting.name, found="not told" if found is None else found, want=setting.want,
        status=status, why=setting.why,
    )  # fmt: skip
